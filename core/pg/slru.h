// SLRU files: transaction status, multixacts, commit timestamps. Pages without header or LSN, 32 to a
// segment file. Source: access/transam/slru.c, clog.c, multixact.c, commit_ts.c.

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/pg/constants.h"

namespace argon::pg {

enum class Slru : uint8_t { Clog = 0, MultiXactMembers = 1, MultiXactOffsets = 2, CommitTs = 3 };
inline constexpr std::array<Slru, 4> kAllSlrus = {Slru::Clog, Slru::MultiXactMembers, Slru::MultiXactOffsets,
                                                  Slru::CommitTs};

std::string_view slru_folder(Slru slru);                            // "pg_xact"
std::string slru_path(Slru slru, uint32_t segment);                 // "pg_xact/0000"
std::optional<uint32_t> parse_slru_segment(std::string_view name);  // 4 to 6 upper-case hex digits

inline constexpr uint32_t kXidsPerClogPage = 32768;
inline constexpr uint32_t kXidsPerCommitTsPage = 819;
inline constexpr uint32_t kMultisPerOffsetPage = 2048;
inline constexpr uint32_t kMembersPerPage = 1636;

}  // namespace argon::pg
