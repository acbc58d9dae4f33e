#include "core/safekeeper/management_json.h"

namespace argon::safekeeper {

using nlohmann::json;

namespace {

Error missing(const std::string& field, std::string_view kind) {
  return Error(Code::Invalid, "field '" + field + "' must be " + std::string(kind));
}

Result<std::vector<consensus::Member>> members_of(const json& configuration, const std::string& field) {
  std::vector<consensus::Member> members;
  auto found = configuration.find(field);
  if (found == configuration.end() || found->is_null()) return members;
  if (!found->is_array()) return missing(field, "a list of safekeepers");
  for (const json& entry : *found) {
    if (!entry.is_object()) return missing(field, "a list of safekeepers");
    consensus::Member member;
    TRY_ASSIGN(uint64_t id, number_field(entry, "id", 0));
    TRY_ASSIGN(member.host, text_field(entry, "host"));
    TRY_ASSIGN(uint64_t port, number_field(entry, "pg_port", 0));
    if (port > UINT16_MAX) return missing("pg_port", "a port");
    member.id = NodeId(id);
    member.port = static_cast<uint16_t>(port);
    members.push_back(std::move(member));
  }
  return members;
}

json to_json(const std::vector<consensus::Member>& members) {
  json list = json::array();
  for (const consensus::Member& m : members)
    list.push_back({{"id", m.id.value}, {"host", m.host}, {"pg_port", m.port}});
  return list;
}

}  // namespace

Result<std::string> text_field(const json& body, const std::string& field) {
  auto found = body.find(field);
  if (found == body.end() || !found->is_string()) return missing(field, "a text");
  return found->get<std::string>();
}

Result<uint64_t> number_field(const json& body, const std::string& field, uint64_t otherwise) {
  auto found = body.find(field);
  if (found == body.end() || found->is_null()) return otherwise;
  if (found->is_string()) return parse_u64(found->get<std::string>()).with("field '" + field + "'");
  if (!found->is_number_unsigned()) return missing(field, "a number");
  return found->get<uint64_t>();
}

Result<Lsn> lsn_field(const json& body, const std::string& field) {
  TRY_ASSIGN(std::string text, text_field(body, field));
  return parse_lsn(text).with("field '" + field + "'");
}

json to_json(const consensus::Configuration& configuration) {
  return {{"generation", configuration.generation.value},
          {"members", to_json(configuration.members)},
          {"new_members", configuration.joint() ? to_json(configuration.new_members) : json()}};
}

Result<consensus::Configuration> configuration_of(const json& body) {
  auto found = body.find("mconf");
  if (found == body.end() || !found->is_object()) return missing("mconf", "a configuration");
  consensus::Configuration configuration;
  TRY_ASSIGN(uint64_t generation, number_field(*found, "generation", 0));
  if (generation > UINT32_MAX) return missing("generation", "a number of 32 bits");
  configuration.generation = consensus::ConfigurationGeneration(static_cast<uint32_t>(generation));
  TRY_ASSIGN(configuration.members, members_of(*found, "members"));
  TRY_ASSIGN(configuration.new_members, members_of(*found, "new_members"));
  TRY(configuration.validate());
  return configuration;
}

std::string members_text(const consensus::Configuration& configuration) {
  return json{{"mconf", to_json(configuration)}}.dump();
}

Result<consensus::Configuration> parse_members(std::string_view text) {
  json parsed = json::parse(text, nullptr, false);
  if (!parsed.is_object()) return Error(Code::Invalid, "not a JSON object");
  return configuration_of(parsed);
}

json to_json(const consensus::MemberReport& report) {
  return {{"sk_id", report.id.value},
          {"generation", report.generation.value},
          {"term", report.term.value},
          {"last_log_term", report.position.last_log_term.value},
          {"flush_lsn", to_string(report.position.flush)}};
}

Result<consensus::MemberReport> report_of(const json& body) {
  if (!body.is_object()) return missing("sk_id", "a number");
  consensus::MemberReport report;
  TRY_ASSIGN(uint64_t id, number_field(body, "sk_id", 0));
  TRY_ASSIGN(uint64_t generation, number_field(body, "generation", 0));
  TRY_ASSIGN(uint64_t term, number_field(body, "term", 0));
  TRY_ASSIGN(uint64_t last_log_term, number_field(body, "last_log_term", 0));
  if (generation > UINT32_MAX) return missing("generation", "a number of 32 bits");
  report.id = NodeId(id);
  report.generation = consensus::ConfigurationGeneration(static_cast<uint32_t>(generation));
  report.term = Term(term);
  report.position.last_log_term = Term(last_log_term);
  TRY_ASSIGN(report.position.flush, lsn_field(body, "flush_lsn"));
  return report;
}

// The hash as text: JavaScript's numbers cannot hold it.
json to_json(const ChainLink& link) {
  return {{"lsn", to_string(link.at)}, {"hash", std::to_string(link.hash)}};
}

Result<ChainLink> link_of(const json& body) {
  ChainLink link;
  TRY_ASSIGN(link.at, lsn_field(body, "lsn"));
  TRY_ASSIGN(std::string hash, text_field(body, "hash"));
  TRY_ASSIGN(link.hash, parse_u64(hash).with("field 'hash'"));
  return link;
}

}  // namespace argon::safekeeper
