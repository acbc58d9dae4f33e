#include "sim/argon_sim/trace.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace argon::sim {
namespace {

constexpr std::string_view kPage =
#include "trace_page.inc"
    ;
constexpr std::string_view kDataMark = "/*DATA*/null";

template <class T>
std::string column(const std::vector<T>& values) {
  return to_base64({reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(T)});
}

// The events as columns; names as indexes into one list.
nlohmann::ordered_json columns(const EventLog& log) {
  std::vector<Event> events = log.events();
  std::map<uint64_t, int32_t> name_index;
  auto names = nlohmann::ordered_json::array();
  auto name_of = [&](uint64_t hash) -> int32_t {
    auto named = log.names().find(hash);
    if (named == log.names().end()) return -1;
    auto [entry, is_new] = name_index.try_emplace(hash, static_cast<int32_t>(names.size()));
    if (is_new) names.push_back(named->second);
    return entry->second;
  };
  std::vector<double> times;
  std::vector<uint8_t> kinds;
  std::vector<uint16_t> nodes;
  std::vector<uint32_t> as;
  std::vector<int32_t> causes;
  std::vector<uint32_t> sizes;
  std::vector<int32_t> texts;
  for (uint64_t i = 0; i < events.size(); i++) {
    const Event& event = events[i];
    Cause cause = log.cause(i);
    times.push_back(static_cast<double>(event.time) / 1000);
    kinds.push_back(static_cast<uint8_t>(event.kind));
    nodes.push_back(event.node);
    as.push_back(event.a);
    causes.push_back(cause.event == Cause::kNone ? -1 : static_cast<int32_t>(uint32_t{cause.event}));
    sizes.push_back(log.size(i));
    bool disk = event.kind == EventKind::DiskRead || event.kind == EventKind::DiskWrite ||
                event.kind == EventKind::DiskSync || event.kind == EventKind::DiskTruncate;
    texts.push_back(name_of(disk ? uint64_t{event.node} << 32 | event.a : event.b));
  }
  return {{"time", column(times)},   {"kind", column(kinds)}, {"node", column(nodes)}, {"a", column(as)},
          {"cause", column(causes)}, {"size", column(sizes)}, {"text", column(texts)}, {"names", names}};
}

std::vector<std::string> lanes(const scenarios::Report& report) {
  std::vector<std::string> names = {"world"};
  names.insert(names.end(), report.nodes.begin(), report.nodes.end());
  return names;
}

std::string dump(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

std::string html_trace(const scenarios::Report& report) {
  nlohmann::ordered_json json{{"scenario", report.scenario},
                              {"seed", report.seed},
                              {"ok", report.ok},
                              {"oracle", report.oracle},
                              {"failure", report.failure},
                              {"place", report.place},
                              {"plan", print(report.plan)},
                              {"end", static_cast<double>(report.virtual_time.ns) / 1000},
                              {"lanes", lanes(report)},
                              {"events", columns(*report.log)}};
  auto kinds = nlohmann::ordered_json::array();
  for (int kind = 0; kind <= static_cast<int>(EventKind::Kill); kind++)
    kinds.push_back(to_string(static_cast<EventKind>(kind)));
  json["kinds"] = kinds;
  auto& remarks = json["remarks"] = nlohmann::ordered_json::array();
  for (const Remark& r : report.log->remarks())
    remarks.push_back({r.event, static_cast<double>(r.time) / 1000, r.node, r.kind, r.text});
  std::string data = dump(json);
  // "</script" inside a string would end the page's script.
  for (size_t at = 0; (at = data.find("</", at)) != std::string::npos; at += 3) data.insert(at + 1, "\\");
  std::string page(kPage);
  size_t mark = page.find(kDataMark);
  return page.replace(mark, kDataMark.size(), data);
}

std::string perfetto_trace(const scenarios::Report& report) {
  const EventLog& log = *report.log;
  auto all = nlohmann::ordered_json::array();
  auto us = [](int64_t ns) { return static_cast<double>(ns) / 1000; };
  std::vector<std::string> names = lanes(report);
  for (size_t pid = 0; pid < names.size(); pid++)
    all.push_back({{"ph", "M"}, {"name", "process_name"}, {"pid", pid}, {"args", {{"name", names[pid]}}}});
  for (const faults::Fault& fault : report.plan.faults) {
    auto lane = std::find(names.begin(), names.end(), fault.node);
    all.push_back({{"ph", "X"},
                   {"name", "fault " + std::string(info(fault.kind).name)},
                   {"cat", "fault"},
                   {"pid", lane == names.end() ? 0 : lane - names.begin()},
                   {"tid", 100 + static_cast<int>(fault.kind)},
                   {"ts", us(fault.at.ns)},
                   {"dur", us(fault.length.ns)},
                   {"args", {{"plan", print(fault)}}}});
  }
  std::vector<Event> events = log.events();
  for (uint64_t i = 0; i < events.size(); i++) {
    const Event& event = events[i];
    if (event.kind == EventKind::Run || event.kind == EventKind::Note) continue;
    std::string name(to_string(event.kind));
    auto named = log.names().find(event.b);
    if (named != log.names().end()) name += " " + named->second;
    all.push_back({{"ph", "X"},
                   {"name", name},
                   {"pid", event.node},
                   {"tid", 1},
                   {"ts", us(event.time)},
                   {"dur", 1},
                   {"args", {{"event", i}, {"a", event.a}, {"bytes", log.size(i)}}}});
    bool sent = event.kind == EventKind::Send;
    if (!sent && event.kind != EventKind::Deliver) continue;
    uint64_t message = sent ? i : uint32_t{log.cause(i).event};
    if (message >= events.size() || events[message].kind != EventKind::Send)
      continue;  // an end, not a message
    nlohmann::ordered_json flow{{"ph", sent ? "s" : "f"}, {"name", "message"}, {"cat", "message"},
                                {"id", message},          {"pid", event.node}, {"tid", 1},
                                {"ts", us(event.time)}};
    if (!sent) flow["bp"] = "e";
    all.push_back(std::move(flow));
  }
  for (const Remark& r : log.remarks())
    all.push_back({{"ph", "i"},
                   {"s", "p"},
                   {"name", r.kind + ": " + r.text},
                   {"cat", r.kind},
                   {"pid", r.node},
                   {"tid", 2},
                   {"ts", us(r.time)}});
  return dump({{"traceEvents", std::move(all)}, {"displayTimeUnit", "ms"}});
}

}  // namespace argon::sim
