#include "core/pageserver/timeline_index.h"

#include <algorithm>

#include "core/base/checksum.h"
#include "core/base/codec.h"

namespace argon::pageserver {

namespace {

constexpr std::string_view kIndexMagic = "ARGINDEX";
constexpr uint32_t kVersion = 3;
constexpr uint32_t kRetainedSince = 2;
constexpr uint32_t kOldest = 1;
constexpr size_t kHeader = 16;
constexpr size_t kLayerBytes = 1 + 2 * kKeyBytes + 8 + 8 + 8 + 4 + 8;

void put_key(Writer& out, const Key& key) {
  uint8_t raw[kKeyBytes];
  store_key(key, raw);
  out.bytes(raw);
}

Key get_key(Reader& in) {
  ByteView raw = in.bytes(kKeyBytes);
  return raw.size() == kKeyBytes ? load_key(raw) : Key();
}

template <typename Id>
void get_id(Reader& in, Id& id) {
  std::ranges::copy(in.bytes(16), id.bytes.begin());
}

Status get_retained(Reader& in, TimelineIndex& index) {
  auto count = in.le<uint32_t>();
  if (in.failed() || in.remaining() / 8 < count) return Error(Code::Corrupt, "wrong number of retained LSNs");
  for (uint32_t i = 0; i < count; i++) {
    Lsn lsn(in.le<uint64_t>());
    if (lsn >= index.gc_cutoff || (!index.retained.empty() && lsn <= index.retained.back()))
      return Error(Code::Corrupt, "retained LSNs that are not below the cutoff, or not in order");
    index.retained.push_back(lsn);
  }
  return {};
}

}  // namespace

Bytes encode_index(const TimelineIndex& index) {
  Bytes bytes;
  Writer out(bytes);
  out.bytes(as_bytes(kIndexMagic)).le(kVersion).le(uint32_t{0});
  out.bytes(index.id.tenant.bytes).bytes(index.id.timeline.bytes);
  out.le(index.generation.value).le(index.sequence).le(index.server_version);
  out.u8(index.ancestor ? 1 : 0).bytes(index.ancestor.value_or(TimelineId{}).bytes);
  out.le(index.ancestor_lsn.value).le(index.start_lsn.value).le(index.disk_consistent.value);
  out.le(index.prev_record.value).le(index.gc_cutoff.value).le(index.system_id);
  out.le(static_cast<uint32_t>(index.retained.size()));
  for (Lsn lsn : index.retained) out.le(lsn.value);
  out.le(static_cast<uint64_t>(index.archived_at ? index.archived_at->ns : 0));
  out.le(static_cast<uint32_t>(index.layers.size()));
  for (const TimelineIndex::Layer& layer : index.layers) {
    out.u8(static_cast<uint8_t>(layer.name.kind));
    put_key(out, layer.name.keys.begin);
    put_key(out, layer.name.keys.end);
    out.le(layer.name.begin.value).le(layer.name.end.value).le(layer.name.file_id);
    out.le(layer.name.generation.value).le(layer.size);
  }
  store_le(bytes.data() + 12, crc32c(ByteView(bytes).subspan(kHeader)));
  return bytes;
}

Result<TimelineIndex> decode_index(ByteView bytes, std::string_view where) {
  auto corrupt = [&](const char* what) {
    return Error(Code::Corrupt, "index " + std::string(where) + ": " + what);
  };
  if (bytes.size() < kHeader || as_text(bytes.first(8)) != kIndexMagic)
    return corrupt("not an index (wrong magic)");
  auto version = load_le<uint32_t>(bytes.data() + 8);
  if (version < kOldest || version > kVersion)
    return Error(Code::Unsupported, "index " + std::string(where) + " is of version " +
                                        std::to_string(version) + "; this build reads versions " +
                                        std::to_string(kOldest) + " to " + std::to_string(kVersion));
  if (load_le<uint32_t>(bytes.data() + 12) != crc32c(bytes.subspan(kHeader)))
    return corrupt("wrong checksum, or cut short");
  Reader in(bytes.subspan(kHeader));
  TimelineIndex index;
  get_id(in, index.id.tenant);
  get_id(in, index.id.timeline);
  index.generation = Generation(in.le<uint32_t>());
  index.sequence = in.le<uint64_t>();
  index.server_version = in.le<uint32_t>();
  bool has_ancestor = in.u8() != 0;
  TimelineId ancestor;
  get_id(in, ancestor);
  if (has_ancestor) index.ancestor = ancestor;
  index.ancestor_lsn = Lsn(in.le<uint64_t>());
  index.start_lsn = Lsn(in.le<uint64_t>());
  index.disk_consistent = Lsn(in.le<uint64_t>());
  index.prev_record = Lsn(in.le<uint64_t>());
  index.gc_cutoff = Lsn(in.le<uint64_t>());
  index.system_id = in.le<uint64_t>();
  if (version >= kRetainedSince) TRY(get_retained(in, index).with("index " + std::string(where)));
  if (version >= kVersion) {
    auto archived_at = static_cast<int64_t>(in.le<uint64_t>());
    if (archived_at != 0) index.archived_at = WallTime{archived_at};
  }
  auto count = in.le<uint32_t>();
  if (in.failed() || in.remaining() != uint64_t{count} * kLayerBytes)
    return corrupt("wrong number of layers");
  for (uint32_t i = 0; i < count; i++) {
    TimelineIndex::Layer layer;
    uint8_t kind = in.u8();
    if (kind > 1) return corrupt("a layer of unknown kind");
    layer.name.kind = static_cast<LayerKind>(kind);
    layer.name.keys.begin = get_key(in);
    layer.name.keys.end = get_key(in);
    layer.name.begin = Lsn(in.le<uint64_t>());
    layer.name.end = Lsn(in.le<uint64_t>());
    layer.name.file_id = in.le<uint64_t>();
    layer.name.generation = Generation(in.le<uint32_t>());
    layer.size = in.le<uint64_t>();
    if (layer.name.keys.end <= layer.name.keys.begin || layer.name.end <= layer.name.begin)
      return corrupt("a layer without extent");
    index.layers.push_back(layer);
  }
  return index;
}

}  // namespace argon::pageserver
