#include "core/pg/control_file.h"

#include "core/base/checksum.h"
#include "core/base/codec.h"

namespace argon::pg {

namespace {

// Offsets in ControlFileData of PostgreSQL 15.
constexpr size_t kCheckpointOffset = 40;
constexpr size_t kNonceOffset = 256;
constexpr size_t kCrcOffset = 288;

// What a build of the server is made for; the server refuses another one's files.
struct BuildField {
  size_t offset;
  uint32_t value;
  const char* name;
};
constexpr uint64_t kFloatFormat = 0x4132D68700000000;  // the bits of 1234567.0
constexpr size_t kFloatOffset = 208;
constexpr BuildField kBuild[] = {
    {204, 8, "maximum data alignment"},
    {216, kBlockSize, "block size"},
    {220, kBlocksPerFile, "blocks per segment"},
    {224, kWalBlockSize, "WAL block size"},
    {228, kWalSegmentSize, "WAL segment size"},
    {232, 64, "length of identifiers"},
    {236, 32, "columns in an index"},
    {240, 1996, "TOAST chunk size"},
    {244, 2048, "large-object chunk size"},
    {248, 1, "float8 passed by value"},
};

Error corrupt(const std::string& what) {
  return Error(Code::Corrupt, "pg_control: " + what);
}
Error unsupported(const std::string& what) {
  return Error(Code::Unsupported, "pg_control: " + what);
}

Status check_build(ByteView file) {
  for (const BuildField& f : kBuild) {
    auto found = load_le<uint32_t>(file.data() + f.offset);
    if (f.offset == 248) found &= 0xFF;
    if (found != f.value)
      return unsupported(std::string(f.name) + " is " + std::to_string(found) + ", only " +
                         std::to_string(f.value) + " is supported");
  }
  if (load_le<uint64_t>(file.data() + kFloatOffset) != kFloatFormat)
    return unsupported("foreign floating point");
  return {};
}

void encode_settings(Writer& w, const ControlSettings& s) {
  w.le(static_cast<uint32_t>(s.wal_level)).u8(s.wal_log_hints).zeros(3);
  w.le(s.max_connections).le(s.max_worker_processes).le(s.max_wal_senders);
  w.le(s.max_prepared_xacts).le(s.max_locks_per_xact).u8(s.track_commit_timestamp).zeros(3);
}

ControlSettings decode_settings(Reader& in) {
  ControlSettings s;
  s.wal_level = static_cast<WalLevel>(in.le<uint32_t>());
  s.wal_log_hints = in.u8() != 0;
  in.skip(3);
  s.max_connections = in.le<uint32_t>();
  s.max_worker_processes = in.le<uint32_t>();
  s.max_wal_senders = in.le<uint32_t>();
  s.max_prepared_xacts = in.le<uint32_t>();
  s.max_locks_per_xact = in.le<uint32_t>();
  s.track_commit_timestamp = in.u8() != 0;
  in.skip(3);
  return s;
}

}  // namespace

Bytes encode_control_file(const ControlFile& c) {
  Bytes out;
  out.reserve(kControlFileSize);
  Writer w(out);
  w.le(c.system_id).le(kControlVersion).le(kCatalogVersion);
  w.le(static_cast<uint32_t>(c.state)).zeros(4).le(c.time).le(c.checkpoint_lsn.value);
  encode_checkpoint(out, c.checkpoint);
  w.le(c.unlogged_lsn.value).le(c.min_recovery_point.value).le(c.min_recovery_tli).zeros(4);
  w.le(c.backup_start.value).le(c.backup_end.value).u8(c.backup_end_required).zeros(3);
  encode_settings(w, c.settings);
  out.resize(kNonceOffset, 0);
  for (const BuildField& f : kBuild) store_le(out.data() + f.offset, f.value);
  store_le(out.data() + kFloatOffset, kFloatFormat);
  store_le(out.data() + 252, c.data_checksum_version);
  w.bytes(c.nonce).le(crc32c(ByteView(out).first(kCrcOffset)));
  out.resize(kControlFileSize, 0);
  return out;
}

Result<ControlFile> decode_control_file(ByteView file) {
  if (file.size() < kCrcOffset + 4) return corrupt("it has only " + std::to_string(file.size()) + " bytes");
  Reader in(file);
  ControlFile c;
  c.system_id = in.le<uint64_t>();
  if (auto version = in.le<uint32_t>(); version != kControlVersion)
    return unsupported("format version " + std::to_string(version) +
                       ", only 1300 (PostgreSQL 15) is supported");
  if (load_le<uint32_t>(file.data() + kCrcOffset) != crc32c(file.first(kCrcOffset)))
    return corrupt("its checksum is wrong");
  if (auto catalog = in.le<uint32_t>(); catalog != kCatalogVersion)
    return unsupported("catalog version " + std::to_string(catalog) + ", only " +
                       std::to_string(kCatalogVersion) + " is supported");
  TRY(check_build(file));
  auto state = in.le<uint32_t>();
  if (state > static_cast<uint32_t>(ClusterState::InProduction))
    return corrupt("unknown state of the cluster");
  c.state = static_cast<ClusterState>(state);
  in.skip(4);
  c.time = in.le<int64_t>();
  c.checkpoint_lsn = Lsn(in.le<uint64_t>());
  TRY_ASSIGN(c.checkpoint, decode_checkpoint(in.bytes(kCheckpointSize)).with("pg_control"));
  static_assert(kCheckpointOffset + kCheckpointSize == 128);
  c.unlogged_lsn = Lsn(in.le<uint64_t>());
  c.min_recovery_point = Lsn(in.le<uint64_t>());
  c.min_recovery_tli = in.le<uint32_t>();
  in.skip(4);
  c.backup_start = Lsn(in.le<uint64_t>());
  c.backup_end = Lsn(in.le<uint64_t>());
  c.backup_end_required = in.u8() != 0;
  in.skip(3);
  c.settings = decode_settings(in);
  if (c.settings.wal_level > WalLevel::Logical) return corrupt("unknown wal_level");
  c.data_checksum_version = load_le<uint32_t>(file.data() + 252);
  std::memcpy(c.nonce.data(), file.data() + kNonceOffset, c.nonce.size());
  return c;
}

}  // namespace argon::pg
