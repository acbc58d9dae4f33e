// WorkerLink: the sidecar's side of the Unix socket that pgext speaks.
//
// Frames in both directions: u32 length of what follows, u8 tag, body; big endian (table in README.md).
// One connection at a time: first the postmaster's handshake, then the worker that ships WAL, at the
// end the checkpointer with the shutdown checkpoint. The server may not start, and stops, without it.
//
// The worker asks now and then whether this endpoint may still be read from: 'L' with a time of the server's
// own clock comes back as 'l' once a quorum has confirmed that nobody had replaced the proposer when it came.

#pragma once

#include <memory>

#include "core/compute/proposer_driver.h"
#include "core/compute/quorum_contact.h"
#include "core/env/env.h"
#include "core/fiber/scope.h"
#include "core/wire/buffered.h"

namespace argon::compute {

class WorkerLink {
 public:
  // driver: null for an endpoint that does not write. Everything outlives the link.
  WorkerLink(Env& env, Logger log, ProposerDriver* driver)
      : env_(env), log_(std::move(log)), driver_(driver) {}

  // The server must be of this system: its data directory's. REQUIRES: before serve().
  void expect_system(uint64_t system_id) { system_id_ = system_id; }
  // From its success on the server can connect to `path`; it is answered once serve() runs.
  Status listen(Task& task, const std::string& path);
  // Until cancelled. REQUIRES: listen() succeeded.
  Status serve(Task& task);

  // The end of the WAL that the server has handed over.
  Lsn received() const { return received_; }
  // Any handshake succeeded.
  bool greeted() const { return greeted_; }

 private:
  Status serve_connection(Task& task, Stream& stream);
  Status greet(Task& task, Stream& stream, ByteView hello);
  Status read_frames(Task& task, wire::BufferedReader& in);
  Status send_positions(Task& task, Stream& stream);
  Status confirm_reads(Task& task, Stream& stream);
  Status send(Task& task, Stream& stream, uint8_t tag, ByteView body);

  Env& env_;
  Logger log_;
  ProposerDriver* driver_;
  std::unique_ptr<Listener> listener_;
  uint64_t system_id_ = 0;
  Lsn received_;
  bool greeted_ = false;
  struct ReadsAsked {
    uint64_t time = 0;  // of the server's clock: the newest that it asked with
    Duration patience;
  };
  std::optional<ReadsAsked> reads_asked_;
  WaitList reads_news_;
  Mutex sending_;  // frames go out whole
};

}  // namespace argon::compute
