// A transaction of generated SQL while it is drawn.

#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "core/base/random.h"
#include "scenarios/sql_generator.h"

namespace argon::scenarios {

struct SqlDraft {
  Random& random;
  SqlState state;  // after what it has so far
  bool two_phase;  // will be prepared: nothing temporary, nothing unlogged
  std::vector<SqlStatement> statements;
  uint64_t nextvals;
  uint64_t savepoints;

  void add(std::string text) { statements.push_back({std::move(text)}); }
  void show(std::string text) { statements.push_back({std::move(text), true}); }
  std::string new_name(const char* prefix) { return prefix + std::to_string(state.next_name++); }

  // REQUIRES: not empty.
  template <typename Map>
  auto& one_of(Map& map) {
    return *std::next(map.begin(), static_cast<ptrdiff_t>(random.below(map.size())));
  }
};

}  // namespace argon::scenarios
