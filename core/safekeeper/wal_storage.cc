#include "core/safekeeper/wal_storage.h"

#include <algorithm>

#include "core/env/io.h"
#include "core/env/points.h"
#include "core/pg/wal_page.h"

namespace argon::safekeeper {
namespace {

constexpr size_t kScanChunk = 64 * 1024;
constexpr size_t kSector = 512;
// So much WAL before the committed position is decoded at start, to see that what was committed is there.
constexpr uint64_t kScanBack = 1u << 20;
// Half a segment in so many flushes is WAL of commits that wait for them; in fewer, of a bulk load, which
// zeros written ahead would only slow down.
constexpr uint64_t kManyFlushes = 64;

uint64_t segment_of(Lsn lsn) {
  return pg::segment_number(lsn);
}

Lsn segment_begin(uint64_t number) {
  return Lsn(number * pg::kWalSegmentSize);
}

// Segment of the byte before lsn. REQUIRES: lsn > 0.
uint64_t last_segment_below(Lsn lsn) {
  return segment_of(lsn - 1);
}

}  // namespace

Result<std::unique_ptr<WalStorage>> WalStorage::open(Task& task, Disk& disk, std::string directory,
                                                     const consensus::AcceptorState& state, Lsn closed_at,
                                                     const Logger& log, SpareSegment* spare) {
  std::unique_ptr<WalStorage> storage(new WalStorage(disk, std::move(directory), log, spare));
  TRY(storage->recover(task, state, closed_at).with("open WAL in " + storage->directory_));
  return storage;
}

std::string WalStorage::path(uint64_t segment) const {
  return join_path(directory_, pg::segment_file_name(segment));
}

Result<std::vector<uint64_t>> WalStorage::list(Task& task) const {
  TRY_ASSIGN(std::vector<DirEntry> entries, disk_.list(task, directory_));
  std::vector<uint64_t> segments;
  for (const DirEntry& entry : entries)
    if (auto number = pg::parse_segment_file_name(entry.name); number.ok()) segments.push_back(*number);
  std::sort(segments.begin(), segments.end());
  return segments;
}

void WalStorage::restart_decoder(Lsn at) {
  decoder_.emplace(at, pg::WalIdentity{system_id_});
  written_ = record_end_ = at;
}

// ---- opening

Status WalStorage::recover(Task& task, const consensus::AcceptorState& state, Lsn closed_at) {
  local_start_ = state.local_start;
  system_id_ = state.server.system_id;
  if (!local_start_.valid()) {
    // A crash between making the first segment and persisting that there is WAL leaves one behind.
    TRY_ASSIGN(std::vector<uint64_t> stray, list(task));
    for (uint64_t segment : stray) TRY(disk_.unlink(task, path(segment)));
    if (!stray.empty()) {
      task.env().probe("safekeeper.stray-segment-removed"_probe);
      TRY(disk_.sync_dir(task, directory_));
    }
    return {};
  }
  if (!closed_at.valid() && spare_ != nullptr) TRY(spare_->drop(task));
  TRY_ASSIGN(std::vector<uint64_t> segments, list(task));
  Lsn commit = std::max(state.commit, local_start_);
  TRY_ASSIGN(Lsn end, scan(task, commit, !closed_at.valid()));
  if (end < commit)
    return Error(Code::Corrupt, "WAL ends at " + to_string(end) + ", but is committed up to " +
                                    to_string(state.commit) + ": " + end_reason_);
  if (closed_at.valid() && end != closed_at)
    return Error(Code::Corrupt, "WAL ends at " + to_string(end) + ", but ended at " + to_string(closed_at) +
                                    " when it was closed: " + end_reason_);
  if (!segments.empty() && segment_begin(segments.back()) >= end)
    task.env().probe("safekeeper.tail-cleared"_probe);
  if (!segments.empty()) oldest_ = std::max(local_start_, segment_begin(segments.front()));
  if (!closed_at.valid())
    TRY(clear_beyond(task, end, commit == local_start_ ? segment_of(commit) : last_segment_below(commit)));
  TRY_ASSIGN(consensus::WalCheck check, check_at(task, end));
  restart_decoder(end);
  end_at_open_ = {end, check};
  log_.info("WAL of {} ends at {} ({})", directory_, to_string(end), end_reason_);
  return {};
}

Result<Lsn> WalStorage::scan(Task& task, Lsn commit, bool again) {
  Lsn from = commit;
  if (commit > local_start_) {
    from = segment_begin(last_segment_below(commit));
    // A segment that is full may end with zeros behind a switch record, where nothing can be decoded.
    if (pg::segment_offset(commit) > kScanBack) from = pg::page_start(commit - kScanBack);
    from = std::max(from, local_start_);
  }
  pg::WalStreamDecoder decoder(from, pg::WalIdentity{system_id_});
  Bytes chunk(kScanChunk);
  Lsn at = from;
  end_reason_ = "no more segments";
  for (;;) {
    auto n = read(task, at, chunk);
    if (n.is(Code::NotFound)) break;
    if (!n.ok()) return n.error();
    if (*n == 0) {
      end_reason_ = "segment is cut short at " + to_string(at);
      break;
    }
    if (again) TRY(write_again(task, at, ByteView(chunk).first(*n), commit));
    decoder.feed(ByteView(chunk).first(*n));
    pg::WalRecord record;
    Result<bool> found = decoder.next(record);
    while (found.ok() && *found) found = decoder.next(record);
    if (!found.ok()) {
      end_reason_ = found.error().message();
      break;
    }
    at += *n;
  }
  if (decoder.last_end() > from || from == commit) return decoder.last_end();
  // Only the rest of one record lies before the committed position: it must reach there, and no further.
  return decoder.rest_end() == commit ? commit : from;
}

// A sync that failed in a former life has perhaps left clean pages that hold what the medium does not: they
// read well, and no later sync writes them. So what is read from `from` on is written once more.
Status WalStorage::write_again(Task& task, Lsn at, ByteView wal, Lsn from) {
  if (at < from) {
    wal = wal.subspan(std::min<uint64_t>(wal.size(), from - at));
    at = from;
  }
  while (!wal.empty() && all_zeros(wal.last(std::min(wal.size(), kSector))))
    wal = wal.first(wal.size() - std::min(wal.size(), kSector));
  if (wal.empty()) return {};
  TRY_ASSIGN(Segment * segment, open_segment(task, segment_of(at), false));
  segment->dirty = true;
  return write_all_at(task, *segment->file, pg::segment_offset(at), wal);
}

Status WalStorage::clear_beyond(Task& task, Lsn end, uint64_t first) {
  TRY_ASSIGN(std::vector<uint64_t> segments, list(task));
  // The last ones first, so that what is left is without a gap at any time.
  for (auto it = segments.rbegin(); it != segments.rend(); ++it) {
    if (segment_begin(*it) < end) continue;
    open_.erase(*it);
    TRY(disk_.unlink(task, path(*it)));
  }
  for (uint64_t segment : segments) {
    if (segment < first || segment_begin(segment) >= end) continue;
    TRY_ASSIGN(Segment * open, open_segment(task, segment, false));
    if (segment == last_segment_below(end) && end < segment_begin(segment + 1)) {
      TRY(open->file->truncate(task, pg::segment_offset(end)));
      TRY(open->file->truncate(task, pg::kWalSegmentSize));
    }
    ++syncs_;
    TRY(open->file->fdatasync(task));
    open->dirty = false;
  }
  TRY(disk_.sync_dir(task, directory_));
  for (auto& [number, segment] : open_) segment.name_dirty = false;
  std::erase_if(open_, [&](const auto& entry) { return entry.first != last_segment_below(end); });
  return {};
}

Result<consensus::WalCheck> WalStorage::check_at(Task& task, Lsn lsn) {
  if (lsn == local_start_) return consensus::first_check(lsn);
  Lsn at = std::max(segment_begin(last_segment_below(lsn)), local_start_);
  consensus::WalCheck check = consensus::first_check(at);
  Bytes chunk(kScanChunk);
  while (at < lsn) {
    size_t want = std::min<uint64_t>(chunk.size(), lsn - at);
    TRY_ASSIGN(size_t n, read(task, at, ByteSpan(chunk).first(want)));
    if (n == 0) return Error(Code::Corrupt, "segment is cut short at " + to_string(at));
    check = consensus::extend_check(check, at, ByteView(chunk).first(n), pg::kWalSegmentSize);
    at += n;
  }
  return check;
}

// ---- segments

Result<WalStorage::Segment*> WalStorage::open_segment(Task& task, uint64_t number, bool create) {
  if (auto found = open_.find(number); found != open_.end()) return &found->second;
  TRY_ASSIGN(std::unique_ptr<File> file,
             disk_.open(task, path(number), create ? OpenMode::CreateOrOpen : OpenMode::ReadWrite));
  Segment segment{std::move(file), false, false};
  TRY_ASSIGN(uint64_t size, segment.file->size(task));
  if (size != pg::kWalSegmentSize) {
    TRY(segment.file->truncate(task, pg::kWalSegmentSize));
    segment.dirty = true;
  }
  segment.name_dirty = create;
  return &(open_[number] = std::move(segment));
}

Status WalStorage::initialise(Task& task, Lsn start, uint64_t system_id) {
  CHECK(!local_start_.valid() && start.valid());
  TRY_ASSIGN(std::vector<uint64_t> stray, list(task));
  for (uint64_t segment : stray) TRY(disk_.unlink(task, path(segment)));
  TRY_ASSIGN(Segment * segment, open_segment(task, segment_of(start), true));
  // For tools that read the file: they look at the segment's first page, and at the one where they begin.
  for (Lsn page : {pg::segment_start(start), pg::page_start(start)}) {
    if (page == start) continue;
    Bytes header;
    pg::append_page_header(header, {.address = page}, system_id);
    if (start < page + header.size())
      return Error(Code::Invalid, to_string(start) + " lies inside a page header");
    TRY(write_all_at(task, *segment->file, pg::segment_offset(page), header));
  }
  ++syncs_;
  TRY(segment->file->fdatasync(task));
  TRY(disk_.sync_dir(task, directory_));
  segment->dirty = segment->name_dirty = false;
  local_start_ = oldest_ = start;
  ++epoch_;
  system_id_ = system_id;
  restart_decoder(start);
  return {};
}

void WalStorage::expect_system(uint64_t system_id) {
  system_id_ = system_id;
  if (decoder_) decoder_->identify({system_id});
}

Status WalStorage::decode(ByteView wal) {
  decoder_->feed(wal);
  pg::WalRecord record;
  for (;;) {
    Lsn before = decoder_->last_end();
    TRY_ASSIGN(bool found, decoder_->next(record));
    if (!found) return {};
    record_end_ = before;
  }
}

Status WalStorage::write(Task& task, Lsn at, ByteView wal) {
  CHECK(decoder_.has_value() && at == written_);
  while (!wal.empty()) {
    size_t piece = std::min<uint64_t>(wal.size(), pg::kWalSegmentSize - pg::segment_offset(at));
    if (pg::segment_offset(at) == 0 && spare_ != nullptr) TRY(spare_->take(task, path(segment_of(at))));
    TRY_ASSIGN(Segment * segment, open_segment(task, segment_of(at), true));
    std::shared_ptr<File> file = segment->file;
    segment->dirty = true;
    TRY(write_all_at(task, *file, pg::segment_offset(at), wal.first(piece)));
    // A flush that ran meanwhile took the mark, and may have been too early for these bytes.
    TRY_ASSIGN(segment, open_segment(task, segment_of(at), true));
    segment->dirty = true;
    TRY(decode(wal.first(piece)).with("WAL from " + to_string(at)));
    at += piece;
    written_ = at;
    // A record is whole once the zeros behind it are here, too: of a switch record up to its segment's end.
    if (decoder_->last_end() <= written_) record_end_ = decoder_->last_end();
    wal = wal.subspan(piece);
  }
  return {};
}

Result<Flushed> WalStorage::flush(Task& task) {
  Lock lock;
  TRY(lock.acquire(task, sync_));
  TRY(sync_failure_);
  Flushed flushed{written_, record_end(), epoch_};
  flushes_in_it_ = segment_of(written_) == flushed_segment_ ? flushes_in_it_ + 1 : 1;
  flushed_segment_ = segment_of(written_);
  std::vector<std::pair<uint64_t, std::shared_ptr<File>>> dirty;
  bool names = false;
  for (auto& [number, segment] : open_) {
    if (segment.dirty) dirty.emplace_back(number, segment.file);
    segment.dirty = false;
    names |= std::exchange(segment.name_dirty, false);
  }
  for (auto& [number, file] : dirty) {
    ++syncs_;
    sync_failure_ = file->fdatasync(task).with("sync " + path(number));
    TRY(sync_failure_);
  }
  if (names) sync_failure_ = disk_.sync_dir(task, directory_);
  TRY(sync_failure_);
  // Full and synced segments need no open file.
  std::erase_if(open_, [&](const auto& entry) {
    return !entry.second.dirty && segment_begin(entry.first + 1) <= flushed.durable;
  });
  return flushed;
}

Result<consensus::WalCheck> WalStorage::truncate(Task& task, Lsn to) {
  CHECK(local_start_.valid() && local_start_ <= to && to <= written_);
  Lock lock;
  TRY(lock.acquire(task, sync_));
  TRY(sync_failure_);
  ++epoch_;
  uint64_t first = segment_of(to);
  for (const auto& [number, segment] : open_)
    if (segment.dirty) first = std::min(first, number);
  sync_failure_ = clear_beyond(task, to, first).with("cut WAL at " + to_string(to));
  TRY(sync_failure_);
  restart_decoder(to);
  return check_at(task, to);
}

bool WalStorage::spare_is_due() const {
  return spare_ != nullptr && !spare_->ready() && segment_of(written_) == flushed_segment_ &&
         flushes_in_it_ >= kManyFlushes && pg::segment_offset(written_) >= pg::kWalSegmentSize / 2;
}

Result<size_t> WalStorage::read(Task& task, Lsn at, ByteSpan into) {
  uint64_t number = segment_of(at);
  size_t want = std::min<uint64_t>(into.size(), pg::kWalSegmentSize - pg::segment_offset(at));
  std::shared_ptr<File> file;
  if (auto found = open_.find(number); found != open_.end()) {
    file = found->second.file;
  } else {
    TRY_ASSIGN(std::unique_ptr<File> opened, disk_.open(task, path(number), OpenMode::Read));
    file = std::move(opened);
  }
  size_t done = 0;
  while (done < want) {
    TRY_ASSIGN(size_t n, file->read_at(task, pg::segment_offset(at) + done, into.subspan(done, want - done)));
    if (n == 0) break;
    done += n;
  }
  return done;
}

Result<size_t> WalStorage::remove_below(Task& task, Lsn horizon) {
  TRY_ASSIGN(std::vector<uint64_t> segments, list(task));
  size_t removed = 0;
  for (uint64_t segment : segments) {
    // The last one stays, also where it is full: a start finds there where WAL ends.
    if (segment_begin(segment + 1) > horizon || segment_begin(segment + 1) >= written_) break;
    TRY(disk_.unlink(task, path(segment)));
    oldest_ = std::max(oldest_, segment_begin(segment + 1));
    ++removed;
  }
  if (removed > 0) TRY(disk_.sync_dir(task, directory_));
  return removed;
}

}  // namespace argon::safekeeper
