// ReplicationCommands: the page service as stock pg_basebackup sees it.
//
// A connection that asks for physical replication, with the options tenant_id and timeline_id, and lsn where
// the backup is not to be of the timeline's end:
//
//   PGOPTIONS="-c tenant_id=ID -c timeline_id=ID -c lsn=0/1A2B3C" pg_basebackup -h … -p … -X fetch -D …
//
// The archive is that of `fullbackup`: one tablespace, with the segment of the checkpoint it starts from in
// pg_wal, whichever WAL is asked for; user tablespaces are folders in pg_tblspc. There is no other WAL here,
// so `-X stream`, the program's default, is refused with the reason. Not there: compression by the server,
// other targets than the client, checksums of the manifest other than CRC-32C. Sources: protocol.sgml,
// basebackup_copy.c and pg_basebackup.c of PostgreSQL 15.

#pragma once

#include "core/pageserver/tenants.h"
#include "core/wire/pg_wire.h"
#include "core/wire/replication.h"

namespace argon::pageserver {

class ReplicationCommands {
 public:
  // Borrows all of it.
  ReplicationCommands(Stream& stream, wire::PgServer& server, Tenants& tenants, const wire::Startup& startup)
      : stream_(stream), server_(server), tenants_(tenants), startup_(startup) {}

  // Puts the answer, but for what ends it. Errors are for the client, but for Cancelled and Disconnected.
  Status answer(Task& task, const std::string& query);

 private:
  Status base_backup(Task& task, Timeline& timeline, const wire::BaseBackup& wanted);

  Stream& stream_;
  wire::PgServer& server_;
  Tenants& tenants_;
  const wire::Startup& startup_;
};

}  // namespace argon::pageserver
