// LogFile: the log of one daemon, to a file or standard error, over spdlog.
//
// A line: UTC time, level, node, [context], message:
//   2026-11-20 21:05:07.123456Z info  pageserver-1 [tenant=… timeline=…] message

#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/base/result.h"
#include "core/base/time.h"
#include "core/env/log.h"

namespace spdlog {
class logger;
}

namespace argon::posix {

class LogFile final : public LogSink {
 public:
  // An empty path: standard error; otherwise standard error goes to that file too. The clock is asked once a
  // line.
  LogFile(std::string node, std::string path, LogLevel level, std::function<WallTime()> clock);
  ~LogFile() override;

  bool enabled(LogLevel level) const override { return level >= level_; }
  void write(LogLevel level, std::string_view context, std::string_view message) override;
  void set_level(LogLevel level) { level_ = level; }
  // Opens the path anew, for log rotation.
  void reopen();

 private:
  class Output;

  std::string node_;
  LogLevel level_;
  std::function<WallTime()> clock_;
  std::shared_ptr<Output> output_;
  std::unique_ptr<spdlog::logger> logger_;
};

Result<LogLevel> parse_log_level(std::string_view text);

}  // namespace argon::posix
