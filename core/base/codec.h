// Writer and Reader: the one way to build and take apart binary messages and headers.
//
// A Reader never reads past its end: after the first failure every further read yields zeros
// and failed() stays true, so a decoder checks once, at the end. Lengths taken from input must
// go through bytes(n), which checks them before anything is allocated.

#pragma once

#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/ids.h"

namespace argon {

class Writer {
 public:
  explicit Writer(Bytes& out) : out_(out) {}

  template <typename Integer>
  Writer& le(Integer value) {
    size_t at = grow(sizeof value);
    store_le(out_.data() + at, value);
    return *this;
  }
  template <typename Integer>
  Writer& be(Integer value) {
    return le(byte_swap(value));
  }
  Writer& u8(uint8_t value) {
    out_.push_back(value);
    return *this;
  }
  Writer& bytes(ByteView view) {
    append(out_, view);
    return *this;
  }
  Writer& zeros(size_t n) {
    grow(n);
    return *this;
  }
  // The text and a terminating zero byte. REQUIRES: no zero byte in text.
  Writer& cstring(std::string_view text);
  size_t size() const { return out_.size(); }

 private:
  size_t grow(size_t n) {
    size_t at = out_.size();
    out_.resize(at + n);
    return at;
  }

  Bytes& out_;
};

class Reader {
 public:
  explicit Reader(ByteView in) : in_(in) {}

  template <typename Integer>
  Integer le() {
    if (!have(sizeof(Integer))) return 0;
    Integer value = load_le<Integer>(in_.data() + at_);
    at_ += sizeof value;
    return value;
  }
  template <typename Integer>
  Integer be() {
    return byte_swap(le<Integer>());
  }
  uint8_t u8() { return le<uint8_t>(); }
  // The next n bytes, borrowed from the input; empty where fewer are left.
  ByteView bytes(size_t n);
  // Up to, not including, a zero byte, which is consumed; fails where there is none.
  std::string_view cstring();
  void skip(size_t n) { (void)bytes(n); }

  size_t offset() const { return at_; }
  size_t remaining() const { return failed_ ? 0 : in_.size() - at_; }
  ByteView rest() { return bytes(remaining()); }
  bool failed() const { return failed_; }
  // Everything was there and nothing is left over.
  bool finished() const { return !failed_ && at_ == in_.size(); }

 private:
  bool have(size_t n) {
    if (failed_ || in_.size() - at_ < n) {
      failed_ = true;
      return false;
    }
    return true;
  }

  ByteView in_;
  size_t at_ = 0;
  bool failed_ = false;
};

}  // namespace argon
