// Timelines whose WAL is in the object store alone.
//
// A timeline that is asleep, whose WAL is all committed, and in the object store as full segments and the
// object of its last one, gives up its segments here: the control file says so (TimelineControl::evicted),
// and only then they go. So WAL is at any time in a place that the control file says.
//
// Before, that object is read back and compared with the segment: nothing goes on the word of an upload. It
// is this safekeeper's own, of a name that is never used again, and only this safekeeper removes it: once a
// later one is there (upload.cc), or when it is no member any more. Peers never do, but for all objects of
// a timeline that is deleted.
//
// Whoever needs the timeline waits until the last segment is back: written to a file of another name, held
// to the size and checksum in the control file, decoded to the same end, synced, renamed, and the control
// file says that it is here. Only then is it opened, so none of that can look like a shorter log, nor give a
// vote. A crash before leaves an evicted timeline and perhaps files that count for nothing. Older segments
// are read from the object store as ever.
//
// The copy is fetched by a fiber of the timeline, once for all who wait and whether they go on waiting or
// not. Where its object is damaged or gone, any other one that holds the same bytes will do: a peer's, of
// this segment. An error is told to those who wait; the next one who comes tries again.

#include "core/base/checksum.h"
#include "core/env/io.h"
#include "core/env/points.h"
#include "core/objstore/keys.h"
#include "core/pg/wal_page.h"
#include "core/safekeeper/tail_check.h"
#include "core/safekeeper/timeline.h"

