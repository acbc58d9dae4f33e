#include "cache_map.h"

#include <sys/stat.h>
#include <unistd.h>

#include "storage/fd.h"
#include "utils/memutils.h"

#define MAGIC 0x41724d31  // "ArM1"
#define VERSION 2

StaticAssertDecl(sizeof(CacheMapEntry) == 36, "no padding, and as the head of the file says");
StaticAssertDecl(sizeof(CacheMapHeader) % 8 == 0 && sizeof(CacheMapHeader) == 4 + 4 + 36 + 36 + 8 + 8 + 4 * 4,
                 "no padding");

static char* path_of(const char* suffix) {
  return psprintf("%s%s", argon_file_cache_path, suffix);
}

static CacheMapHeader own_header(XLogRecPtr lsn, uint32 sets, uint32 clock) {
  CacheMapHeader header = {.magic = MAGIC,
                           .version = VERSION,
                           .system_id = argon_system_id,
                           .lsn = lsn,
                           .mode = (uint32)argon_mode,
                           .sets = sets,
                           .clock = clock};

  strlcpy(header.tenant, argon_tenant_id, sizeof(header.tenant));
  strlcpy(header.timeline, argon_timeline_id, sizeof(header.timeline));
  return header;
}

static char* what_is_wrong(const CacheMapHeader* header) {
  CacheMapHeader own = own_header(0, 0, 0);

  if (header->magic != MAGIC || header->version != VERSION)
    return psprintf("its map has magic %08X and version %u, expected %08X and %u", header->magic,
                    header->version, MAGIC, VERSION);
  if (memcmp(header->tenant, own.tenant, sizeof(own.tenant)) != 0 ||
      memcmp(header->timeline, own.timeline, sizeof(own.timeline)) != 0 || header->system_id != own.system_id)
    return psprintf("it is of tenant %.32s, timeline %.32s, system " UINT64_FORMAT, header->tenant,
                    header->timeline, header->system_id);
  return NULL;
}

// The whole file, whose checksum is right; NULL where it is not.
static char* read_whole(FILE* file, Size bytes) {
  char* whole = palloc_extended(bytes, MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
  pg_crc32c crc;

  if (whole == NULL) return NULL;
  INIT_CRC32C(crc);
  if (fread(whole, 1, bytes, file) == bytes) {
    COMP_CRC32C(crc, whole, bytes - sizeof(crc));
    FIN_CRC32C(crc);
    if (memcmp(&crc, whole + bytes - sizeof(crc), sizeof(crc)) == 0) return whole;
  }
  pfree(whole);
  return NULL;
}

static CacheMap* parse(char* whole, Size bytes, char** problem) {
  CacheMap* map = palloc0(sizeof(CacheMap));

  memcpy(&map->header, whole, sizeof(map->header));
  map->n = (bytes - sizeof(map->header) - sizeof(pg_crc32c)) / sizeof(CacheMapEntry);
  memmove(whole, whole + sizeof(map->header), map->n * sizeof(CacheMapEntry));
  map->entries = (CacheMapEntry*)whole;
  *problem = what_is_wrong(&map->header);
  if (*problem == NULL) return map;
  cache_map_free(map);
  return NULL;
}

CacheMap* cache_map_read(const char* suffix, char** problem) {
  const Size ends = sizeof(CacheMapHeader) + sizeof(pg_crc32c);
  char* path = path_of(suffix);
  FILE* file = AllocateFile(path, PG_BINARY_R);
  struct stat st;
  char* whole = NULL;

  *problem = NULL;
  if (file == NULL) {
    if (errno != ENOENT) *problem = psprintf("its map \"%s\" could not be opened: %m", path);
    return NULL;
  }
  if (fstat(fileno(file), &st) == 0 && st.st_size >= (off_t)ends &&
      ((Size)st.st_size - ends) % sizeof(CacheMapEntry) == 0)
    whole = read_whole(file, (Size)st.st_size);
  FreeFile(file);
  if (whole != NULL) return parse(whole, (Size)st.st_size, problem);
  *problem = psprintf("its map \"%s\" is damaged: wrong length or checksum", path);
  return NULL;
}

void cache_map_free(CacheMap* map) {
  if (map == NULL) return;
  pfree(map->entries);
  pfree(map);
}

static void put(CacheMapWriter* writer, const void* bytes, Size n) {
  if (writer->failed) return;
  COMP_CRC32C(writer->crc, bytes, n);
  writer->failed = fwrite(bytes, 1, n, writer->file) != n;
}

void cache_map_begin(CacheMapWriter* writer, const char* suffix, XLogRecPtr lsn, uint32 sets, uint32 clock) {
  CacheMapHeader header = own_header(lsn, sets, clock);

  *writer = (CacheMapWriter){.file = AllocateFile(path_of(".new"), PG_BINARY_W), .suffix = suffix};
  INIT_CRC32C(writer->crc);
  writer->failed = writer->file == NULL;
  put(writer, &header, sizeof(header));
}

void cache_map_add(CacheMapWriter* writer, uint32 place, const CachePage* page) {
  CacheMapEntry entry = {place, *page};

  put(writer, &entry, sizeof(entry));
}

bool cache_map_end(CacheMapWriter* writer) {
  pg_crc32c crc = writer->crc;

  FIN_CRC32C(crc);
  put(writer, &crc, sizeof(crc));
  if (writer->file != NULL && FreeFile(writer->file) != 0) writer->failed = true;
  return !writer->failed && cache_map_rename(".new", writer->suffix);
}

bool cache_map_exists(const char* suffix) {
  return access(path_of(suffix), F_OK) == 0;
}

bool cache_map_remove(const char* suffix) {
  return unlink(path_of(suffix)) == 0 || errno == ENOENT;
}

bool cache_map_rename(const char* from, const char* to) {
  return rename(path_of(from), path_of(to)) == 0;
}
