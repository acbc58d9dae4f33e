#include "core/compute/basebackup_fetch.h"

#include "core/wire/pg_wire.h"

namespace argon::compute {

Status fetch_basebackup(Task& task, const BasebackupRequest& request,
                        const std::function<Status(Task&, ByteView)>& sink) {
  std::string command = "basebackup " + to_string(request.id.tenant) + " " + to_string(request.id.timeline) +
                        " " + (request.at ? to_string(*request.at) : "latest");
  if (request.replica) command += " --replica";
  std::unique_ptr<wire::PgClient> client;
  {
    Deadline deadline(task, request.connect_timeout);
    TRY_ASSIGN(client,
               wire::PgClient::connect(task, request.pageserver, {{"user", "argon"}, {"database", "argon"}}));
  }
  TRY(client->start_copy_out(task, command).with(command));
  while (true) {
    TRY_ASSIGN(std::optional<ByteView> chunk, client->read_copy(task).with(command));
    if (!chunk) return client->finish_copy(task).with(command);
    if (!chunk->empty()) TRY(sink(task, *chunk));
  }
}

}  // namespace argon::compute
