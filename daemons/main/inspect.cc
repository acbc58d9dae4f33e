// inspect: what a file of the cluster says, whichever of its formats it is in. Checks what it reads.

#include <fmt/format.h>

#include "core/env/io.h"
#include "core/pageserver/layer_format.h"
#include "core/pageserver/location.h"
#include "core/pageserver/timeline_index.h"
#include "core/pg/control_file.h"
#include "core/safekeeper/control_file.h"
#include "daemons/main/commands.h"
#include "daemons/main/file_checks.h"

namespace argon::cli {
namespace {

using nlohmann::json;

Result<json> safekeeper_control(ByteView file) {
  TRY_ASSIGN(safekeeper::TimelineControl control, safekeeper::decode_control(file));
  const consensus::AcceptorState& state = control.acceptor;
  json history = json::array();
  for (const auto& entry : state.history.entries())
    history.push_back({{"term", entry.term.value}, {"start", to_string(entry.start)}});
  json chain = json::array();
  for (const safekeeper::ChainLink& link : control.chain)
    chain.push_back({{"lsn", to_string(link.at)}, {"hash", std::to_string(link.hash)}});
  json evicted;
  if (control.evicted)
    evicted = {
        {"object", control.evicted->key}, {"size", control.evicted->size}, {"crc32c", control.evicted->crc}};
  return json{{"format", "safekeeper control file"},
              {"tenant_id", to_string(control.id.tenant)},
              {"timeline_id", to_string(control.id.timeline)},
              {"term", state.term.value},
              {"term_history", history},
              {"configuration", consensus::to_string(state.configuration)},
              {"server_version", state.server.pg_version},
              {"system_id", std::to_string(state.server.system_id)},
              {"timeline_start_lsn", to_string(state.timeline_start)},
              {"local_start_lsn", to_string(state.local_start)},
              {"commit_lsn", to_string(state.commit)},
              {"backup_lsn", to_string(control.backup)},
              {"remote_consistent_lsn", to_string(control.remote_consistent)},
              {"closed_at_lsn", to_string(control.closed_at)},
              {"partial_object", control.partial.key},
              {"evicted", evicted},
              {"wal_chain", chain}};
}

Result<json> timeline_index(ByteView file, const std::string& path) {
  TRY_ASSIGN(pageserver::TimelineIndex index, pageserver::decode_index(file, path));
  json layers = json::array();
  for (const auto& layer : index.layers)
    layers.push_back({{"name", pageserver::to_string(layer.name)}, {"size", layer.size}});
  json out{{"format", "timeline index"},
           {"tenant_id", to_string(index.id.tenant)},
           {"timeline_id", to_string(index.id.timeline)},
           {"generation", index.generation.value},
           {"sequence", index.sequence},
           {"start_lsn", to_string(index.start_lsn)},
           {"disk_consistent_lsn", to_string(index.disk_consistent)},
           {"gc_cutoff_lsn", to_string(index.gc_cutoff)},
           {"system_id", std::to_string(index.system_id)},
           {"layers", layers}};
  if (index.ancestor) {
    out["ancestor_timeline_id"] = to_string(*index.ancestor);
    out["ancestor_lsn"] = to_string(index.ancestor_lsn);
  }
  return out;
}

Result<json> location(ByteView file, const std::string& path) {
  TRY_ASSIGN(pageserver::Location location, pageserver::decode_location(file, path));
  return json{{"format", "location of a tenant"},
              {"mode", pageserver::to_string(location.mode)},
              {"generation", location.generation.value},
              {"asked_generation", location.asked.value}};
}

Result<json> layer(ByteView file) {
  using namespace pageserver;
  CheckedLayer checked = check_layer(file);
  if (checked.fault) return checked.fault->error;
  const LayerHeader& header = checked.header;
  return json{{"format", "layer file"},
              {"kind", header.kind == LayerKind::Image ? "image" : "delta"},
              {"tenant_id", to_string(header.owner.tenant)},
              {"timeline_id", to_string(header.owner.timeline)},
              {"begin_lsn", to_string(header.begin)},
              {"end_lsn", to_string(header.end)},
              {"file_id", fmt::format("{:016x}", header.file_id)},
              {"blocks", checked.blocks},
              {"checksums", "right"}};
}

Result<json> pg_control(ByteView file) {
  TRY_ASSIGN(pg::ControlFile control, pg::decode_control_file(file));
  return json{{"format", "pg_control"},
              {"system_id", std::to_string(control.system_id)},
              {"state", static_cast<uint32_t>(control.state)},
              {"checkpoint_lsn", to_string(control.checkpoint_lsn)},
              {"data_checksums", control.data_checksums()}};
}

Result<json> look_at(ByteView file, const std::string& path) {
  std::string_view text = as_text(file);
  if (text.starts_with("ASKC")) return safekeeper_control(file);
  if (text.starts_with("ARGINDEX")) return timeline_index(file, path);
  if (text.starts_with("ARGLOCAT")) return location(file, path);
  // Behind the block's checksum.
  if (file.size() >= pageserver::kLayerBlock && text.substr(4).starts_with("ARGLAYER")) return layer(file);
  if (path.ends_with("/pg_control")) return pg_control(file);
  return Error(
      Code::Unsupported,
      "not a format that argon knows (safekeeper.control, a layer file, a timeline's index, "
      "a tenant's location, pg_control); `argon inspect wal` reads WAL segments, `argon inspect page` pages");
}

}  // namespace

Status inspect(Task& task, Env& env, const Globals& globals, const InspectOptions& options) {
  TRY_ASSIGN(Bytes file, read_file(task, env.disk(), options.file, 4ull << 30));
  TRY_ASSIGN(json found, look_at(file, options.file).with(options.file));
  if (globals.json) {
    globals.answer(found);
    return {};
  }
  for (const auto& [key, value] : found.items()) {
    if (!value.is_array()) {
      fmt::print("{}: {}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
      continue;
    }
    fmt::print("{}:\n", key);
    for (const json& one : value) fmt::print("  {}\n", one.dump());
  }
  return {};
}

}  // namespace argon::cli
