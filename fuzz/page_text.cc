// Any page of any fork and block: it can be described, and what it is described as is JSON.
//
// The input is two bytes for fork and block, then the page from its beginning; what is missing is zero. With
// the third byte's lowest bit the special area's last bytes are an access method's, which gets deeper.

#include <algorithm>
#include <array>

#include "core/pg/describe/describe.h"
#include "core/pg/page.h"
#include "core/pg/redo/page_ids.h"

namespace {

using namespace argon;
using namespace argon::pg;

// An access method's mark: the special area's size and its last two bytes.
struct Mark {
  size_t special;
  uint16_t id;
};
constexpr std::array<Mark, 9> kMarks{{{0, 0},
                                      {8, 0},
                                      {8, redo::kSpGistPageId},
                                      {8, redo::kBrinMetaPage},
                                      {8, redo::kBrinRevmapPage},
                                      {8, redo::kBrinRegularPage},
                                      {16, 0},
                                      {16, redo::kHashPageId},
                                      {16, redo::kGistPageId}}};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kHead = 4;
  if (size < kHead) return 0;
  // On the heap, exactly as long as a page.
  Bytes page(kBlockSize);
  ByteView content = ByteView(data, size).subspan(kHead).first(std::min(size - kHead, kBlockSize));
  // The end of a long input is the end of the page, where special areas are.
  size_t half = content.size() / 2;
  std::ranges::copy(content.first(half), page.begin());
  std::ranges::copy(content.subspan(half), page.end() - static_cast<ptrdiff_t>(content.size() - half));
  if ((data[2] & 1) != 0) {
    Mark mark = kMarks[data[3] % kMarks.size()];
    auto special = static_cast<uint16_t>(kBlockSize - mark.special);
    store_le(page.data() + page::kSpecial, special);
    store_le(page.data() + page::kUpper, std::min(load_le<uint16_t>(page.data() + page::kUpper), special));
    if (mark.id != 0) store_le(page.data() + kBlockSize - 2, mark.id);
  }
  BlockNumber block = (data[2] & 2) != 0 ? 0 : data[1] * 0x01010101u;
  auto text = describe_page(page, static_cast<Fork>(data[0] % (kLastFork + 1)), block);
  std::string printed = text.dump();  // not a number is null there
  CHECK(nlohmann::ordered_json::parse(printed).dump() == printed);
  return 0;
}
