#include "daemons/main/file_checks.h"

#include <fmt/format.h>

#include "core/base/checksum.h"

namespace argon::cli {

using namespace pageserver;

namespace {

// The first block that is wrong, with how many are.
std::optional<Fault> check_blocks(ByteView file, const LayerHeader& header) {
  std::optional<Fault> first;
  uint64_t wrong = 0;
  for (const LayerBlock& place : layer_blocks(header)) {
    ByteView block = file.subspan(place.offset, place.bytes);
    Status good;
    if (!check_layer_block(block, header.file_id, place.number))
      good = Error(Code::Corrupt, "wrong checksum");
    else if (place.number >= header.first_leaf())
      if (auto node = parse_layer_node(block, header); !node.ok()) good = node.error();
    if (good.ok()) continue;
    wrong++;
    std::string what =
        fmt::format("block {} at offset {}: {}", place.number, place.offset, good.error().message());
    if (!first) first = Fault{Error(Code::Corrupt, what), place.offset};
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
  if (header->file_size() != file.size()) {
    checked.fault = Fault{Error(Code::Corrupt, fmt::format("a layer file of {} bytes whose header says {}",
                                                           file.size(), header->file_size())),
                          file.size()};
    return checked;
  }
  checked.blocks = layer_blocks(*header).size();
  checked.fault = check_blocks(file, *header);
  if (Status gap = check_layer_gap(file, *header); !checked.fault && !gap.ok())
    checked.fault = Fault{gap.error(), header->value_block_at(header->value_blocks)};
  checked.digest = hash64(file);
  return checked;
}

}  // namespace argon::cli
