// A tenant's configuration, from the object store or from a user: it parses or says why not, and what it
// gives parses to the same.

#include "core/pageserver/tenant_config.h"

#include "core/base/bytes.h"
#include "core/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace argon;
  auto config = pageserver::parse_tenant_config(as_text(ByteView(data, size)));
  if (!config.ok()) return 0;
  auto again = pageserver::parse_tenant_config(pageserver::to_json(*config));
  CHECK(again.ok() && *again == *config);
  return 0;
}
