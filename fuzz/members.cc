// What safekeepers, operators and the object store say of members and of logs to be copied, as JSON: it
// parses or says why not; a configuration that was decided, and a report, come back as they were told.

#include <nlohmann/json.hpp>

#include "core/base/check.h"
#include "core/safekeeper/donor.h"
#include "core/safekeeper/management_json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace argon;
  using namespace argon::safekeeper;
  std::string_view text = as_text(ByteView(data, size));
  if (auto members = parse_members(text); members.ok()) {
    auto again = parse_members(members_text(*members));
    CHECK(again.ok() && *again == *members);
  }
  nlohmann::json body = nlohmann::json::parse(text, nullptr, false);
  if (body.is_discarded()) return 0;
  if (auto report = report_of(body); report.ok()) {
    auto again = report_of(to_json(*report));
    CHECK(again.ok() && again->id == report->id && again->position == report->position);
  }
  if (auto donor = parse_donor(Address::tcp("donor", 1), {}, body); donor.ok())
    CHECK(!donor->control.acceptor.local_start.valid() ||
          donor->position().flush >= donor->control.acceptor.commit);
  return 0;
}
