#include "core/safekeeper/tombstone.h"

#include "core/base/checksum.h"
#include "core/base/codec.h"
#include "core/env/io.h"

namespace argon::safekeeper {
namespace {

constexpr uint32_t kMagic = 0x544B5341;  // "ASKT"
constexpr size_t kSize = 4 + 4 + 16 + 1 + 16 + 4;

}  // namespace

std::string to_string(const Tombstone& tombstone) {
  if (!tombstone.timeline) return "tenant " + to_string(tombstone.tenant);
  return "timeline " + to_string(TenantTimelineId{tombstone.tenant, *tombstone.timeline});
}

Bytes encode_tombstone(const Tombstone& tombstone) {
  Bytes file;
  Writer w(file);
  w.le(kMagic).le(kTombstoneVersion).bytes(tombstone.tenant.bytes);
  w.u8(tombstone.timeline ? 1 : 0).bytes(tombstone.timeline.value_or(TimelineId()).bytes);
  w.le(crc32c(file));
  return file;
}

Result<Tombstone> decode_tombstone(ByteView file) {
  Reader r(file);
  if (r.le<uint32_t>() != kMagic) return Error(Code::Corrupt, "no safekeeper's tombstone: wrong magic");
  uint32_t version = r.le<uint32_t>();
  if (r.failed()) return Error(Code::Corrupt, "the tombstone is cut short");
  if (version != kTombstoneVersion)
    return Error(Code::Unsupported, "tombstone of version " + std::to_string(version) +
                                        ", this build knows " + std::to_string(kTombstoneVersion));
  if (file.size() != kSize)
    return Error(Code::Corrupt, "the tombstone has " + std::to_string(file.size()) + " bytes instead of " +
                                    std::to_string(kSize));
  if (crc32c(file.first(kSize - 4)) != load_le<uint32_t>(file.data() + kSize - 4))
    return Error(Code::Corrupt, "the tombstone has a wrong checksum");
  Tombstone tombstone;
  TimelineId timeline;
  ByteView tenant = r.bytes(tombstone.tenant.bytes.size());
  std::copy(tenant.begin(), tenant.end(), tombstone.tenant.bytes.begin());
  bool of_timeline = r.u8() != 0;
  ByteView id = r.bytes(timeline.bytes.size());
  std::copy(id.begin(), id.end(), timeline.bytes.begin());
  if (of_timeline) tombstone.timeline = timeline;
  return tombstone;
}

Result<Tombstone> read_tombstone(Task& task, Disk& disk, const std::string& directory) {
  std::string path = join_path(directory, kTombstoneName);
  TRY_ASSIGN(Bytes file, read_file(task, disk, path, 4096));
  return decode_tombstone(file).with(path);
}

Status write_tombstone(Task& task, Disk& disk, const std::string& directory, const Tombstone& tombstone) {
  return write_file_durably(task, disk, join_path(directory, kTombstoneName), encode_tombstone(tombstone));
}

}  // namespace argon::safekeeper
