// Messages inside COPY BOTH of START_REPLICATION: PostgreSQL's streaming replication, and the feedback
// message that a pageserver sends ('z', Neon's).
//
// All integers big endian; timestamps are microseconds since 2000-01-01. Sources: PostgreSQL's protocol
// documentation, "Streaming Replication Protocol"; for 'z' and its key/value list, Neon's wire format.

#pragma once

#include <optional>
#include <variant>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/result.h"

namespace argon::wire {

// 'w', from the server. The WAL follows the header to the end of the message.
struct XLogData {
  Lsn start;  // of the data
  Lsn end;    // of WAL on the server
  int64_t sent_at = 0;
  ByteView data;  // borrowed
};
inline constexpr size_t kXLogDataHeader = 25;

// 'k', from the server.
struct Keepalive {
  Lsn end;
  int64_t sent_at = 0;
  bool reply_requested = false;
};

// '0', from the server, instead of 'w' where the client asked for interpreted WAL: a batch
// (core/pg/interpret/batch.h), which follows the header to the end of the message.
struct InterpretedWal {
  Lsn end;           // of the batch
  Lsn commit;        // end of WAL on the server
  ByteView payload;  // borrowed
};

// 'r', from the client: positions it has written, flushed, applied.
struct StandbyStatus {
  Lsn write;
  Lsn flush;
  Lsn apply;
  int64_t sent_at = 0;
  bool reply_requested = false;
};

// 'h', from the client. Sent on the wire as xmin, epoch of it, catalog_xmin, epoch of it.
struct HotStandbyFeedback {
  int64_t sent_at = 0;
  uint32_t xmin = 0;
  uint32_t xmin_epoch = 0;
  uint32_t catalog_xmin = 0;
  uint32_t catalog_xmin_epoch = 0;
};

// What a pageserver has of a timeline. Key/value list: u8 count, then (cstring name, i32 length, value);
// unknown names are skipped.
struct PageserverFeedback {
  uint64_t timeline_size = 0;  // current_timeline_size, bytes
  Lsn last_received;           // ps_writelsn
  Lsn disk_consistent;         // ps_flushlsn
  Lsn remote_consistent;       // ps_applylsn
  int64_t replied_at = 0;      // ps_replytime
  uint32_t shard = 0;          // shard_number, only where > 0
  bool corruption_detected = false;

  friend bool operator==(const PageserverFeedback&, const PageserverFeedback&) = default;
};

using ReplicationServerMessage = std::variant<XLogData, Keepalive>;
using ReplicationClientMessage = std::variant<StandbyStatus, HotStandbyFeedback, PageserverFeedback>;

// The bodies of CopyData messages. encode_xlog_header() appends the header; the data follows it.
void encode_xlog_header(Bytes& out, Lsn start, Lsn end, int64_t sent_at);
void encode_keepalive(Bytes& out, const Keepalive& message);
// As encode_xlog_header(): the payload follows.
void encode_interpreted_header(Bytes& out, Lsn end, Lsn commit);
void encode_standby_status(Bytes& out, const StandbyStatus& message);
void encode_hot_standby_feedback(Bytes& out, const HotStandbyFeedback& message);
// 'z', u64 length of what follows, list.
void encode_pageserver_feedback(Bytes& out, const PageserverFeedback& message);

// Corrupt for what is malformed, Unsupported for an unknown tag.
Result<ReplicationServerMessage> parse_replication_server_message(ByteView body);
Result<ReplicationClientMessage> parse_replication_client_message(ByteView body);
// Nothing where it is another message: only who asked for this one knows it.
Result<std::optional<InterpretedWal>> parse_interpreted_wal(ByteView body);

// The list alone, as it also travels in acceptors' answers.
void encode_feedback_list(Bytes& out, const PageserverFeedback& message);
Result<PageserverFeedback> parse_feedback_list(ByteView list);

// WAL as changes of blocks instead of bytes, of one of several shards (core/pg/interpret/shard.h).
struct InterpretedStream {
  bool zstd = false;
  uint32_t shard_number = 0;
  uint32_t shard_count = 1;
  uint32_t stripe_blocks = 0;  // 0: as is usual
  friend bool operator==(const InterpretedStream&, const InterpretedStream&) = default;
};

// Of ASCII letters.
std::string upper_case(std::string_view text);
// The query begins with the command, which is in upper case.
bool is_command(std::string_view query, std::string_view command);

// START_REPLICATION [SLOT s] [PHYSICAL] X/Y [TIMELINE n] [(OPTION, ...)], where an option is term='N', or one
// of protocol='interpreted', compression='zstd', shard_number='N', shard_count='N', shard_stripe_blocks='N'.
// No term where the protocol is given, and none of those behind it where it is not.
struct StartReplication {
  std::string slot;
  Lsn start;
  std::optional<Term> term = {};
  std::optional<InterpretedStream> interpreted = {};
};
// Nothing where the query is another command; Invalid where it is this one, malformed (or LOGICAL).
Result<std::optional<StartReplication>> parse_start_replication(std::string_view query);
std::string to_string(const StartReplication& command);

// BASE_BACKUP [(OPTION ['value'], ...)], and the list without parentheses that clients of PostgreSQL 14 send:
// of the options, what changes the answer. Others, as of progress and label, are passed over.
struct BaseBackup {
  bool manifest = false;
  bool checksums = true;  // CRC-32C, in the manifest
  friend bool operator==(const BaseBackup&, const BaseBackup&) = default;
};
// Nothing where the query is another command; Unsupported where it asks for a target other than the client,
// for compression, or for other checksums.
Result<std::optional<BaseBackup>> parse_base_backup(std::string_view query);
std::string to_string(const BaseBackup& command);

}  // namespace argon::wire
