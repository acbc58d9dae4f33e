#include "core/pg/stock_server.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/base/check.h"

namespace argon::pg::test {

namespace {

constexpr std::string_view kBin = "/usr/lib/postgresql/15/bin/";

std::string quoted(const std::string& text) {
  std::string out = "'";
  for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace

Output run(const std::string& command) {
  std::string line = "sh -c " + quoted(command);
  if (geteuid() == 0) line = "setpriv --reuid postgres --regid postgres --clear-groups " + line;
  // From the root folder: the caller's own may be closed to the user postgres.
  FILE* pipe = popen(("cd / && " + line + " 2>&1 </dev/null").c_str(), "r");
  CHECK(pipe != nullptr);
  Output out;
  char buffer[4096];
  while (size_t n = fread(buffer, 1, sizeof buffer, pipe)) out.text.append(buffer, n);
  int status = pclose(pipe);
  out.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return out;
}

std::string program(std::string_view name) {
  return std::string(kBin) + std::string(name);
}

Bytes read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  CHECK(in.good(), path);
  return Bytes(std::istreambuf_iterator<char>(in), {});
}

// Keeps the owner and mode of a file that is there; a new one goes to the owner of its folder.
void write_file(const std::string& path, ByteView bytes) {
  bool fresh = !std::filesystem::exists(path);
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  out.close();
  CHECK(out.good(), path);
  if (!fresh) return;
  struct stat folder;
  CHECK(stat(std::filesystem::path(path).parent_path().c_str(), &folder) == 0);
  CHECK(chown(path.c_str(), folder.st_uid, folder.st_gid) == 0 && chmod(path.c_str(), 0600) == 0);
}

StockCluster::StockCluster(const std::string& initdb_options) {
  Output made = run("mktemp -d /tmp/argon_pg_test.XXXXXX");
  CHECK(made.status == 0, made.text);
  folder_ = made.text.substr(0, made.text.find('\n'));
  Output init = run(program("initdb") + " -D " + data() +
                    " -U cloud_admin -A trust --no-sync --locale=C.UTF-8 " + initdb_options);
  CHECK(init.status == 0, init.text);
}

StockCluster::~StockCluster() {
  if (running_) stop("immediate");
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

Output StockCluster::start(const std::string& options) {
  Output out = run(program("pg_ctl") + " -D " + data() + " -l " + folder_ +
                   "/log -w -t 30 -o \"-c listen_addresses='' -k " + folder_ +
                   " -c fsync=off -c wal_keep_size=256MB " + options + "\" start");
  running_ = out.status == 0;
  if (!running_) out.text += log();
  return out;
}

Output StockCluster::stop(const std::string& mode) {
  running_ = false;
  return run(program("pg_ctl") + " -D " + data() + " -w -t 30 -m " + mode + " stop");
}

Output StockCluster::sql(const std::string& text) {
  return run(program("psql") + " -X -At -v ON_ERROR_STOP=1 -h " + folder_ + " -U cloud_admin postgres -c " +
             quoted(text));
}

std::string StockCluster::log() const {
  std::ifstream in(folder_ + "/log");
  return std::string(std::istreambuf_iterator<char>(in), {});
}

}  // namespace argon::pg::test
