#include "core/safekeeper/wal_proof.h"

#include <algorithm>

#include "core/env/io.h"
#include "core/pg/wal_page.h"

namespace argon::safekeeper {

WalProof::WalProof(Lsn start, Lsn local_start)
    : start_(start), from_(std::max(pg::page_start(start), local_start)) {
  decoder_.emplace(from_);
}

Status WalProof::prepare(Task& task, const Read& read) {
  Bytes bytes(pg::kWalBlockSize);
  for (Lsn at = from_; at < start_;) {
    ByteSpan wanted = ByteSpan(bytes).first(std::min<uint64_t>(bytes.size(), start_ - at));
    TRY_ASSIGN(size_t n, read(task, at, wanted));
    if (n == 0) return Error(Code::Corrupt, "no WAL at " + to_string(at));
    TRY(add(at, ByteView(bytes).first(n)));
    at += n;
  }
  return {};
}

Status WalProof::add(Lsn at, ByteView wal) {
  if (at < from_) {
    uint64_t made_up = std::min<uint64_t>(from_ - at, wal.size());
    wal = wal.subspan(made_up);
    if (wal.empty()) return {};
  }
  decoder_->feed(wal);
  pg::WalRecord record;
  for (;;) {
    auto found = decoder_->next(record);
    if (!found.ok()) {
      Lsn place = decoder_->position();
      return Error(Code::Corrupt, "segment " + pg::segment_file_name(pg::segment_number(place)) + " near " +
                                      to_string(place) +
                                      " was changed after it was written: " + found.error().message());
    }
    if (!*found) return {};
  }
}

}  // namespace argon::safekeeper
