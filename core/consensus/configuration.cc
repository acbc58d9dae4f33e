#include "core/consensus/configuration.h"

namespace argon::consensus {
namespace {

bool majority(const std::vector<Member>& members, const std::set<NodeId>& nodes) {
  size_t present = 0;
  for (const Member& member : members) present += nodes.contains(member.id) ? 1 : 0;
  return present >= members.size() / 2 + 1;
}

Status validate_set(const std::vector<Member>& members) {
  if (members.size() > Configuration::kMembersMax)
    return Error(Code::Invalid, std::to_string(members.size()) +
                                    " safekeepers in one configuration, at most " +
                                    std::to_string(Configuration::kMembersMax) + " are possible");
  std::set<NodeId> seen;
  for (const Member& member : members) {
    if (member.id == NodeId(0)) return Error(Code::Invalid, "safekeeper id 0 in a configuration");
    if (!seen.insert(member.id).second)
      return Error(Code::Invalid, "safekeeper " + to_string(member.id) + " twice in a configuration");
  }
  return {};
}

std::string set_text(const std::vector<Member>& members) {
  std::string text = "{";
  for (const Member& member : members) text += (text.size() > 1 ? ", " : "") + to_string(member.id);
  return text + "}";
}

}  // namespace

bool Configuration::same_members(const Configuration& other) const {
  auto id_set = [](const std::vector<Member>& members) {
    std::set<NodeId> set;
    for (const Member& member : members) set.insert(member.id);
    return set;
  };
  return generation == other.generation && id_set(members) == id_set(other.members) &&
         id_set(new_members) == id_set(other.new_members);
}

bool Configuration::contains(NodeId id) const {
  return find(id) != nullptr;
}

std::set<NodeId> Configuration::ids() const {
  std::set<NodeId> all;
  for (const Member& member : members) all.insert(member.id);
  for (const Member& member : new_members) all.insert(member.id);
  return all;
}

const Member* Configuration::find(NodeId id) const {
  for (const Member& member : members)
    if (member.id == id) return &member;
  for (const Member& member : new_members)
    if (member.id == id) return &member;
  return nullptr;
}

bool Configuration::is_quorum(const std::set<NodeId>& nodes) const {
  return majority(members, nodes) && (!joint() || majority(new_members, nodes));
}

Status Configuration::validate() const {
  if (generation.value == 0) return Error(Code::Invalid, "configuration of generation 0");
  if (members.empty()) return Error(Code::Invalid, "configuration without members");
  TRY(validate_set(members));
  return validate_set(new_members);
}

std::string to_string(const Configuration& configuration) {
  std::string text = "g" + to_string(configuration.generation) + " " + set_text(configuration.members);
  if (configuration.joint()) text += " -> " + set_text(configuration.new_members);
  return text;
}

}  // namespace argon::consensus
