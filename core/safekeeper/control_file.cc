#include "core/safekeeper/control_file.h"

#include <algorithm>
#include <functional>

#include "core/base/checksum.h"
#include "core/base/codec.h"
#include "core/env/io.h"
#include "core/pg/wal_page.h"

namespace argon::safekeeper {
namespace {

using consensus::Configuration;
using consensus::ConfigurationGeneration;
using consensus::Member;
using consensus::TermHistory;
using consensus::TermStart;

constexpr uint32_t kMagic = 0x434B5341;  // "ASKC"
constexpr size_t kFrame = 16;            // magic, version, length, checksum
constexpr size_t kFileMax = 16u << 20;

void put_text(Writer& w, std::string_view text) {
  w.le(static_cast<uint32_t>(text.size())).bytes(as_bytes(text));
}

std::string get_text(Reader& r) {
  return std::string(as_text(r.bytes(r.le<uint32_t>())));
}

void put_members(Writer& w, const std::vector<Member>& members) {
  w.le(static_cast<uint32_t>(members.size()));
  for (const Member& member : members) {
    w.le(member.id.value).le(member.port);
    put_text(w, member.host);
  }
}

std::vector<Member> get_members(Reader& r) {
  std::vector<Member> members;
  uint32_t n = r.le<uint32_t>();
  for (uint32_t i = 0; i < n && !r.failed(); ++i) {
    Member member;
    member.id = NodeId(r.le<uint64_t>());
    member.port = r.le<uint16_t>();
    member.host = get_text(r);
    members.push_back(std::move(member));
  }
  return members;
}

void put_partial(Writer& w, const PartialUpload& partial) {
  put_text(w, partial.key);
  w.le(partial.flush.value).le(partial.term.value);
}

PartialUpload get_partial(Reader& r) {
  PartialUpload partial;
  partial.key = get_text(r);
  partial.flush = Lsn(r.le<uint64_t>());
  partial.term = Term(r.le<uint64_t>());
  return partial;
}

void put_acceptor(Writer& w, const consensus::AcceptorState& s) {
  w.le(s.term.value).le(static_cast<uint32_t>(s.history.entries().size()));
  for (const TermStart& entry : s.history.entries()) w.le(entry.term.value).le(entry.start.value);
  w.le(s.configuration.generation.value);
  put_members(w, s.configuration.members);
  put_members(w, s.configuration.new_members);
  w.le(s.server.pg_version).le(s.server.system_id).le(s.server.wal_segment_size);
  w.le(s.timeline_start.value).le(s.local_start.value).le(s.commit.value);
}

consensus::AcceptorState get_acceptor(Reader& r) {
  consensus::AcceptorState s;
  s.term = Term(r.le<uint64_t>());
  uint32_t n = r.le<uint32_t>();
  std::vector<TermStart> entries;
  for (uint32_t i = 0; i < n && !r.failed(); ++i) {
    Term term(r.le<uint64_t>());
    Lsn start(r.le<uint64_t>());
    entries.push_back({term, start});
  }
  s.history = TermHistory(std::move(entries));
  s.configuration.generation = ConfigurationGeneration(r.le<uint32_t>());
  s.configuration.members = get_members(r);
  s.configuration.new_members = get_members(r);
  s.server.pg_version = r.le<uint32_t>();
  s.server.system_id = r.le<uint64_t>();
  s.server.wal_segment_size = r.le<uint32_t>();
  s.timeline_start = Lsn(r.le<uint64_t>());
  s.local_start = Lsn(r.le<uint64_t>());
  s.commit = Lsn(r.le<uint64_t>());
  return s;
}

void put_chain(Writer& w, const WalChain& chain) {
  w.le(static_cast<uint32_t>(chain.size()));
  for (const ChainLink& link : chain) w.le(link.at.value).le(link.hash);
}

WalChain get_chain(Reader& r) {
  WalChain chain;
  uint32_t n = r.le<uint32_t>();
  for (uint32_t i = 0; i < n && !r.failed(); ++i) {
    Lsn at(r.le<uint64_t>());
    chain.push_back({at, r.le<uint64_t>()});
  }
  return chain;
}

void put_evicted(Writer& w, const std::optional<EvictedTail>& evicted) {
  w.le(static_cast<uint8_t>(evicted ? 1 : 0));
  if (!evicted) return;
  put_text(w, evicted->key);
  w.le(evicted->size).le(evicted->crc);
}

std::optional<EvictedTail> get_evicted(Reader& r) {
  if (r.le<uint8_t>() == 0) return {};
  EvictedTail tail;
  tail.key = get_text(r);
  tail.size = r.le<uint64_t>();
  tail.crc = r.le<uint32_t>();
  return tail;
}

Status validate_evicted(const TimelineControl& control) {
  if (!control.evicted) return {};
  Lsn end = control.closed_at;
  if (!end.valid() || end != control.acceptor.commit || control.evicted->key.empty() ||
      control.evicted->size != end - last_segment_start(end))
    return Error(Code::Corrupt, "evicted, but not with all that is committed");
  return {};
}

Status validate(const TimelineControl& control) {
  const consensus::AcceptorState& s = control.acceptor;
  TRY(s.configuration.validate());
  TRY(s.history.validate());
  if (s.history.last_term() > s.term)
    return Error(Code::Corrupt, "the history is of a later term than the node");
  if (s.local_start.valid() && s.history.empty()) return Error(Code::Corrupt, "WAL without a term history");
  if (s.commit.valid() && s.commit < s.local_start)
    return Error(Code::Corrupt, "committed below its first LSN");
  if (control.closed_at.valid() &&
      (!s.local_start.valid() || control.closed_at < s.local_start || control.closed_at < s.commit))
    return Error(Code::Corrupt, "closed below what is committed");
  if (std::ranges::adjacent_find(control.chain, std::greater_equal(), &ChainLink::at) != control.chain.end())
    return Error(Code::Corrupt, "the hash chain is out of order");
  return validate_evicted(control);
}

}  // namespace

Lsn last_segment_start(Lsn end) {
  return pg::segment_start(end - 1);
}

Bytes encode_control(const TimelineControl& control) {
  Bytes body;
  Writer w(body);
  w.bytes(control.id.tenant.bytes).bytes(control.id.timeline.bytes);
  put_acceptor(w, control.acceptor);
  w.le(control.backup.value).le(control.remote_consistent.value);
  put_partial(w, control.partial);
  put_partial(w, control.partial_previous);
  w.le(control.closed_at.value);
  put_chain(w, control.chain);
  put_evicted(w, control.evicted);
  Bytes file;
  Writer f(file);
  f.le(kMagic).le(kControlVersion).le(static_cast<uint32_t>(body.size())).bytes(body);
  f.le(crc32c(file));
  return file;
}

Result<TimelineControl> decode_control(ByteView file) {
  if (file.size() < kFrame || load_le<uint32_t>(file.data()) != kMagic)
    return Error(Code::Corrupt, "not a safekeeper's control file");
  uint32_t version = load_le<uint32_t>(file.data() + 4);
  ByteView sealed = file.first(file.size() - 4);
  if (load_le<uint32_t>(sealed.data() + sealed.size()) != crc32c(sealed))
    return Error(Code::Corrupt, "wrong checksum");
  if (version == 0 || version > kControlVersion)
    return Error(Code::Unsupported, "version " + std::to_string(version) + ", this build reads up to " +
                                        std::to_string(kControlVersion));
  if (load_le<uint32_t>(file.data() + 8) != file.size() - kFrame) return Error(Code::Corrupt, "wrong length");
  Reader r(sealed.subspan(12));
  TimelineControl control;
  ByteView tenant = r.bytes(16);
  ByteView timeline = r.bytes(16);
  if (!r.failed()) {
    std::copy(tenant.begin(), tenant.end(), control.id.tenant.bytes.begin());
    std::copy(timeline.begin(), timeline.end(), control.id.timeline.bytes.begin());
  }
  control.acceptor = get_acceptor(r);
  control.backup = Lsn(r.le<uint64_t>());
  control.remote_consistent = Lsn(r.le<uint64_t>());
  control.partial = get_partial(r);
  control.partial_previous = get_partial(r);
  if (version >= 2) {
    control.closed_at = Lsn(r.le<uint64_t>());
    control.chain = get_chain(r);
  }
  if (version >= 3) control.evicted = get_evicted(r);
  if (!r.finished()) return Error(Code::Corrupt, "the body has another length than its fields");
  TRY(validate(control));
  return control;
}

Result<TimelineControl> read_control(Task& task, Disk& disk, const std::string& directory) {
  std::string path = join_path(directory, kControlFileName);
  TRY_ASSIGN(Bytes file, read_file(task, disk, path, kFileMax));
  return decode_control(file).with("read " + path);
}

Status write_control(Task& task, Disk& disk, const std::string& directory, const TimelineControl& control) {
  return write_file_durably(task, disk, join_path(directory, kControlFileName), encode_control(control));
}

}  // namespace argon::safekeeper
