#include "core/pg/redo/proof/wal_files.h"

#include <cstdio>
#include <fstream>

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
  WalStreamDecoder decoder(start, WalIdentity{control.system_id, kTimelineId});
  DecodedRecord record;
  Bytes bytes;
  for (uint64_t segment = segment_number(start);; segment++) {
    if (!read_file(wal + "/" + segment_file_name(segment), bytes).ok()) break;
    size_t skip = segment == segment_number(start) ? segment_offset(start) : 0;
    decoder.feed(ByteView(bytes).subspan(skip));
    for (;;) {
      auto found = decoder.next(record);
      if (!found.ok()) {
        std::printf("end of WAL at %s: %s\n", to_string(decoder.last_end()).c_str(),
                    found.error().message().c_str());
        return {};
      }
      if (!*found) break;
      TRY(each(record));
    }
  }
  std::printf("end of WAL at %s\n", to_string(decoder.last_end()).c_str());
  return {};
}

}  // namespace argon::pg::redo
