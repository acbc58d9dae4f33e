#include "core/pg/tar.h"

#include <algorithm>

#include "core/base/check.h"

namespace argon::pg {

namespace {

// Offsets and lengths in a ustar header.
constexpr size_t kName = 0, kNameLength = 100, kMode = 100, kUid = 108, kGid = 116, kSize = 124, kTime = 136;
constexpr size_t kChecksum = 148, kType = 156, kLink = 157, kMagic = 257, kUser = 265, kGroup = 297;
constexpr size_t kDevMajor = 329, kDevMinor = 337, kPrefix = 345, kPrefixLength = 155;
constexpr size_t kNumber = 8, kLongNumber = 12;
constexpr uint64_t kLargestFile = uint64_t{1} << 50;
// Old GNU sparse entries: up to four pairs (offset, size) in the header, then the real size.
constexpr size_t kSparse = 386, kSparsePair = 24, kSparseExtended = 482, kRealSize = 483;
constexpr uint64_t kLargestSparseFile = uint64_t{1} << 30;
constexpr size_t kZeroPiece = 65536;
constexpr std::array<uint8_t, kZeroPiece> kZeroBytes{};

using Header = std::array<uint8_t, kTarBlock>;

// Octal digits and a space, or base 256 behind 0x80 where it does not fit.
void put_number(Header& h, size_t at, size_t length, uint64_t value) {
  size_t digits = length - 1;
  if (value < uint64_t{1} << (digits * 3)) {
    h[at + digits] = ' ';
    for (size_t i = digits; i-- > 0; value >>= 3) h[at + i] = static_cast<uint8_t>('0' + (value & 7));
    return;
  }
  h[at] = 0x80;
  for (size_t i = length; i-- > 1; value >>= 8) h[at + i] = static_cast<uint8_t>(value);
}

void put_text(Header& h, size_t at, std::string_view text) {
  std::memcpy(h.data() + at, text.data(), text.size());
}

bool get_number(const Header& h, size_t at, size_t length, uint64_t& value) {
  value = 0;
  if (h[at] & 0x80) {
    value = h[at] & 0x7F;
    for (size_t i = 1; i < length; i++) {
      if (value >> 56) return false;
      value = value << 8 | h[at + i];
    }
    return true;
  }
  size_t i = 0;
  while (i < length && h[at + i] == ' ') i++;
  for (; i < length && h[at + i] >= '0' && h[at + i] <= '7'; i++)
    value = value << 3 | (h[at + i] - uint64_t{'0'});
  return i == length || h[at + i] == ' ' || h[at + i] == 0;
}

std::string get_text(const Header& h, size_t at, size_t length) {
  const auto* begin = h.data() + at;
  return std::string(begin, std::find(begin, begin + length, 0));
}

// The checksum counts its own field as spaces.
uint64_t checksum(const Header& h) {
  uint64_t sum = 8 * ' ';
  for (size_t i = 0; i < h.size(); i++)
    if (i < kChecksum || i >= kChecksum + kNumber) sum += h[i];
  return sum;
}

uint64_t padding(uint64_t size) {
  return (kTarBlock - size % kTarBlock) % kTarBlock;
}

// Relative, without "." or ".." or empty parts.
bool safe_name(std::string_view name) {
  while (!name.empty()) {
    size_t slash = name.find('/');
    std::string_view part = name.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == name.npos) return true;
    name.remove_prefix(slash + 1);
  }
  return false;
}

Error bad_archive(const std::string& what) {
  return Error(Code::Corrupt, "tar archive: " + what);
}

}  // namespace

Result<Header> TarWriter::header(const TarEntry& entry) const {
  CHECK(left_ == 0, "a file is still open");
  std::string name = entry.kind == TarKind::File ? entry.name : entry.name + "/";
  if (entry.name.empty() || name.size() >= kNameLength || entry.target.size() >= kNameLength)
    return Error(Code::Invalid, "name too long for a tar archive: " + entry.name);
  Header h{};
  put_text(h, kName, name);
  put_number(h, kMode, kNumber, entry.mode);
  put_number(h, kUid, kNumber, 0);
  put_number(h, kGid, kNumber, 0);
  put_number(h, kSize, kLongNumber, entry.size);
  put_number(h, kTime, kLongNumber, static_cast<uint64_t>(std::max<int64_t>(entry.time, 0)));
  h[kType] = entry.kind == TarKind::File ? '0' : entry.kind == TarKind::Directory ? '5' : '2';
  put_text(h, kLink, entry.target);
  put_text(h, kMagic,
           std::string_view("ustar\0"
                            "00",
                            8));
  put_text(h, kUser, "postgres");
  put_text(h, kGroup, "postgres");
  put_number(h, kDevMajor, kNumber, 0);
  put_number(h, kDevMinor, kNumber, 0);
  put_number(h, kChecksum, kNumber, checksum(h));
  return h;
}

