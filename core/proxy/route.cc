#include "core/proxy/route.h"

#include "core/wire/pg_options.h"

namespace argon::proxy {
namespace {

constexpr std::string_view kEndpointWord = "endpoint=";

// Takes the word endpoint=NAME out of "options".
std::optional<std::string> take_endpoint_word(std::string& options) {
  std::optional<std::string> found;
  std::string rest;
  for (const std::string& word : wire::split_options(options)) {
    if (word.starts_with(kEndpointWord)) {
      found = word.substr(kEndpointWord.size());
      continue;
    }
    if (!rest.empty()) rest += ' ';
    for (char c : word) {
      if (c == ' ' || c == '\\' || (c >= '\t' && c <= '\r')) rest += '\\';
      rest += c;
    }
  }
  if (found) options = rest;
  return found;
}

void drop(wire::StartupPacket& packet, std::string_view name) {
  std::erase_if(packet.parameters, [&](const auto& parameter) { return parameter.first == name; });
}

}  // namespace

Route route_of(wire::StartupPacket packet) {
  Route route{std::nullopt, std::move(packet)};
  if (std::string* options = route.packet.find("options")) {
    route.endpoint = take_endpoint_word(*options);
    if (route.endpoint && options->empty()) drop(route.packet, "options");
  }
  std::string* database = route.packet.find("database");
  size_t slash = database == nullptr ? std::string::npos : database->find('/');
  if (route.endpoint || slash == std::string::npos) return route;
  route.endpoint = database->substr(0, slash);
  *database = database->substr(slash + 1);
  // The server's own default: a database of the user's name.
  if (database->empty()) drop(route.packet, "database");
  return route;
}

std::optional<std::string> endpoint_in_host(std::string_view host) {
  size_t dot = host.find('.');
  if (dot == 0 || dot == std::string_view::npos || dot + 1 == host.size()) return std::nullopt;
  return std::string(host.substr(0, dot));
}

}  // namespace argon::proxy
