// SqlLine: generated SQL on one line of history, and what must be there.
//
// Each unit leaves a marker, a row of "steps", in its own transaction. Where a crash leaves a unit's outcome
// open, the next compute looks for the marker, and from then on the outcome is fixed. Units that have
// committed are run by a reference server too (sql_reference.h), in their order, and what the computes then
// show is compared with it.
//
// Several computes may believe that the line is theirs. Who was elected in the highest term that has looked
// decides; a commit that another one acknowledges must be one that was seen then.

#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "scenarios/cluster_parts.h"
#include "scenarios/postgres_compute.h"
#include "scenarios/sql_generator.h"
#include "scenarios/sql_reference.h"

namespace argon::scenarios {

class SqlLine {
 public:
  // Shared by all lines, so that no marker is two units'.
  using Ids = std::shared_ptr<uint64_t>;

  SqlLine(Run& run, sim::Machine& for_reference, const Line& line, Ids ids);
  // A branch at an acknowledged commit. REQUIRES: parent.knows(line.branch_point).
  SqlLine(const SqlLine& parent, sim::Machine& for_reference, const Line& line);

  bool knows(Lsn commit) const { return points_.contains(commit); }
  // One life of a server: looks at everything, then goes on.
  Status serve(Task& task, SqlSession& sql);

  // Wants a look at everything as soon as may be, catalogs and all.
  void want_whole_look() { whole_looks_wanted_++; }
  uint64_t whole_looks() const { return whole_looks_; }
  uint64_t commits() const { return commits_; }
  // The reference has seen all that was looked at.
  bool all_compared() const { return reference_.idle(); }

 private:
  // A unit whose outcome is open.
  struct Pending {
    std::vector<SqlItem> items;
    std::shared_ptr<const SqlState> after;
    uint64_t nextvals = 0;
    bool prepared = false;      // acknowledged as such
    bool rolling_back = false;  // it may have been told to
  };
  using PendingUnits = std::map<uint64_t, Pending>;
  // What is there at a commit.
  struct Point {
    std::shared_ptr<const SqlState> state;
    size_t committed = 0;
    size_t items = 0;
    uint64_t gap = 0;
    PendingUnits pending;
  };
  // Of one life.
  struct Life {
    SqlSession& sql;
    std::shared_ptr<const SqlState> state;  // as it is for this compute
    bool looked = false;
    bool blind = false;  // cut off, and what is there for it is not known: it tries to commit markers
    bool began = false;  // what a start does to a database has been seen to
  };

  Status act(Task& task, Life& life);
  Status run_unit(Task& task, Life& life);
  Status run_maintenance(Task& task, Life& life, const SqlUnit& unit);
  Status run_statements(Task& task, Life& life, const SqlUnit& unit, uint64_t id);
  Status finish(Task& task, Life& life, uint64_t id, bool keep);
  bool settle(const Life& life, uint64_t id, bool kept);
  void commit(PendingUnits::iterator unit);
  PendingUnits::iterator drop(PendingUnits::iterator unit);

  Status look(Task& task, Life& life);
  Status open(Task& task, Life& life);
  Status look_at_steps(Task& task, Life& life);
  void judge_steps(const std::set<uint64_t>& seen, const std::set<uint64_t>& prepared);
  Status finish_prepared(Task& task, Life& life, const std::set<uint64_t>& prepared);
  void begin_life(Life& life);
  Status look_at_sequences(Task& task, Life& life);
  Status look_at_data(Task& task, Life& life);
  Status look_at_indexes(Task& task, Life& life);
  Status check_structure(Task& task, Life& life, bool whole);

  Result<std::string> one(Task& task, Life& life, std::string_view query);
  Status ask(Task& task, Life& life, const std::string& question);
  Status tolerate(Task& task, Life& life, Status status);
  // A later compute was elected. The pageserver gives this one pages that are newer than itself, so what it
  // shows from now on is not judged; nor that it complains.
  bool deposed(const Life& life) const { return life.sql.term() < line_.reference->term(); }
  void note_point(Lsn at);
  void add_item(SqlItem item);
  void violated(const std::string& what);

  Run& run_;
  const Line& line_;
  Ids ids_;
  Term looked_;  // highest term of a compute that has looked
  std::shared_ptr<const SqlState> state_ = std::make_shared<SqlState>();
  std::vector<uint64_t> committed_;  // units, in order; acknowledged, or seen
  PendingUnits pending_;
  std::set<uint64_t> gone_;       // units that must not be there
  std::map<Lsn, Point> points_;   // of acknowledged commits
  std::vector<SqlItem> history_;  // what the reference has to do for `state_`
  uint64_t gap_ = 0;              // that sequences may have since they were last looked at
  bool opened_ = false;
  uint64_t commits_ = 0;
  uint64_t whole_looks_ = 0;
  uint64_t whole_looks_wanted_ = 0;
  SqlReference reference_;
};

}  // namespace argon::scenarios
