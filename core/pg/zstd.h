// Zstandard with one context a thread, kept from call to call: making one costs more than a page takes.
//
// Neither may suspend.

#pragma once

#include "core/base/bytes.h"

namespace argon::pg {

// The compressed bytes, the same for the same input whatever was compressed before. Empty where memory is
// short.
Bytes zstd_compress(ByteView in, int level);

// False where `in` is damaged or does not decompress to exactly `out.size()` bytes; `out` is then undefined.
bool zstd_decompress(ByteView in, ByteSpan out);

}  // namespace argon::pg
