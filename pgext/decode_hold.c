// Logical decoding hands out nothing that no quorum has. Stock PostgreSQL decodes what it has flushed itself;
// that may be lost with the endpoint, and a subscriber would have what the database has not.
//
// Walsenders and SQL functions alike decode record by record, through the server's table of resource
// managers. Those whose records lead to output wait there. Checkpoints and the like do not: the last one of a
// server is shipped when no walsender is left.
#include "argon.h"

#include "access/rmgr.h"
#include "access/xlog_internal.h"
#include "miscadmin.h"
#include "replication/decode.h"
#include "storage/latch.h"
#include "utils/wait_event.h"

static const RmgrId held_back[] = {RM_XACT_ID, RM_HEAP_ID, RM_HEAP2_ID, RM_LOGICALMSG_ID};
static void (*server_decode[RM_MAX_ID + 1])(struct LogicalDecodingContext*, struct XLogRecordBuffer*);

// May be cancelled: nothing of the record was decoded yet.
static void wait_for_quorum(XLogRecPtr lsn) {
  while (pg_atomic_read_u64(&argon_shared->commit_lsn) < lsn) {
    if (pg_atomic_read_u32(&argon_shared->shipping_ended) != 0)
      ereport(FATAL,
              (errcode(ERRCODE_ADMIN_SHUTDOWN),
               errmsg("argon: the server stops before a quorum has what logical decoding is to send")));
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 1, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
  }
}

static void decode(struct LogicalDecodingContext* context, struct XLogRecordBuffer* record) {
  wait_for_quorum(record->endptr);
  server_decode[XLogRecGetRmid(record->record)](context, record);
}

void argon_install_decode_hold(void) {
  if (argon_mode != ARGON_PRIMARY) return;
  for (size_t i = 0; i < lengthof(held_back); i++) {
    RmgrData* manager = &RmgrTable[held_back[i]];

    if (manager->rm_decode == NULL)
      ereport(FATAL,
              (errmsg("argon: this build of PostgreSQL does not decode records of %s", manager->rm_name)));
    server_decode[held_back[i]] = manager->rm_decode;
    manager->rm_decode = decode;
  }
}
