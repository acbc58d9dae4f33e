// The redo process's requests. Numbers are little endian.
//
// On standard input, each u8 type, u32 length of what follows:
//   'B'  u32 tablespace, database, relation, fork, block: a new target, of zeros
//   'P'  a page: the target's content
//   'A'  u64 LSN, u64 end LSN, the record: applied to the target
//   'Q'  asks for the target as it is
// On standard output: once it is ready "ARGREDO1" and u32 server_version_num; then a page for each 'Q', in
// order. A request or record that does not fit ends the process with status 1 and a line on standard error.
#include "walredo.h"

#include <errno.h>
#include <unistd.h>

#include "access/rmgr.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogreader.h"
#include "access/xlogutils.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#define RECORD_AT 16  // behind the two LSNs of an 'A'
// Relations stay open in the storage manager's cache; so many targets later they are closed.
#define TARGETS_BETWEEN_CLOSING 4096

typedef struct Header {
  uint8 type;
  uint32 length;
} pg_attribute_packed() Header;

// ---- input and output

static char in[256 * 1024];
static size_t in_used, in_taken;
static char out[64 * BLCKSZ];
static size_t out_used;

static void flush_output(void) {
  for (size_t done = 0; done < out_used;) {
    ssize_t n = write(STDOUT_FILENO, out + done, out_used - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) _exit(1);
    done += n;
  }
  out_used = 0;
}

static void put(const void* bytes, size_t n) {
  if (out_used + n > sizeof(out)) flush_output();
  memcpy(out + out_used, bytes, n);
  out_used += n;
}

// The end of the input is the end of the process.
static void take(void* into, size_t n) {
  char* at = into;

  while (n > 0) {
    size_t part;

    if (in_taken == in_used) {
      ssize_t got;

      flush_output();  // it may be what the other side waits for
      do got = read(STDIN_FILENO, in, sizeof(in));
      while (got < 0 && errno == EINTR);
      if (got <= 0) _exit(got < 0 ? 1 : 0);
      in_used = got;
      in_taken = 0;
    }
    part = Min(in_used - in_taken, n);
    memcpy(at, in + in_taken, part);
    in_taken += part;
    at += part;
    n -= part;
  }
}

// ---- redo

static XLogReaderState* reader;
static DecodedXLogRecord* decoded;
static size_t decoded_size;

// With plain writes, and an end without clean-up: the usual way needs what the sandbox forbids.
static void report_error(ErrorData* error) {
  error->output_to_server = false;
  if (error->elevel < ERROR) return;
  write_stderr("argon walredo: %s: %s\n", error_severity(error->elevel),
               error->message ? error->message : "?");
  if (reader != NULL && reader->record != NULL)
    write_stderr("argon walredo: at %X/%X, %s info %02x, target %u/%u/%u fork %d block %u\n",
                 LSN_FORMAT_ARGS(reader->ReadRecPtr), RmgrTable[reader->record->header.xl_rmid].rm_name,
                 reader->record->header.xl_info, walredo_target.rnode.spcNode, walredo_target.rnode.dbNode,
                 walredo_target.rnode.relNode, walredo_target.forkNum, walredo_target.blockNum);
  _exit(1);
}

static Buffer read_target(ReadBufferMode mode) {
  if (!walredo_has_target) ereport(FATAL, (errmsg("there is no target")));
  return ReadBufferWithoutRelcache(walredo_target.rnode, walredo_target.forkNum, walredo_target.blockNum,
                                   mode, NULL, true);
}

static bool is_target(const DecodedBkpBlock* block) {
  return block->blkno == walredo_target.blockNum && block->forknum == walredo_target.forkNum &&
         RelFileNodeEquals(block->rnode, walredo_target.rnode);
}

// Whatever the pool holds of other blocks, the last target too, is of the far future, as if it had just been
// read.
static void forget_others(void) {
  for (int i = 0; i < NBuffers; i++)
    if (!BUFFERTAGS_EQUAL(GetBufferDescriptor(i)->tag, walredo_target))
      PageSetLSN((Page)(BufferBlocks + (Size)i * BLCKSZ), PG_UINT64_MAX);
}

static void begin(const char* body) {
  uint32 numbers[5];
  static uint32 targets;
  BufferTag tag;

  memcpy(numbers, body, sizeof(numbers));
  if (numbers[3] > MAX_FORKNUM) ereport(FATAL, (errmsg("there is no fork %u", numbers[3])));
  if (++targets % TARGETS_BETWEEN_CLOSING == 0) smgrcloseall();
  tag.rnode.spcNode = numbers[0];
  tag.rnode.dbNode = numbers[1];
  tag.rnode.relNode = numbers[2];
  tag.forkNum = numbers[3];
  tag.blockNum = numbers[4];
  walredo_begin(&tag);
  // It may be in the pool from before, as another block or as a target.
  UnlockReleaseBuffer(read_target(RBM_ZERO_AND_LOCK));
  forget_others();
}

