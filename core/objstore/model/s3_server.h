// S3Server: as much of Amazon S3's REST API as S3Store uses, in front of any object store. For tests.
//
// It checks signatures, lengths and digests of what it is sent. What its store may do, a client sees as S3's
// doing: Unavailable as 503, 500 or a connection that ends, MaybeApplied as an answer that never comes, Io as
// one that breaks off. Uploads in parts live as long as the server.

#pragma once

#include <map>
#include <optional>

#include "core/env/env.h"
#include "core/http/message.h"
#include "core/objstore/object_store.h"
#include "core/objstore/s3_signature.h"
#include "core/tls/context.h"

namespace argon::objstore {

struct S3ServerConfig {
  std::string bucket;
  std::string region = "us-east-1";
  S3Credentials credentials;
  bool ignore_if_none_match = false;
  size_t page_max = kPageMax;  // objects of a listing; fewer than asked for are legal
  size_t body_bytes = 64u << 20;
  std::shared_ptr<const tls::Context> tls = nullptr;  // a server's; null: http
};

class S3Server {
 public:
  // Borrows both.
  S3Server(Env& env, ObjectStore& store, S3ServerConfig config)
      : env_(env), store_(store), config_(std::move(config)) {}

  // Until the task is cancelled or the listener closed.
  Status serve(Task& task, Listener& listener);
  // Requests so far, of a kind: "PUT", "PUT part", "POST uploads", "POST uploadId", "DELETE uploadId", "GET",
  // "HEAD", "LIST", "POST delete".
  uint64_t count(const std::string& kind) const;
  size_t uploads() const { return uploads_.size(); }
  uint64_t connections() const { return connections_; }

 private:
  struct Upload {
    std::string key;
    std::map<uint64_t, std::string> parts;
  };
  // Nothing: the connection ends without an answer. `length`: of a HEAD's object. `cut`: half of it is sent.
  struct Answer {
    http::Response response;
    std::optional<uint64_t> length;
    bool cut = false;
  };
  using Answered = std::optional<Answer>;

  Status serve_connection(Task& task, std::unique_ptr<Stream> stream);
  Answered handle(Task& task, const http::Request& request);
  Answered on_bucket(Task& task, const http::Request& request);
  Answered on_object(Task& task, const http::Request& request, const std::string& key);
  Answered get(Task& task, const http::Request& request, const std::string& key);
  Answered put(Task& task, const http::Request& request, const std::string& key, Source& source);
  Answered put_part(const http::Request& request, const std::string& key);
  Answered complete(Task& task, const http::Request& request, const std::string& key);
  Answered list(Task& task, const http::Request& request);
  Answered remove(Task& task, const http::Request& request);
  // Why it is refused; empty where it is right.
  std::string wrong_signature(const http::Request& request) const;
  Answered failed(const Error& error);

  Env& env_;
  ObjectStore& store_;
  S3ServerConfig config_;
  std::map<std::string, Upload> uploads_;
  std::map<std::string, std::string> others_;  // keys that no object store of ours takes
  std::map<std::string, uint64_t> counts_;
  uint64_t connections_ = 0;
};

}  // namespace argon::objstore
