#include "sim/postgres/launcher.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <system_error>

#include "core/base/codec.h"
#include "core/pg/tar.h"
#include "sim/postgres/protocol.h"

namespace argon::sim {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUser = "postgres";  // runs the servers where we are root
constexpr rlim_t kDescriptors = 4096;      // the child's highest are above SIM_CONTROL_FD

// The run has ended.
struct Gone {};

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

struct Server {
  pid_t pid = -1;    // -1: reaped
  int process = -1;  // a pidfd
  int lane = -1;     // the server's end
  int output = -1;
  int log = -1;
  int status = 0;
  std::string folder;
  Bytes last_frame;  // of one that has ended by itself
  size_t told = 0;   // of it
};

class Launcher {
 public:
  Launcher(int socket, std::vector<int> lanes, const PostgresFiles& files)
      : socket_(socket), lanes_(std::move(lanes)), files_(files) {
    const char* under = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    root_ = std::string(under) + "/argon-sim-XXXXXX";
    if (mkdtemp(root_.data()) == nullptr) fail("mkdtemp " + root_);
    if (geteuid() != 0) return;
    const passwd* user = getpwnam(kUser);
    if (user == nullptr) throw std::runtime_error("no user postgres, and root may not run servers");
    user_ = user->pw_uid;
    group_ = user->pw_gid;
    // Others have to enter it, and only that.
    if (chmod(root_.c_str(), 0711) != 0) fail("chmod " + root_);
  }
  ~Launcher() {
    for (auto& [id, server] : servers_) end(server);
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }

  void serve() {
    for (;;) {
      wait();
      LauncherHeader header;
      receive(socket_, {reinterpret_cast<uint8_t*>(&header), sizeof header});
      Bytes body(header.bytes);
      receive(socket_, body);
      Bytes answer;
      Server gone;
      switch (header.what) {
        case LauncherHeader::Start:
          start(servers_[header.server], header.server, body);
          break;
        case LauncherHeader::End:
          gone = std::move(servers_.at(header.server));
          servers_.erase(header.server);
          end(gone);
          answer.push_back(gone.told > 0 ? 1 : 0);
          break;
        case LauncherHeader::Add:
          append(archives_[header.server], body);
          break;
        case LauncherHeader::Forget:
          archives_.erase(header.server);
          break;
        default:
          throw std::runtime_error("unknown request to the launcher");
      }
      header.bytes = static_cast<uint32_t>(answer.size());
      send(socket_, {reinterpret_cast<const uint8_t*>(&header), sizeof header}, answer);
      // What a lane has had the beginning of, the simulator reads to its end.
      if (gone.told > 0) send(gone.lane, {}, ByteView(gone.last_frame).subspan(gone.told));
    }
  }

 private:
  void start(Server& server, uint32_t id, ByteView body);
  void unpack(const std::string& folder, ByteView tar);
  void fix_random(Server& server);
  [[noreturn]] void become_server(const Server& server, uint64_t seed);
  void wait();
  void look_after(Server& server, short events);
  void ended(Server& server);
  void end(Server& server);
  void own(int fd);
  static void send(int fd, ByteView header, ByteView body);
  static void receive(int fd, ByteSpan bytes);

