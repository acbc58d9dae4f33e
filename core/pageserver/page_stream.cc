#include "core/pageserver/page_stream.h"

#include <algorithm>
#include <deque>

#include "core/env/points.h"
#include "core/fiber/scope.h"
#include "core/pageserver/backup.h"
#include "core/wire/pagestream.h"

namespace argon::pageserver {

namespace {

constexpr size_t kSendAt = 256 * 1024;  // bytes of answers put together before they are sent
constexpr size_t kBatchMax = 32;
constexpr size_t kReadersMax = 4;  // requests of a batch that are worked on at a time

Result<pg::RelTag> rel_of(const wire::PageRel& rel) {
  if (rel.fork > pg::kLastFork) return Error(Code::Invalid, "no fork " + std::to_string(rel.fork));
  return pg::RelTag{{rel.spc, rel.db, rel.rel}, static_cast<pg::Fork>(rel.fork)};
}

pg::redo::Slru slru_of(wire::SlruKind kind) {
  switch (kind) {
    case wire::SlruKind::MultiXactMembers:
      return pg::redo::Slru::MultixactMembers;
    case wire::SlruKind::MultiXactOffsets:
      return pg::redo::Slru::MultixactOffsets;
    default:
      return pg::redo::Slru::Clog;
  }
}

class PageStream {
 public:
  PageStream(std::shared_ptr<Timeline> timeline, wire::PgServer& server, Metrics& metrics)
      : timeline_(std::move(timeline)),
        server_(server),
        requests_(metrics.counter("pageserver_requests_total", "Page requests answered")),
        errors_(metrics.counter("pageserver_request_errors_total", "Page requests answered by an error")) {}

  Status run(Task& task) {
    while (true) {
      TRY(take_batch(task));
      if (batch_.empty()) return {};
      TRY(answer_batch(task));
      for (Item& item : batch_) put_answer(item);
      batch_.clear();
      if (!waiting_request() || server_.pending() >= kSendAt) TRY(server_.flush(task));
    }
  }

 private:
  using Answer = decltype(wire::PageResponse::answer);
  struct Item {
    wire::PageRequest request;
    Bytes content;  // what the answer borrows
    Result<Answer> answer = Error(Code::Cancelled, "");
  };

  bool waiting_request() const { return late_.has_value() || ended_ || server_.copy_ready(); }
  bool waits_for_wal(const wire::PageRequest& request) const {
    return request.not_modified_since > timeline_->last_record();
  }

  // Waits for the first; none: the client has ended the stream.
  Status take_batch(Task& task) {
    while (batch_.size() < kBatchMax && !ended_) {
      if (!batch_.empty() && !waiting_request()) return {};
      if (!late_) TRY(take_request(task));
      if (!late_) continue;
      bool alone = waits_for_wal(*late_);
      if (alone && !batch_.empty()) return {};
      batch_.push_back({*std::exchange(late_, std::nullopt), {}});
      if (!alone) continue;
      if (server_.pending() > 0) TRY(server_.flush(task));
      return {};
    }
    return {};
  }

  Status take_request(Task& task) {
    TRY_ASSIGN(wire::CopyChunk chunk, server_.read_copy(task));
    ended_ = chunk.kind != wire::CopyChunk::Kind::Data;
    if (ended_) return {};
    TRY_ASSIGN(late_, wire::parse_page_request(chunk.data));
    return {};
  }

  // A reader that begins while others wait begins the next one: none of them does, and there is nothing left
  // to do, where all is in memory.
  Status answer_batch(Task& task) {
    next_ = 0;
    readers_ = 1;
    if (batch_.size() == 1) return read(task);
    Scope readers(task);
    begin_reader(readers);
    Status done = read(task);
    Status others = done.ok() ? readers.join(task) : readers.stop(task);
    return done.ok() ? others : done;
  }

