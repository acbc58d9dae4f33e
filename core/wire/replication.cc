#include "core/wire/replication.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <vector>

#include "core/base/codec.h"

namespace argon::wire {

namespace {

Error malformed(std::string_view what) {
  return Error(Code::Corrupt, "malformed replication message: " + std::string(what));
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (char c : text) {
    bool separator = c == ' ' || c == '\t' || c == '\n' || c == '(' || c == ')' || c == ',';
    if (!separator) word += c;
    if (separator && !word.empty()) words.push_back(std::exchange(word, {}));
  }
  if (!word.empty()) words.push_back(word);
  return words;
}

std::string unquote(std::string_view text) {
  if (text.size() >= 2 && (text.front() == '\'' || text.front() == '"') && text.back() == text.front())
    text = text.substr(1, text.size() - 2);
  return std::string(text);
}

Result<uint32_t> option_number(const std::string& name, const std::string& value) {
  TRY_ASSIGN(uint64_t number, parse_u64(value));
  if (number > UINT32_MAX) return Error(Code::Invalid, name + " is too large: " + value);
  return static_cast<uint32_t>(number);
}

// One of what may follow protocol='interpreted'. False: it is none of them.
Result<bool> take_interpreted_option(const std::string& name, const std::string& value,
                                     InterpretedStream& stream) {
  if (name == "COMPRESSION") {
    if (value != "zstd")
      return Error(Code::Unsupported, "START_REPLICATION: compression is zstd, or none; not " + value);
    stream.zstd = true;
    return true;
  }
  uint32_t* number = name == "SHARD_NUMBER"          ? &stream.shard_number
                     : name == "SHARD_COUNT"         ? &stream.shard_count
                     : name == "SHARD_STRIPE_BLOCKS" ? &stream.stripe_blocks
                                                     : nullptr;
  if (number == nullptr) return false;
  TRY_ASSIGN(*number, option_number(name, value));
  return true;
}

// NAME='VALUE'. False: it is none that is known here.
Result<bool> take_option(const std::string& word, StartReplication& command) {
  size_t equals = word.find('=');
  if (equals == std::string::npos) return false;
  std::string name = upper_case(word.substr(0, equals));
  std::string value = unquote(word.substr(equals + 1));
  if (name == "TERM") {
    TRY_ASSIGN(uint64_t term, parse_u64(value));
    command.term = Term(term);
    return true;
  }
  if (name == "PROTOCOL") {
    if (value != "interpreted")
      return Error(Code::Unsupported,
                   "START_REPLICATION: the protocol is interpreted, or none; not " + value);
    if (!command.interpreted) command.interpreted.emplace();
    return true;
  }
  return command.interpreted ? take_interpreted_option(name, value, *command.interpreted)
                             : Result<bool>(false);
}

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// Words in upper case with the quoted value behind each, if there is one.
std::map<std::string, std::string> options_of(std::string_view text) {
  std::map<std::string, std::string> options;
  std::string word;
  for (size_t at = 0; at < text.size();) {
    char c = text[at];
    if (c == '\'') {
      std::string value;
      for (at++; at < text.size(); at++) {
        if (text[at] == '\'' && (at + 1 >= text.size() || text[at + 1] != '\'')) break;
        if (text[at] == '\'') at++;
        value += text[at];
      }
      at++;
      options[word] = value;
    } else if (is_word(c)) {
      size_t from = at;
      while (at < text.size() && is_word(text[at])) at++;
      word = upper_case(text.substr(from, at - from));
      options.try_emplace(word);
    } else {
      at++;
    }
  }
  return options;
}

}  // namespace

void encode_xlog_header(Bytes& out, Lsn start, Lsn end, int64_t sent_at) {
  Writer(out).u8('w').be(start.value).be(end.value).be(sent_at);
}

void encode_keepalive(Bytes& out, const Keepalive& message) {
  Writer(out).u8('k').be(message.end.value).be(message.sent_at).u8(message.reply_requested ? 1 : 0);
}

void encode_interpreted_header(Bytes& out, Lsn end, Lsn commit) {
  Writer(out).u8('0').be(end.value).be(commit.value);
}

Result<std::optional<InterpretedWal>> parse_interpreted_wal(ByteView body) {
  Reader r(body);
  if (r.u8() != '0') return std::optional<InterpretedWal>();
  InterpretedWal m;
  m.end = Lsn(r.be<uint64_t>());
  m.commit = Lsn(r.be<uint64_t>());
  m.payload = r.rest();
  if (r.failed()) return malformed("interpreted WAL is too short");
  return std::optional(m);
}

void encode_standby_status(Bytes& out, const StandbyStatus& m) {
  Writer w(out);
  w.u8('r').be(m.write.value).be(m.flush.value).be(m.apply.value).be(m.sent_at).u8(m.reply_requested ? 1 : 0);
}

void encode_hot_standby_feedback(Bytes& out, const HotStandbyFeedback& m) {
  Writer w(out);
  w.u8('h').be(m.sent_at).be(m.xmin).be(m.xmin_epoch).be(m.catalog_xmin).be(m.catalog_xmin_epoch);
}

void encode_feedback_list(Bytes& out, const PageserverFeedback& m) {
  Writer w(out);
  w.u8(static_cast<uint8_t>(5 + (m.shard > 0 ? 1 : 0) + (m.corruption_detected ? 1 : 0)));
  auto u64 = [&w](std::string_view name, uint64_t value) { w.cstring(name).be<int32_t>(8).be(value); };
  u64("current_timeline_size", m.timeline_size);
  u64("ps_writelsn", m.last_received.value);
  u64("ps_flushlsn", m.disk_consistent.value);
  u64("ps_applylsn", m.remote_consistent.value);
  u64("ps_replytime", static_cast<uint64_t>(m.replied_at));
  if (m.shard > 0) w.cstring("shard_number").be<int32_t>(4).be(m.shard);
  if (m.corruption_detected) w.cstring("corruption_detected").be<int32_t>(1).u8(1);
}

Result<PageserverFeedback> parse_feedback_list(ByteView list) {
  PageserverFeedback m;
  Reader r(list);
  for (uint8_t n = r.u8(); n > 0 && !r.failed(); n--) {
    std::string_view name = r.cstring();
    auto length = r.be<int32_t>();
    if (length < 0) return malformed("feedback value of negative length");
    Reader value(r.bytes(static_cast<size_t>(length)));
    if (r.failed()) break;
    if (name == "current_timeline_size")
      m.timeline_size = value.be<uint64_t>();
    else if (name == "ps_writelsn" || name == "last_received_lsn")
      m.last_received = Lsn(value.be<uint64_t>());
    else if (name == "ps_flushlsn" || name == "disk_consistent_lsn")
      m.disk_consistent = Lsn(value.be<uint64_t>());
    else if (name == "ps_applylsn" || name == "remote_consistent_lsn")
      m.remote_consistent = Lsn(value.be<uint64_t>());
    else if (name == "ps_replytime" || name == "replytime")
      m.replied_at = value.be<int64_t>();
    else if (name == "shard_number")
      m.shard = value.be<uint32_t>();
    else if (name == "corruption_detected")
      m.corruption_detected = value.u8() != 0;
    else
      value.skip(value.remaining());
    if (!value.finished()) return malformed("feedback value " + std::string(name) + " has a wrong length");
  }
  if (!r.finished()) return malformed("feedback list");
  return m;
}

void encode_pageserver_feedback(Bytes& out, const PageserverFeedback& message) {
  Bytes list;
  encode_feedback_list(list, message);
  Writer(out).u8('z').be(static_cast<uint64_t>(list.size())).bytes(list);
}

Result<ReplicationServerMessage> parse_replication_server_message(ByteView body) {
  Reader r(body);
  uint8_t tag = r.u8();
  if (tag == 'w') {
    XLogData m;
    m.start = Lsn(r.be<uint64_t>());
    m.end = Lsn(r.be<uint64_t>());
    m.sent_at = r.be<int64_t>();
    m.data = r.rest();
    if (r.failed()) return malformed("XLogData is too short");
    return ReplicationServerMessage(m);
  }
  if (tag == 'k') {
    Keepalive m;
    m.end = Lsn(r.be<uint64_t>());
    m.sent_at = r.be<int64_t>();
    m.reply_requested = r.u8() != 0;
    if (!r.finished()) return malformed("keepalive has a wrong length");
    return ReplicationServerMessage(m);
  }
  return Error(Code::Unsupported, "unknown replication message, tag " + std::to_string(tag));
}

Result<ReplicationClientMessage> parse_replication_client_message(ByteView body) {
  Reader r(body);
  uint8_t tag = r.u8();
  if (tag == 'r') {
    StandbyStatus m;
    m.write = Lsn(r.be<uint64_t>());
    m.flush = Lsn(r.be<uint64_t>());
    m.apply = Lsn(r.be<uint64_t>());
    m.sent_at = r.be<int64_t>();
    m.reply_requested = r.u8() != 0;
    if (!r.finished()) return malformed("standby status has a wrong length");
    return ReplicationClientMessage(m);
  }
  if (tag == 'h') {
    HotStandbyFeedback m;
    m.sent_at = r.be<int64_t>();
    m.xmin = r.be<uint32_t>();
    m.xmin_epoch = r.be<uint32_t>();
    m.catalog_xmin = r.be<uint32_t>();
    m.catalog_xmin_epoch = r.be<uint32_t>();
    if (!r.finished()) return malformed("hot standby feedback has a wrong length");
    return ReplicationClientMessage(m);
  }
  if (tag == 'z') {
    auto length = r.be<uint64_t>();
    if (r.failed() || length != r.remaining()) return malformed("pageserver feedback has a wrong length");
    TRY_ASSIGN(PageserverFeedback feedback, parse_feedback_list(r.rest()));
    return ReplicationClientMessage(feedback);
  }
  return Error(Code::Unsupported, "unknown replication message, tag " + std::to_string(tag));
}

std::string upper_case(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return out;
}

bool is_command(std::string_view query, std::string_view command) {
  return upper_case(query.substr(0, command.size())) == command;
}

Result<std::optional<StartReplication>> parse_start_replication(std::string_view query) {
  std::vector<std::string> words = words_of(query);
  if (words.empty() || upper_case(words[0]) != "START_REPLICATION") return std::optional<StartReplication>();
  StartReplication command;
  bool have_lsn = false;
  for (size_t i = 1; i < words.size(); i++) {
    std::string word = upper_case(words[i]);
    bool more = i + 1 < words.size();
    if (word == "LOGICAL")
      return Error(Code::Invalid, "START_REPLICATION: only physical replication is served here");
    if (word == "PHYSICAL") continue;
    if (word == "SLOT" && more) {
      command.slot = unquote(words[++i]);
    } else if (word == "TIMELINE" && more) {
      if (words[++i] != "1")
        return Error(Code::Invalid,
                     "START_REPLICATION: requested timeline " + words[i] + "; only timeline 1 exists");
    } else if (word.find('=') == std::string::npos && !have_lsn) {
      TRY_ASSIGN(command.start, parse_lsn(words[i]));
      have_lsn = true;
    } else {
      TRY_ASSIGN(bool taken, take_option(words[i], command));
      if (!taken) return Error(Code::Invalid, "START_REPLICATION: unexpected word \"" + words[i] + "\"");
    }
  }
  if (!have_lsn) return Error(Code::Invalid, "START_REPLICATION: no start LSN given");
  if (command.interpreted && command.term)
    return Error(Code::Invalid, "START_REPLICATION: interpreted WAL is committed WAL: it has no term");
  return std::optional<StartReplication>(command);
}

std::string to_string(const StartReplication& command) {
  std::string text = "START_REPLICATION ";
  if (!command.slot.empty()) text += "SLOT " + command.slot + " ";
  text += "PHYSICAL " + to_string(command.start);
  if (command.term) text += " (term='" + to_string(*command.term) + "')";
  if (const auto& stream = command.interpreted) {
    text += " (protocol='interpreted'";
    auto number = [&text](std::string_view name, uint32_t value, uint32_t usual) {
      if (value != usual) text += ", " + std::string(name) + "='" + std::to_string(value) + "'";
    };
    if (stream->zstd) text += ", compression='zstd'";
    number("shard_number", stream->shard_number, 0);
    number("shard_count", stream->shard_count, 1);
    number("shard_stripe_blocks", stream->stripe_blocks, 0);
    text += ")";
  }
  return text;
}

Result<std::optional<BaseBackup>> parse_base_backup(std::string_view query) {
  if (!is_command(query, "BASE_BACKUP")) return std::optional<BaseBackup>();
  std::map<std::string, std::string> options = options_of(query);
  auto value = [&](const char* name, const char* usual) {
    auto found = options.find(name);
    return found == options.end() ? std::string(usual) : found->second;
  };
  if (value("TARGET", "client") != "client")
    return Error(Code::Unsupported, "a pageserver sends a base backup to its client alone");
  if (options.contains("COMPRESSION"))
    return Error(Code::Unsupported,
                 "a pageserver does not compress base backups; pg_basebackup can, with "
                 "--compress=client-gzip, client-lz4 or client-zstd");
  std::string checksums = upper_case(value("MANIFEST_CHECKSUMS", "CRC32C"));
  if (checksums != "CRC32C" && checksums != "NONE")
    return Error(Code::Unsupported, "the manifest's checksums are CRC32C here, or NONE");
  return std::optional(BaseBackup{value("MANIFEST", "no") != "no", checksums == "CRC32C"});
}

std::string to_string(const BaseBackup& command) {
  return std::string("BASE_BACKUP (MANIFEST '") + (command.manifest ? "yes" : "no") +
         "', MANIFEST_CHECKSUMS '" + (command.checksums ? "CRC32C" : "NONE") + "')";
}

}  // namespace argon::wire
