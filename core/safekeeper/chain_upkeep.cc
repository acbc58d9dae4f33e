// The hash chain of a timeline (wal_chain.h): links for segments whose WAL is all committed, kept in the
// control file. Links that a crash took are made again from WAL, which stays until they are in the file
// (needed_from).

#include <algorithm>

#include "core/env/points.h"
#include "core/pg/wal_page.h"
#include "core/safekeeper/timeline.h"

namespace argon::safekeeper {
namespace {

constexpr uint64_t kSegmentsPerLook = 4;  // the next look goes on

}  // namespace

void Timeline::begin_chain() {
  const consensus::AcceptorState& state = acceptor_->state();
  bool whole = acceptor_->has_wal() && state.local_start == state.timeline_start &&
               storage_->oldest() == state.local_start;
  if (whole && control_.chain.empty()) control_.chain.push_back(first_link(id(), state.timeline_start));
}

bool Timeline::chain_lags() const {
  return !control_.chain.empty() && control_.chain.back().at < pg::segment_start(state().commit);
}

Status Timeline::advance_chain(Task& task) {
  begin_chain();
  if (!chain_lags()) return {};
  std::shared_ptr<WalStorage> storage = storage_;
  ChainLink from = control_.chain.back();
  Lsn to = std::min(pg::segment_start(acceptor_->commit()),
                    pg::segment_start(from.at) + kSegmentsPerLook * pg::kWalSegmentSize);
  auto links = extend_chain(task, from, to,
                            [&](Task& t, Lsn at, ByteSpan into) { return storage->read(t, at, into); });
  // The control file may have been read again meanwhile.
  if (control_.chain.empty() || control_.chain.back() != from) return {};
  // Without that segment no later link can be made here.
  if (links.is(Code::NotFound)) control_.chain.clear();
  TRY(links);
  control_.chain.insert(control_.chain.end(), links->begin(), links->end());
  env_.probe("safekeeper.chain-advanced"_probe);
  return {};
}

void Timeline::trim_chain() {
  Lsn oldest = pg::segment_start(storage_->oldest());
  auto here = std::ranges::lower_bound(control_.chain, oldest, {}, &ChainLink::at);
  if (here != control_.chain.end()) control_.chain.erase(control_.chain.begin(), here);
}

Result<ChainLink> Timeline::chain_at(Task& task, Lsn lsn) {
  if (!failure_.ok()) return failure_.error();
  begin_chain();
  const ChainLink* known = last_link_before(control_.chain, lsn);
  if (known == nullptr)
    return Error(Code::NotFound, "the hash chain of timeline " + to_string(id()) + " is not known at " +
                                     to_string(lsn) + " on this safekeeper");
  if (lsn > std::max(acceptor_->commit(), known->at))
    return Error(Code::Invalid,
                 to_string(lsn) + " is beyond what is committed, " + to_string(acceptor_->commit()));
  ChainLink from = *known;
  TRY_ASSIGN(WalChain links, extend_chain(task, from, lsn, [&](Task& t, Lsn at, ByteSpan into) {
               return read_wal(t, at, lsn, into);
             }));
  return links.empty() ? from : links.back();
}

}  // namespace argon::safekeeper
