// Small files, folders, users and ports of the machine: what the command line needs of them.

#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "core/base/result.h"

namespace argon::cli {

Result<std::string> read_text(const std::string& path);
// Atomically: a temporary file, synced, renamed.
Status write_text(const std::string& path, const std::string& text);
Status make_folder(const std::string& path);
bool exists(const std::string& path);
// Owned by `user`, mode 0755; no effect where user is empty.
Status give_to(const std::string& path, const std::string& user);

bool is_root();
// Whether `user` may enter the folder (all of its parents let it through).
Result<bool> user_can_enter(const std::string& user, const std::string& folder);

// The first port from `first` on that nobody listens on at 127.0.0.1 and that is not in `taken`, to
// which it is added.
Result<uint16_t> free_port(uint16_t first, std::set<uint16_t>& taken);
bool port_is_free(uint16_t port);

}  // namespace argon::cli
