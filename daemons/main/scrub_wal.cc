// Scrub of WAL, on safekeepers and in the object store, and of safekeepers' control files.

#include <fmt/format.h>

#include <algorithm>

#include "core/env/io.h"
#include "core/pg/wal_page.h"
#include "core/pg/wal_stream.h"
#include "core/safekeeper/control_file.h"
#include "core/safekeeper/tail_check.h"
#include "daemons/main/scrub.h"

namespace argon::cli {
namespace {

constexpr size_t kChunk = 1u << 20;
// Looks at a timeline whose WAL is trimmed meanwhile.
constexpr int kLooks = 5;

Lsn segment_begin(uint64_t number) {
  return Lsn(number * pg::kWalSegmentSize);
}

struct Damage {
  std::string file;
  Fault fault;
};

Damage damage_at(std::string file, Code code, std::string what, Lsn lsn) {
  return {std::move(file), {Error(code, std::move(what)), pg::segment_offset(lsn), lsn}};
}

// Decodes WAL that lies in segment files, one after the other.
class WalWalk {
 public:
  WalWalk(Disk& disk, uint64_t system_id, ScrubReport& report)
      : disk_(disk), identity_{system_id}, report_(report) {}

  // Records begin at `at`, with what is read next. A page boundary may lie within a record: its rest is
  // passed over.
  void restart(Lsn at) { decoder_.emplace(at, identity_); }
  // Feeds the segment's bytes from the decoder's position up to `end`. Damage, or nothing. Errors: NotFound
  // (no such file), Cancelled.
  Result<std::optional<Damage>> read(Task& task, const std::string& path, Lsn end) {
    auto file = disk_.open(task, path, OpenMode::Read);
    if (file.is(Code::NotFound) || file.is(Code::Cancelled)) return file.error();
    if (!file.ok())
      return std::optional(damage_at(path, file.code(), file.error().message(), decoder_->position()));
    Bytes chunk(kChunk);
    while (decoder_->position() < end) {
      Lsn at = decoder_->position();
      size_t want = std::min<uint64_t>(chunk.size(), end - at);
      auto n = (*file)->read_at(task, pg::segment_offset(at), ByteSpan(chunk).first(want));
      if (n.is(Code::Cancelled)) return n.error();
      if (!n.ok()) return std::optional(damage_at(path, n.code(), n.error().message(), at));
      if (*n == 0) return std::optional(damage_at(path, Code::Corrupt, "the segment is cut short", at));
      report_.count(*n);
      report_.progress();
      if (auto damage = decode(path, ByteView(chunk).first(*n))) return damage;
    }
    return std::optional<Damage>();
  }
  // Whether what was read ends with a whole record.
  bool ends_at(Lsn lsn) const { return decoder_->last_end() == lsn || decoder_->rest_end() == lsn; }
  Lsn last_end() const { return decoder_->last_end(); }

 private:
  std::optional<Damage> decode(const std::string& path, ByteView wal) {
    decoder_->feed(wal);
    pg::WalRecord record;
    Result<bool> found = decoder_->next(record);
    while (found.ok() && *found) found = decoder_->next(record);
    if (found.ok()) return {};
    // The record that does not decode begins there; or in the segment before.
    Lsn begin = std::max(decoder_->last_end(), pg::segment_start(decoder_->position()));
    return damage_at(path, Code::Corrupt, found.error().message(), begin);
  }

