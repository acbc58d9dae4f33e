// endpoint reconfigure: what may change of an endpoint while it runs.

#include <fmt/format.h>

#include <algorithm>

#include "core/http/client.h"
#include "daemons/main/commands.h"
#include "daemons/main/files.h"

namespace argon::cli {
namespace {

using namespace literals;
using nlohmann::json;

size_t remove_setting(Endpoint& endpoint, const std::string& name) {
  return std::erase_if(endpoint.settings,
                       [&](const std::string& line) { return setting_name(line) == setting_name(name); });
}

Status change(Endpoint& endpoint, const EndpointOptions& options) {
  for (const std::string& name : options.reset)
    if (remove_setting(endpoint, name) == 0)
      return Error(Code::NotFound, fmt::format("endpoint '{}' has no setting '{}' of its own; it has: {}",
                                               endpoint.name, name, fmt::join(endpoint.settings, ", ")));
  TRY(add_settings(endpoint, options.settings));
  if (options.suspend_after == "0") {
    endpoint.suspend_after = Duration();
  } else if (!options.suspend_after.empty()) {
    TRY_ASSIGN(endpoint.suspend_after, parse_duration(options.suspend_after));
  }
  return {};
}

// What the server refuses is taken back.
Result<json> take_up(Task& task, Session& session, const Endpoint& before, const Endpoint& wanted) {
  Result<json> told = reload_endpoint(task, wanted);
  if (!told.is(Code::Invalid)) return told;
  TRY(save_endpoint(session.config(), before));
  ignore_result(reload_endpoint(task, before));  // the first error says what was wrong
  return told.error().with("nothing was changed");
}

}  // namespace

std::string setting_name(std::string_view line) {
  std::string name(line.substr(0, line.find_first_of(" =\t")));
  std::ranges::transform(name, name.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return name;
}

Status add_settings(Endpoint& endpoint, const std::vector<std::string>& settings) {
  for (const std::string& setting : settings) {
    size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0 || setting.find('\n') != std::string::npos)
      return Error(Code::Invalid, "'" + setting + "' is not a setting: expected NAME=VALUE");
    TRY(check_utf8(setting));
    remove_setting(endpoint, setting);
    endpoint.settings.push_back(setting.substr(0, equals) + " = " + setting.substr(equals + 1));
  }
  return {};
}

Result<json> reload_endpoint(Task& task, const Endpoint& endpoint) {
  Deadline deadline(task, 30_s);
  return http::fetch_json(task, endpoint.listen_http, "POST", "/reload", nullptr);
}

Status endpoint_reconfigure(Task& task, Env& env, const Globals& globals, const EndpointOptions& options) {
  TRY_ASSIGN(Session session, Session::open(task, env, globals, true));
  TRY_ASSIGN(const Endpoint before, load_endpoint(session.config(), options.name));
  Endpoint wanted = before;
  TRY(change(wanted, options));
  TRY(save_endpoint(session.config(), wanted));
  json answer{{"running", false}, {"pending_restart", json::array()}};
  if (endpoint_status(session.config(), wanted) == "running") {
    TRY_ASSIGN(answer, take_up(task, session, before, wanted));
  }
  answer["endpoint"] = wanted.name;
  if (globals.json) {
    globals.answer(answer);
    return {};
  }
  bool running = answer.value("running", false);
  session.say(fmt::format("endpoint {}: reconfigured{}", wanted.name,
                          running ? "" : "; it takes effect when it starts"));
  const json& pending = answer["pending_restart"];
  if (pending.is_array() && !pending.empty())
    session.say(fmt::format("endpoint {}: these take effect at its next start: {}", wanted.name,
                            fmt::join(pending.get<std::vector<std::string>>(), ", ")));
  if (pending.is_null())
    session.say(
        fmt::format("endpoint {}: the server was told, and did not say yet what it made of it", wanted.name));
  return {};
}

}  // namespace argon::cli
