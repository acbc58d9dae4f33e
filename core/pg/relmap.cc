#include "core/pg/relmap.h"

#include "core/base/checksum.h"
#include "core/base/codec.h"

namespace argon::pg {

namespace {

constexpr uint32_t kRelmapMagic = 0x592717;
constexpr size_t kMaxEntries = 62;
constexpr size_t kCrcOffset = 8 + kMaxEntries * 8;

}  // namespace

Oid RelMap::find(Oid catalog) const {
  for (const Entry& entry : entries)
    if (entry.catalog == catalog) return entry.file;
  return 0;
}

Bytes encode_relmap(const RelMap& map) {
  CHECK(map.entries.size() <= kMaxEntries);
  Bytes out;
  Writer w(out);
  w.le(kRelmapMagic).le(static_cast<uint32_t>(map.entries.size()));
  for (const RelMap::Entry& entry : map.entries) w.le(entry.catalog).le(entry.file);
  w.zeros(kCrcOffset - out.size());
  w.le(crc32c(out)).zeros(kRelMapSize - kCrcOffset - 4);
  return out;
}

Result<RelMap> decode_relmap(ByteView file) {
  auto bad = [](const char* what) { return Error(Code::Corrupt, std::string("pg_filenode.map: ") + what); };
  if (file.size() != kRelMapSize) return bad("it is not 512 bytes long");
  Reader in(file);
  if (in.le<uint32_t>() != kRelmapMagic) return bad("wrong magic");
  auto count = in.le<uint32_t>();
  if (count > kMaxEntries) return bad("more than 62 entries");
  if (load_le<uint32_t>(file.data() + kCrcOffset) != crc32c(file.first(kCrcOffset)))
    return bad("wrong checksum");
  RelMap map;
  for (uint32_t i = 0; i < count; i++) {
    auto catalog = in.le<Oid>();
    auto mapped = in.le<Oid>();
    map.entries.push_back({catalog, mapped});
  }
  return map;
}

}  // namespace argon::pg
