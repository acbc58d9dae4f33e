// Logger: leveled lines with a fixed context ("tenant=… timeline=…"). The world adds time and node.
//
// An error is logged where it is consumed, not where it passes. Values are formatted by fmt only if
// the level is on. Logging never suspends and never changes what a simulated run does.

#pragma once

#include <fmt/core.h>

#include <memory>
#include <string>
#include <string_view>

namespace argon {

enum class LogLevel { Debug, Info, Warn, Error };

std::string_view to_string(LogLevel level);

class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual bool enabled(LogLevel level) const = 0;
  virtual void write(LogLevel level, std::string_view context, std::string_view message) = 0;
};

class Logger {
 public:
  // The sink outlives the logger.
  explicit Logger(LogSink& sink, std::string context = {}) : sink_(&sink), context_(std::move(context)) {}
  // The same sink; "key=value" added to the context.
  Logger with(std::string_view key, std::string_view value) const;

  template <typename... Args>
  void debug(fmt::format_string<Args...> text, Args&&... args) const {
    write(LogLevel::Debug, text, std::forward<Args>(args)...);
  }
  template <typename... Args>
  void info(fmt::format_string<Args...> text, Args&&... args) const {
    write(LogLevel::Info, text, std::forward<Args>(args)...);
  }
  template <typename... Args>
  void warn(fmt::format_string<Args...> text, Args&&... args) const {
    write(LogLevel::Warn, text, std::forward<Args>(args)...);
  }
  template <typename... Args>
  void error(fmt::format_string<Args...> text, Args&&... args) const {
    write(LogLevel::Error, text, std::forward<Args>(args)...);
  }

 private:
  template <typename... Args>
  void write(LogLevel level, fmt::format_string<Args...> text, Args&&... args) const {
    if (sink_->enabled(level)) sink_->write(level, context_, fmt::format(text, std::forward<Args>(args)...));
  }

  LogSink* sink_;
  std::string context_;
};

}  // namespace argon
