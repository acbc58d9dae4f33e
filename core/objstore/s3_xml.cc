#include "core/objstore/s3_xml.h"

#include <algorithm>

#include "core/base/ids.h"

namespace argon::objstore {
namespace {

constexpr int kDepthMax = 16;
constexpr std::string_view kBlanks = " \t\r\n";

Error bad(const std::string& what) {
  return Error(Code::Corrupt, "the object store's XML: " + what);
}

void append_utf8(std::string& out, uint32_t c) {
  auto add = [&out](uint32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) return add(c);
  if (c < 0x800) {
    add(0xC0 | c >> 6);
    return add(0x80 | (c & 63));
  }
  if (c < 0x10000) {
    add(0xE0 | c >> 12);
  } else {
    add(0xF0 | c >> 18);
    add(0x80 | (c >> 12 & 63));
  }
  add(0x80 | (c >> 6 & 63));
  add(0x80 | (c & 63));
}

// "#38" or "#x26".
Result<uint32_t> numeric_reference(std::string_view digits) {
  uint32_t base = 10;
  if (digits.starts_with('x')) {
    base = 16;
    digits.remove_prefix(1);
  }
  uint32_t value = 0;
  for (char c : digits) {
    uint32_t digit = c >= '0' && c <= '9'   ? static_cast<uint32_t>(c - '0')
                     : c >= 'a' && c <= 'f' ? static_cast<uint32_t>(c - 'a' + 10)
                     : c >= 'A' && c <= 'F' ? static_cast<uint32_t>(c - 'A' + 10)
                                            : base;
    value = value * base + digit;
    if (digit >= base || value > 0x10FFFF) return bad("a broken reference");
  }
  if (digits.empty()) return bad("a broken reference");
  return value;
}

Status append_text(std::string& out, std::string_view raw) {
  while (!raw.empty()) {
    size_t at = std::min(raw.find('&'), raw.size());
    out += raw.substr(0, at);
    raw.remove_prefix(at);
    if (raw.empty()) break;
    size_t end = raw.find(';');
    if (end == std::string_view::npos) return bad("a broken reference");
    std::string_view name = raw.substr(1, end - 1);
    raw.remove_prefix(end + 1);
    if (name.starts_with('#')) {
      TRY_ASSIGN(uint32_t c, numeric_reference(name.substr(1)));
      append_utf8(out, c);
      continue;
    }
    if (name == "lt")
      out += '<';
    else if (name == "gt")
      out += '>';
    else if (name == "amp")
      out += '&';
    else if (name == "quot")
      out += '"';
    else if (name == "apos")
      out += '\'';
    else
      return bad("an unknown reference");
  }
  return {};
}

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  Result<XmlElement> document() {
    TRY(pass_over());
    XmlElement root;
    TRY(element(root, 1));
    TRY(pass_over());
    if (!rest_.empty()) return bad("something follows the document");
    return root;
  }

 private:
  bool take(std::string_view start) {
    if (!rest_.starts_with(start)) return false;
    rest_.remove_prefix(start.size());
    return true;
  }
  // Up to `end`, which is consumed.
  Result<std::string_view> until(std::string_view end) {
    size_t at = rest_.find(end);
    if (at == std::string_view::npos) return bad("it is cut short");
    std::string_view found = rest_.substr(0, at);
    rest_.remove_prefix(at + end.size());
    return found;
  }
  // Between elements: blanks, comments, declarations.
  Status pass_over() {
    for (;;) {
      rest_.remove_prefix(std::min(rest_.find_first_not_of(kBlanks), rest_.size()));
      if (take("<?")) {
        TRY(until("?>"));
      } else if (take("<!--")) {
        TRY(until("-->"));
      } else {
        return {};
      }
    }
  }

  // "<NAME attributes>", with the brackets; whether it is "<NAME/>".
  Result<bool> start_tag(std::string& name) {
    if (!take("<")) return bad("no element where one must be");
    size_t end = rest_.find_first_of(std::string(kBlanks) + "/>");
    std::string_view whole = rest_.substr(0, end);
    if (end == std::string_view::npos || whole.empty() || whole[0] == '!') return bad("a broken element");
    rest_.remove_prefix(end);
    size_t colon = whole.rfind(':');
    name = whole.substr(colon == std::string_view::npos ? 0 : colon + 1);
    for (;;) {
      if (take("/>")) return true;
      if (take(">")) return false;
      if (rest_.empty()) return bad("it is cut short");
      char c = rest_[0];
      rest_.remove_prefix(1);
      if (c == '"' || c == '\'') TRY(until(std::string_view(&c, 1)));
    }
  }

