// inspect layers: the layers of a timeline, as its index names them: a table, and a picture.

#include <fmt/format.h>

#include "core/env/io.h"
#include "daemons/main/commands.h"
#include "daemons/main/layer_map.h"

namespace argon::cli {
namespace {

using nlohmann::json;
using pageserver::LayerKind;
using pageserver::TimelineIndex;

constexpr uint64_t kIndexMax = 1ull << 30;

// The file that was named, else the one of the branch that the tenant's pageserver has.
Result<std::string> index_file(Task& task, Env& env, const Globals& globals,
                               const InspectLayersOptions& options) {
  if (!options.file.empty()) return options.file;
  TRY_ASSIGN(Session session, Session::open(task, env, globals, false));
  TRY_ASSIGN(TenantId tenant, session.state().tenant(options.tenant_id));
  TRY_ASSIGN(TimelineId timeline, session.state().branch(tenant, options.branch_name));
  TRY_ASSIGN(PageserverNode node, session.config().pageserver(session.state().pageserver_of(tenant)));
  return session.config().pageserver_dir(node.id) + "/data/tenants/" + to_string(tenant) + "/timelines/" +
         to_string(timeline) + "/index";
}

json to_json(const TimelineIndex::Layer& layer) {
  const pageserver::LayerName& name = layer.name;
  bool image = name.kind == LayerKind::Image;
  json out{{"name", pageserver::to_string(name)},
           {"kind", image ? "image" : "delta"},
           {"level", image ? json(nullptr) : json(is_l0(name) ? 0 : 1)},
           {"begin_lsn", to_string(name.begin)},
           {"begin_key", describe(name.keys.begin)},
           {"end_key", describe(name.keys.end)},
           {"bytes", layer.size}};
  if (!image) out["end_lsn"] = to_string(name.end);
  return out;
}

void print(const TimelineIndex& index) {
  std::vector<std::vector<std::string>> rows{{"kind", "LSN", "to", "bytes", "from key", "to key"}};
  uint64_t bytes = 0;
  for (const TimelineIndex::Layer& layer : index.layers) {
    const pageserver::LayerName& name = layer.name;
    bool image = name.kind == LayerKind::Image;
    bool all = name.keys == pageserver::KeyRange::all();
    rows.push_back({image         ? "image"
                    : is_l0(name) ? "L0"
                                  : "L1",
                    to_string(name.begin), image ? "" : to_string(name.end), std::to_string(layer.size),
                    all ? "all" : describe(name.keys.begin), all ? "" : describe(name.keys.end)});
    bytes += layer.size;
  }
  fmt::print("{}{} layers, {} bytes; disk-consistent LSN {}, GC cutoff {}\n", table(rows),
             index.layers.size(), bytes, to_string(index.disk_consistent), to_string(index.gc_cutoff));
}

}  // namespace

Status inspect_layers(Task& task, Env& env, const Globals& globals, const InspectLayersOptions& options) {
  TRY_ASSIGN(std::string path, index_file(task, env, globals, options));
  TRY_ASSIGN(Bytes file, read_file(task, env.disk(), path, kIndexMax));
  TRY_ASSIGN(TimelineIndex index, pageserver::decode_index(file, path));
  std::ranges::sort(index.layers, {}, [](const TimelineIndex::Layer& layer) {
    return std::tuple(layer.name.begin, layer.name.end, layer.name);
  });
  if (!options.svg.empty())
    TRY(write_file_durably(task, env.disk(), options.svg, as_bytes(draw_layer_map(index))));
  if (!globals.json) {
    print(index);
    return {};
  }
  json layers = json::array();
  for (const TimelineIndex::Layer& layer : index.layers) layers.push_back(to_json(layer));
  globals.answer({{"tenant_id", to_string(index.id.tenant)},
                  {"timeline_id", to_string(index.id.timeline)},
                  {"generation", index.generation.value},
                  {"disk_consistent_lsn", to_string(index.disk_consistent)},
                  {"gc_cutoff_lsn", to_string(index.gc_cutoff)},
                  {"layers", layers}});
  return {};
}

}  // namespace argon::cli
