// Checks of whole files, for `inspect` and `scrub`: pure, but for reading them.

#pragma once

#include <optional>

#include "core/pageserver/layer_format.h"

namespace argon::cli {

// What is wrong with a file, and where in it.
struct Fault {
  Error error;
  std::optional<uint64_t> offset = {};
  std::optional<Lsn> lsn = {};
};

struct CheckedLayer {
  pageserver::LayerHeader header;
  uint64_t blocks = 0;
  uint64_t digest = 0;  // equal for equal files; says nothing of a file that has a fault
  std::optional<Fault> fault;
};

// Header, size, the checksum of every block, the form of every index block.
CheckedLayer check_layer(ByteView file);

}  // namespace argon::cli
