// PostgresHost: real PostgreSQL servers for a simulated run, started and ended outside of its process.
//
// A run may ask nothing of the operating system once its world has begun (sandbox.h). So a launcher is forked
// before: over one socket it gets data directories as archives, unpacks them into folders of its own, runs
// `postgres --single` there under the preload as a user who is not root, and passes frames (protocol.h) to
// and fro. The process that ends takes the launcher with it, and that every server and every folder.
//
// All calls block the world until they are done: no virtual time passes. A launcher that is gone ends the run
// (CHECK).

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "core/base/bytes.h"

namespace argon::sim {

// What the sandbox leaves open for it: the descriptor of the launcher's socket. High: nobody else has it.
inline constexpr int kPostgresHostFd = 200;

struct PostgresFiles {
  std::string server;     // the program `postgres`
  std::string preload;    // argon_sim_postgres.so
  std::string extension;  // argon.so
  std::string plain;      // an archive: the template as a plain data directory, for servers without argon.so
};

class PostgresHost {
 public:
  // Forks the launcher; its socket becomes kPostgresHostFd. `template_tar`: what clusters begin with
  // (make_template). Throws std::system_error.
  PostgresHost(const PostgresFiles& files, Bytes template_tar);
  PostgresHost(const PostgresHost&) = delete;
  PostgresHost& operator=(const PostgresHost&) = delete;

  // Once: a run's memory is small.
  Bytes take_template_tar() { return std::exchange(template_tar_, {}); }

  // An archive that grows outside of the run's memory.
  void add_to_archive(uint32_t archive, ByteView bytes);
  uint32_t new_number() { return ++numbers_; }
  // Starts a server on a data directory of two archives, of which the later counts. `seed`: of its random
  // numbers. `archive` 0: PostgresFiles::plain.
  uint32_t start(uint64_t seed, uint32_t archive, ByteView more);
  // Runs it until it blocks, or has ended; returns its frame, without the length. `answer`: items; none the
  // first time.
  Bytes run(uint32_t server, ByteView answer);
  // Ends it, if it still runs, and removes its folder. Or forgets an archive.
  void end(uint32_t server);

 private:
  Bytes ask(uint32_t what, uint32_t server, ByteView body);

  Bytes template_tar_;
  uint32_t numbers_ = 0;  // of servers and archives
};

// A data directory as it comes, for a server to be started on: a run's memory is small.
class PostgresArchive {
 public:
  explicit PostgresArchive(PostgresHost& host) : host_(host), number_(host.new_number()) {}
  ~PostgresArchive() { host_.end(number_); }
  PostgresArchive(const PostgresArchive&) = delete;
  PostgresArchive& operator=(const PostgresArchive&) = delete;

  void add(ByteView bytes) { host_.add_to_archive(number_, bytes); }
  uint32_t number() const { return number_; }

 private:
  PostgresHost& host_;
  uint32_t number_;
};

}  // namespace argon::sim
