#include "daemons/main/files.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "daemons/posix/fd.h"

namespace argon::cli {
namespace {

Result<const passwd*> user_entry(const std::string& user) {
  const passwd* entry = getpwnam(user.c_str());
  if (entry == nullptr)
    return Error(Code::NotFound, "there is no user '" + user +
                                     "' to run PostgreSQL as: install PostgreSQL, or set "
                                     "postgresql.user in argon.toml");
  return entry;
}

// In a child that has become the user; true where it got in.
bool enters_as(const passwd& user, const std::string& path) {
  pid_t child = fork();
  if (child < 0) return false;
  if (child == 0) {
    bool ok = setgroups(0, nullptr) == 0 && setgid(user.pw_gid) == 0 && setuid(user.pw_uid) == 0 &&
              access(path.c_str(), X_OK) == 0;
    _exit(ok ? 0 : 1);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

Result<std::string> read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return posix::os_error("open " + path, errno);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (in.bad()) return posix::os_error("read " + path, EIO);
  return text;
}

Status write_text(const std::string& path, const std::string& text) {
  std::string temporary = path + ".tmp";
  {
    posix::Fd file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!file.valid()) return posix::os_error("open " + temporary, errno);
    size_t done = 0;
    while (done < text.size()) {
      ssize_t n = ::write(file.get(), text.data() + done, text.size() - done);
      if (n < 0) return posix::os_error("write " + temporary, errno);
      done += static_cast<size_t>(n);
    }
    if (fsync(file.get()) != 0) return posix::os_error("sync " + temporary, errno);
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) return posix::os_error("rename to " + path, errno);
  return {};
}

Status make_folders(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return posix::os_error("make folder " + path, error.value());
  return {};
}

Status give_folder(const std::string& path, const std::string& user) {
  if (user.empty()) return {};
  TRY_ASSIGN(const passwd* entry, user_entry(user));
  if (chown(path.c_str(), entry->pw_uid, entry->pw_gid) != 0 || chmod(path.c_str(), 0700) != 0)
    return posix::os_error("give folder " + path + " to " + user, errno);
  return {};
}

Status check_can_enter(const std::string& path, const std::string& user) {
  if (user.empty()) return {};
  TRY_ASSIGN(const passwd* entry, user_entry(user));
  if (enters_as(*entry, path)) return {};
  return Error(Code::Invalid,
               "the user " + user + ", as whom PostgreSQL runs when argon is started by root, cannot enter " +
                   path +
                   ": choose a state folder that it can enter (argon --dir /var/lib/argon init), or open the "
                   "folders above it (chmod o+x), or run argon as a user other than root");
}

std::string tail_of(const std::string& path, size_t bytes) {
  Result<std::string> text = read_text(path);
  if (!text.ok()) return "(no log: " + text.error().message() + ")";
  if (text->size() <= bytes) return *text;
  size_t from = text->find('\n', text->size() - bytes);
  return from == std::string::npos ? text->substr(text->size() - bytes) : text->substr(from + 1);
}

}  // namespace argon::cli
