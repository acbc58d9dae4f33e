// RedoProcess: an unmodified PostgreSQL server as WAL redo process (pgext/walredo), asked for pages.
//
// For what native redo is compared with, and for records that it does not know. One process rebuilds one page
// at a time, from a base and a chain of records; requests may be put together and sent at once. Where the
// server refuses a record the process ends: that is the error, and a new one is to be started.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/env/env.h"
#include "core/pg/rel.h"

namespace argon {

struct RedoProcessConfig {
  std::string server;                  // the program, as /usr/lib/postgresql/15/bin/postgres
  std::string library;                 // argon_walredo.so
  bool hint_bits_logged = false;       // of the cluster (RedoSettings)
  std::vector<std::string> libraries;  // of extensions, loaded as by shared_preload_libraries
  Duration start_timeout = Duration::seconds(10);
  Duration request_timeout = Duration::seconds(10);  // for who uses it; run() has the task's deadline
};

// Requests in the order in which they are carried out.
class RedoRequests {
 public:
  // A new target, of zeros.
  void begin(const pg::BlockTag& target);
  // REQUIRES (all below): a target.
  // Its content. REQUIRES: kBlockSize bytes.
  void base(ByteView page);
  // `record` as in the WAL; `end` becomes the page's LSN.
  void apply(Lsn lsn, Lsn end, ByteView record);
  // Asks for the page as it is by then.
  void page();

  size_t pages() const { return pages_; }
  ByteView bytes() const { return bytes_; }
  void clear() { *this = RedoRequests(); }

 private:
  void header(char type, size_t length);

  Bytes bytes_;
  size_t pages_ = 0;
};

class RedoProcess {
 public:
  // Suspends until the process is ready. Errors: Unsupported (this world has no processes, or not this
  // server), NotFound, TimedOut, Unavailable with what the process said.
  static Result<std::unique_ptr<RedoProcess>> start(Task& task, Env& env, const RedoProcessConfig& config);

  // The pages asked for, one behind the other. Suspends; give the task a Deadline, a record may take for
  // ever. Errors: Corrupt with the server's words, where it ended on a request; TimedOut, Cancelled. After an
  // error this object is good for nothing but to be destroyed.
  Result<Bytes> run(Task& task, const RedoRequests& requests);

  uint32_t server_version() const { return version_; }  // as server_version_num
  int pid() const { return process_->pid(); }

 private:
  explicit RedoProcess(std::unique_ptr<Process> process) : process_(std::move(process)) {}
  Status greet(Task& task);
  // What it said, and how it ended.
  std::string last_words(Task& task);

  std::unique_ptr<Process> process_;
  uint32_t version_ = 0;
};

}  // namespace argon
