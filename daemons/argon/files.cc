#include "daemons/argon/files.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "daemons/posix/fd.h"

namespace argon::cli {

using posix::os_error;

Result<std::string> read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error(Code::NotFound, "there is no file " + path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Status write_text(const std::string& path, const std::string& text) {
  std::string temporary = path + ".tmp";
  posix::Fd file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file.valid()) return os_error("open " + temporary, errno);
  if (write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      fsync(file.get()) != 0)
    return os_error("write " + temporary, errno);
  if (rename(temporary.c_str(), path.c_str()) != 0) return os_error("rename " + temporary, errno);
  return {};
}

Status make_folder(const std::string& path) {
  std::error_code failed;
  std::filesystem::create_directories(path, failed);
  if (failed) return os_error("make folder " + path, failed.value());
  return {};
}

bool exists(const std::string& path) {
  return access(path.c_str(), F_OK) == 0;
}

Status give_to(const std::string& path, const std::string& user) {
  if (user.empty()) return {};
  const passwd* entry = getpwnam(user.c_str());
  if (entry == nullptr) return Error(Code::NotFound, "there is no user '" + user + "' on this machine");
  if (chown(path.c_str(), entry->pw_uid, entry->pw_gid) != 0)
    return os_error("give " + path + " to " + user, errno);
  return {};
}

bool is_root() {
  return geteuid() == 0;
}

Result<bool> user_can_enter(const std::string& user, const std::string& folder) {
  const passwd* entry = getpwnam(user.c_str());
  if (entry == nullptr) return Error(Code::NotFound, "there is no user '" + user + "' on this machine");
  pid_t child = fork();
  if (child < 0) return os_error("fork", errno);
  if (child == 0) {
    // access() asks with the real ids, so the child becomes the user for good.
    bool became = setgroups(0, nullptr) == 0 && setgid(entry->pw_gid) == 0 && setuid(entry->pw_uid) == 0;
    _exit(became && access(folder.c_str(), X_OK) == 0 ? 0 : 1);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child) return os_error("wait", errno);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool port_is_free(uint16_t port) {
  posix::Fd probe(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int on = 1;
  setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return bind(probe.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
         listen(probe.get(), 1) == 0;
}

Result<uint16_t> free_port(uint16_t first, std::set<uint16_t>& taken) {
  for (unsigned port = first; port <= 65535; port++) {
    auto candidate = static_cast<uint16_t>(port);
    if (taken.contains(candidate) || !port_is_free(candidate)) continue;
    taken.insert(candidate);
    return candidate;
  }
  return Error(Code::Unavailable, "no port from " + std::to_string(first) + " on is free on 127.0.0.1");
}

}  // namespace argon::cli
