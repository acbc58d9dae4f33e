#include "core/compute/compute_state.h"

#include "core/base/checksum.h"
#include "core/base/codec.h"
#include "core/env/io.h"

namespace argon::compute {
namespace {

constexpr uint32_t kMagic = 0x41635331;  // "AcS1"

}  // namespace

Bytes encode_compute_state(const ComputeState& state) {
  Bytes out;
  Writer writer(out);
  writer.be(kMagic).be(state.term.value).be(state.start.value);
  writer.be(crc32c(out));
  return out;
}

Result<ComputeState> parse_compute_state(ByteView bytes) {
  Reader in(bytes);
  uint32_t magic = in.be<uint32_t>();
  ComputeState state;
  state.term = Term(in.be<uint64_t>());
  state.start = Lsn(in.be<uint64_t>());
  size_t checked = in.offset();
  uint32_t crc = in.be<uint32_t>();
  if (!in.finished() || magic != kMagic || crc != crc32c(bytes.first(checked)))
    return Error(Code::Corrupt, "wrong length, magic or checksum");
  return state;
}

Result<ComputeState> load_compute_state(Task& task, Disk& disk, const std::string& path) {
  Result<Bytes> bytes = read_file(task, disk, path, 4096);
  if (bytes.is(Code::NotFound)) return ComputeState();
  TRY(bytes);
  Result<ComputeState> state = parse_compute_state(*bytes);
  if (!state.ok())
    return Error(Code::Corrupt, "read " + path + ": " + state.error().message() +
                                    "; it only spares an election: remove it and start again");
  return state;
}

Status store_compute_state(Task& task, Disk& disk, const std::string& path, const ComputeState& state) {
  return write_file_durably(task, disk, path, encode_compute_state(state));
}

}  // namespace argon::compute
