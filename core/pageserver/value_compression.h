// Compression of values in layer files: behind ValueKind::Compressed comes u32 LE, the value's length, then
// the value as a block of LZ4.
//
// Values have this form in layer files alone: who reads a layer gets them as they were.

#pragma once

#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace argon::pageserver {

class ValueCompressor {
 public:
  static constexpr size_t kShortest = 512;

  ValueCompressor();
  // What is to be stored: the value's compressed form, where it is not short and that saves an eighth; else
  // itself. Borrowed from `value`, or until the next call.
  ByteView compress(ByteView value);

 private:
  std::vector<uint64_t> state_;  // 16 KiB, too much for a fiber's stack
  Bytes out_;
};

bool is_compressed(ByteView stored);
// Makes the value of what is stored. Code::Corrupt.
Status expand_value(Bytes& stored);

}  // namespace argon::pageserver
