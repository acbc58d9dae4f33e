// Puts of S3Store: whole, in parts, if absent.

#include <algorithm>

#include "core/base/ids.h"
#include "core/objstore/s3_call.h"
#include "core/objstore/s3_xml.h"

namespace argon::objstore {
namespace {

constexpr size_t kPieceBytes = 128 * 1024;
constexpr uint64_t kPartsMax = 10'000;
constexpr Duration kAbortTimeout = Duration::seconds(5);
// No key of ours: a part that begins with a dot.
constexpr const char* kProbeKey = ".argon-if-none-match";

}  // namespace

// A part of a Source as the body of a request.
class S3Store::PartBody final : public http::BodySource {
 public:
  PartBody(Source& source, uint64_t offset, uint64_t size) : source_(source), offset_(offset), size_(size) {}

  uint64_t size() const override { return size_; }
  Status read(Task& task, uint64_t offset, ByteSpan into) override {
    for (uint64_t at = offset_ + offset; !into.empty();) {
      size_t n = std::min<uint64_t>(source_.zeros_from(at), into.size());
      if (n > 0) {
        std::ranges::fill(into.first(n), uint8_t{0});
      } else {
        n = into.size();
        failed_ = source_.read(task, at, into);
        TRY(failed_);
      }
      into = into.subspan(n);
      at += n;
    }
    return {};
  }
  Result<std::string> sha256(Task& task) {
    Sha256 hash;
    Bytes piece(std::min<uint64_t>(kPieceBytes, size_));
    for (uint64_t at = 0; at < size_;) {
      ByteSpan part = ByteSpan(piece).first(std::min<uint64_t>(piece.size(), size_ - at));
      TRY(read(task, at, part));
      hash.add(part);
      at += part.size();
      if (at < size_) TRY(task.yield());
    }
    return to_hex(hash.finish());
  }
  // Of the source; ok where only the connection failed.
  const Status& failed() const { return failed_; }

 private:
  Source& source_;
  uint64_t offset_;
  uint64_t size_;
  Status failed_;
};

Status S3Store::put(Task& task, const std::string& key, Source& source, PutMode mode) {
  TRY(check_key(key));
  bool if_absent = mode == PutMode::IfAbsent;
  if (if_absent && config_.conditional_put) TRY(check_conditional_put(task).with("put " + key));
  if (if_absent && !config_.conditional_put) {
    auto there = head(task, key);
    if (there.ok()) return Error(Code::AlreadyExists, "put " + key + ": it exists");
    if (!there.is(Code::NotFound)) return there.error();
    if_absent = false;
  }
  return source.size() <= 2 * config_.part_bytes ? put_whole(task, key, source, if_absent)
                                                 : put_in_parts(task, key, source, if_absent);
}

Status S3Store::put_whole(Task& task, const std::string& key, Source& source, bool if_absent) {
  PartBody body(source, 0, source.size());
  Call call{"put " + key, {"PUT", path_of(key)}, "", &body, true};
  TRY_ASSIGN(call.request.payload_sha256, body.sha256(task));
  if (if_absent) call.request.headers["if-none-match"] = "*";
  auto answered = run(task, std::move(call));
  TRY(body.failed());
  TRY(answered);
  return {};
}

Status S3Store::put_in_parts(Task& task, const std::string& key, Source& source, bool if_absent) {
  Call begin{"begin the upload of " + key, {"POST", path_of(key), {{"uploads", ""}}}};
  TRY_ASSIGN(http::Response begun, run(task, std::move(begin)));
  auto upload = parse_upload_id(begun.body);
  if (!upload.ok()) return Error(Code::Io, "begin the upload of " + key + ": " + upload.error().message());
  std::vector<std::string> etags;
  Status done = send_parts(task, key, source, *upload, etags);
  if (done.ok()) done = complete(task, key, *upload, etags, if_absent);
  // Also where the end may have been applied: it cannot come later then.
  if (!done.ok()) abort(task, key, *upload);
  return done;
}

Status S3Store::send_parts(Task& task, const std::string& key, Source& source, const std::string& upload,
                           std::vector<std::string>& etags) {
  uint64_t size = source.size();
  uint64_t part_bytes = std::max(config_.part_bytes, (size + kPartsMax - 1) / kPartsMax);
  for (uint64_t at = 0; at < size; at += part_bytes) {
    PartBody body(source, at, std::min(part_bytes, size - at));
    std::string number = std::to_string(etags.size() + 1);
    Call call{"put part " + number + " of " + key,
              {"PUT", path_of(key), {{"partNumber", number}, {"uploadId", upload}}},
              "",
              &body};
    std::string what = call.what;
    TRY_ASSIGN(call.request.payload_sha256, body.sha256(task));
    auto answered = run(task, std::move(call));
    TRY(body.failed());
    TRY(answered);
    auto etag = answered->headers.find("etag");
    if (etag == answered->headers.end()) return Error(Code::Io, what + ": an answer without an ETag");
    etags.push_back(etag->second);
  }
  return {};
}

Status S3Store::complete(Task& task, const std::string& key, const std::string& upload,
                         const std::vector<std::string>& etags, bool if_absent) {
  Call call{"end the upload of " + key, {"POST", path_of(key), {{"uploadId", upload}}}};
  call.body = complete_body(etags);
  call.changes = true;
  if (if_absent) call.request.headers["if-none-match"] = "*";
  Call asked = call;
  TRY_ASSIGN(http::Response ended, run(task, std::move(call)));
  // A status of 200 is sent before the parts are put together.
  auto root = parse_xml(ended.body);
  if (root.ok() && root->name == "CompleteMultipartUploadResult") return {};
  if (root.ok() && root->name == "Error") ended.status = 500;
  if (parse_s3_error(ended.body).code == "PreconditionFailed") ended.status = 412;
  if (ended.status != 200) return refusal(asked, ended);
  return Error(Code::MaybeApplied, asked.what + ": an answer of another form");
}

// What it does not reach, the bucket's lifecycle rule does.
void S3Store::abort(Task& task, const std::string& key, const std::string& upload) {
  Shield shield(task);
  Deadline deadline(task, kAbortTimeout);
  Call call{"abort the upload of " + key, {"DELETE", path_of(key), {{"uploadId", upload}}}};
  auto aborted = run(task, std::move(call));
  if (!aborted.ok()) log_.warn("{}", aborted.error().to_string());
}

Status S3Store::check(Task& task) {
  TRY(list(task, "", "", 1));
  if (config_.conditional_put) return check_conditional_put(task);
  return send_probe(task, false);
}

Status S3Store::send_probe(Task& task, bool if_absent) {
  Call call{"try a put",
            {"PUT", path_of(kProbeKey)},
            "Argon tries here whether the store can be written and honours If-None-Match."};
  if (if_absent) call.request.headers["if-none-match"] = "*";
  TRY(run(task, std::move(call)));
  return {};
}

// Puts the same key twice, if absent: the second must be refused.
Status S3Store::check_conditional_put(Task& task) {
  for (int i = 0; !conditional_put_known_; i++) {
    Status answered = send_probe(task, true);
    if (answered.is(Code::AlreadyExists)) {
      conditional_put_known_ = true;
      log_.info("the object store at {} honours If-None-Match", host_);
    } else if (!answered.ok()) {
      return answered.error();
    } else if (i > 0) {
      return Error(
          Code::Unsupported,
          "the object store at " + host_ +
              " ignores If-None-Match, so that two who put one key at once would both have won. Take "
              "another store, or give it up: s3_conditional_put = false (core/objstore/README.md)");
    }
  }
  return {};
}

}  // namespace argon::objstore
