#include "sim/event_log.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/codec.h"

namespace argon::sim {

std::string_view to_string(EventKind kind) {
  static constexpr std::string_view kNames[] = {
      "run",       "timer",         "boot",      "power-loss", "exit",      "connect",   "connect-failed",
      "send",      "deliver",       "reset",     "close",      "disk-open", "disk-read", "disk-write",
      "disk-sync", "disk-truncate", "disk-name", "disk-crash", "fault",     "note",      "kill"};
  return kNames[static_cast<size_t>(kind)];
}

namespace {

Hash128 chain(const Hash128& state, const std::vector<Event>& block) {
  Hash128 h = hash128({reinterpret_cast<const uint8_t*>(block.data()), block.size() * sizeof(Event)});
  Bytes mixed;
  Writer(mixed).le(state.high).le(state.low).le(h.high).le(h.low);
  return hash128(mixed);
}

}  // namespace

void EventLog::flush() {
  state_ = chain(state_, block_);
  checkpoints_.push_back(state_);
  if (keep_) kept_.insert(kept_.end(), block_.begin(), block_.end());
  block_.clear();
}

void EventLog::name(uint64_t hash, std::string_view text) {
  if (keep_) names_.try_emplace(hash, text);
}

void EventLog::remark(uint16_t node, int64_t time, std::string_view kind, std::string text) {
  if (keep_)
    remarks_.push_back({count_ == 0 ? 0 : count_ - 1, time, node, std::string(kind), std::move(text)});
}

Hash128 EventLog::hash() const {
  return chain(state_, block_);
}

std::vector<Event> EventLog::events() const {
  std::vector<Event> all = kept_;
  all.insert(all.end(), block_.begin(), block_.end());
  return all;
}

std::string EventLog::describe(const Event& event) const {
  auto named = names_.find(event.b);
  return fmt::format("{:>13}.{:03} us  node {:<3} {:<14} a={} b={:016x}{}{}", event.time / 1000,
                     event.time % 1000, event.node, to_string(event.kind), event.a, event.b,
                     named != names_.end() ? " " : "", named != names_.end() ? named->second : "");
}

std::string first_difference(const EventLog& a, const EventLog& b) {
  std::vector<Event> left = a.events();
  std::vector<Event> right = b.events();
  size_t common = std::min(left.size(), right.size());
  size_t at = 0;
  while (at < common && left[at] == right[at]) at++;
  if (at == left.size() && at == right.size()) return {};
  std::string text = fmt::format("first difference at event {}\n", at);
  for (size_t i = at < 8 ? 0 : at - 8; i < at; i++) text += "  both   " + a.describe(left[i]) + "\n";
  text += "  first  " + (at < left.size() ? a.describe(left[at]) : std::string("(the run ended)")) + "\n";
  text += "  second " + (at < right.size() ? b.describe(right[at]) : std::string("(the run ended)")) + "\n";
  return text;
}

}  // namespace argon::sim
