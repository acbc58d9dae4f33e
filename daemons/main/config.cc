#include "daemons/main/config.h"

#include <unistd.h>

#include <toml++/toml.h>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>

#include "daemons/main/files.h"
#include "daemons/posix/log_file.h"

namespace argon::cli {
namespace {

// Reads keys of one table; remembers the first mistake.
class TableReader {
 public:
  TableReader(const toml::table& table, std::string name, Status& status)
      : table_(table), name_(std::move(name)), status_(status) {}
  ~TableReader() {
    for (const auto& [key, value] : table_)
      if (!known_.contains(std::string(key.str()))) fail(std::string(key.str()), "is not a known key");
  }

  void text(const std::string& key, std::string& out) {
    if (const toml::node* node = find(key)) {
      if (auto value = node->value<std::string>())
        out = *value;
      else
        fail(key, "is not a text");
    }
  }
  void flag(const std::string& key, bool& out) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    if (auto value = node->value_exact<bool>())
      out = *value;
    else
      fail(key, "is neither true nor false");
  }
  void number(const std::string& key, uint64_t low, uint64_t high, uint64_t& out) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    auto value = node->value<int64_t>();
    if (!value || *value < 0 || static_cast<uint64_t>(*value) < low || static_cast<uint64_t>(*value) > high)
      return fail(key, "is not a number from " + std::to_string(low) + " to " + std::to_string(high));
    out = static_cast<uint64_t>(*value);
  }
  void address(const std::string& key, Address& out) {
    std::string value;
    text(key, value);
    if (value.empty()) return fail(key, "is missing: expected HOST:PORT");
    Result<Address> parsed = parse_address(value);
    if (!parsed.ok()) return fail(key, parsed.error().message());
    out = *parsed;
  }
  void texts(const std::string& key, std::vector<std::string>& out) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const toml::array* array = node->as_array();
    if (array == nullptr) return fail(key, "is not a list of texts");
    for (const toml::node& one : *array) {
      auto value = one.value<std::string>();
      if (!value) return fail(key, "is not a list of texts");
      out.push_back(*value);
    }
  }
  bool has(const std::string& key) const { return table_.contains(key); }
  void fail(const std::string& key, const std::string& why) {
    if (status_.ok()) status_ = Error(Code::Invalid, name_ + "." + key + " " + why);
  }

 private:
  const toml::node* find(const std::string& key) {
    known_.insert(key);
    return table_.get(key);
  }

  const toml::table& table_;
  std::string name_;
  Status& status_;
  std::set<std::string> known_;
};

const toml::table& section(const toml::table& root, std::string_view name) {
  static const toml::table kNone;
  const toml::table* found = root[name].as_table();
  return found != nullptr ? *found : kNone;
}

void read_object_store(const toml::table& root, Config& config, Status& status) {
  TableReader t(section(root, "object_store"), "object_store", status);
  t.text("path", config.object_store);
  S3Section s3;
  t.text("s3_endpoint", s3.endpoint);
  t.text("s3_bucket", s3.bucket);
  t.text("s3_prefix", s3.prefix);
  t.text("s3_region", s3.region);
  t.text("s3_access_key", s3.access_key);
  t.text("s3_secret_key", s3.secret_key);
  t.text("s3_ca_file", s3.ca_file);
  t.flag("s3_conditional_put", s3.conditional_put);
  if (s3.endpoint.empty() && s3.bucket.empty()) return;
  if (t.has("path")) t.fail("path", "is given beside s3_endpoint or s3_bucket: it is one or the other");
  if (s3.endpoint.empty())
    t.fail("s3_endpoint", "is missing: expected https://HOST[:PORT] or http://HOST[:PORT]");
  if (s3.bucket.empty()) t.fail("s3_bucket", "is missing");
  if (s3.access_key.empty() != s3.secret_key.empty())
    t.fail("s3_access_key", "and s3_secret_key are given together or not at all");
  config.s3 = s3;
}

