#include "core/pg/made_datadir.h"

#include <algorithm>

#include "core/pg/datadir.h"
#include "core/pg/fabricated_checkpoint.h"
#include "core/pg/page.h"
#include "core/pg/relmap.h"
#include "core/pg/version.h"

namespace argon::pg {

namespace {

Bytes empty_heap(BlockNumber blocks, bool checksums) {
  Bytes file(size_t{blocks} * kBlockSize);
  for (BlockNumber i = 0; i < blocks; i++) {
    ByteSpan page = ByteSpan(file).subspan(i * kBlockSize, kBlockSize);
    init_page(page);
    if (checksums) set_page_checksum(page, i);
  }
  return file;
}

// Bootstrap and frozen ids are committed.
Bytes first_clog_page() {
  Bytes page(kBlockSize);
  page[0] = 1u << (2 * kBootstrapXid) | 1u << (2 * kFrozenXid);
  return page;
}

ControlFile made_control(const MadeOptions& options) {
  ControlFile control;
  control.system_id = options.system_id;
  control.data_checksum_version = options.data_checksums ? 1 : 0;
  control.checkpoint.next_oid = kFirstNormalOid + options.relations;
  control.checkpoint.time = options.time;
  control.checkpoint.next_xid = options.next_xid;
  return control;
}

}  // namespace

MadeDataDir make_datadir(const MadeOptions& options) {
  MadeDataDir made;
  WalIdentity identity{options.system_id, kTimelineId};
  ControlFile base = made_control(options);
  auto start = fabricate_checkpoint(identity, base.checkpoint, options.first_wal, Lsn());
  CHECK(start.ok());
  made.control = control_at(base, *start, base.settings);
  made.last_record = start->record;
  made.end = start->end;

  auto add = [&](std::string path, Bytes bytes) {
    made.files.push_back({std::move(path), std::move(bytes)});
  };
  std::string database = "base/" + std::to_string(kPostgresDb);
  add("PG_VERSION", to_bytes(kVersionFile));
  add(database + "/PG_VERSION", to_bytes(kVersionFile));
  add("global/pg_filenode.map", encode_relmap({}));
  add(database + "/pg_filenode.map", encode_relmap({}));
  add(slru_path(Slru::Clog, 0), first_clog_page());
  add(slru_path(Slru::MultiXactOffsets, 0), Bytes(kBlockSize));
  add(slru_path(Slru::MultiXactMembers, 0), Bytes(kBlockSize));
  for (uint32_t i = 0; i < options.relations; i++) {
    RelTag tag{{kDefaultTablespace, kPostgresDb, kFirstNormalOid + i}, Fork::Main};
    made.relations.push_back(tag);
    add(relation_path(tag), empty_heap(options.blocks, options.data_checksums));
  }
  if (options.wal)
    for (const SegmentFile& file : start->segments(identity)) add("pg_wal/" + file.name, file.bytes());
  add("global/pg_control", encode_control_file(made.control));
  std::sort(made.files.begin(), made.files.end(),
            [](const MadeFile& a, const MadeFile& b) { return a.path < b.path; });
  return made;
}

}  // namespace argon::pg