  int socket_;
  std::vector<int> lanes_;
  const PostgresFiles& files_;
  std::string root_;
  uid_t user_ = geteuid();
  gid_t group_ = getegid();
  bool has_libraries_ = false;
  std::map<uint32_t, Server> servers_;
  std::map<uint32_t, Bytes> archives_;
};

// At once: who reads is not woken for a part.
void Launcher::send(int fd, ByteView header, ByteView body) {
  Bytes message;
  message.reserve(header.size() + body.size());
  Writer(message).bytes(header).bytes(body);
  ByteView bytes = message;
  while (!bytes.empty()) {
    ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw Gone();
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

void Launcher::receive(int fd, ByteSpan bytes) {
  while (!bytes.empty()) {
    ssize_t n = recv(fd, bytes.data(), bytes.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw Gone();
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

void Launcher::own(int fd) {
  if (geteuid() == 0 && fchown(fd, user_, group_) != 0) fail("chown");
}

// Zeros are left out.
void write_sparsely(int fd, off_t at, ByteView bytes) {
  constexpr size_t kPiece = 64 << 10;
  for (; !bytes.empty(); bytes = bytes.subspan(std::min(kPiece, bytes.size()))) {
    ByteView piece = bytes.first(std::min(kPiece, bytes.size()));
    bool zeros = std::ranges::all_of(piece, [](uint8_t byte) { return byte == 0; });
    if (!zeros && pwrite(fd, piece.data(), piece.size(), at) != static_cast<ssize_t>(piece.size()))
      fail("write a file of a data directory");
    at += static_cast<off_t>(piece.size());
  }
}

void Launcher::unpack(const std::string& folder, ByteView tar) {
  pg::TarReader reader;
  reader.feed(tar);
  int fd = -1;
  off_t at = 0;
  for (;;) {
    Result<pg::TarReader::Event> event = reader.next();
    if (!event.ok()) throw std::runtime_error("unpack: " + event.error().to_string());
    if (*event == pg::TarReader::Event::Data) {
      write_sparsely(fd, at, reader.data());
      at += static_cast<off_t>(reader.data().size());
      continue;
    }
    if (fd >= 0) close(fd);
    fd = -1;
    if (*event != pg::TarReader::Event::Entry) break;
    const pg::TarEntry& entry = reader.entry();
    std::string path = folder + "/" + entry.name;
    if (entry.kind == pg::TarKind::Directory) {
      if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) fail("mkdir " + path);
      if (geteuid() == 0 && chown(path.c_str(), user_, group_) != 0) fail("chown " + path);
    } else if (entry.kind == pg::TarKind::File) {
      fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
      if (fd < 0 || ftruncate(fd, static_cast<off_t>(entry.size)) != 0) fail("make " + path);
      own(fd);
      at = 0;
    }
  }
  if (!reader.complete()) throw std::runtime_error("unpack: the archive is cut off");
}

// A file in memory that is appended to.
int output_file() {
  int fd = memfd_create("output", MFD_CLOEXEC);
  if (fd < 0 || fcntl(fd, F_SETFL, O_APPEND) != 0) fail("memfd_create");
  return fd;
}

Bytes read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  Bytes bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (bytes.empty()) throw std::runtime_error("cannot read " + path);
  return bytes;
}

void Launcher::start(Server& server, uint32_t id, ByteView body) {
  if (!has_libraries_) {
    fs::copy_file(files_.preload, root_ + "/preload.so");
    fs::copy_file(files_.extension, root_ + "/argon.so");
    fs::permissions(root_ + "/preload.so", fs::perms(0644));
    fs::permissions(root_ + "/argon.so", fs::perms(0644));
    has_libraries_ = true;
  }
  char name[16];
  std::snprintf(name, sizeof name, "/%06u", id);  // as long as any other: addresses depend on it
  server.folder = root_ + name;
  if (mkdir(server.folder.c_str(), 0700) != 0) fail("mkdir " + server.folder);
  if (geteuid() == 0 && chown(server.folder.c_str(), user_, group_) != 0) fail("chown");
  Reader in(body);
  uint64_t seed = in.le<uint64_t>();
  uint32_t archive = in.le<uint32_t>();
  server.lane = lanes_.at(in.le<uint32_t>());
  unpack(server.folder, archive == 0 ? read_file(files_.plain) : archives_[archive]);
  unpack(server.folder, in.rest());
  // The server takes ".." out of paths by itself, and would look below /proc.
  if (symlink("..", (server.folder + "/argon_lib").c_str()) != 0) fail("symlink");
  server.output = output_file();
  server.log = output_file();
  server.pid = fork();
  if (server.pid < 0) fail("fork");
  if (server.pid == 0) become_server(server, seed);
  server.process = static_cast<int>(syscall(SYS_pidfd_open, server.pid, 0));
  if (server.process < 0) fail("pidfd_open");
  fix_random(server);
}

// What the kernel gives each process to make stack canaries and mangled pointers of is made the same for all:
// they lie on the stack, and what lies there may come out again, as padding in WAL.
void Launcher::fix_random(Server& server) {
  constexpr std::array<uint8_t, 16> kChance{0x5a, 0xa5, 0x3c, 0xc3, 0x69, 0x96, 0x0f, 0xf0};
  int status = 0;
  if (waitpid(server.pid, &status, 0) != server.pid) fail("waitpid");
  if (!WIFSTOPPED(status)) {  // it did not come so far
    server.status = status;
    ended(server);
    return;
  }
  std::string process = "/proc/" + std::to_string(server.pid);
  int auxv = open((process + "/auxv").c_str(), O_RDONLY | O_CLOEXEC);
  int memory = open((process + "/mem").c_str(), O_RDWR | O_CLOEXEC);
  if (auxv < 0 || memory < 0) fail("look at a server");
  uint64_t entry[2];
  while (::read(auxv, entry, sizeof entry) == sizeof entry && entry[0] != AT_NULL)
    if (entry[0] == AT_RANDOM && pwrite(memory, kChance.data(), kChance.size(),
                                        static_cast<off_t>(entry[1])) != ssize_t{kChance.size()})
      fail("change a server's chance");
  close(auxv);
  close(memory);
  if (ptrace(PTRACE_DETACH, server.pid, nullptr, nullptr) != 0) fail("let a server go");
}

void Launcher::become_server(const Server& server, uint64_t seed) {
  auto must = [](bool done, const char* what) {
    if (done) return;
    dprintf(2, "argon-sim: start a server: %s: %s\n", what, strerror(errno));
    _exit(72);
  };
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(signal, SIG_DFL);
  rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  rlimit most{};
  getrlimit(RLIMIT_NOFILE, &most);
  most.rlim_cur = std::min(most.rlim_max, kDescriptors);
  setrlimit(RLIMIT_NOFILE, &most);
  must(dup2(open("/dev/null", O_RDONLY), 0) == 0, "input");
  must(dup2(server.output, 1) == 1, "output");
  must(dup2(server.log, 2) == 2, "log");
  must(dup2(server.lane, SIM_CONTROL_FD) == SIM_CONTROL_FD, "control");
  must(close_range(3, SIM_CONTROL_FD - 1, 0) == 0 && close_range(SIM_CONTROL_FD + 1, ~0u, 0) == 0, "close");
  must(chdir(server.folder.c_str()) == 0, "enter the data directory");
  if (geteuid() == 0)
    must(setgroups(0, nullptr) == 0 && setgid(group_) == 0 && setuid(user_) == 0, "become postgres");
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  must(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0, "ptrace");
  must(personality(ADDR_NO_RANDOMIZE) != -1, "personality");
  char seed_text[64];
  // As long as any other: the stack's addresses depend on it.
  std::snprintf(seed_text, sizeof seed_text, "%s=%020llu", SIM_SEED_VARIABLE,
                static_cast<unsigned long long>(seed));
  const std::string control_text = std::string(SIM_CONTROL_VARIABLE) + "=1";
  // It runs in its data directory, and knows no other name of that: none that differs between two runs.
  const char* argv[] = {
      files_.server.c_str(), "--single", "-D",
      "/proc/self/cwd",      "-c",       "dynamic_library_path=$libdir:/proc/self/cwd/argon_lib",
      "template1",           nullptr};
  const char* environment[] = {"LD_PRELOAD=/proc/self/cwd/../preload.so",
                               seed_text,
                               control_text.c_str(),
                               "LC_ALL=C",
                               "TZ=UTC",
                               "PATH=/usr/bin:/bin",
                               "HOME=/nonexistent",
                               "PGSSLMODE=disable",
                               "PGGSSENCMODE=disable",
                               nullptr};
  execve(files_.server.c_str(), const_cast<char**>(argv), const_cast<char**>(environment));
  must(false, files_.server.c_str());
  _exit(72);
}

Bytes read_whole(int fd) {
  Bytes bytes(static_cast<size_t>(lseek(fd, 0, SEEK_END)));
  if (pread(fd, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) fail("read output");
  return bytes;
}

void put_item(Bytes& frame, SimItemKind kind, ByteView bytes) {
  SimItem item{static_cast<uint32_t>(kind), 0, static_cast<uint32_t>(bytes.size())};
  Writer(frame).bytes({reinterpret_cast<const uint8_t*>(&item), sizeof item}).bytes(bytes);
}

// Of what nobody reads any more.
void drain(int lane) {
  uint8_t bytes[4096];
  while (recv(lane, bytes, sizeof bytes, MSG_DONTWAIT) > 0) continue;
}

// Until there is a request. Servers that end by themselves meanwhile are reaped.
void Launcher::wait() {
  std::vector<pollfd> polled;
  do {
    polled.assign({{socket_, POLLIN, 0}});
    for (const auto& [id, server] : servers_) {
      short for_rest = server.told < server.last_frame.size() ? POLLIN | POLLOUT : POLLIN;
      polled.push_back(server.pid > 0 ? pollfd{server.process, POLLIN, 0} : pollfd{server.lane, for_rest, 0});
    }
    if (poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) fail("poll");
    auto at = polled.begin() + 1;
    for (auto& [id, server] : servers_) look_after(server, (at++)->revents);
  } while (polled.front().revents == 0);
}

// The lane of one that has ended is emptied, so that nobody waits to fill it, and told its last frame.
void Launcher::look_after(Server& server, short events) {
  if (events == 0) return;
  if (server.pid > 0) {
    waitpid(server.pid, &server.status, 0);
    ended(server);
  }
  drain(server.lane);
  ByteView rest = ByteView(server.last_frame).subspan(server.told);
  if (rest.empty()) return;
  ssize_t n = ::send(server.lane, rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n > 0) server.told += static_cast<size_t>(n);
}

void Launcher::ended(Server& server) {
  server.pid = -1;
  Bytes items;
  put_item(items, SIM_OUTPUT, read_whole(server.output));
  put_item(items, SIM_LOG, read_whole(server.log));
  put_item(items, SIM_ENDED, {reinterpret_cast<const uint8_t*>(&server.status), sizeof server.status});
  Writer(server.last_frame).le(static_cast<uint32_t>(items.size())).bytes(items);
}

void Launcher::end(Server& server) {
  if (server.pid > 0) {
    kill(server.pid, SIGKILL);
    waitpid(server.pid, nullptr, 0);
    server.pid = -1;
  }
  drain(server.lane);
  for (int* fd : {&server.process, &server.output, &server.log}) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
  }
  std::error_code ignored;
  if (!server.folder.empty()) fs::remove_all(server.folder, ignored);
}

}  // namespace

void run_launcher(int socket, std::vector<int> lanes, const PostgresFiles& files) {
  // Ends when the run does, and not before: it cleans up.
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(signal, SIG_IGN);
  prctl(PR_SET_NAME, "argon-sim-pg");
  int status = 0;
  try {
    Launcher(socket, std::move(lanes), files).serve();
  } catch (const Gone&) {
    status = 0;
  } catch (const std::exception& error) {
    dprintf(2, "argon-sim: launcher of PostgreSQL servers: %s\n", error.what());
    status = 1;
  }
  _exit(status);
}

}  // namespace argon::sim
