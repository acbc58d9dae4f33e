#include "daemons/posix/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace argon::posix {
namespace {

constexpr size_t kInlineWrite = 128 * 1024;  // bytes copied into the page cache on the loop

// Calls on the pool until it is not interrupted; 0 or errno.
template <typename Call>
int blocking(Task& task, PosixReactor& reactor, ThreadPool& pool, Call call) {
  int number = 0;
  pool.run(task, reactor, [&] {
    do {
      number = call() < 0 ? errno : 0;
    } while (number == EINTR);
  });
  return number;
}

Status done(std::string_view what, const std::string& path, int number) {
  if (number == 0) return {};
  return os_error(std::string(what) + " " + path, number);
}

class PosixFile final : public File {
 public:
  PosixFile(PosixReactor& reactor, ThreadPool& pool, Fd fd, std::string path)
      : reactor_(reactor), pool_(pool), fd_(std::move(fd)), path_(std::move(path)) {}

  Result<size_t> read_at(Task& task, uint64_t offset, ByteSpan into) override {
    if (into.empty()) return size_t{0};
    iovec vector{into.data(), into.size()};
    ssize_t n = preadv2(fd_.get(), &vector, 1, static_cast<off_t>(offset), RWF_NOWAIT);
    if (n >= 0) return static_cast<size_t>(n);
    if (errno != EAGAIN && errno != EINTR && errno != EOPNOTSUPP) return failed("read", errno);
    int number = blocking(task, reactor_, pool_, [&] {
      return n = pread(fd_.get(), into.data(), into.size(), static_cast<off_t>(offset));
    });
    if (number != 0) return failed("read", number);
    return static_cast<size_t>(n);
  }

  Result<size_t> write_at(Task& task, uint64_t offset, ByteView from) override {
    CHECK(!from.empty());
    ssize_t n = 0;
    int number = 0;
    auto call = [&] { return n = pwrite(fd_.get(), from.data(), from.size(), static_cast<off_t>(offset)); };
    if (from.size() <= kInlineWrite)
      number = call() < 0 ? errno : 0;
    else
      number = blocking(task, reactor_, pool_, call);
    if (number == EINTR) number = blocking(task, reactor_, pool_, call);
    if (number != 0) return failed("write", number);
    return static_cast<size_t>(n);
  }

  Status fdatasync(Task& task) override {
    return done("sync", path_, blocking(task, reactor_, pool_, [&] { return ::fdatasync(fd_.get()); }));
  }

  Status truncate(Task& task, uint64_t size) override {
    return done("truncate", path_, blocking(task, reactor_, pool_, [&] {
                  return ::ftruncate(fd_.get(), static_cast<off_t>(size));
                }));
  }

  Result<uint64_t> size(Task&) override {
    struct stat info{};
    if (fstat(fd_.get(), &info) != 0) return failed("look at", errno);
    return static_cast<uint64_t>(info.st_size);
  }

 private:
  Error failed(const char* what, int number) const {
    return os_error(std::string(what) + " " + path_, number);
  }

  PosixReactor& reactor_;
  ThreadPool& pool_;
  Fd fd_;
  std::string path_;
};

int open_flags(OpenMode mode) {
  switch (mode) {
    case OpenMode::Read:
      return O_RDONLY | O_CLOEXEC;
    case OpenMode::ReadWrite:
      return O_RDWR | O_CLOEXEC;
    case OpenMode::Create:
      return O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
    case OpenMode::CreateOrOpen:
      return O_RDWR | O_CREAT | O_CLOEXEC;
  }
  return O_RDONLY | O_CLOEXEC;
}

int list_directory(const std::string& path, std::vector<DirEntry>& entries) {
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return errno;
  int number = 0;
  for (;;) {
    errno = 0;
    dirent* entry = readdir(directory);
    if (entry == nullptr) {
      number = errno;
      break;
    }
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    bool is_directory = entry->d_type == DT_DIR;
    struct stat info{};
    if (entry->d_type == DT_UNKNOWN &&
        fstatat(dirfd(directory), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0)
      is_directory = S_ISDIR(info.st_mode);
    entries.push_back({std::move(name), is_directory});
  }
  closedir(directory);
  std::sort(entries.begin(), entries.end());
  return number;
}

int sync_directory(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return -1;
  return fsync(fd.get());
}

}  // namespace

Result<std::unique_ptr<File>> PosixDisk::open(Task& task, const std::string& path, OpenMode mode) {
  constexpr mode_t kPermissions = 0600;
  int fd = -1;
  int number = 0;
  auto call = [&] { return fd = ::open(path.c_str(), open_flags(mode), kPermissions); };
  if (mode == OpenMode::Read || mode == OpenMode::ReadWrite)
    number = call() < 0 ? errno : 0;
  else
    number = blocking(task, reactor_, pool_, call);
  TRY(done("open", path, number));
  Fd owned(fd);
  struct stat info{};
  if (fstat(fd, &info) != 0) return os_error("open " + path, errno);
  if (S_ISDIR(info.st_mode)) return os_error("open " + path, EISDIR);
  return std::unique_ptr<File>(new PosixFile(reactor_, pool_, std::move(owned), path));
}

Status PosixDisk::rename(Task& task, const std::string& from, const std::string& to) {
  int number = blocking(task, reactor_, pool_, [&] { return ::rename(from.c_str(), to.c_str()); });
  return done("rename " + from + " to", to, number);
}

Status PosixDisk::unlink(Task& task, const std::string& path) {
  return done("remove", path, blocking(task, reactor_, pool_, [&] { return ::unlink(path.c_str()); }));
}

Status PosixDisk::make_dir(Task& task, const std::string& path) {
  constexpr mode_t kPermissions = 0700;
  return done("make directory", path,
              blocking(task, reactor_, pool_, [&] { return ::mkdir(path.c_str(), kPermissions); }));
}

Status PosixDisk::remove_dir(Task& task, const std::string& path) {
  return done("remove directory", path,
              blocking(task, reactor_, pool_, [&] { return ::rmdir(path.c_str()); }));
}

Result<std::vector<DirEntry>> PosixDisk::list(Task& task, const std::string& path) {
  std::vector<DirEntry> entries;
  int number = 0;
  pool_.run(task, reactor_, [&] { number = list_directory(path, entries); });
  TRY(done("list", path, number));
  return entries;
}

Result<FileInfo> PosixDisk::stat(Task&, const std::string& path) {
  struct stat info{};
  // A name below a file names nothing.
  if (::stat(path.c_str(), &info) != 0) return os_error("look at " + path, errno == ENOTDIR ? ENOENT : errno);
  return FileInfo{S_ISDIR(info.st_mode), static_cast<uint64_t>(info.st_size)};
}

Status PosixDisk::sync_dir(Task& task, const std::string& path) {
  return done("sync directory", path, blocking(task, reactor_, pool_, [&] { return sync_directory(path); }));
}

Result<SpaceInfo> PosixDisk::space(Task& task, const std::string& path) {
  struct statvfs info{};
  TRY(done("look at the space of", path,
           blocking(task, reactor_, pool_, [&] { return statvfs(path.c_str(), &info); })));
  return SpaceInfo{uint64_t{info.f_blocks} * info.f_frsize, uint64_t{info.f_bavail} * info.f_frsize};
}

}  // namespace argon::posix