  Disk& disk_;
  pg::WalIdentity identity_;
  ScrubReport& report_;
  std::optional<pg::WalStreamDecoder> decoder_;
};

Result<std::vector<uint64_t>> segments_in(Task& task, Disk& disk, const std::string& folder) {
  TRY_ASSIGN(std::vector<DirEntry> entries, disk.list(task, folder));
  std::vector<uint64_t> segments;
  for (const DirEntry& entry : entries)
    if (auto number = pg::parse_segment_file_name(entry.name); number.ok()) segments.push_back(*number);
  std::ranges::sort(segments);
  return segments;
}

std::string segment_path(const std::string& folder, uint64_t number) {
  return join_path(folder, pg::segment_file_name(number));
}

// ---- The object store

// Whole segments, each after the other; behind a damaged one it goes on with the next.
Status scrub_stored_segments(Task& task, Disk& disk, const std::string& folder, const TenantTimelineId& id,
                             const pageserver::TimelineIndex& index, ScrubReport& report) {
  TRY_ASSIGN(std::vector<uint64_t> segments, segments_in(task, disk, folder));
  WalWalk walk(disk, index.system_id, report);
  std::optional<uint64_t> before;
  bool whole = false;
  for (uint64_t number : segments) {
    std::string path = segment_path(folder, number);
    if (before && number != *before + 1)
      report.finding(folder, id,
                     damage_at(folder, Code::NotFound,
                               fmt::format("{} is there and {} is not", pg::segment_file_name(number),
                                           pg::segment_file_name(*before + 1)),
                               segment_begin(*before + 1))
                         .fault);
    if (!whole || number != *before + 1) walk.restart(std::max(segment_begin(number), index.wal_begin()));
    before = number;
    report.count_file();
    TRY_ASSIGN(auto damage, walk.read(task, path, segment_begin(number + 1)));
    whole = !damage;
    if (damage) report.finding(damage->file, id, damage->fault);
  }
  return {};
}

// "SEGMENT_TERM_FLUSH_skID_ATTEMPT.partial": where it begins, and up to where it has WAL.
std::optional<std::pair<Lsn, Lsn>> partial_range(const std::string& name) {
  if (!name.ends_with(".partial") || name.size() < 25 || name[24] != '_') return {};
  auto segment = pg::parse_segment_file_name(name.substr(0, 24));
  size_t term = name.find('_', 25);
  if (!segment.ok() || term == std::string::npos || name.size() < term + 18 || name[term + 17] != '_')
    return {};
  std::string hex = name.substr(term + 1, 16);
  auto flush = parse_lsn(hex.substr(0, 8) + "/" + hex.substr(8));
  if (!flush.ok() || *flush <= segment_begin(*segment)) return {};
  return std::pair(segment_begin(*segment), *flush);
}

Status scrub_partial_segments(Task& task, Disk& disk, const std::string& folder, const TenantTimelineId& id,
                              const pageserver::TimelineIndex& index, ScrubReport& report) {
  TRY_ASSIGN(std::vector<DirEntry> entries, disk.list(task, folder));
  for (const DirEntry& entry : entries) {
    auto range = partial_range(entry.name);
    if (!range || range->second <= index.wal_begin()) continue;
    std::string path = join_path(folder, entry.name);
    WalWalk walk(disk, index.system_id, report);
    walk.restart(std::max(range->first, index.wal_begin()));
    auto damage = walk.read(task, path, range->second);
    // It was replaced by a later one.
    if (damage.is(Code::NotFound)) continue;
    TRY(damage);
    report.count_file();
    if (!*damage && !walk.ends_at(range->second))
      *damage = damage_at(path, Code::Corrupt, "it ends within a record", walk.last_end());
    if (*damage) report.finding(path, id, (*damage)->fault);
  }
  return {};
}

// ---- A safekeeper

class SafekeeperTimeline {
 public:
  SafekeeperTimeline(Disk& disk, const TenantTimelineId& id, std::string folder, const StoreFolder& store,
                     ScrubReport& report)
      : disk_(disk), id_(id), folder_(std::move(folder)), store_(store), report_(report) {}

  // What is whole goes to `out`.
  Status run(Task& task, const pageserver::TimelineIndex* index, uint64_t safekeeper, KeptWals& out) {
    std::string path = join_path(folder_, safekeeper::kControlFileName);
    auto control = safekeeper::read_control(task, disk_, folder_);
    // A folder whose timeline is being made, or was removed.
    if (control.is(Code::NotFound)) return {};
    if (control.is(Code::Cancelled)) return control.error();
    if (control.ok() && control->id != id_)
      control = Error(Code::Corrupt, "it is of timeline " + to_string(control->id));
    if (!control.ok()) {
      report_.finding(path, id_, {control.error(), {}, {}});
      return {};
    }
    report_.count_file();
    const consensus::AcceptorState& state = control->acceptor;
    if (index != nullptr && state.server.system_id != index->system_id && state.server.system_id != 0)
      report_.finding(path, id_,
                      {Error(Code::Corrupt, fmt::format("its system identifier is {}, the pageserver's {}",
                                                        state.server.system_id, index->system_id)),
                       {},
                       state.timeline_start});
    if (!state.local_start.valid() || state.commit <= state.local_start) return {};
    if (control->evicted) return run_evicted(task, *std::move(control), safekeeper, out);
    for (int look = 1;; look++) {
      std::optional<Damage> damage;
      bool trimmed = false;
      TRY(read(task, state, damage, trimmed));
      if (trimmed && look < kLooks) continue;
      if (damage)
        report_.finding(damage->file, id_, damage->fault);
      else
        out[id_].push_back({safekeeper, folder_, *std::move(control), {}});
      return {};
    }
  }

