#include "page_address.h"

#include "storage/shmem.h"

// A sequence lock, since the postmaster must wait for nobody: the version is odd while the text changes.
typedef struct SharedAddress {
  pg_atomic_uint32 version;
  char text[PAGE_ADDRESS_BYTES];
} SharedAddress;

static SharedAddress* shared;
static char before_shared_memory[PAGE_ADDRESS_BYTES];

void page_address_set(const char* address) {
  uint32 version;

  if (shared == NULL) {
    strlcpy(before_shared_memory, address, PAGE_ADDRESS_BYTES);
    return;
  }
  if (strcmp(shared->text, address) == 0) return;
  version = pg_atomic_read_u32(&shared->version);
  pg_atomic_write_u32(&shared->version, version + 1);
  pg_write_barrier();
  strlcpy(shared->text, address, PAGE_ADDRESS_BYTES);
  pg_write_barrier();
  pg_atomic_write_u32(&shared->version, version + 2);
}

uint32 page_address_get(char* out) {
  for (;;) {
    uint32 version = pg_atomic_read_u32(&shared->version);

    pg_read_barrier();
    memcpy(out, shared->text, PAGE_ADDRESS_BYTES);
    pg_read_barrier();
    if (version % 2 == 0 && pg_atomic_read_u32(&shared->version) == version) return version;
  }
}

bool page_address_is(uint32 which) {
  return pg_atomic_read_u32(&shared->version) == which;
}

Size page_address_shared_size(void) {
  return MAXALIGN(sizeof(SharedAddress));
}

void page_address_init(void) {
  bool found;

  shared = ShmemInitStruct("argon_page_address", sizeof(SharedAddress), &found);
  if (found) return;
  pg_atomic_init_u32(&shared->version, 0);
  strlcpy(shared->text, before_shared_memory, PAGE_ADDRESS_BYTES);
}
