// The stock server as WAL redo process: what its parts share.
//
// One page at a time is rebuilt, the target: its buffer holds it, the storage manager below has no other.
#ifndef ARGON_PGEXT_WALREDO_H
#define ARGON_PGEXT_WALREDO_H

#include "smgr_row.h"

#include "storage/buf_internals.h"

// memory_smgr.c. The page that is being rebuilt; and the page that every other block reads as: an empty one
// of the far future, which redo leaves alone.
extern BufferTag walredo_target;
extern bool walredo_has_target;
extern PGAlignedBlock walredo_other_page;
// A new target, of zeros until it is pushed.
void walredo_begin(const BufferTag* tag);

// shared_memory.c. What a server has in shared memory, in private memory, as far as redo needs it.
void walredo_make_shared_memory(void);

// sandbox.c. From here on: memory, descriptors 0 to 2, end. Anything else kills the process.
void walredo_enter_sandbox(void);

// requests.c. Answers standard input on standard output until that ends; then the process ends.
void walredo_serve(void) pg_attribute_noreturn();

#endif
