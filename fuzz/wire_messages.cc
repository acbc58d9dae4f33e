// Binary messages inside COPY: replication, pageserver feedback, page requests and responses; error
// responses.

#include "core/wire/pagestream.h"
#include "core/wire/pg_messages.h"
#include "core/wire/replication.h"

using namespace argon;
using namespace argon::wire;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteView input(data, size);
  if (auto message = parse_replication_server_message(input); message.ok()) {
    if (const auto* wal = std::get_if<XLogData>(&*message)) CHECK(wal->data.size() + kXLogDataHeader == size);
  }
  if (auto message = parse_replication_client_message(input); message.ok()) {
    if (const auto* feedback = std::get_if<PageserverFeedback>(&*message)) {
      Bytes again;
      encode_pageserver_feedback(again, *feedback);
      auto parsed = parse_replication_client_message(again);
      CHECK(parsed.ok() && std::get<PageserverFeedback>(*parsed) == *feedback);
    }
  }
  if (auto request = parse_page_request(input); request.ok()) {
    Bytes again;
    encode_page_request(again, *request);
    CHECK(again == to_bytes(input));
    ignore_result(check_request_lsns(*request));
    CHECK(!to_string(*request).empty());
  }
  if (auto response = parse_page_response(input); response.ok()) {
    Bytes again;
    encode_page_response(again, *response);
    CHECK(again.size() == size);
  }
  CHECK(!parse_error(input).message().empty() || size > 0);
  return 0;
}
