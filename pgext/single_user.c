#include "single_user.h"

#include <poll.h>
#include <unistd.h>

#include "access/xlog.h"
#include "miscadmin.h"
#include "read_lease.h"
#include "wal_ship.h"

#define HELLO_MS 5000
#define ANSWER_MS 100
#define BACK_OFF_US 50000

static WalShipper shipper = {.link = {.socket = -1}};

bool single_user_ships(void) {
  return argon_mode == ARGON_PRIMARY && !IsPostmasterEnvironment && !IsUnderPostmaster;
}

// As a server that is told to stop at once: nothing is written, nothing acknowledged.
static void end_fenced(const char* why) {
  wal_ship_fence(why);
  _exit(2);
}

static bool connect_to_sidecar(void) {
  bool refused = false;

  if (shipper.link.socket >= 0 || wal_ship_open(&shipper, HELLO_MS, &refused)) return true;
  if (refused) end_fenced(shipper.link.problem);
  return false;
}

static bool listen_to_sidecar(void) {
  SidecarPositions positions;

  for (;;) {
    switch (sidecar_next(&shipper.link, &positions)) {
      case SIDECAR_NOTHING:
        return true;
      case SIDECAR_POSITIONS:
        wal_ship_note_positions(&positions);
        break;
      case SIDECAR_STOP:
        end_fenced(shipper.link.problem);
        break;
      case SIDECAR_BROKEN:
        return false;
    }
  }
}

static bool exchange(XLogRecPtr upto) {
  if (connect_to_sidecar() && listen_to_sidecar() && wal_ship_pump(&shipper, upto)) return true;
  ereport(LOG, (errmsg("argon: %s", shipper.link.problem)));
  wal_ship_close(&shipper);
  return false;
}

// Until the socket takes or brings something.
static void wait_for_sidecar(int ms) {
  struct pollfd wait = {.fd = shipper.link.socket, .events = POLLIN};

  if (sidecar_has_output(&shipper.link)) wait.events |= POLLOUT;
  (void)poll(&wait, 1, ms);
}

void single_user_exchange(int wait_ms) {
  if (!exchange(GetFlushRecPtr(NULL)))
    pg_usleep(Min(wait_ms * 1000L, BACK_OFF_US));
  else if (wait_ms > 0)
    wait_for_sidecar(wait_ms);
}

static bool was_sent(XLogRecPtr lsn) {
  return shipper.link.socket >= 0 && shipper.next >= lsn && !sidecar_has_output(&shipper.link);
}

void single_user_ship(XLogRecPtr upto) {
  while (!was_sent(upto)) {
    if (!exchange(upto))
      pg_usleep(BACK_OFF_US);
    else if (!was_sent(upto))
      wait_for_sidecar(ANSWER_MS);
  }
}

void single_user_wait_for_quorum(XLogRecPtr lsn) {
  while (pg_atomic_read_u64(&argon_shared->commit_lsn) < lsn) {
    if (!exchange(lsn))
      pg_usleep(BACK_OFF_US);
    else if (pg_atomic_read_u64(&argon_shared->commit_lsn) < lsn)
      wait_for_sidecar(ANSWER_MS);
  }
}

void single_user_confirm_reads(void) {
  static uint64 asked_us;
  bool linked = shipper.link.socket >= 0;

  if (!connect_to_sidecar()) {
    pg_usleep(BACK_OFF_US);
    return;
  }
  if (!linked) asked_us = 0;
  read_lease_ask(&shipper.link, &asked_us);
  if (exchange(GetFlushRecPtr(NULL))) wait_for_sidecar(ANSWER_MS);
  if (shipper.link.socket >= 0) (void)exchange(GetFlushRecPtr(NULL));
}

void single_user_stop_shipping(void) {
  wal_ship_close(&shipper);
}
