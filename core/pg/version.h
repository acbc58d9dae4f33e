// What names the version of PostgreSQL in a data directory.

#pragma once

#include <cstdint>
#include <string_view>

namespace argon::pg {

inline constexpr uint32_t kControlVersion = 1300;         // PG_CONTROL_VERSION
inline constexpr uint32_t kCatalogVersion = 202209061;    // CATALOG_VERSION_NO
inline constexpr std::string_view kVersionFile = "15\n";  // the content of PG_VERSION
inline constexpr std::string_view kTablespaceVersionDir = "PG_15_202209061";

}  // namespace argon::pg
