// Configurations, reports of members and hashes of WAL as JSON: of the management API, and of what
// migration.h keeps.

#pragma once

#include <nlohmann/json.hpp>

#include "core/consensus/membership.h"
#include "core/safekeeper/wal_chain.h"

namespace argon::safekeeper {

// A field of `body`: Invalid names it. Numbers of 64 bits may come as texts, since JavaScript's cannot hold
// them.
Result<std::string> text_field(const nlohmann::json& body, const std::string& field);
Result<uint64_t> number_field(const nlohmann::json& body, const std::string& field, uint64_t otherwise);
Result<Lsn> lsn_field(const nlohmann::json& body, const std::string& field);

nlohmann::json to_json(const consensus::Configuration& configuration);
// Of the field "mconf". Invalid where it is none, or not valid.
Result<consensus::Configuration> configuration_of(const nlohmann::json& body);

// An object that decides members (migration.h): its text, and the inverse.
std::string members_text(const consensus::Configuration& configuration);
Result<consensus::Configuration> parse_members(std::string_view text);

nlohmann::json to_json(const consensus::MemberReport& report);
Result<consensus::MemberReport> report_of(const nlohmann::json& body);

nlohmann::json to_json(const ChainLink& link);
Result<ChainLink> link_of(const nlohmann::json& body);

}  // namespace argon::safekeeper