 private:
  // Its last segment is an object.
  Status run_evicted(Task& task, safekeeper::TimelineControl control, uint64_t safekeeper, KeptWals& out) {
    const safekeeper::EvictedTail& tail = *control.evicted;
    std::string path = join_path(store_.objects, tail.key);
    Status whole;
    auto bytes = read_file(task, store_.disk, path);
    if (bytes.is(Code::Cancelled)) return bytes.error();
    if (bytes.is(Code::NotFound)) {
      // It may have been brought back meanwhile, and have gone on.
      auto now = safekeeper::read_control(task, disk_, folder_);
      if (now.ok() && now->evicted != control.evicted) return {};
    }
    if (bytes.ok()) {
      report_.count(bytes->size());
      safekeeper::TailCheck check(control);
      whole = check.add(*bytes);
      if (whole.ok()) whole = check.finish();
      if (whole.ok() && check.crc() != tail.crc)
        whole = Error(Code::Corrupt, "its checksum is not that of the WAL that was evicted");
    } else {
      whole = bytes.error();
    }
    report_.count_file();
    if (whole.ok())
      out[id_].push_back({safekeeper, folder_, std::move(control), path});
    else
      report_.finding(path, id_, {whole.error(), {}, safekeeper::last_segment_start(control.closed_at)});
    return {};
  }

  // From the oldest segment to what is committed.
  Status read(Task& task, const consensus::AcceptorState& state, std::optional<Damage>& damage,
              bool& trimmed) {
    TRY_ASSIGN(std::vector<uint64_t> segments, segments_in(task, disk_, folder_));
    uint64_t first = segments.empty() ? pg::segment_number(state.local_start) : segments.front();
    Lsn from = std::max(state.local_start, segment_begin(first));
    // All that is committed was trimmed: the last segment stays, so it begins there.
    if (from >= state.commit) return {};
    WalWalk walk(disk_, state.server.system_id, report_);
    walk.restart(from);
    for (uint64_t number = first; segment_begin(number) < state.commit; number++) {
      std::string path = segment_path(folder_, number);
      auto read = walk.read(task, path, std::min(segment_begin(number + 1), state.commit));
      if (read.is(Code::NotFound)) {
        damage = damage_at(path, Code::NotFound, "the segment is not there",
                           std::max(from, segment_begin(number)));
        TRY_ASSIGN(std::vector<uint64_t> now, segments_in(task, disk_, folder_));
        trimmed = !now.empty() && now.front() > number;
        return {};
      }
      TRY(read);
      report_.count_file();
      damage = *read;
      if (damage) return {};
    }
    if (!walk.ends_at(state.commit))
      damage =
          damage_at(segment_path(folder_, pg::segment_number(state.commit - 1)), Code::Corrupt,
                    "no record ends at the committed position " + to_string(state.commit), walk.last_end());
    return {};
  }

  Disk& disk_;
  TenantTimelineId id_;
  std::string folder_;
  const StoreFolder& store_;
  ScrubReport& report_;
};

}  // namespace

Status scrub_stored_wal(Task& task, const StoreFolder& store, const ScrubbedTimelines& known,
                        ScrubReport& report) {
  report.part("object store, WAL");
  TRY_ASSIGN(auto timelines, timelines_below(task, store.disk, store.objects + "/wal", ""));
  for (const auto& [id, folder] : timelines) {
    // Where its WAL begins stands in the index only; that it is damaged was said.
    auto timeline = known.find(id);
    if (timeline == known.end()) continue;
    TRY(scrub_stored_segments(task, store.disk, folder, id, timeline->second.index, report));
    TRY(scrub_partial_segments(task, store.disk, folder, id, timeline->second.index, report));
  }
  return {};
}

Status scrub_safekeeper(Task& task, Disk& disk, uint64_t safekeeper, const std::string& data,
                        const StoreFolder& store, const ScrubbedTimelines& known, const Deleted& deleted,
                        ScrubReport& report, KeptWals& out) {
  TRY_ASSIGN(auto timelines, timelines_below(task, disk, data, ""));
  for (const auto& [id, folder] : timelines) {
    if (is_deleted(deleted, id)) continue;
    auto timeline = known.find(id);
    SafekeeperTimeline scrubbed(disk, id, folder, store, report);
    TRY(scrubbed.run(task, timeline == known.end() ? nullptr : &timeline->second.index, safekeeper, out));
  }
  return {};
}

}  // namespace argon::cli
