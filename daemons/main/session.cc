#include "daemons/main/session.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <cstdio>

#include "core/http/client.h"

namespace argon::cli {
namespace {

using namespace literals;

// Characters, not bytes, of UTF-8.
size_t width_of(const std::string& text) {
  size_t width = 0;
  for (char c : text) width += (c & 0xc0) != 0x80 ? 1 : 0;
  return width;
}

}  // namespace

Result<posix::Fd> lock_folder(Task& task, const Config& config, const std::string& name) {
  std::string path = config.path(name);
  posix::Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!file.valid()) return posix::os_error("open " + path, errno);
  constexpr int kTries = 600;
  for (int i = 0; i < kTries; i++) {
    if (flock(file.get(), LOCK_EX | LOCK_NB) == 0) return file;
    TRY(task.sleep(100_ms));
  }
  return Error(Code::Unavailable,
               "another argon command works on " + config.dir + " (it holds " + path + ")");
}

bool print_end(const Globals& globals, const Status& status) {
  if (globals.json) {
    nlohmann::json value = *globals.answered;
    if (!status.ok() && !value.is_object()) value = nlohmann::json::object();
    if (!status.ok()) value["error"] = status.error().message();
    CHECK(!value.is_null());
    // Names of files and words of the command line need not be UTF-8.
    std::printf("%s\n", value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  }
  bool printed = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (!status.ok()) std::fprintf(stderr, "argon: %s\n", status.error().message().c_str());
  return printed;
}

Result<Session> Session::open(Task& task, Env& env, const Globals& globals, bool exclusive) {
  Session session;
  session.env_ = &env;
  session.json_ = globals.json;
  TRY_ASSIGN(session.config_, load_config(state_dir(globals.dir)));
  if (exclusive) {
    TRY_ASSIGN(session.lock_, lock_folder(task, session.config_, "lock"));
  }
  TRY_ASSIGN(session.state_, load_state(session.config_));
  return session;
}

void Session::say(const std::string& line) const {
  std::FILE* to = json_ ? stderr : stdout;
  std::fprintf(to, "%s\n", line.c_str());
  std::fflush(to);
}

Progress Session::progress() const {
  return [json = json_](const std::string& line) {
    std::FILE* to = json ? stderr : stdout;
    std::fprintf(to, "%s\n", line.c_str());
    std::fflush(to);
  };
}

Result<nlohmann::json> Session::pageserver_at(Task& task, const PageserverNode& node,
                                              const std::string& method, const std::string& path,
                                              const nlohmann::json& body, Duration timeout) {
  std::string name =
      config_.more_pageservers.empty() ? "pageserver" : "pageserver " + std::to_string(node.id);
  Deadline deadline(task, timeout);
  Result<nlohmann::json> answer = http::fetch_json(task, node.listen_http, method, path, body);
  if (answer.is(Code::Unavailable) && answer.error().os_error() == ECONNREFUSED)
    return Error(Code::Unavailable, "the " + name + " does not run (" + to_string(node.listen_http) +
                                        " refuses the connection): run `argon start`");
  return std::move(answer).with(name);
}

Result<nlohmann::json> Session::pageserver(Task& task, const std::string& method, const std::string& path,
                                           const nlohmann::json& body, Duration timeout) {
  constexpr std::string_view kOfTenant = "/v1/tenant/";
  uint64_t id = 0;
  if (path.starts_with(kOfTenant))
    if (auto tenant = parse_tenant_id(path.substr(kOfTenant.size(), 32)); tenant.ok())
      id = state_.pageserver_of(*tenant);
  TRY_ASSIGN(PageserverNode node, config_.pageserver(id));
  return pageserver_at(task, node, method, path, body, timeout);
}

Result<nlohmann::json> Session::timelines(Task& task, const TenantId& tenant) {
  TRY_ASSIGN(nlohmann::json answer,
             pageserver(task, "GET", "/v1/tenant/" + to_string(tenant) + "/timeline_and_offloaded"));
  nlohmann::json all = nlohmann::json::array();
  for (const char* part : {"timelines", "offloaded"}) {
    if (!answer.is_object() || !answer.contains(part) || !answer[part].is_array())
      return Error(Code::Corrupt, std::string("the pageserver's answer has no list '") + part + "'");
    all.insert(all.end(), answer[part].begin(), answer[part].end());
  }
  return all;
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); i++) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); i++) {
      text += ' ' + row[i];
      if (i + 1 < row.size()) text += std::string(widths[i] - width_of(row[i]) + 1, ' ');
    }
    text += '\n';
  }
  return text;
}

}  // namespace argon::cli
