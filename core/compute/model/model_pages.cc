#include "core/compute/model/model_pages.h"

#include "core/pg/constants.h"
#include "core/pg/page.h"

namespace argon::compute {

wire::PageRel to_wire(const pg::RelTag& rel) {
  return {rel.node.spc, rel.node.db, rel.node.rel, static_cast<uint8_t>(rel.fork)};
}

Status ModelContext::still_writer() const {
  if (!driver.lost().ok()) return driver.lost();
  if (reference.term() != term)
    return Error(Code::Stale, "another compute was elected in term " + to_string(reference.term()));
  return {};
}

Error ModelContext::judge(const Error& found) const {
  if (Status status = still_writer(); !status.ok()) return status.error();
  events.violated(config.name, found.message());
  return found;
}

Status ModelContext::wait_acknowledged(Task& task, pg::Xid xid, Lsn commit_end) const {
  TRY(driver.wait_committed(task, commit_end));
  Status told = reference.acknowledge(term, xid, commit_end);
  if (!told.ok()) {
    events.violated(config.name, told.error().message());
    return told;
  }
  events.commit_acknowledged(config.name, xid, commit_end);
  return {};
}

Result<Bytes*> ModelPages::get(Task& task, const pg::BlockTag& tag) {
  pinned_.insert(tag);
  if (Bytes* page = find(tag)) return page;
  auto written = written_.find(tag);
  ReadLsn at{Lsn::max(), written == written_.end() ? start_ : written->second};
  Result<Bytes> page = read_until_there<Bytes>(
      task, context_, [&](Task& t) { return context_.client.page(t, to_wire(tag.rel), tag.block, at); });
  if (!page.ok()) return page.error();
  Status right = context_.reference.check_page(tag, context_.reference.end(), *page);
  if (right.ok()) right = pg::check_page(*page, tag.block, checksums_).with("page " + pg::to_string(tag));
  if (!right.ok()) return context_.judge(right.error());
  context_.events.page_checked(context_.config.name, tag, context_.reference.end());
  make_room();
  cached_[tag] = {*std::move(page), ++clock_};
  return &cached_[tag].bytes;
}

Bytes& ModelPages::make(const pg::BlockTag& tag) {
  pinned_.insert(tag);
  make_room();
  cached_[tag] = {Bytes(pg::kBlockSize), ++clock_};
  return cached_[tag].bytes;
}

Bytes* ModelPages::find(const pg::BlockTag& tag) {
  auto found = cached_.find(tag);
  if (found == cached_.end()) return nullptr;
  found->second.used = ++clock_;
  return &found->second.bytes;
}

void ModelPages::forget(const pg::RelTag& rel, uint32_t first) {
  auto gone = [&](const auto& entry) { return entry.first.rel == rel && entry.first.block >= first; };
  std::erase_if(cached_, gone);
  std::erase_if(written_, gone);
}

void ModelPages::make_room() {
  while (cached_.size() >= context_.config.cache_pages) {
    auto oldest = cached_.end();
    for (auto at = cached_.begin(); at != cached_.end(); ++at)
      if (!pinned_.contains(at->first) && (oldest == cached_.end() || at->second.used < oldest->second.used))
        oldest = at;
    if (oldest == cached_.end()) return;
    cached_.erase(oldest);
  }
}

}  // namespace argon::compute
