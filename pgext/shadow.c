#include "shadow.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/brin_page.h"
#include "access/brin_xlog.h"
#include "access/bufmask.h"
#include "access/ginblock.h"
#include "access/ginxlog.h"
#include "access/gist_private.h"
#include "access/gistxlog.h"
#include "access/hash.h"
#include "access/hash_xlog.h"
#include "access/heapam_xlog.h"
#include "access/nbtree.h"
#include "access/nbtxlog.h"
#include "access/spgist_private.h"
#include "access/spgxlog.h"
#include "commands/sequence.h"
#include "common/file_perm.h"
#include "storage/bufpage.h"
#include "storage/fd.h"

#define SHADOW_FOLDER "argon_shadow"

static void shadow_path(char* out, size_t n, RelFileNode node, ForkNumber fork, const char* suffix) {
  snprintf(out, n, SHADOW_FOLDER "/%u_%u_%u_%d%s", node.spcNode, node.dbNode, node.relNode, (int)fork,
           suffix);
}

void shadow_prepare(void) {
  if (!argon_shadow) return;
  if (mkdir(SHADOW_FOLDER, pg_dir_create_mode) != 0 && errno != EEXIST)
    ereport(FATAL,
            (errcode_for_file_access(), errmsg("argon: could not create folder \"%s\": %m", SHADOW_FOLDER)));
}

static void write_block(const char* path, off_t at, const char* page) {
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, pg_file_create_mode);
  ssize_t written;

  if (fd < 0) ereport(ERROR, (errcode_for_file_access(), errmsg("argon: could not open \"%s\": %m", path)));
  written = pwrite(fd, page, BLCKSZ, at);
  close(fd);
  if (written != BLCKSZ)
    ereport(ERROR, (errcode_for_file_access(), errmsg("argon: could not write \"%s\": %m", path)));
}

void shadow_write(RelFileNode node, ForkNumber fork, BlockNumber block, const char* page) {
  char path[MAXPGPATH];

  if (!argon_shadow) return;
  shadow_path(path, sizeof(path), node, fork, "");
  write_block(path, (off_t)block * BLCKSZ, page);
}

void shadow_forget(RelFileNode node, ForkNumber fork, BlockNumber from) {
  char path[MAXPGPATH];

  if (!argon_shadow) return;
  shadow_path(path, sizeof(path), node, fork, "");
  if (from == 0)
    (void)unlink(path);
  else
    (void)truncate(path, (off_t)from * BLCKSZ);
}

void shadow_forget_database(Oid database) {
  struct dirent* entry;
  DIR* folder;

  if (!argon_shadow) return;
  folder = AllocateDir(SHADOW_FOLDER);
  while ((entry = ReadDir(folder, SHADOW_FOLDER)) != NULL) {
    char path[MAXPGPATH];
    Oid of;

    if (sscanf(entry->d_name, "%*u_%u_", &of) != 1 || of != database) continue;
    snprintf(path, sizeof(path), SHADOW_FOLDER "/%s", entry->d_name);
    (void)unlink(path);
  }
  FreeDir(folder);
}

static uint16 last_two_bytes(const char* page) {
  uint16 id;

  memcpy(&id, page + BLCKSZ - sizeof(id), sizeof(id));
  return id;
}

// Vacuum of minor releases up to 15.18 sets a flag that later ones do not and nobody reads; redo never sets
// it (core/pg/redo/gist.cc).
static void mask_gist(char* page, BlockNumber block) {
  gist_mask(page, block);
  GistPageGetOpaque(page)->flags &= ~F_TUPLES_DELETED;
}

// The last used pages are hints. An image that was logged for want of room has another LSN than what was
// evicted, as with every other page.
static void mask_spgist_metapage(char* page) {
  mask_page_lsn_and_checksum(page);
  memset(SpGistPageGetMeta(page), 0, sizeof(SpGistMetaPageData));
}

