#include "core/pg/rel.h"

#include "core/base/ids.h"
#include "core/pg/version.h"

namespace argon::pg {

namespace {

std::string fork_suffix(Fork fork) {
  return fork == Fork::Main ? std::string() : "_" + std::string(fork_name(fork));
}

Result<Oid> parse_oid(std::string_view text) {
  TRY_ASSIGN(uint64_t n, parse_u64(text));
  if (n > UINT32_MAX) return Error(Code::Invalid, "object id out of range: " + std::string(text));
  return static_cast<Oid>(n);
}

Result<Fork> parse_fork(std::string_view name) {
  for (uint8_t f = 1; f <= kLastFork; f++)
    if (name == fork_name(static_cast<Fork>(f))) return static_cast<Fork>(f);
  return Error(Code::Invalid, "unknown fork '" + std::string(name) + "'");
}

}  // namespace

std::string to_string(const RelFileNode& node) {
  return std::to_string(node.spc) + "/" + std::to_string(node.db) + "/" + std::to_string(node.rel);
}

std::string to_string(const RelTag& tag) {
  return to_string(tag.node) + fork_suffix(tag.fork);
}

std::string to_string(const BlockTag& tag) {
  return to_string(tag.rel) + ":" + std::to_string(tag.block);
}

Result<RelTag> parse_rel_tag(std::string_view text) {
  auto bad = [&] {
    return Error(Code::Invalid,
                 "'" + std::string(text) + "' is no relation: expected TABLESPACE/DATABASE/RELATION[_FORK]");
  };
  size_t first = text.find('/');
  size_t second = first == text.npos ? text.npos : text.find('/', first + 1);
  if (second == text.npos) return bad();
  RelTag tag;
  std::string_view last = text.substr(second + 1);
  if (size_t underscore = last.find('_'); underscore != last.npos) {
    auto fork = parse_fork(last.substr(underscore + 1));
    if (!fork.ok()) return bad();
    tag.fork = *fork;
    last = last.substr(0, underscore);
  }
  auto spc = parse_oid(text.substr(0, first));
  auto db = parse_oid(text.substr(first + 1, second - first - 1));
  auto rel = parse_oid(last);
  if (!spc.ok() || !db.ok() || !rel.ok()) return bad();
  tag.node = {*spc, *db, *rel};
  return tag;
}

std::string relation_path(const RelTag& tag) {
  std::string file = std::to_string(tag.node.rel) + fork_suffix(tag.fork);
  if (tag.node.spc == kGlobalTablespace) return "global/" + file;
  if (tag.node.spc == kDefaultTablespace) return "base/" + std::to_string(tag.node.db) + "/" + file;
  return "pg_tblspc/" + std::to_string(tag.node.spc) + "/" + std::string(kTablespaceVersionDir) + "/" +
         std::to_string(tag.node.db) + "/" + file;
}

}  // namespace argon::pg
