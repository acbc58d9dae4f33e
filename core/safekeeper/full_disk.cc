// A full disk: WAL is refused, everything else goes on.
//
// When an effect of the acceptor ends for want of space, the acceptor in memory is ahead of the disk, and a
// part of what was to be written may lie beyond what is flushed. So WAL is cut where it was flushed last,
// which needs no space, and the acceptor is made anew from the control file and that position, as by a
// restart: nothing beyond was told to anybody. Readers, peers and the management API do not notice; proposers
// are refused, with the reason, until there is room for a segment again and the control file could be
// written.

#include "core/env/points.h"
#include "core/pg/wal_page.h"
#include "core/safekeeper/timeline.h"

namespace argon::safekeeper {

Error Timeline::refuse_wal(Task& task, const Error& error) {
  if (!failure_.ok()) return failure_.error();
  env_.probe("safekeeper.wal-refused"_probe);
  if (Status taken_back = take_back(task); !taken_back.ok())
    return fail(taken_back.error().with("after " + error.message()), taken_back.is(Code::NoSpace));
  if (wal_refused_.ok()) log_.error("takes no WAL: {}", error.to_string());
  wal_refused_ = Error(Code::NoSpace, "safekeeper " + to_string(config_.id) + " takes no WAL of timeline " +
                                          to_string(id()) + ": " + error.message());
  for (auto& [id, link] : links_) link->refuse(wal_refused_.error());
  return wal_refused_.error();
}

// What the disk does not have is forgotten.
Status Timeline::take_back(Task& task) {
  TRY_ASSIGN(TimelineControl control, read_control(task, env_.disk(), directory_));
  consensus::WalEnd end;
  if (control.acceptor.local_start.valid()) {
    end.flush = acceptor_->flush();
    TRY_ASSIGN(end.check, storage_->truncate(task, end.flush));
  } else {
    TRY_ASSIGN(storage_,
               WalStorage::open(task, env_.disk(), directory_, control.acceptor, Lsn(), log_, &spare_));
  }
  control_ = std::move(control);
  consensus::AcceptorState state = control_.acceptor;
  state.commit = std::max(state.commit, acceptor_->commit());
  acceptor_.emplace(config_.id, std::move(state), end);
  publish_positions();
  return {};
}

Status Timeline::take_wal_again(Task& task) {
  TRY_ASSIGN(SpaceInfo space, env_.disk().space(task, directory_));
  if (space.available < pg::kWalSegmentSize) return {};
  TRY(save(task));
  wal_refused_ = {};
  env_.probe("safekeeper.wal-taken-again"_probe);
  log_.info("takes WAL again, from {} on", to_string(acceptor_->flush()));
  return {};
}

}  // namespace argon::safekeeper
