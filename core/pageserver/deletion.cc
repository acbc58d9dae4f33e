#include "core/pageserver/deletion.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/env/io.h"
#include "core/env/points.h"

namespace argon::pageserver {

namespace {

constexpr std::string_view kMark = "deleted-";
constexpr size_t kGenerationDigits = 8;
// Until those who still read, or upload, have noticed.
constexpr Duration kUseAgain = Duration::milliseconds(50);
constexpr Duration kFirstLook = Duration::seconds(1);
constexpr Duration kLastLook = Duration::seconds(64);

std::optional<Generation> parse_generation(std::string_view digits) {
  if (digits.size() != kGenerationDigits) return {};
  auto parsed = objstore::split_generation("g-" + std::string(digits));
  return parsed ? std::optional(parsed->second) : std::nullopt;
}

std::string mark_key(const DeletionTarget& target, Generation generation) {
  std::string key = objstore::tenant_prefix(target.tenant) + std::string(kMark);
  if (target.timeline) key += to_string(*target.timeline) + "-";
  return key + fmt::format("{:08x}", generation.value);
}

// What is left of a tenant when all is removed.
bool is_mark_of(const DeletionTarget& target, std::string_view key) {
  std::string begin = objstore::tenant_prefix(target.tenant) + std::string(kMark);
  return key.starts_with(begin) && parse_generation(key.substr(begin.size()));
}

}  // namespace

std::string to_string(const DeletionTarget& target) {
  if (!target.timeline) return "tenant " + to_string(target.tenant);
  return "timeline " + to_string(TenantTimelineId{target.tenant, *target.timeline});
}

bool note_mark(RemoteTenant& tenant, std::string_view rest) {
  if (!rest.starts_with(kMark)) return false;
  rest.remove_prefix(kMark.size());
  if (auto whole = parse_generation(rest)) {
    tenant.mark = std::max(tenant.mark.value_or(*whole), *whole);
    return true;
  }
  auto timeline = parse_timeline_id(rest.substr(0, 32));
  if (!timeline.ok() || rest.size() < 33) return false;
  auto generation = parse_generation(rest.substr(33));
  if (!generation) return false;
  Generation& newest = tenant.timeline_marks[*timeline];
  newest = std::max(newest, *generation);
  tenant.changed = std::max(tenant.changed, *generation);
  return true;
}

bool RemoteTenant::is_deleted(const TimelineId& timeline) const {
  auto marked = timeline_marks.find(timeline);
  if (marked == timeline_marks.end()) return false;
  auto index = newest_index.find(timeline);
  if (index == newest_index.end()) return true;
  // ".../index-GENERATION-SEQUENCE"
  size_t name = index->second.rfind("/index-");
  auto generation = parse_generation(std::string_view(index->second).substr(name + 7, kGenerationDigits));
  return generation && *generation <= marked->second;
}

bool Deletions::marked(const DeletionTarget& target) const {
  return marked_.contains(target) || marked_.contains({target.tenant, {}});
}

bool Deletions::going_on(const DeletionTarget& target) const {
  auto job = jobs_.find(target);
  return job != jobs_.end() && !job->second.done;
}

std::string Deletions::prefix(const DeletionTarget& target) const {
  return target.timeline ? objstore::timeline_prefix({target.tenant, *target.timeline})
                         : objstore::tenant_prefix(target.tenant);
}

Status Deletions::mark(Task& task, const DeletionTarget& target, Generation generation) {
  std::string key = mark_key(target, generation);
  TRY(services_.objects.put(task, key, as_bytes("deleted")).with("put " + key));
  Status current = check_generation(task, services_.objects, target.tenant, generation);
  if (current.ok() || current.is(Code::Cancelled)) return current;
  // Whoever has the tenant now may have listed its objects before the mark was there.
  return Error(Code::MaybeApplied, to_string(target) + " is marked, but: " + current.error().message());
}

void Deletions::begin(const DeletionTarget& target, std::vector<std::shared_ptr<Timeline>> timelines) {
  marked_.insert(target);
  for (const std::shared_ptr<Timeline>& timeline : timelines) timeline->retire();
  jobs_[target] = {std::move(timelines), false, services_.env.now(), kFirstLook};
  Logger(services_.env.log()).info("{} is marked as deleted", to_string(target));
  begun_.notify_all();
}

Result<size_t> Deletions::remove_objects(Task& task, const DeletionTarget& target) {
  size_t removed = 0;
  std::string after;
  for (;;) {
    TRY_ASSIGN(objstore::Listing page,
               services_.objects.list(task, prefix(target), after, objstore::kPageMax));
    std::vector<std::string> keys;
    for (const objstore::ObjectInfo& object : page.objects)
      if (!is_mark_of(target, object.key)) keys.push_back(object.key);
    if (!keys.empty()) TRY(services_.objects.remove(task, keys));
    removed += keys.size();
    if (!page.next) return removed;
    after = *page.next;
  }
}

Status Deletions::step(Task& task, const DeletionTarget& target) {
  Job& job = jobs_.at(target);
  bool lives = std::ranges::any_of(job.timelines, [](const auto& timeline) { return timeline->lives(); });
  if (lives) {
    job.due = services_.env.now() + kUseAgain;
    return {};
  }
  TRY_ASSIGN(size_t removed, remove_objects(task, target));
  if (job.done && removed > 0) {
    services_.env.probe("pageserver.late-object-removed"_probe);
    Logger(services_.env.log()).info("{}: removed {} objects that came late", to_string(target), removed);
  }
  // A reader may fetch a layer to the disk for as long as it is there.
  std::erase_if(job.timelines, [](const auto& timeline) { return timeline.use_count() == 1; });
  if (!job.timelines.empty()) {
    services_.env.probe("pageserver.deletion-waited-for-readers"_probe);
    job.due = services_.env.now() + kUseAgain;
    return {};
  }
  std::string path = prefix(target);
  path.pop_back();
  TRY(remove_tree(task, services_.env.disk(), join_path(folder_, path)));
  if (!job.done)
    Logger(services_.env.log()).info("{} is deleted, {} objects went", to_string(target), removed);
  job.done = true;
  job.due = services_.env.now() + job.pause;
  job.pause = job.pause * 2;
  return {};
}

Status Deletions::work(Task& task) {
  std::vector<DeletionTarget> due;
  for (const auto& [target, job] : jobs_)
    if (job.due <= services_.env.now()) due.push_back(target);
  for (const DeletionTarget& target : due) {
    Status done = step(task, target);
    if (done.is(Code::Cancelled)) return done;
    Job& job = jobs_.at(target);
    if (!done.ok()) {
      Logger(services_.env.log())
          .warn("delete {}, will try again: {}", to_string(target), done.error().to_string());
      job.due = services_.env.now() + kFirstLook;
    } else if (job.done && job.pause > kLastLook * 2) {
      jobs_.erase(target);
    }
  }
  return {};
}

Status Deletions::wait(Task& task, Duration most) {
  MonotonicTime next = services_.env.now() + most;
  for (const auto& [target, job] : jobs_) next = std::min(next, job.due);
  if (next <= services_.env.now()) return task.yield();
  return wait_at_most(task, begun_, next - services_.env.now());
}

}  // namespace argon::pageserver
