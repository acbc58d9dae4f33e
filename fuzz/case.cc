// Cases as text: whatever is accepted prints to something that parses to the same case.

#include "scenarios/case.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace argon::scenarios;
  argon::Result<Case> parsed = parse_case({reinterpret_cast<const char*>(data), size});
  if (!parsed.ok()) return 0;
  argon::Result<Case> again = parse_case(print(*parsed));
  if (!again.ok() || *again != *parsed) std::abort();
  return 0;
}
