#include "core/safekeeper/pull.h"

#include <algorithm>

#include "core/env/points.h"
#include "core/pg/wal_page.h"
#include "core/safekeeper/donor.h"

namespace argon::safekeeper {
namespace {

// Those that answer, the one with the highest log first.
Result<std::vector<Donor>> ask_all(Task& task, const PullRequest& request) {
  std::vector<Donor> donors;
  std::string failures;
  for (const Address& http : request.donors) {
    auto donor = ask_donor(task, http, request.id);
    if (donor.ok())
      donors.push_back(*std::move(donor));
    else if (donor.is(Code::Cancelled))
      return donor.error();
    else
      failures += "; " + donor.error().message();
  }
  if (donors.empty())
    return Error(Code::Unavailable,
                 "no safekeeper to copy timeline " + to_string(request.id) + " from" + failures);
  std::ranges::sort(donors, [](const Donor& a, const Donor& b) {
    return std::pair(b.position(), a.http) < std::pair(a.position(), b.http);
  });
  return donors;
}

// Where the copy begins: everything below is in the object store as full segments, and no pageserver needs
// it.
Lsn copy_from(const Donor& donor) {
  const TimelineControl& control = donor.control;
  Lsn needed = std::min({control.backup, control.remote_consistent, control.acceptor.commit});
  return std::max(pg::segment_start(needed), control.acceptor.local_start);
}

Status copy_wal(Task& task, WalStorage& storage, const Donor& donor) {
  TRY_ASSIGN(DonorStream stream, DonorStream::open(task, donor, storage.written()));
  while (storage.written() < donor.flush) {
    Lsn at = storage.written();
    TRY_ASSIGN(ByteView wal, stream.next(task));
    TRY(storage.write(task, at, wal.first(std::min<uint64_t>(wal.size(), donor.flush - at))));
  }
  return {};
}

struct Copied {
  Lsn from;
  std::unique_ptr<WalStorage> storage;
};

// Where nothing but the rest of a record lies in the last segment, its beginning is copied as well: a log
// ends with a record that was seen whole.
Result<Copied> copy_whole_records(Task& task, const Donor& donor, const consensus::AcceptorState& nothing,
                                  const std::string& directory, const Logger& log) {
  for (Lsn from = copy_from(donor);;
       from = std::max(donor.control.acceptor.local_start, from - pg::kWalSegmentSize)) {
    TRY_ASSIGN(std::unique_ptr<WalStorage> storage,
               WalStorage::open(task, task.env().disk(), directory, nothing, Lsn(), log, nullptr));
    TRY(storage->initialise(task, from, nothing.server.system_id));
    TRY(copy_wal(task, *storage, donor).with("copy WAL from " + to_string(donor.wal)));
    TRY_ASSIGN(Flushed flushed, storage->flush(task));
    if (flushed.record_end == donor.flush) return Copied{from, std::move(storage)};
    if (from == donor.control.acceptor.local_start)
      return Error(Code::Corrupt, "the WAL copied ends at " + to_string(flushed.record_end) +
                                      ", the donor's at " + to_string(donor.flush));
    task.env().probe("safekeeper.pulled-from-further-back"_probe);
  }
}

// The chain of what was copied goes on from the donor's where it begins. All who have committed as much must
// have the same where that ends.
Result<WalChain> copy_chain(Task& task, const std::vector<Donor>& donors, const Copied& copied) {
  const Donor& best = donors.front();
  Lsn commit = std::max(best.control.acceptor.commit, copied.from);
  TRY_ASSIGN(std::optional<ChainLink> first, ask_chain(task, best.http, best.control.id, copied.from));
  if (!first) return WalChain();
  TRY_ASSIGN(WalChain links, extend_chain(task, *first, commit, [&](Task& t, Lsn at, ByteSpan into) {
               return copied.storage->read(t, at, into);
             }));
  links.insert(links.begin(), *first);
  for (const Donor& donor : donors) TRY(compare_chains(task, donor.http, donor.control.id, links.back()));
  if (pg::segment_offset(links.back().at) != 0 && links.size() > 1) links.pop_back();
  return links;
}

Result<TimelineControl> copy(Task& task, const PullRequest& request, const std::string& directory,
                             const Logger& log) {
  TRY_ASSIGN(std::vector<Donor> donors, ask_all(task, request));
  const Donor& best = donors.front();
  TimelineControl control = best.control;
  consensus::AcceptorState& state = control.acceptor;
  state.configuration = request.configuration;
  if (!state.local_start.valid()) return control;  // nobody has any WAL yet
  consensus::AcceptorState nothing = state;
  nothing.local_start = Lsn();
  TRY_ASSIGN(Copied copied, copy_whole_records(task, best, nothing, directory, log));
  TRY_ASSIGN(Donor after, ask_donor(task, best.http, request.id));
  if (after.control.acceptor.term != state.term || after.control.acceptor.history != state.history)
    return Error(Code::Unavailable, "the donor's term changed meanwhile; ask again");
  TRY_ASSIGN(control.chain, copy_chain(task, donors, copied));
  state.local_start = copied.from;
  state.history = state.history.up_to(best.flush);
  state.commit = state.commit < copied.from ? Lsn() : state.commit;
  task.env().probe("safekeeper.pulled"_probe);
  log.info("copied WAL of timeline {} from {} to {}", to_string(request.id), to_string(copied.from),
           to_string(best.flush));
  return control;
}

}  // namespace

Result<std::shared_ptr<Timeline>> pull_timeline(Task& task, Timelines& timelines,
                                                const PullRequest& request) {
  Logger log(task.env().log());
  return timelines.install(
      task, request.id, request.configuration,
      [&](Task& t, const std::string& directory) { return copy(t, request, directory, log); });
}

}  // namespace argon::safekeeper
