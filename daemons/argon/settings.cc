#include "daemons/argon/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace argon::cli {
namespace {

// One table of the file, with the errors that a person needs.
class Section {
 public:
  Section(const toml::table* table, std::string name, const std::string& path)
      : table_(table), name_(std::move(name)), path_(path) {}

  void read(const char* key, std::string& out, bool required = true) {
    known_.insert(key);
    const toml::node* node = find(key, required);
    if (node == nullptr) return;
    if (auto value = node->value_exact<std::string>())
      out = *value;
    else
      fail(key, "expected a text in quotes");
  }
  void read(const char* key, uint64_t& out, bool required = true) {
    known_.insert(key);
    const toml::node* node = find(key, required);
    if (node == nullptr) return;
    auto value = node->value_exact<int64_t>();
    if (value && *value >= 0)
      out = static_cast<uint64_t>(*value);
    else
      fail(key, "expected a number that is not negative");
  }
  void read(const char* key, Address& out) {
    std::string text;
    read(key, text);
    if (!status.ok()) return;
    Result<Address> address = parse_address(text);
    if (address.ok())
      out = *address;
    else
      fail(key, address.error().message());
  }
  // Refuses keys that nobody read.
  void finish() {
    if (table_ == nullptr || !status.ok()) return;
    for (const auto& [key, node] : *table_)
      if (!known_.contains(std::string(key.str()))) return fail(std::string(key.str()), "unknown key");
  }
  void fail(const std::string& key, const std::string& why) {
    if (status.ok())
      status = Error(Code::Invalid,
                     fmt::format("{}: {}{}{}: {}", path_, name_, name_.empty() ? "" : ".", key, why));
  }

  Status status;

 private:
  const toml::node* find(const char* key, bool required) {
    const toml::node* node = table_ == nullptr ? nullptr : table_->get(key);
    if (node == nullptr && required) fail(key, "missing");
    return node;
  }

  const toml::table* table_;
  std::string name_;
  const std::string& path_;
  std::set<std::string> known_;
};

Status read_safekeepers(const toml::table& file, const std::string& path, Settings& out) {
  const toml::array* list = file["safekeepers"].as_array();
  if (list == nullptr || list->empty())
    return Error(Code::Invalid, path + ": safekeepers: expected at least one [[safekeepers]] section");
  for (const toml::node& node : *list) {
    Section section(node.as_table(), "safekeepers", path);
    SafekeeperSettings safekeeper;
    section.read("id", safekeeper.id);
    section.read("listen_pg", safekeeper.listen_pg);
    section.read("listen_http", safekeeper.listen_http);
    section.finish();
    TRY(section.status);
    if (safekeeper.id == 0) return Error(Code::Invalid, path + ": safekeepers.id: 0 is no id");
    out.safekeepers.push_back(safekeeper);
  }
  return {};
}

Result<LogLevel> parse_level(const std::string& text, const std::string& path) {
  for (LogLevel level : {LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error})
    if (text == to_string(level)) return level;
  return Error(Code::Invalid, path + ": log.level: expected debug, info, warn or error, not '" + text + "'");
}

}  // namespace

