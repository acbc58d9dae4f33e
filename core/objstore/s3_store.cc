#include <algorithm>

#include "core/base/ids.h"
#include "core/objstore/s3_call.h"
#include "core/objstore/s3_xml.h"
#include "core/tls/stream.h"

namespace argon::objstore {
namespace {

constexpr std::string_view kHttp = "http://";
constexpr std::string_view kHttps = "https://";
constexpr size_t kObjectMax = 1u << 30;  // that a get gives at once

constexpr const char* kForm = "expected http[s]://HOST or http[s]://HOST:PORT, and nothing behind it";

struct Endpoint {
  bool encrypted = false;
  std::string host;  // as the header Host has it
  std::string name;  // as a certificate has it
  Address address;
};

Result<Endpoint> parse_endpoint(std::string_view text) {
  auto bad = [text](const std::string& why) {
    return Error(Code::Invalid, "the S3 endpoint \"" + std::string(text) + "\": " + why);
  };
  bool encrypted = text.starts_with(kHttps);
  if (!encrypted && !text.starts_with(kHttp)) return bad(kForm);
  std::string host(text.substr(encrypted ? kHttps.size() : kHttp.size()));
  if (host.ends_with('/')) host.pop_back();
  if (host.empty() || host.find_first_of("/?#@\"\\ ") != std::string::npos) return bad(kForm);
  size_t colon = host.rfind(':');
  bool has_port = colon != std::string::npos && host.find(']', colon) == std::string::npos;
  Result<Address> address = parse_address(has_port ? host : host + (encrypted ? ":443" : ":80"));
  if (!address.ok() || address->is_unix()) return bad(kForm);
  std::string name = has_port ? host.substr(0, colon) : host;
  if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
  return Endpoint{encrypted, host, name, *address};
}

// TLS over what `connect` makes. Invalid: there is no authority to believe.
Result<http::Connect> encrypt(Env& env, const S3Config& config, std::string name, http::Connect connect) {
  auto context =
      tls::Context::client(std::make_shared<tls::Library>(env), as_bytes(config.authorities), "http/1.1");
  if (!context.ok())
    return Error(Code::Invalid,
                 "the authorities that may vouch for " + config.endpoint + ": " + context.error().message());
  return http::Connect([context = *context, name = std::move(name),
                        connect = std::move(connect)](Task& task) -> Result<std::unique_ptr<Stream>> {
    TRY_ASSIGN(auto stream, connect(task));
    TRY_ASSIGN(auto encrypted, tls::TlsStream::connect(task, context, std::move(stream), name));
    return std::unique_ptr<Stream>(std::move(encrypted));
  });
}

Status check_config(const S3Config& config) {
  auto bad = [](const std::string& why) { return Error(Code::Invalid, "the S3 object store: " + why); };
  if (!check_key(config.bucket).ok() || config.bucket.find('/') != std::string::npos)
    return bad("\"" + config.bucket + "\" is not a bucket's name");
  if (!config.prefix.empty() && !check_key(config.prefix).ok())
    return bad("the prefix \"" + config.prefix +
               "\" is not of the form part/part (letters, digits, '.', '_', '-')");
  if (!check_key(config.region).ok()) return bad("\"" + config.region + "\" is not a region");
  if (config.credentials.access_key.empty() || config.credentials.secret_key.empty())
    return bad("there are no credentials (access key and secret key)");
  if (config.part_bytes == 0) return bad("parts of 0 bytes");
  return {};
}

uint64_t length_header(const http::Response& response) {
  auto found = response.headers.find("content-length");
  Result<uint64_t> length = found == response.headers.end() ? Result<uint64_t>(Error(Code::NotFound, ""))
                                                            : parse_u64(found->second);
  return length.ok() ? *length : UINT64_MAX;
}

// The codes by which S3 says that it did not begin.
bool says_not_now(const std::string& code) {
  return code == "SlowDown" || code == "ServiceUnavailable" || code == "Throttling" ||
         code == "RequestLimitExceeded";
}

}  // namespace

S3Store::S3Store(Env& env, S3Config config, std::string host, http::Connect connect)
    : env_(env),
      log_(env.log()),
      config_(std::move(config)),
      host_(std::move(host)),
      prefix_(config_.prefix.empty() ? "" : config_.prefix + "/"),
      connections_(std::move(connect), host_, config_.patience) {}

Result<std::unique_ptr<S3Store>> S3Store::open(Env& env, S3Config config, http::Connect connect) {
  TRY(check_config(config));
  TRY_ASSIGN(Endpoint endpoint, parse_endpoint(config.endpoint));
  if (!connect)
    connect = [&env, address = endpoint.address](Task& task) { return env.network().connect(task, address); };
  if (endpoint.encrypted) {
    TRY_ASSIGN(connect, encrypt(env, config, endpoint.name, std::move(connect)));
  }
  return std::unique_ptr<S3Store>(
      new S3Store(env, std::move(config), std::move(endpoint.host), std::move(connect)));
}

std::string S3Store::path_of(const std::string& key) const {
  return "/" + config_.bucket + (key.empty() ? "" : "/" + prefix_ + key);
}

Result<http::Response> S3Store::run(Task& task, Call call) {
  S3Request& request = call.request;
  request.headers["host"] = host_;
  if (request.payload_sha256.empty()) request.payload_sha256 = to_hex(sha256(as_bytes(call.body)));
  s3_sign(request, config_.credentials, config_.region, env_.wall_now());
  http::ClientRequest sent{request.method, request.target(), request.headers, call.body, "", call.source};
  sent.headers.erase("host");  // the client's own
  auto answered = connections_.fetch(task, sent, call.answer_max);
  if (!answered.ok()) return no_answer(task, call, answered.error());
  if (answered->status >= 300) return refusal(call, *answered);
  return answered;
}

Error S3Store::no_answer(Task& task, const Call& call, const Error& error) const {
  std::string message = call.what + ": no answer from the object store at " + host_ + ": " + error.message();
  if (error.code() == Code::Unavailable) return Error(Code::Unavailable, message);
  if (call.changes) return Error(Code::MaybeApplied, message);
  bool callers_deadline = error.code() == Code::TimedOut && env_.now() >= task.deadline();
  if (callers_deadline || error.code() == Code::Cancelled) return Error(error.code(), message);
  bool nonsense = error.code() == Code::Corrupt || error.code() == Code::NoSpace;
  return Error(nonsense ? Code::Io : Code::Unavailable, message);
}

Error S3Store::refusal(const Call& call, const http::Response& response) const {
  S3Error said = parse_s3_error(response.body);
  std::string message =
      call.what + ": the object store at " + host_ + " answered " + std::to_string(response.status) + " " +
      (said.code.empty() ? std::string(http::reason_of(response.status)) : said.code + ": " + said.message);
  if (said.code == "NoSuchBucket")
    return Error(Code::Unavailable, message + " (bucket \"" + config_.bucket + "\" must be made first)");
  if (said.code == "RequestTimeTooSkewed") message += " (this machine's clock)";
  switch (response.status) {
    case 404:
      // A stranger's 404, of a proxy perhaps, and that of an upload in parts, say nothing of the object.
      if (said.code == "NoSuchKey" || call.request.method == "HEAD") return Error(Code::NotFound, message);
      return Error(call.changes ? Code::MaybeApplied : Code::Unavailable, message);
    case 412:
      return Error(Code::AlreadyExists, message);
    case 416:
      return Error(Code::Invalid, message);
    case 507:
      return Error(Code::NoSpace, message);
    default:
      break;
  }
  bool began = response.status >= 500 && !says_not_now(said.code);
  return Error(call.changes && began ? Code::MaybeApplied : Code::Unavailable, message);
}

Result<Bytes> S3Store::get(Task& task, const std::string& key, Range range) {
  TRY(check_key(key));
  std::string what = "get " + key;
  bool whole = range.offset == 0 && range.length == UINT64_MAX;
  if (range.length == 0) {
    TRY_ASSIGN(ObjectInfo info, head(task, key));
    if (range.offset <= info.size) return Bytes();
    return Error(Code::Invalid,
                 what + ": the range begins beyond its " + std::to_string(info.size) + " bytes");
  }
  uint64_t last = range.length < UINT64_MAX - range.offset ? range.offset + range.length - 1 : UINT64_MAX;
  Call call{what, {"GET", path_of(key)}};
  call.answer_max = kObjectMax;
  if (!whole)
    call.request.headers["range"] =
        "bytes=" + std::to_string(range.offset) + "-" + (last == UINT64_MAX ? "" : std::to_string(last));
  auto answered = run(task, std::move(call));
  if (answered.is(Code::Invalid)) {  // nothing at or behind the offset
    TRY_ASSIGN(ObjectInfo info, head(task, key));
    if (range.offset == info.size) return Bytes();
    if (range.offset < info.size) return Error(Code::Unavailable, what + ": it was replaced meanwhile");
    return answered.error().with("it has " + std::to_string(info.size) + " bytes");
  }
  TRY(answered);
  // Only a stated length shows that nothing is missing.
  if (length_header(*answered) != answered->body.size() && !answered->headers.contains("transfer-encoding"))
    return Error(Code::Io, what + ": an answer that does not say its length");
  ByteView bytes = as_bytes(answered->body);
  if (!whole && answered->status == 200) {  // the whole object, though a range was asked for
    if (range.offset > bytes.size()) return Error(Code::Invalid, what + ": the range begins beyond its end");
    bytes = bytes.subspan(range.offset);
    bytes = bytes.first(std::min<uint64_t>(range.length, bytes.size()));
  }
  if (bytes.size() > range.length) return Error(Code::Io, what + ": an answer longer than asked for");
  return to_bytes(bytes);
}

Result<ObjectInfo> S3Store::head(Task& task, const std::string& key) {
  TRY(check_key(key));
  TRY_ASSIGN(http::Response answered, run(task, {"head " + key, {"HEAD", path_of(key)}}));
  uint64_t size = length_header(answered);
  if (size == UINT64_MAX) return Error(Code::Io, "head " + key + ": an answer without a length");
  return ObjectInfo{key, size};
}

Result<Listing> S3Store::list(Task& task, const std::string& prefix, const std::string& after,
                              size_t page_size) {
  std::string what = "list objects below \"" + prefix + "\"";
  size_t limit = std::clamp<size_t>(page_size, 1, kPageMax);
  Call call{what,
            {"GET",
             path_of(""),
             {{"list-type", "2"}, {"prefix", prefix_ + prefix}, {"max-keys", std::to_string(limit)}}}};
  if (!after.empty()) call.request.query["start-after"] = prefix_ + after;
  TRY_ASSIGN(http::Response answered, run(task, std::move(call)));
  auto listed = parse_listing(answered.body);
  if (!listed.ok()) return Error(Code::Io, what + ": " + listed.error().message());
  Listing page;
  for (ObjectInfo& object : listed->objects) {
    std::string key = object.key.starts_with(prefix_) ? object.key.substr(prefix_.size()) : "";
    if (!key.starts_with(prefix) || key <= after || page.objects.size() == limit)
      return Error(Code::Io, what + ": \"" + object.key + "\" was not asked for");
    if (listed->truncated) page.next = key;
    // What else lies in the bucket is nobody's object.
    if (check_key(key).ok()) page.objects.push_back({std::move(key), object.size});
  }
  return page;
}

Status S3Store::remove(Task& task, std::span<const std::string> keys) {
  if (keys.size() > kPageMax)
    return Error(Code::Invalid, "at most " + std::to_string(kPageMax) + " objects are removed at once");
  for (const std::string& key : keys) TRY(check_key(key));
  if (keys.empty()) return {};
  std::string what = "remove " + keys.front();
  if (keys.size() > 1) what += " and " + std::to_string(keys.size() - 1) + " more";
  Call call{what, {"POST", path_of(""), {{"delete", ""}}}, delete_body(prefix_, keys)};
  call.changes = true;
  call.request.headers["content-md5"] = base64_md5(as_bytes(call.body));
  TRY_ASSIGN(http::Response answered, run(task, std::move(call)));
  auto failed = parse_delete_result(answered.body);
  if (!failed.ok()) return Error(Code::MaybeApplied, what + ": " + failed.error().message());
  if (*failed) return Error(Code::MaybeApplied, what + ": the object store did not remove " + **failed);
  return {};
}

}  // namespace argon::objstore
