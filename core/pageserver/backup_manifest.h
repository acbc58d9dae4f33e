// BackupManifest: the backup_manifest that pg_verifybackup checks a directory by, made of the archive's bytes
// as they go by.
//
// WAL is not in it, as in a server's. Source: backup_manifest.c of PostgreSQL 15.

#pragma once

#include <string>

#include "core/base/ids.h"
#include "core/pg/tar.h"

namespace argon::pageserver {

class BackupManifest {
 public:
  // `checksums`: CRC-32C of each file, else sizes only.
  explicit BackupManifest(bool checksums) : checksums_(checksums) {}

  // The archive's next bytes. Errors: those of TarReader.
  Status add(ByteView archive);
  // The whole text. WAL from `begin` to `end` is needed to start the backup.
  std::string finish(Lsn begin, Lsn end);

 private:
  void end_file();

  bool checksums_;
  pg::TarReader reader_;
  bool in_file_ = false;
  pg::TarEntry file_;
  uint32_t checksum_ = 0;
  std::string files_;
};

}  // namespace argon::pageserver
