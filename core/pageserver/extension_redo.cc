#include "core/pageserver/extension_redo.h"

#include <algorithm>

namespace argon::pageserver {

ExtensionRedo::ExtensionRedo(Env& env, const RedoProcessConfig& process, Metrics& metrics)
    : env_(env),
      config_(process),
      starts_(metrics.counter("pageserver_redo_process_starts_total",
                              "Stock servers started to redo records of extensions")),
      records_(metrics.counter("pageserver_redo_process_records_total",
                               "Records of extensions redone by a stock server")) {}

void ExtensionRedo::configure(const Result<std::vector<std::string>>& libraries) {
  known_ = libraries.ok() ? Status() : Status(libraries.error());
  config_.libraries = libraries.ok() ? *libraries : std::vector<std::string>();
  changed_ = true;
}

Status ExtensionRedo::start(Task& task, bool hint_bits_logged) {
  process_.reset();
  config_.hint_bits_logged = hint_bits_logged;
  changed_ = false;
  starts_.add();
  TRY_ASSIGN(process_, RedoProcess::start(task, env_, config_));
  return {};
}

Status ExtensionRedo::apply(Task& task, const pg::BlockTag& block, std::span<const StoredRecord> records,
                            const pg::redo::RedoSettings& settings, ByteSpan page) {
  Lock lock;
  TRY(lock.acquire(task, using_));
  TRY(known_);
  if (config_.libraries.empty())
    return Error(Code::Unsupported,
                 "the tenant's configuration names no library that redoes it: `argon tenant config "
                 "--redo-extensions`");
  if (!process_ || changed_ || config_.hint_bits_logged != settings.hint_bits_logged())
    TRY(start(task, settings.hint_bits_logged()));
  RedoRequests requests;
  requests.begin(block);
  requests.base(page);
  for (const StoredRecord& record : records) requests.apply(record.start, record.end, record.bytes);
  requests.page();
  Deadline deadline(task, config_.request_timeout);
  auto redone = process_->run(task, requests);
  if (redone.is(Code::TimedOut)) redone = Error(Code::TimedOut, "the redo process did not answer in time");
  if (!redone.ok()) {
    process_.reset();
    return redone.error();
  }
  records_.add(records.size());
  std::ranges::copy(*redone, page.begin());
  return {};
}

}  // namespace argon::pageserver
