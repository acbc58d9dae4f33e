// Processes: child processes (a server, initdb, the redo process). A world may have none.

#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/env/network.h"

namespace argon {

// What becomes of one of the child's standard streams.
struct ChildStream {
  enum class Kind { Null, Pipe, File } kind = Kind::Null;
  std::string path;  // File: appended to, made where it does not exist

  static ChildStream null() { return {}; }
  static ChildStream pipe() { return {Kind::Pipe, {}}; }
  static ChildStream file(std::string path) { return {Kind::File, std::move(path)}; }
};

struct SpawnOptions {
  std::vector<std::string> argv;                   // argv[0] is the program's path
  std::map<std::string, std::string> environment;  // the whole of it
  std::string working_directory;                   // empty: the parent's
  std::string user;                                // run as this user; empty: the parent's
  ChildStream in, out, err;
  int parent_death_signal = 9;  // sent to the child when this process dies, however it dies
};

struct ExitStatus {
  int code = 0;    // where signal is 0
  int signal = 0;  // the signal that ended it, else 0
  bool clean() const { return code == 0 && signal == 0; }
};

// Destroying it kills the child (SIGKILL) if it still runs, and reaps it.
class Process {
 public:
  virtual ~Process() = default;

  virtual int pid() const = 0;
  // The parent's ends of the pipes asked for; null otherwise. Owned by the process.
  virtual Stream* in() = 0;
  virtual Stream* out() = 0;
  virtual Stream* err() = 0;
  // Until it ends. May be called again; the answer stays.
  virtual Result<ExitStatus> wait(Task& task) = 0;
  // Sends a signal; ok where it has ended already.
  virtual Status kill(int signal) = 0;
};

class Processes {
 public:
  virtual ~Processes() = default;

  // Errors: NotFound (no such program or user), Io.
  virtual Result<std::unique_ptr<Process>> spawn(Task& task, const SpawnOptions& options) = 0;
};

}  // namespace argon
