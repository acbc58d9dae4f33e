// The row of smgrsw[] in PostgreSQL 15.13 and later (src/backend/storage/smgr/smgr.c). Releases 17
// and 18 have readv, writev and more; this is the one place that says so.
#ifndef ARGON_PGEXT_SMGR_ROW_H
#define ARGON_PGEXT_SMGR_ROW_H

#include "argon.h"

typedef struct ArgonSmgrRow {
  void (*init)(void);
  void (*shutdown)(void);
  void (*open)(SMgrRelation);
  void (*close)(SMgrRelation, ForkNumber);
  void (*create)(SMgrRelation, ForkNumber, bool is_redo);
  bool (*exists)(SMgrRelation, ForkNumber);
  void (*unlink)(RelFileNodeBackend, ForkNumber, bool is_redo);
  void (*extend)(SMgrRelation, ForkNumber, BlockNumber, char*, bool skip_fsync);
  bool (*prefetch)(SMgrRelation, ForkNumber, BlockNumber);
  void (*read)(SMgrRelation, ForkNumber, BlockNumber, char*);
  void (*write)(SMgrRelation, ForkNumber, BlockNumber, char*, bool skip_fsync);
  void (*writeback)(SMgrRelation, ForkNumber, BlockNumber, BlockNumber);
  BlockNumber (*nblocks)(SMgrRelation, ForkNumber);
  void (*truncate)(SMgrRelation, ForkNumber, BlockNumber old_blocks, BlockNumber nblocks);
  void (*immedsync)(SMgrRelation, ForkNumber);
} ArgonSmgrRow;

// The server's own functions, for what lives in local files. Set by argon_swap_smgr_table.
extern ArgonSmgrRow argon_md;

// Our functions (smgr.c).
extern const ArgonSmgrRow argon_smgr_row;

// Makes memory that the loader protected after relocation writable, copies, protects it again.
// FATAL if the kernel refuses. Shared with fmgr_table.c.
void argon_overwrite_protected(void* at, const void* bytes, size_t n);

#endif
