// ObjectStore: named immutable-ish blobs that outlive every node.
//
// Contract (contract/ tests it on every implementation):
//  1. A put is atomic: readers see the whole old or the whole new object, also after a crash; once it
//     returned ok, the object is durable and every later get, head and list shows it.
//  2. Any call may fail with Unavailable (it did not happen) or MaybeApplied (a put or remove may have
//     happened, or may still happen later). Callers repeat; the caller bounds how often.
//  3. With PutMode::IfAbsent exactly one of several puts of a key wins; the others get AlreadyExists.
//     A put that ended in MaybeApplied may find itself when it is repeated: compare what is there.
//  4. Lists are sorted by the bytes of the key and come in pages.
//
// Keys are "part/part/…": parts of [A-Za-z0-9._-] not starting with ".", at most kKeyMax bytes in all. No
// key is a directory of another: callers see to it, a folder refuses it (Invalid), a bucket does not look.
// Everything suspends.

#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/env/task.h"

namespace argon::objstore {

inline constexpr size_t kKeyMax = 1000;
// Most keys in a page of a list, and in one remove().
inline constexpr size_t kPageMax = 1000;

enum class PutMode { Replace, IfAbsent };

struct ObjectInfo {
  std::string key;
  uint64_t size = 0;  // bytes

  friend auto operator<=>(const ObjectInfo&, const ObjectInfo&) = default;
};

struct Listing {
  std::vector<ObjectInfo> objects;
  // Set where there is more: give it as `after` for the next page.
  std::optional<std::string> next;
};

// [offset, offset + length) of an object; cut at its end.
struct Range {
  uint64_t offset = 0;
  uint64_t length = UINT64_MAX;
};

// Where the bytes of a put come from; may be read more than once.
class Source {
 public:
  virtual ~Source() = default;
  virtual uint64_t size() const = 0;
  // Fills `into` from offset. REQUIRES: offset + into.size() <= size().
  virtual Status read(Task& task, uint64_t offset, ByteSpan into) = 0;
  // So many bytes from offset on are known to be zeros, so that nobody need read them; 0 where it is not
  // known. Never beyond size().
  virtual uint64_t zeros_from(uint64_t offset) const {
    (void)offset;
    return 0;
  }
};

class MemorySource final : public Source {
 public:
  // Borrows the bytes.
  explicit MemorySource(ByteView bytes) : bytes_(bytes) {}
  uint64_t size() const override { return bytes_.size(); }
  Status read(Task& task, uint64_t offset, ByteSpan into) override;

 private:
  ByteView bytes_;
};

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  // Errors: AlreadyExists (IfAbsent), Invalid (key), NoSpace, Unavailable, MaybeApplied, Unsupported
  // (IfAbsent, of a store that cannot do it), the source's.
  virtual Status put(Task& task, const std::string& key, Source& source, PutMode mode) = 0;
  // Errors: NotFound, Invalid (range begins beyond the end), Unavailable, Io.
  virtual Result<Bytes> get(Task& task, const std::string& key, Range range) = 0;
  virtual Result<ObjectInfo> head(Task& task, const std::string& key) = 0;
  // Keys that begin with `prefix` (any text, also a part of a name) and are greater than `after`.
  virtual Result<Listing> list(Task& task, const std::string& prefix, const std::string& after,
                               size_t page_size) = 0;
  // What does not exist counts as removed. After an error any of them may be gone.
  virtual Status remove(Task& task, std::span<const std::string> keys) = 0;

  Status put(Task& task, const std::string& key, ByteView bytes, PutMode mode = PutMode::Replace) {
    MemorySource source(bytes);
    return put(task, key, source, mode);
  }
  Result<Bytes> get(Task& task, const std::string& key) { return get(task, key, Range{}); }
};

// All pages. Unsupported beyond `limit` objects.
Result<std::vector<ObjectInfo>> list_all(Task& task, ObjectStore& store, const std::string& prefix,
                                         size_t limit = 1'000'000);
// Removes everything below the prefix, page by page; the number of objects removed.
Result<size_t> remove_all(Task& task, ObjectStore& store, const std::string& prefix);
// Code::Invalid says what is wrong with it.
Status check_key(const std::string& key);

}  // namespace argon::objstore
