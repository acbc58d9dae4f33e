// argon_consume_xids: uses up transaction ids, as years of work do.
//
// SELECT argon_consume_xids(n bigint) takes n transaction ids and logs them as committed, so that their bits
// stand in pg_xact here and at the pageserver: a commit record for each batch, its first id with the others
// as subtransactions. The ids belong to nobody; the transaction that calls has one of its own.
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

PG_MODULE_MAGIC;

#define BATCH 100000

// Takes and commits so many ids.
static void consume(TransactionId* xids, int count) {
  for (int i = 0; i < count; i++) xids[i] = XidFromFullTransactionId(GetNewTransactionId(true));
  // As of a prepared transaction: so it may be another one's than the caller's.
  XactLogCommitRecord(GetCurrentTimestamp(), count - 1, xids + 1, 0, NULL, 0, NULL, 0, NULL, false,
                      MyXactFlags, xids[0], "");
  TransactionIdCommitTree(xids[0], count - 1, xids + 1);
}

PG_FUNCTION_INFO_V1(argon_consume_xids);

Datum argon_consume_xids(PG_FUNCTION_ARGS) {
  int64 left = PG_GETARG_INT64(0);
  TransactionId* xids = palloc(BATCH * sizeof(TransactionId));

  GetTopTransactionId();
  while (left > 0) {
    int count = (int)Min(left, BATCH);

    CHECK_FOR_INTERRUPTS();
    consume(xids, count);
    left -= count;
  }
  PG_RETURN_VOID();
}
