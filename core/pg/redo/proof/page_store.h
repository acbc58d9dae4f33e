// All pages of a cluster while its WAL is replayed, beginning with a data directory as it was before.
//
// For the proofs. Pages are read from the seed directory when they are first asked for, and kept.

#pragma once

#include <array>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/pg/redo/nonblock.h"
#include "core/pg/rel.h"

namespace argon::pg::redo {

using PageBytes = std::array<uint8_t, kBlockSize>;

// Reads single pages of a data directory, keeping the last file open.
class DataDirectory {
 public:
  explicit DataDirectory(std::string root) : root_(std::move(root)) {}
  // False where it is not there.
  bool read(const RelTag& rel, BlockNumber block, PageBytes& page);

 private:
  std::string root_;
  std::string open_path_;
  std::ifstream file_;
};

class PageStore {
 public:
  struct Relation {
    std::vector<std::unique_ptr<PageBytes>> pages;
    BlockNumber seed_blocks = kInvalidBlock;  // blocks from here on are not the seed's
  };
  struct RelHash {
    size_t operator()(const RelTag& t) const {
      uint64_t h = t.node.rel * 0x9E3779B97F4A7C15ull;
      h ^= (uint64_t{t.node.db} << 32 | t.node.spc) + (h >> 29);
      return static_cast<size_t>(h * 0xBF58476D1CE4E5B9ull + static_cast<uint64_t>(t.fork));
    }
  };

  explicit PageStore(std::string seed) : seed_(std::move(seed)) {}

  // Zeros where there was none.
  PageBytes& page(const BlockTag& tag);
  // Fills the page, which is not made where it does not exist: false.
  bool peek(const BlockTag& tag, PageBytes& out);
  // What an effect does to relations; nothing where it is of another kind.
  Status carry_out(const Effect& effect);
  const std::unordered_map<RelTag, Relation, RelHash>& relations() const { return relations_; }

 private:
  void truncate(const RelTag& tag, BlockNumber blocks);
  void drop(const RelFileNode& node);
  void copy_database(const DatabaseCopy& copy);
  void drop_database(const DatabaseDrop& drop);
  RelTag seed_name(RelTag tag) const;

  DataDirectory seed_;
  std::unordered_map<RelTag, Relation, RelHash> relations_;
  Relation* latest_ = nullptr;  // that was asked for
  RelTag latest_name_;
  std::map<std::pair<Oid, Oid>, std::pair<Oid, Oid>> copied_;
};

}  // namespace argon::pg::redo
