#include "core/pg/redo/mutation.h"

#include <algorithm>
#include <cstring>

#include "core/base/codec.h"
#include "core/pg/redo/page_ops.h"

namespace argon::pg::redo {
namespace {

constexpr size_t kVmStart = kPageHeaderBytes;
constexpr size_t kFsmNodes = kPageHeaderBytes + 4;  // fp_next_slot comes first
constexpr uint32_t kFsmInnerNodes = kBlockSize / 2 - 1;
constexpr uint32_t kFsmAllNodes = kBlockSize - kFsmNodes;
constexpr size_t kMemberGroupBytes = 20;
constexpr size_t kCommitTsBytes = 10;
constexpr uint8_t kClogCommitted = 1;
constexpr uint8_t kClogAborted = 2;
constexpr uint8_t kLastMemberStatus = 5;
static_assert(kFsmAllNodes - kFsmInnerNodes == kFsmSlotsPerPage);

// Stored: never reuse a number.
enum class Kind : uint8_t {
  ClearVm = 1,
  TruncateVm = 2,
  TruncateFsm = 3,
  Zero = 4,
  ZeroOffsets = 5,
  Committed = 6,
  Aborted = 7,
  CommitTs = 8,
  OffsetSet = 9,
  MembersSet = 10,
};

template <typename... Functions>
struct Overload : Functions... {
  using Functions::operator()...;
};

Status same_page(const std::vector<Xid>& xids, uint32_t per_page) {
  Xid first = xids.empty() ? 0 : xids.front() - xids.front() % per_page;
  for (Xid xid : xids)
    if (xid - first >= per_page) return corrupt("transaction ids of two pages in one mutation");
  return {};
}

Status apply(const ClearVisibilityMapFlags& m, ByteSpan page) {
  uint32_t bit = m.heap_block % kHeapBlocksPerVmPage;
  page[kVmStart + bit / 4] &= static_cast<uint8_t>(~(uint32_t{m.flags} << (bit % 4 * 2)));
  return {};
}

Status apply(const TruncateVisibilityMap& m, ByteSpan page) {
  uint32_t bit = m.first_cleared % kHeapBlocksPerVmPage;
  size_t at = kVmStart + bit / 4;
  page[at] &= static_cast<uint8_t>((1u << (bit % 4 * 2)) - 1);
  std::fill(page.begin() + static_cast<ptrdiff_t>(at) + 1, page.end(), uint8_t{0});
  return {};
}

// fsm_rebuild_page: each inner node is the larger of its children, where they exist.
void rebuild_fsm(uint8_t* nodes) {
  for (uint32_t node = kFsmInnerNodes; node-- > 0;) {
    uint32_t left = 2 * node + 1;
    uint8_t most = left < kFsmAllNodes ? nodes[left] : 0;
    if (left + 1 < kFsmAllNodes) most = std::max(most, nodes[left + 1]);
    nodes[node] = most;
  }
}

Status apply(const TruncateFreeSpaceMap& m, ByteSpan page) {
  if (m.first_cleared >= kFsmSlotsPerPage) return corrupt("free space map slot outside a page");
  uint8_t* nodes = page.data() + kFsmNodes;
  uint8_t* first = nodes + kFsmInnerNodes + m.first_cleared;
  uint8_t* end = nodes + kFsmAllNodes;
  if (std::all_of(first, end, [](uint8_t slot) { return slot == 0; })) return {};
  std::fill(first, end, uint8_t{0});
  rebuild_fsm(nodes);
  return {};
}

Status apply(const ZeroPage&, ByteSpan page) {
  std::fill(page.begin(), page.end(), uint8_t{0});
  return {};
}

Status apply(const ZeroOffsetsPage& m, ByteSpan page) {
  if (m.kept_entry >= kOffsetsPerPage) return corrupt("multixact offset entry outside a page");
  auto kept = load_le<uint32_t>(page.data() + m.kept_entry * 4u);
  std::fill(page.begin(), page.end(), uint8_t{0});
  store_le(page.data() + m.kept_entry * 4u, kept);
  return {};
}

// TransactionIdSetStatusBit.
void set_clog_status(uint32_t index, uint8_t status, ByteSpan page) {
  uint32_t shift = index % 4 * 2;
  uint8_t& byte = page[index / 4];
  byte = static_cast<uint8_t>((byte & ~(3u << shift)) | (uint32_t{status} << shift));
}

// Of ids that follow one another four are set at once: a transaction's subtransactions can be thousands.
Status set_clog(const std::vector<Xid>& xids, uint8_t status, ByteSpan page) {
  TRY(same_page(xids, kXidsPerClogPage));
  for (size_t i = 0; i < xids.size();) {
    size_t end = i + 1;
    while (end < xids.size() && xids[end] == xids[end - 1] + 1) end++;
    uint32_t index = xids[i] % kXidsPerClogPage;
    auto left = static_cast<uint32_t>(end - i);
    for (; left > 0 && index % 4 != 0; left--) set_clog_status(index++, status, page);
    std::memset(page.data() + index / 4, status * 0x55, left / 4);
    index += left / 4 * 4;
    for (left %= 4; left > 0; left--) set_clog_status(index++, status, page);
    i = end;
  }
  return {};
}
Status apply(const ClogSetCommitted& m, ByteSpan page) {
  return set_clog(m.xids, kClogCommitted, page);
}
Status apply(const ClogSetAborted& m, ByteSpan page) {
  return set_clog(m.xids, kClogAborted, page);
}

// TransactionIdSetCommitTs.
Status apply(const CommitTsSet& m, ByteSpan page) {
  TRY(same_page(m.xids, kXidsPerCommitTsPage));
  for (Xid xid : m.xids) {
    uint8_t* entry = page.data() + xid % kXidsPerCommitTsPage * kCommitTsBytes;
    store_le(entry, m.timestamp);
    store_le(entry + 8, m.origin);
  }
  return {};
}

Status apply(const MultixactOffsetSet& m, ByteSpan page) {
  store_le(page.data() + m.multi % kOffsetsPerPage * 4, m.offset);
  return {};
}

// The member part of RecordNewMultiXact.
Status apply(const MultixactMembersSet& m, ByteSpan page) {
  uint32_t first = m.offset % kMembersPerPage;
  if (m.members.size() > kMembersPerPage - first)
    return corrupt("multixact members of two pages in one mutation");
  for (size_t i = 0; i < m.members.size(); i++) {
    const MultixactMember& member = m.members[i];
    if (member.status > kLastMemberStatus)
      return corrupt("multixact member status " + std::to_string(member.status));
    uint8_t* group = page.data() + (first + i) / 4 * kMemberGroupBytes;
    group[(first + i) % 4] = member.status;
    store_le(group + 4 + (first + i) % 4 * 4, member.xid);
  }
  return {};
}

void put_xids(Writer& out, const std::vector<Xid>& xids) {
  out.le(static_cast<uint32_t>(xids.size()));
  for (Xid xid : xids) out.le(xid);
}

std::vector<Xid> get_xids(Reader& in) {
  std::vector<Xid> xids;
  auto count = in.le<uint32_t>();
  if (count > in.remaining() / 4) {
    in.skip(SIZE_MAX);
    return xids;
  }
  xids.resize(count);
  ByteView bytes = in.bytes(count * sizeof(Xid));
  if (count > 0) std::memcpy(xids.data(), bytes.data(), bytes.size());
  return xids;
}

MultixactMembersSet get_members(Reader& in) {
  MultixactMembersSet m;
  m.offset = in.le<uint32_t>();
  auto count = in.le<uint32_t>();
  if (count > in.remaining() / 5) {
    in.skip(SIZE_MAX);
    return m;
  }
  m.members.reserve(count);
  for (uint32_t i = 0; i < count; i++) {
    auto xid = in.le<uint32_t>();
    m.members.push_back({xid, in.u8()});
  }
  return m;
}

Writer& start(Writer& out, Kind kind) {
  return out.u8(static_cast<uint8_t>(kind));
}

Result<Mutation> decode_fields(Kind kind, Reader& in) {
  switch (kind) {
    case Kind::ClearVm: {
      auto block = in.le<uint32_t>();
      return Mutation(ClearVisibilityMapFlags{block, in.u8()});
    }
    case Kind::TruncateVm:
      return Mutation(TruncateVisibilityMap{in.le<uint32_t>()});
    case Kind::TruncateFsm:
      return Mutation(TruncateFreeSpaceMap{in.le<uint16_t>()});
    case Kind::Zero:
      return Mutation(ZeroPage{});
    case Kind::ZeroOffsets:
      return Mutation(ZeroOffsetsPage{in.le<uint16_t>()});
    case Kind::Committed: {
      auto time = in.le<int64_t>();
      return Mutation(ClogSetCommitted{get_xids(in), time});
    }
    case Kind::Aborted:
      return Mutation(ClogSetAborted{get_xids(in)});
    case Kind::CommitTs: {
      auto time = in.le<int64_t>();
      auto origin = in.le<uint16_t>();
      return Mutation(CommitTsSet{get_xids(in), time, origin});
    }
    case Kind::OffsetSet: {
      auto multi = in.le<uint32_t>();
      auto offset = in.le<uint32_t>();
      uint8_t opens = in.u8();
      if (opens > 1) return corrupt("multixact offset mutation with flag " + std::to_string(opens));
      return Mutation(MultixactOffsetSet{multi, offset, opens == 1});
    }
    case Kind::MembersSet:
      return Mutation(get_members(in));
  }
  return Error(Code::Unsupported, "page mutation of unknown kind " +
                                      std::to_string(static_cast<uint8_t>(kind)) +
                                      ": written by a later version");
}

std::string xids_text(const std::vector<Xid>& xids) {
  if (xids.empty()) return "no xids";
  return std::to_string(xids.size()) + " xids from " + std::to_string(xids.front());
}

}  // namespace

bool will_init(const Mutation& mutation) {
  return std::holds_alternative<ZeroPage>(mutation);
}

bool starts_from_zeros(const Mutation& mutation) {
  if (const auto* offset = std::get_if<MultixactOffsetSet>(&mutation)) return offset->opens_page;
  return std::holds_alternative<ZeroPage>(mutation) || std::holds_alternative<ZeroOffsetsPage>(mutation) ||
         std::holds_alternative<ClearVisibilityMapFlags>(mutation) ||
         std::holds_alternative<TruncateVisibilityMap>(mutation) ||
         std::holds_alternative<TruncateFreeSpaceMap>(mutation);
}

Status apply_mutation(const Mutation& mutation, ByteSpan page) {
  CHECK(page.size() == kBlockSize);
  return std::visit([&](const auto& m) { return apply(m, page); }, mutation);
}

void encode_mutation(const Mutation& mutation, Bytes& out) {
  Writer w(out);
  std::visit(
      Overload{
          [&](const ClearVisibilityMapFlags& m) { start(w, Kind::ClearVm).le(m.heap_block).u8(m.flags); },
          [&](const TruncateVisibilityMap& m) { start(w, Kind::TruncateVm).le(m.first_cleared); },
          [&](const TruncateFreeSpaceMap& m) { start(w, Kind::TruncateFsm).le(m.first_cleared); },
          [&](const ZeroPage&) { start(w, Kind::Zero); },
          [&](const ZeroOffsetsPage& m) { start(w, Kind::ZeroOffsets).le(m.kept_entry); },
          [&](const ClogSetCommitted& m) { put_xids(start(w, Kind::Committed).le(m.timestamp), m.xids); },
          [&](const ClogSetAborted& m) { put_xids(start(w, Kind::Aborted), m.xids); },
          [&](const CommitTsSet& m) {
            put_xids(start(w, Kind::CommitTs).le(m.timestamp).le(m.origin), m.xids);
          },
          [&](const MultixactOffsetSet& m) {
            start(w, Kind::OffsetSet).le(m.multi).le(m.offset).u8(m.opens_page ? 1 : 0);
          },
          [&](const MultixactMembersSet& m) {
            start(w, Kind::MembersSet).le(m.offset).le(static_cast<uint32_t>(m.members.size()));
            for (const MultixactMember& member : m.members) w.le(member.xid).u8(member.status);
          },
      },
      mutation);
}

Result<Mutation> decode_mutation(ByteView bytes) {
  Reader in(bytes);
  auto kind = static_cast<Kind>(in.u8());
  if (in.failed()) return corrupt("page mutation without a byte");
  TRY_ASSIGN(Mutation mutation, decode_fields(kind, in));
  if (!in.finished())
    return corrupt("page mutation of kind " + std::to_string(bytes[0]) + " with " +
                   std::to_string(bytes.size()) + " bytes does not have its form");
  return mutation;
}

std::string to_string(const Mutation& mutation) {
  return std::visit(Overload{
                        [](const ClearVisibilityMapFlags& m) {
                          return "ClearVisibilityMapFlags " + std::to_string(m.flags) + " of heap block " +
                                 std::to_string(m.heap_block);
                        },
                        [](const TruncateVisibilityMap& m) {
                          return "TruncateVisibilityMap from heap block " + std::to_string(m.first_cleared);
                        },
                        [](const TruncateFreeSpaceMap& m) {
                          return "TruncateFreeSpaceMap from slot " + std::to_string(m.first_cleared);
                        },
                        [](const ZeroPage&) { return std::string("ZeroPage"); },
                        [](const ZeroOffsetsPage& m) {
                          return "ZeroOffsetsPage but entry " + std::to_string(m.kept_entry);
                        },
                        [](const ClogSetCommitted& m) { return "ClogSetCommitted " + xids_text(m.xids); },
                        [](const ClogSetAborted& m) { return "ClogSetAborted " + xids_text(m.xids); },
                        [](const CommitTsSet& m) { return "CommitTsSet " + xids_text(m.xids); },
                        [](const MultixactOffsetSet& m) {
                          return "MultixactOffsetSet " + std::to_string(m.multi) + " = " +
                                 std::to_string(m.offset);
                        },
                        [](const MultixactMembersSet& m) {
                          return "MultixactMembersSet " + std::to_string(m.members.size()) + " from " +
                                 std::to_string(m.offset);
                        },
                    },
                    mutation);
}

}  // namespace argon::pg::redo
