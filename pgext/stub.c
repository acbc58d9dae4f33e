#define _GNU_SOURCE
#include "stub.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/pg_tablespace_d.h"
#include "commands/tablespace.h"
#include "common/file_perm.h"
#include "common/relpath.h"
#include "miscadmin.h"
#include "storage/fd.h"

#define SEGMENT_BYTES ((off_t)RELSEG_SIZE * BLCKSZ)

static void segment_path(char* out, RelFileNode node, ForkNumber fork, uint32 segment) {
  char* path = relpathperm(node, fork);

  if (segment == 0)
    strlcpy(out, path, MAXPGPATH);
  else
    snprintf(out, MAXPGPATH, "%s.%u", path, segment);
  pfree(path);
}

bool stub_exists(RelFileNode node, ForkNumber fork) {
  char path[MAXPGPATH];

  segment_path(path, node, fork, 0);
  return access(path, F_OK) == 0;
}

static void fail(const char* path, const char* what) {
  ereport(ERROR,
          (errcode_for_file_access(), errmsg("argon: could not %s local file \"%s\": %m", what, path)));
}

// Opens, makes at least that long, closes.
static void set_length(const char* path, int flags, off_t bytes) {
  struct stat st;
  int fd = OpenTransientFile(path, O_RDWR | PG_BINARY | flags);

  if (fd < 0) fail(path, "open");
  if (fstat(fd, &st) != 0) fail(path, "stat");
  if (st.st_size < bytes && ftruncate(fd, bytes) != 0) fail(path, "extend");
  CloseTransientFile(fd);
}

void stub_make(RelFileNode node, ForkNumber fork, BlockNumber nblocks) {
  char path[MAXPGPATH];
  char temporary[MAXPGPATH + 32];
  uint32 last = nblocks / RELSEG_SIZE;

  TablespaceCreateDbspace(node.spcNode, node.dbNode, false);
  for (uint32 segment = 1; segment <= last; segment++) {
    off_t bytes = segment < last ? SEGMENT_BYTES : (off_t)(nblocks % RELSEG_SIZE) * BLCKSZ;

    segment_path(path, node, fork, segment);
    if (bytes > 0) set_length(path, O_CREAT, bytes);
  }
  segment_path(path, node, fork, 0);
  snprintf(temporary, sizeof(temporary), "%s.argon%d", path, MyProcPid);
  unlink(temporary);
  set_length(temporary, O_CREAT | O_EXCL, last > 0 ? SEGMENT_BYTES : (off_t)nblocks * BLCKSZ);
  if (link(temporary, path) != 0 && errno != EEXIST) {
    int error = errno;

    unlink(temporary);
    errno = error;
    fail(path, "create");
  }
  unlink(temporary);
}

void stub_extend(RelFileNode node, ForkNumber fork, BlockNumber nblocks) {
  char path[MAXPGPATH];
  uint32 last = (nblocks - 1) / RELSEG_SIZE;

  for (uint32 segment = last; segment > 0; segment--) {
    struct stat st;

    segment_path(path, node, fork, segment - 1);
    if (stat(path, &st) == 0 && st.st_size == SEGMENT_BYTES) break;
    set_length(path, segment > 1 ? O_CREAT : 0, SEGMENT_BYTES);
  }
  segment_path(path, node, fork, last);
  set_length(path, last > 0 ? O_CREAT : 0, (off_t)((nblocks - 1) % RELSEG_SIZE + 1) * BLCKSZ);
}

BlockNumber stub_blocks(RelFileNode node, ForkNumber fork) {
  BlockNumber nblocks = 0;

  for (uint32 segment = 0;; segment++) {
    char path[MAXPGPATH];
    struct stat st;

    segment_path(path, node, fork, segment);
    if (stat(path, &st) != 0) return nblocks;
    nblocks += (BlockNumber)(st.st_size / BLCKSZ);
    if (st.st_size < SEGMENT_BYTES) return nblocks;
  }
}

void stub_punch(RelFileNode node, ForkNumber fork, BlockNumber block) {
  char path[MAXPGPATH];
  int fd;

  segment_path(path, node, fork, block / RELSEG_SIZE);
  fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  (void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(block % RELSEG_SIZE) * BLCKSZ,
                  BLCKSZ);
  close(fd);
}
