#include "scenarios/oracle_full_disk.h"

#include <nlohmann/json.hpp>

#include "core/safekeeper/management_json.h"

namespace argon::scenarios {
namespace {

using namespace argon::literals;
using nlohmann::json;

constexpr std::string_view kOracle = "a full disk refuses WAL alone";

// That, and no other fault of the disk that came at once.
bool blames_space(const std::string& text) {
  return text.find("No space left on device") != std::string::npos &&
         text.find("Input/output error") == std::string::npos;
}

// A start must write again what may not be durable, and cannot do without space.
bool of_a_start(const std::string& text) {
  return text.find("open WAL in ") != std::string::npos;
}

void look_at(Task& task, Run& run, const WalCluster& cluster, sim::Machine& machine) {
  auto status = cluster.status(task, machine.name());
  if (!status.ok()) return;
  if (status->contains("failure")) {
    std::string why = status->at("failure").dump();
    if (blames_space(why) && !of_a_start(why)) run.fail(std::string(kOracle), machine.name() + ": " + why);
    return;
  }
  if (!status->contains("wal_refused")) return;
  auto commit = safekeeper::lsn_field(*status, "commit_lsn");
  if (!commit.ok() || *commit <= WalLedger::kStart) return;
  Deadline deadline(task, 5_s);
  Status read = cluster.read(task, machine.name(), *commit);
  if (!read.ok() && blames_space(read.error().message()))
    run.fail(std::string(kOracle), machine.name() + ", to a reader: " + read.error().to_string());
}

}  // namespace

Status watch_full_disks(Task& task, Run& run, const WalCluster& cluster) {
  for (;;) {
    for (sim::Machine* machine : cluster.safekeepers()) {
      TRY(task.sleep(300_ms));
      look_at(task, run, cluster, *machine);
    }
  }
}

}  // namespace argon::scenarios
