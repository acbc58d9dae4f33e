// ReferenceModel: what every page of a timeline must be, at every LSN, as told by the model computes that
// wrote it.
//
// Owned by the scenario, one per timeline; it outlives all nodes. Computes tell it each record as they make
// it, and each commit as it is acknowledged to them; readers ask what a page must be. It asks nobody and
// never suspends. Pages are kept as hashes, so a long run stays small.
//
// A record counts only while its writer is the latest one elected. begin_term() makes a compute the writer:
// what former writers made beyond its start never happened. If they had acknowledged a commit there, that is
// a violation. Every Status other than Stale that this class returns is a violation: something Argon promises
// did not hold.

#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/checksum.h"
#include "core/base/ids.h"
#include "core/pg/rel.h"

namespace argon::compute {

// What one record did to model relations.
struct RecordEffect {
  Lsn end;
  std::vector<std::pair<pg::BlockTag, Hash128>> pages;                // contents after the record
  std::vector<std::pair<pg::RelTag, std::optional<uint32_t>>> sizes;  // in blocks; nothing: dropped
  std::vector<std::pair<pg::Xid, bool>> ended;                        // transactions; committed or aborted
  pg::Xid xid = pg::kInvalidXid;                                      // the record's transaction
  std::optional<int64_t> commit_time = {};                            // of a commit record, PostgreSQL's
};

class ReferenceModel {
 public:
  // A timeline that begins at `start`, without any model relation.
  explicit ReferenceModel(Lsn start);
  // A branch of `parent` at `at`: everything up to there, nothing of what comes later.
  ReferenceModel(const ReferenceModel& parent, Lsn at);

  // A compute was elected in `term`, with its WAL to begin at `start`. Stale where a higher term began
  // already: the compute is a zombie and nothing it writes counts.
  Status begin_term(Term term, Lsn start);
  // Ignored in a former term.
  void add(Term term, RecordEffect effect);
  // A transaction begins: its id must be above all that the history has.
  Status begin_transaction(pg::Xid xid) const;
  // The commit record that ends at `commit_end` is durable, says the proposer of `term`.
  Status acknowledge(Term term, pg::Xid xid, Lsn commit_end);

  Term term() const { return term_; }
  Lsn start() const { return start_; }
  Lsn end() const { return end_; }  // of the last record
  Lsn last_acknowledged() const { return last_acknowledged_; }
  size_t acknowledged() const { return acknowledged_; }

  // Of all commits up to there the latest time that a record has; nothing where there is none.
  std::optional<int64_t> commit_time_at(Lsn lsn) const;

  // Relations that existed at some time, in order.
  std::vector<pg::RelTag> relations() const;
  // Blocks at that LSN; nothing where it does not exist then.
  std::optional<uint32_t> blocks_at(const pg::RelTag& rel, Lsn lsn) const;
  // The LSN of the last change of size at or before `lsn`, at least start().
  Lsn size_changed_at(const pg::RelTag& rel, Lsn lsn) const;
  // The LSN of the last change of the page at or before `lsn`, at least start().
  Lsn page_changed_at(const pg::BlockTag& tag, Lsn lsn) const;
  // Whether `page` is what it must be at that LSN; the error says what differs.
  Status check_page(const pg::BlockTag& tag, Lsn lsn, ByteView page) const;
  Status check_blocks(const pg::RelTag& rel, Lsn lsn, std::optional<uint32_t> blocks) const;
  // The same for the first segment of pg_xact: every transaction that ended by then, and no other.
  Lsn clog_changed_at(Lsn lsn) const;
  Status check_clog(Lsn lsn, ByteView segment) const;

 private:
  template <typename T>
  using History = std::vector<std::pair<Lsn, T>>;  // ascending

  // pg_xact's first segment as it should be, up to the last byte that any transaction's end has written.
  const Bytes& clog_at(Lsn lsn) const;
  void cut(Lsn at);

  Lsn start_;
  Lsn end_;
  Term term_;
  Lsn term_start_;
  Lsn last_acknowledged_;
  size_t acknowledged_ = 0;
  std::map<pg::BlockTag, History<Hash128>> pages_;
  std::map<pg::RelTag, History<std::optional<uint32_t>>> sizes_;
  History<std::pair<pg::Xid, bool>> ends_;
  History<pg::Xid> highest_xid_;
  History<int64_t> commit_times_;
  // What clog_at() made of the first so many of ends_; it goes on from there.
  struct Clog {
    size_t ends = 0;
    Bytes bytes;
  };
  mutable Clog clog_;
};

}  // namespace argon::compute
