// The WAL service alone: a broker, three safekeepers with an object store, and a compute that writes records
// and remembers what was acknowledged. For the scenario `wal-service` and for tests that want the same in a
// plain world.

#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/compute/proposer_driver.h"
#include "core/pg/wal_builder.h"
#include "core/wire/pg_wire.h"
#include "sim/bucket.h"
#include "sim/machine.h"

namespace argon::scenarios {

// The compute's memory: it survives, since it is what the safekeepers are held to.
struct WalLedger {
  // Within a segment and a page, as a branch's; the segment ends after 2 MB, so that each run fills it.
  static constexpr Lsn kStart{0x1E12B28};

  Bytes log;  // from kStart: everything that may be in the WAL
  std::vector<pg::PlacedRecord> records;
  Lsn acknowledged = kStart;
  uint64_t commits = 0;
  uint64_t elections = 0;
  Term term;
  std::string broken;  // the promise that was, if any

  // A new term begins at `start`: what was beyond is gone for good.
  void restart(Lsn start);
};

class WalCluster {
 public:
  // Boots all machines. `world` outlives this; this outlives the machines' tasks.
  explicit WalCluster(sim::World& world);

  // What the compute does until `enough`, term after term: appends, waits for most, now and then not. In the
  // end it waits (a while) until all safekeepers have everything, and tells them that it is committed.
  // Errors: only those of being stopped. `may_write` is asked before each record.
  Status write(Task& task, std::function<bool()> enough, std::function<bool()> may_write = nullptr);
  // Whether a safekeeper has exactly what was acknowledged, as a stock reader gets it and as its hash chain
  // says. Corrupt, or why it cannot be read.
  Status check(Task& task, const std::string& safekeeper) const;
  // What a safekeeper says of the timeline over HTTP.
  Result<nlohmann::json> status(Task& task, const std::string& safekeeper) const;
  // A reader's connection, whose stream `command` has begun.
  static Result<std::unique_ptr<wire::PgClient>> connect_reader(Task& task, const std::string& safekeeper,
                                                                const std::string& command);
  // Reads all WAL up to `until` from a safekeeper. Errors: what it says; Disconnected.
  Status read(Task& task, const std::string& safekeeper, Lsn until) const;

  WalLedger& ledger() { return ledger_; }
  sim::Machine& compute() { return *compute_; }
  const std::vector<sim::Machine*>& safekeepers() const { return safekeepers_; }
  const sim::Bucket& store() const { return *store_; }
  sim::Bucket& store() { return *store_; }
  // A term ends by itself after about so long; never if 0.
  void set_term_length(Duration mean) { term_length_ = mean; }
  static TenantTimelineId timeline_id();
  // On a safekeeper's disk.
  static std::string timeline_folder();
  // Of the next term.
  compute::ProposerDriverConfig proposer_config() const;

 private:
  Status write_in_one_term(Task& task, compute::ProposerDriver& driver, Lsn start);
  Status settle(Task& task, compute::ProposerDriver& driver);
  using Take = std::function<Status(Lsn at, ByteView wal)>;
  static Status read_on(Task& task, const std::string& host, Lsn& at, Lsn until, const Take& take);
  static Status check_empty_page(Lsn at, ByteView page);
  // Of what comes next. `page` collects what lies before the first LSN.
  Status check_bytes(Lsn at, ByteView wal, Bytes& page) const;
  Status check_chain(Task& task, const std::string& safekeeper) const;
  Status read_all(Task& task, const std::string& host, const Take& take) const;

  WalLedger ledger_;
  std::function<bool()> enough_;
  std::function<bool()> may_write_;
  Duration term_length_;
  sim::Machine* compute_ = nullptr;
  std::vector<sim::Machine*> safekeepers_;
  std::shared_ptr<sim::Bucket> store_;  // all safekeepers'; their machines share it, and may outlive this
};

}  // namespace argon::scenarios
