#include "core/pageserver/backup_manifest.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/checksum.h"
#include "core/base/timestamp.h"
#include "core/objstore/s3_signature.h"
#include "core/pg/constants.h"

namespace argon::pageserver {

namespace {

// "2026-11-29 04:20:00 GMT".
std::string modified(int64_t seconds) {
  std::string text = timestamp_text(WallTime{seconds * 1'000'000'000});  // "2026-11-29T04:20:00Z"
  std::ranges::replace(text, 'T', ' ');
  text.pop_back();
  return text + " GMT";
}

// In the order of the bytes in memory, as the server has it.
std::string hex_of(uint32_t checksum) {
  return fmt::format("{:02x}{:02x}{:02x}{:02x}", checksum & 0xFF, checksum >> 8 & 0xFF, checksum >> 16 & 0xFF,
                     checksum >> 24);
}

}  // namespace

Status BackupManifest::add(ByteView archive) {
  reader_.feed(archive);
  for (;;) {
    TRY_ASSIGN(pg::TarReader::Event event, reader_.next());
    if (event == pg::TarReader::Event::NeedMore) return {};
    if (event == pg::TarReader::Event::Data) {
      checksum_ = crc32c_extend(checksum_, reader_.data());
      continue;
    }
    end_file();
    if (event == pg::TarReader::Event::End) return {};
    file_ = reader_.entry();
    in_file_ = file_.kind == pg::TarKind::File && !file_.name.starts_with("pg_wal/");
    checksum_ = crc32c({});
  }
}

void BackupManifest::end_file() {
  if (!std::exchange(in_file_, false)) return;
  files_ += fmt::format(R"({}{{ "Path": "{}", "Size": {}, "Last-Modified": "{}")",
                        files_.empty() ? "" : ",\n", file_.name, file_.size, modified(file_.time));
  if (checksums_)
    files_ += fmt::format(R"(, "Checksum-Algorithm": "CRC32C", "Checksum": "{}")", hex_of(checksum_));
  files_ += " }";
}

std::string BackupManifest::finish(Lsn begin, Lsn end) {
  end_file();
  std::string text = "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n" + files_ + "\n],\n";
  text += fmt::format(
      "\"WAL-Ranges\": [\n{{ \"Timeline\": {}, \"Start-LSN\": \"{}\", \"End-LSN\": \"{}\" }}\n],\n",
      pg::kTimelineId, to_string(begin), to_string(end));
  std::string digest;
  for (uint8_t byte : objstore::sha256(as_bytes(text))) digest += fmt::format("{:02x}", byte);
  return text + "\"Manifest-Checksum\": \"" + digest + "\"}\n";
}

}  // namespace argon::pageserver
