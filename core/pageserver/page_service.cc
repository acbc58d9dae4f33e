#include "core/pageserver/page_service.h"

#include <algorithm>

#include "core/pageserver/backup.h"
#include "core/pageserver/page_stream.h"
#include "core/pageserver/replication_commands.h"

namespace argon::pageserver {

namespace {

constexpr size_t kBackupPiece = 256 * 1024;  // bytes of a backup put together before they are sent
constexpr std::string_view kServerVersion = "15.0 (Argon)";

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  size_t at = 0;
  while (at < text.size()) {
    size_t end = std::min(text.find(' ', at), text.size());
    if (end > at) words.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

Result<TenantTimelineId> parse_ids(const std::vector<std::string>& words, size_t at) {
  if (words.size() < at + 2) return Error(Code::Invalid, "the command needs a tenant and a timeline");
  TRY_ASSIGN(TenantId tenant, parse_tenant_id(words[at]));
  TRY_ASSIGN(TimelineId timeline, parse_timeline_id(words[at + 1]));
  return TenantTimelineId{tenant, timeline};
}

// One connection: its commands, one after the other.
class Connection {
 public:
  Connection(Stream& stream, Tenants& tenants, Metrics& metrics, const PageServiceOptions& options)
      : stream_(stream),
        in_(stream),
        server_(in_, stream),
        tenants_(tenants),
        metrics_(metrics),
        options_(options) {}

  Status run(Task& task) {
    {
      Deadline deadline(task, options_.startup_timeout);
      TRY_ASSIGN(startup_, server_.accept(task));
      TRY(server_.welcome(task, kServerVersion));
    }
    ReplicationCommands replication(stream_, server_, tenants_, startup_);
    for (;;) {
      TRY_ASSIGN(std::optional<std::string> query, server_.read_query(task));
      if (!query) return {};
      Status done =
          startup_.replication() ? replication.answer(task, *query) : command(task, words_of(*query));
      if (done.is(Code::Cancelled) || done.is(Code::Disconnected)) return done;
      if (!done.ok()) server_.put_error(done.error());
      server_.put_ready();
      TRY(server_.flush(task));
    }
  }

 private:
  Status command(Task& task, const std::vector<std::string>& words) {
    std::string name = words.empty() ? "" : words[0];
    std::ranges::transform(name, name.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (name == "pagestream_v3") return pagestream(task, words);
    if (name == "basebackup" || name == "fullbackup") return backup(task, words, name == "fullbackup");
    if (name == "lease" && words.size() == 5 && words[1] == "lsn") return lease(task, words);
    if (name == "set") {
      server_.put_command_complete("SET");
      return {};
    }
    return Error(Code::Invalid,
                 "unknown command '" + name +
                     "': this is a pageserver; it knows pagestream_v3, basebackup, fullbackup and lease");
  }

  Status pagestream(Task& task, const std::vector<std::string>& words) {
    TRY_ASSIGN(TenantTimelineId id, parse_ids(words, 1));
    TRY_ASSIGN(std::shared_ptr<Timeline> timeline, tenants_.find(id));
    Timeline::Guest guest(*timeline, stream_);
    server_.put_copy_both_response();
    TRY(server_.flush(task));
    TRY(serve_page_stream(task, timeline, server_, metrics_));
    server_.put_copy_done();
    server_.put_command_complete("COPY 0");
    return {};
  }

  Status backup(Task& task, const std::vector<std::string>& words, bool everything) {
    TRY_ASSIGN(TenantTimelineId id, parse_ids(words, 1));
    BackupOptions backup;
    backup.everything = everything;
    Lsn wanted = Lsn::max();
    for (size_t i = 3; i < words.size(); i++) {
      if (words[i] == "--replica") {
        backup.follower = true;
      } else if (words[i] != "latest") {
        TRY_ASSIGN(wanted, parse_lsn(words[i]));
      }
    }
    TRY_ASSIGN(std::shared_ptr<Timeline> timeline, tenants_.find(id));
    Timeline::Guest guest(*timeline, stream_);
    TRY_ASSIGN(ReadPoint at, timeline->read_point(task, wanted, wanted == Lsn::max() ? Lsn() : wanted));
    backup.lsn = at.lsn;
    server_.put_copy_out_response();
    TRY(write_backup(task, *timeline, backup, [&](ByteView bytes) -> Status {
      server_.put_copy_data(bytes);
      return server_.pending() >= kBackupPiece ? server_.flush(task) : Status();
    }));
    server_.put_copy_done();
    server_.put_command_complete("COPY 0");
    return {};
  }

  Status lease(Task& task, const std::vector<std::string>& words) {
    TRY_ASSIGN(TenantTimelineId id, parse_ids(words, 2));
    TRY_ASSIGN(Lsn lsn, parse_lsn(words[4]));
    TRY_ASSIGN(std::shared_ptr<Timeline> timeline, tenants_.find(id));
    Result<WallTime> until = timeline->lease(task, lsn);
    if (!until.ok() && !until.is(Code::Invalid)) return until.error();
    server_.put_row_description({{"valid_until"}});
    if (until.ok())
      server_.put_row({std::to_string(until->ns / 1'000'000)});
    else
      server_.put_row({std::nullopt});
    server_.put_command_complete("SELECT 1");
    return {};
  }

  Stream& stream_;
  wire::BufferedReader in_;
  wire::PgServer server_;
  wire::Startup startup_;
  Tenants& tenants_;
  Metrics& metrics_;
  const PageServiceOptions& options_;
};

}  // namespace

Status serve_pages(Task& task, Listener& listener, Tenants& tenants, Metrics& metrics,
                   const PageServiceOptions& options) {
  Logger log(task.env().log());
  Gauge& open = metrics.gauge("pageserver_connections", "Open connections of the page service");
  Scope connections(task);
  Status ended;
  while (ended.ok() && !task.cancelled()) {
    auto accepted = listener.accept(task);
    if (accepted.is(Code::Io)) {
      ended = task.sleep(Duration::milliseconds(100));
      continue;
    }
    if (!accepted.ok()) {
      ended = accepted.error();
      break;
    }
    std::shared_ptr<Stream> stream = std::move(*accepted);
    if (connections.size() >= options.connections_max) continue;  // closes it
    connections.spawn("page connection", [&, stream](Task& t) -> Status {
      open.add(1);
      Status done = Connection(*stream, tenants, metrics, options).run(t);
      open.add(-1);
      if (!done.ok() && !done.is(Code::Cancelled) && !done.is(Code::Disconnected))
        log.warn("connection of {}: {}", stream->peer(), done.error().to_string());
      return {};
    });
  }
  TRY(connections.stop(task));
  if (ended.is(Code::Cancelled) || ended.is(Code::Disconnected)) return {};
  return ended;
}

}  // namespace argon::pageserver
