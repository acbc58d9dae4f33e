#include "core/safekeeper/donor.h"

#include "core/env/points.h"
#include "core/http/client.h"
#include "core/safekeeper/management_json.h"
#include "core/wire/replication.h"

namespace argon::safekeeper {

using nlohmann::json;

namespace {

constexpr Duration kDonorTimeout = Duration::seconds(5);
constexpr Duration kChainTimeout = Duration::seconds(10);
constexpr Duration kWalTimeout = Duration::seconds(10);  // without any WAL

Result<consensus::TermHistory> history_of(const json& state) {
  std::vector<consensus::TermStart> entries;
  auto list = state.find("term_history");
  if (list == state.end() || !list->is_array()) return Error(Code::Corrupt, "no term history");
  for (const json& entry : *list) {
    TRY_ASSIGN(uint64_t term, number_field(entry, "term", 0));
    TRY_ASSIGN(Lsn start, lsn_field(entry, "lsn"));
    entries.push_back({Term(term), start});
  }
  consensus::TermHistory history(std::move(entries));
  TRY(history.validate());
  return history;
}

}  // namespace

Result<Donor> parse_donor(const Address& http, const TenantTimelineId& id, const json& status) {
  if (status.contains("failure")) return Error(Code::Unavailable, status["failure"].dump());
  Donor donor;
  donor.http = http;
  TRY_ASSIGN(std::string wal, text_field(status, "wal_address"));
  TRY_ASSIGN(donor.wal, parse_address(wal));
  donor.control.id = id;
  consensus::AcceptorState& state = donor.control.acceptor;
  const json none = json::object();
  const json& acceptor = status.contains("acceptor_state") ? status["acceptor_state"] : none;
  const json& server = status.contains("pg_info") ? status["pg_info"] : none;
  TRY_ASSIGN(uint64_t term, number_field(acceptor, "term", 0));
  state.term = Term(term);
  TRY_ASSIGN(state.history, history_of(acceptor));
  TRY_ASSIGN(uint64_t version, number_field(server, "pg_version", 0));
  TRY_ASSIGN(state.server.system_id, number_field(server, "system_id", 0));
  TRY_ASSIGN(uint64_t segment, number_field(server, "wal_seg_size", 0));
  state.server.pg_version = static_cast<uint32_t>(version);
  state.server.wal_segment_size = static_cast<uint32_t>(segment);
  TRY_ASSIGN(state.timeline_start, lsn_field(status, "timeline_start_lsn"));
  TRY_ASSIGN(state.local_start, lsn_field(status, "local_start_lsn"));
  TRY_ASSIGN(state.commit, lsn_field(status, "commit_lsn"));
  TRY_ASSIGN(donor.control.backup, lsn_field(status, "backup_lsn"));
  TRY_ASSIGN(donor.control.remote_consistent, lsn_field(status, "remote_consistent_lsn"));
  TRY_ASSIGN(donor.flush, lsn_field(status, "flush_lsn"));
  bool has_wal = state.local_start.valid();
  if (has_wal && (state.history.empty() || donor.flush < state.local_start || donor.flush < state.commit ||
                  state.history.last_term() > state.term))
    return Error(Code::Corrupt, "its positions contradict each other");
  return donor;
}

std::string timeline_path(const TenantTimelineId& id) {
  return "/v1/tenant/" + to_string(id.tenant) + "/timeline/" + to_string(id.timeline);
}

Result<Donor> ask_donor(Task& task, const Address& http, const TenantTimelineId& id) {
  Deadline deadline(task, kDonorTimeout);
  TRY_ASSIGN(json status, http::fetch_json(task, http, "GET", timeline_path(id), nullptr));
  return parse_donor(http, id, status).with(to_string(http));
}

Result<std::optional<ChainLink>> ask_chain(Task& task, const Address& http, const TenantTimelineId& id,
                                           Lsn lsn) {
  std::string target = timeline_path(id) + "/wal_chain?lsn=" + http::url_encode(to_string(lsn));
  Deadline deadline(task, kChainTimeout);
  auto answer = http::fetch_json(task, http, "GET", target, nullptr);
  if (answer.is(Code::Cancelled)) return answer.error();
  if (!answer.ok()) return std::optional<ChainLink>();
  auto link = link_of(*answer);
  return link.ok() && link->at == lsn ? std::optional(*link) : std::nullopt;
}

Status compare_chains(Task& task, const Address& http, const TenantTimelineId& id, const ChainLink& ours) {
  TRY_ASSIGN(std::optional<ChainLink> theirs, ask_chain(task, http, id, ours.at));
  if (!theirs || *theirs == ours) return {};
  task.env().probe("safekeeper.chains-differ"_probe);
  return Error(Code::Corrupt, "the WAL of timeline " + to_string(id) + " up to " + to_string(ours.at) +
                                  " is another one at " + to_string(http) + " than here");
}

Result<DonorStream> DonorStream::open(Task& task, const Donor& donor, Lsn from) {
  Deadline deadline(task, kDonorTimeout);
  TRY_ASSIGN(std::unique_ptr<wire::PgClient> client,
             wire::PgClient::connect_to_wal(task, donor.wal, donor.control.id));
  wire::StartReplication command{.slot = {}, .start = from, .term = donor.control.acceptor.term};
  TRY(client->start_copy_both(task, wire::to_string(command)));
  return DonorStream(std::move(client), from);
}

Result<ByteView> DonorStream::next(Task& task) {
  Deadline deadline(task, kWalTimeout);
  for (;;) {
    TRY_ASSIGN(std::optional<ByteView> body, client_->read_copy(task));
    if (!body) return Error(Code::Disconnected, "the donor ended the stream at " + to_string(at_));
    TRY_ASSIGN(wire::ReplicationServerMessage message, wire::parse_replication_server_message(*body));
    auto* data = std::get_if<wire::XLogData>(&message);
    if (data == nullptr) continue;
    if (data->start != at_)
      return Error(Code::Corrupt,
                   "the donor sent WAL at " + to_string(data->start) + ", not at " + to_string(at_));
    at_ += data->data.size();
    return data->data;
  }
}

}  // namespace argon::safekeeper
