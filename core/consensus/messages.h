// What proposers and acceptors say to each other. Plain data; bytes are codec.h's business.
//
// Every message carries the generation of the configuration its sender acts under; an acceptor
// obeys only its own. LSNs are byte positions; flush positions are ends of whole records.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/consensus/configuration.h"
#include "core/consensus/term_history.h"
#include "core/consensus/wal_check.h"

namespace argon::consensus {

// What must be the same for every server that ever writes to a timeline.
struct ServerInfo {
  uint32_t pg_version = 0;  // PG_VERSION_NUM; majors must agree
  uint64_t system_id = 0;   // 0: not known yet
  uint32_t wal_segment_size = 0;

  friend bool operator==(const ServerInfo&, const ServerInfo&) = default;
};

// Most WAL bytes in one AppendRequest.
inline constexpr size_t kAppendBytesMax = 131'072;

// ---- proposer to acceptor

struct ProposerGreeting {
  TenantTimelineId id;
  Configuration configuration;
  ServerInfo server;
  // Where the timeline is not there yet: make it. Without it an unknown timeline is an error.
  bool allow_creation = false;

  friend bool operator==(const ProposerGreeting&, const ProposerGreeting&) = default;
};

struct VoteRequest {
  ConfigurationGeneration generation;
  Term term;

  friend bool operator==(const VoteRequest&, const VoteRequest&) = default;
};

struct ProposerElected {
  ConfigurationGeneration generation;
  Term term;
  Lsn start_streaming_at;  // where this acceptor's log and the proposer's part
  TermHistory history;     // ends with (term, where the term starts)
  WalCheck check;          // at start_streaming_at, where the proposer knows it

  friend bool operator==(const ProposerElected&, const ProposerElected&) = default;
};

struct AppendRequest {
  ConfigurationGeneration generation;
  Term term;
  Lsn begin;
  Lsn commit;      // the proposer's
  Lsn truncate;    // every member has flushed up to here
  WalCheck check;  // at begin, where known
  ByteView wal;    // borrowed; empty for a heartbeat

  Lsn end() const { return begin + wal.size(); }
};

using ProposerMessage = std::variant<ProposerGreeting, VoteRequest, ProposerElected, AppendRequest>;

// ---- acceptor to proposer

struct AcceptorGreeting {
  NodeId node;
  Configuration configuration;
  Term term;
  Lsn timeline_start;  // 0 where not known yet

  friend bool operator==(const AcceptorGreeting&, const AcceptorGreeting&) = default;
};

struct VoteResponse {
  ConfigurationGeneration generation;
  Term term;
  bool given = false;
  Lsn local_start;  // the first LSN it has; 0: no WAL at all
  Lsn flush;        // 0: no WAL at all
  Lsn commit;
  Lsn truncate;
  TermHistory history;  // up to flush
  WalCheck check;       // at flush

  friend bool operator==(const VoteResponse&, const VoteResponse&) = default;
};

// What pageservers have, as a safekeeper heard it.
struct PageserverFeedback {
  uint64_t current_timeline_size = 0;
  Lsn last_received;
  Lsn disk_consistent;
  Lsn remote_consistent;
  int64_t reply_time = 0;  // microseconds since 2000-01-01

  friend bool operator==(const PageserverFeedback&, const PageserverFeedback&) = default;
};

// What hot standbys need kept, the minimum over a safekeeper's readers.
struct HotStandbyFeedback {
  int64_t reply_time = 0;  // microseconds since 2000-01-01
  uint64_t xmin = 0;
  uint64_t catalog_xmin = 0;

  friend bool operator==(const HotStandbyFeedback&, const HotStandbyFeedback&) = default;
};

// Also the answer to ProposerElected: sent once the history is persisted.
struct AppendResponse {
  ConfigurationGeneration generation;
  Term term;
  Lsn flush;  // 0 where the request's term was too low
  Lsn commit;
  HotStandbyFeedback standby;
  std::optional<PageserverFeedback> pageserver;

  friend bool operator==(const AppendResponse&, const AppendResponse&) = default;
};

// The last message on a connection: why the acceptor will not go on with it.
struct Refusal {
  Code code = Code::Invalid;
  std::string text;

  friend bool operator==(const Refusal&, const Refusal&) = default;
};

using AcceptorMessage = std::variant<AcceptorGreeting, VoteResponse, AppendResponse, Refusal>;

}  // namespace argon::consensus
