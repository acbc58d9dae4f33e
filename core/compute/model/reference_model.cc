#include "core/compute/model/reference_model.h"

#include <algorithm>

#include "core/pg/page.h"

namespace argon::compute {

namespace {

// The last entry at or before `lsn`, or null.
template <typename History>
auto find_at(const History& history, Lsn lsn) -> decltype(&history.front()) {
  auto after = std::upper_bound(history.begin(), history.end(), lsn,
                                [](Lsn wanted, const auto& entry) { return wanted < entry.first; });
  return after == history.begin() ? nullptr : &*std::prev(after);
}

template <typename Map>
void cut_histories(Map& map, Lsn at) {
  for (auto entry = map.begin(); entry != map.end();) {
    auto& history = entry->second;
    while (!history.empty() && history.back().first > at) history.pop_back();
    entry = history.empty() ? map.erase(entry) : std::next(entry);
  }
}

// Several changes by one record leave the last.
template <typename History, typename T>
void put(History& history, Lsn lsn, T value) {
  if (!history.empty() && history.back().first == lsn)
    history.back().second = value;
  else
    history.emplace_back(lsn, value);
}

// 32 pages of 8 KiB, 4 transactions a byte.
constexpr pg::Xid kClogSegmentXids = 32 * 8192 * 4;

Error violation(std::string text) {
  return Error(Code::Corrupt, std::move(text));
}

std::string text_of(const std::optional<uint32_t>& blocks) {
  return blocks ? std::to_string(*blocks) + " blocks" : "not there";
}

}  // namespace

ReferenceModel::ReferenceModel(Lsn start) : start_(start), end_(start) {}

ReferenceModel::ReferenceModel(const ReferenceModel& parent, Lsn at)
    : start_(at),
      end_(at),
      pages_(parent.pages_),
      sizes_(parent.sizes_),
      ends_(parent.ends_),
      highest_xid_(parent.highest_xid_),
      commit_times_(parent.commit_times_) {
  cut(at);
}

Status ReferenceModel::begin_term(Term term, Lsn start) {
  if (term <= term_)
    return Error(Code::Stale, "term " + to_string(term) + " began after term " + to_string(term_) + " had");
  if (start < last_acknowledged_)
    return violation("an acknowledged commit is lost: term " + to_string(term) + " starts at " +
                     to_string(start) + ", a commit up to " + to_string(last_acknowledged_) +
                     " was acknowledged in term " + to_string(term_));
  if (start > end_)
    return violation("term " + to_string(term) + " starts at " + to_string(start) +
                     ", but WAL was only made up to " + to_string(end_));
  term_ = term;
  term_start_ = start;
  cut(start);
  end_ = start;
  return {};
}

void ReferenceModel::add(Term term, RecordEffect effect) {
  if (term != term_) return;
  CHECK(effect.end > end_, "records come in order");
  end_ = effect.end;
  for (const auto& [tag, hash] : effect.pages) put(pages_[tag], end_, hash);
  for (const auto& [rel, blocks] : effect.sizes) put(sizes_[rel], end_, blocks);
  for (const auto& end : effect.ended) ends_.emplace_back(end_, end);
  if (effect.commit_time)
    commit_times_.emplace_back(end_, commit_times_.empty()
                                         ? *effect.commit_time
                                         : std::max(commit_times_.back().second, *effect.commit_time));
  if (highest_xid_.empty() || highest_xid_.back().second < effect.xid)
    highest_xid_.emplace_back(end_, effect.xid);
}

Status ReferenceModel::begin_transaction(pg::Xid xid) const {
  if (highest_xid_.empty() || highest_xid_.back().second < xid) return {};
  return violation("transaction id " + std::to_string(xid) + " is given out again: the history has " +
                   std::to_string(highest_xid_.back().second));
}

Status ReferenceModel::acknowledge(Term term, pg::Xid xid, Lsn commit_end) {
  // A former writer may still learn of a commit that the new one started behind.
  if (term < term_ && commit_end > term_start_)
    return violation("transaction " + std::to_string(xid) + " was acknowledged at " + to_string(commit_end) +
                     " in term " + to_string(term) + ", after term " + to_string(term_) + " had begun at " +
                     to_string(term_start_));
  acknowledged_++;
  last_acknowledged_ = std::max(last_acknowledged_, commit_end);
  return {};
}

void ReferenceModel::cut(Lsn at) {
  cut_histories(pages_, at);
  cut_histories(sizes_, at);
  while (!ends_.empty() && ends_.back().first > at) ends_.pop_back();
  if (clog_.ends > ends_.size()) clog_ = {};
  while (!highest_xid_.empty() && highest_xid_.back().first > at) highest_xid_.pop_back();
  while (!commit_times_.empty() && commit_times_.back().first > at) commit_times_.pop_back();
}

std::vector<pg::RelTag> ReferenceModel::relations() const {
  std::vector<pg::RelTag> all;
  for (const auto& [rel, history] : sizes_) all.push_back(rel);
  return all;
}

std::optional<uint32_t> ReferenceModel::blocks_at(const pg::RelTag& rel, Lsn lsn) const {
  auto history = sizes_.find(rel);
  if (history == sizes_.end()) return {};
  const auto* entry = find_at(history->second, lsn);
  return entry == nullptr ? std::nullopt : entry->second;
}

Lsn ReferenceModel::size_changed_at(const pg::RelTag& rel, Lsn lsn) const {
  auto history = sizes_.find(rel);
  if (history == sizes_.end()) return start_;
  const auto* entry = find_at(history->second, lsn);
  return entry == nullptr ? start_ : std::max(start_, entry->first);
}

Lsn ReferenceModel::page_changed_at(const pg::BlockTag& tag, Lsn lsn) const {
  auto history = pages_.find(tag);
  if (history == pages_.end()) return start_;
  const auto* entry = find_at(history->second, lsn);
  return entry == nullptr ? start_ : std::max(start_, entry->first);
}

Status ReferenceModel::check_page(const pg::BlockTag& tag, Lsn lsn, ByteView page) const {
  auto history = pages_.find(tag);
  const auto* entry = history == pages_.end() ? nullptr : find_at(history->second, lsn);
  Hash128 expected = entry == nullptr ? hash128(Bytes(pg::kBlockSize)) : entry->second;
  if (hash128(page) == expected) return {};
  std::string text = "page " + to_string(tag) + " read at " + to_string(lsn) +
                     " is wrong: it should be as of " +
                     (entry == nullptr ? "its creation, all zeros" : to_string(entry->first));
  text += ", its own LSN says " + to_string(pg::page_lsn(page));
  if (history != pages_.end())
    for (const auto& [version, hash] : history->second)
      if (hash == hash128(page)) text += "; this is its content as of " + to_string(version);
  return violation(text);
}

Status ReferenceModel::check_blocks(const pg::RelTag& rel, Lsn lsn, std::optional<uint32_t> blocks) const {
  std::optional<uint32_t> expected = blocks_at(rel, lsn);
  if (expected == blocks) return {};
  return violation("relation " + to_string(rel) + " at " + to_string(lsn) + " should be " +
                   text_of(expected) + ", but is " + text_of(blocks));
}

std::optional<int64_t> ReferenceModel::commit_time_at(Lsn lsn) const {
  const auto* entry = find_at(commit_times_, lsn);
  return entry == nullptr ? std::nullopt : std::optional(entry->second);
}

Lsn ReferenceModel::clog_changed_at(Lsn lsn) const {
  const auto* entry = find_at(ends_, lsn);
  return entry == nullptr ? start_ : std::max(start_, entry->first);
}

// Two bits a transaction: 0 in progress, 1 committed, 2 aborted (clog.c). Of one that ended twice, the later
// end.
const Bytes& ReferenceModel::clog_at(Lsn lsn) const {
  if (clog_.ends > 0 && ends_[clog_.ends - 1].first > lsn) clog_ = {};
  for (; clog_.ends < ends_.size() && ends_[clog_.ends].first <= lsn; clog_.ends++) {
    auto [xid, committed] = ends_[clog_.ends].second;
    if (xid >= kClogSegmentXids) continue;
    if (clog_.bytes.size() <= xid / 4) clog_.bytes.resize(xid / 4 + 1);
    uint8_t& byte = clog_.bytes[xid / 4];
    unsigned shift = 2 * (xid % 4);
    byte = static_cast<uint8_t>((byte & ~(3u << shift)) | (committed ? 1u : 2u) << shift);
  }
  return clog_.bytes;
}

Status ReferenceModel::check_clog(Lsn lsn, ByteView segment) const {
  const Bytes& expected = clog_at(lsn);
  auto status_of = [](ByteView bytes, pg::Xid xid) {
    return xid / 4 < bytes.size() ? bytes[xid / 4] >> (2 * (xid % 4)) & 3 : 0;
  };
  if (segment.size() < expected.size())
    return violation("pg_xact at " + to_string(lsn) + " ends before transaction " +
                     std::to_string(segment.size() * 4) + "; it should hold " +
                     std::to_string(expected.size() * 4));
  // All of it at once. Ids below the first normal one, which share the first byte, are not looked at.
  constexpr unsigned kNormal = 0xffu << (2 * pg::kFirstNormalXid) & 0xffu;
  if (!expected.empty() && ((expected[0] ^ segment[0]) & kNormal) == 0 &&
      std::equal(expected.begin() + 1, expected.end(), segment.begin() + 1) &&
      all_zeros(segment.subspan(expected.size())))
    return {};
  for (pg::Xid xid = pg::kFirstNormalXid; xid < segment.size() * 4; xid++)
    if (status_of(segment, xid) != status_of(expected, xid))
      return violation("pg_xact at " + to_string(lsn) + " says " + std::to_string(status_of(segment, xid)) +
                       " of transaction " + std::to_string(xid) + "; it should be " +
                       std::to_string(status_of(expected, xid)));
  return {};
}

}  // namespace argon::compute
