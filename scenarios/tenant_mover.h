// TenantMover: an operator who moves a cluster's tenant between two pageservers, there and back again, in
// Neon's order: a warm copy, the former one stale, the new one beside it, computes, the former one gone.
//
// While everything fails he gives up anywhere, goes back, and takes over by force. Claim: a pageserver is
// what it was told to be, also after a start; nothing that the former one may read is removed before
// computes have moved; a warm copy is used as it is.

#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "scenarios/cluster_parts.h"

namespace argon::scenarios {

class TenantMover {
 public:
  // `tell_computes` begins to tell them of the pageserver that the cluster now uses; `computes_told`: none
  // uses the former one any more. REQUIRES: ClusterKnobs::second_pageserver.
  TenantMover(Cluster& cluster, std::function<void()> tell_computes, std::function<bool()> computes_told);

  // One step of the move that is under way, or the first of another one. Runs the world.
  void step();
  // One of both loses power for a while, or its disk.
  void one_pageserver_dies();
  // All is healed: the move under way comes to its end, and another one, which is warm.
  void finish();

  uint64_t moved() const { return moved_; }

 private:
  enum class At { Home, Warming, Leaving, Arriving, Handed, Served };
  struct Told {
    std::string mode;
    uint32_t boots = 0;                 // of the machine, when it was asked
    uint32_t doubtful_in = UINT32_MAX;  // a boot in which an answer was lost: it may still be carried out
  };

  sim::Machine& here() { return cluster_.pageserver(); }
  sim::Machine& there();
  std::string path() const { return "/v1/tenant/" + to_string(cluster_.tenant()); }
  bool by_chance(uint32_t of) { return impatient_ && run_.random().chance({1, of}); }

  std::optional<nlohmann::json> ask(const sim::Machine& at, const std::string& method,
                                    const std::string& target, const nlohmann::json& body, Duration patience);
  bool put(sim::Machine& at, const std::string& mode, Duration patience, uint64_t generation = 0);
  uint64_t next_generation(Duration patience);
  void go_on(Duration patience);
  void leave_former(Duration patience);
  void move_warm();
  uint64_t lost_disks();
  void check_nothing_removed();
  void check_modes();
  std::set<std::string> layer_files(sim::Machine& machine);
  int64_t layers_fetched(const sim::Machine& at);

  Cluster& cluster_;
  Run& run_;
  std::function<void()> tell_computes_;
  std::function<bool()> computes_told_;
  At at_ = At::Home;
  bool impatient_ = true;
  uint64_t moved_ = 0;
  uint64_t replaced_disks_ = 0;
  std::map<std::string, Told> told_;
  std::set<std::string> in_use_;  // while nothing may be removed
  std::optional<Code> last_code_;
};

}  // namespace argon::scenarios
