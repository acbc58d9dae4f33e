// What an S3-compatible store answers: XML documents, and whole HTTP answers as S3Store reads them.

#include <algorithm>

#include "core/http/codec.h"
#include "core/objstore/s3_xml.h"

using namespace argon;
using namespace argon::objstore;

namespace {

size_t elements_of(const XmlElement& element) {
  size_t count = 1;
  for (const XmlElement& inner : element.elements) count += elements_of(inner);
  return count;
}

void check_body(std::string_view body) {
  if (auto root = parse_xml(body); root.ok()) {
    CHECK(!root->name.empty() || root->elements.empty() || elements_of(*root) > 0);
    // Each element takes four bytes at least.
    CHECK(elements_of(*root) * 4 <= body.size());
    auto again = parse_xml("<a>" + xml_escape(root->text) + "</a>");
    CHECK(again.ok() && again->text == root->text);
  }
  if (auto listing = parse_listing(body); listing.ok()) {
    CHECK(std::ranges::is_sorted(listing->objects, {}, &ObjectInfo::key));
    CHECK(!listing->truncated || !listing->objects.empty());
  }
  if (auto id = parse_upload_id(body); id.ok()) CHECK(!id->empty());
  ignore_result(parse_delete_result(body));
  (void)parse_s3_error(body);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteView input(data, size);
  check_body(as_text(input));
  std::string listing("<ListBucketResult><Contents><Key>");
  check_body(listing + std::string(as_text(input)) + "</Size></Contents></ListBucketResult>");
  auto response = http::parse_response(input, {2048, 8192});
  if (response.ok()) check_body(response->body);
  return 0;
}
