// Disk: files and directories of one node. Paths are absolute, '/'-separated.
//
// Durability, call by call: bytes written are durable once fdatasync() of their file returned ok
// after the write; a file's new length too. A name made, renamed or removed is durable once
// sync_dir() of its directory returned ok after that. Before that, power loss may keep, lose, or
// (for bytes, sector by sector of 512 bytes) tear any part of it. When fdatasync() fails, what was
// written since the last success may be gone even though it can still be read: a second, successful
// fdatasync proves nothing. Stop using the file.
//
// Errors carry errno (Error::os_error): NotFound, AlreadyExists, NoSpace, Io, Invalid.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/env/task.h"

namespace argon {

enum class OpenMode {
  Read,          // must exist
  ReadWrite,     // must exist
  Create,        // read and write; must not exist
  CreateOrOpen,  // read and write; made empty where it does not exist
};

// Destroying it closes it, without syncing. Operations on one file may overlap.
class File {
 public:
  virtual ~File() = default;

  // May be short; 0 at or beyond the end.
  virtual Result<size_t> read_at(Task& task, uint64_t offset, ByteSpan into) = 0;
  // May be short, never 0. A write beyond the end leaves zeros between.
  virtual Result<size_t> write_at(Task& task, uint64_t offset, ByteView from) = 0;
  virtual Status fdatasync(Task& task) = 0;
  // Cuts, or extends with zeros. Durable by fdatasync.
  virtual Status truncate(Task& task, uint64_t size) = 0;
  virtual Result<uint64_t> size(Task& task) = 0;
};

struct DirEntry {
  std::string name;
  bool is_directory = false;

  friend auto operator<=>(const DirEntry&, const DirEntry&) = default;
};

struct FileInfo {
  bool is_directory = false;
  uint64_t size = 0;
};

struct SpaceInfo {
  uint64_t total = 0;      // bytes
  uint64_t available = 0;  // bytes that may still be written
};

class Disk {
 public:
  virtual ~Disk() = default;

  virtual Result<std::unique_ptr<File>> open(Task& task, const std::string& path, OpenMode mode) = 0;
  // Atomic: at any time, also after power loss, `to` names the old or the new file.
  virtual Status rename(Task& task, const std::string& from, const std::string& to) = 0;
  // A file, not a directory.
  virtual Status unlink(Task& task, const std::string& path) = 0;
  // The parent must exist. AlreadyExists where anything has that name.
  virtual Status make_dir(Task& task, const std::string& path) = 0;
  // It must be empty.
  virtual Status remove_dir(Task& task, const std::string& path) = 0;
  // Sorted by name.
  virtual Result<std::vector<DirEntry>> list(Task& task, const std::string& path) = 0;
  virtual Result<FileInfo> stat(Task& task, const std::string& path) = 0;
  virtual Status sync_dir(Task& task, const std::string& path) = 0;
  virtual Result<SpaceInfo> space(Task& task, const std::string& path) = 0;
};

}  // namespace argon
