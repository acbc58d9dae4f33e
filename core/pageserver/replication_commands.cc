#include "core/pageserver/replication_commands.h"

#include "core/pageserver/backup.h"
#include "core/pageserver/backup_manifest.h"
#include "core/wire/replication.h"

namespace argon::pageserver {

namespace {

constexpr size_t kPiece = 256 * 1024;  // bytes put together before they are sent
constexpr uint32_t kInt4 = 23, kOid = 26, kInt8 = 20;

}  // namespace

Status ReplicationCommands::answer(Task& task, const std::string& query) {
  TRY_ASSIGN(TenantTimelineId id, startup_.timeline());
  TRY_ASSIGN(std::shared_ptr<Timeline> timeline, tenants_.find(id));
  TRY_ASSIGN(std::optional<wire::BaseBackup> backup, wire::parse_base_backup(query));
  auto row = [&](const std::vector<wire::Column>& columns, const wire::Row& values, std::string_view tag) {
    server_.put_row_description(columns);
    server_.put_row(values);
    server_.put_command_complete(tag);
  };
  if (wire::is_command(query, "IDENTIFY_SYSTEM")) {
    row({{"systemid"}, {"timeline", kInt4}, {"xlogpos"}, {"dbname"}},
        {std::to_string(timeline->store().index().system_id), std::to_string(pg::kTimelineId),
         to_string(timeline->last_record()), std::nullopt},
        "IDENTIFY_SYSTEM");
  } else if (wire::is_command(query, "SHOW WAL_SEGMENT_SIZE")) {
    row({{"wal_segment_size"}}, {{"16MB"}}, "SHOW");
  } else if (wire::is_command(query, "SHOW DATA_DIRECTORY_MODE")) {
    row({{"data_directory_mode"}}, {{"0700"}}, "SHOW");
  } else if (wire::is_command(query, "SET ")) {
    server_.put_command_complete("SET");
  } else if (backup) {
    Timeline::Guest guest(*timeline, stream_);
    return base_backup(task, *timeline, *backup);
  } else {
    return Error(Code::Unsupported,
                 "a pageserver streams no WAL, safekeepers do; a base backup has the WAL that it needs: take "
                 "it with pg_basebackup -X fetch");
  }
  return {};
}

Status ReplicationCommands::base_backup(Task& task, Timeline& timeline, const wire::BaseBackup& wanted) {
  Lsn lsn = Lsn::max();
  if (auto given = startup_.options.find("lsn"); given != startup_.options.end()) {
    TRY_ASSIGN(lsn, parse_lsn(given->second));
  }
  TRY_ASSIGN(ReadPoint at, timeline.read_point(task, lsn, lsn == Lsn::max() ? Lsn() : lsn));
  TRY_ASSIGN(auto relations, timeline.catalog().relations(task, relation_sizes(), at.lsn));
  uint64_t kilobytes = 0;
  for (const auto& [relation, blocks] : relations) kilobytes += uint64_t{blocks} * pg::kBlockSize / 1024;

  auto put_lsn = [&](Lsn position) {
    server_.put_row_description({{"recptr"}, {"tli", kInt8}});
    server_.put_row({to_string(position), std::to_string(pg::kTimelineId)});
    server_.put_command_complete("SELECT");
  };
  auto put = [&](char kind, ByteView bytes) -> Status {
    auto head = static_cast<uint8_t>(kind);
    server_.put_copy_data(ByteView(&head, 1), bytes);
    return server_.pending() >= kPiece ? server_.flush(task) : Status();
  };
  BackupManifest manifest(wanted.checksums);
  Lsn begin, end;
  BackupOptions backup;
  backup.lsn = at.lsn;
  backup.everything = backup.tablespaces_in_place = true;
  backup.begun = [&](Lsn record, Lsn record_end) {
    begin = record;
    end = record_end;
    put_lsn(begin);
    server_.put_row_description({{"spcoid", kOid}, {"spclocation"}, {"size", kInt8}});
    server_.put_row({std::nullopt, std::nullopt, std::to_string(kilobytes)});
    server_.put_command_complete("SELECT");
    server_.put_copy_out_response();
    return put('n', as_bytes(std::string_view("base.tar\0\0", 10)));
  };
  TRY(write_backup(task, timeline, backup, [&](ByteView bytes) -> Status {
    if (wanted.manifest) TRY(manifest.add(bytes));
    return put('d', bytes);
  }));
  if (wanted.manifest) {
    std::string text = manifest.finish(begin, end);
    TRY(put('m', {}));
    for (size_t from = 0; from < text.size(); from += kPiece)
      TRY(put('d', as_bytes(std::string_view(text).substr(from, kPiece))));
  }
  server_.put_copy_done();
  put_lsn(end);
  server_.put_command_complete("BASE_BACKUP");
  return {};
}

}  // namespace argon::pageserver
