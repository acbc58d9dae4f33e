#include "core/pg/interpret/batch.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/base/checksum.h"
#include "core/pg/wal_record.h"
#include "core/pg/zstd.h"

namespace argon::pg {

namespace {

constexpr uint32_t kMagic = 0x57495241;  // "ARIW"
constexpr uint16_t kVersion = 1;
constexpr uint8_t kPlain = 0;
constexpr uint8_t kZstd = 1;
constexpr int kZstdLevel = 1;

Error malformed_batch(const std::string& what) {
  return Error(Code::Corrupt, "interpreted WAL: " + what);
}

// What a shard has been told since the last effect.
struct Told {
  std::map<RelTag, BlockNumber> highest;
  std::set<Xid> xids;

  void clear() {
    highest.clear();
    xids.clear();
  }
  // Whether it is news that the block exists.
  bool see(const BlockTag& block) {
    auto [at, first] = highest.try_emplace(block.rel, block.block);
    bool news = first || block.block > at->second;
    at->second = std::max(at->second, block.block);
    return news;
  }
};

// What of the item the shard is told. False: nothing.
bool keep(const ShardIdentity& shard, Told& told, InterpretedItem& item) {
  bool own = shard.owns(item.block);
  if (item.kind == ItemKind::Mutation) return own;
  bool news = told.see(item.block);
  if (own) return true;
  item.kind = ItemKind::Observed;
  item.content = {};
  return news;
}

void cut_to(const ShardIdentity& shard, Told& told, InterpretedRecord& record) {
  size_t kept = 0;
  for (InterpretedItem& item : record.items)
    if (keep(shard, told, item)) record.items[kept++] = item;
  record.items.resize(kept);
  if (!record.needs_record()) record.record = {};
}

}  // namespace

BatchWriter::BatchWriter(Lsn start) : header_{start, start, {}}, body_(kBatchHeader) {}

void BatchWriter::pass(Lsn record_start, Lsn record_end) {
  CHECK(record_end > header_.end && record_start < record_end);
  header_.end = record_end;
  header_.last_record = record_start;
}

void BatchWriter::add(const InterpretedRecord& record) {
  pass(record.start, record.end);
  Writer out(body_);
  out.le(record.end.value).le(static_cast<uint32_t>(record.end - record.start)).le(record.xid);
  out.u8(record.has_effects ? 1 : 0).le(static_cast<uint16_t>(record.items.size()));
  out.le(static_cast<uint32_t>(record.record.size())).bytes(record.record);
  for (const InterpretedItem& item : record.items) {
    const RelFileNode& node = item.block.rel.node;
    out.le(node.spc).le(node.db).le(node.rel).u8(static_cast<uint8_t>(item.block.rel.fork));
    out.le(item.block.block).u8(static_cast<uint8_t>(item.kind));
    if (item.kind == ItemKind::Mutation) out.le(static_cast<uint16_t>(item.content.size()));
    out.bytes(item.content);
  }
}

Bytes BatchWriter::finish() {
  store_le(body_.data(), header_.start.value);
  store_le(body_.data() + 8, header_.end.value);
  store_le(body_.data() + 16, header_.last_record.value);
  return std::move(body_);
}

Result<BatchReader> BatchReader::open(ByteView body) {
  Reader in(body);
  BatchHeader header;
  header.start = Lsn(in.le<uint64_t>());
  header.end = Lsn(in.le<uint64_t>());
  header.last_record = Lsn(in.le<uint64_t>());
  if (in.failed()) return malformed_batch("a batch is too short");
  bool any = header.end > header.start;
  bool fits = any ? header.last_record >= header.start && header.last_record < header.end
                  : header.end == header.start && !header.last_record.valid();
  if (!fits)
    return malformed_batch("a batch from " + to_string(header.start) + " to " + to_string(header.end) +
                           " has its last record at " + to_string(header.last_record));
  return BatchReader(header, in.rest());
}

Result<bool> BatchReader::next(InterpretedRecord& record) {
  record.items.clear();
  if (in_.remaining() == 0) {
    bool fits =
        position_ == header_.end ? last_record_ == header_.last_record : header_.last_record >= position_;
    if (!fits) return malformed_batch("the last record is not at " + to_string(header_.last_record));
    return false;
  }
  record.end = Lsn(in_.le<uint64_t>());
  auto length = in_.le<uint32_t>();
  record.xid = in_.le<uint32_t>();
  uint8_t flags = in_.u8();
  auto items = in_.le<uint16_t>();
  record.record = in_.bytes(in_.le<uint32_t>());
  if (in_.failed()) return malformed_batch("a record is cut short");
  bool placed =
      length > 0 && record.end <= header_.end && record.end > position_ && record.end - position_ >= length;
  if (!placed)
    return malformed_batch("a record of " + std::to_string(length) + " bytes ends at " +
                           to_string(record.end) + " behind " + to_string(position_));
  record.start = record.end - length;
  position_ = record.end;
  last_record_ = record.start;
  if (flags > 1) return malformed_batch("unknown flags of the record at " + to_string(record.start));
  record.has_effects = flags == 1;
  for (uint16_t i = 0; i < items; i++) TRY(item(record.items.emplace_back()));
  if (record.needs_record() && record.record.size() < kRecordHeader)
    return malformed_batch("the bytes of the record at " + to_string(record.start) + " are missing");
  return true;
}

Status BatchReader::item(InterpretedItem& item) {
  RelFileNode& node = item.block.rel.node;
  node.spc = in_.le<Oid>();
  node.db = in_.le<Oid>();
  node.rel = in_.le<Oid>();
  uint8_t fork = in_.u8();
  item.block.block = in_.le<BlockNumber>();
  uint8_t kind = in_.u8();
  if (fork > kLastFork || kind > kLastItemKind)
    return malformed_batch("a change of fork " + std::to_string(fork) + ", of kind " + std::to_string(kind));
  item.block.rel.fork = static_cast<Fork>(fork);
  item.kind = static_cast<ItemKind>(kind);
  if (item.kind == ItemKind::Image) item.content = in_.bytes(kBlockSize);
  if (item.kind == ItemKind::Mutation) item.content = in_.bytes(in_.le<uint16_t>());
  if (in_.failed()) return malformed_batch("a change is cut short");
  return {};
}

Result<Bytes> batch_for(ByteView body, const ShardIdentity& shard) {
  if (shard.is_whole()) return to_bytes(body);
  TRY_ASSIGN(BatchReader in, BatchReader::open(body));
  BatchWriter out(in.header().start);
  Told told;
  InterpretedRecord record;
  for (;;) {
    TRY_ASSIGN(bool found, in.next(record));
    if (!found) break;
    if (record.has_effects) told.clear();
    cut_to(shard, told, record);
    bool news = told.xids.insert(record.xid).second;
    if (record.has_effects) told.clear();
    if (news || record.has_effects || !record.items.empty())
      out.add(record);
    else
      out.pass(record.start, record.end);
  }
  if (in.header().end > out.end()) out.pass(in.header().last_record, in.header().end);
  return out.finish();
}

Bytes seal_batch(ByteView body, bool zstd) {
  CHECK(body.size() <= kBatchPayloadMax - kBatchPayloadHeader);
  Bytes packed;
  if (zstd) {
    packed = zstd_compress(body, kZstdLevel);
    if (packed.size() >= body.size()) packed.clear();
  }
  Bytes payload;
  payload.reserve(kBatchPayloadHeader + (packed.empty() ? body.size() : packed.size()));
  Writer out(payload);
  out.le(kMagic).le(kVersion).u8(packed.empty() ? kPlain : kZstd).u8(0);
  out.le(static_cast<uint32_t>(body.size())).le(crc32c(body)).bytes(packed.empty() ? body : ByteView(packed));
  return payload;
}

Result<ByteView> open_batch(ByteView payload, Bytes& buffer) {
  Reader in(payload);
  auto magic = in.le<uint32_t>();
  auto version = in.le<uint16_t>();
  uint8_t packed = in.u8();
  uint8_t zero = in.u8();
  auto length = in.le<uint32_t>();
  auto checksum = in.le<uint32_t>();
  if (in.failed() || magic != kMagic) return malformed_batch("not a batch");
  if (version != kVersion || packed > kZstd || zero != 0)
    return Error(Code::Unsupported, "interpreted WAL: version " + std::to_string(version) + ", form " +
                                        std::to_string(packed) + " is not known here");
  ByteView body = in.rest();
  if (packed == kZstd) {
    if (length > kBatchPayloadMax) return malformed_batch("a batch is too long");
    // Zstandard makes at most so much of a byte, so that memory follows what did come.
    if (length / 40'000 > body.size()) return malformed_batch("a batch claims more than it can hold");
    buffer.resize(length);
    if (!zstd_decompress(body, buffer)) return malformed_batch("a batch does not decompress");
    body = buffer;
  }
  if (body.size() != length) return malformed_batch("a batch is not as long as it says");
  if (crc32c(body) != checksum) return malformed_batch("wrong checksum of a batch");
  return body;
}

}  // namespace argon::pg
