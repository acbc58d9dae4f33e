// Who the acceptors of a timeline are, and what a quorum of them is.
//
// A configuration has a generation, which only grows, and one or two sets of members. With two
// sets (a joint configuration, while membership changes) every decision needs a majority of
// each. Generation 0 means "none": no message with it is ever obeyed.

#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "core/base/ids.h"

namespace argon::consensus {

using ConfigurationGeneration = StrongNumber<struct ConfigurationGenerationTag, uint32_t>;

struct Member {
  NodeId id;
  std::string host;
  uint16_t port = 0;

  friend auto operator<=>(const Member&, const Member&) = default;
};

struct Configuration {
  ConfigurationGeneration generation;
  std::vector<Member> members;
  std::vector<Member> new_members;  // empty unless joint

  bool joint() const { return !new_members.empty(); }
  bool contains(NodeId id) const;
  // Members of either set, once each, by id.
  std::set<NodeId> ids() const;
  const Member* find(NodeId id) const;
  // A majority of members, and of new_members where there are any, is in `nodes`.
  bool is_quorum(const std::set<NodeId>& nodes) const;
  // Code::Invalid unless: generation > 0, members not empty, no id 0, no id twice in a set, at
  // most kMembersMax in a set.
  Status validate() const;

  // The same generation and members; their addresses may be written in another way.
  bool same_members(const Configuration& other) const;

  static constexpr size_t kMembersMax = 31;

  friend bool operator==(const Configuration&, const Configuration&) = default;
};

// "g3 {1, 2, 3} -> {2, 3, 4}".
std::string to_string(const Configuration& configuration);

}  // namespace argon::consensus
