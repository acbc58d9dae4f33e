// Tar archives, fed in pieces; headers get their right checksum, so that what they say is looked at.

#include "core/pg/tar.h"

#include <algorithm>
#include <cstdio>

namespace {

using namespace argon;
using namespace argon::pg;

void seal_header(ByteSpan header) {
  unsigned sum = 8 * ' ';
  for (size_t i = 0; i < kTarBlock; i++)
    if (i < 148 || i >= 156) sum += header[i];
  char text[9];
  std::snprintf(text, sizeof text, "%07o", sum);
  std::copy_n(text, 8, header.begin() + 148);
}

void read(ByteView archive, size_t step) {
  TarReader reader;
  uint64_t data = 0, size = 0;
  for (;;) {
    auto event = reader.next();
    if (!event.ok() || *event == TarReader::Event::End) return;
    if (*event == TarReader::Event::NeedMore) {
      if (archive.empty()) return;
      size_t n = std::min(step, archive.size());
      reader.feed(archive.first(n));
      archive = archive.subspan(n);
    } else if (*event == TarReader::Event::Entry) {
      CHECK(data == size);
      const std::string& name = reader.entry().name;
      CHECK(!name.empty() && name[0] != '/' && name != ".." && !name.starts_with("../") &&
            name.find("/../") == name.npos && !name.ends_with("/.."));
      size = reader.entry().size;
      data = 0;
    } else {
      data += reader.data().size();
      CHECK(data <= size);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  size_t step = 1 + load_le<uint16_t>(data);
  ByteView input = ByteView(data, size).subspan(2);
  read(input, step);
  Bytes blocks = to_bytes(input);
  blocks.resize((blocks.size() + kTarBlock - 1) / kTarBlock * kTarBlock);
  for (size_t at = 0; at < blocks.size(); at += kTarBlock)
    seal_header(ByteSpan(blocks).subspan(at, kTarBlock));
  read(blocks, step);
  return 0;
}
