#include "core/pg/wal_stream.h"

#include <algorithm>

#include "core/pg/record_types.h"

namespace argon::pg {

namespace {

[[gnu::cold, gnu::noinline]] Error bad_wal(Lsn at, std::string what) {
  return Error(Code::Corrupt, "WAL at " + to_string(at) + ": " + std::move(what));
}

constexpr size_t kLengthField = 4;

}  // namespace

WalStreamDecoder::WalStreamDecoder(Lsn start, WalIdentity identity, std::optional<Lsn> previous)
    : identity_(identity), position_(start), last_end_(start), previous_(previous) {
  if (page_offset(start) != 0 && !is_record_position(start)) {
    error_ = Error(Code::Invalid, "no WAL record can start at " + to_string(start));
    phase_ = Phase::Failed;
  }
}

inline void WalStreamDecoder::consume(size_t n) {
  position_ += n;
  input_ = input_.subspan(n);
}

// What has come of this page, at most `limit` bytes.
inline ByteView WalStreamDecoder::input_of_page(size_t limit) const {
  return input_.first(std::min({input_.size(), limit, kWalBlockSize - size_t{page_offset(position_)}}));
}

void WalStreamDecoder::feed(ByteView bytes) {
  CHECK(input_.empty() || phase_ == Phase::Failed, "bytes fed before are not used up");
  input_ = bytes;
}

Result<bool> WalStreamDecoder::next(DecodedRecord& record) {
  WalRecord whole;
  Step made = advance(whole);
  if (made == Step::Record) {
    Status decoded = decode_record(whole.bytes, whole.start, whole.end, record);
    if (!decoded.ok()) made = fail(decoded.error());
  }
  if (made == Step::Failed) return *error_;
  return made == Step::Record;
}

Result<bool> WalStreamDecoder::next(WalRecord& record) {
  Step made = advance(record);
  if (made == Step::Failed) return *error_;
  return made == Step::Record;
}

WalStreamDecoder::Step WalStreamDecoder::advance(WalRecord& record) {
  if (phase_ == Phase::Failed) return Step::Failed;
  for (;;) {
    Step made = step(record);
    if (made != Step::Again) return made;
  }
}

[[gnu::cold]] WalStreamDecoder::Step WalStreamDecoder::fail(Error error) {
  error_ = std::move(error);
  phase_ = Phase::Failed;
  input_ = {};
  return Step::Failed;
}

WalStreamDecoder::Step WalStreamDecoder::step(WalRecord& record) {
  if (phase_ == Phase::Skip) return skip() ? Step::Again : Step::NeedsInput;
  if (input_.empty()) return Step::NeedsInput;
  if (page_offset(position_) == 0) return take_page_header();
  if (phase_ == Phase::Rest) {
    take_rest();
    return Step::Again;
  }
  return phase_ == Phase::Boundary ? take_record(record) : assemble(record);
}

// Whether all that is to be skipped has come.
bool WalStreamDecoder::skip() {
  consume(std::min<uint64_t>(input_.size(), skip_to_ - position_));
  phase_ = position_ == skip_to_ ? Phase::Boundary : Phase::Skip;
  return phase_ == Phase::Boundary;
}

// The header is gathered over as many feeds as it takes; position_ moves when it is whole.
WalStreamDecoder::Step WalStreamDecoder::take_page_header() {
  size_t want = page_header_size(position_);
  size_t n = std::min(want - page_header_have_, input_.size());
  std::memcpy(page_header_.data() + page_header_have_, input_.data(), n);
  page_header_have_ += n;
  input_ = input_.subspan(n);
  if (page_header_have_ < want) return Step::NeedsInput;
  page_header_have_ = 0;
  Result<WalPageHeader> header = read_page_header(page_header_, position_, identity_);
  if (!header.ok()) return fail(header.error());
  if (Status entered = enter_page(*header); !entered.ok()) return fail(entered.error());
  position_ += want;
  first_ = false;
  return Step::Again;
}

Status WalStreamDecoder::enter_page(const WalPageHeader& header) {
  if (phase_ == Phase::Record || phase_ == Phase::Rest) return enter_page_inside_record(header);
  if (!header.first_is_contrecord()) return {};
  if (!first_) return bad_wal(position_, "the page goes on with a record of which nothing came before");
  if (header.rem_len == 0) return bad_wal(position_, "the page goes on with a record of no length");
  phase_ = Phase::Rest;
  total_ = header.rem_len;
  return {};
}

Status WalStreamDecoder::enter_page_inside_record(const WalPageHeader& header) {
  if (header.first_is_overwrite()) {
    if (phase_ == Phase::Record) overwritten_ = record_start_;
    phase_ = Phase::Boundary;
    assembly_.clear();
    return {};
  }
  uint64_t left = phase_ == Phase::Rest ? total_ : total_ - assembly_.size();
  if (!header.first_is_contrecord())
    return bad_wal(position_,
                   "the page does not go on with the record that began at " + to_string(record_start_));
  if (header.rem_len != left)
    return bad_wal(position_, "the page has " + std::to_string(header.rem_len) + " bytes of the record at " +
                                  to_string(record_start_) + ", expected " + std::to_string(left));
  return {};
}

void WalStreamDecoder::take_rest() {
  size_t n = input_of_page(total_).size();
  consume(n);
  total_ -= n;
  if (total_ > 0) return;
  phase_ = Phase::Skip;
  skip_to_ = Lsn(align8(position_.value));
  rest_end_ = skip_to_;
}

bool WalStreamDecoder::header_fits(const uint8_t* header, Lsn start) const {
  Lsn prev(load_le<uint64_t>(header + 8));
  return is_known_rmgr(header[17]) && (previous_ ? prev == *previous_ : prev < start);
}

[[gnu::cold]] Error WalStreamDecoder::header_error(const uint8_t* header, Lsn start) const {
  uint8_t rmid = header[17];
  if (!is_known_rmgr(rmid)) return bad_wal(start, "unknown resource manager " + std::to_string(rmid));
  return bad_wal(start, "the record names " + to_string(Lsn(load_le<uint64_t>(header + 8))) +
                            " as the one before, expected " +
                            (previous_ ? to_string(*previous_) : "an earlier one"));
}

// At a record's first byte. The common case, all of it on this page and already here, makes no copy.
WalStreamDecoder::Step WalStreamDecoder::take_record(WalRecord& record) {
  first_ = false;
  record_start_ = position_;
  if (input_.size() >= kLengthField) {
    auto length = load_le<uint32_t>(input_.data());
    ByteView whole = input_of_page(length);
    if (length >= kRecordHeader && whole.size() == length) {
      if (!header_fits(whole.data(), record_start_)) return fail(header_error(whole.data(), record_start_));
      consume(length);
      return finish_record(whole, record);
    }
  }
  total_ = 0;
  header_ok_ = false;
  assembly_.clear();
  phase_ = Phase::Record;
  return assemble(record);
}

WalStreamDecoder::Step WalStreamDecoder::assemble(WalRecord& record) {
  // Until the length is known, which never splits over pages, take only that field.
  ByteView part = input_of_page((total_ == 0 ? kLengthField : total_) - assembly_.size());
  append(assembly_, part);
  consume(part.size());
  if (total_ == 0 && assembly_.size() == kLengthField) {
    total_ = load_le<uint32_t>(assembly_.data());
    if (total_ < kRecordHeader || total_ > kMaxRecordLength)
      return fail(bad_wal(record_start_, "record length is " + std::to_string(total_)));
  }
  if (!header_ok_ && assembly_.size() >= kRecordHeader) {
    if (!header_fits(assembly_.data(), record_start_))
      return fail(header_error(assembly_.data(), record_start_));
    header_ok_ = true;
  }
  if (total_ != 0 && assembly_.size() == total_) return finish_record(assembly_, record);
  return input_.empty() ? Step::NeedsInput : Step::Again;
}

// The record's bytes are used up; the padding behind it, as far as it has come, is skipped as well.
WalStreamDecoder::Step WalStreamDecoder::finish_record(ByteView whole, WalRecord& record) {
  if (!check_record_crc(whole)) return fail(bad_wal(record_start_, "the record's checksum is wrong"));
  record.start = record_start_;
  record.bytes = whole;
  record.end = Lsn(align8(position_.value));
  if (whole[17] == static_cast<uint8_t>(Rmgr::Xlog) && (whole[16] & kInfoRmgrMask) == xlog::kSwitch)
    record.end = Lsn((record.end.value + kWalSegmentSize - 1) / kWalSegmentSize * kWalSegmentSize);
  if (overwritten_) {
    if (Status replaced = check_replacement(record); !replaced.ok()) return fail(replaced.error());
  }
  previous_ = record.start;
  last_end_ = record.end;
  skip_to_ = record.end;
  skip();
  return Step::Record;
}

Status WalStreamDecoder::check_replacement(const WalRecord& record) {
  DecodedRecord decoded;
  TRY(decode_record(record.bytes, record.start, record.end, decoded));
  if (!decoded.is(Rmgr::Xlog, xlog::kOverwriteContrecord) || decoded.main_data.size() < 8 ||
      load_le<uint64_t>(decoded.main_data.data()) != overwritten_->value)
    return bad_wal(record.start, "the record should replace the one at " + to_string(*overwritten_));
  overwritten_.reset();
  return {};
}

}  // namespace argon::pg
