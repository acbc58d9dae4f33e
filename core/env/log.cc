#include "core/env/log.h"

namespace argon {

std::string_view to_string(LogLevel level) {
  switch (level) {
    case LogLevel::Debug:
      return "debug";
    case LogLevel::Info:
      return "info";
    case LogLevel::Warn:
      return "warn";
    case LogLevel::Error:
      return "error";
  }
  return "unknown";
}

Logger Logger::with(std::string_view key, std::string_view value) const {
  std::string context = context_;
  if (!context.empty()) context += ' ';
  context += key;
  context += '=';
  context += value;
  return Logger(*sink_, std::move(context));
}

}  // namespace argon
