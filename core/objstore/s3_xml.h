// The few XML documents of S3: what it answers, and what it is sent. Pure; the answers come from outside.

#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/objstore/object_store.h"

namespace argon::objstore {

// An element: text or elements. Prefixes of namespaces are left out of names.
struct XmlElement {
  std::string name;
  std::string text;  // its own, without that of its elements
  std::vector<XmlElement> elements;

  // The first element of that name; null where there is none.
  const XmlElement* find(std::string_view name) const;
  // Its text; empty where there is none.
  std::string text_of(std::string_view name) const;
};

// Elements, text, CDATA, references; declarations, comments and attributes are passed over. Corrupt where it
// is no such document, has a document type, or is nested more than 16 deep.
Result<XmlElement> parse_xml(std::string_view text);

// "<Error>": a code such as "NoSuchKey", and a text for people. Empty where the body is something else.
struct S3Error {
  std::string code;
  std::string message;
};
S3Error parse_s3_error(std::string_view body);

// ListBucketResult of ListObjectsV2.
struct S3Listing {
  std::vector<ObjectInfo> objects;  // keys as the bucket has them
  bool truncated = false;
};
Result<S3Listing> parse_listing(std::string_view body);
// InitiateMultipartUploadResult: the upload's id, never empty.
Result<std::string> parse_upload_id(std::string_view body);
// DeleteResult: the first key that was not removed, and why.
Result<std::optional<std::string>> parse_delete_result(std::string_view body);

std::string delete_body(const std::string& prefix, std::span<const std::string> keys);
// Of parts 1, 2, …: their ETags.
std::string complete_body(std::span<const std::string> etags);

std::string xml_escape(std::string_view text);

}  // namespace argon::objstore
