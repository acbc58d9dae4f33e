// Small files and folders of the state folder, for the command (no tasks involved).

#pragma once

#include <string>

#include "core/base/result.h"

namespace argon::cli {

Result<std::string> read_text(const std::string& path);
// Replaces the file whole: temporary file, sync, rename.
Status write_text(const std::string& path, const std::string& text);
// With its parents; ok where it is there.
Status make_folders(const std::string& path);
// Gives the folder to that user, closed to others; no effect for an empty user.
Status give_folder(const std::string& path, const std::string& user);
// Can that user enter the folder? Ok for an empty user.
Status check_can_enter(const std::string& path, const std::string& user);
// The last bytes of a log, whole lines.
std::string tail_of(const std::string& path, size_t bytes = 2000);

}  // namespace argon::cli
