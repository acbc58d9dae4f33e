#include "core/pg/redo/proof/wal_files.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "core/pg/wal_page.h"
#include "core/pg/wal_stream.h"

namespace argon::pg::redo {
namespace {

// Reads the whole file into `out`, whose memory is used again.
Status read_file(const std::string& path, Bytes& out) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return Error(Code::NotFound, "open " + path);
  out.resize(static_cast<size_t>(in.tellg()));
  in.seekg(0);
  in.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(out.size()));
  return {};
}

// Where PostgreSQL's second timeline leaves the first, by its history file; the end of all LSNs without one.
// The second's first segment begins as a copy of the first's, whose pages keep their headers.
Result<Lsn> promotion(const std::string& wal) {
  Bytes history;
  if (!read_file(wal + "/00000002.history", history).ok()) return page_start(Lsn{UINT64_MAX});
  std::istringstream line(std::string(history.begin(), history.end()));
  uint32_t tli = 0;
  std::string at;
  line >> tli >> at;
  return parse_lsn(at);
}

}  // namespace

Result<ControlFile> read_control_file(const std::string& seed) {
  Bytes file;
  TRY(read_file(seed + "/global/pg_control", file));
  return decode_control_file(file);
}

RedoSettings settings_of(const ControlFile& control) {
  RedoSettings settings;
  settings.data_checksums = control.data_checksums();
  settings.wal_log_hints = control.settings.wal_log_hints;
  settings.track_commit_timestamp = control.settings.track_commit_timestamp;
  return settings;
}

Status replay(const std::string& wal, const ControlFile& control,
              const std::function<Status(const DecodedRecord&)>& each) {
  Lsn start = control.checkpoint.redo;
  TRY_ASSIGN(Lsn promoted, promotion(wal));
  Lsn second_begins = page_start(promoted) == promoted ? promoted : page_start(promoted) + kWalBlockSize;
  WalStreamDecoder decoder(start);
  DecodedRecord record;
  // False at the end of the WAL, which is printed.
  auto take = [&](ByteView part, uint32_t tli) -> Result<bool> {
    decoder.identify({control.system_id, tli});
    decoder.feed(part);
    for (;;) {
      auto found = decoder.next(record);
      if (!found.ok()) {
        std::printf("end of WAL at %s: %s\n", to_string(decoder.last_end()).c_str(),
                    found.error().message().c_str());
        return false;
      }
      if (!*found) return true;
      TRY(each(record));
    }
  };
  Bytes bytes;
  for (uint64_t segment = segment_number(start);; segment++) {
    uint32_t tli = segment < segment_number(promoted) ? kTimelineId : kTimelineId + 1;
    if (!read_file(wal + "/" + segment_file_name(segment, tli), bytes).ok()) break;
    ByteView rest = ByteView(bytes).subspan(segment == segment_number(start) ? segment_offset(start) : 0);
    Lsn at = decoder.position();
    size_t first = at < second_begins ? std::min<uint64_t>(rest.size(), second_begins - at) : 0;
    TRY_ASSIGN(bool more, take(rest.first(first), kTimelineId));
    if (more && first < rest.size()) {
      TRY_ASSIGN(more, take(rest.subspan(first), kTimelineId + 1));
    }
    if (!more) return {};
  }
  std::printf("end of WAL at %s\n", to_string(decoder.last_end()).c_str());
  return {};
}

}  // namespace argon::pg::redo
