// argon_test_rmgr: an extension with a resource manager of its own, as tests need one.
//
// SELECT argon_test_stamp(relation regclass, block bigint, offset int, text) writes the text into the hole of
// that page and logs that as resource manager 128 (RM_EXPERIMENTAL_ID). The page's lower end moves behind it,
// so that it is no hole any more. Redo of the text "bad record" refuses it, of "for ever" never ends.
#include "postgres.h"

#include "access/relation.h"
#include "access/rmgr.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xloginsert.h"
#include "access/xlogreader.h"
#include "access/xlogutils.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
#include "utils/rel.h"

PG_MODULE_MAGIC;

void _PG_init(void);

// The record's data for its block: where, and the text.
typedef struct Stamp {
  uint16 offset;
  char text[FLEXIBLE_ARRAY_MEMBER];
} Stamp;

static void put_stamp(Page page, const Stamp* stamp, size_t length) {
  memcpy((char*)page + stamp->offset, stamp->text, length);
  ((PageHeader)page)->pd_lower = Max(((PageHeader)page)->pd_lower, stamp->offset + length);
}

static void stamp_redo(XLogReaderState* record) {
  Buffer buffer;
  Size size;

  if (XLogReadBufferForRedo(record, 0, &buffer) == BLK_NEEDS_REDO) {
    const Stamp* stamp = (const Stamp*)XLogRecGetBlockData(record, 0, &size);
    size_t length = size - offsetof(Stamp, text);
    Page page = BufferGetPage(buffer);

    if (length == 10 && memcmp(stamp->text, "bad record", length) == 0)
      elog(PANIC, "this stamp cannot be redone");
    if (length == 8 && memcmp(stamp->text, "for ever", length) == 0)
      for (;;) {
      }
    put_stamp(page, stamp, length);
    PageSetLSN(page, record->EndRecPtr);
    MarkBufferDirty(buffer);
  }
  if (BufferIsValid(buffer)) UnlockReleaseBuffer(buffer);
}

static void stamp_desc(StringInfo text, XLogReaderState* record) {
  appendStringInfoString(text, "a stamp");
}

static const char* stamp_identify(uint8 info) {
  return "STAMP";
}

static RmgrData stamps = {
    .rm_name = "argon_test_rmgr",
    .rm_redo = stamp_redo,
    .rm_desc = stamp_desc,
    .rm_identify = stamp_identify,
};

void _PG_init(void) {
  if (process_shared_preload_libraries_in_progress) RegisterCustomRmgr(RM_EXPERIMENTAL_ID, &stamps);
}

PG_FUNCTION_INFO_V1(argon_test_stamp);

Datum argon_test_stamp(PG_FUNCTION_ARGS) {
  Relation relation = relation_open(PG_GETARG_OID(0), RowExclusiveLock);
  text* words = PG_GETARG_TEXT_PP(3);
  size_t length = VARSIZE_ANY_EXHDR(words);
  Stamp* stamp = palloc(offsetof(Stamp, text) + length);
  Buffer buffer = ReadBuffer(relation, (BlockNumber)PG_GETARG_INT64(1));
  Page page = BufferGetPage(buffer);
  XLogRecPtr end;

  stamp->offset = (uint16)PG_GETARG_INT32(2);
  memcpy(stamp->text, VARDATA_ANY(words), length);
  LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
  if (stamp->offset < ((PageHeader)page)->pd_lower || stamp->offset + length > ((PageHeader)page)->pd_upper)
    elog(ERROR, "there is no room for the stamp");
  START_CRIT_SECTION();
  put_stamp(page, stamp, length);
  MarkBufferDirty(buffer);
  XLogBeginInsert();
  XLogRegisterBuffer(0, buffer, REGBUF_STANDARD);
  XLogRegisterBufData(0, (char*)stamp, offsetof(Stamp, text) + length);
  end = XLogInsert(RM_EXPERIMENTAL_ID, 0);
  PageSetLSN(page, end);
  END_CRIT_SECTION();
  UnlockReleaseBuffer(buffer);
  relation_close(relation, RowExclusiveLock);
  PG_RETURN_LSN(end);
}
