// What a PostgreSQL client says when it connects: parameters, and words inside "options".
//
// Source: PostgreSQL's protocol documentation (Message Formats, StartupMessage) and
// pg_split_opts() in utils/init/postinit.c.

#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.h"

namespace argon::wire {

using Parameters = std::map<std::string, std::string>;

// Splits at blanks; a backslash takes the next character as it is.
std::vector<std::string> split_options(std::string_view text);
// "-c a=b c=d", "-ca=b", "--a=b" and bare "a=b" words; later ones win. Invalid for any other word.
Result<Parameters> parse_options(std::string_view text);
// The inverse for sending: "-c a=b c=d", blanks and backslashes escaped.
std::string format_options(const Parameters& options);

struct Startup {
  Parameters parameters;  // user, database, replication, application_name, …
  Parameters options;     // parse_options(parameters["options"])

  std::string user() const;
  std::string database() const;
  // "replication" is set to true, on, yes, 1 or "database".
  bool replication() const;
  // Options tenant_id and timeline_id (also ztenantid, ztimelineid). Invalid where missing or malformed.
  Result<TenantTimelineId> timeline() const;
};

// 'host=127.0.0.1 port=64000' (libpq's keyword form, single quotes allowed around values) as parameters.
Result<Parameters> parse_conninfo(std::string_view text);

}  // namespace argon::wire
