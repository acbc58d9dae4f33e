#include "read_ahead.h"

#include "page_client.h"
#include "page_pipeline.h"
#include "storage/bufmgr.h"
#include "stub.h"

#define READERS 8
#define FIRST_WINDOW 4

typedef struct Reader {
  RelFileNode node;
  BlockNumber next;   // the block behind the last one read
  BlockNumber asked;  // blocks below were asked for, or need not be
  int window;         // 0: one block was read, so nothing is known
  uint64 used;        // when, for the choice of whom to forget
} Reader;

static Reader readers[READERS];
static uint64 uses;

// Blocks found in shared buffers are not read, so a reader may leave some out; at first only one.
static bool continues(const Reader* reader, RelFileNode node, BlockNumber block) {
  return reader->used != 0 && block >= reader->next &&
         block - reader->next <= (BlockNumber)Max(reader->window, 1) && RelFileNodeEquals(reader->node, node);
}

static Reader* find(RelFileNode node, BlockNumber block) {
  Reader* oldest = &readers[0];

  for (int i = 0; i < READERS; i++) {
    if (continues(&readers[i], node, block)) return &readers[i];
    if (readers[i].used < oldest->used) oldest = &readers[i];
  }
  *oldest = (Reader){.node = node, .next = block + 1};
  oldest->used = ++uses;
  return NULL;
}

static void ask(SMgrRelation reln, Reader* reader) {
  BlockNumber end = stub_blocks(reln->smgr_rnode.node, MAIN_FORKNUM);  // 0: nobody has asked for its size yet

  end = Min(end, reader->next + (BlockNumber)reader->window);
  // It asks our own prefetch function for what is not in shared buffers.
  for (; reader->asked < end; reader->asked++) (void)PrefetchSharedBuffer(reln, MAIN_FORKNUM, reader->asked);
  page_client_send();
}

void read_ahead(SMgrRelation reln, BlockNumber block) {
  RelFileNode node = reln->smgr_rnode.node;
  Reader* reader;
  bool passed_by;

  if (argon_readahead_window == 0 || (reader = find(node, block)) == NULL) return;
  passed_by = block > reader->next && pipeline_drop(node, MAIN_FORKNUM, reader->next, block) > 0;
  reader->used = ++uses;
  reader->next = block + 1;
  reader->asked = Max(reader->asked, reader->next);
  if (passed_by) reader->window = Max(reader->window / 2, FIRST_WINDOW);
  if (reader->window == 0) reader->window = FIRST_WINDOW;
  reader->window = Min(reader->window, argon_readahead_window);
  // By half a window at a time, so that requests go out together and answers come in meanwhile.
  if (reader->asked - reader->next > (BlockNumber)reader->window / 2) return;
  if (!passed_by) reader->window = Min(reader->window * 2, argon_readahead_window);
  ask(reln, reader);
}
