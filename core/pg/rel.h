// Names of what lies in a cluster: a relation, a fork of it, a block of a fork.
//
// Ordered by tablespace, database, relation, fork, block. Text forms are "1663/5/16384",
// "1663/5/16384_vm" (main without a suffix) and "1663/5/16384_vm:7".

#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/pg/constants.h"

namespace argon::pg {

// PostgreSQL 15's RelFileNode, in the order of its fields on disk. db is 0 for shared relations.
struct RelFileNode {
  Oid spc = 0;
  Oid db = 0;
  Oid rel = 0;

  friend constexpr auto operator<=>(const RelFileNode&, const RelFileNode&) = default;
};

struct RelTag {
  RelFileNode node;
  Fork fork = Fork::Main;

  friend constexpr auto operator<=>(const RelTag&, const RelTag&) = default;
};

struct BlockTag {
  RelTag rel;
  BlockNumber block = 0;

  friend constexpr auto operator<=>(const BlockTag&, const BlockTag&) = default;
};

std::string to_string(const RelFileNode& node);
std::string to_string(const RelTag& tag);
std::string to_string(const BlockTag& tag);

// The inverse of to_string(RelTag). Code::Invalid shows the text.
Result<RelTag> parse_rel_tag(std::string_view text);

// The file of a relation fork inside a data directory: "base/5/16384_vm", "global/1260",
// "pg_tblspc/16385/PG_15_202209061/5/16390". The first GiB; later files get ".1", ".2", ….
std::string relation_path(const RelTag& tag);

}  // namespace argon::pg
