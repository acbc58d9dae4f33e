// The model compute's few cached pages; everything else is read back from the pageserver, and compared.

#pragma once

#include <map>
#include <set>

#include "core/compute/model/model_compute.h"
#include "core/compute/page_client.h"
#include "core/compute/proposer_driver.h"

namespace argon::compute {

wire::PageRel to_wire(const pg::RelTag& rel);

// What all tasks of one incarnation share. Everything it refers to outlives it.
struct ModelContext {
  Env& env;
  const ModelComputeConfig& config;
  ReferenceModel& reference;
  ModelEvents& events;
  ProposerDriver& driver;
  PageClient& client;
  Logger log;
  Term term;

  // Another compute took over, so that nothing read or written here counts any more.
  Status still_writer() const;
  // Reports a violation, unless another compute took over meanwhile; the error to end with either way.
  Error judge(const Error& found) const;
  // Until a quorum has the commit record that ends there; then the reference and the scenario hear of it.
  Status wait_acknowledged(Task& task, pg::Xid xid, Lsn commit_end) const;
};

// Calls `read` until it succeeds, with pauses between: pageservers come and go. `read` gets the config's
// read_timeout each time. Ends with: the proposer's loss, Cancelled, TimedOut (the task's own deadline), and
// where history may be gone, that it is.
template <typename T>
Result<T> read_until_there(Task& task, const ModelContext& context,
                           const std::function<Result<T>(Task&)>& read);

class ModelPages {
 public:
  ModelPages(const ModelContext& context, Lsn start, bool checksums)
      : context_(context), start_(start), checksums_(checksums) {}

  // The page, from the cache or the pageserver; kept until unpin(). One that a server would refuse on a read
  // (PageIsVerifiedExtended) is a violation. Suspends.
  Result<Bytes*> get(Task& task, const pg::BlockTag& tag);
  // A block that does not exist yet, all zeros; kept until unpin().
  Bytes& make(const pg::BlockTag& tag);
  // The cached page, or null.
  Bytes* find(const pg::BlockTag& tag);
  void changed(const pg::BlockTag& tag, Lsn lsn) { written_[tag] = lsn; }
  void unpin() { pinned_.clear(); }
  // Blocks from `first` on do not exist any more.
  void forget(const pg::RelTag& rel, uint32_t first);

 private:
  struct Cached {
    Bytes bytes;
    uint64_t used = 0;
  };
  void make_room();

  const ModelContext& context_;
  Lsn start_;
  bool checksums_;  // the cluster has page checksums
  uint64_t clock_ = 0;
  std::map<pg::BlockTag, Cached> cached_;
  std::map<pg::BlockTag, Lsn> written_;  // last change by this compute
  std::set<pg::BlockTag> pinned_;
};

template <typename T>
Result<T> read_until_there(Task& task, const ModelContext& context,
                           const std::function<Result<T>(Task&)>& read) {
  while (true) {
    TRY(context.still_writer());
    Result<T> got = [&] {
      Deadline deadline(task, context.config.read_timeout);
      return read(task);
    }();
    if (got.ok()) return got;
    if (task.cancelled()) return got.error();
    if (context.config.history_gone && is_below_gc_cutoff(got.error())) return got;
    context.log.info("read again: {}", got.error().to_string());
    TRY(task.sleep(
        context.env.random("model.read").between(Duration::milliseconds(50), Duration::milliseconds(500))));
  }
}

}  // namespace argon::compute