  void begin_reader(Scope& readers) {
    if (readers_++ == kReadersMax) return;
    readers.spawn("page reader", [this, &readers](Task& task) -> Status {
      if (next_ == batch_.size()) return {};
      task.env().probe("pageserver.batch-read-together"_probe);
      begin_reader(readers);
      return read(task);
    });
  }

  Status read(Task& task) {
    while (next_ < batch_.size()) {
      Item& item = batch_[next_++];
      item.answer = compute(task, item.request, item.content);
      if (item.answer.is(Code::Cancelled)) return item.answer.error();
    }
    return {};
  }

  void put_answer(Item& item) {
    requests_.add();
    wire::PageResponse response{item.request, wire::ErrorAnswer{}};
    if (item.answer.ok()) {
      response.answer = *item.answer;
    } else {
      errors_.add();
      const Error& error = item.answer.error();
      timeline_->log().warn("{}: {}", wire::to_string(item.request), error.to_string());
      response.answer = wire::ErrorAnswer{error.message()};
    }
    wire::PgMessageWriter message(server_.buffer(), 'd');
    wire::encode_page_response(server_.buffer(), response);
  }

  Result<Answer> compute(Task& task, const wire::PageRequest& request, Bytes& content) {
    TRY(wire::check_request_lsns(request));
    TRY_ASSIGN(ReadPoint at, timeline_->read_point(task, request.request_lsn, request.not_modified_since));
    return std::visit([&](const auto& what) { return of(task, what, at.lsn, content); }, request.what);
  }

  Result<Answer> of(Task& task, const wire::ExistsRequest& what, Lsn lsn, Bytes&) {
    TRY_ASSIGN(pg::RelTag rel, rel_of(what.rel));
    TRY_ASSIGN(auto size, timeline_->catalog().relation_size(task, rel, lsn));
    return Answer(wire::ExistsAnswer{size.has_value()});
  }
  Result<Answer> of(Task& task, const wire::NblocksRequest& what, Lsn lsn, Bytes&) {
    TRY_ASSIGN(pg::RelTag rel, rel_of(what.rel));
    TRY_ASSIGN(auto size, timeline_->catalog().relation_size(task, rel, lsn));
    return Answer(wire::NblocksAnswer{size.value_or(0)});
  }
  Result<Answer> of(Task& task, const wire::GetPageRequest& what, Lsn lsn, Bytes& content) {
    TRY_ASSIGN(pg::RelTag rel, rel_of(what.rel));
    TRY_ASSIGN(content, timeline_->catalog().page(task, {rel, what.block}, lsn));
    return Answer(wire::PageAnswer{content});
  }
  Result<Answer> of(Task& task, const wire::DbSizeRequest& what, Lsn lsn, Bytes&) {
    TRY_ASSIGN(uint64_t bytes, timeline_->catalog().database_bytes(task, what.db, lsn));
    return Answer(wire::DbSizeAnswer{static_cast<int64_t>(bytes)});
  }
  Result<Answer> of(Task& task, const wire::SlruSegmentRequest& what, Lsn lsn, Bytes& content) {
    TRY_ASSIGN(content, read_slru_segment(task, timeline_->catalog(), slru_of(what.kind), what.segment, lsn));
    return Answer(wire::SlruSegmentAnswer{static_cast<uint32_t>(content.size() / wire::kPageSize), content});
  }

  std::shared_ptr<Timeline> timeline_;
  wire::PgServer& server_;
  Counter& requests_;
  Counter& errors_;
  std::optional<wire::PageRequest> late_;  // read, but not of the batch
  bool ended_ = false;                     // by the client
  std::vector<Item> batch_;
  size_t next_ = 0;     // of the batch, that nobody works on yet
  size_t readers_ = 0;  // that were begun for it
};

}  // namespace

Status serve_page_stream(Task& task, std::shared_ptr<Timeline> timeline, wire::PgServer& server,
                         Metrics& metrics) {
  return PageStream(std::move(timeline), server, metrics).run(task);
}

}  // namespace argon::pageserver
