// pagestream v3: page requests and responses inside COPY BOTH ("pagestream_v3 TENANT TIMELINE").
//
// Neon's format, big endian. A request is u8 tag, u64 request id, u64 request LSN, u64
// not-modified-since LSN, then the body of its kind. A response repeats all of that (an error: the three
// numbers) before its own part. Responses come in the order of requests.
//
// LSN rules: request_lsn == Lsn::max() means "latest"; request_lsn == 0 and not_modified_since >
// request_lsn are errors. The server waits for not_modified_since only.

#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/result.h"

namespace argon::wire {

inline constexpr size_t kPageSize = 8192;
// Most blocks of an SLRU segment in one answer.
inline constexpr uint32_t kSlruSegmentBlocksMax = 32;

// A relation fork on the wire (RelFileNode and fork number).
struct PageRel {
  uint32_t spc = 0;
  uint32_t db = 0;
  uint32_t rel = 0;
  uint8_t fork = 0;

  friend auto operator<=>(const PageRel&, const PageRel&) = default;
};

enum class SlruKind : uint8_t { Clog = 0, MultiXactMembers = 1, MultiXactOffsets = 2 };

struct ExistsRequest {
  PageRel rel;
  friend bool operator==(const ExistsRequest&, const ExistsRequest&) = default;
};
struct NblocksRequest {
  PageRel rel;
  friend bool operator==(const NblocksRequest&, const NblocksRequest&) = default;
};
struct GetPageRequest {
  PageRel rel;
  uint32_t block = 0;
  friend bool operator==(const GetPageRequest&, const GetPageRequest&) = default;
};
struct DbSizeRequest {
  uint32_t db = 0;
  friend bool operator==(const DbSizeRequest&, const DbSizeRequest&) = default;
};
struct SlruSegmentRequest {
  SlruKind kind = SlruKind::Clog;
  uint32_t segment = 0;
  friend bool operator==(const SlruSegmentRequest&, const SlruSegmentRequest&) = default;
};

struct PageRequest {
  uint64_t id = 0;
  Lsn request_lsn;
  Lsn not_modified_since;
  std::variant<ExistsRequest, NblocksRequest, GetPageRequest, DbSizeRequest, SlruSegmentRequest> what;

  friend bool operator==(const PageRequest&, const PageRequest&) = default;
};

struct ExistsAnswer {
  bool exists = false;
};
struct NblocksAnswer {
  uint32_t blocks = 0;
};
struct PageAnswer {
  ByteView page;  // borrowed, kPageSize bytes
};
struct DbSizeAnswer {
  int64_t bytes = 0;
};
struct SlruSegmentAnswer {
  uint32_t blocks = 0;
  ByteView pages;  // borrowed, blocks * kPageSize bytes
};
struct ErrorAnswer {
  std::string message;
};

// `request` is the echo; of an ErrorAnswer only its three numbers travel.
struct PageResponse {
  PageRequest request;
  std::variant<ExistsAnswer, NblocksAnswer, PageAnswer, DbSizeAnswer, SlruSegmentAnswer, ErrorAnswer> answer;
};

void encode_page_request(Bytes& out, const PageRequest& request);
// Corrupt for wrong length or values, Unsupported for an unknown tag.
Result<PageRequest> parse_page_request(ByteView body);

// REQUIRES: the answer's kind fits the request's, or is an ErrorAnswer. The page is copied into `out`.
void encode_page_response(Bytes& out, const PageResponse& response);
// Pages are borrowed from `body`.
Result<PageResponse> parse_page_response(ByteView body);

// The LSN rules that need no knowledge of the timeline. Invalid says which is broken.
Status check_request_lsns(const PageRequest& request);

std::string to_string(const PageRequest& request);

}  // namespace argon::wire
