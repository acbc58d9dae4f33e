#include "relation.h"

#include <unistd.h>

#include "common/relpath.h"
#include "last_written_lsn.h"
#include "page_client.h"
#include "stub.h"
#include "utils/hsearch.h"

#define REMEMBERED_RELATIONS 16384

typedef struct Remembered {
  RelFileNode node;
  bool is_local;
  uint32 absent_forks;  // a bit a fork
} Remembered;

static HTAB* remembered;
static uint32 remembered_generation;

static void forget_all(void) {
  HASHCTL info = {.keysize = sizeof(RelFileNode), .entrysize = sizeof(Remembered)};

  if (remembered != NULL) hash_destroy(remembered);
  remembered = hash_create("argon relations", 256, &info, HASH_ELEM | HASH_BLOBS);
}

static bool has_init_file(RelFileNode node) {
  char* path = relpathperm(node, INIT_FORKNUM);
  bool yes = access(path, F_OK) == 0;

  pfree(path);
  return yes;
}

// REQUIRES: not in a critical section, since it allocates.
static Remembered* remember(RelFileNode node) {
  uint32 generation = pg_atomic_read_u32(&argon_shared->local_generation);
  Remembered* entry;
  bool found;

  if (remembered == NULL || generation != remembered_generation ||
      hash_get_num_entries(remembered) >= REMEMBERED_RELATIONS) {
    forget_all();
    remembered_generation = generation;
  }
  entry = hash_search(remembered, &node, HASH_ENTER, &found);
  if (!found) {
    entry->is_local = has_init_file(node);
    entry->absent_forks = 0;
  }
  return entry;
}

bool relation_is_local(RelFileNodeBackend node) {
  if (RelFileNodeBackendIsTemp(node)) return true;
  return remember(node.node)->is_local;
}

void relation_locality_changed(void) {
  pg_atomic_fetch_add_u32(&argon_shared->local_generation, 1);
}

void relation_note_absent(RelFileNode node, ForkNumber fork) {
  remember(node)->absent_forks |= 1u << fork;
}

bool relation_ensure_stub(RelFileNode node, ForkNumber fork) {
  BlockNumber nblocks;

  if (stub_exists(node, fork)) return true;
  if (remember(node)->absent_forks & (1u << fork)) return false;
  if (!page_client_nblocks(node, fork, last_written_lsn_get(node, fork, InvalidBlockNumber), &nblocks)) {
    relation_note_absent(node, fork);
    return false;
  }
  stub_make(node, fork, nblocks);
  return true;
}
