// Any record on any page: redo, masks and canonical form must end in a Result and stay inside their bytes.
//
// The input describes a record (resource manager, type, blocks, main data, block data) and a page: raw
// bytes, or a page with a sane header, a special area and items, which gets deeper.

#include <array>
#include <memory>

#include "core/base/check.h"
#include "core/base/codec.h"
#include "core/pg/redo/canonical.h"
#include "core/pg/redo/consistency_mask.h"
#include "core/pg/redo/nonblock.h"
#include "core/pg/redo/page_ops.h"
#include "core/pg/redo/redo.h"

namespace {

using namespace argon;
using namespace argon::pg;

// On the heap, exactly as long as its content, so that a sanitizer sees every byte too many.
struct Exact {
  std::unique_ptr<uint8_t[]> bytes;
  size_t size;

  explicit Exact(ByteView from) : bytes(new uint8_t[from.size()]), size(from.size()) {
    if (size > 0) std::memcpy(bytes.get(), from.data(), size);
  }
  ByteSpan span() const { return {bytes.get(), size}; }
};

DecodedRecord make_record(Reader& in, const Exact& main, const Exact& data) {
  DecodedRecord r{};
  r.start_lsn = Lsn(0x2000);
  r.end_lsn = Lsn(0x2100);
  r.xid = 733;
  r.rmid = in.u8() % (kLastBuiltinRmgr + 1);
  r.info = in.u8();
  r.main_data = main.span();
  uint8_t blocks = in.u8();
  uint8_t init = in.u8();
  for (uint8_t id = 0; id < 8; id++) {
    if (((blocks >> id) & 1) == 0) continue;
    DecodedBlock& b = r.block_array[r.block_count++];
    b = DecodedBlock{};
    b.id = id;
    b.fork = r.rmid == static_cast<uint8_t>(Rmgr::Heap2) && id == 0 && (init & 128) ? Fork::Vm : Fork::Main;
    b.will_init = (init >> id) & 1;
    b.rel = {1663, 5, 16384};
    b.blkno = id % 4u;
    b.data = data.span();
  }
  return r;
}

void make_page(Reader& in, ByteSpan page) {
  uint8_t kind = in.u8();
  if (kind % 4 == 3) {  // raw
    std::fill(page.begin(), page.end(), uint8_t{0});
    ByteView raw = in.rest();
    std::memcpy(page.data(), raw.data(), std::min(raw.size(), page.size()));
    return;
  }
  redo::Page p(page);
  constexpr std::array<size_t, 3> kSpecial = {0, 8, 16};
  redo::page_init(p, kSpecial[kind % 4]);
  ByteView special = in.bytes(std::min(in.remaining(), p.special_bytes()));
  if (!special.empty()) std::memcpy(page.data() + p.special(), special.data(), special.size());
  uint8_t repeat = in.u8();
  while (in.remaining() > 1) {
    size_t length = in.u8();
    ByteView item = in.bytes(std::min(length, in.remaining()));
    for (int i = 0; i <= repeat % 32; i++)
      if (!redo::page_add_item(p, item, 0, redo::kAddDefault).ok()) return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  Reader in(ByteView(bytes, size));
  auto main_size = in.le<uint16_t>();
  Exact main(in.bytes(std::min<size_t>(main_size, in.remaining())));
  auto data_size = in.le<uint16_t>();
  Exact data(in.bytes(std::min<size_t>(data_size, in.remaining())));
  DecodedRecord record = make_record(in, main, data);
  Exact page(Bytes(kBlockSize, 0));
  make_page(in, page.span());
  redo::RedoSettings settings{.data_checksums = true, .wal_log_hints = false, .track_commit_timestamp = true};
  for (const DecodedBlock& block : record.blocks()) {
    Exact copy(page.span());
    Status status = redo::apply(record, block, copy.span(), settings);
    bool redone = redo::Page(page.span()).lsn() < record.end_lsn || block.will_init;
    if (status.ok() && redone && record.rmid != static_cast<uint8_t>(Rmgr::Xlog))
      CHECK(redo::Page(copy.span()).is_new() || redo::Page(copy.span()).special() <= kBlockSize);
    redo::canonicalize(block.tag(), copy.span(), settings, false);
    ignore_result(
        redo::mask_for_consistency(record.rmid, block.tag(), copy.span()));  // only that it comes back
  }
  std::vector<redo::Effect> effects;
  ignore_result(redo::nonblock_effects(record, settings, effects));  // only that it comes back
  for (const redo::Effect& effect : effects) {
    const redo::Mutation* mutation = nullptr;
    if (const auto* m = std::get_if<redo::SlruMutation>(&effect)) mutation = &m->mutation;
    if (const auto* m = std::get_if<redo::BlockMutation>(&effect)) mutation = &m->mutation;
    if (mutation == nullptr) continue;
    CHECK(redo::apply_mutation(*mutation, page.span()).ok());
    Bytes encoded;
    redo::encode_mutation(*mutation, encoded);
    auto decoded = redo::decode_mutation(encoded);
    CHECK(decoded.ok() && *decoded == *mutation);
  }
  return 0;
}
