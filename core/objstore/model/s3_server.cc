#include "core/objstore/model/s3_server.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/checksum.h"
#include "core/base/ids.h"
#include "core/fiber/scope.h"
#include "core/http/codec.h"
#include "core/objstore/s3_xml.h"
#include "core/tls/stream.h"

namespace argon::objstore {
namespace {

constexpr const char* kXml = "application/xml";

http::Response xml(int status, const std::string& body) {
  return {status, kXml, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + body, {}};
}

http::Response refused(int status, const std::string& code, const std::string& message) {
  return xml(status,
             "<Error><Code>" + code + "</Code><Message>" + xml_escape(message) + "</Message></Error>");
}

std::string etag_of(std::string_view bytes) {
  return fmt::format("\"{:016x}\"", hash64(as_bytes(bytes)));
}

std::string header(const http::Request& request, const std::string& name) {
  auto found = request.headers.find(name);
  return found == request.headers.end() ? "" : found->second;
}

std::string escape_path(std::string_view path) {
  std::string out;
  for (char c : path) out += c == '/' ? "/" : http::url_encode(std::string_view(&c, 1));
  return out;
}

// Parts, one behind the other.
class PartsSource final : public Source {
 public:
  void add(const std::string& part) {
    ends_.push_back(size() + part.size());
    parts_.push_back(&part);
  }
  uint64_t size() const override { return ends_.empty() ? 0 : ends_.back(); }
  Status read(Task&, uint64_t offset, ByteSpan into) override {
    for (size_t i = 0; i < parts_.size() && !into.empty(); i++) {
      if (offset >= ends_[i]) continue;
      size_t at = offset - (ends_[i] - parts_[i]->size());
      size_t n = std::min(into.size(), parts_[i]->size() - at);
      std::ranges::copy(as_bytes(*parts_[i]).subspan(at, n), into.begin());
      into = into.subspan(n);
      offset += n;
    }
    return {};
  }

