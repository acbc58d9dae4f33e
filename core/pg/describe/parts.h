// What the describers of access methods share. Internal to core/pg/describe.

#pragma once

#include <fmt/core.h>

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>

#include "core/base/ids.h"
#include "core/pg/describe/describe.h"
#include "core/pg/page.h"

namespace argon::pg::describe {

using Json = nlohmann::ordered_json;

// One page on its way to become JSON. The header is sane: bounds in order and inside the page.
struct PageText {
  ByteView page;
  BlockNumber block;
  Json special = Json::object();
  Json content = Json::object();
  Json items = Json::array();
  Json faults = Json::array();

  template <typename Integer>
  Integer at(size_t offset) const {
    return load_le<Integer>(page.data() + offset);
  }
  // A field of the special area.
  template <typename Integer>
  Integer opaque(size_t offset) const {
    return at<Integer>(page_special(page) + offset);
  }
  template <typename... Args>
  void fault(fmt::format_string<Args...> text, Args&&... args) {
    faults.push_back(fmt::format(text, std::forward<Args>(args)...));
  }
  // The page's content, from behind the header to pd_lower.
  ByteView lower_part() const { return page.subspan(page::kHeader, page_lower(page) - page::kHeader); }
};

struct BitName {
  uint32_t bit;
  const char* name;
};
// The names of the bits that are set; what has none as a hexadecimal number.
Json bit_names(uint32_t bits, std::initializer_list<BitName> names);

// An ItemPointerData: "(7,3)". REQUIRES: 6 bytes.
std::string tid(const uint8_t* at);

// Calls `one(bytes, item)` for each line pointer; the item has line, state, offset and length already, and
// `bytes` are its own, at least `least`. Lines without storage, and such as point outside, are dealt with
// here.
template <typename One>
void each_line(PageText& text, size_t least, One one);
// The base of `each_line`: adds the item, and finds its bytes; empty where there are none to look at.
ByteView begin_line(PageText& text, uint16_t line, size_t least);

template <typename One>
void each_line(PageText& text, size_t least, One one) {
  uint16_t lines = line_count(text.page);
  for (uint16_t line = 1; line <= lines; line++) {
    ByteView bytes = begin_line(text, line, least);
    if (!bytes.empty()) one(bytes, text.items.back());
  }
}

// An index tuple (access/itup.h): "ctid", "dead", "nulls", "vars".
struct IndexTuple {
  uint16_t info;
  size_t size;    // as it says, at most what there is
  ByteView data;  // behind header and null bitmap
};
IndexTuple describe_index_tuple(PageText& text, ByteView bytes, Json& item);

void describe_heap(PageText& text);
void describe_sequence(PageText& text);
void describe_btree(PageText& text);
void describe_hash(PageText& text);
void describe_gin(PageText& text);
void describe_gist(PageText& text);
void describe_spgist(PageText& text);
void describe_brin(PageText& text);
void describe_visibility_map(PageText& text);
void describe_free_space_map(PageText& text);

}  // namespace argon::pg::describe
