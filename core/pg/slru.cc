#include "core/pg/slru.h"

#include <cstdio>

namespace argon::pg {

std::string_view slru_folder(Slru slru) {
  static constexpr std::array<std::string_view, 4> kFolders = {"pg_xact", "pg_multixact/members",
                                                               "pg_multixact/offsets", "pg_commit_ts"};
  return kFolders[static_cast<size_t>(slru)];
}

std::string slru_path(Slru slru, uint32_t segment) {
  char name[16];
  std::snprintf(name, sizeof name, "/%04X", segment);
  return std::string(slru_folder(slru)) + name;
}

std::optional<uint32_t> parse_slru_segment(std::string_view name) {
  if (name.size() < 4 || name.size() > 6 || (name.size() > 4 && name[0] == '0')) return {};
  uint32_t number = 0;
  for (char c : name) {
    bool digit = c >= '0' && c <= '9';
    if (!digit && !(c >= 'A' && c <= 'F')) return {};
    number = number << 4 | static_cast<uint32_t>(digit ? c - '0' : c - 'A' + 10);
  }
  return number;
}

}  // namespace argon::pg
