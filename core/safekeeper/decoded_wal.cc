#include "core/safekeeper/decoded_wal.h"

#include <algorithm>

#include "core/env/points.h"
#include "core/pg/wal_page.h"

namespace argon::safekeeper {

namespace {

constexpr size_t kDecodeChunk = 128 * 1024;

}  // namespace

class DecodedWal::Window {
 public:
  explicit Window(Lsn from) : from_(from), begin_(from), end_(from) {}

  Mutex& mutex() { return mutex_; }
  bool holds(Lsn at) const { return !failed_ && begin_ <= at && at <= end_; }
  Lsn end() const { return end_; }
  // Null where `at` is its end. REQUIRES: holds(at).
  BatchPtr find(Lsn at) const {
    auto after = std::ranges::upper_bound(batches_, at, {}, [](const BatchPtr& b) { return b->end; });
    return after == batches_.end() ? nullptr : *after;
  }
  // Decodes one more batch at the end; null where there is none yet. REQUIRES: mutex() is held.
  Result<BatchPtr> extend(Task& task, const CommittedWal& wal, const DecodeOptions& options);

 private:
  void begin_decoding(const CommittedWal& wal);
  // Until the batch is full or the bytes read are used up.
  Status decode(pg::BatchWriter& batch, size_t batch_bytes);
  Status take(const pg::DecodedRecord& record, pg::BatchWriter& batch);
  Status read(Task& task, const CommittedWal& wal);
  void keep(BatchPtr batch, size_t window_bytes);

  Mutex mutex_;
  const Lsn from_;  // where decoding began
  Lsn begin_;       // of the batches that are kept
  Lsn end_;
  bool failed_ = false;  // its decoder cannot go on
  std::deque<BatchPtr> batches_;
  size_t bytes_ = 0;
  std::optional<pg::WalStreamDecoder> decoder_;
  bool input_left_ = false;  // of what was read into chunk_
  Bytes chunk_;
  Lsn read_to_;
  pg::DecodedRecord decoded_;
  pg::Interpreter interpreter_;
  pg::InterpretedRecord interpreted_;
};

// From the page's start on, as the decoder needs it.
void DecodedWal::Window::begin_decoding(const CommittedWal& wal) {
  read_to_ = end_ < wal.local_start ? end_ : std::max(pg::page_start(end_), wal.local_start);
  decoder_.emplace(read_to_, wal.identity);
  chunk_.resize(kDecodeChunk);
}

Status DecodedWal::Window::read(Task& task, const CommittedWal& wal) {
  Lsn to = std::min({wal.limit, read_to_ + kDecodeChunk, pg::segment_start(read_to_) + pg::kWalSegmentSize});
  TRY_ASSIGN(size_t n, wal.read(task, read_to_, ByteSpan(chunk_).first(to - read_to_)));
  if (n == 0) return Error(Code::Corrupt, "no WAL at " + to_string(read_to_));
  read_to_ += n;
  decoder_->feed(ByteView(chunk_).first(n));
  input_left_ = true;
  return {};
}

Status DecodedWal::Window::take(const pg::DecodedRecord& record, pg::BatchWriter& batch) {
  if (record.end_lsn <= from_) return {};  // on the page before the first one wanted
  if (record.start_lsn < from_ || decoder_->rest_end().value_or(Lsn()) > from_)
    return Error(Code::Invalid, "no record begins at " + to_string(from_) + ", where WAL was asked for");
  TRY(interpreter_.interpret(record, interpreted_));
  batch.add(interpreted_);
  return {};
}

Status DecodedWal::Window::decode(pg::BatchWriter& batch, size_t batch_bytes) {
  while (input_left_ && (!batch.has_records() || batch.size() < batch_bytes)) {
    auto found = decoder_->next(decoded_);
    if (!found.ok()) {
      Lsn place = decoder_->position();
      return Error(Code::Corrupt, "segment " + pg::segment_file_name(pg::segment_number(place)) + " near " +
                                      to_string(place) +
                                      " was changed after it was written: " + found.error().message());
    }
    if (!*found)
      input_left_ = false;
    else
      TRY(take(decoded_, batch));
  }
  if (batch.size() > pg::kBatchPayloadMax - pg::kBatchPayloadHeader)
    return Error(Code::Unsupported, "the record that ends at " + to_string(decoded_.end_lsn) +
                                        " is too long for a message: read WAL as it is");
  return {};
}

Result<DecodedWal::BatchPtr> DecodedWal::Window::extend(Task& task, const CommittedWal& wal,
                                                        const DecodeOptions& options) {
  if (!decoder_) begin_decoding(wal);
  pg::BatchWriter batch(end_);
  for (;;) {
    Status decoded = decode(batch, options.batch_bytes);
    failed_ = !decoded.ok();
    TRY(std::move(decoded));
    if (batch.has_records()) break;
    if (read_to_ >= wal.limit) return BatchPtr();
    TRY(read(task, wal));
  }
  Bytes body = batch.finish();
  TRY_ASSIGN(pg::BatchReader made, pg::BatchReader::open(body));
  keep(std::make_shared<Batch>(Batch{made.header().start, made.header().end, std::move(body)}),
       options.window_bytes);
  return batches_.back();
}

void DecodedWal::Window::keep(BatchPtr batch, size_t window_bytes) {
  bytes_ += batch->body.size();
  end_ = batch->end;
  batches_.push_back(std::move(batch));
  while (bytes_ > window_bytes && batches_.size() > 1) {
    bytes_ -= batches_.front()->body.size();
    batches_.pop_front();
    begin_ = batches_.front()->start;
  }
}

// To the window that is furthest of those that hold the reader's place, or to one of its own.
void DecodedWal::attach(Env& env, Cursor& cursor) {
  if (cursor.window && !cursor.window->holds(cursor.at)) cursor.window.reset();
  for (const std::weak_ptr<Window>& one : windows_) {
    std::shared_ptr<Window> window = one.lock();
    if (!window || !window->holds(cursor.at)) continue;
    bool further = !cursor.window || window->end() > cursor.window->end();
    if (further && cursor.window) env.probe("safekeeper.decoded-together"_probe);
    if (further) cursor.window = std::move(window);
  }
  std::erase_if(windows_, [](const std::weak_ptr<Window>& window) { return window.expired(); });
  if (cursor.window) return;
  if (!windows_.empty()) env.probe("safekeeper.decoded-apart"_probe);
  cursor.window = std::make_shared<Window>(cursor.at);
  windows_.push_back(cursor.window);
  windows_made_++;
}

Result<DecodedWal::BatchPtr> DecodedWal::next(Task& task, Cursor& cursor, const CommittedWal& wal) {
  for (;;) {
    attach(task.env(), cursor);
    std::shared_ptr<Window> window = cursor.window;
    if (BatchPtr batch = window->find(cursor.at)) return batch;
    Lock lock;
    TRY(lock.acquire(task, window->mutex()));
    // While this one waited another may have decoded it.
    if (window->end() != cursor.at || !window->holds(cursor.at)) continue;
    TRY_ASSIGN(BatchPtr batch, window->extend(task, wal, options_));
    if (!batch) return batch;
    bytes_decoded_ += batch->end - batch->start;
    batches_decoded_++;
    return batch;
  }
}

size_t DecodedWal::windows() const {
  return static_cast<size_t>(
      std::ranges::count_if(windows_, [](const std::weak_ptr<Window>& window) { return !window.expired(); }));
}

}  // namespace argon::safekeeper
