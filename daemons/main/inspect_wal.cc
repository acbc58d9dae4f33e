// inspect wal: the records of WAL segments, one a line, or what they add up to.
//
// Reads segment files as servers, safekeepers and the object store keep them, also partial ones. Where a
// segment begins with empty pages (a timeline that begins in its middle) WAL is looked for behind them.
// Standard output is text as it comes, or one JSON document at the end.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "core/env/io.h"
#include "core/pg/record_names.h"
#include "core/pg/wal_stream.h"
#include "daemons/main/commands.h"

namespace argon::cli {
namespace {

using nlohmann::json;

constexpr size_t kChunk = 1u << 20;

struct Filter {
  Lsn start;
  Lsn end{UINT64_MAX};
  std::optional<pg::RelTag> relation;  // its main fork stands for all forks
  std::optional<pg::BlockNumber> block;
  std::optional<pg::Xid> xid;
  std::string rmgr;

  bool fits(const pg::DecodedBlock& b) const {
    if (relation && b.rel != relation->node) return false;
    if (relation && relation->fork != pg::Fork::Main && b.fork != relation->fork) return false;
    return !block || b.blkno == *block;
  }
  bool fits(const pg::DecodedRecord& record) const {
    if (record.start_lsn < start || (xid && record.xid != *xid)) return false;
    if (!rmgr.empty() && pg::rmgr_name(record.rmid) != rmgr) return false;
    if (!relation && !block) return true;
    return std::ranges::any_of(record.blocks(), [&](const auto& b) { return fits(b); });
  }
};

// Bytes as pg_waldump counts them: images, and the record without them.
uint64_t image_bytes(const pg::DecodedRecord& record) {
  uint64_t bytes = 0;
  for (const pg::DecodedBlock& block : record.blocks()) bytes += block.image.size();
  return bytes;
}

class Listing {
 public:
  Listing(bool as_json, uint64_t most) : json_(as_json), most_(most) {}

  // False: enough.
  bool add(const pg::DecodedRecord& record) {
    if (json_)
      records_.push_back(to_json(record));
    else
      fmt::print("{}\n", to_line(record));
    return ++count_ < most_;
  }
  json result() const { return {{"records", records_}}; }

 private:
  static std::string to_line(const pg::DecodedRecord& record) {
    std::string line = fmt::format(
        "{:<11} prev {:<11} xid {:<8} len {:>6}  {} {}", to_string(record.start_lsn), to_string(record.prev),
        record.xid, record.raw.size(), pg::rmgr_name(record.rmid), pg::record_name(record.rmid, record.info));
    for (const pg::DecodedBlock& block : record.blocks()) {
      line += fmt::format(", blk {} {}", block.id, pg::to_string(block.tag()));
      if (block.has_image)
        line += fmt::format(" {} {}", block.apply_image ? "image" : "check image", block.image.size());
      if (block.will_init) line += " init";
    }
    return line;
  }
  static json to_json(const pg::DecodedRecord& record) {
    json blocks = json::array();
    for (const pg::DecodedBlock& block : record.blocks()) {
      json one{{"id", block.id},
               {"relation", pg::to_string(pg::RelTag{block.rel, pg::Fork::Main})},
               {"fork", std::string(pg::fork_name(block.fork))},
               {"block", block.blkno},
               {"data_bytes", block.data.size()},
               {"will_init", block.will_init}};
      if (block.has_image) one["image_bytes"] = block.image.size();
      if (block.has_image) one["image_is_applied"] = block.apply_image;
      blocks.push_back(std::move(one));
    }
    return {{"lsn", to_string(record.start_lsn)},
            {"end_lsn", to_string(record.end_lsn)},
            {"prev_lsn", to_string(record.prev)},
            {"rmgr", std::string(pg::rmgr_name(record.rmid))},
            {"type", pg::record_name(record.rmid, record.info)},
            {"xid", record.xid},
            {"bytes", record.raw.size()},
            {"main_data_bytes", record.main_data.size()},
            {"blocks", std::move(blocks)}};
  }

  bool json_;
  uint64_t most_;
  uint64_t count_ = 0;
  json records_ = json::array();
};

class Statistics {
 public:
  struct Sum {
    uint64_t records = 0;
    uint64_t record_bytes = 0;
    uint64_t image_bytes = 0;
  };

