// Failure: what `explore` and `shrink` keep of a failed run, as a folder:
//   case       everything that makes the run; `argon-sim replay FOLDER` runs it (scenarios/case.h)
//   plan       its fault plan alone            seeds      seeds that failed the same way, the first first
//   signature  oracle and place                failure    what was found
//   command    how to run it again             events     the latest events      output   what the run
//   printed

#pragma once

#include <filesystem>

#include "sim/argon_sim/runs.h"

namespace argon::sim {

// Of this failure within `root`: the same for every seed that fails the same way.
std::filesystem::path failure_folder(const std::filesystem::path& root, const std::string& scenario,
                                     const Signature& signature);
// The seed joins the failure; the first one writes its case. `again` runs it once more for its events.
// True where it is the first. Throws std::runtime_error where files cannot be written.
bool keep_failure(const std::filesystem::path& folder, const Request& request, const Outcome& outcome,
                  Runs& again);
// A file or a failure's folder. Invalid says what is wrong with it.
Result<scenarios::Case> read_case(const std::filesystem::path& path);

}  // namespace argon::sim
