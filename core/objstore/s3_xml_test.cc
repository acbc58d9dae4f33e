#include "core/objstore/s3_xml.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace argon::objstore {
namespace {

TEST(S3Xml, AListingIsTakenApart) {
  auto listing = parse_listing(
      "<?xml version=\"1.0\"?>\n<!-- a > b --><s3:ListBucketResult xmlns:s3='x>y'>\n<Name>b</Name>"
      "<IsTruncated>true</IsTruncated><Contents><Key>a&amp;&#x62;&#99;</Key><Size>12</Size><Owner/>"
      "</Contents><Contents><Size>0</Size><Key><![CDATA[b<c]]></Key></Contents></s3:ListBucketResult>\n");
  ASSERT_TRUE(listing.ok()) << listing.error().to_string();
  EXPECT_TRUE(listing->truncated);
  EXPECT_EQ(listing->objects, (std::vector<ObjectInfo>{{"a&bc", 12}, {"b<c", 0}}));
}

TEST(S3Xml, ErrorsAndResultsAreRead) {
  S3Error error = parse_s3_error("<Error><Code>NoSuchKey</Code><Message>no</Message></Error>");
  EXPECT_EQ(error.code, "NoSuchKey");
  EXPECT_EQ(error.message, "no");
  EXPECT_EQ(parse_s3_error("<html>").code, "");
  EXPECT_EQ(*parse_upload_id("<InitiateMultipartUploadResult><UploadId>u</UploadId>"
                             "</InitiateMultipartUploadResult>"),
            "u");
  EXPECT_FALSE(*parse_delete_result("<DeleteResult><Deleted><Key>a</Key></Deleted></DeleteResult>"));
  EXPECT_EQ(**parse_delete_result("<DeleteResult><Error><Key>k</Key><Code>AccessDenied</Code>"
                                  "<Message>no</Message></Error></DeleteResult>"),
            "k: AccessDenied: no");
}

TEST(S3Xml, BadInputIsAnError) {
  std::string deep;
  for (int i = 0; i < 10'000; i++) deep += "<a>";
  for (const std::string& text :
       std::vector<std::string>{"", "text", "<a>", "<a></b>", "<a", "<a x='>", "<a>&", "<a>&#x110000;</a>",
                                "<a>&#;</a>", "<a>&nbsp;</a>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>",
                                "<a/><b/>", "<a><![CDATA[x</a>", "</a>", deep})
    EXPECT_TRUE(parse_xml(text).is(Code::Corrupt)) << text.substr(0, 40);
  for (const char* listing :
       {"<Other/>", "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>b</Key><Size>1</Size></Contents>"
        "<Contents><Key>a</Key><Size>1</Size></Contents></ListBucketResult>"})
    EXPECT_TRUE(parse_listing(listing).is(Code::Corrupt)) << listing;
  EXPECT_TRUE(parse_upload_id("<InitiateMultipartUploadResult/>").is(Code::Corrupt));
}

RC_GTEST_PROP(S3Xml, WhatIsEscapedComesBack, (const std::string& text)) {
  auto parsed = parse_xml("<a>" + xml_escape(text) + "</a>");
  RC_ASSERT(parsed.ok());
  RC_ASSERT(parsed->text == text);
}

RC_GTEST_PROP(S3Xml, AnyTextIsADocumentOrAnError, (const std::string& text)) {
  ignore_result(parse_xml(text));
  ignore_result(parse_listing("<ListBucketResult>" + text + "</ListBucketResult>"));
}

}  // namespace
}  // namespace argon::objstore
