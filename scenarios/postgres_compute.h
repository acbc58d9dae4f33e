// PostgresCompute: a stock PostgreSQL server as the compute of a simulated cluster, with one client.
//
// What `argon compute` does, of the same parts: elected, base backup at the start, server, socket for pgext,
// one proposer throughout; anew each time from nothing but compute.state. The server is `postgres --single`
// under the preload (sim/postgres), so it has no other processes and ships its WAL itself
// (pgext/single_user.h).

#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/compute/proposer_driver.h"
#include "core/pg/made_datadir.h"
#include "scenarios/cluster_parts.h"
#include "sim/postgres/server.h"

namespace argon::scenarios {

// What clusters of real servers begin with: the template's files (sim/postgres/make_template).
pg::MadeDataDir postgres_datadir(sim::PostgresHost& host);

// The files that a server has of its own besides a base backup, by name and text, as the archive it is
// started with.
Result<Bytes> tar_of(const std::map<std::string, std::string>& files);

// Rows of columns; nothing for NULL.
using SqlRows = std::vector<std::vector<std::optional<std::string>>>;
inline Status status_of(const Result<SqlRows>& rows) {
  return rows.ok() ? Status() : Status(rows.error());
}

// The server says so where it cannot have a page now; all else that it says of itself is a violation.
bool is_of_the_network(const Error& error);

// What a client of one life of the server has.
class SqlSession {
 public:
  // Up to where what it committed is durable.
  using Acknowledge = std::function<Result<Lsn>()>;
  // Told of each line that came to an end without an error, and when it began.
  using Judge = std::function<void(std::string_view line, MonotonicTime began)>;
  SqlSession(sim::PostgresServer& server, Term term, Acknowledge acknowledge, Judge judge = nullptr)
      : server_(server), term_(term), acknowledge_(std::move(acknowledge)), judge_(std::move(judge)) {}

  // Runs one line: statements that are one query of the protocol, of which at most one has rows. Errors:
  // Invalid (what the server said; it goes on), Disconnected (it has ended; what it said), Cancelled (it is
  // to stop: nothing was done; or the task).
  Result<SqlRows> run(Task& task, std::string_view line);
  // The same, and it has committed something: acknowledged() is behind that then.
  Result<SqlRows> commit(Task& task, std::string_view line);
  // Tells the server, from outside, that its settings have changed: it takes them up before the next line.
  void reload() { server_.reload(); }
  Lsn acknowledged() const { return acknowledged_; }
  // In which the server's compute was elected.
  Term term() const { return term_; }
  // Nothing is run any more.
  void end() { ended_ = true; }
  // How the server ended, where it did.
  const std::optional<sim::PostgresServer::Said>& last_words() const { return last_words_; }

 private:
  sim::PostgresServer& server_;
  Term term_;
  Acknowledge acknowledge_;
  Judge judge_;
  Lsn acknowledged_;
  bool ended_ = false;
  std::optional<sim::PostgresServer::Said> last_words_;
};

// Uses the server for as long as it likes; ok and Cancelled are an orderly end, any other error ends this
// life.
using SqlClient = std::function<Status(Task&, SqlSession&)>;

struct PostgresComputeConfig {
  std::string name;
  compute::ProposerDriverConfig driver;
  Address pageserver;
  std::vector<std::string> settings;  // of postgresql.conf, after Argon's own
  Duration read_lease;                // argon.read_lease
  std::string directory = "/compute";
};

// One life, until the task is cancelled (ok: in order, with a checkpoint), another compute takes over
// (Stale), or server or client end. Violations fail the run. Everything outlives it.
Status run_postgres_compute(Task& task, Env& env, sim::Machine& machine, Run& run, Line& line,
                            const PostgresComputeConfig& config, const SqlClient& client);

// How a run ends whose computes are on `machines`: progress while only the core is well, after healing, and,
// behind an orderly stop of the computes, with a pageserver that has lost its disk. `check_progress` fails
// the run where there is none; its argument says which it is.
void end_postgres_run(Run& run, Cluster& cluster, const std::vector<sim::Machine*>& machines,
                      const std::function<void(const std::string& which)>& check_progress);
// The same from where all is healed.
void end_healed_postgres_run(Run& run, Cluster& cluster, const std::vector<sim::Machine*>& machines,
                             const std::function<void(const std::string& which)>& check_progress);

}  // namespace argon::scenarios