Status TarWriter::put_header(const TarEntry& entry) {
  TRY_ASSIGN(Header h, header(entry));
  return sink_(h);
}

Status TarWriter::sparse_file(const std::string& name, uint64_t size, std::span<const TarRun> runs,
                              uint32_t mode) {
  CHECK(runs.size() <= kMaxTarRuns && size % kTarBlock == 0 && size <= kLargestSparseFile);
  uint64_t stored = 0, end = 0;
  for (const TarRun& run : runs) {
    CHECK(run.offset % kTarBlock == 0 && run.bytes.size() % kTarBlock == 0 && run.offset >= end);
    end = run.offset + run.bytes.size();
    stored += run.bytes.size();
  }
  CHECK(end <= size);
  TRY_ASSIGN(Header h, header({name, TarKind::File, stored, mode, time_, ""}));
  h[kType] = 'S';
  put_text(h, kMagic, std::string_view("ustar  \0", 8));
  size_t pair = kSparse;
  auto put_pair = [&](uint64_t offset, uint64_t length) {
    put_number(h, pair, kLongNumber, offset);
    put_number(h, pair + kLongNumber, kLongNumber, length);
    pair += kSparsePair;
  };
  for (const TarRun& run : runs) put_pair(run.offset, run.bytes.size());
  put_pair(size, 0);  // the end: the file may end with zeros
  put_number(h, kRealSize, kLongNumber, size);
  put_number(h, kChecksum, kNumber, checksum(h));
  TRY(sink_(h));
  for (const TarRun& run : runs) TRY(sink_(run.bytes));
  return {};
}

Status TarWriter::pad(uint64_t size) {
  static constexpr std::array<uint8_t, kTarBlock> kZeros{};
  uint64_t n = padding(size);
  return n == 0 ? Status() : sink_(ByteView(kZeros).first(n));
}

Status TarWriter::directory(const std::string& name) {
  return put_header({name, TarKind::Directory, 0, 0700, time_, ""});
}

Status TarWriter::symlink(const std::string& name, const std::string& target) {
  return put_header({name, TarKind::Symlink, 0, 0777, time_, target});
}

Status TarWriter::file(const std::string& name, ByteView bytes, uint32_t mode) {
  TRY(begin_file(name, bytes.size(), mode));
  TRY(write(bytes));
  return end_file();
}

Status TarWriter::begin_file(const std::string& name, uint64_t size, uint32_t mode) {
  TRY(put_header({name, TarKind::File, size, mode, time_, ""}));
  size_ = left_ = size;
  return {};
}

Status TarWriter::write(ByteView bytes) {
  CHECK(bytes.size() <= left_, "more bytes than the file was said to have");
  left_ -= bytes.size();
  return bytes.empty() ? Status() : sink_(bytes);
}

Status TarWriter::end_file() {
  CHECK(left_ == 0, "fewer bytes than the file was said to have");
  return pad(size_);
}

Status TarWriter::finish() {
  static constexpr std::array<uint8_t, 2 * kTarBlock> kZeros{};
  return sink_(kZeros);
}

void TarReader::feed(ByteView bytes) {
  CHECK(input_.empty() || ended_, "bytes fed before are not used up");
  input_ = bytes;
}

Result<TarReader::Event> TarReader::next() {
  if (ended_) return Event::End;
  if (input_.empty()) return Event::NeedMore;
  size_t skipped = std::min<uint64_t>(padding_left_, input_.size());
  padding_left_ -= skipped;
  input_ = input_.subspan(skipped);
  if (padding_left_ > 0 || input_.empty()) return Event::NeedMore;
  if (file_offset_ < entry_.size) return take_data();
  size_t n = std::min(kTarBlock - block_have_, input_.size());
  std::memcpy(block_.data() + block_have_, input_.data(), n);
  block_have_ += n;
  input_ = input_.subspan(n);
  if (block_have_ < kTarBlock) return Event::NeedMore;
  block_have_ = 0;
  return take_header();
}

