// S3Store: an object store that speaks Amazon S3's REST API, over Env's network.
//
// An object KEY is "BUCKET/PREFIX/KEY", addressed by path. Up to two parts' bytes go in one PUT, more in
// parts; an upload in parts that fails is aborted, and what was cut off before that is the bucket's lifecycle
// rule's.
//
// What an answer means for a put or remove (README.md, "S3"): what was refused before it could begin (no
// connection; 429 and 503 that say so; 4xx) did not happen; whatever else is not an answer may have. Nothing
// is repeated in here but reads.
//
// PutMode::IfAbsent is "If-None-Match: *". Before the first such put the store is tried, once: one that
// ignores it is refused (Unsupported), unless `conditional_put` is off. Then IfAbsent is a look before the
// put, which two writers at once can both pass.

#pragma once

#include <memory>

#include "core/env/env.h"
#include "core/http/client.h"
#include "core/objstore/object_store.h"
#include "core/objstore/s3_signature.h"

namespace argon::objstore {

struct S3Config {
  std::string endpoint;  // "http[s]://HOST[:PORT]"
  std::string bucket;
  std::string prefix;  // of all keys; "a/b", or empty: the whole bucket
  std::string region = "us-east-1";
  S3Credentials credentials;
  std::string authorities;                    // PEM: who may vouch for an https:// endpoint; else nobody does
  bool conditional_put = true;                // IfAbsent by If-None-Match
  uint64_t part_bytes = 8 << 20;              // S3 takes no parts below 5 MiB but the last
  Duration patience = Duration::seconds(20);  // for a connection, and for one byte over it
};

class S3Store final : public ObjectStore {
 public:
  // `connect`: how a stream to the endpoint is made, below TLS where there is any; null: TCP, by the env's
  // network. Suspends not, asks nobody. Errors: Invalid (what is wrong with which part of the configuration).
  static Result<std::unique_ptr<S3Store>> open(Env& env, S3Config config, http::Connect connect = nullptr);

  using ObjectStore::get;
  using ObjectStore::put;
  Status put(Task& task, const std::string& key, Source& source, PutMode mode) override;
  Result<Bytes> get(Task& task, const std::string& key, Range range) override;
  Result<ObjectInfo> head(Task& task, const std::string& key) override;
  Result<Listing> list(Task& task, const std::string& prefix, const std::string& after,
                       size_t page_size) override;
  Status remove(Task& task, std::span<const std::string> keys) override;

  // That the store can be reached, read and written, and honours If-None-Match unless that was given up.
  // Errors say what is wrong.
  Status check(Task& task);

 private:
  struct Call;
  class PartBody;
  S3Store(Env& env, S3Config config, std::string host, http::Connect connect);

  std::string path_of(const std::string& key) const;
  // Signs, sends, waits. A status of 300 or more is an error.
  Result<http::Response> run(Task& task, Call call);
  Error no_answer(Task& task, const Call& call, const Error& error) const;
  Error refusal(const Call& call, const http::Response& response) const;
  Status put_whole(Task& task, const std::string& key, Source& source, bool if_absent);
  Status put_in_parts(Task& task, const std::string& key, Source& source, bool if_absent);
  Status send_parts(Task& task, const std::string& key, Source& source, const std::string& upload,
                    std::vector<std::string>& etags);
  Status complete(Task& task, const std::string& key, const std::string& upload,
                  const std::vector<std::string>& etags, bool if_absent);
  void abort(Task& task, const std::string& key, const std::string& upload);
  Status send_probe(Task& task, bool if_absent);
  Status check_conditional_put(Task& task);

  Env& env_;
  Logger log_;
  S3Config config_;
  std::string host_;
  std::string prefix_;  // "a/b/", or empty
  http::KeptConnections connections_;
  bool conditional_put_known_ = false;  // the store honours If-None-Match
};

}  // namespace argon::objstore
