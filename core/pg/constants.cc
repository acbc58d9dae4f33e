#include "core/pg/constants.h"

#include <array>

namespace argon::pg {

std::string_view rmgr_name(uint8_t id) {
  static constexpr std::array<std::string_view, kLastBuiltinRmgr + 1> kNames = {
      "XLOG",       "Transaction",   "Storage", "CLOG",     "Database",
      "Tablespace", "MultiXact",     "RelMap",  "Standby",  "Heap2",
      "Heap",       "Btree",         "Hash",    "Gin",      "Gist",
      "Sequence",   "SPGist",        "BRIN",    "CommitTs", "ReplicationOrigin",
      "Generic",    "LogicalMessage"};
  if (id < kNames.size()) return kNames[id];
  return id >= kFirstCustomRmgr ? "custom" : "unknown";
}

std::string_view fork_name(Fork fork) {
  static constexpr std::array<std::string_view, kLastFork + 1> kNames = {"main", "fsm", "vm", "init"};
  auto index = static_cast<size_t>(fork);
  return index < kNames.size() ? kNames[index] : "unknown";
}

}  // namespace argon::pg