  Status element(XmlElement& out, int depth) {
    if (depth > kDepthMax) return bad("it is nested too deep");
    TRY_ASSIGN(bool empty, start_tag(out.name));
    if (empty) return {};
    for (;;) {
      size_t at = rest_.find('<');
      if (at == std::string_view::npos) return bad("it is cut short");
      TRY(append_text(out.text, rest_.substr(0, at)));
      rest_.remove_prefix(at);
      if (take("</")) {
        TRY_ASSIGN(std::string_view name, until(">"));
        name = name.substr(0, name.find_first_of(kBlanks));
        size_t colon = name.rfind(':');
        if (name.substr(colon == std::string_view::npos ? 0 : colon + 1) != out.name)
          return bad("<" + out.name + "> is not closed");
        return {};
      }
      if (take("<![CDATA[")) {
        TRY_ASSIGN(std::string_view raw, until("]]>"));
        out.text += raw;
      } else if (rest_.starts_with("<?") || rest_.starts_with("<!--")) {
        TRY(pass_over());
      } else {
        TRY(element(out.elements.emplace_back(), depth + 1));
      }
    }
  }

  std::string_view rest_;
};

Result<XmlElement> parse_root(std::string_view body, std::string_view name) {
  TRY_ASSIGN(XmlElement root, parse_xml(body));
  if (root.name != name) return bad("<" + root.name + "> where <" + std::string(name) + "> was expected");
  return root;
}

}  // namespace

const XmlElement* XmlElement::find(std::string_view wanted) const {
  auto found = std::ranges::find(elements, wanted, &XmlElement::name);
  return found == elements.end() ? nullptr : &*found;
}

std::string XmlElement::text_of(std::string_view wanted) const {
  const XmlElement* found = find(wanted);
  return found == nullptr ? "" : found->text;
}

Result<XmlElement> parse_xml(std::string_view text) {
  return Parser(text).document();
}

S3Error parse_s3_error(std::string_view body) {
  auto root = parse_root(body, "Error");
  if (!root.ok()) return {};
  return {root->text_of("Code"), root->text_of("Message")};
}

Result<S3Listing> parse_listing(std::string_view body) {
  TRY_ASSIGN(XmlElement root, parse_root(body, "ListBucketResult"));
  S3Listing listing;
  listing.truncated = root.text_of("IsTruncated") == "true";
  for (const XmlElement& object : root.elements) {
    if (object.name != "Contents") continue;
    Result<uint64_t> size = parse_u64(object.text_of("Size"));
    std::string key = object.text_of("Key");
    if (key.empty() || !size.ok()) return bad("an object without a key or a size");
    if (!listing.objects.empty() && key <= listing.objects.back().key)
      return bad("\"" + key + "\" is not behind the key before it");
    listing.objects.push_back({std::move(key), *size});
  }
  if (listing.truncated && listing.objects.empty()) return bad("an empty page with more behind it");
  return listing;
}

Result<std::string> parse_upload_id(std::string_view body) {
  TRY_ASSIGN(XmlElement root, parse_root(body, "InitiateMultipartUploadResult"));
  std::string id = root.text_of("UploadId");
  if (id.empty()) return bad("no UploadId");
  return id;
}

Result<std::optional<std::string>> parse_delete_result(std::string_view body) {
  TRY_ASSIGN(XmlElement root, parse_root(body, "DeleteResult"));
  const XmlElement* error = root.find("Error");
  if (error == nullptr) return std::optional<std::string>();
  return std::optional<std::string>(error->text_of("Key") + ": " + error->text_of("Code") + ": " +
                                    error->text_of("Message"));
}

std::string delete_body(const std::string& prefix, std::span<const std::string> keys) {
  std::string body = "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>";
  for (const std::string& key : keys) body += "<Object><Key>" + xml_escape(prefix + key) + "</Key></Object>";
  return body + "</Delete>";
}

std::string complete_body(std::span<const std::string> etags) {
  std::string body = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (size_t i = 0; i < etags.size(); i++)
    body += "<Part><PartNumber>" + std::to_string(i + 1) + "</PartNumber><ETag>" + xml_escape(etags[i]) +
            "</ETag></Part>";
  return body + "</CompleteMultipartUpload>";
}

std::string xml_escape(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

}  // namespace argon::objstore
