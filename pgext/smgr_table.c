// Finds the storage manager table of the running server and swaps its functions.
//
// PostgreSQL has no hook for it. smgrsw[] is a static const array of one row in the executable's
// .data.rel.ro; all but one of its functions are exported, so the row is known by its contents.
// Exactly one match is demanded: with none or several the server refuses to start. The swap is done
// in the postmaster before the first child is forked; smgr.c checks afterwards that calls really
// arrive (a build that inlined them would pass the table by).
#define _GNU_SOURCE
#include "smgr_row.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include "storage/md.h"

ArgonSmgrRow argon_md;

static ArgonSmgrRow* row;  // in the server's table

typedef struct Search {
  ArgonSmgrRow want;
  ArgonSmgrRow* found;
  int matches;
} Search;

static int search_segments(struct dl_phdr_info* info, size_t size, void* arg) {
  Search* search = arg;

  (void)size;
  if (info->dlpi_name != NULL && info->dlpi_name[0] != '\0') return 0;  // the main program only
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr)* segment = &info->dlpi_phdr[i];
    char* at = (char*)info->dlpi_addr + segment->p_vaddr;
    char* end = at + segment->p_memsz - sizeof(search->want);

    // .data.rel.ro lies in a writable segment and is protected only after relocation.
    if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_W)) continue;
    for (at = (char*)TYPEALIGN(sizeof(void*), at); at <= end; at += sizeof(void*))
      if (memcmp(at, &search->want, sizeof(search->want)) == 0) {
        search->found = (ArgonSmgrRow*)at;
        search->matches++;
      }
  }
  return 0;
}

void argon_overwrite_protected(void* at, const void* bytes, size_t n) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  uintptr_t start = (uintptr_t)at & ~(page - 1);
  size_t len = (((uintptr_t)at + n + page - 1) & ~(page - 1)) - start;

  if (mprotect((void*)start, len, PROT_READ | PROT_WRITE) != 0)
    ereport(FATAL, (errmsg("argon: cannot make the server's function table writable: %m")));
  memcpy(at, bytes, n);
  if (mprotect((void*)start, len, PROT_READ) != 0)
    ereport(FATAL, (errmsg("argon: cannot protect the server's function table again: %m")));
}

void argon_find_smgr_table(void) {
  Search search = {.want = {.init = mdinit,
                            .shutdown = NULL,
                            .open = mdopen,
                            .close = mdclose,
                            .create = mdcreate,
                            .exists = mdexists,
                            .unlink = mdunlink,
                            .extend = mdextend,
                            .prefetch = mdprefetch,
                            .read = mdread,
                            .write = mdwrite,
                            .writeback = mdwriteback,
                            .nblocks = mdnblocks,
                            .truncate = mdtruncate,
                            .immedsync = mdimmedsync}};

  dl_iterate_phdr(search_segments, &search);
  if (search.matches != 1)
    ereport(
        FATAL,
        (errmsg("argon: the storage manager table of this build of PostgreSQL was found %d times, not once",
                search.matches),
         errhint("Argon runs on Debian's postgresql-15 from 15.13 on; this server was built differently, "
                 "or another library replaced its storage manager first.")));
  row = search.found;
  argon_md = *row;
}

void argon_swap_smgr_table(void) {
  argon_overwrite_protected(row, &argon_smgr_row, sizeof(argon_smgr_row));
}
