// Tar archives in the form that PostgreSQL's base backups have: ustar headers, names below 100 bytes,
// regular files, directories and symbolic links, large sizes in base 256. Source: src/port/tar.c.
//
// Files that are mostly zeros (WAL segments) may be written as GNU sparse entries, which GNU tar, bsdtar
// and our reader unpack; the reader gives the zeros back as data.
//
// The reader also takes ustar's name prefix. It refuses names that leave the folder the archive is
// unpacked into (absolute, or with a ".." part) and kinds it does not know (pax, GNU long names).

#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace argon::pg {

inline constexpr size_t kTarBlock = 512;

enum class TarKind : uint8_t { File, Directory, Symlink };

struct TarEntry {
  std::string name;  // without the slash at the end of a directory's name
  TarKind kind = TarKind::File;
  uint64_t size = 0;
  uint32_t mode = 0600;
  int64_t time = 0;    // seconds since 1970
  std::string target;  // of a symbolic link

  friend bool operator==(const TarEntry&, const TarEntry&) = default;
};

struct TarRun {
  uint64_t offset = 0;
  ByteView bytes;
};
inline constexpr size_t kMaxTarRuns = 3;

// Takes archive bytes in order. May suspend the caller's fiber. An error ends the archive.
using TarSink = std::function<Status(ByteView)>;

class TarWriter {
 public:
  // `time` is the modification time of every entry: a value that the caller can reproduce.
  TarWriter(TarSink sink, int64_t time) : sink_(std::move(sink)), time_(time) {}

  // Code::Invalid for a name of 100 bytes or more.
  Status directory(const std::string& name);
  Status symlink(const std::string& name, const std::string& target);
  Status file(const std::string& name, ByteView bytes, uint32_t mode = 0600);
  // A file of `size` bytes that is zero but for `runs`. REQUIRES: at most kMaxTarRuns, ascending, apart;
  // their offsets and sizes, and `size`, are multiples of 512; size <= 1 GiB.
  Status sparse_file(const std::string& name, uint64_t size, std::span<const TarRun> runs,
                     uint32_t mode = 0600);
  // A file in pieces, whose sizes must add up to `size`.
  Status begin_file(const std::string& name, uint64_t size, uint32_t mode = 0600);
  Status write(ByteView bytes);
  Status end_file();
  // Two blocks of zeros.
  Status finish();

 private:
  Result<std::array<uint8_t, kTarBlock>> header(const TarEntry& entry) const;
  Status put_header(const TarEntry& entry);
  Status pad(uint64_t size);

  TarSink sink_;
  int64_t time_;
  uint64_t size_ = 0;  // of the open file
  uint64_t left_ = 0;
};

class TarReader {
 public:
  enum class Event : uint8_t {
    NeedMore,  // all bytes are used up
    Entry,     // entry() is a new one
    Data,      // data() is the next piece of the file
    End,       // the archive has ended; bytes behind it are ignored
  };

  // Borrows `bytes` until next() has said NeedMore. REQUIRES: those fed before are used up.
  void feed(ByteView bytes);
  // Code::Corrupt: a broken header or an unsafe name. Code::Unsupported: an unknown kind of entry.
  Result<Event> next();
  const TarEntry& entry() const { return entry_; }
  ByteView data() const { return data_; }
  // The input may end here: between entries, after the end, or before anything.
  bool complete() const { return ended_; }

 private:
  // What the archive holds of a file: runs of bytes, ascending; zeros between them.
  struct Run {
    uint64_t offset = 0;
    uint64_t size = 0;
  };
  static constexpr size_t kMaxRuns = 4;

  Result<Event> take_header();
  Status read_runs(TarEntry& entry);
  Event take_data();

  ByteView input_;
  std::array<uint8_t, kTarBlock> block_;
  size_t block_have_ = 0;
  std::array<Run, kMaxRuns> runs_;
  size_t run_count_ = 0;
  size_t run_ = 0;            // the next one, or the one being read
  uint64_t file_offset_ = 0;  // of what comes next in the file
  uint64_t padding_left_ = 0;
  TarEntry entry_;
  ByteView data_;
  bool ended_ = false;
};

}  // namespace argon::pg