static void push(const char* page) {
  Buffer buffer = read_target(RBM_ZERO_AND_LOCK);

  memcpy(BufferGetPage(buffer), page, BLCKSZ);
  MarkBufferDirty(buffer);
  UnlockReleaseBuffer(buffer);
}

static void decode(const char* body, size_t length) {
  XLogRecPtr start, end;
  XLogRecord* record = (XLogRecord*)(body + RECORD_AT);
  char* problem;
  size_t wanted;

  if (length < RECORD_AT + SizeOfXLogRecord || record->xl_tot_len != length - RECORD_AT ||
      !RmgrIdIsValid(record->xl_rmid))
    ereport(FATAL, (errmsg("not a record")));
  if (!RmgrIdExists(record->xl_rmid))
    ereport(FATAL, (errmsg("no library that was loaded has resource manager %d", record->xl_rmid)));
  memcpy(&start, body, 8);
  memcpy(&end, body + 8, 8);
  wanted = DecodeXLogRecordRequiredSpace(record->xl_tot_len);
  if (wanted > decoded_size) {
    decoded_size = wanted + 65536;
    decoded = decoded ? repalloc_huge(decoded, decoded_size)
                      : MemoryContextAllocHuge(TopMemoryContext, decoded_size);
  }
  reader->record = NULL;
  reader->ReadRecPtr = start;
  if (!DecodeXLogRecord(reader, decoded, record, start, &problem)) ereport(FATAL, (errmsg("%s", problem)));
  decoded->next_lsn = end;
  reader->record = decoded;
  reader->EndRecPtr = end;
  reader->DecodeRecPtr = start;
  reader->NextRecPtr = end;
}

static void apply(const char* body, size_t length) {
  uint8 manager;
  bool others = false;

  decode(body, length);
  manager = decoded->header.xl_rmid;
  // Images of other blocks are restored only for those who insist on them: XLOG FPI, GIN, perhaps extensions.
  for (int i = 0; i <= decoded->max_block_id; i++) {
    DecodedBkpBlock* block = &decoded->blocks[i];

    if (!block->in_use || is_target(block)) continue;
    others = true;
    if (RmgrIdIsBuiltin(manager) && manager != RM_XLOG_ID && manager != RM_GIN_ID)
      block->has_image = block->apply_image = false;
  }
  RmgrTable[manager].rm_redo(reader);
  // Redo may have made some of them anew.
  if (others) forget_others();
}

static void answer(void) {
  Buffer buffer = read_target(RBM_NORMAL);

  put(BufferGetPage(buffer), BLCKSZ);
  ReleaseBuffer(buffer);
}

static void expect_length(const Header* header, uint32 length) {
  if (header->length != length)
    ereport(FATAL, (errmsg("a request '%c' of %u bytes, not %u", header->type, header->length, length)));
}

static void serve_one(const Header* header, const char* body) {
  switch (header->type) {
    case 'B':
      expect_length(header, 20);
      begin(body);
      break;
    case 'P':
      expect_length(header, BLCKSZ);
      push(body);
      break;
    case 'A':
      apply(body, header->length);
      break;
    case 'Q':
      expect_length(header, 0);
      answer();
      break;
    default:
      ereport(FATAL, (errmsg("a request of unknown type %d", header->type)));
  }
}

void walredo_serve(void) {
  char* body = NULL;
  size_t room = 0;
  uint32 version = atoi(GetConfigOption("server_version_num", false, false));

  emit_log_hook = report_error;
  reader = XLogReaderAllocate(wal_segment_size, NULL, XL_ROUTINE(), NULL);
  MemoryContextSwitchTo(AllocSetContextCreate(TopMemoryContext, "wal redo", ALLOCSET_DEFAULT_SIZES));
  put("ARGREDO1", 8);
  put(&version, sizeof(version));
  for (;;) {
    Header header;

    take(&header, sizeof(header));
    if (header.length > room) {
      room = (size_t)header.length + 65536;
      body = body ? repalloc_huge(body, room) : MemoryContextAllocHuge(TopMemoryContext, room);
    }
    take(body, header.length);
    serve_one(&header, body);
    MemoryContextReset(CurrentMemoryContext);
  }
}
