#include "cache_fill.h"

#include "cache_map.h"

typedef struct Row {
  RelFileNode node;
  ForkNumber fork;
  BlockNumber first;  // of a chunk
  int n;
  FileCacheMiss misses[CACHE_CHUNK_BLOCKS];
  PGAlignedBlock pages[CACHE_CHUNK_BLOCKS];
} Row;

static Row row;

void cache_fill_finish(void) {
  int n = row.n;

  row.n = 0;
  if (n > 0) file_cache_fill(row.node, row.fork, row.first, n, row.pages[0].data, row.misses);
}

static bool continues(RelFileNode node, ForkNumber fork, BlockNumber block) {
  return row.n > 0 && block == row.first + (BlockNumber)row.n && fork == row.fork &&
         RelFileNodeEquals(node, row.node);
}

void cache_fill(RelFileNode node, ForkNumber fork, BlockNumber block, const char* page, FileCacheMiss miss) {
  if (!miss.on) return;
  if (!continues(node, fork, block)) {
    cache_fill_finish();
    if (block % CACHE_CHUNK_BLOCKS != 0) {
      file_cache_fill(node, fork, block, 1, page, &miss);
      return;
    }
    row.node = node;
    row.fork = fork;
    row.first = block;
  }
  row.misses[row.n] = miss;
  memcpy(row.pages[row.n++].data, page, BLCKSZ);
  if (row.n == CACHE_CHUNK_BLOCKS) cache_fill_finish();
}
