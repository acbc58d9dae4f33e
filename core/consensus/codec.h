// The bytes of messages.h inside frames (core/wire/frame.h): a frame's type says which message it is.
//
// All but AppendRequest are protobuf (core/wire/safekeeper.proto). AppendRequest is a fixed header,
// big endian, and the WAL behind it:
//   u32 generation, u64 term, u64 begin, u64 end, u64 commit, u64 truncate, u64 check from, u32 check crc
// Parsing trusts nothing: lengths, counts and orders are checked, and what is wrong is Code::Corrupt.

#pragma once

#include "core/consensus/messages.h"
#include "core/wire/frame.h"

namespace argon::consensus {

enum class FrameType : uint8_t {
  ProposerGreeting = 'g',
  VoteRequest = 'v',
  ProposerElected = 'e',
  AppendRequest = 'a',
  AcceptorGreeting = 'G',
  VoteResponse = 'V',
  AppendResponse = 'A',
  Refusal = 'X',
};

inline constexpr size_t kAppendHeader = 56;

// Appends one whole frame. REQUIRES: at most kAppendBytesMax bytes of WAL.
void encode_message(Bytes& out, const ProposerMessage& message);
void encode_message(Bytes& out, const AcceptorMessage& message);

// An AppendRequest borrows its WAL from the frame.
Result<ProposerMessage> parse_proposer_message(const wire::Frame& frame);
Result<AcceptorMessage> parse_acceptor_message(const wire::Frame& frame);

}  // namespace argon::consensus