void read_sections(const toml::table& root, Config& config, Status& status) {
  {
    TableReader t(section(root, "postgresql"), "postgresql", status);
    t.text("bin_dir", config.postgres_bin);
    t.text("user", config.postgres_user);
  }
  {
    std::string level = "info";
    TableReader t(section(root, "log"), "log", status);
    t.text("level", level);
    Result<LogLevel> parsed = posix::parse_log_level(level);
    if (parsed.ok())
      config.log_level = *parsed;
    else
      t.fail("level", parsed.error().message());
  }
  {
    TableReader t(section(root, "broker"), "broker", status);
    t.address("listen", config.broker_listen);
    t.address("listen_http", config.broker_http);
  }
  {
    TableReader t(section(root, "pageserver"), "pageserver", status);
    t.number("id", 1, UINT32_MAX, config.pageserver_id);
    t.address("listen_pg", config.pageserver_pg);
    t.address("listen_http", config.pageserver_http);
    t.number("layer_bytes_max", 0, INT64_MAX, config.pageserver_layer_bytes_max);
    t.number("layer_in_use_s", 0, 24 * 3600, config.pageserver_layer_in_use);
    t.number("disk_free_min", 0, INT64_MAX, config.pageserver_disk_free_min);
    t.flag("interpreted_wal", config.pageserver_interpreted_wal);
    t.flag("compressed_wal", config.pageserver_compressed_wal);
    t.flag("compressed_layers", config.pageserver_compressed_layers);
  }
  read_object_store(root, config, status);
  if (root.contains("proxy")) {
    TableReader t(section(root, "proxy"), "proxy", status);
    t.address("listen", config.proxy_listen);
    t.address("listen_http", config.proxy_http);
    t.text("tls_cert", config.proxy_tls_cert);
    t.text("tls_key", config.proxy_tls_key);
    t.flag("tls_required", config.proxy_tls_required);
    if (config.proxy_tls_cert.empty() != config.proxy_tls_key.empty())
      t.fail(config.proxy_tls_cert.empty() ? "tls_cert" : "tls_key",
             "is missing: TLS needs a certificate and its key");
    if (config.proxy_tls_required && config.proxy_tls_cert.empty())
      t.fail("tls_required", "needs tls_cert and tls_key");
  }
  TableReader t(section(root, "endpoints"), "endpoints", status);
  uint64_t port = config.endpoint_first_port;
  t.text("listen_host", config.endpoint_host);
  t.number("first_port", 1, 65535, port);
  t.texts("settings", config.endpoint_settings);
  config.endpoint_first_port = static_cast<uint16_t>(port);
}

void read_safekeepers(const toml::table& root, Config& config, Status& status) {
  const toml::array* list = root["safekeepers"].as_array();
  std::set<uint64_t> ids;
  for (size_t i = 0; list != nullptr && i < list->size(); i++) {
    const toml::table* table = (*list)[i].as_table();
    if (table == nullptr) continue;
    SafekeeperNode node;
    TableReader t(*table, "safekeepers[" + std::to_string(i) + "]", status);
    t.number("id", 1, UINT32_MAX, node.id);
    t.address("listen_pg", node.listen_pg);
    t.address("listen_http", node.listen_http);
    t.number("evict_after_s", 0, INT32_MAX, node.evict_after);
    if (node.id == 0 || !ids.insert(node.id).second) t.fail("id", "is missing or given twice");
    config.safekeepers.push_back(node);
  }
  if (config.safekeepers.empty() && status.ok())
    status = Error(Code::Invalid, "there is no [[safekeepers]] section");
}

void read_pageservers(const toml::table& root, Config& config, Status& status) {
  const toml::array* list = root["pageservers"].as_array();
  std::set<uint64_t> ids{config.pageserver_id};
  for (size_t i = 0; list != nullptr && i < list->size(); i++) {
    const toml::table* table = (*list)[i].as_table();
    if (table == nullptr) continue;
    PageserverNode node;
    TableReader t(*table, "pageservers[" + std::to_string(i) + "]", status);
    t.number("id", 1, UINT32_MAX, node.id);
    t.address("listen_pg", node.listen_pg);
    t.address("listen_http", node.listen_http);
    if (node.id == 0 || !ids.insert(node.id).second) t.fail("id", "is missing or given twice");
    config.more_pageservers.push_back(node);
  }
}

