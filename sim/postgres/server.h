// PostgresServer: a real server (`postgres --single`) as a process on a simulated machine.
//
// It runs only while the fiber that uses it stands still, and blocks wherever it would wait: virtual time
// passes then, and its connections are connections of the machine's network, with all that may happen to
// those. What it sends, waits for and answers is part of the run's hash; its log is not.
//
// One statement at a time, by one fiber.

#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/env/env.h"
#include "core/fiber/scope.h"
#include "core/fiber/wait_list.h"
#include "sim/postgres/host.h"
#include "sim/world.h"

namespace argon::sim {

class PostgresServer {
 public:
  // Since the last time.
  struct Said {
    std::string output;
    std::string log;
    bool ended = false;  // there will be no more of it
    int status = 0;      // then, as waitpid has it
  };

  // `parent`: where its connections live. Everything outlives it. `node`: the machine's index.
  PostgresServer(Scope& parent, Env& env, World& world, uint16_t node, PostgresHost& host);
  // Kills it where it still runs. REQUIRES: stop() returned, or start() was never called; but for power loss.
  ~PostgresServer();

  // Starts it on a data directory of two archives, of which the later counts, and waits until it asks for its
  // first statement or has ended. `archive` null: a plain data directory (host.h).
  // Errors here and below: Cancelled, TimedOut (then it stands still in the middle, and can only be stopped).
  Result<Said> start(Task& task, PostgresArchive* archive, ByteView more);
  // One line, without its end. REQUIRES: it has asked.
  Result<Said> execute(Task& task, std::string_view line);
  // SIGHUP, which reaches it with the next line: it takes up its settings before it runs that.
  void reload() { reloads_ = true; }
  // Ends its input, and waits until it has ended. REQUIRES: it has asked.
  Result<Said> finish(Task& task);
  // Kills it where it still runs, and ends its connections.
  Status stop(Task& task);

 private:
  struct Connection;

  Result<Said> answer(Task& task);
  void resume(const std::optional<std::string>& line);
  bool take_frame(Said& said, std::optional<Duration>& wait);
  Status wait_for_news(Task& task, std::optional<Duration> limit);
  bool has_news() const;
  void open(uint32_t id, std::string_view address);
  Status serve(Task& task, Connection& connection);
  Status write_out(Task& task, Connection& connection, Stream& stream);
  Status read_in(Task& task, Connection& connection, Stream& stream);
  void end_now(bool told = false);

  Env& env_;
  World& world_;
  uint16_t node_;
  PostgresHost& host_;
  Random& cost_;
  uint32_t server_ = 0;  // 0: none runs
  bool reloads_ = false;
  Bytes frame_;  // the latest from it
  std::map<uint32_t, std::unique_ptr<Connection>> connections_;
  WaitList news_;
  Scope scope_;
};

}  // namespace argon::sim
