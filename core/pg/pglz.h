// PostgreSQL's own compression (common/pg_lzcompress.c), decompression only.

#pragma once

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace argon::pg {

// Fills `out` completely from `in`, which must be used up exactly. Code::Corrupt otherwise.
Status pglz_decompress(ByteView in, ByteSpan out);

}  // namespace argon::pg
