#include "core/compute/idle_watch.h"

#include <algorithm>

#include "core/wire/pg_wire.h"

namespace argon::compute {
namespace {

constexpr Duration kQuickestLook = Duration::milliseconds(200);
constexpr Duration kSlowestLook = Duration::seconds(5);
constexpr Duration kLookTimeout = Duration::seconds(5);

// Sessions of pg_stat_database count client backends, ours among them.
constexpr const char* kQuery = R"(
SELECT count(*) FILTER (WHERE state IS DISTINCT FROM 'idle'), coalesce(max(state_change)::text, ''),
       (SELECT sum(sessions) FROM pg_stat_database)
FROM pg_stat_activity
WHERE pid <> pg_backend_pid()
  AND (backend_type IN ('client backend', 'autovacuum worker', 'parallel worker')
       OR backend_type = 'walsender' AND application_name <> 'argon'))";

// A connection of its own: one that stays would be in the way of CREATE DATABASE and DROP DATABASE.
Result<Activity> look(Task& task, const ComputeConfig& config) {
  Deadline deadline(task, kLookTimeout);
  TRY_ASSIGN(auto client, wire::PgClient::connect(task, config.listen,
                                                  {{"user", "cloud_admin"},
                                                   {"database", "postgres"},
                                                   {"application_name", "argon_idle_watch"}}));
  TRY_ASSIGN(wire::QueryResult result, client->query(task, kQuery));
  client->put_terminate();
  TRY(client->flush(task));
  if (result.rows.size() != 1 || result.rows[0].size() != 3 || !result.rows[0][0] || !result.rows[0][2])
    return Error(Code::Corrupt, "the server's answer on its activity has another shape");
  TRY_ASSIGN(uint64_t at_work, parse_u64(*result.rows[0][0]));
  TRY_ASSIGN(uint64_t sessions, parse_u64(*result.rows[0][2]));
  return Activity{at_work > 0, result.rows[0][1].value_or(""), static_cast<int64_t>(sessions)};
}

}  // namespace

Status wait_until_idle(Task& task, Env& env, const ComputeConfig& config) {
  Logger log(env.log());
  IdleClock clock(env.now());
  int64_t own = 0;  // connections
  for (;;) {
    if (config.suspend_after == Duration()) {
      TRY(task.sleep(kSlowestLook));
      clock.failed(env.now());
      continue;
    }
    if (clock.idle(env.now()) >= config.suspend_after) return {};
    TRY(task.sleep(std::clamp(config.suspend_after / 10, kQuickestLook, kSlowestLook)));
    Result<Activity> activity = look(task, config);
    if (activity.is(Code::Cancelled)) return activity.error();
    int64_t before = own++;
    if (!activity.ok()) {
      log.warn("endpoint {}: cannot see whether it is idle: {}", config.endpoint,
               activity.error().to_string());
      clock.failed(env.now());
      continue;
    }
    activity->connections -= before;
    clock.looked(env.now(), *activity);
  }
}

}  // namespace argon::compute
