#include "core/compute/lsn_lease.h"

#include <algorithm>

#include "core/wire/pg_wire.h"

namespace argon::compute {

namespace {

constexpr Duration kTimeout = Duration::seconds(10);
constexpr Duration kShortest = Duration::milliseconds(300);
constexpr Duration kLongest = Duration::seconds(600);
constexpr Duration kRetry = Duration::seconds(1);

}  // namespace

Result<Duration> take_lease(Task& task, Env& env, const LsnLease& lease) {
  std::string command = "lease lsn " + to_string(lease.id.tenant) + " " + to_string(lease.id.timeline) + " " +
                        to_string(lease.lsn);
  Deadline deadline(task, kTimeout);
  TRY_ASSIGN(auto client,
             wire::PgClient::connect(task, lease.pageserver, {{"user", "argon"}, {"database", "argon"}}));
  TRY_ASSIGN(wire::QueryResult answer, client->query(task, command).with(command));
  if (answer.rows.size() != 1 || answer.rows[0].size() != 1)
    return Error(Code::Corrupt, command + ": the answer is not one value");
  if (!answer.rows[0][0])
    return Error(Code::Invalid, "timeline " + to_string(lease.id) + " cannot be read at " +
                                    to_string(lease.lsn) +
                                    " (any more): its pageserver gives no lease of it");
  TRY_ASSIGN(uint64_t until, parse_u64(*answer.rows[0][0]).with(command));
  // Clocks may differ: what is too little or too much is not believed.
  WallTime end{static_cast<int64_t>(std::min<uint64_t>(until, INT64_MAX / 1'000'000)) * 1'000'000};
  return std::clamp(end - env.wall_now(), kShortest, kLongest);
}

Status keep_lease(Task& task, Env& env, const Logger& log, const std::function<LsnLease()>& lease,
                  Duration length) {
  for (;;) {
    TRY(task.sleep(length / 3));
    LsnLease now = lease();
    Result<Duration> renewed = take_lease(task, env, now);
    if (renewed.is(Code::Cancelled)) return renewed.error();
    if (!renewed.ok())
      log.warn("the lease of {} is not renewed, will try again: {}", to_string(now.lsn),
               renewed.error().to_string());
    length = renewed.ok() ? *renewed : kRetry * 3;
  }
}

}  // namespace argon::compute
