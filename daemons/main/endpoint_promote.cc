// endpoint promote: stop, elect, start.
//
// The former primary is stopped in order, so that all it acknowledged is committed and nobody has to wait for
// its locks; where it cannot be (its machine is gone), the election keeps it from writing. What it had
// committed is where the new one starts.

#include <fmt/format.h>

#include <algorithm>

#include "daemons/main/commands.h"

namespace argon::cli {
namespace {

using compute::EndpointMode;

constexpr std::string_view kRoom[] = {"max_connections", "max_worker_processes", "max_wal_senders",
                                      "max_prepared_transactions", "max_locks_per_transaction"};

// The primary of the timeline that runs, or ran until it was killed.
Result<std::optional<Endpoint>> former_primary(const Config& config, const Endpoint& replica) {
  TRY_ASSIGN(std::vector<Endpoint> all, load_endpoints(config));
  for (const Endpoint& other : all) {
    std::string status = endpoint_status(config, other);
    if (other.id == replica.id && other.mode == EndpointMode::Primary &&
        (status == "running" || status == "crashed"))
      return std::optional(other);
  }
  return std::optional<Endpoint>();
}

// What the former one was given room for, the new one must have room for: a server does not start with fewer
// than the transactions that are prepared.
void take_over_room(Endpoint& endpoint, const Endpoint& former) {
  for (const std::string& line : former.settings) {
    std::string name = setting_name(line);
    bool is_room = std::ranges::count(kRoom, name) > 0;
    bool has = std::ranges::any_of(endpoint.settings,
                                   [&](const std::string& own) { return setting_name(own) == name; });
    if (is_room && !has) endpoint.settings.push_back(line);
  }
}

}  // namespace

Status endpoint_promote(Task& task, Env& env, const Globals& globals, const EndpointOptions& options) {
  TRY_ASSIGN(Duration timeout, parse_duration(options.timeout));
  TRY_ASSIGN(Session session, Session::open(task, env, globals, true));
  const Config& config = session.config();
  TRY_ASSIGN(Endpoint endpoint, load_endpoint(config, options.name));
  if (endpoint.mode != EndpointMode::Replica)
    return Error(Code::Invalid,
                 fmt::format("endpoint '{}' is no replica, but {}", endpoint.name, to_string(endpoint.mode)));
  TRY_ASSIGN(std::optional<Endpoint> former, former_primary(config, endpoint));
  if (former) {
    TRY(stop_endpoint(task, session, *former, StopMode::Fast));
    TRY(hold_back(config, *former));
  }
  TRY(stop_endpoint(task, session, endpoint, StopMode::Fast));
  endpoint.mode = EndpointMode::Primary;
  if (former) take_over_room(endpoint, *former);
  TRY(save_endpoint(config, endpoint));
  TRY(start_endpoint(task, env, session, endpoint, false, timeout)
          .with("it is the primary now, and starts by 'argon endpoint start " + endpoint.name + "'"));
  session.say(fmt::format("endpoint {}: primary of branch {}", endpoint.name, endpoint.branch));
  if (former && options.swap) {
    former->mode = EndpointMode::Replica;
    TRY(save_endpoint(config, *former));
    TRY(start_endpoint(task, env, session, *former, false, timeout));
    session.say(fmt::format("endpoint {}: replica of branch {}", former->name, former->branch));
  }
  if (globals.json)
    globals.answer({{"endpoint", endpoint.name},
                    {"address", to_string(endpoint.listen)},
                    {"former_primary", former ? nlohmann::json(former->name) : nlohmann::json()}});
  return {};
}

}  // namespace argon::cli
