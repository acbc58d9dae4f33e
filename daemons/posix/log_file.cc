#include "daemons/posix/log_file.h"

#include <fcntl.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <mutex>

#include "daemons/posix/fd.h"

namespace argon::posix {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::Debug:
      return spdlog::level::debug;
    case LogLevel::Info:
      return spdlog::level::info;
    case LogLevel::Warn:
      return spdlog::level::warn;
    case LogLevel::Error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

// Whole lines by one write each, so that several processes may share the file.
class LogFile::Output final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit Output(std::string path) : path_(std::move(path)) { open(); }

  void reopen() {
    std::lock_guard lock(mutex_);
    open();
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    int to = file_.valid() ? file_.get() : STDERR_FILENO;
    // There is nowhere left to report a log that cannot be written.
    (void)!::write(to, line.data(), line.size());
  }
  void flush_() override {}

 private:
  void open() {
    if (path_.empty()) return;
    Fd file(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
    if (!file.valid()) return;
    file_ = std::move(file);
    // What libraries and a crash print belongs to the log, and moves with it.
    dup2(file_.get(), STDERR_FILENO);
  }

  std::string path_;
  Fd file_;
};

LogFile::LogFile(std::string node, std::string path, LogLevel level, std::function<WallTime()> clock)
    : node_(std::move(node)),
      level_(level),
      clock_(std::move(clock)),
      output_(std::make_shared<Output>(std::move(path))),
      logger_(std::make_unique<spdlog::logger>(node_, output_)) {
  logger_->set_level(spdlog::level::trace);
  logger_->set_formatter(std::make_unique<spdlog::pattern_formatter>("%Y-%m-%d %H:%M:%S.%fZ %-5l %n %v",
                                                                     spdlog::pattern_time_type::utc));
}

LogFile::~LogFile() = default;

void LogFile::write(LogLevel level, std::string_view context, std::string_view message) {
  std::string text;
  if (!context.empty()) text.append("[").append(context).append("] ");
  text.append(message);
  spdlog::log_clock::time_point time{
      std::chrono::duration_cast<spdlog::log_clock::duration>(std::chrono::nanoseconds(clock_().ns))};
  logger_->log(time, spdlog::source_loc{}, to_spdlog(level), spdlog::string_view_t(text.data(), text.size()));
}

void LogFile::reopen() {
  output_->reopen();
}

Result<LogLevel> parse_log_level(std::string_view text) {
  for (LogLevel level : {LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error})
    if (to_string(level) == text) return level;
  return Error(Code::Invalid,
               "'" + std::string(text) + "' is not a log level: expected debug, info, warn or error");
}

}  // namespace argon::posix
