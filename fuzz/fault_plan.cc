// Fault plans as text: whatever is accepted prints to something that parses to the same plan.

#include <cstdlib>

#include "faults/plan.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace argon::faults;
  argon::Result<Plan> plan = parse_plan({reinterpret_cast<const char*>(data), size});
  if (!plan.ok()) return 0;
  argon::Result<Plan> again = parse_plan(print(*plan));
  if (!again.ok() || *again != *plan) std::abort();
  return 0;
}