  bool add(const pg::DecodedRecord& record) {
    uint64_t images = image_bytes(record);
    uint64_t rest = record.raw.size() - images;
    for (Sum* sum : {&types_[{record.rmid, pg::record_type_id(record.rmid, record.info)}], &all_}) {
      sum->records++;
      sum->record_bytes += rest;
      sum->image_bytes += images;
    }
    // A record of several relations counts whole for each; its images only where they belong.
    std::map<pg::RelTag, uint64_t> here;
    for (const pg::DecodedBlock& block : record.blocks())
      here[{block.rel, pg::Fork::Main}] += block.image.size();
    for (const auto& [relation, bytes] : here) {
      Sum& sum = relations_[relation];
      sum.records++;
      sum.record_bytes += rest;
      sum.image_bytes += bytes;
    }
    return true;
  }

  void print(size_t most_relations) const {
    row("TYPE", "RECORDS", "RECORD BYTES", "IMAGE BYTES");
    for (const auto& [type, sum] : types_) row(name_of(type), sum);
    row("total", all_);
    fmt::print("\n");
    row("RELATION", "RECORDS", "RECORD BYTES", "IMAGE BYTES");
    auto busiest = by_bytes();
    for (size_t i = 0; i < std::min(busiest.size(), most_relations); i++)
      row(pg::to_string(busiest[i].first), busiest[i].second);
    if (busiest.size() > most_relations)
      fmt::print("({} more relations; --relations N shows more)\n", busiest.size() - most_relations);
  }
  json result() const {
    json types = json::array();
    for (const auto& [type, sum] : types_) {
      json one = to_json(sum);
      one["rmgr"] = std::string(pg::rmgr_name(type.first));
      one["type"] = pg::record_name(type.first, static_cast<uint8_t>(type.second << 4));
      types.push_back(std::move(one));
    }
    json relations = json::array();
    for (const auto& [relation, sum] : by_bytes()) {
      json one = to_json(sum);
      one["relation"] = pg::to_string(relation);
      relations.push_back(std::move(one));
    }
    return {{"total", to_json(all_)}, {"types", types}, {"relations", relations}};
  }

 private:
  using Type = std::pair<uint8_t, uint8_t>;  // resource manager, record_type_id()

  static std::string name_of(const Type& type) {
    return fmt::format("{}/{}", pg::rmgr_name(type.first),
                       pg::record_name(type.first, static_cast<uint8_t>(type.second << 4)));
  }
  static json to_json(const Sum& sum) {
    return {{"records", sum.records}, {"record_bytes", sum.record_bytes}, {"image_bytes", sum.image_bytes}};
  }
  template <typename... Cells>
  static void row(const std::string& name, const Cells&... cells) {
    fmt::print("{:<36}", name);
    (fmt::print(" {:>14}", cells), ...);
    fmt::print("\n");
  }
  static void row(const std::string& name, const Sum& sum) {
    row(name, sum.records, sum.record_bytes, sum.image_bytes);
  }
  std::vector<std::pair<pg::RelTag, Sum>> by_bytes() const {
    std::vector<std::pair<pg::RelTag, Sum>> all(relations_.begin(), relations_.end());
    auto bytes = [](const auto& r) { return r.second.record_bytes + r.second.image_bytes; };
    std::ranges::sort(all, [&](const auto& a, const auto& b) {
      return std::tuple(bytes(b), a.first) < std::tuple(bytes(a), b.first);
    });
    return all;
  }

