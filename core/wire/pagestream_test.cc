#include "core/wire/pagestream.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace argon::wire {
namespace {

PageRequest any_request() {
  PageRequest request;
  request.id = *rc::gen::arbitrary<uint64_t>();
  request.request_lsn = Lsn(*rc::gen::arbitrary<uint64_t>());
  request.not_modified_since = Lsn(*rc::gen::arbitrary<uint64_t>());
  PageRel rel{*rc::gen::arbitrary<uint32_t>(), *rc::gen::arbitrary<uint32_t>(),
              *rc::gen::arbitrary<uint32_t>(), *rc::gen::inRange<uint8_t>(0, 4)};
  auto number = *rc::gen::arbitrary<uint32_t>();
  switch (*rc::gen::inRange(0, 5)) {
    case 0:
      request.what = ExistsRequest{rel};
      break;
    case 1:
      request.what = NblocksRequest{rel};
      break;
    case 2:
      request.what = GetPageRequest{rel, number};
      break;
    case 3:
      request.what = DbSizeRequest{number};
      break;
    default:
      request.what = SlruSegmentRequest{SlruKind::MultiXactMembers, number};
  }
  return request;
}

RC_GTEST_PROP(Pagestream, RequestsComeBackAsTheyWentIn, ()) {
  PageRequest request = any_request();
  Bytes wire;
  encode_page_request(wire, request);
  auto parsed = parse_page_request(wire);
  RC_ASSERT(parsed.ok());
  RC_ASSERT(*parsed == request);
  wire.pop_back();
  RC_ASSERT(!parse_page_request(wire).ok());
}

RC_GTEST_PROP(Pagestream, ResponsesRepeatTheirRequest, ()) {
  PageResponse response;
  response.request = any_request();
  Bytes page(kPageSize * 2, 0xAB);
  switch (response.request.what.index()) {
    case 0:
      response.answer = ExistsAnswer{true};
      break;
    case 1:
      response.answer = NblocksAnswer{77};
      break;
    case 2:
      response.answer = PageAnswer{ByteView(page).first(kPageSize)};
      break;
    case 3:
      response.answer = DbSizeAnswer{-5};
      break;
    default:
      response.answer = SlruSegmentAnswer{2, page};
  }
  Bytes wire;
  encode_page_response(wire, response);
  auto parsed = parse_page_response(wire);
  RC_ASSERT(parsed.ok());
  RC_ASSERT(parsed->request == response.request);
  RC_ASSERT(parsed->answer.index() == response.answer.index());
  wire.pop_back();
  RC_ASSERT(!parse_page_response(wire).ok());
}

TEST(Pagestream, SizesAreThoseOfTheProtocol) {
  auto size = [](auto what) {
    Bytes wire;
    encode_page_request(wire, PageRequest{1, Lsn(2), Lsn(1), what});
    return wire.size();
  };
  EXPECT_EQ(size(ExistsRequest{}), 38u);
  EXPECT_EQ(size(NblocksRequest{}), 38u);
  EXPECT_EQ(size(GetPageRequest{}), 42u);
  EXPECT_EQ(size(DbSizeRequest{}), 29u);
  EXPECT_EQ(size(SlruSegmentRequest{}), 30u);
}

TEST(Pagestream, ErrorsCarryTheirTextAndNumbers) {
  Bytes wire;
  encode_page_response(wire, {PageRequest{7, Lsn(8), Lsn(6), GetPageRequest{}}, ErrorAnswer{"no such page"}});
  EXPECT_EQ(wire[0], 103);
  auto parsed = parse_page_response(wire);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->request.id, 7u);
  EXPECT_EQ(std::get<ErrorAnswer>(parsed->answer).message, "no such page");
}

TEST(Pagestream, LsnsThatMakeNoSenseAreRefused) {
  EXPECT_TRUE(check_request_lsns(PageRequest{1, Lsn(0), Lsn(0), GetPageRequest{}}).is(Code::Invalid));
  EXPECT_TRUE(check_request_lsns(PageRequest{1, Lsn(5), Lsn(6), GetPageRequest{}}).is(Code::Invalid));
  EXPECT_TRUE(check_request_lsns(PageRequest{1, Lsn::max(), Lsn(6), GetPageRequest{}}).ok());
}

}  // namespace
}  // namespace argon::wire
