// The extension's entry point. Everything is refused before anything is changed; after the storage
// manager table is swapped, the server's permanent relations are the pageserver's.
#include "argon.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "prewarm.h"
#include "read_lease.h"
#include "shadow.h"
#include "storage/ipc.h"
#include "wal_ship.h"

PG_MODULE_MAGIC;
void _PG_init(void);

static shmem_request_hook_type next_shmem_request;
static shmem_startup_hook_type next_shmem_startup;

static void on_shmem_request(void) {
  if (next_shmem_request != NULL) next_shmem_request();
  argon_request_shared_memory();
}

static void on_shmem_startup(void) {
  if (next_shmem_startup != NULL) next_shmem_startup();
  argon_init_shared_memory();
  argon_check_swap();
  wal_ship_at_server_exit();
}

void _PG_init(void) {
  // CREATE EXTENSION and the SQL functions load the library, too; they change nothing.
  if (!process_shared_preload_libraries_in_progress) return;
  argon_define_settings();
  argon_check_version();
  argon_find_smgr_table();
  argon_claim_data_directory();
  argon_pin_settings();
  shadow_prepare();
  argon_swap_smgr_table();
  argon_install_size_functions();
  argon_hide_own_slot();
  next_shmem_request = shmem_request_hook;
  shmem_request_hook = on_shmem_request;
  next_shmem_startup = shmem_startup_hook;
  shmem_startup_hook = on_shmem_startup;
  argon_install_guard();
  argon_install_commit_hold();
  argon_install_decode_hold();
  argon_install_backpressure();
  argon_install_explain();
  argon_install_utility_hook();
  read_lease_install();
  argon_register_wal_worker();
  prewarm_register_worker();
}
