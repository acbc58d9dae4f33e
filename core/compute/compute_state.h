// ComputeState: what an endpoint keeps over restarts: the last term it won, and where that began.
//
// File, big endian: u32 magic "AcS1", u64 term, u64 start LSN, u32 CRC-32C of all before. Replaced
// durably, so that a term is on disk before anything is sent in it.

#pragma once

#include <string>

#include "core/base/ids.h"
#include "core/env/env.h"

namespace argon::compute {

struct ComputeState {
  Term term;
  Lsn start;
};

// A file that is not there is a state of zeros. Errors: Corrupt (says which file, and what to do).
Result<ComputeState> load_compute_state(Task& task, Disk& disk, const std::string& path);
Status store_compute_state(Task& task, Disk& disk, const std::string& path, const ComputeState& state);

// The codec by itself.
Bytes encode_compute_state(const ComputeState& state);
Result<ComputeState> parse_compute_state(ByteView bytes);

}  // namespace argon::compute
