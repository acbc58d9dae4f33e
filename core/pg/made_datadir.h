// A small cluster made by code, for simulated clusters that have no initdb.
//
// It holds what storage needs and no catalogs: pg_control, relation maps, one database with a few
// relations, the first pages of the SLRUs. A model compute writes real WAL records against it; a stock
// server would start its storage on it, but find no catalogs. All of it is a pure function of the options.

#pragma once

#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/pg/constants.h"
#include "core/pg/control_file.h"
#include "core/pg/rel.h"

namespace argon::pg {

struct MadeOptions {
  uint64_t system_id = 1;
  // Where its one WAL record begins (a page boundary or a record's position); the second segment, as
  // initdb's.
  Lsn first_wal{kWalSegmentSize};
  Xid next_xid = kFirstNormalXid;  // below 32768: there is one page of transaction states
  uint32_t relations = 4;          // empty heaps, 16384, 16385, … of database 5
  BlockNumber blocks = 0;          // of each relation: initialised empty pages
  bool data_checksums = false;
  int64_t time = 0;  // seconds since 1970
  bool wal = false;  // with the 16 MB WAL segment, which an import does not read
};

struct MadeFile {
  std::string path;  // as in a data directory
  Bytes bytes;
};

struct MadeDataDir {
  ControlFile control;
  Lsn last_record;  // the shutdown checkpoint's start: xl_prev of the first record after it
  Lsn end;          // where the timeline's WAL begins
  std::vector<RelTag> relations;
  std::vector<MadeFile> files;  // ascending by path; pg_control among them
};

MadeDataDir make_datadir(const MadeOptions& options);

}  // namespace argon::pg
