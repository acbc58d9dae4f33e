#include "core/pageserver/key.h"

#include <array>

#include "core/base/codec.h"

namespace argon::pageserver {

namespace {

// MurmurHash3's finalizer.
constexpr uint64_t mixed(uint64_t x) {
  x = (x ^ (x >> 33)) * 0xFF51AFD7ED558CCD;
  x = (x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53;
  return x ^ (x >> 33);
}

constexpr uint8_t kRelPrefix = 0x00, kSlruPrefix = 0x01, kClusterPrefix = 0x03, kRelSizePrefix = 0x61,
                  kDatabasePrefix = 0x64, kSlruSizePrefix = 0x66, kTwoPhasePrefix = 0x67,
                  kTablespacePrefix = 0x68;

constexpr KeyRange whole_prefix(uint8_t prefix) {
  return {{prefix, 0, 0, 0, 0, 0}, {static_cast<uint8_t>(prefix + 1), 0, 0, 0, 0, 0}};
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Key Key::next() const {
  Key key = *this;
  if (++key.f6 != 0) return key;
  if (++key.f5 != 0) return key;
  if (++key.f4 != 0) return key;
  if (++key.f3 != 0) return key;
  if (++key.f2 != 0) return key;
  if (++key.f1 != 0) return key;
  return max();
}

Key relation_map_key(pg::Oid spc, pg::Oid db) {
  return {kRelPrefix, spc, db, 0, 0, 0};
}
Key block_key(const pg::BlockTag& b) {
  return {kRelPrefix, b.rel.node.spc, b.rel.node.db, b.rel.node.rel, static_cast<uint8_t>(b.rel.fork),
          b.block};
}
Key slru_block_key(pg::redo::Slru slru, uint32_t segment, uint32_t block) {
  return {kSlruPrefix, static_cast<uint32_t>(slru), 1, segment, 0, block};
}
Key control_key() {
  return {kClusterPrefix, 0, 0, 0, 0, 0};
}
Key checkpoint_key() {
  return {kClusterPrefix, 0, 0, 0, 0, 1};
}
Key commit_time_key() {
  return {kClusterPrefix, 0, 0, 0, 0, 2};
}
Key relation_size_key(const pg::RelTag& rel) {
  return {kRelSizePrefix, rel.node.spc, rel.node.db, rel.node.rel, static_cast<uint8_t>(rel.fork), 0};
}
Key database_key(pg::Oid spc, pg::Oid db) {
  return {kDatabasePrefix, spc, db, 0, 0, 0};
}
Key slru_size_key(pg::redo::Slru slru, uint32_t segment) {
  return {kSlruSizePrefix, static_cast<uint32_t>(slru), 0, segment, 0, 0};
}
Key two_phase_key(pg::Xid xid) {
  return {kTwoPhasePrefix, 0, 0, 0, 0, xid};
}
Key tablespace_key(pg::Oid spc) {
  return {kTablespacePrefix, spc, 0, 0, 0, 0};
}

pg::redo::Slru stored_slru(pg::Slru slru) {
  switch (slru) {
    case pg::Slru::MultiXactMembers:
      return pg::redo::Slru::MultixactMembers;
    case pg::Slru::MultiXactOffsets:
      return pg::redo::Slru::MultixactOffsets;
    case pg::Slru::CommitTs:
      return pg::redo::Slru::CommitTs;
    default:
      return pg::redo::Slru::Clog;
  }
}

KeyRange relation_sizes_of(pg::Oid spc, pg::Oid db) {
  Key last{kRelSizePrefix, spc, db, ~0u, 0xFF, ~0u};
  return {{kRelSizePrefix, spc, db, 0, 0, 0}, last.next()};
}
KeyRange relation_sizes() {
  return whole_prefix(kRelSizePrefix);
}
KeyRange databases() {
  return whole_prefix(kDatabasePrefix);
}
KeyRange slru_sizes_of(pg::redo::Slru slru) {
  auto kind = static_cast<uint32_t>(slru);
  return {{kSlruSizePrefix, kind, 0, 0, 0, 0}, {kSlruSizePrefix, kind + 1, 0, 0, 0, 0}};
}
KeyRange slru_blocks_of(pg::redo::Slru slru) {
  auto kind = static_cast<uint32_t>(slru);
  return {{kSlruPrefix, kind, 0, 0, 0, 0}, {kSlruPrefix, kind + 1, 0, 0, 0, 0}};
}
KeyRange two_phase_files() {
  return whole_prefix(kTwoPhasePrefix);
}
KeyRange tablespaces() {
  return whole_prefix(kTablespacePrefix);
}

bool is_block_key(const Key& key) {
  return key.f1 == kRelPrefix && key.f4 != 0;
}
bool is_slru_block_key(const Key& key) {
  return key.f1 == kSlruPrefix;
}
pg::BlockTag block_of(const Key& key) {
  return {{{key.f2, key.f3, key.f4}, static_cast<pg::Fork>(key.f5)}, key.f6};
}

uint64_t hash_of(const Key& key) {
  uint64_t first = uint64_t{key.f1} << 40 | uint64_t{key.f5} << 32 | key.f2;
  uint64_t second = uint64_t{key.f3} << 32 | key.f4;
  return mixed(mixed(mixed(first) + second) + key.f6);
}

void store_key(const Key& key, ByteSpan out) {
  CHECK(out.size() == kKeyBytes);
  out[0] = key.f1;
  store_be(&out[1], key.f2);
  store_be(&out[5], key.f3);
  store_be(&out[9], key.f4);
  out[13] = key.f5;
  store_be(&out[14], key.f6);
}
Key load_key(ByteView in) {
  CHECK(in.size() == kKeyBytes);
  return {in[0],  load_be<uint32_t>(&in[1]), load_be<uint32_t>(&in[5]), load_be<uint32_t>(&in[9]),
          in[13], load_be<uint32_t>(&in[14])};
}

std::string to_string(const Key& key) {
  std::array<uint8_t, kKeyBytes> raw;
  store_key(key, raw);
  std::string text;
  for (uint8_t byte : raw) {
    text += "0123456789ABCDEF"[byte >> 4];
    text += "0123456789ABCDEF"[byte & 15];
  }
  return text;
}

Result<Key> parse_key(std::string_view text) {
  std::array<uint8_t, kKeyBytes> raw;
  bool good = text.size() == 2 * kKeyBytes;
  for (size_t i = 0; good && i < kKeyBytes; i++) {
    int high = hex_digit(text[2 * i]);
    int low = hex_digit(text[2 * i + 1]);
    good = high >= 0 && low >= 0;
    if (good) raw[i] = static_cast<uint8_t>(high * 16 + low);
  }
  if (!good)
    return Error(Code::Invalid, "'" + std::string(text) + "' is no key: want 36 upper-case hex digits");
  return load_key(raw);
}

std::string describe(const Key& key) {
  if (is_block_key(key) && key.f5 <= pg::kLastFork) {
    pg::BlockTag tag = block_of(key);
    return "block " + std::to_string(tag.block) + " of " + pg::to_string(tag.rel);
  }
  if (key.f1 == kRelPrefix) return "relation map of " + std::to_string(key.f2) + "/" + std::to_string(key.f3);
  if (key == control_key()) return "pg_control";
  if (key == checkpoint_key()) return "checkpoint";
  if (key == commit_time_key()) return "commit time";
  if (key.f1 == kRelSizePrefix && key.f5 <= pg::kLastFork)
    return "size of " + pg::to_string(block_of(key).rel);
  if (key.f1 == kSlruPrefix)
    return "block " + std::to_string(key.f6) + " of segment " + std::to_string(key.f4) + " of SLRU " +
           std::to_string(key.f2);
  if (key.f1 == kDatabasePrefix) return "database " + std::to_string(key.f2) + "/" + std::to_string(key.f3);
  if (key.f1 == kSlruSizePrefix)
    return "size of segment " + std::to_string(key.f4) + " of SLRU " + std::to_string(key.f2);
  if (key.f1 == kTwoPhasePrefix) return "prepared transaction " + std::to_string(key.f6);
  if (key.f1 == kTablespacePrefix) return "tablespace " + std::to_string(key.f2);
  return "key " + to_string(key);
}

}  // namespace argon::pageserver
