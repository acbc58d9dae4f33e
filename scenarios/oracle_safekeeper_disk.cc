#include "scenarios/oracle_safekeeper_disk.h"

#include <algorithm>

#include "core/base/checksum.h"
#include "core/pg/wal_page.h"
#include "core/pg/wal_stream.h"
#include "core/safekeeper/timeline.h"

namespace argon::scenarios {
namespace {

constexpr size_t kChunk = 32 * 1024;
// So much WAL before the committed position is compared too.
constexpr uint64_t kBack = 64 * 1024;

}  // namespace

std::string SafekeeperDisk::folder() const {
  return "/data/" + to_string(id.tenant) + "/" + to_string(id.timeline);
}

std::string SafekeeperDisk::control_path() const {
  return folder() + "/" + std::string(safekeeper::kControlFileName);
}

uint64_t SafekeeperDisk::control_id() const {
  auto file = machine.storage().find(control_path());
  return file == nullptr ? 0 : file->id();
}

Result<safekeeper::TimelineControl> SafekeeperDisk::control() const {
  std::string path = control_path();
  auto file = machine.storage().find(path);
  if (file == nullptr) return Error(Code::NotFound, "no " + path);
  Bytes bytes(file->size());
  file->read(0, bytes);
  return safekeeper::decode_control(bytes).with(path);
}

Result<consensus::AcceptorState> SafekeeperDisk::state() const {
  TRY_ASSIGN(safekeeper::TimelineControl whole, control());
  return whole.acceptor;
}

Result<Bytes> SafekeeperDisk::evicted_tail(const safekeeper::TimelineControl& control) const {
  const safekeeper::EvictedTail& tail = *control.evicted;
  const sim::Blob* blob = store == nullptr ? nullptr : store->find(tail.key);
  if (blob == nullptr)
    return Error(Code::Corrupt, "evicted up to " + to_string(control.closed_at) + "; " + tail.key +
                                    " is not in the object store");
  Bytes bytes = blob->bytes();
  if (bytes.size() == tail.size && crc32c(bytes) == tail.crc) return bytes;
  return Error(Code::Corrupt, tail.key + " is not what it was when the timeline was evicted");
}

Bytes SafekeeperDisk::wal(Lsn from, Lsn to) const {
  Lsn tail_begin = Lsn(UINT64_MAX);
  Bytes tail;
  auto known = control();
  if (known.ok() && known->evicted) {
    tail_begin = safekeeper::last_segment_start(known->closed_at);
    if (auto found = evicted_tail(*known); found.ok()) tail = *std::move(found);
  }
  Bytes all;
  while (from < to) {
    size_t wanted = std::min<size_t>(to - from, pg::kWalSegmentSize - pg::segment_offset(from));
    size_t before = all.size();
    all.resize(before + wanted);
    ByteSpan into = ByteSpan(all).subspan(before);
    size_t got = 0;
    if (pg::segment_start(from) == tail_begin) {
      size_t offset = pg::segment_offset(from);
      got = offset < tail.size() ? std::min(wanted, tail.size() - offset) : 0;
      std::copy_n(tail.begin() + static_cast<ptrdiff_t>(std::min(offset, tail.size())), got, into.begin());
    } else if (auto file =
                   machine.storage().find(folder() + "/" + pg::segment_file_name(pg::segment_number(from)));
               file != nullptr) {
      got = file->read(pg::segment_offset(from), into);
    }
    all.resize(before + got);
    if (got < wanted) break;
    from += got;
  }
  return all;
}

Lsn SafekeeperDisk::end_of_wal(const consensus::AcceptorState& state) const {
  if (!state.local_start.valid()) return {};
  Lsn from = state.local_start;
  if (state.commit > from) {
    from = std::max(from, pg::segment_start(state.commit - 1));
    // A segment that is full may end with zeros behind a switch record.
    if (pg::segment_offset(state.commit) > kBack) from = std::max(from, pg::page_start(state.commit - kBack));
  }
  pg::WalStreamDecoder decoder(from);
  for (Lsn at = from;; at += kChunk) {
    Bytes chunk = wal(at, at + kChunk);
    decoder.feed(chunk);
    pg::WalRecord record;
    Result<bool> found = decoder.next(record);
    while (found.ok() && *found) found = decoder.next(record);
    if (found.ok() && chunk.size() == kChunk) continue;
    if (decoder.last_end() > from || from == state.local_start) return decoder.last_end();
    // Only the rest of one record lies between `from` and the committed position.
    return decoder.rest_end() == state.commit ? state.commit : from;
  }
}

std::string SafekeeperDisk::left_beyond(Lsn end) const {
  auto directory = machine.storage().find(folder());
  if (directory == nullptr) return {};
  // Names that a power loss would bring back count, too.
  for (const auto* names : {&directory->entries, &directory->durable_entries})
    for (const auto& [name, file] : *names) {
      Result<uint64_t> segment = pg::parse_segment_file_name(name);
      if (!segment.ok()) continue;
      Lsn begin(*segment * pg::kWalSegmentSize);
      if (begin + pg::kWalSegmentSize <= end) continue;
      if (file->may_hold_beyond(begin < end ? end - begin : 0)) return name;
    }
  return {};
}

CutWatch::CutWatch(const SafekeeperDisk& disk)
    : disk_(disk), key_(safekeeper::claim_key(disk.node, disk.id, "flush")) {}

Status CutWatch::claimed(std::string_view key, uint64_t value) {
  if (key != key_) return {};
  uint64_t before = std::exchange(before_, value);
  bool whole = std::exchange(cutting_, value < before) && value == before;
  if (!whole) return {};
  std::string name = disk_.left_beyond(Lsn(value));
  if (name.empty()) return {};
  return Error(Code::Corrupt, disk_.machine.name() + ": its log was cut at " + to_string(Lsn(value)) + "; " +
                                  name + " holds, or may hold after power loss, something beyond");
}

Status check_claims(const SafekeeperDisk& disk) {
  const auto& claims = disk.machine.world().durable_claims();
  auto claimed = [&](std::string_view what) -> uint64_t {
    auto found = claims.find(safekeeper::claim_key(disk.node, disk.id, what));
    return found == claims.end() ? 0 : found->second;
  };
  Term term(claimed("term"));
  Lsn flush(claimed("flush"));
  if (term == Term() && !flush.valid()) return {};
  auto state = disk.state();
  if (!state.ok())
    return Error(Code::Corrupt, "it told term " + to_string(term) + ", but: " + state.error().to_string());
  if (state->term < term)
    return Error(Code::Corrupt,
                 "it told term " + to_string(term) + "; on the disk is term " + to_string(state->term));
  Lsn end = disk.end_of_wal(*state);
  if (end < state->commit)
    return Error(Code::Corrupt, "its control file says that WAL is committed up to " +
                                    to_string(state->commit) + "; on the disk it ends at " + to_string(end));
  if (end < flush)
    return Error(Code::Corrupt, "it told that WAL is flushed up to " + to_string(flush) +
                                    "; on the disk it ends at " + to_string(end));
  return {};
}

Status check_log(const SafekeeperDisk& disk, const WalHistory& history) {
  auto state = disk.state();
  if (state.is(Code::NotFound)) return {};
  if (!state.ok()) return state.error();
  if (!state->local_start.valid()) return {};
  Lsn end = disk.end_of_wal(*state);
  Lsn from = std::max(Lsn(state->commit.value - std::min(state->commit.value, kBack)), state->local_start);
  if (end <= from) return {};
  TRY_ASSIGN(Bytes wanted, history.wal_of(state->history, from, end));
  Bytes found = disk.wal(from, end);
  if (found == wanted) return {};
  auto differ = std::mismatch(found.begin(), found.end(), wanted.begin(), wanted.end());
  return Error(Code::Corrupt, "WAL from " + to_string(from) + " to " + to_string(end) +
                                  " is not what its terms " + to_string(state->history) +
                                  " wrote: it differs at " +
                                  to_string(from + static_cast<uint64_t>(differ.first - found.begin())));
}

}  // namespace argon::scenarios
