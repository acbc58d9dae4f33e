#include "core/objstore/keys.h"

#include <array>

namespace argon::objstore {

std::string tenant_prefix(const TenantId& tenant) {
  return "tenants/" + to_string(tenant) + "/";
}

std::string timeline_prefix(const TenantTimelineId& id) {
  return tenant_prefix(id.tenant) + "timelines/" + to_string(id.timeline) + "/";
}

std::string wal_prefix(const TenantTimelineId& id) {
  return "wal/" + to_string(id.tenant) + "/" + to_string(id.timeline) + "/";
}

std::string with_generation(std::string_view name, Generation generation) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text(name);
  text += '-';
  for (int shift = 28; shift >= 0; shift -= 4) text += kDigits[(generation.value >> shift) & 15];
  return text;
}

std::optional<std::pair<std::string, Generation>> split_generation(std::string_view name) {
  if (name.size() < 10 || name[name.size() - 9] != '-') return {};
  uint32_t value = 0;
  for (char c : name.substr(name.size() - 8)) {
    bool digit = c >= '0' && c <= '9';
    if (!digit && !(c >= 'a' && c <= 'f')) return {};
    value = value * 16 + static_cast<uint32_t>(digit ? c - '0' : c - 'a' + 10);
  }
  return std::pair(std::string(name.substr(0, name.size() - 9)), Generation(value));
}

Result<std::pair<std::string, Generation>> find_latest(Task& task, ObjectStore& store,
                                                       const std::string& prefix, const std::string& name,
                                                       Generation ours) {
  TRY_ASSIGN(std::vector<ObjectInfo> objects, list_all(task, store, prefix + name + "-"));
  std::optional<std::pair<std::string, Generation>> best;
  for (const ObjectInfo& object : objects) {
    auto parts = split_generation(object.key);
    if (!parts || parts->first != prefix + name || parts->second > ours) continue;
    if (!best || parts->second > best->second) best = {object.key, parts->second};
  }
  if (!best)
    return Error(Code::NotFound, "no object " + prefix + name + " of a generation up to " + to_string(ours));
  return *best;
}

}  // namespace argon::objstore