namespace argon::safekeeper {
namespace {

constexpr size_t kPiece = 1u << 20;
constexpr size_t kHoleUnit = 64u * 1024;
constexpr int kTriesMax = 8;  // of one request to the object store; 6.4 s of pauses between them
constexpr Duration kFirstPause = Duration::milliseconds(50);
constexpr Duration kFirstTry = Duration::seconds(4);  // may take so long; doubles up to kStoreTimeout
constexpr std::string_view kReturning = ".returning";

bool is_wal_file(const std::string& name) {
  return pg::parse_segment_file_name(name).ok() || name.ends_with(kReturning) || name == kSpareName;
}

// Asks the object store a few times, so that one refusal, or one answer that never comes, does not throw away
// what was read before. Each try may take longer than the one before, for a slow link.
template <typename Request>
auto ask_patiently(Task& task, const Request& request) -> decltype(request(task)) {
  Duration pause = kFirstPause;
  Duration patience = kFirstTry;
  for (int tries = 1;; tries++, pause = pause * 2, patience = std::min(patience * 2, kStoreTimeout)) {
    auto answer = [&] {
      Deadline deadline(task, patience);
      return request(task);
    }();
    bool passing = answer.is(Code::Unavailable) || answer.is(Code::Disconnected) || answer.is(Code::Io) ||
                   answer.is(Code::TimedOut);
    if (!passing || tries == kTriesMax) return answer;
    task.env().probe("safekeeper.store-asked-again"_probe);
    TRY(task.sleep(pause));
  }
}

Status see_size(Task& task, objstore::ObjectStore& store, const std::string& key, uint64_t size) {
  TRY_ASSIGN(objstore::ObjectInfo there, ask_patiently(task, [&](Task& t) { return store.head(t, key); }));
  if (there.size == size) return {};
  return Error(Code::Corrupt, "it has " + std::to_string(there.size) + " bytes, not " + std::to_string(size));
}

// Whether an object is not what was put there, for good.
bool is_damage(const Status& read) {
  return read.is(Code::Corrupt) || read.is(Code::NotFound);
}

// The first bytes of an object, piece by piece.
using Take = std::function<Status(Task&, uint64_t offset, ByteView)>;
Status read_object(Task& task, objstore::ObjectStore& store, const std::string& key, uint64_t size,
                   const Take& take) {
  for (uint64_t at = 0; at < size;) {
    uint64_t wanted = std::min<uint64_t>(kPiece, size - at);
    TRY_ASSIGN(Bytes piece, ask_patiently(task, [&](Task& t) { return store.get(t, key, {at, wanted}); }));
    if (piece.size() != wanted)
      return Error(Code::Corrupt, "it is cut short at byte " + std::to_string(at + piece.size()));
    TRY(take(task, at, piece));
    at += wanted;
  }
  return {};
}

Status read_local(Task& task, Disk& disk, const std::string& path, uint64_t size, const Take& take) {
  TRY_ASSIGN(std::unique_ptr<File> file, disk.open(task, path, OpenMode::Read));
  Bytes piece(kPiece);
  for (uint64_t at = 0; at < size;) {
    size_t wanted = std::min<uint64_t>(kPiece, size - at);
    TRY_ASSIGN(size_t n, file->read_at(task, at, ByteSpan(piece).first(wanted)));
    if (n == 0) return Error(Code::Corrupt, "the segment is cut short at byte " + std::to_string(at));
    TRY(take(task, at, ByteView(piece).first(n)));
    at += n;
  }
  return {};
}

// But for zeros, which a new file has anyway.
Status write_with_holes(Task& task, File& file, uint64_t offset, ByteView bytes) {
  while (!bytes.empty()) {
    ByteView unit = bytes.first(std::min(kHoleUnit, bytes.size()));
    if (!all_zeros(unit)) TRY(write_all_at(task, file, offset, unit));
    offset += unit.size();
    bytes = bytes.subspan(unit.size());
  }
  return {};
}

}  // namespace

// ---- Eviction

// The object that would hold the last segment; nothing where not all is in the object store.
std::optional<std::string> Timeline::stored_tail() const {
  const consensus::AcceptorState& s = control_.acceptor;
  Lsn end = control_.closed_at;
  if (store_ == nullptr || !end.valid() || s.commit != end || chain_lags()) return {};
  if (!control_.partial_previous.key.empty()) return {};
  Lsn begin = last_segment_start(end);
  if (begin > std::max(control_.backup, pg::segment_start(s.timeline_start)) || !has_from_the_start(begin))
    return {};
  // A segment that is full is there under its own name.
  if (pg::segment_offset(end) == 0) {
    if (control_.backup < end) return {};
    return objstore::wal_prefix(id()) + pg::segment_file_name(pg::segment_number(begin));
  }
  if (control_.partial.flush != end || control_.partial.term != s.history.term_at(end)) return {};
  return control_.partial.key;
}

bool Timeline::may_evict() const {
  return asleep() && users_ == 0 && !evicted() && stored_tail().has_value();
}

bool Timeline::wants_upload() const {
  return store_ != nullptr && asleep() && known_ && !evicted() && control_.closed_at.valid() &&
         unused_for(config_.evict_after) && !stored_tail();
}

bool Timeline::unused_for(Duration time) const {
  return users_ == 0 && env_.now() - used_at_ >= time;
}

Status Timeline::evict_if_idle(Task& task) {
  if (evicted()) return leftovers_ ? clear_leftovers(task) : Status();
  if (!may_evict()) return {};
  if (!unused_for(config_.evict_after) && !env_.buggify("safekeeper.evicts-early"_rare)) return {};
  Status done = evict(task);
  // Not again at once.
  if (!done.ok()) used_at_ = env_.now();
  return done;
}

Status Timeline::evict(Task& task) {
  TimelineControl before = control_;
  EvictedTail tail{*stored_tail(), before.closed_at - last_segment_start(before.closed_at), 0};
  TRY_ASSIGN(tail.crc, prove_tail(task, before));
  Status same = compare_stored(task, tail);
  if (is_damage(same)) return upload_tail_again(task, before, same.error());
  TRY(same);
  TRY(see_older_stored(task, last_segment_start(before.closed_at)));
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  if (!may_evict() || control_ != before) return {};
  Uninterruptible whole(task);
  before.evicted = std::move(tail);
  TRY(replace_control(task, std::move(before)).with("evict"));
  leftovers_ = true;
  evictions_++;
  env_.probe("safekeeper.evicted"_probe);
  log_.info("evicted: WAL up to {} is in the object store alone", to_string(control_.closed_at));
  return remove_segments(task);
}

// That the last segment decodes to where WAL was closed; its checksum.
Result<uint32_t> Timeline::prove_tail(Task& task, const TimelineControl& control) {
  Lsn begin = last_segment_start(control.closed_at);
  TailCheck check(control);
  Status proved = read_local(task, env_.disk(), segment_path(begin), control.closed_at - begin,
                             [&](Task&, uint64_t, ByteView bytes) { return check.add(bytes); });
  if (proved.ok()) proved = check.finish();
  if (proved.is(Code::Corrupt)) note_damage();
  TRY(std::move(proved).with("read " + segment_path(begin)));
  return check.crc();
}

Status Timeline::compare_stored(Task& task, const EvictedTail& tail) {
  uint32_t crc = 0;
  TRY(see_size(task, *store_, tail.key, tail.size).with("read " + tail.key));
  TRY(read_object(task, *store_, tail.key, tail.size, [&](Task&, uint64_t, ByteView bytes) -> Status {
        crc = crc32c_extend(crc, bytes);
        return {};
      }).with("read " + tail.key));
  if (crc != tail.crc) return Error(Code::Corrupt, tail.key + " is not what is on this disk");
  return {};
}

// That older segments that are here still are there as well, which only a peer may have said so far.
Status Timeline::see_older_stored(Task& task, Lsn below) {
  TRY_ASSIGN(std::vector<DirEntry> entries, env_.disk().list(task, directory_));
  for (const DirEntry& entry : entries) {
    auto number = pg::parse_segment_file_name(entry.name);
    if (!number.ok() || *number >= pg::segment_number(below)) continue;
    std::string key = objstore::wal_prefix(id()) + entry.name;
    Deadline deadline(task, kStoreTimeout);
    TRY_ASSIGN(objstore::ObjectInfo there, store_->head(task, key).with("look for " + key));
    if (there.size != pg::kWalSegmentSize)
      return Error(Code::Corrupt,
                   key + " is not a whole segment: it has " + std::to_string(there.size) + " bytes");
  }
  return {};
}

// The control file forgets a partial object that is not what it should be, so that there will be another.
Status Timeline::upload_tail_again(Task& task, const TimelineControl& before, const Error& why) {
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  if (!may_evict() || control_ != before || control_.partial.key != stored_tail()) return why;
  Uninterruptible whole(task);
  TimelineControl without = control_;
  without.partial_previous = std::exchange(without.partial, {});
  TRY(replace_control(task, std::move(without)).with("forget a damaged object"));
  env_.probe("safekeeper.uploaded-tail-damaged"_probe);
  return why;
}

// While it is asleep, with mutex_ held. Without space nothing has changed.
Status Timeline::replace_control(Task& task, TimelineControl control) {
  CHECK(!acceptor_);
  Status written = write_control(task, env_.disk(), directory_, control);
  if (written.is(Code::NoSpace)) return written;
  if (!written.ok()) return fail(written.error(), false);
  control_ = std::move(control);
  return {};
}

Status Timeline::clear_leftovers(Task& task) {
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  if (!failure_.ok() || !evicted() || returning_) return {};
  Uninterruptible whole(task);
  return remove_segments(task);
}

// REQUIRES: the control file says that none counts. A segment that power loss brings back counts as little.
Status Timeline::remove_segments(Task& task) {
  CHECK(evicted());
  TRY_ASSIGN(std::vector<DirEntry> entries, env_.disk().list(task, directory_));
  for (const DirEntry& entry : entries)
    if (is_wal_file(entry.name)) TRY(env_.disk().unlink(task, join_path(directory_, entry.name)));
  TRY(env_.disk().sync_dir(task, directory_));
  leftovers_ = false;
  return {};
}

std::string Timeline::segment_path(Lsn begin) const {
  return join_path(directory_, pg::segment_file_name(pg::segment_number(begin)));
}

// ---- Return

Status Timeline::bring_back(Task& task) {
  while (asleep() && evicted()) {
    return_soon();
    uint64_t returns = returns_ended_;
    TRY(returned_.wait(task));
    if (asleep() && evicted() && returns_ended_ > returns) return return_failure_;
  }
  return {};
}

void Timeline::return_soon() {
  if (returning_ || !asleep() || !evicted()) return;
  returning_ = true;
  scope_.spawn("return " + to_string(id().timeline), [this](Task& task) -> Status {
    Status done = return_wal(task);
    returning_ = false;
    returns_ended_++;
    if (!done.ok()) {
      failed_returns_++;
      env_.probe("safekeeper.return-failed"_probe);
      log_.warn("WAL does not come back, will try again when it is asked for: {}", done.error().to_string());
      done = Error(Code::Unavailable, "timeline " + to_string(id()) +
                                          " was evicted to the object store, and its WAL cannot be " +
                                          "had from there now: " + done.error().message());
    }
    return_failure_ = std::move(done);
    returned_.notify_all();
    return {};
  });
}

Status Timeline::return_wal(Task& task) {
  {
    // Removals that have begun are over then; others do not begin while it is returning_.
    Lock lock;
    TRY(lock.acquire(task, mutex_));
  }
  TRY(failure_);
  TimelineControl then = control_;
  const std::string& key = then.evicted->key;
  if (store_ == nullptr)
    return Error(Code::Invalid, "this safekeeper has no object store, where " + key + " is");
  Lsn begin = last_segment_start(then.closed_at);
  std::string temporary = segment_path(begin) + std::string(kReturning);
  Status fetched = see_size(task, *store_, key, then.evicted->size).with(key);
  if (fetched.ok()) fetched = fetch_tail(task, then, key, temporary);
  if (is_damage(fetched)) fetched = fetch_from_peers(task, then, fetched.error(), temporary);
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  TRY(failure_);
  Uninterruptible whole(task);
  // What is in the way, or of no use.
  leftovers_ = true;
  if (!fetched.ok()) {
    ignore_result(remove_segments(task));  // tried again later
    return fetched;
  }
  TRY(env_.disk().rename(task, temporary, segment_path(begin)));
  TRY(env_.disk().sync_dir(task, directory_));
  TimelineControl back = control_;
  back.evicted.reset();
  TRY(replace_control(task, std::move(back)).with("note that WAL is here again"));
  leftovers_ = false;
  returns_++;
  used_at_ = env_.now();
  // Whose news were not heard meanwhile tells them again.
  asked_ = true;
  env_.probe("safekeeper.returned"_probe);
  log_.info("WAL up to {} is here again", to_string(control_.closed_at));
  return {};
}

// The same bytes from another object of this segment, which may go on behind them. `why` where there is none.
Status Timeline::fetch_from_peers(Task& task, const TimelineControl& then, const Error& why,
                                  const std::string& temporary) {
  const EvictedTail& tail = *then.evicted;
  std::string prefix = objstore::wal_prefix(id()) +
                       pg::segment_file_name(pg::segment_number(last_segment_start(then.closed_at)));
  std::vector<objstore::ObjectInfo> others;
  {
    Deadline deadline(task, kStoreTimeout);
    TRY_ASSIGN(others, objstore::list_all(task, *store_, prefix));
  }
  for (const objstore::ObjectInfo& other : others) {
    if (other.key == tail.key || other.size < tail.size) continue;
    Status fetched = fetch_tail(task, then, other.key, temporary);
    if (is_damage(fetched)) continue;
    TRY(std::move(fetched));
    env_.probe("safekeeper.tail-from-a-peer"_probe);
    log_.warn("WAL comes back from {}, since its own copy is damaged: {}", other.key, why.to_string());
    return {};
  }
  return why;
}

// Synced, under a name that does not count.
Status Timeline::fetch_tail(Task& task, const TimelineControl& then, const std::string& key,
                            const std::string& temporary) {
  const EvictedTail& tail = *then.evicted;
  Status removed = env_.disk().unlink(task, temporary);
  if (!removed.ok() && !removed.is(Code::NotFound)) return removed;
  TRY_ASSIGN(std::unique_ptr<File> file, env_.disk().open(task, temporary, OpenMode::Create));
  TRY(file->truncate(task, pg::kWalSegmentSize));
  TailCheck check(then);
  TRY(read_object(task, *store_, key, tail.size, [&](Task& t, uint64_t offset, ByteView bytes) -> Status {
        TRY(check.add(bytes));
        return write_with_holes(t, *file, offset, bytes);
      }).with(key));
  TRY(check.finish().with(key));
  if (check.crc() != tail.crc)
    return Error(Code::Corrupt, key + ": its checksum is not that of the WAL that was here");
  return file->fdatasync(task);
}

}  // namespace argon::safekeeper
