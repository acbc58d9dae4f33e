// Storage: what is on one simulated disk, and what of it would survive power loss.
//
// A pure data structure: no time, no tasks, no faults of its own. A page of 4 KiB holds its current
// bytes and, for sectors of 512 bytes that differ from the medium, what the medium holds. Names are
// kept as the current tree and the durable one; changes between them are a list of pending changes.
//
// After crash() every sector not synced holds its old or its new content, every pending change of
// names happened whole or not at all, and a change survives only with the earlier changes of the same
// names.

#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/random.h"

namespace argon::sim {

constexpr size_t kPageSize = 4096;
constexpr size_t kSectorSize = 512;

// What a power loss may do to what is not synced. All false: nothing is lost (a process died, its
// operating system did not).
struct CrashRules {
  bool lose_data = false;     // a file's unsynced bytes may all be lost
  bool tear_sectors = false;  // some of the unsynced sectors may be lost, others kept
  bool lose_names = false;    // unsynced creates, renames and unlinks may be lost
  size_t sector = 512;  // bytes that are lost or kept as one; a power of two from kSectorSize to kPageSize
};

struct CrashLoss {
  uint32_t files = 0;       // files that lost all unsynced bytes
  uint32_t torn_files = 0;  // files that lost some sectors and kept others
  uint32_t sectors = 0;
  uint32_t names = 0;
};

// The bytes of a page. Most pages of a WAL segment hold a header and nothing else, and pages of relations
// have holes: sectors of zeros take no memory.
class PageBytes {
 public:
  // REQUIRES, here and below: within the page.
  void read(size_t from, ByteSpan into) const;
  void write(size_t from, ByteView bytes);
  void clear_from(size_t from);
  bool zeros_from(size_t from) const;
  const uint8_t* sector(size_t number) const;
  void become(const PageBytes& other);

 private:
  using Sector = std::array<uint8_t, kSectorSize>;
  std::array<std::unique_ptr<Sector>, kPageSize / kSectorSize> sectors_;  // null: zeros
};

class Inode {
 public:
  Inode(uint64_t id, bool is_directory, uint64_t& pages_in_use);
  ~Inode();
  Inode(const Inode&) = delete;
  Inode& operator=(const Inode&) = delete;

  uint64_t id() const { return id_; }
  bool is_directory() const { return is_directory_; }
  uint64_t size() const { return size_; }

  // Bytes read: fewer at the end of the file.
  size_t read(uint64_t offset, ByteSpan into) const;
  void write(uint64_t offset, ByteView from);
  void truncate(uint64_t size);
  // Whether a byte at or beyond `offset` is not zero, now or after a power loss at its worst.
  bool may_hold_beyond(uint64_t offset) const;
  // New pages that a write of n bytes there would need.
  uint64_t pages_needed(uint64_t offset, size_t n) const;

  // What was written before begin_sync() is durable after end_sync() of the same token. fail_sync():
  // it is neither durable nor dirty any more, though it can still be read.
  struct SyncToken {
    uint32_t epoch;
    uint64_t size;
  };
  SyncToken begin_sync();
  void end_sync(const SyncToken& token);
  void fail_sync(const SyncToken& token);
  bool dirty() const { return !dirty_pages_.empty() || size_ != durable_size_; }

  void crash(Random& random, const CrashRules& rules, CrashLoss& loss);
  // The medium's content where a failed sync has dropped pages: the cache has forgotten them.
  void forget_dropped();
  bool holds_dropped() const;
  // A sync that nobody waits for any more: what it covered is neither known durable nor lost.
  void abandon_sync() { syncs_--; }
  // Changes one bit of the file, now and on the medium. False where that sector is not at rest.
  bool flip(uint64_t offset, unsigned bit);
  // All that is there now becomes durable in the other, which is new.
  void copy_to(Inode& other) const;

  std::map<std::string, std::shared_ptr<Inode>, std::less<>> entries;  // of a directory, now
  std::map<std::string, std::shared_ptr<Inode>, std::less<>> durable_entries;

 private:
  struct Page {
    PageBytes data;
    uint8_t dirty = 0;                                       // sectors written since the last sync
    uint8_t dropped = 0;                                     // sectors that a failed sync has dropped
    bool listed = false;                                     // in dirty_pages_
    uint32_t epoch = 0;                                      // of the last write
    std::unique_ptr<std::array<uint8_t, kPageSize>> medium;  // for those sectors; null is zeros
  };
  Page& page_for_write(size_t index);
  void remember(Page& page, size_t sector);
  void change(size_t page, size_t from, size_t to, const uint8_t* bytes);
  void clean(Page& page, uint8_t sectors);
  uint32_t restore(Page& page, uint8_t sectors);
  template <typename F>
  void finish_sync(const SyncToken& token, F&& per_page);
  void trim();

  uint64_t id_;
  bool is_directory_;
  uint64_t& pages_in_use_;
  uint64_t size_ = 0;
  uint64_t durable_size_ = 0;
  uint32_t epoch_ = 1;
  uint32_t syncs_ = 0;                        // in progress
  uint32_t synced_epoch_ = 0;                 // of the latest sync that ended
  std::vector<std::unique_ptr<Page>> pages_;  // null: zeros, everywhere
  std::vector<uint32_t> dirty_pages_;
};

class Storage {
 public:
  Storage();

  const std::shared_ptr<Inode>& root() const { return root_; }
  // Null where there is none.
  std::shared_ptr<Inode> find(std::string_view path) const;
  // The directory that holds the last name of the path; null where it does not exist.
  std::shared_ptr<Inode> parent(std::string_view path, std::string& last_name) const;
  std::shared_ptr<Inode> make(bool is_directory);

  // Binds a name to an inode (null: removes it), not durably.
  void link(const std::shared_ptr<Inode>& directory, const std::string& name, std::shared_ptr<Inode> inode);
  void rename(const std::shared_ptr<Inode>& from, const std::string& old_name,
              const std::shared_ptr<Inode>& to, const std::string& new_name);
  void sync_names(const Inode& directory);

  CrashLoss crash(Random& random, const CrashRules& rules);
  // Of every file that has a name.
  void forget_dropped();
  bool holds_dropped() const { return root_->holds_dropped(); }
  // Becomes what `other` holds now, durably.
  void copy_from(const Storage& other);
  // Paths of all files, in order.
  std::vector<std::string> files() const;
  // Everything is gone.
  void wipe();
  uint64_t bytes_in_use() const { return pages_in_use_ * kPageSize; }
  size_t pending_names() const { return pending_.size(); }

 private:
  struct Binding {
    std::shared_ptr<Inode> directory;
    std::string name;
    std::shared_ptr<Inode> inode;
  };
  using Change = std::vector<Binding>;  // one or two, all or nothing
  static bool overlap(const Change& a, const Change& b);
  static void apply(const Change& change);
  void settle(const std::shared_ptr<Inode>& inode, Random& random, const CrashRules& rules, CrashLoss& loss);

  uint64_t pages_in_use_ = 0;
  uint64_t next_id_ = 1;
  std::vector<Change> pending_;
  std::shared_ptr<Inode> root_;
};

}  // namespace argon::sim
