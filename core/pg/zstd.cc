#include "core/pg/zstd.h"

#include <zstd.h>

#include <new>

namespace argon::pg {
namespace {

// A thread's contexts live as long as the process: core knows no end of a thread (ci/purity.py).
template <typename Context>
Context* made(Context* context) {
  if (context == nullptr) throw std::bad_alloc();
  return context;
}

}  // namespace

Bytes zstd_compress(ByteView in, int level) {
  thread_local ZSTD_CCtx* context = made(ZSTD_createCCtx());
  Bytes out(ZSTD_compressBound(in.size()));
  size_t n = ZSTD_compressCCtx(context, out.data(), out.size(), in.data(), in.size(), level);
  out.resize(ZSTD_isError(n) ? 0 : n);
  return out;
}

bool zstd_decompress(ByteView in, ByteSpan out) {
  thread_local ZSTD_DCtx* context = made(ZSTD_createDCtx());
  size_t n = ZSTD_decompressDCtx(context, out.data(), out.size(), in.data(), in.size());
  return !ZSTD_isError(n) && n == out.size();
}

}  // namespace argon::pg
