#include "daemons/main/file_checks.h"

#include <fmt/format.h>

#include "core/base/checksum.h"

namespace argon::cli {

using namespace pageserver;

namespace {

Fault at_block(uint64_t block, const std::string& what) {
  return {Error(Code::Corrupt, fmt::format("block {} at offset {}: {}", block, block * kLayerBlock, what)),
          block * kLayerBlock};
}

// The first block that is wrong, with how many are.
std::optional<Fault> check_blocks(ByteView file, const LayerHeader& header) {
  std::optional<Fault> first;
  uint64_t wrong = 0;
  for (uint64_t i = 0; i < file.size() / kLayerBlock; i++) {
    ByteView block = file.subspan(i * kLayerBlock, kLayerBlock);
    Status good;
    if (!check_layer_block(block, header.file_id, static_cast<uint32_t>(i)))
      good = Error(Code::Corrupt, "wrong checksum");
    else if (i >= header.first_leaf())
      if (auto node = parse_layer_node(block, header); !node.ok()) good = node.error();
    if (good.ok()) continue;
    wrong++;
    if (!first) first = at_block(i, good.error().message());
  }
  if (wrong > 1)
    first->error = Error(Code::Corrupt, fmt::format("{} ({} blocks in all)", first->error.message(), wrong));
  return first;
}

}  // namespace

CheckedLayer check_layer(ByteView file) {
  CheckedLayer checked;
  checked.blocks = file.size() / kLayerBlock;
  if (file.empty() || file.size() % kLayerBlock != 0) {
    checked.fault = Fault{Error(Code::Corrupt, fmt::format("a layer file of {} bytes, not a multiple of {}",
                                                           file.size(), kLayerBlock)),
                          file.size()};
    return checked;
  }
  auto header = parse_layer_header(file.first(kLayerBlock));
  if (!header.ok()) {
    checked.fault = Fault{header.error(), 0};
    return checked;
  }
  checked.header = *header;
  checked.fault = check_blocks(file, *header);
  if (!checked.fault && header->file_size() != file.size())
    checked.fault = Fault{Error(Code::Corrupt, fmt::format("a layer file of {} bytes whose header says {}",
                                                           file.size(), header->file_size())),
                          file.size()};
  checked.digest = hash64(file);
  return checked;
}

}  // namespace argon::cli
