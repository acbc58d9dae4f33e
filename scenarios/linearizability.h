// Linearizability: whether what clients saw of an object can be explained by an order of its operations, each
// at one moment between its call and its return.
//
// The search is Wing and Gong's with Lowe's cache (a set of operations that were put in order, and the state
// they lead to, is looked at once), and P-compositional as Porcupine is (Horn and Kroening): operations of
// different keys do not touch each other, so each key is checked by itself. Exponential at worst, in the
// number of operations that overlap.
//
// An operation whose outcome nobody knows has no return: it may take effect at any time after its call, or
// never.

#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace argon::scenarios {

struct Operation {
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  std::string key;
  int64_t call = 0;  // times; a return at the time of a call counts as overlapping it
  int64_t ret = kNever;
  std::string kind;    // as the specification names it: "create", "read"
  std::string input;   // what was asked
  std::string output;  // what was answered; not looked at where nothing was
};
std::string to_string(const Operation& operation);

// What one key must do, by itself. States are texts.
struct Specification {
  std::string initial;
  // The state after the operation, where its output (if it has one) is right in `state`; else nothing. An
  // operation without a return is possible in every state.
  std::function<std::optional<std::string>(const std::string& state, const Operation& operation)> step;
};

struct Linearizability {
  bool holds = true;
  bool decided = true;    // false: given up after `steps_most`; then `holds` says nothing
  std::string violation;  // key, and the operations around the one that cannot be explained
  uint64_t steps = 0;
  uint64_t keys = 0;
};

Linearizability check_linearizable(const std::vector<Operation>& history, const Specification& specification,
                                   uint64_t steps_most = 20'000'000);

// A register: "write" of `input`, "read" with `output`, "cas" with input "OLD>NEW" and output "yes" or "no",
// "swap", which writes `input` and whose output is what was there.
Specification register_specification(std::string initial);

// For registers of "read", "write" and "swap" to which no value is ever written twice: the same history, of
// which the search is short however many operations have no answer. What nobody has seen has not happened;
// what was seen happened before the first who saw it was answered. The result is linearizable if and only if
// `history` is.
std::vector<Operation> settle_unanswered(const std::vector<Operation>& history);

}  // namespace argon::scenarios
