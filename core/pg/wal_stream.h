// From a stream of WAL bytes to whole records.
//
//   WalStreamDecoder decoder(start, identity);
//   decoder.feed(bytes);                       // contiguous: the first feed begins at `start`
//   WalRecord record;
//   for (;;) {
//     TRY_ASSIGN(bool found, decoder.next(record));
//     if (!found) break;                       // all bytes are used up: feed more
//     …
//   }
//
// Checked: page headers (magic, flags, address, system, sizes), continuation lengths, xl_prev (that
// of the first record only as far as known), resource manager, CRC. Records that lie on one page are
// views into the fed bytes; others are put together in one reused buffer, which grows with bytes that
// did come, never by an announced length alone.
//
// In a stream from a peer an error is an error. For one who reads segments from disk to find the end
// of valid WAL, the first error, or the end of the input, is that end: last_end(), last_record(),
// and the error's text says why. An error is final: every later next() repeats it.
//
// A record whose continuation was overwritten (kWalFirstIsOverwriteContrecord) is dropped, and the
// record that replaces it must name it. Source: XLogDecodeNextRecord in xlogreader.c.

#pragma once

#include <array>
#include <optional>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/pg/wal_page.h"
#include "core/pg/wal_record.h"

namespace argon::pg {

struct WalRecord {
  Lsn start;       // of the record's header, behind a page header
  Lsn end;         // of the record, aligned; a switch record ends with its segment
  ByteView bytes;  // xl_tot_len bytes; valid until the next feed() or next()
};

class WalStreamDecoder {
 public:
  // `start` is where the bytes begin: a page boundary, or where a record starts. At a page boundary
  // whose page begins with the rest of an earlier record, that rest is skipped. A start inside a page
  // header or unaligned makes next() fail with Code::Invalid. `previous`: the start of the record
  // before, which the first one must name; none if unknown.
  explicit WalStreamDecoder(Lsn start, WalIdentity identity = {}, std::optional<Lsn> previous = {});

  // What page headers are held to from here on.
  void identify(WalIdentity identity) { identity_ = identity; }
  // Borrows `bytes` until next() has said false. REQUIRES: the bytes fed before are used up.
  void feed(ByteView bytes);

  // The next whole record: true. All bytes used up: false. Code::Corrupt names LSN and cause.
  Result<bool> next(WalRecord& record);
  // The same, taken apart.
  Result<bool> next(DecodedRecord& record);

  // Where the next byte to be fed belongs (bytes fed but not used do not count).
  Lsn position() const { return position_ + page_header_have_; }
  // The end of the last whole record (what "flushed up to a record" means); `start` before any, even
  // where the rest of an earlier record was skipped.
  Lsn last_end() const { return last_end_; }
  // Where the rest of an earlier record that was skipped at `start` ended, aligned. None: there was none, or
  // it has not ended.
  std::optional<Lsn> rest_end() const { return rest_end_; }
  // The start of the last whole record: what the next one's xl_prev must be. None before any.
  std::optional<Lsn> last_record() const { return previous_; }
  // Part of a record has been seen, its end has not.
  bool inside_record() const { return phase_ == Phase::Record && total_ != 0; }

 private:
  enum class Phase : uint8_t {
    Boundary,  // the next record, or a page header before it, begins at position_
    Record,    // inside a record that is being put together
    Rest,      // inside the rest of a record that began before `start`
    Skip,      // in padding, up to skip_to_
    Failed,
  };

  enum class Step : uint8_t { Record, Again, NeedsInput, Failed };

  Step advance(WalRecord& record);
  Step step(WalRecord& record);
  Step fail(Error error);
  Step take_page_header();
  Status enter_page(const WalPageHeader& header);
  Status enter_page_inside_record(const WalPageHeader& header);
  Step take_record(WalRecord& record);
  Step assemble(WalRecord& record);
  void take_rest();
  bool skip();
  bool header_fits(const uint8_t* header, Lsn start) const;
  Error header_error(const uint8_t* header, Lsn start) const;
  Step finish_record(ByteView whole, WalRecord& record);
  Status check_replacement(const WalRecord& record);
  void consume(size_t n);
  ByteView input_of_page(size_t limit) const;

  WalIdentity identity_;
  Phase phase_ = Phase::Boundary;
  bool first_ = true;  // nothing has been read yet
  Lsn position_;
  ByteView input_;
  Lsn last_end_;
  std::optional<Lsn> rest_end_;
  std::optional<Lsn> previous_;
  std::optional<Lsn> overwritten_;  // start of the record dropped for an overwritten continuation
  Lsn skip_to_;
  Lsn record_start_;
  uint64_t total_ = 0;      // length of the record (Record) or bytes left of it (Rest)
  bool header_ok_ = false;  // of the record being put together
  Bytes assembly_;
  std::array<uint8_t, kWalLongHeader> page_header_;
  size_t page_header_have_ = 0;
  std::optional<Error> error_;
};

}  // namespace argon::pg
