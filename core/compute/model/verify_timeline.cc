#include "core/compute/model/model_compute.h"
#include "core/compute/model/model_pages.h"

namespace argon::compute {

namespace {

constexpr int kReadAgain = 20;
constexpr uint32_t kAtATime = 12;

// A connection that breaks fails all that is in flight on it, which is much where all is asked for at once.
Result<Bytes> read_page(Task& task, PageClient& client, const wire::PageRel& rel, uint32_t block,
                        ReadLsn at) {
  for (int again = 0;; again++) {
    Result<Bytes> page = client.page(task, rel, block, at);
    if (!page.is(Code::Disconnected) || again == kReadAgain) return page;
  }
}

Result<size_t> verify_relation(Task& task, PageClient& client, const ReferenceModel& reference,
                               const pg::RelTag& rel, Lsn lsn) {
  wire::PageRel wire_rel = to_wire(rel);
  ReadLsn size_at{lsn, reference.size_changed_at(rel, lsn)};
  TRY_ASSIGN(bool there, client.exists(task, wire_rel, size_at));
  std::optional<uint32_t> blocks;
  if (there) {
    TRY_ASSIGN(blocks, client.blocks(task, wire_rel, size_at));
  }
  TRY(reference.check_blocks(rel, lsn, blocks));
  // Several at a time, as a server that prefetches asks.
  std::vector<Bytes> pages(blocks.value_or(0));
  Scope readers(task);
  for (uint32_t first = 0; first < kAtATime; first++) {
    readers.spawn("verify pages", [&, first](Task& t) -> Status {
      for (uint32_t block = first; block < pages.size(); block += kAtATime) {
        ReadLsn at{lsn, reference.page_changed_at({rel, block}, lsn)};
        TRY_ASSIGN(pages[block], read_page(t, client, wire_rel, block, at));
      }
      return {};
    });
  }
  TRY(readers.join(task));
  for (uint32_t block = 0; block < pages.size(); block++)
    TRY(reference.check_page({rel, block}, lsn, pages[block]));
  return size_t{blocks.value_or(0)};
}

// No page is counted: transaction states are no pages of relations.
Result<size_t> verify_clog(Task& task, PageClient& client, const ReferenceModel& reference, Lsn lsn) {
  TRY_ASSIGN(Bytes segment,
             client.slru_segment(task, wire::SlruKind::Clog, 0, {lsn, reference.clog_changed_at(lsn)}));
  TRY(reference.check_clog(lsn, segment));
  return size_t{0};
}

}  // namespace

Result<size_t> verify_timeline(Task& task, Env& env, const Address& pageserver, const TenantTimelineId& id,
                               const ReferenceModel& reference, Lsn lsn) {
  Scope scope(task);
  PageClient client(scope, env, {pageserver, id});
  Result<size_t> total = verify_clog(task, client, reference, lsn);
  for (const pg::RelTag& rel : reference.relations()) {
    if (!total.ok()) break;
    Result<size_t> pages = verify_relation(task, client, reference, rel, lsn);
    total = pages.ok() ? Result<size_t>(*total + *pages) : pages;
  }
  ignore_result(client.stop(task));
  ignore_result(scope.stop(task));
  return total;
}

}  // namespace argon::compute
