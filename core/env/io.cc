#include "core/env/io.h"

#include <algorithm>
#include <cerrno>

namespace argon {

Status read_exact(Task& task, Stream& stream, ByteSpan into) {
  while (!into.empty()) {
    TRY_ASSIGN(size_t n, stream.read(task, into));
    if (n == 0) return Error(Code::Disconnected, "the peer closed the connection (" + stream.peer() + ")");
    into = into.subspan(n);
  }
  return {};
}

Status write_all(Task& task, Stream& stream, ByteView from) {
  while (!from.empty()) {
    TRY_ASSIGN(size_t n, stream.write(task, from));
    from = from.subspan(n);
  }
  return {};
}

Result<std::string> read_to_end(Task& task, Stream& stream, size_t most) {
  std::string text;
  Bytes chunk(8192);
  for (;;) {
    TRY_ASSIGN(size_t n, stream.read(task, chunk));
    if (n == 0) return text;
    text += as_text(ByteView(chunk).first(n));
    if (text.size() > most) text.erase(0, text.size() - most);
  }
}

Status read_exact_at(Task& task, File& file, uint64_t offset, ByteSpan into) {
  while (!into.empty()) {
    TRY_ASSIGN(size_t n, file.read_at(task, offset, into));
    if (n == 0)
      return Error(Code::Corrupt, "the file ends at offset " + std::to_string(offset) + ", " +
                                      std::to_string(into.size()) + " bytes early");
    offset += n;
    into = into.subspan(n);
  }
  return {};
}

Status write_all_at(Task& task, File& file, uint64_t offset, ByteView from) {
  while (!from.empty()) {
    TRY_ASSIGN(size_t n, file.write_at(task, offset, from));
    offset += n;
    from = from.subspan(n);
  }
  return {};
}

Result<Bytes> read_file(Task& task, Disk& disk, const std::string& path, uint64_t size_limit) {
  TRY_ASSIGN(std::unique_ptr<File> file, disk.open(task, path, OpenMode::Read));
  TRY_ASSIGN(uint64_t size, file->size(task));
  if (size > size_limit)
    return Error(Code::Unsupported, "read " + path + ": " + std::to_string(size) + " bytes, more than the " +
                                        std::to_string(size_limit) + " allowed here");
  Bytes content(size);
  TRY(read_exact_at(task, *file, 0, content).with("read " + path));
  return content;
}

Status write_file_durably(Task& task, Disk& disk, const std::string& path, ByteView content) {
  std::string temporary = path + ".tmp";
  Status removed = disk.unlink(task, temporary);
  if (!removed.ok() && !removed.is(Code::NotFound)) return removed;
  {
    TRY_ASSIGN(std::unique_ptr<File> file, disk.open(task, temporary, OpenMode::Create));
    TRY(write_all_at(task, *file, 0, content).with("write " + temporary));
    TRY(file->fdatasync(task).with("sync " + temporary));
  }
  TRY(disk.rename(task, temporary, path));
  Status synced = disk.sync_dir(task, parent_path(path));
  if (!synced.ok())
    return Error(Code::MaybeApplied, "sync directory of " + path + ": " + synced.error().message(),
                 synced.error().os_error());
  return {};
}

Status make_dirs(Task& task, Disk& disk, const std::string& path) {
  Result<FileInfo> info = disk.stat(task, path);
  if (info.ok() && !info->is_directory)
    return Error(Code::AlreadyExists, "make directory " + path + ": a file has that name");
  if (!info.ok() && !info.is(Code::NotFound)) return info.error();
  std::string parent = parent_path(path);
  if (parent == path) return {};
  if (!info.ok()) {
    TRY(make_dirs(task, disk, parent));
    Status made = disk.make_dir(task, path);
    if (!made.ok() && !made.is(Code::AlreadyExists)) return made;
  }
  // Also where it was there: whoever made it may have died, or failed, before its name was durable. The names
  // above it are, since nobody goes on below one that is not.
  Status synced = disk.sync_dir(task, parent);
  // A parent that is closed to us is not where we made anything.
  bool foreign = info.ok() && !synced.ok() && synced.error().os_error() == EACCES;
  return foreign ? Status() : synced;
}

Status remove_tree(Task& task, Disk& disk, const std::string& path) {
  Result<FileInfo> info = disk.stat(task, path);
  if (info.is(Code::NotFound)) return {};
  TRY(info);
  if (!info->is_directory) return disk.unlink(task, path);
  TRY_ASSIGN(std::vector<DirEntry> entries, disk.list(task, path));
  for (const DirEntry& entry : entries) {
    std::string inside = join_path(path, entry.name);
    // A link to a directory is not one: what it points to lies elsewhere and stays.
    TRY(entry.is_directory ? remove_tree(task, disk, inside) : disk.unlink(task, inside));
  }
  return disk.remove_dir(task, path);
}

Result<std::unique_ptr<Listener>> listen_locally(Task& task, Env& env,
                                                 const std::optional<Address>& address) {
  if (!address) return std::unique_ptr<Listener>();
  auto listener = env.network().listen(task, *address);
  if (listener.ok() || listener.is(Code::Cancelled)) return listener;
  Logger(env.log()).warn("processes of this machine connect by TCP: {}", listener.error().to_string());
  return std::unique_ptr<Listener>();
}

std::string parent_path(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string join_path(std::string_view directory, std::string_view name) {
  std::string path(directory);
  if (!path.ends_with('/')) path += '/';
  path += name;
  return path;
}

}  // namespace argon