static void mask_main_fork(char* page, BlockNumber block) {
  uint16 id = last_two_bytes(page);

  switch (BLCKSZ - ((PageHeader)page)->pd_special) {
    case 0:
      heap_mask(page, block);
      break;
    case MAXALIGN(sizeof(BTPageOpaqueData)):
      if (id == HASHO_PAGE_ID)
        hash_mask(page, block);
      else if (id == GIST_PAGE_ID)
        mask_gist(page, block);
      else
        btree_mask(page, block);
      break;
    default:
      if (id == SPGIST_PAGE_ID && block == SPGIST_METAPAGE_BLKNO)
        mask_spgist_metapage(page);
      else if (id == SPGIST_PAGE_ID)
        spg_mask(page, block);
      else if (id == BRIN_PAGETYPE_META || id == BRIN_PAGETYPE_REVMAP || id == BRIN_PAGETYPE_REGULAR)
        brin_mask(page, block);
      else if (*(uint32*)(page + ((PageHeader)page)->pd_special) == 0x1717 && block == 0)
        seq_mask(page, block);
      else
        gin_mask(page, block);
  }
}

static void mask(char* page, ForkNumber fork, BlockNumber block) {
  // A visibility map page that was made but says nothing is as good as a zero page, so its header
  // does not count.
  if (fork != MAIN_FORKNUM)
    memset(page, 0, MAXALIGN(SizeOfPageHeaderData));
  else if (!PageIsNew(page))
    mask_main_fork(page, block);
}

// Where the pages differ, or -1. CREATE DATABASE logs images of the map whose bits lie in the hole of
// the image, and so are lost to everybody who only has the WAL: a missing bit is no harm, a bit too many is.
static int first_difference(ForkNumber fork, const char* kept, const char* given) {
  for (int i = 0; i < BLCKSZ; i++)
    if (fork == VISIBILITYMAP_FORKNUM ? (given[i] & ~kept[i]) != 0 : given[i] != kept[i]) return i;
  return -1;
}

static void report(RelFileNode node, ForkNumber fork, BlockNumber block, const char* kept, const char* given,
                   int at) {
  char path[MAXPGPATH];

  shadow_path(path, sizeof(path), node, fork, psprintf("_%u.kept", block));
  write_block(path, 0, kept);
  shadow_path(path, sizeof(path), node, fork, psprintf("_%u.given", block));
  write_block(path, 0, given);
  ereport(
      ERROR,
      (errcode(ERRCODE_DATA_CORRUPTED),
       errmsg("argon shadow: " ARGON_REL_FORMAT " block %u differs from what was evicted, first at byte %d",
              ARGON_REL_ARGS(node, fork), block, at),
       errdetail("Evicted with LSN %X/%X, given with LSN %X/%X; both pages are in \"%s\" and beside it.",
                 LSN_FORMAT_ARGS(PageGetLSN(kept)), LSN_FORMAT_ARGS(PageGetLSN(given)), path)));
}

static bool read_kept(RelFileNode node, ForkNumber fork, BlockNumber block, char* kept) {
  char path[MAXPGPATH];
  ssize_t n;
  int fd;

  shadow_path(path, sizeof(path), node, fork, "");
  fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  n = pread(fd, kept, BLCKSZ, (off_t)block * BLCKSZ);
  close(fd);
  // A hole is a block that was never evicted.
  return n == BLCKSZ && !PageIsNew(kept);
}

void shadow_compare(RelFileNode node, ForkNumber fork, BlockNumber block, const char* page) {
  PGAlignedBlock kept;
  PGAlignedBlock masked_kept;
  PGAlignedBlock masked_given;
  int at;

  // The free space map is a hint; its newest version may never have been logged.
  if (!argon_shadow || fork == FSM_FORKNUM || !read_kept(node, fork, block, kept.data)) return;
  argon_count(ARGON_SHADOW_COMPARES);
  memcpy(masked_kept.data, kept.data, BLCKSZ);
  memcpy(masked_given.data, page, BLCKSZ);
  mask(masked_kept.data, fork, block);
  mask(masked_given.data, fork, block);
  at = first_difference(fork, masked_kept.data, masked_given.data);
  if (at >= 0) report(node, fork, block, kept.data, page, at);
}
