#include "core/wire/pg_options.h"

namespace argon::wire {

namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

const std::string* find(const Parameters& in, std::string_view name) {
  auto at = in.find(std::string(name));
  return at == in.end() ? nullptr : &at->second;
}

}  // namespace

std::vector<std::string> split_options(std::string_view text) {
  std::vector<std::string> words;
  size_t at = 0;
  while (true) {
    while (at < text.size() && is_blank(text[at])) at++;
    if (at == text.size()) return words;
    std::string word;
    for (; at < text.size() && !is_blank(text[at]); at++) {
      if (text[at] == '\\' && at + 1 < text.size()) at++;
      word += text[at];
    }
    words.push_back(std::move(word));
  }
}

Result<Parameters> parse_options(std::string_view text) {
  Parameters options;
  bool after_c = false;
  for (const std::string& word : split_options(text)) {
    if (word == "-c" && !after_c) {
      after_c = true;
      continue;
    }
    std::string_view rest = word;
    if (rest.starts_with("--") || rest.starts_with("-c")) rest.remove_prefix(2);
    after_c = false;
    size_t equals = rest.find('=');
    if (equals == std::string_view::npos || equals == 0 || rest[0] == '-')
      return Error(Code::Invalid, "option word \"" + word + "\": expected NAME=VALUE");
    options[std::string(rest.substr(0, equals))] = std::string(rest.substr(equals + 1));
  }
  if (after_c) return Error(Code::Invalid, "options end in -c without NAME=VALUE");
  return options;
}

std::string format_options(const Parameters& options) {
  std::string text;
  auto add = [&text](std::string_view part) {
    for (char c : part) {
      if (is_blank(c) || c == '\\') text += '\\';
      text += c;
    }
  };
  for (const auto& [name, value] : options) {
    text += text.empty() ? "-c " : " ";
    add(name);
    text += '=';
    add(value);
  }
  return text;
}

std::string Startup::user() const {
  const std::string* user = find(parameters, "user");
  return user != nullptr ? *user : "";
}

std::string Startup::database() const {
  const std::string* database = find(parameters, "database");
  return database != nullptr && !database->empty() ? *database : user();
}

bool Startup::replication() const {
  const std::string* value = find(parameters, "replication");
  return value != nullptr &&
         (*value == "true" || *value == "on" || *value == "yes" || *value == "1" || *value == "database");
}

Result<TenantTimelineId> Startup::timeline() const {
  const std::string* tenant = find(options, "tenant_id");
  if (tenant == nullptr) tenant = find(options, "ztenantid");
  const std::string* timeline = find(options, "timeline_id");
  if (timeline == nullptr) timeline = find(options, "ztimelineid");
  if (tenant == nullptr || timeline == nullptr)
    return Error(Code::Invalid,
                 "the connection names no timeline: connect with options='-c tenant_id=HEX timeline_id=HEX'");
  TRY_ASSIGN(TenantId tenant_id, parse_tenant_id(*tenant));
  TRY_ASSIGN(TimelineId timeline_id, parse_timeline_id(*timeline));
  return TenantTimelineId{tenant_id, timeline_id};
}

Result<Parameters> parse_conninfo(std::string_view text) {
  Parameters parameters;
  size_t at = 0;
  while (true) {
    while (at < text.size() && is_blank(text[at])) at++;
    if (at == text.size()) return parameters;
    size_t equals = text.find('=', at);
    if (equals == std::string_view::npos || equals == at)
      return Error(Code::Invalid, "connection string \"" + std::string(text) + "\": expected NAME=VALUE");
    std::string name(text.substr(at, equals - at));
    at = equals + 1;
    bool quoted = at < text.size() && text[at] == '\'';
    if (quoted) at++;
    std::string value;
    for (; at < text.size() && (quoted ? text[at] != '\'' : !is_blank(text[at])); at++) {
      if (text[at] == '\\' && at + 1 < text.size()) at++;
      value += text[at];
    }
    if (quoted) {
      if (at == text.size())
        return Error(Code::Invalid, "connection string \"" + std::string(text) + "\": a quote is not closed");
      at++;
    }
    parameters[name] = value;
  }
}

}  // namespace argon::wire