  std::map<Type, Sum> types_;
  std::map<pg::RelTag, Sum> relations_;
  Sum all_;
};

// ---- reading

Result<uint64_t> segment_of(const std::string& path) {
  std::string name = std::filesystem::path(path).filename();
  auto number = pg::parse_segment_file_name(name.substr(0, 24));
  if (!number.ok())
    return Error(Code::Invalid, path + ": its name is not a WAL segment's, such as 000000010000000000000001");
  return *number;
}

// Where records begin in a segment that begins with empty pages; nothing where it does not, or is empty.
std::optional<Lsn> behind_empty_pages(ByteView segment, Lsn begin) {
  size_t first = pg::kWalBlockSize;
  auto header_of = [&](size_t page) { return pg::page_header_size(begin + page); };
  if (segment.size() < first || !all_zeros(segment.first(first).subspan(header_of(0)))) return {};
  for (size_t page = first; page + pg::kWalBlockSize <= segment.size(); page += pg::kWalBlockSize) {
    ByteView rest = segment.subspan(page + header_of(page), pg::kWalBlockSize - header_of(page));
    if (all_zeros(rest)) continue;
    size_t at =
        static_cast<size_t>(std::ranges::find_if(rest, [](uint8_t b) { return b != 0; }) - rest.begin());
    return begin + page + header_of(page) + at / 8 * 8;
  }
  return {};
}

struct Reading {
  std::optional<pg::WalStreamDecoder> decoder;
  std::string end_reason = "the last file ends";
};

// Feeds one segment. False: enough was seen, or valid WAL ends there.
template <typename Sink>
Result<bool> read_segment(ByteView segment, Lsn begin, const Filter& filter, Reading& reading, Sink& sink) {
  size_t from = 0;
  if (!reading.decoder) {
    Lsn start = std::max(begin, filter.start);
    if (start == begin) start = behind_empty_pages(segment, begin).value_or(begin);
    if (start >= begin + pg::kWalSegmentSize) return true;
    reading.decoder.emplace(start);
    from = start - begin;
  }
  pg::DecodedRecord record;
  while (from < segment.size()) {
    ByteView chunk = segment.subspan(from, std::min(kChunk, segment.size() - from));
    from += chunk.size();
    reading.decoder->feed(chunk);
    for (;;) {
      auto found = reading.decoder->next(record);
      if (!found.ok()) {
        reading.end_reason = found.error().message();
        return false;
      }
      if (!*found) break;
      if (record.start_lsn >= filter.end) return false;
      if (filter.fits(record) && !sink.add(record)) return false;
    }
  }
  return true;
}

template <typename Sink>
Status read_all(Task& task, Env& env, const InspectWalOptions& options, const Filter& filter,
                Reading& reading, Sink& sink) {
  std::optional<uint64_t> before;
  for (const std::string& path : options.files) {
    TRY_ASSIGN(uint64_t number, segment_of(path));
    if (before && number != *before + 1)
      return Error(Code::Invalid, path + ": it does not follow the segment before it on the command line, " +
                                      pg::segment_file_name(*before));
    before = number;
    TRY_ASSIGN(Bytes segment, read_file(task, env.disk(), path, pg::kWalSegmentSize));
    Lsn begin(number * pg::kWalSegmentSize);
    TRY_ASSIGN(bool more, read_segment(segment, begin, filter, reading, sink));
    bool last = &path == &options.files.back();
    if (more && !last && segment.size() < pg::kWalSegmentSize)
      return Error(Code::Corrupt,
                   fmt::format("{}: the segment is cut short after {} bytes, and others follow", path,
                               segment.size()));
    if (more) continue;
    bool ended = reading.decoder && reading.end_reason != Reading().end_reason;
    // Zeros and old bytes are how WAL ends; but nobody leaves a segment before its end.
    if (ended && !last) return Error(Code::Corrupt, path + ": " + reading.end_reason);
    return {};
  }
  return {};
}

Result<Filter> filter_of(const InspectWalOptions& options) {
  Filter filter;
  if (!options.start.empty()) {
    TRY_ASSIGN(filter.start, parse_lsn(options.start));
  }
  if (!options.end.empty()) {
    TRY_ASSIGN(filter.end, parse_lsn(options.end));
  }
  if (!options.relation.empty()) {
    TRY_ASSIGN(filter.relation, pg::parse_rel_tag(options.relation));
  }
  filter.block = options.block;
  filter.xid = options.xid;
  filter.rmgr = options.rmgr;
  return filter;
}

template <typename Sink>
Status inspect_into(Task& task, Env& env, const Globals& globals, const InspectWalOptions& options,
                    Sink& sink) {
  TRY_ASSIGN(Filter filter, filter_of(options));
  Reading reading;
  TRY(read_all(task, env, options, filter, reading, sink));
  if (!reading.decoder)
    return Error(Code::NotFound, "there is no WAL from " + options.start + " on in these files");
  json answer = sink.result();
  answer["end_lsn"] = to_string(reading.decoder->last_end());
  answer["end_reason"] = reading.end_reason;
  if (globals.json) globals.answer(answer);
  return {};
}

}  // namespace

Status inspect_wal(Task& task, Env& env, const Globals& globals, const InspectWalOptions& options) {
  if (options.stats) {
    Statistics statistics;
    TRY(inspect_into(task, env, globals, options, statistics));
    if (!globals.json) statistics.print(options.relations);
    return {};
  }
  Listing listing(globals.json, options.most);
  return inspect_into(task, env, globals, options, listing);
}

}  // namespace argon::cli
