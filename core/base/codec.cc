#include "core/base/codec.h"

namespace argon {

Writer& Writer::cstring(std::string_view text) {
  CHECK(text.find('\0') == std::string_view::npos);
  append(out_, as_bytes(text));
  out_.push_back(0);
  return *this;
}

ByteView Reader::bytes(size_t n) {
  if (!have(n)) return {};
  ByteView view = in_.subspan(at_, n);
  at_ += n;
  return view;
}

std::string_view Reader::cstring() {
  if (failed_) return {};
  const void* end = in_.size() == at_ ? nullptr : std::memchr(in_.data() + at_, 0, in_.size() - at_);
  if (end == nullptr) {
    failed_ = true;
    return {};
  }
  size_t length = static_cast<size_t>(static_cast<const uint8_t*>(end) - (in_.data() + at_));
  std::string_view text = as_text(in_.subspan(at_, length));
  at_ += length + 1;
  return text;
}

}  // namespace argon
