// One request of S3Store. Its own: included by its files only.

#pragma once

#include "core/objstore/s3_store.h"

namespace argon::objstore {

inline constexpr size_t kAnswerMax = 4u << 20;  // bytes; a page of 1000 keys is below 2 MB

// A request, and what is needed to say what became of it.
struct S3Store::Call {
  std::string what;  // "put KEY"
  S3Request request;
  std::string body = {};
  http::BodySource* source = nullptr;
  bool changes = false;  // the objects; else nothing is lost where the answer is
  size_t answer_max = kAnswerMax;
};

}  // namespace argon::objstore