std::string settings_text(const Settings& settings) {
  std::string text = fmt::format(
      "# Configuration of the Argon cluster in this folder. Written by `argon init`; edit it while the\n"
      "# cluster is stopped. Addresses are HOST:PORT.\n"
      "\n"
      "[broker]\n"
      "listen = \"{}\"       # positions of safekeepers\n"
      "listen_http = \"{}\"  # /v1/status, /metrics\n"
      "\n"
      "[pageserver]\n"
      "id = {}\n"
      "listen_pg = \"{}\"    # page service (PostgreSQL's wire protocol)\n"
      "listen_http = \"{}\"  # management, /v1/status, /metrics\n"
      "checkpoint_distance_mb = {}        # WAL collected in memory before it is written as a layer\n"
      "\n",
      to_string(settings.broker.listen), to_string(settings.broker.listen_http), settings.pageserver.id,
      to_string(settings.pageserver.listen_pg), to_string(settings.pageserver.listen_http),
      settings.pageserver.checkpoint_distance_mb);
  for (const SafekeeperSettings& safekeeper : settings.safekeepers)
    text += fmt::format(
        "[[safekeepers]]\n"
        "id = {}                            # not 0, never used again for another\n"
        "listen_pg = \"{}\"     # WAL: proposers, pageservers, stock pg_receivewal\n"
        "listen_http = \"{}\"   # management, /v1/status, /metrics\n"
        "\n",
        safekeeper.id, to_string(safekeeper.listen_pg), to_string(safekeeper.listen_http));
  text += fmt::format(
      "[object_store]\n"
      "path = \"{}\"             # a folder; relative to this file's\n"
      "\n"
      "[postgresql]\n"
      "bin_dir = \"{}\"   # of postgres and initdb, version 15.13 or a newer 15\n"
      "user = \"{}\"                        # runs the servers; empty: whoever runs argon (never root)\n"
      "\n"
      "[endpoints]\n"
      "first_port = {}                 # new endpoints take the next free port from here on\n"
      "\n"
      "[log]\n"
      "level = \"{}\"                       # debug, info, warn, error\n",
      settings.object_store, settings.postgres.bin_dir, settings.postgres.user, settings.first_endpoint_port,
      to_string(settings.log_level));
  return text;
}

Result<Settings> parse_settings(const std::string& text, const std::string& path) {
  toml::parse_result parsed = toml::parse(text, path);
  if (!parsed)
    return Error(Code::Invalid, fmt::format("{}: line {}: {}", path, parsed.error().source().begin.line,
                                            std::string(parsed.error().description())));
  const toml::table& file = parsed.table();
  Settings out;
  std::string level = "info";
  uint64_t first_port = out.first_endpoint_port;
  Section broker(file["broker"].as_table(), "broker", path);
  broker.read("listen", out.broker.listen);
  broker.read("listen_http", out.broker.listen_http);
  Section pageserver(file["pageserver"].as_table(), "pageserver", path);
  pageserver.read("id", out.pageserver.id);
  pageserver.read("listen_pg", out.pageserver.listen_pg);
  pageserver.read("listen_http", out.pageserver.listen_http);
  pageserver.read("checkpoint_distance_mb", out.pageserver.checkpoint_distance_mb, false);
  Section store(file["object_store"].as_table(), "object_store", path);
  store.read("path", out.object_store);
  Section postgres(file["postgresql"].as_table(), "postgresql", path);
  postgres.read("bin_dir", out.postgres.bin_dir);
  postgres.read("user", out.postgres.user, false);
  Section endpoints(file["endpoints"].as_table(), "endpoints", path);
  endpoints.read("first_port", first_port, false);
  Section log(file["log"].as_table(), "log", path);
  log.read("level", level, false);
  for (Section* section : {&broker, &pageserver, &store, &postgres, &endpoints, &log}) {
    section->finish();
    TRY(section->status);
  }
  TRY(read_safekeepers(file, path, out));
  static constexpr std::string_view kSections[] = {"broker",     "pageserver", "safekeepers", "object_store",
                                                   "postgresql", "endpoints",  "log"};
  for (const auto& [key, node] : file)
    if (std::find(std::begin(kSections), std::end(kSections), key.str()) == std::end(kSections))
      return Error(Code::Invalid, path + ": unknown section [" + std::string(key.str()) + "]");
  if (first_port == 0 || first_port > 65535)
    return Error(Code::Invalid, path + ": endpoints.first_port: expected a port from 1 to 65535");
  out.first_endpoint_port = static_cast<uint16_t>(first_port);
  TRY_ASSIGN(out.log_level, parse_level(level, path));
  return out;
}

Result<Settings> load_settings(const std::string& path) {
  std::ifstream file(path);
  if (!file)
    return Error(Code::NotFound, "there is no " + path +
                                     ": run `argon init` first, or name the state folder by "
                                     "--dir or ARGON_DIR");
  std::stringstream text;
  text << file.rdbuf();
  return parse_settings(text.str(), path);
}

}  // namespace argon::cli
