#include "core/pageserver/value_compression.h"

#include <lz4.h>

#include "core/base/codec.h"
#include "core/pageserver/value.h"

namespace argon::pageserver {

namespace {

constexpr size_t kHeader = 1 + 4;
constexpr size_t kMostRatio = 255;  // what a block of LZ4 can expand to, times its length

}  // namespace

ValueCompressor::ValueCompressor() : state_(static_cast<size_t>(LZ4_sizeofState()) / sizeof(uint64_t) + 1) {}

ByteView ValueCompressor::compress(ByteView value) {
  if (value.size() < kShortest || value.size() > LZ4_MAX_INPUT_SIZE) return value;
  size_t longest = value.size() - value.size() / 8;
  if (out_.size() < longest) out_.resize(longest);
  int bytes =
      LZ4_compress_fast_extState(state_.data(), reinterpret_cast<const char*>(value.data()),
                                 reinterpret_cast<char*>(out_.data() + kHeader),
                                 static_cast<int>(value.size()), static_cast<int>(longest - kHeader), 1);
  if (bytes <= 0) return value;
  out_[0] = static_cast<uint8_t>(ValueKind::Compressed);
  store_le(out_.data() + 1, static_cast<uint32_t>(value.size()));
  return ByteView(out_).first(kHeader + static_cast<size_t>(bytes));
}

bool is_compressed(ByteView stored) {
  return !stored.empty() && stored[0] == static_cast<uint8_t>(ValueKind::Compressed);
}

Status expand_value(Bytes& stored) {
  if (!is_compressed(stored)) return {};
  Error bad(Code::Corrupt, "a compressed value does not expand to its length");
  if (stored.size() <= kHeader) return bad;
  auto length = load_le<uint32_t>(stored.data() + 1);
  size_t block = stored.size() - kHeader;
  if (length == 0 || length > LZ4_MAX_INPUT_SIZE || length / kMostRatio > block) return bad;
  Bytes value(length);
  int bytes = LZ4_decompress_safe(reinterpret_cast<const char*>(stored.data() + kHeader),
                                  reinterpret_cast<char*>(value.data()), static_cast<int>(block),
                                  static_cast<int>(length));
  if (bytes < 0 || static_cast<uint32_t>(bytes) != length || is_compressed(value)) return bad;
  stored = std::move(value);
  return {};
}

}  // namespace argon::pageserver
