#include "core/compute/page_client.h"

#include <deque>
#include <optional>

#include "core/env/points.h"
#include "core/wire/pg_wire.h"

namespace argon::compute {

// One request in flight. Shared, since either its caller or the connection may be gone first.
struct PageClient::Pending {
  wire::PageRequest request;
  // Set once: the error, or the answer with the bytes it borrowed from.
  std::optional<Status> outcome;
  decltype(wire::PageResponse::answer) answer;
  Bytes bytes;
  WaitList done;

  void finish(Status status) {
    outcome = std::move(status);
    done.notify_all();
  }
};

struct PageClient::Connection {
  std::unique_ptr<wire::PgClient> client;
  std::deque<std::shared_ptr<Pending>> in_flight;
  bool broken = false;

  void fail(Env& env, const Error& error) {
    if (!in_flight.empty()) env.probe("compute.page-requests-failed"_probe);
    broken = true;
    client->stream().close();
    while (!in_flight.empty()) {
      in_flight.front()->finish(error);
      in_flight.pop_front();
    }
  }
  // The next answer goes to the oldest request.
  Status take(Env& env, const wire::PageResponse& response) {
    if (in_flight.empty()) return Error(Code::Corrupt, "an answer to no request");
    std::shared_ptr<Pending> pending = in_flight.front();
    bool is_error = std::holds_alternative<wire::ErrorAnswer>(response.answer);
    bool same = is_error ? response.request.id == pending->request.id : response.request == pending->request;
    if (!same)
      return Error(Code::Corrupt, "asked for " + to_string(pending->request) + ", the answer is for " +
                                      to_string(response.request));
    in_flight.pop_front();
    if (const auto* error = std::get_if<wire::ErrorAnswer>(&response.answer)) {
      env.probe("compute.page-server-error"_probe);
      pending->finish(Error(Code::Invalid, to_string(pending->request) + ": " + error->message));
      return {};
    }
    if (const auto* page = std::get_if<wire::PageAnswer>(&response.answer))
      pending->bytes = to_bytes(page->page);
    if (const auto* slru = std::get_if<wire::SlruSegmentAnswer>(&response.answer))
      pending->bytes = to_bytes(slru->pages);
    pending->answer = response.answer;
    pending->finish({});
    return {};
  }
  Status read_answers(Task& task) {
    while (true) {
      TRY_ASSIGN(std::optional<ByteView> message, client->read_copy(task));
      if (!message) return Error(Code::Disconnected, "the pageserver ended the stream of pages");
      TRY_ASSIGN(wire::PageResponse response, wire::parse_page_response(*message));
      TRY(take(task.env(), response));
    }
  }
};

PageClient::PageClient(Scope& parent, Env& env, PageClientConfig config)
    : log_(Logger(env.log()).with("timeline", to_string(config.id.timeline))),
      config_(std::move(config)),
      permits_(config_.in_flight),
      scope_(parent) {}

PageClient::~PageClient() = default;

Status PageClient::stop(Task& task) {
  if (connection_) connection_->fail(task.env(), Error(Code::Disconnected, "the page client stops"));
  return scope_.stop(task);
}

Result<std::shared_ptr<PageClient::Connection>> PageClient::connected(Task& task) {
  if (connection_ && !connection_->broken && task.env().buggify("compute.drops-page-connection"_rare))
    connection_->fail(task.env(), Error(Code::Disconnected, "the page client ends the connection"));
  if (connection_ && !connection_->broken) return connection_;
  Deadline deadline(task, config_.connect_timeout);
  auto connection = std::make_shared<Connection>();
  TRY_ASSIGN(connection->client,
             wire::PgClient::connect(task, config_.pageserver, {{"user", "argon"}, {"database", "argon"}}));
  TRY(connection->client->start_copy_both(
      task, "pagestream_v3 " + to_string(config_.id.tenant) + " " + to_string(config_.id.timeline)));
  connection_ = connection;
  scope_.spawn("pages from " + to_string(config_.pageserver), [this, connection](Task& reader) -> Status {
    Status ended = connection->read_answers(reader);
    if (!connection->broken)
      log_.info("pages from {}: {}", to_string(config_.pageserver), ended.error().to_string());
    connection->fail(reader.env(), ended.error());
    return {};
  });
  return connection;
}

Result<std::shared_ptr<PageClient::Pending>> PageClient::ask(Task& task, wire::PageRequest request) {
  TRY(permits_.acquire(task));
  struct Permit {
    ~Permit() { permits.release(); }
    Semaphore& permits;
  } permit{permits_};
  auto pending = std::make_shared<Pending>();
  {
    Lock lock;
    TRY(lock.acquire(task, sending_));
    TRY_ASSIGN(std::shared_ptr<Connection> connection, connected(task));
    request.id = next_id_++;
    pending->request = request;
    {
      wire::PgMessageWriter message(connection->client->buffer(), 'd');
      wire::encode_page_request(connection->client->buffer(), request);
    }
    connection->in_flight.push_back(pending);
    Status sent = connection->client->flush(task);
    if (!sent.ok()) {
      // Half of a request may have gone out: nothing more can be said on this connection.
      connection->fail(task.env(), Error(Code::Disconnected, sent.error().message()));
      return sent.error();
    }
  }
  while (!pending->outcome) TRY(pending->done.wait(task));
  TRY(*pending->outcome);
  return pending;
}

Result<Bytes> PageClient::page(Task& task, const wire::PageRel& rel, uint32_t block, ReadLsn at) {
  TRY_ASSIGN(auto got, ask(task, {0, at.request, at.not_modified_since, wire::GetPageRequest{rel, block}}));
  return std::move(got->bytes);
}

Result<bool> PageClient::exists(Task& task, const wire::PageRel& rel, ReadLsn at) {
  TRY_ASSIGN(auto got, ask(task, {0, at.request, at.not_modified_since, wire::ExistsRequest{rel}}));
  return std::get<wire::ExistsAnswer>(got->answer).exists;
}

Result<uint32_t> PageClient::blocks(Task& task, const wire::PageRel& rel, ReadLsn at) {
  TRY_ASSIGN(auto got, ask(task, {0, at.request, at.not_modified_since, wire::NblocksRequest{rel}}));
  return std::get<wire::NblocksAnswer>(got->answer).blocks;
}

Result<int64_t> PageClient::database_size(Task& task, uint32_t db, ReadLsn at) {
  TRY_ASSIGN(auto got, ask(task, {0, at.request, at.not_modified_since, wire::DbSizeRequest{db}}));
  return std::get<wire::DbSizeAnswer>(got->answer).bytes;
}

Result<Bytes> PageClient::slru_segment(Task& task, wire::SlruKind kind, uint32_t segment, ReadLsn at) {
  TRY_ASSIGN(auto got,
             ask(task, {0, at.request, at.not_modified_since, wire::SlruSegmentRequest{kind, segment}}));
  return std::move(got->bytes);
}

}  // namespace argon::compute
