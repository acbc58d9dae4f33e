// PostgresHost: real PostgreSQL servers for a simulated run, started and ended outside of its process.
//
// A run may ask nothing of the operating system once its world has begun (sandbox.h). So a launcher is forked
// before: over one socket it gets data directories as archives, unpacks them into folders of its own, and
// runs `postgres --single` there under the preload as a user who is not root. A server and the simulator pass
// frames (protocol.h) to and fro on a lane: one of a few pairs of sockets that were made before the sandbox
// closed, and serve one server after another. The process that ends takes the launcher with it, and that
// every server and every folder.
//
// All calls block the world until they are done: no virtual time passes. A launcher that is gone ends the run
// (CHECK), and so do more servers at once than there are lanes.

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "core/base/bytes.h"

namespace argon::sim {

// What the sandbox leaves open for it: these descriptors of sockets, the launcher's, then the lanes'. High:
// nobody else has them.
inline constexpr int kPostgresSockets = 192;
inline constexpr int kPostgresSocketCount = 64;
inline constexpr int kPostgresLanes = kPostgresSocketCount - 1;

struct PostgresFiles {
  std::string server;     // the program `postgres`
  std::string preload;    // argon_sim_postgres.so
  std::string extension;  // argon.so
  std::string plain;      // an archive: the template as a plain data directory, for servers without argon.so
};

class PostgresHost {
 public:
  // Forks the launcher. `template_tar`: what clusters begin with (make_template). From here on this process
  // stays on one processor, as its servers do: they take turns, and a turn then wakes no other one. Throws
  // std::system_error.
  PostgresHost(const PostgresFiles& files, Bytes template_tar);
  PostgresHost(const PostgresHost&) = delete;
  PostgresHost& operator=(const PostgresHost&) = delete;

  // Once: a run's memory is small.
  Bytes take_template_tar() { return std::exchange(template_tar_, {}); }

  // An archive that grows outside of the run's memory.
  void add_to_archive(uint32_t archive, ByteView bytes);
  void forget_archive(uint32_t archive);
  uint32_t new_number() { return ++numbers_; }
  // Starts a server on a data directory of two archives, of which the later counts. `seed`: of its random
  // numbers. `archive` 0: PostgresFiles::plain.
  uint32_t start(uint64_t seed, uint32_t archive, ByteView more);
  // Runs it until it blocks, or has ended; returns its frame, without the length. `answer`: items; none the
  // first time.
  Bytes run(uint32_t server, ByteView answer);
  // Ends it, if it still runs, and removes its folder. `told`: a frame has said that it has ended.
  void end(uint32_t server, bool told);

 private:
  Bytes ask(uint32_t what, uint32_t server, ByteView body);
  size_t lane_of(uint32_t server) const;

  Bytes template_tar_;
  uint32_t numbers_ = 0;                          // of servers and archives
  std::array<uint32_t, kPostgresLanes> lanes_{};  // its server's number; 0: free
};

// A data directory as it comes, for a server to be started on: a run's memory is small.
class PostgresArchive {
 public:
  explicit PostgresArchive(PostgresHost& host) : host_(host), number_(host.new_number()) {}
  ~PostgresArchive() { host_.forget_archive(number_); }
  PostgresArchive(const PostgresArchive&) = delete;
  PostgresArchive& operator=(const PostgresArchive&) = delete;

  void add(ByteView bytes) {
    append(waiting_, bytes);
    if (waiting_.size() >= kPiece) hand_over();
  }
  // With all that was added.
  uint32_t number() {
    hand_over();
    return number_;
  }

 private:
  // One exchange with the launcher for many blocks of a base backup.
  static constexpr size_t kPiece = 256 << 10;

  void hand_over() {
    if (!waiting_.empty()) host_.add_to_archive(number_, waiting_);
    waiting_.clear();
  }

  PostgresHost& host_;
  uint32_t number_;
  Bytes waiting_;
};

}  // namespace argon::sim
