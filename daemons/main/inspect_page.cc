// inspect page: one page, taken apart: header, line pointers, tuples, special area.
//
// Of a timeline, at any LSN, as the pageserver has it, or of a file of a data directory.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "core/compute/page_client.h"
#include "core/pg/describe/describe.h"
#include "core/pg/rel.h"
#include "daemons/main/commands.h"

namespace argon::cli {
namespace {

using namespace literals;
using Json = nlohmann::ordered_json;

constexpr size_t kWidestCell = 60;

struct Found {
  Bytes page;
  pg::Fork fork = pg::Fork::Main;
  pg::BlockNumber block = 0;  // of the fork
  Json from = Json::object();
};

// "16384_vm.2": the fork, and the file's first block.
void file_place(const std::string& path, Found& found) {
  std::string name = std::filesystem::path(path).filename();
  for (uint8_t fork = 1; fork <= pg::kLastFork; fork++) {
    auto suffix = "_" + std::string(pg::fork_name(static_cast<pg::Fork>(fork)));
    if (name.find(suffix) != std::string::npos) found.fork = static_cast<pg::Fork>(fork);
  }
  size_t dot = name.rfind('.');
  if (dot == std::string::npos) return;
  uint32_t number = 0;
  const char* end = name.data() + name.size();
  auto [at, error] = std::from_chars(name.data() + dot + 1, end, number);
  if (error == std::errc() && at == end && number < pg::kInvalidBlock / pg::kBlocksPerFile)
    found.block = number * pg::kBlocksPerFile;
}

Result<Found> page_of_file(Task& task, Env& env, const InspectPageOptions& options) {
  Found found;
  file_place(options.file, found);
  TRY_ASSIGN(auto file, env.disk().open(task, options.file, OpenMode::Read));
  found.page.resize(pg::kBlockSize);
  TRY_ASSIGN(size_t got, file->read_at(task, uint64_t{options.block} * pg::kBlockSize, found.page));
  if (got < pg::kBlockSize)
    return Error(Code::NotFound,
                 fmt::format("{}: it ends before block {} does", options.file, options.block));
  found.block += options.block;
  found.from["file"] = options.file;
  return found;
}

// The pageserver's own answer for a page that is not there is zeros, since servers ask for such.
Result<Bytes> read_page(Task& task, compute::PageClient& client, const pg::RelTag& rel, pg::BlockNumber block,
                        Lsn lsn) {
  Deadline deadline(task, 30_s);
  wire::PageRel name{rel.node.spc, rel.node.db, rel.node.rel, static_cast<uint8_t>(rel.fork)};
  TRY_ASSIGN(uint32_t blocks, client.blocks(task, name, {lsn, lsn}));
  if (block >= blocks) return Error(Code::NotFound, fmt::format("that fork has {} blocks there", blocks));
  return client.page(task, name, block, {lsn, lsn});
}

// The LSN that was asked for, else the last that the pageserver has.
Result<Lsn> lsn_of(Task& task, Session& session, const TenantTimelineId& id, const std::string& option) {
  if (!option.empty()) return parse_lsn(option);
  auto path = "/v1/tenant/" + to_string(id.tenant) + "/timeline/" + to_string(id.timeline);
  TRY_ASSIGN(nlohmann::json details, session.pageserver(task, "GET", path));
  return parse_lsn(details.value("last_record_lsn", ""));
}

Result<Found> page_of_timeline(Task& task, Env& env, const Globals& globals,
                               const InspectPageOptions& options) {
  TRY_ASSIGN(pg::RelTag rel, pg::parse_rel_tag(options.relation));
  TRY_ASSIGN(Session session, Session::open(task, env, globals, false));
  TenantTimelineId id;
  TRY_ASSIGN(id.tenant, session.state().tenant(options.tenant_id));
  TRY_ASSIGN(id.timeline, session.state().branch(id.tenant, options.branch_name));
  TRY_ASSIGN(Lsn lsn, lsn_of(task, session, id, options.lsn));
  Found found;
  found.fork = rel.fork;
  found.block = options.block;
  found.from = {{"relation", pg::to_string(pg::RelTag{rel.node, pg::Fork::Main})},
                {"branch_name", options.branch_name},
                {"timeline_id", to_string(id.timeline)},
                {"at_lsn", to_string(lsn)}};
  Scope scope(task);
  compute::PageClient client(scope, env, {session.config().pageserver_pg, id});
  Result<Bytes> page = read_page(task, client, rel, options.block, lsn);
  TRY(client.stop(task));
  TRY(scope.stop(task));
  TRY_ASSIGN(found.page,
             std::move(page).with(fmt::format("tenant {}, timeline {}, LSN {}, {}", to_string(id.tenant),
                                              to_string(id.timeline), to_string(lsn),
                                              pg::to_string(pg::BlockTag{rel, options.block}))));
  return found;
}

// ---- text

std::string cell(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (!value.is_array()) return value.dump();
  std::string joined;
  for (const Json& one : value) joined += (joined.empty() ? "" : " ") + cell(one);
  return joined.empty() ? "-" : joined;
}

std::string shortened(std::string text, bool whole) {
  if (whole || text.size() <= kWidestCell) return text;
  return text.substr(0, kWidestCell - 3) + "...";
}

void print_fields(const char* title, const Json& fields, bool whole) {
  fmt::print("{}\n", title);
  for (const auto& [key, value] : fields.items())
    fmt::print("  {:<20} {}\n", key, shortened(cell(value), whole));
}

// A column for each key that any item has, in the order in which they come up.
void print_items(const Json& items, bool whole) {
  std::vector<std::string> columns;
  for (const Json& item : items)
    for (const auto& [key, value] : item.items())
      if (std::ranges::find(columns, key) == columns.end()) columns.push_back(key);
  std::vector<std::vector<std::string>> rows{columns};
  for (const Json& item : items) {
    std::vector<std::string>& row = rows.emplace_back();
    for (const std::string& column : columns)
      row.push_back(item.contains(column) ? shortened(cell(item[column]), whole || column == "infomask")
                                          : "");
  }
  fmt::print("{}", table(rows));
}

void print_page(const Json& page, bool whole) {
  for (const auto& [key, value] : page.items()) {
    if (!value.is_object() && !value.is_array()) fmt::print("{}: {}\n", key, cell(value));
    if (value.is_object()) print_fields((key + ":").c_str(), value, whole);
  }
  if (!page["items"].empty()) {
    fmt::print("\n");
    print_items(page["items"], whole);
  }
  for (const Json& fault : page["faults"]) fmt::print("FAULT: {}\n", fault.get<std::string>());
}

}  // namespace

Status inspect_page(Task& task, Env& env, const Globals& globals, const InspectPageOptions& options) {
  if (options.file.empty() == options.relation.empty())
    return Error(Code::Invalid, "a page is of a FILE, or of a --relation: one of the two");
  TRY_ASSIGN(Found found, options.file.empty() ? page_of_timeline(task, env, globals, options)
                                               : page_of_file(task, env, options));
  Json page = std::move(found.from);
  page["fork"] = pg::fork_name(found.fork);
  page["block"] = found.block;
  page.update(pg::describe_page(found.page, found.fork, found.block));
  if (globals.json)
    globals.answer(page);
  else
    print_page(page, options.whole);
  if (page["faults"].empty()) return {};
  return Error(Code::Corrupt, fmt::format("the page does not add up in {} places", page["faults"].size()));
}

}  // namespace argon::cli
