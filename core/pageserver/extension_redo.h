// ExtensionRedo: records of extensions' resource managers, which native redo cannot know, redone by a stock
// server that has the extension loaded (core/redo_process).
//
// One for each tenant, and at most one process: started when it is first needed, and anew after it ended on a
// record, took too long, or the configuration changed. Without libraries configured nothing is redone.

#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/metrics.h"
#include "core/fiber/sync.h"
#include "core/pageserver/reconstruct.h"
#include "core/redo_process/redo_process.h"

namespace argon::pageserver {

class ExtensionRedo {
 public:
  // `process`: without libraries. All outlive this.
  ExtensionRedo(Env& env, const RedoProcessConfig& process, Metrics& metrics);

  // As shared_preload_libraries has them; or why they are not known, which is then apply()'s error. The
  // process in use ends before the next record.
  void configure(const Result<std::vector<std::string>>& libraries);

  // Suspends. Applies the records to `page` one after the other. Errors: Unsupported (no library is
  // configured, or this world has no processes), Corrupt with the server's words, TimedOut (they took longer
  // than the configuration allows), Unavailable (no process could be started).
  Status apply(Task& task, const pg::BlockTag& block, std::span<const StoredRecord> records,
               const pg::redo::RedoSettings& settings, ByteSpan page);

 private:
  Status start(Task& task, bool hint_bits_logged);

  Env& env_;
  RedoProcessConfig config_;
  Status known_;  // whether the libraries are
  Mutex using_;
  bool changed_ = false;  // since the process was started
  std::unique_ptr<RedoProcess> process_;
  Counter& starts_;
  Counter& records_;
};

}  // namespace argon::pageserver