 private:
  std::vector<uint64_t> ends_;
  std::vector<const std::string*> parts_;
};

// "bytes=A-B" or "bytes=A-".
std::optional<Range> parse_range(std::string_view text) {
  if (!text.starts_with("bytes=")) return std::nullopt;
  text.remove_prefix(6);
  size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  auto first = parse_u64(text.substr(0, dash));
  if (!first.ok()) return std::nullopt;
  if (dash + 1 == text.size()) return Range{*first, UINT64_MAX};
  auto last = parse_u64(text.substr(dash + 1));
  if (!last.ok() || *last < *first) return std::nullopt;
  return Range{*first, *last - *first + 1};
}

}  // namespace

uint64_t S3Server::count(const std::string& kind) const {
  auto found = counts_.find(kind);
  return found == counts_.end() ? 0 : found->second;
}

Status S3Server::serve(Task& task, Listener& listener) {
  Scope scope(task);
  for (;;) {
    auto accepted = listener.accept(task);
    if (!accepted.ok()) {
      ignore_result(scope.stop(task));
      return accepted.error();
    }
    connections_++;
    auto stream = std::make_shared<std::unique_ptr<Stream>>(*std::move(accepted));
    scope.spawn("s3", [this, stream](Task& t) -> Status {
      ignore_result(serve_connection(t, std::move(*stream)));
      return {};
    });
  }
}

Status S3Server::serve_connection(Task& task, std::unique_ptr<Stream> stream) {
  if (config_.tls) {
    TRY_ASSIGN(stream, tls::TlsStream::accept(task, config_.tls, std::move(stream)));
  }
  wire::BufferedReader in(*stream);
  for (;;) {
    TRY_ASSIGN(auto received, http::read_request(task, in, {64 * 1024, config_.body_bytes}));
    if (!received) return {};
    bool head = received->request.method == "HEAD";
    Answered answer = handle(task, received->request);
    if (!answer) return {};
    wire::BufferedWriter out(*stream);
    http::encode_response(out.buffer(), answer->response, received->keep_alive, head);
    if (answer->length) {  // of an object that is not sent
      std::string text(as_text(out.buffer()));
      size_t at = text.find("Content-Length: 0");
      out.buffer() = to_bytes(text.replace(at, 17, "Content-Length: " + std::to_string(*answer->length)));
    }
    if (answer->cut) out.buffer().resize(out.buffer().size() - (answer->response.body.size() + 1) / 2);
    TRY(out.flush(task));
    if (answer->cut || !received->keep_alive) return {};
  }
}

std::string S3Server::wrong_signature(const http::Request& request) const {
  constexpr std::string_view kSigned = "SignedHeaders=";
  std::string given = header(request, "authorization");
  size_t begin = given.find(kSigned);
  if (begin == std::string::npos) return "no signature";
  std::string_view names = std::string_view(given).substr(begin + kSigned.size());
  names = names.substr(0, names.find(','));
  S3Request as_sent{request.method, escape_path(request.path), request.query, {}, {}};
  while (!names.empty()) {
    size_t end = std::min(names.find(';'), names.size());
    std::string name(names.substr(0, end));
    as_sent.headers[name] = header(request, name);
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  as_sent.payload_sha256 = header(request, "x-amz-content-sha256");
  for (const char* needed : {"host", "x-amz-date", "x-amz-content-sha256"})
    if (!as_sent.headers.contains(needed)) return std::string(needed) + " is not signed";
  if (as_sent.payload_sha256 != to_hex(sha256(as_bytes(request.body))))
    return "the payload's SHA-256 is another";
  if (given != s3_authorization(as_sent, config_.credentials, config_.region))
    return "the signature is wrong";
  return "";
}

S3Server::Answered S3Server::failed(const Error& error) {
  if (error.code() == Code::NotFound) return Answer{refused(404, "NoSuchKey", error.message()), {}};
  if (error.code() == Code::AlreadyExists)
    return Answer{refused(412, "PreconditionFailed", error.message()), {}};
  if (error.code() == Code::NoSpace) return Answer{refused(507, "InsufficientStorage", error.message()), {}};
  if (error.code() == Code::Invalid) return Answer{refused(400, "InvalidRequest", error.message()), {}};
  if (error.code() == Code::Io) return Answer{http::text_response(std::string(100, '?')), {}, true};
  if (error.code() == Code::Unavailable) {
    uint64_t drawn = env_.random("s3.refusal").below(3);
    if (drawn == 0) return Answer{refused(503, "SlowDown", error.message()), {}};
    if (drawn == 1) return Answer{refused(500, "InternalError", error.message()), {}};
  }
  return std::nullopt;
}

S3Server::Answered S3Server::handle(Task& task, const http::Request& request) {
  std::string wrong = wrong_signature(request);
  if (!wrong.empty()) return Answer{refused(403, "SignatureDoesNotMatch", wrong), {}};
  std::string bucket = "/" + config_.bucket;
  if (request.path == bucket) return on_bucket(task, request);
  if (request.path.starts_with(bucket + "/"))
    return on_object(task, request, request.path.substr(bucket.size() + 1));
  return Answer{refused(404, "NoSuchBucket", "the bucket is not there"), {}};
}

S3Server::Answered S3Server::on_bucket(Task& task, const http::Request& request) {
  if (request.method == "GET" && request.query.contains("list-type")) return list(task, request);
  if (request.method == "POST" && request.query.contains("delete")) return remove(task, request);
  return Answer{refused(405, "MethodNotAllowed", request.method), {}};
}

S3Server::Answered S3Server::on_object(Task& task, const http::Request& request, const std::string& key) {
  bool upload = request.query.contains("uploadId");
  if (request.method == "GET" || request.method == "HEAD") return get(task, request, key);
  if (request.method == "PUT" && upload) return put_part(request, key);
  if (request.method == "PUT") {
    counts_["PUT"]++;
    MemorySource source(as_bytes(request.body));
    return put(task, request, key, source);
  }
  if (request.method == "POST" && request.query.contains("uploads")) {
    counts_["POST uploads"]++;
    std::string id = fmt::format("{:016x}", env_.random("s3.upload").next());
    uploads_[id].key = key;
    return Answer{xml(200, "<InitiateMultipartUploadResult><UploadId>" + id +
                               "</UploadId></InitiateMultipartUploadResult>"),
                  {}};
  }
  if (request.method == "POST" && upload) return complete(task, request, key);
  if (request.method == "DELETE" && upload) {
    counts_["DELETE uploadId"]++;
    bool there = uploads_.erase(request.query.at("uploadId")) > 0;
    return Answer{there ? http::Response{204, "", "", {}} : refused(404, "NoSuchUpload", key), {}};
  }
  return Answer{refused(405, "MethodNotAllowed", request.method), {}};
}

S3Server::Answered S3Server::get(Task& task, const http::Request& request, const std::string& key) {
  counts_[request.method]++;
  if (request.method == "HEAD") {
    auto info = store_.head(task, key);
    if (info.ok()) return Answer{{200, "", "", {}}, info->size};
    Answered answer = failed(info.error());
    if (answer) answer->cut = false;
    return answer;
  }
  std::optional<Range> range = parse_range(header(request, "range"));
  auto bytes = store_.get(task, key, range.value_or(Range{}));
  if (range && (bytes.is(Code::Invalid) || (bytes.ok() && bytes->empty())))
    return Answer{refused(416, "InvalidRange", "the range begins at the end or beyond"), {}};
  if (!bytes.ok()) return failed(bytes.error());
  http::Response response{range ? 206 : 200, "binary/octet-stream", std::string(as_text(*bytes)), {}};
  if (range)
    response.headers["Content-Range"] =
        fmt::format("bytes {}-{}/*", range->offset, range->offset + bytes->size() - 1);
  return Answer{std::move(response), {}};
}

S3Server::Answered S3Server::put(Task& task, const http::Request& request, const std::string& key,
                                 Source& source) {
  bool if_absent = header(request, "if-none-match") == "*" && !config_.ignore_if_none_match;
  http::Response done{200, "", "", {{"ETag", etag_of(request.body)}}};
  if (!check_key(key).ok()) {
    if (if_absent && others_.contains(key)) return failed(Error(Code::AlreadyExists, key));
    others_[key] = request.body;
    return Answer{std::move(done), {}};
  }
  Status put = store_.put(task, key, source, if_absent ? PutMode::IfAbsent : PutMode::Replace);
  if (!put.ok()) return failed(put.error());
  return Answer{std::move(done), {}};
}

S3Server::Answered S3Server::put_part(const http::Request& request, const std::string& key) {
  counts_["PUT part"]++;
  auto upload = uploads_.find(request.query.at("uploadId"));
  auto number = parse_u64(request.query.contains("partNumber") ? request.query.at("partNumber") : "");
  if (upload == uploads_.end() || upload->second.key != key)
    return Answer{refused(404, "NoSuchUpload", key), {}};
  if (!number.ok() || *number < 1 || *number > 10'000)
    return Answer{refused(400, "InvalidArgument", "partNumber"), {}};
  upload->second.parts[*number] = request.body;
  return Answer{{200, "", "", {{"ETag", etag_of(request.body)}}}, {}};
}

S3Server::Answered S3Server::complete(Task& task, const http::Request& request, const std::string& key) {
  counts_["POST uploadId"]++;
  auto found = uploads_.find(request.query.at("uploadId"));
  if (found == uploads_.end() || found->second.key != key)
    return Answer{refused(404, "NoSuchUpload", key), {}};
  auto asked = parse_xml(request.body);
  if (!asked.ok()) return Answer{refused(400, "MalformedXML", asked.error().message()), {}};
  Upload upload = found->second;
  PartsSource source;
  for (const XmlElement& part : asked->elements) {
    auto number = parse_u64(part.text_of("PartNumber"));
    auto sent = upload.parts.find(number.ok() ? *number : 0);
    if (sent == upload.parts.end() || etag_of(sent->second) != part.text_of("ETag"))
      return Answer{refused(400, "InvalidPart", part.text_of("PartNumber")), {}};
    source.add(sent->second);
  }
  Answered answer = put(task, request, key, source);
  if (!answer || answer->response.status != 200) return answer;
  uploads_.erase(request.query.at("uploadId"));
  return Answer{xml(200, "<CompleteMultipartUploadResult><Key>" + xml_escape(key) +
                             "</Key></CompleteMultipartUploadResult>"),
                {}};
}

S3Server::Answered S3Server::list(Task& task, const http::Request& request) {
  counts_["LIST"]++;
  auto text = [&](const char* name) {
    auto found = request.query.find(name);
    return found == request.query.end() ? std::string() : found->second;
  };
  auto most = parse_u64(text("max-keys"));
  auto page = store_.list(task, text("prefix"), text("start-after"),
                          std::min<uint64_t>(most.ok() ? *most : kPageMax, config_.page_max));
  if (!page.ok()) return failed(page.error());
  std::string body = "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><IsTruncated>" +
                     std::string(page->next ? "true" : "false") + "</IsTruncated>";
  for (const ObjectInfo& object : page->objects)
    body += "<Contents><Key>" + xml_escape(object.key) + "</Key><Size>" + std::to_string(object.size) +
            "</Size></Contents>";
  return Answer{xml(200, body + "</ListBucketResult>"), {}};
}

S3Server::Answered S3Server::remove(Task& task, const http::Request& request) {
  counts_["POST delete"]++;
  if (header(request, "content-md5") != base64_md5(as_bytes(request.body)))
    return Answer{refused(400, "BadDigest", "Content-MD5"), {}};
  auto asked = parse_xml(request.body);
  if (!asked.ok()) return Answer{refused(400, "MalformedXML", asked.error().message()), {}};
  std::vector<std::string> keys;
  for (const XmlElement& object : asked->elements)
    if (object.name == "Object") keys.push_back(object.text_of("Key"));
  Status removed = store_.remove(task, keys);
  if (!removed.ok()) return failed(removed.error());
  return Answer{xml(200, "<DeleteResult></DeleteResult>"), {}};
}

}  // namespace argon::objstore
