#include "daemons/main/object_store.h"

#include <cstdlib>

#include "core/env/io.h"
#include "core/objstore/local_store.h"
#include "core/objstore/s3_store.h"

namespace argon::cli {
namespace {

constexpr const char* kAccessKey = "AWS_ACCESS_KEY_ID";
constexpr const char* kSecretKey = "AWS_SECRET_ACCESS_KEY";
constexpr const char* kSessionToken = "AWS_SESSION_TOKEN";
constexpr size_t kAuthoritiesMax = 16u << 20;
constexpr Duration kCheckTimeout = Duration::seconds(30);

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Keys belong together: all of argon.toml, or all of the environment.
objstore::S3Credentials credentials_of(const S3Section& s3) {
  if (!s3.access_key.empty() || !s3.secret_key.empty()) return {s3.access_key, s3.secret_key, ""};
  return {from_environment(kAccessKey), from_environment(kSecretKey), from_environment(kSessionToken)};
}

Result<std::string> read_authorities(Task& task, Env& env, const Config& config) {
  std::string path = config.resolve(config.s3->ca_file);
  auto read = read_file(task, env.disk(), path, kAuthoritiesMax);
  if (!read.ok())
    return Error(read.error().code(),
                 "who may vouch for " + config.s3->endpoint + ": " + read.error().message() +
                     ": install the package ca-certificates, or set s3_ca_file (--s3-ca-file)");
  return std::string(as_text(*read));
}

Result<std::unique_ptr<objstore::S3Store>> open_s3(Task& task, Env& env, const Config& config) {
  objstore::S3Config s3;
  s3.endpoint = config.s3->endpoint;
  s3.bucket = config.s3->bucket;
  s3.prefix = config.s3->prefix;
  s3.region = config.s3->region;
  s3.conditional_put = config.s3->conditional_put;
  s3.credentials = credentials_of(*config.s3);
  if (s3.credentials.access_key.empty() || s3.credentials.secret_key.empty())
    return Error(Code::Invalid, std::string("the object store's keys are missing: set ") + kAccessKey +
                                    " and " + kSecretKey +
                                    " in the environment, or s3_access_key and s3_secret_key in " +
                                    config.config_file());
  if (s3.endpoint.starts_with("https://")) {
    TRY_ASSIGN(s3.authorities, read_authorities(task, env, config));
  }
  return objstore::S3Store::open(env, std::move(s3));
}

}  // namespace

Result<std::unique_ptr<objstore::ObjectStore>> open_object_store(Task& task, Env& env, const Config& config,
                                                                 const std::string& owner) {
  if (!config.s3) {
    TRY_ASSIGN(auto folder, objstore::LocalStore::open(task, env.disk(), config.object_store_dir(), owner));
    return std::unique_ptr<objstore::ObjectStore>(std::move(folder));
  }
  TRY_ASSIGN(auto s3, open_s3(task, env, config));
  return std::unique_ptr<objstore::ObjectStore>(std::move(s3));
}

Status check_object_store(Task& task, Env& env, const Config& config) {
  if (!config.s3) return {};
  TRY_ASSIGN(auto s3, open_s3(task, env, config));
  Deadline deadline(task, kCheckTimeout);
  return s3->check(task);
}

Status parse_object_store(const std::string& text, Config& config) {
  constexpr std::string_view kScheme = "s3://";
  if (!text.starts_with(kScheme)) {
    if (text.empty() || text.find("://") != std::string::npos ||
        text.find_first_of("\"\\\n") != std::string::npos)
      return Error(Code::Invalid,
                   "the object store '" + text + "' is neither a folder nor s3://BUCKET[/PREFIX]");
    config.object_store = text;
    return {};
  }
  std::string rest = text.substr(kScheme.size());
  while (rest.ends_with('/')) rest.pop_back();
  size_t slash = rest.find('/');
  config.s3.emplace();
  config.s3->bucket = rest.substr(0, slash);
  if (slash != std::string::npos) config.s3->prefix = rest.substr(slash + 1);
  if (config.s3->bucket.empty()) return Error(Code::Invalid, "'" + text + "' names no bucket");
  return {};
}

std::map<std::string, std::string> s3_environment() {
  std::map<std::string, std::string> set;
  for (const char* name : {kAccessKey, kSecretKey, kSessionToken})
    if (std::string value = from_environment(name); !value.empty()) set[name] = value;
  return set;
}

}  // namespace argon::cli