// The next piece of the file: zeros before a run or behind the last, or bytes of the run.
TarReader::Event TarReader::take_data() {
  uint64_t zeros_to = run_ < run_count_ ? runs_[run_].offset : entry_.size;
  if (file_offset_ < zeros_to) {
    data_ = ByteView(kZeroBytes).first(std::min<uint64_t>(zeros_to - file_offset_, kZeroPiece));
    file_offset_ += data_.size();
    return Event::Data;
  }
  const Run& run = runs_[run_];
  uint64_t end = run.offset + run.size;
  data_ = input_.first(std::min<uint64_t>(end - file_offset_, input_.size()));
  input_ = input_.subspan(data_.size());
  file_offset_ += data_.size();
  if (file_offset_ == end) {
    padding_left_ = padding(run.size);
    run_++;
  }
  return Event::Data;
}

// The runs of a sparse entry; the real size becomes the entry's. An empty run marks the end.
Status TarReader::read_runs(TarEntry& entry) {
  Error broken = bad_archive("the sparse map of '" + entry.name + "' is broken");
  uint64_t real_size, stored = 0, end = 0;
  if (block_[kSparseExtended] != 0)
    return Error(Code::Unsupported, "tar archive: '" + entry.name + "' has more than four runs");
  if (!get_number(block_, kRealSize, kLongNumber, real_size) || real_size > kLargestSparseFile) return broken;
  for (size_t i = 0; i < kMaxRuns; i++) {
    Run run;
    size_t at = kSparse + i * kSparsePair;
    if (block_[at] == 0) break;
    if (!get_number(block_, at, kLongNumber, run.offset) ||
        !get_number(block_, at + kLongNumber, kLongNumber, run.size))
      return broken;
    if (run.offset < end || run.offset > real_size || run.size > real_size - run.offset) return broken;
    end = run.offset + run.size;
    stored += run.size;
    if (run.size > 0) runs_[run_count_++] = run;
  }
  if (stored != entry.size) return broken;
  entry.size = real_size;
  return {};
}

Result<TarReader::Event> TarReader::take_header() {
  if (std::all_of(block_.begin(), block_.end(), [](uint8_t b) { return b == 0; })) {
    ended_ = true;
    input_ = {};
    return Event::End;
  }
  uint64_t sum, mode, time;
  if (!get_number(block_, kChecksum, kNumber, sum) || sum != checksum(block_))
    return bad_archive("a header's checksum is wrong");
  TarEntry entry;
  entry.name = get_text(block_, kName, kNameLength);
  bool ustar = std::memcmp(block_.data() + kMagic, "ustar", 6) == 0;
  if (std::string prefix = get_text(block_, kPrefix, kPrefixLength); ustar && !prefix.empty())
    entry.name = prefix + "/" + entry.name;
  if (entry.name.ends_with('/')) entry.name.pop_back();
  if (!safe_name(entry.name)) return bad_archive("unsafe name '" + entry.name + "'");
  if (!get_number(block_, kSize, kLongNumber, entry.size) || entry.size > kLargestFile ||
      !get_number(block_, kMode, kNumber, mode) || !get_number(block_, kTime, kLongNumber, time))
    return bad_archive("a number in the header of '" + entry.name + "' is broken");
  entry.mode = static_cast<uint32_t>(mode & 07777);
  entry.time = static_cast<int64_t>(time & INT64_MAX);
  bool sparse = false;
  switch (block_[kType]) {
    case 0:
    case '0':
      entry.kind = TarKind::File;
      break;
    case 'S':
      sparse = true;
      break;
    case '5':
      entry.kind = TarKind::Directory;
      break;
    case '2':
      entry.kind = TarKind::Symlink;
      entry.target = get_text(block_, kLink, kNameLength);
      break;
    default:
      return Error(Code::Unsupported, "tar archive: entry '" + entry.name + "' is of unknown kind");
  }
  if (entry.kind != TarKind::File) entry.size = 0;
  run_ = run_count_ = 0;
  file_offset_ = 0;
  if (sparse) {
    TRY(read_runs(entry));
  } else if (entry.size > 0) {
    runs_[run_count_++] = {0, entry.size};
  }
  entry_ = std::move(entry);
  return Event::Entry;
}

}  // namespace argon::pg
