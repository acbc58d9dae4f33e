// Text that clients send: option words, connection strings, START_REPLICATION, BASE_BACKUP; LSNs, ids and
// numbers.

#include "core/env/network.h"
#include "core/wire/pg_options.h"
#include "core/wire/replication.h"

using namespace argon;
using namespace argon::wire;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text = as_text({data, size});
  if (auto options = parse_options(text); options.ok()) {
    auto again = parse_options(format_options(*options));
    CHECK(again.ok() && *again == *options);
  }
  ignore_result(parse_conninfo(text));
  if (auto lsn = parse_lsn(text); lsn.ok()) CHECK(*parse_lsn(to_string(*lsn)) == *lsn);
  if (auto id = parse_tenant_id(text); id.ok()) CHECK(*parse_tenant_id(to_string(*id)) == *id);
  if (auto id = parse_timeline_id(text); id.ok()) CHECK(*parse_timeline_id(to_string(*id)) == *id);
  if (auto number = parse_u64(text); number.ok()) CHECK(*parse_u64(std::to_string(*number)) == *number);
  ignore_result(parse_address(text));
  for (std::string_view prefix : {"", "START_REPLICATION ", "START_REPLICATION SLOT s PHYSICAL "}) {
    auto command = parse_start_replication(std::string(prefix) + std::string(text));
    if (!command.ok() || !command->has_value() || !(*command)->slot.empty()) continue;
    auto again = parse_start_replication(to_string(**command));
    CHECK(again.ok() && again->has_value() && (*again)->start == (*command)->start);
    CHECK((*again)->term == (*command)->term && (*again)->interpreted == (*command)->interpreted);
  }
  for (std::string_view prefix : {"", "BASE_BACKUP (", "BASE_BACKUP (MANIFEST 'yes', "}) {
    auto command = parse_base_backup(std::string(prefix) + std::string(text));
    if (!command.ok() || !command->has_value()) continue;
    auto again = parse_base_backup(to_string(**command));
    CHECK(again.ok() && *again == *command);
  }
  return 0;
}
