// The cluster's object store, as argon.toml names it: a folder, or a bucket of an S3-compatible store.

#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/env/env.h"
#include "core/objstore/object_store.h"
#include "daemons/main/config.h"

namespace argon::cli {

// For a daemon or a command; `owner` tells those who share a folder apart (core/objstore/local_store.h). Of
// S3, keys that argon.toml does not give come from the environment; nobody is asked yet. Errors: Invalid, of
// the configuration; the folder's. Suspends.
Result<std::unique_ptr<objstore::ObjectStore>> open_object_store(Task& task, Env& env, const Config& config,
                                                                 const std::string& owner);
// That the store can be reached, read and written, and keeps the promise of put if absent (of S3). Suspends.
Status check_object_store(Task& task, Env& env, const Config& config);
// "s3://BUCKET[/PREFIX]", or else a folder, into the configuration. Invalid says what is wrong.
Status parse_object_store(const std::string& text, Config& config);
// Those of the variables that keys are taken from, as they are set: for child processes.
std::map<std::string, std::string> s3_environment();

}  // namespace argon::cli
