#include "core/safekeeper/disk_claim.h"

#include "core/base/random.h"
#include "core/env/io.h"
#include "core/objstore/keys.h"

namespace argon::safekeeper {
namespace {

constexpr const char* kFileName = "disk_id";
constexpr size_t kDigits = 32;

bool is_identity(std::string_view text) {
  return text.size() == kDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

Result<std::string> disk_identity(Task& task, Env& env, const std::string& data_dir) {
  std::string path = join_path(data_dir, kFileName);
  auto kept = read_file(task, env.disk(), path, 1024);
  if (kept.ok() && is_identity(as_text(*kept))) return std::string(as_text(*kept));
  if (kept.ok()) Logger(env.log()).warn("{} is damaged; the disk gets another identity", path);
  if (!kept.ok() && !kept.is(Code::NotFound)) return kept.error();
  Bytes bytes(kDigits / 2);
  env.random("safekeeper.disk").fill(bytes);
  std::string made = to_hex(bytes);
  TRY(write_file_durably(task, env.disk(), path, as_bytes(made)));
  return made;
}

std::string disk_claim_key(const TenantTimelineId& id, NodeId safekeeper) {
  return objstore::wal_prefix(id) + "disk-of-" + to_string(safekeeper);
}

Status claim_for_disk(Task& task, objstore::ObjectStore& store, const TenantTimelineId& id, NodeId safekeeper,
                      const std::string& disk) {
  std::string key = disk_claim_key(id, safekeeper);
  Status put = store.put(task, key, as_bytes(disk), objstore::PutMode::IfAbsent);
  if (put.ok()) return {};
  if (!put.is(Code::AlreadyExists) && !put.is(Code::MaybeApplied)) return put;
  auto there = store.get(task, key);
  if (there.is(Code::NotFound))
    return Error(Code::Unavailable, "whether " + key + " was put is not known yet");
  TRY(there);
  if (as_text(*there) == disk) return {};
  return Error(Code::Invalid, "safekeeper " + to_string(safekeeper) + " kept timeline " + to_string(id) +
                                  " on another disk. If that is lost, this safekeeper must be replaced, or "
                                  "leave the timeline's members "
                                  "and join them again: else it would vote as if it had promised nothing");
}

}  // namespace argon::safekeeper
