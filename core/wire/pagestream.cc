#include "core/wire/pagestream.h"

#include "core/base/codec.h"

namespace argon::wire {

namespace {

constexpr uint8_t kError = 103;

template <class... Ts>
struct Overload : Ts... {
  using Ts::operator()...;
};

void put_rel(Writer& w, const PageRel& rel) {
  w.be(rel.spc).be(rel.db).be(rel.rel).u8(rel.fork);
}

Result<PageRel> get_rel(Reader& r) {
  PageRel rel;
  rel.spc = r.be<uint32_t>();
  rel.db = r.be<uint32_t>();
  rel.rel = r.be<uint32_t>();
  rel.fork = r.u8();
  if (rel.fork > 3) return Error(Code::Corrupt, "page message: fork number " + std::to_string(rel.fork));
  return rel;
}

void put_numbers(Writer& w, const PageRequest& request) {
  w.be(request.id).be(request.request_lsn.value).be(request.not_modified_since.value);
}

// The request without its tag.
void put_request_body(Writer& w, const PageRequest& request) {
  put_numbers(w, request);
  std::visit(
      Overload{[&w](const ExistsRequest& q) { put_rel(w, q.rel); },
               [&w](const NblocksRequest& q) { put_rel(w, q.rel); },
               [&w](const GetPageRequest& q) {
                 put_rel(w, q.rel);
                 w.be(q.block);
               },
               [&w](const DbSizeRequest& q) { w.be(q.db); },
               [&w](const SlruSegmentRequest& q) { w.u8(static_cast<uint8_t>(q.kind)).be(q.segment); }},
      request.what);
}

void get_numbers(Reader& r, PageRequest& request) {
  request.id = r.be<uint64_t>();
  request.request_lsn = Lsn(r.be<uint64_t>());
  request.not_modified_since = Lsn(r.be<uint64_t>());
}

Result<PageRequest> get_request_body(Reader& r, uint8_t tag) {
  PageRequest request;
  get_numbers(r, request);
  switch (tag) {
    case 0: {
      TRY_ASSIGN(PageRel rel, get_rel(r));
      request.what = ExistsRequest{rel};
      return request;
    }
    case 1: {
      TRY_ASSIGN(PageRel rel, get_rel(r));
      request.what = NblocksRequest{rel};
      return request;
    }
    case 2: {
      TRY_ASSIGN(PageRel rel, get_rel(r));
      request.what = GetPageRequest{rel, r.be<uint32_t>()};
      return request;
    }
    case 3:
      request.what = DbSizeRequest{r.be<uint32_t>()};
      return request;
    case 4: {
      uint8_t kind = r.u8();
      if (kind > 2) return Error(Code::Corrupt, "page message: SLRU kind " + std::to_string(kind));
      request.what = SlruSegmentRequest{static_cast<SlruKind>(kind), r.be<uint32_t>()};
      return request;
    }
    default:
      return Error(Code::Unsupported, "page message: unknown tag " + std::to_string(tag));
  }
}

Error wrong_length() {
  return Error(Code::Corrupt, "page message: wrong length");
}

}  // namespace

void encode_page_request(Bytes& out, const PageRequest& request) {
  Writer w(out);
  w.u8(static_cast<uint8_t>(request.what.index()));
  put_request_body(w, request);
}

Result<PageRequest> parse_page_request(ByteView body) {
  Reader r(body);
  uint8_t tag = r.u8();
  TRY_ASSIGN(PageRequest request, get_request_body(r, tag));
  if (!r.finished()) return wrong_length();
  return request;
}

void encode_page_response(Bytes& out, const PageResponse& response) {
  Writer w(out);
  if (const auto* error = std::get_if<ErrorAnswer>(&response.answer)) {
    w.u8(kError);
    put_numbers(w, response.request);
    // A zero byte would end the text early.
    std::string text = error->message;
    for (char& c : text)
      if (c == '\0') c = '?';
    w.cstring(text);
    return;
  }
  CHECK(response.answer.index() == response.request.what.index());
  w.u8(static_cast<uint8_t>(100 + response.request.what.index() +
                            (response.request.what.index() >= 3 ? 1 : 0)));
  put_request_body(w, response.request);
  std::visit(Overload{[&w](const ExistsAnswer& a) { w.u8(a.exists ? 1 : 0); },
                      [&w](const NblocksAnswer& a) { w.be(a.blocks); },
                      [&w](const PageAnswer& a) {
                        CHECK(a.page.size() == kPageSize);
                        w.bytes(a.page);
                      },
                      [&w](const DbSizeAnswer& a) { w.be(a.bytes); },
                      [&w](const SlruSegmentAnswer& a) {
                        CHECK(a.pages.size() == a.blocks * kPageSize);
                        w.be(a.blocks).bytes(a.pages);
                      },
                      [](const ErrorAnswer&) {}},
             response.answer);
}

Result<PageResponse> parse_page_response(ByteView body) {
  Reader r(body);
  PageResponse response;
  uint8_t tag = r.u8();
  if (tag == kError) {
    get_numbers(r, response.request);
    response.answer = ErrorAnswer{std::string(r.cstring())};
    if (!r.finished()) return wrong_length();
    return response;
  }
  if (tag < 100 || tag > 105)
    return Error(Code::Unsupported, "page message: unknown tag " + std::to_string(tag));
  TRY_ASSIGN(response.request, get_request_body(r, static_cast<uint8_t>(tag - 100 - (tag > kError ? 1 : 0))));
  switch (tag) {
    case 100:
      response.answer = ExistsAnswer{r.u8() != 0};
      break;
    case 101:
      response.answer = NblocksAnswer{r.be<uint32_t>()};
      break;
    case 102:
      response.answer = PageAnswer{r.bytes(kPageSize)};
      break;
    case 104:
      response.answer = DbSizeAnswer{r.be<int64_t>()};
      break;
    case 105: {
      auto blocks = r.be<uint32_t>();
      if (blocks > kSlruSegmentBlocksMax)
        return Error(Code::Corrupt, "page message: an SLRU segment of " + std::to_string(blocks) + " blocks");
      response.answer = SlruSegmentAnswer{blocks, r.bytes(blocks * kPageSize)};
      break;
    }
  }
  if (!r.finished()) return wrong_length();
  return response;
}

Status check_request_lsns(const PageRequest& request) {
  if (!request.request_lsn.valid())
    return Error(Code::Invalid, to_string(request) + ": the request LSN is 0");
  if (request.not_modified_since > request.request_lsn)
    return Error(Code::Invalid,
                 to_string(request) + ": the not-modified-since LSN is beyond the request LSN");
  return {};
}

std::string to_string(const PageRequest& request) {
  auto rel = [](const PageRel& tag) {
    return std::to_string(tag.spc) + "/" + std::to_string(tag.db) + "/" + std::to_string(tag.rel) + " fork " +
           std::to_string(tag.fork);
  };
  std::string text =
      std::visit(Overload{[&rel](const ExistsRequest& q) { return "exists " + rel(q.rel); },
                          [&rel](const NblocksRequest& q) { return "size of " + rel(q.rel); },
                          [&rel](const GetPageRequest& q) {
                            return "page " + rel(q.rel) + " block " + std::to_string(q.block);
                          },
                          [](const DbSizeRequest& q) { return "size of database " + std::to_string(q.db); },
                          [](const SlruSegmentRequest& q) {
                            return "SLRU " + std::to_string(static_cast<int>(q.kind)) + " segment " +
                                   std::to_string(q.segment);
                          }},
                 request.what);
  return text + " at " + (request.request_lsn == Lsn::max() ? "latest" : to_string(request.request_lsn)) +
         " (not modified since " + to_string(request.not_modified_since) + ")";
}

}  // namespace argon::wire