void check_sections(const toml::table& root, Status& status) {
  const std::set<std::string_view> known{"version",     "postgresql",  "log",          "broker", "pageserver",
                                         "pageservers", "safekeepers", "object_store", "proxy",  "endpoints"};
  for (const auto& [key, value] : root)
    if (status.ok() && !known.contains(key.str()))
      status = Error(Code::Invalid, std::string(key.str()) + " is not a known section or key");
  if (status.ok() && root["version"].value_or(int64_t{0}) != 1)
    status = Error(Code::Unsupported, "version is not 1: this build knows no other");
}

}  // namespace

std::string Config::path(std::string_view name) const {
  return dir + "/" + std::string(name);
}

std::string Config::resolve(const std::string& name) const {
  return name.starts_with('/') ? name : path(name);
}

std::string Config::safekeeper_socket(uint64_t id) const {
  constexpr size_t kLongest = 100;
  std::string path = safekeeper_dir(id) + "/wal.socket";
  return path.size() <= kLongest ? path : "";
}

std::vector<PageserverNode> Config::pageservers() const {
  std::vector<PageserverNode> all{{pageserver_id, pageserver_pg, pageserver_http}};
  all.insert(all.end(), more_pageservers.begin(), more_pageservers.end());
  return all;
}

Result<PageserverNode> Config::pageserver(uint64_t id) const {
  std::string there;
  for (const PageserverNode& node : pageservers()) {
    if (id == 0 || node.id == id) return node;
    there += (there.empty() ? "" : ", ") + std::to_string(node.id);
  }
  return Error(Code::NotFound, "there is no pageserver " + std::to_string(id) + " in " + config_file() +
                                   " (there are: " + there + ")");
}

std::string Config::object_store_dir() const {
  return resolve(object_store);
}

std::string Config::server_user() const {
  return geteuid() == 0 ? postgres_user : "";
}

Result<Config> load_config(const std::string& dir) {
  Config config;
  config.dir = dir;
  std::string file = config.config_file();
  if (!std::filesystem::exists(file))
    return Error(Code::NotFound, "there is no cluster in " + dir +
                                     " (no argon.toml): run `argon init` first, or "
                                     "name the state folder by --dir or ARGON_DIR");
  Status status;
  try {
    toml::table root = toml::parse_file(file);
    check_sections(root, status);
    read_sections(root, config, status);
    read_pageservers(root, config, status);
    read_safekeepers(root, config, status);
  } catch (const toml::parse_error& error) {
    std::ostringstream where;
    where << error.source().begin.line << ": " << error.description();
    return Error(Code::Invalid, file + ":" + where.str());
  }
  if (!status.ok()) return status.error().with(file);
  return config;
}

Status add_safekeeper_section(const Config& config, const SafekeeperNode& node) {
  TRY_ASSIGN(std::string text, read_text(config.config_file()));
  if (!text.ends_with('\n')) text += '\n';
  return write_text(config.config_file(), text + safekeeper_text(node));
}

Status remove_safekeeper_section(const Config& config, uint64_t id) {
  TRY_ASSIGN(std::string text, read_text(config.config_file()));
  toml::table root = toml::parse(text);
  const toml::array* list = root["safekeepers"].as_array();
  for (size_t i = 0; list != nullptr && i < list->size(); i++) {
    const toml::table* table = (*list)[i].as_table();
    if (table == nullptr || (*table)["id"].value_or(int64_t{0}) != static_cast<int64_t>(id)) continue;
    std::istringstream lines(text);
    std::string rest;
    bool inside = false;
    uint32_t number = 0;
    for (std::string line; std::getline(lines, line);) {
      number++;
      if (number == table->source().begin.line)
        inside = true;
      else if (line.starts_with('['))
        inside = false;
      if (!inside) rest += line + '\n';
    }
    return write_text(config.config_file(), rest);
  }
  return Error(Code::NotFound,
               "there is no safekeeper " + std::to_string(id) + " in " + config.config_file());
}

std::string state_dir(const std::string& option) {
  std::string dir = option;
  const char* from_environment = std::getenv("ARGON_DIR");
  if (dir.empty() && from_environment != nullptr) dir = from_environment;
  if (dir.empty()) dir = ".argon";
  std::string absolute = std::filesystem::absolute(dir).lexically_normal().string();
  while (absolute.size() > 1 && absolute.ends_with('/')) absolute.pop_back();
  return absolute;
}

}  // namespace argon::cli
