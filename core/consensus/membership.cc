#include "core/consensus/membership.h"

#include <algorithm>

namespace argon::consensus {

MembershipChange::MembershipChange(Configuration joint) : joint_(std::move(joint)) {
  CHECK(joint_.joint() && joint_.validate().ok(), to_string(joint_));
}

Configuration MembershipChange::final_configuration() const {
  return {ConfigurationGeneration(joint_.generation.value + 1), joint_.new_members, {}};
}

void MembershipChange::report(const MemberReport& report) {
  if (!joint_.contains(report.id) || report.generation < joint_.generation) return;
  auto [known, added] = reports_.try_emplace(report.id, report);
  if (!added && (report.generation < known->second.generation || report.term < known->second.term)) return;
  known->second = report;
  if (!fence_) set_fence();
}

// Once: what the old members say later was decided together with the new ones.
void MembershipChange::set_fence() {
  Configuration old{joint_.generation, joint_.members, {}};
  std::set<NodeId> told;
  Fence fence;
  for (const auto& [id, report] : reports_) {
    if (!old.contains(id)) continue;
    told.insert(id);
    fence.term = std::max(fence.term, report.term);
    fence.position = std::max(fence.position, report.position);
  }
  if (old.is_quorum(told)) fence_ = fence;
}

bool MembershipChange::reached(NodeId id) const {
  auto report = reports_.find(id);
  return report != reports_.end() && report->second.term >= fence_->term &&
         report->second.position >= fence_->position;
}

bool MembershipChange::ready() const {
  if (!fence_) return false;
  std::set<NodeId> there;
  for (const Member& member : joint_.new_members)
    if (reached(member.id)) there.insert(member.id);
  return final_configuration().is_quorum(there);
}

bool MembershipChange::done() const {
  Configuration last = final_configuration();
  std::set<NodeId> there;
  for (const auto& [id, report] : reports_)
    if (report.generation >= last.generation) there.insert(id);
  return last.is_quorum(there);
}

std::vector<NodeId> MembershipChange::below_term() const {
  std::vector<NodeId> below;
  if (!fence_) return below;
  for (const Member& member : joint_.new_members)
    if (auto report = reports_.find(member.id); report != reports_.end() &&
                                                report->second.term < fence_->term &&
                                                report->second.position >= fence_->position)
      below.push_back(member.id);
  return below;
}

std::string MembershipChange::waiting_for() const {
  std::string text;
  auto add = [&](NodeId id, const std::string& what) {
    text += (text.empty() ? "" : ", ") + ("safekeeper " + argon::to_string(id) + " " + what);
  };
  if (!fence_) {
    for (const Member& member : joint_.members)
      if (!reports_.contains(member.id)) add(member.id, "to join " + to_string(joint_));
    return text;
  }
  for (const Member& member : joint_.new_members) {
    auto report = reports_.find(member.id);
    if (report == reports_.end())
      add(member.id, "to join " + to_string(joint_));
    else if (report->second.position < fence_->position)
      add(member.id, "to have WAL of term " + argon::to_string(fence_->position.last_log_term) + " up to " +
                         argon::to_string(fence_->position.flush) + " (it has " +
                         argon::to_string(report->second.position.flush) + ")");
    else if (report->second.term < fence_->term)
      add(member.id, "to be in term " + argon::to_string(fence_->term));
  }
  return text;
}

}  // namespace argon::consensus
