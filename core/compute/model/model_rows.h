// The table of rows of a model compute: where the newest version of each row lies, and transactions on them.
//
// Strict two-phase locking: a transaction takes the locks of all its keys at once and keeps them until a
// quorum has its commit record, so nobody reads what may still be lost. Where that is never known, as the
// compute ends, the keys stay locked. An aborted one leaves its tuples on the pages, as a server does.

#pragma once

#include <set>

#include "core/compute/model/model_writer.h"
#include "core/compute/model/row_workload.h"
#include "core/compute/model/rows.h"
#include "core/fiber/wait_list.h"

namespace argon::compute {

class ModelRows {
 public:
  ModelRows(const ModelContext& context, ModelWriter& writer) : context_(context), writer_(writer) {}

  // Makes the table, or finds the rows that are visible where this compute starts. Before any transaction.
  // A row that is there twice is a violation.
  Status open(Task& task, Lsn start);
  // Ends when its outcome is known. Suspends.
  Result<RowOutcome> run(Task& task, Random& random, const RowTransaction& transaction);

 private:
  struct Kept {
    uint64_t value = 0;
    pg::HeapPlace place;
  };
  Status lock(Task& task, const std::vector<uint64_t>& keys);
  void unlock(const std::vector<uint64_t>& keys);
  Status find_rows(Task& task, uint32_t blocks, const CommitLog& log);
  Status write_rows(Task& task, Random& random, pg::Xid xid, std::map<uint64_t, Kept>& rows);
  Status commit(Task& task, Random& random, std::map<uint64_t, Kept> rows, RowOutcome& outcome);

  const ModelContext& context_;
  ModelWriter& writer_;
  std::map<uint64_t, Kept> rows_;
  std::set<uint64_t> locked_;
  WaitList released_;
};

}  // namespace argon::compute
