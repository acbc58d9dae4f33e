// Key: what a version of something in a timeline is filed under. 18 bytes when stored.
//
// Six fields, ordered and stored big-endian in the order of declaration, so that the order of the
// bytes is the order of the keys. Every field takes its full width: user tablespaces have keys too.
//
//   what               f1  f2    f3  f4     f5    f6      value
//   relation map       00  spc   db  0      0     0       content of pg_filenode.map
//   relation block     00  spc   db  rel    fork  block   8 KiB page
//   SLRU block         01  kind  1   segno  0     block   8 KiB page
//   pg_control         03  0     0   0      0     0       as on disk
//   checkpoint         03  0     0   0      0     1       tracked checkpoint (core/pg)
//   commit time        03  0     0   0      0     2       i64 LE, of all commits so far (commit_time.h)
//   relation size      61  spc   db  rel    fork  0       u32 LE blocks
//   database           64  spc   db  0      0     0       u8 1
//   SLRU segment size  66  kind  0   segno  0     0       u32 LE blocks
//   two-phase file     67  0     0   0      0     xid     content of the file
//   tablespace         68  oid   0   0      0     0       path of its location
//
// Keys whose first byte is 0x60 or above are sparse: they form directories, an absent key means
// "there is none", and an empty image takes an entry back. All others exist as soon as a directory
// says so. Layout after neon_protocols' key space, where relation sizes and directories are values
// rewritten as a whole; here each entry is a key of its own, and a listing is a scan of a range.

#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/pg/redo/mutation.h"
#include "core/pg/rel.h"
#include "core/pg/slru.h"

namespace argon::pageserver {

inline constexpr size_t kKeyBytes = 18;

struct Key {
  uint8_t f1 = 0;
  uint32_t f2 = 0;
  uint32_t f3 = 0;
  uint32_t f4 = 0;
  uint8_t f5 = 0;
  uint32_t f6 = 0;

  friend constexpr auto operator<=>(const Key&, const Key&) = default;
  static constexpr Key min() { return {}; }
  static constexpr Key max() { return {0xFF, ~0u, ~0u, ~0u, 0xFF, ~0u}; }
  // The smallest key above this one; max() stays.
  Key next() const;
};

// [begin, end)
struct KeyRange {
  Key begin;
  Key end;

  bool contains(const Key& key) const { return begin <= key && key < end; }
  bool overlaps(const KeyRange& other) const { return begin < other.end && other.begin < end; }
  static constexpr KeyRange all() { return {Key::min(), Key::max()}; }
  static KeyRange single(const Key& key) { return {key, key.next()}; }
  friend constexpr auto operator<=>(const KeyRange&, const KeyRange&) = default;
};

constexpr bool is_sparse(const Key& key) {
  return key.f1 >= 0x60;
}

Key relation_map_key(pg::Oid spc, pg::Oid db);
Key block_key(const pg::BlockTag& block);
Key slru_block_key(pg::redo::Slru slru, uint32_t segment, uint32_t block);
Key control_key();
Key checkpoint_key();
Key commit_time_key();
Key relation_size_key(const pg::RelTag& rel);
Key database_key(pg::Oid spc, pg::Oid db);
Key slru_size_key(pg::redo::Slru slru, uint32_t segment);
Key two_phase_key(pg::Xid xid);
Key tablespace_key(pg::Oid spc);

// The number under which an SLRU is stored.
pg::redo::Slru stored_slru(pg::Slru slru);

KeyRange relation_sizes_of(pg::Oid spc, pg::Oid db);
KeyRange relation_sizes();
KeyRange databases();
KeyRange slru_sizes_of(pg::redo::Slru slru);
KeyRange slru_blocks_of(pg::redo::Slru slru);
KeyRange two_phase_files();
KeyRange tablespaces();

bool is_block_key(const Key& key);
bool is_slru_block_key(const Key& key);
// REQUIRES: is_block_key(key), or a relation size's key (the block is then 0).
pg::BlockTag block_of(const Key& key);

// Every bit of it is as good as any other.
uint64_t hash_of(const Key& key);

// REQUIRES: out.size() == kKeyBytes (in.size() likewise).
void store_key(const Key& key, ByteSpan out);
Key load_key(ByteView in);
// 36 upper-case hex digits, and back. Code::Invalid shows the text.
std::string to_string(const Key& key);
Result<Key> parse_key(std::string_view text);
// For messages: "block 7 of 1663/5/16384_vm", "checkpoint", …
std::string describe(const Key& key);

}  // namespace argon::pageserver
