// Layer files: names, headers and index nodes, as they are and with the right checksum put in.

#include <algorithm>
#include <array>

#include "core/base/checksum.h"
#include "core/pageserver/layer_format.h"

namespace {

using namespace argon;
using namespace argon::pageserver;

// The block with the checksum that its place asks for.
Bytes sealed(ByteView block, uint64_t file_id, uint32_t number) {
  Bytes out = to_bytes(block);
  store_le(out.data(), layer_block_checksum(out, file_id, number));
  return out;
}

void name(std::string_view text) {
  auto parsed = parse_layer_name(text);
  if (parsed.ok()) CHECK(*parse_layer_name(to_string(*parsed)) == *parsed);
}

// Of a file with as many blocks as its header says, or not: block 0 and those behind it with right checksums.
void whole_file(ByteView input) {
  Bytes file = to_bytes(input);
  file.resize((file.size() + kLayerBlock - 1) / kLayerBlock * kLayerBlock);
  if (file.empty()) return;
  LayerName name;
  name.file_id = load_le<uint64_t>(file.data() + 4 + 13);
  auto seal = [&](const LayerBlock& block) {
    ByteSpan at = ByteSpan(file).subspan(block.offset, block.bytes);
    store_le(at.data(), layer_block_checksum(at, name.file_id, block.number));
  };
  seal({});
  auto header = parse_layer_header(ByteView(file).first(kLayerBlock));
  if (header.ok() && header->file_size() == file.size())
    for (const LayerBlock& block : layer_blocks(*header)) seal(block);
  if (check_layer_file(file, name).ok()) CHECK(header.ok() && header->file_size() == file.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteView input(data, size);
  name(as_text(input));
  whole_file(input);
  Bytes block = to_bytes(input.first(std::min(size, kLayerBlock)));
  block.resize(kLayerBlock);
  ignore_result(parse_layer_header(block));
  auto header = parse_layer_header(sealed(block, load_le<uint64_t>(block.data() + 4 + 13), 0));
  LayerHeader any;
  any.version = 1 + size % kLayerVersion;
  any.leaves = 1;
  any.index_blocks = 3;
  any.levels = 3;
  any.value_blocks = 4;
  any.value_bytes = 4 * any.payload();
  ignore_result(parse_layer_node(block, header.ok() ? *header : any));
  auto node = parse_layer_node(block, any);
  if (!node.ok()) return 0;
  for (const LayerEntry& entry : node->entries) CHECK(entry.offset + entry.length <= any.value_bytes);
  for (const LayerChild& child : node->children)
    CHECK(child.block >= any.first_leaf() && child.block < any.root());
  return 0;
}
