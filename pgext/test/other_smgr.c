// Test library: stands for another extension that replaced a storage manager function first, so
// that the table's contents are no longer the server's.
#define _GNU_SOURCE
#include "postgres.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fmgr.h"
#include "storage/md.h"

PG_MODULE_MAGIC;
void _PG_init(void);

static void other_write(SMgrRelation reln, ForkNumber fork, BlockNumber block, char* page, bool skip_fsync) {
  mdwrite(reln, fork, block, page, skip_fsync);
}

static int replace_write(struct dl_phdr_info* info, size_t size, void* arg) {
  void* pair[2] = {(void*)mdread, (void*)mdwrite};
  uintptr_t page_size = (uintptr_t)sysconf(_SC_PAGESIZE);

  (void)size;
  (void)arg;
  if (info->dlpi_name != NULL && info->dlpi_name[0] != '\0') return 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr)* segment = &info->dlpi_phdr[i];
    char* at = (char*)info->dlpi_addr + segment->p_vaddr;

    if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_W)) continue;
    for (char* end = at + segment->p_memsz - sizeof(pair); at <= end; at += sizeof(void*))
      if (memcmp(at, pair, sizeof(pair)) == 0) {
        void* start = (void*)((uintptr_t)at & ~(page_size - 1));

        if (mprotect(start, 2 * page_size, PROT_READ | PROT_WRITE) != 0) elog(FATAL, "mprotect: %m");
        ((void**)at)[1] = (void*)other_write;
      }
  }
  return 0;
}

void _PG_init(void) {
  dl_iterate_phdr(replace_write, NULL);
}
