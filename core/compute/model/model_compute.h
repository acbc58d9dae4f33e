// The model compute: stands in for a PostgreSQL server in simulated clusters, in process and fast.
//
// It does what a primary does to storage. It is elected, takes a base backup at its start position, writes
// real PostgreSQL WAL (the fabricated checkpoint first, then relations created and extended, heap inserts,
// updates, deletes, commits and aborts of interleaved transactions), keeps a few pages in a cache that
// evicts, and reads everything else back from the pageserver. Every page it reads is compared with the
// ReferenceModel, at the latest and at older LSNs. What it writes it tells the model; a commit is
// acknowledged once a quorum has it.
//
// The same proposer driver and page protocol serve the sidecar of a real server.

#pragma once

#include <functional>
#include <string>

#include "core/compute/model/reference_model.h"
#include "core/compute/model/row_workload.h"
#include "core/compute/page_client.h"
#include "core/consensus/messages.h"
#include "core/env/env.h"

namespace argon::compute {

struct ModelComputeConfig {
  std::string name;  // for events and logs
  TenantTimelineId id;
  Address pageserver;
  consensus::Configuration safekeepers;
  std::function<Result<consensus::Configuration>(Task&)> decided;  // ProposerDriverConfig's
  uint64_t system_id = 0;                                          // 0: not known before the base backup
  // Where the timeline's WAL begins, should no safekeeper have any (ProposerConfig::bootstrap_start).
  Lsn bootstrap_start;
  bool allow_creation = false;
  size_t append_bytes_max = consensus::kAppendBytesMax;  // ProposerDriverConfig's
  std::string directory;                                 // on this node's disk; holds compute.state

  uint32_t relations = 3;
  uint32_t backends = 3;  // transactions in progress at once
  uint32_t readers = 2;
  size_t cache_pages = 8;                             // at least 4
  uint32_t operations_max = 4;                        // in a transaction
  Duration think = Duration::milliseconds(150);       // mean pause between transactions of a backend
  Duration read_pause = Duration::milliseconds(100);  // mean pause between reads of a reader
  Duration read_timeout = Duration::seconds(20);      // of one read; then it is tried again
  Ratio aborts = {1, 10};
  // Not null: an old LSN may be below the pageserver's GC cutoff. Hears of reads that were refused for that.
  std::function<void(Lsn)> history_gone;
  std::function<bool()> may_begin;  // asked before each transaction; no: a pause, and again
  // Not null: also keeps a table of rows, and clients that ask this for what they do there.
  RowWorkload* rows = nullptr;
  uint32_t row_clients = 3;
  Duration row_pause = Duration::milliseconds(200);  // mean pause of a client
};

// What a scenario hears. Called without suspending; `compute` is the config's name.
class ModelEvents {
 public:
  virtual ~ModelEvents() = default;
  virtual void elected(const std::string& compute, Term term, Lsn start) = 0;
  // The base backup is there and the first own WAL handed over.
  virtual void started(const std::string& compute, Term term) = 0;
  virtual void commit_acknowledged(const std::string& compute, pg::Xid xid, Lsn commit_end) = 0;
  virtual void page_checked(const std::string& compute, const pg::BlockTag& tag, Lsn lsn) = 0;
  // A promise was broken; the run has failed.
  virtual void violated(const std::string& compute, const std::string& what) = 0;
};

// The pageserver refused because the LSN is below its GC cutoff.
bool is_below_gc_cutoff(const Error& error);

// Runs one incarnation until the task is cancelled (ok, in order: what it wrote may be uncommitted), another
// compute takes over (Stale), or a promise was broken (Corrupt, after violated()). Waits for safekeepers and
// pageserver as long as it takes. `reference` and `events` outlive it, and are shared by all computes of the
// timeline.
Status run_model_compute(Task& task, Env& env, const ModelComputeConfig& config, ReferenceModel& reference,
                         ModelEvents& events);

// Reads every block of every model relation at `lsn` (which the timeline must have reached, or will reach
// within the task's deadline) and compares. Returns how many pages were compared. Corrupt: a promise was
// broken; others: not readable.
Result<size_t> verify_timeline(Task& task, Env& env, const Address& pageserver, const TenantTimelineId& id,
                               const ReferenceModel& reference, Lsn lsn);

}  // namespace argon::compute
