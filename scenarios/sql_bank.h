// SqlBank: one client who moves money between accounts, in plain SQL, and BankCompute: the stock PostgreSQL
// server that he uses, as the one compute of a cluster.
//
// Claim: whatever SQL shows is right. Every acknowledged transfer is there, no rolled back one is; what was
// cut off in the middle is there whole or not at all, and stays as it was first seen; each account has what
// its transfers say; indexes agree with their tables (amcheck); the server does not complain of what it
// reads.

#pragma once

#include <optional>
#include <set>
#include <string>

#include "scenarios/postgres_compute.h"

namespace argon::scenarios {

class SqlBank {
 public:
  SqlBank(Run& run, uint64_t accounts) : run_(run), accounts_(accounts) {}

  // One life of the server: looks at everything, then goes on.
  Status serve(Task& task, SqlSession& sql);

  // Wants a look at everything as soon as may be.
  void want_look() { looks_wanted_++; }
  uint64_t looks() const { return looks_; }
  uint64_t commits() const { return commits_; }

  // From now on the server is told, without a restart, to read pages from this one.
  void move_to(const Address& pageserver);
  // The server that is used, if there is one, was told. It reads nothing before its next statement, when it
  // takes that up.
  bool told() const { return !told_ || *told_ == wanted_; }

 private:
  Status act(Task& task, SqlSession& sql);
  Status transfer(Task& task, SqlSession& sql);
  Status look(Task& task, SqlSession& sql);
  Status tell(Task& task, SqlSession& sql);
  Status open(Task& task, SqlSession& sql);
  Status look_at_transfers(Task& task, SqlSession& sql);
  Result<std::string> one(Task& task, SqlSession& sql, std::string_view query);
  Status tolerate(Task& task, SqlSession& sql, Status status);
  void violated(const std::string& what);

  Run& run_;
  uint64_t accounts_;
  bool opened_ = false;         // acknowledged, or seen
  std::set<uint64_t> done_;     // transfers that must be there
  std::set<uint64_t> undone_;   // that must not
  std::set<uint64_t> unknown_;  // the next look tells
  uint64_t next_ = 1;
  uint64_t commits_ = 0;
  uint64_t looks_ = 0;
  uint64_t looks_wanted_ = 0;
  std::string wanted_;               // connection string; empty: as it was started with
  std::optional<std::string> told_;  // in this life; nothing where there is none
};

class BankCompute {
 public:
  // What a cluster is to have for it.
  static ClusterKnobs knobs();

  // Draws accounts and settings. REQUIRES: the cluster was set up.
  explicit BankCompute(Cluster& cluster);
  ~BankCompute();  // nothing of its machine may refer to what ends here
  BankCompute(const BankCompute&) = delete;
  BankCompute& operator=(const BankCompute&) = delete;

  // Of postgresql.conf. REQUIRES: not started yet.
  void add_setting(std::string line) { config_.settings.push_back(std::move(line)); }
  void start();
  sim::Machine& machine() { return *machine_; }
  // Reads pages from where the cluster now has its pageserver: this life and later ones.
  void move();
  bool told() const { return bank_.told(); }
  // Fails the run where there are not some transfers and a look at everything within kProgressLimit.
  void check_progress(const std::string& which);

 private:
  Cluster& cluster_;
  Run& run_;
  Random random_;
  SqlBank bank_;
  PostgresComputeConfig config_;
  SqlClient client_ = [this](Task& task, SqlSession& sql) { return bank_.serve(task, sql); };
  sim::Machine* machine_ = nullptr;  // once started
};

}  // namespace argon::scenarios
