// Fields of JSON that somebody else wrote: what is missing, or of another type, is empty or 0.

#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace argon::http {

inline std::string text_at(const nlohmann::json& of, const char* field) {
  auto found = of.find(field);
  return found != of.end() && found->is_string() ? found->get<std::string>() : "";
}

inline uint64_t number_at(const nlohmann::json& of, const char* field) {
  auto found = of.find(field);
  return found != of.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

}  // namespace argon::http
