// The part of ModelWriter that changes tuples: where they go, and the records that put, replace and delete
// them.

#include "core/base/codec.h"
#include "core/compute/model/model_writer.h"
#include "core/pg/page.h"

namespace argon::compute {

namespace {

constexpr size_t kPayloadMin = 8;
constexpr size_t kPayloadMax = 1'500;
constexpr uint32_t kVacuumed = 12;  // pages at once

pg::Xid xmax_of(ByteView tuple) {
  return load_le<pg::Xid>(tuple.data() + 4);
}

// Lines whose tuple nobody deleted yet.
std::vector<uint16_t> live_lines(ByteView page) {
  std::vector<uint16_t> lines;
  for (uint16_t line = 1; line <= pg::line_count(page); line++) {
    ByteView tuple = pg::item(page, line);
    bool live = pg::line_pointer(page, line).state == pg::LineState::Normal &&
                tuple.size() >= pg::kTupleHeader && xmax_of(tuple) == pg::kInvalidXid;
    if (live) lines.push_back(line);
  }
  return lines;
}

uint16_t next_line(ByteView page) {
  return static_cast<uint16_t>(pg::line_count(page) + 1);
}

bool fits(ByteView page, size_t tuple_size) {
  return pg::free_space(page) >= pg::align8(tuple_size) + page.size() / 100 && next_line(page) < 290;
}

}  // namespace

Status ModelWriter::operate(Task& task, Random& random, pg::Xid xid) {
  pg::RelTag rel = relations_[random.below(relations_.size())];
  bool make_new = blocks_[rel] == 0 || random.chance({1, 2});
  if (!make_new) return change(task, random, rel, xid);
  TRY(put(task, random, rel, xid, make_tuple(random, xid)));
  return {};
}

Bytes ModelWriter::make_tuple(Random& random, pg::Xid xid) {
  size_t payload = random.log_uniform(kPayloadMin, kPayloadMax);
  Bytes tuple;
  Writer w(tuple);
  w.le(xid).le<uint32_t>(0).le<uint32_t>(0);                     // xmin, xmax, command id
  w.zeros(6);                                                    // ctid: redo sets it
  w.le<uint16_t>(2).le<uint16_t>(0x0800 | 0x0002).u8(24).u8(0);  // two columns, xmax invalid, variable width
  w.le(next_row_++);
  size_t at = tuple.size();
  tuple.resize(at + payload);
  random.fill(ByteSpan(tuple).subspan(at));
  return tuple;
}

pg::HeapPlace ModelWriter::extend(const pg::RelTag& rel, bool& fresh) {
  pg::HeapPlace place{rel, blocks_[rel], 1};
  pages_.make({rel, place.block});
  fresh = true;
  return place;
}

Result<pg::HeapPlace> ModelWriter::place_for(Task& task, Random& random, const pg::RelTag& rel,
                                             size_t tuple_size, bool& fresh) {
  uint32_t blocks = blocks_[rel];
  if (blocks == 0 || random.chance({1, 12})) return extend(rel, fresh);
  // Mostly the last block, as a table without free space map fills.
  bool last = random.chance({2, 3});
  uint32_t block = last ? blocks - 1 : static_cast<uint32_t>(random.below(blocks));
  TRY_ASSIGN(Bytes * page, pages_.get(task, {rel, block}));
  if (!fits(*page, tuple_size)) return extend(rel, fresh);
  return pg::HeapPlace{rel, block, next_line(*page)};
}

Result<pg::HeapPlace> ModelWriter::put(Task& task, Random& random, const pg::RelTag& rel, pg::Xid xid,
                                       ByteView tuple) {
  bool fresh = false;
  TRY_ASSIGN(pg::HeapPlace place, place_for(task, random, rel, tuple.size(), fresh));
  uint8_t flags = 0;
  if (!fresh) {
    TRY_ASSIGN(flags, clear_flag(task, {rel, place.block}, pg::kAllVisibleCleared));
  }
  TRY(write(task, pg::heap_insert(xid, place, tuple, fresh, flags)));
  return place;
}

// A new version: on the same page, if it fits there.
Result<pg::HeapPlace> ModelWriter::replace(Task& task, Random& random, const pg::HeapPlace& old, pg::Xid xid,
                                           ByteView tuple) {
  TRY_ASSIGN(Bytes * page, pages_.get(task, {old.rel, old.block}));
  TRY_ASSIGN(uint8_t flags, clear_flag(task, {old.rel, old.block}, pg::kAllVisibleCleared));
  if (fits(*page, tuple.size())) {
    bool hot = random.chance({1, 2});
    pg::HeapPlace now{old.rel, old.block, next_line(*page)};
    TRY(write(task, pg::heap_update(xid, old, now, tuple, hot, false, flags)));
    return now;
  }
  bool fresh = false;
  TRY_ASSIGN(pg::HeapPlace now, place_for(task, random, old.rel, tuple.size(), fresh));
  if (now.block == old.block) now = extend(old.rel, fresh);
  uint8_t also = 0;
  if (!fresh) {
    TRY_ASSIGN(also, clear_flag(task, {now.rel, now.block}, pg::kNewAllVisibleCleared));
  }
  TRY(write(task, pg::heap_update(xid, old, now, tuple, false, fresh, flags | also)));
  return now;
}

// Updates or deletes a tuple of a random block; inserts where there is none to change.
Status ModelWriter::change(Task& task, Random& random, const pg::RelTag& rel, pg::Xid xid) {
  auto block = static_cast<uint32_t>(random.below(blocks_[rel]));
  TRY_ASSIGN(Bytes * page, pages_.get(task, {rel, block}));
  std::vector<uint16_t> lines = live_lines(*page);
  if (lines.empty()) {
    TRY(put(task, random, rel, xid, make_tuple(random, xid)));
    return {};
  }
  uint16_t line = lines[random.below(lines.size())];
  pg::HeapPlace old{rel, block, line};
  if (random.chance({1, 3})) {
    TRY_ASSIGN(uint8_t flags, clear_flag(task, {rel, block}, pg::kAllVisibleCleared));
    return write(task, pg::heap_delete(xid, old, flags));
  }
  TRY(replace(task, random, old, xid, make_tuple(random, xid)));
  return {};
}

Status ModelWriter::pin_map(Task& task, const pg::RelTag& rel) {
  pg::BlockTag map{{rel.node, pg::Fork::Vm}, 0};
  if (blocks_of(map.rel) == 0) {
    pages_.make(map);
    return {};
  }
  TRY(pages_.get(task, map));
  return {};
}

Result<uint8_t> ModelWriter::clear_flag(Task& task, const pg::BlockTag& tag, uint8_t flag) {
  TRY_ASSIGN(Bytes * page, pages_.get(task, tag));
  if ((pg::page_flags(*page) & pg::page::kAllVisible) == 0) return uint8_t{0};
  TRY(pin_map(task, tag.rel));
  return flag;
}

Status ModelWriter::set_visible(Task& task, Random& random) {
  pg::RelTag rel = relations_[random.below(relations_.size())];
  uint32_t blocks = std::min<uint32_t>(blocks_[rel], kVacuumed);
  uint8_t bits = random.chance({1, 3}) ? 3 : 1;  // frozen as well
  for (uint32_t i = 0; i < blocks; i++) {
    uint32_t block = blocks_[rel] - 1 - i;
    TRY_ASSIGN(Bytes * page, pages_.get(task, {rel, block}));
    bool done = pg::page_is_new(*page) || (pg::page_flags(*page) & pg::page::kAllVisible) != 0;
    if (!done) {
      TRY(pin_map(task, rel));
      TRY(write(task, pg::heap_visible(rel, block, static_cast<pg::Xid>(next_xid_), bits)));
    }
    pages_.unpin();
  }
  return {};
}

Result<pg::HeapPlace> ModelWriter::insert(Task& task, Random& random, const pg::RelTag& rel, pg::Xid xid,
                                          ByteView tuple) {
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  Result<pg::HeapPlace> place = put(task, random, rel, xid, tuple);
  pages_.unpin();
  return place;
}

Result<pg::HeapPlace> ModelWriter::update(Task& task, Random& random, const pg::HeapPlace& old, pg::Xid xid,
                                          ByteView tuple) {
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  Result<pg::HeapPlace> place = replace(task, random, old, xid, tuple);
  pages_.unpin();
  return place;
}

}  // namespace argon::compute
