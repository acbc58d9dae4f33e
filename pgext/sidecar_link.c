#include "sidecar_link.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "libpq/pqformat.h"
#include "port/pg_bswap.h"
#include "read_lease.h"
#include "utils/memutils.h"

#define MAX_FRAME (64 * 1024)  // the sidecar sends small frames only

static bool broken(SidecarLink* link, const char* what) {
  int error = errno;

  snprintf(link->problem, sizeof(link->problem), "%s \"%s\": %s", what, argon_sidecar_socket,
           error != 0 ? strerror(error) : "connection closed");
  sidecar_close(link);
  return false;
}

void sidecar_close(SidecarLink* link) {
  if (link->socket >= 0) close(link->socket);
  link->socket = -1;
  if (link->out.data == NULL) return;  // it never was open
  resetStringInfo(&link->out);
  resetStringInfo(&link->in);
}

static void begin_frame(SidecarLink* link, char tag, uint32 body_bytes) {
  // What was sent is dropped before more is added.
  if (link->out.cursor == link->out.len) resetStringInfo(&link->out);
  pq_sendint32(&link->out, body_bytes + 1);
  pq_sendbyte(&link->out, (uint8)tag);
}

void sidecar_queue_wal(SidecarLink* link, XLogRecPtr begin, const char* bytes, int n) {
  begin_frame(link, 'W', (uint32)n + 8);
  pq_sendint64(&link->out, begin);
  appendBinaryStringInfo(&link->out, bytes, n);
}

void sidecar_queue_lsn(SidecarLink* link, char tag, XLogRecPtr lsn) {
  begin_frame(link, tag, 8);
  pq_sendint64(&link->out, lsn);
}

void sidecar_queue_reads_question(SidecarLink* link, uint64 now_us, uint32 patience_ms) {
  begin_frame(link, 'L', 8 + 4);
  pq_sendint64(&link->out, now_us);
  pq_sendint32(&link->out, patience_ms);
}

static void queue_hello(SidecarLink* link) {
  begin_frame(link, 'H', 4 + 4 + 8 + 8);
  pq_sendint32(&link->out, SIDECAR_PROTOCOL);
  pq_sendint32(&link->out, (uint32)PG_VERSION_NUM);
  pq_sendint64(&link->out, argon_system_id);
  pq_sendint64(&link->out, argon_start_lsn);
}

bool sidecar_flush(SidecarLink* link) {
  while (sidecar_has_output(link)) {
    ssize_t n = send(link->socket, link->out.data + link->out.cursor,
                     (size_t)(link->out.len - link->out.cursor), MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
    if (n < 0) return broken(link, "could not write to the sidecar");
    link->out.cursor += (int)n;
  }
  return true;
}

// Takes in what the socket has. False when the link broke.
static bool fill(SidecarLink* link) {
  for (;;) {
    char buffer[4096];
    ssize_t n = recv(link->socket, buffer, sizeof(buffer), MSG_DONTWAIT);

    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
    if (n == 0) errno = 0;
    if (n <= 0) return broken(link, "could not read from the sidecar");
    appendBinaryStringInfo(&link->in, buffer, (int)n);
    if (link->in.len > 4 * MAX_FRAME) return true;
  }
}

// A whole frame out of the input: its tag, body and length. False if there is none yet.
static bool take_frame(SidecarLink* link, char* tag, const char** body, uint32* body_bytes) {
  uint32 length;

  if (link->in.len - link->in.cursor < 5) return false;
  memcpy(&length, link->in.data + link->in.cursor, 4);
  length = pg_ntoh32(length);
  if (length < 1 || length > MAX_FRAME) {
    errno = EPROTO;
    return broken(link, "frame of impossible length from the sidecar");
  }
  if ((uint32)(link->in.len - link->in.cursor) < 4 + length) return false;
  *tag = link->in.data[link->in.cursor + 4];
  *body = link->in.data + link->in.cursor + 5;
  *body_bytes = length - 1;
  link->in.cursor += 4 + (int)length;
  return true;
}

static void drop_consumed(SidecarLink* link) {
  int left = link->in.len - link->in.cursor;

  memmove(link->in.data, link->in.data + link->in.cursor, (size_t)left);
  link->in.len = left;
  link->in.data[left] = '\0';
  link->in.cursor = 0;
}

static XLogRecPtr lsn_at(const char* at) {
  uint64 lsn;

  memcpy(&lsn, at, sizeof(lsn));
  return pg_ntoh64(lsn);
}

SidecarEvent sidecar_next(SidecarLink* link, SidecarPositions* positions) {
  const char* body;
  uint32 n;
  char tag;

  drop_consumed(link);
  if (!fill(link)) return SIDECAR_BROKEN;
  do {
    if (!take_frame(link, &tag, &body, &n)) return link->socket < 0 ? SIDECAR_BROKEN : SIDECAR_NOTHING;
    if (tag == 'l' && n == 8) read_lease_confirmed(lsn_at(body));
  } while (tag == 'l' && n == 8);
  if (tag == 'P' && n == 40) {
    *positions = (SidecarPositions){lsn_at(body), lsn_at(body + 8), lsn_at(body + 16), lsn_at(body + 24),
                                    lsn_at(body + 32)};
    return SIDECAR_POSITIONS;
  }
  if (tag == 'X') {
    snprintf(link->problem, sizeof(link->problem), "%.*s", (int)n, body);
    return SIDECAR_STOP;
  }
  errno = EPROTO;
  broken(link, "unknown frame from the sidecar");
  return SIDECAR_BROKEN;
}

static bool connect_socket(SidecarLink* link) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};

  if (argon_sidecar_socket[0] == '\0') {
    snprintf(link->problem, sizeof(link->problem), "argon.sidecar_socket is not set");
    return false;
  }
  if (strlcpy(address.sun_path, argon_sidecar_socket, sizeof(address.sun_path)) >= sizeof(address.sun_path)) {
    errno = ENAMETOOLONG;
    return broken(link, "could not connect to the sidecar at");
  }
  link->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (link->socket < 0) return broken(link, "could not make a socket for the sidecar at");
  if (connect(link->socket, (struct sockaddr*)&address, sizeof(address)) != 0)
    return broken(link, "could not connect to the sidecar at");
  return true;
}

static bool take_hello(SidecarLink* link, const char* body, uint32 n, bool* refused, XLogRecPtr* ship_from) {
  uint32 protocol;

  if (n < 13) {
    errno = EPROTO;
    return broken(link, "short answer from the sidecar at");
  }
  memcpy(&protocol, body, 4);
  *ship_from = lsn_at(body + 4);
  if (body[12] != 0 && pg_ntoh32(protocol) == SIDECAR_PROTOCOL) return true;
  *refused = true;
  if (body[12] == 0)
    snprintf(link->problem, sizeof(link->problem), "the sidecar refuses this server: %.*s", (int)(n - 13),
             body + 13);
  else
    snprintf(link->problem, sizeof(link->problem), "the sidecar speaks protocol %u, this server %d",
             pg_ntoh32(protocol), SIDECAR_PROTOCOL);
  sidecar_close(link);
  return false;
}

bool sidecar_open(SidecarLink* link, int timeout_ms, bool* refused, XLogRecPtr* ship_from) {
  int64 deadline = argon_monotonic_ms() + timeout_ms;
  const char* body;
  uint32 n;
  char tag;

  *refused = false;
  link->socket = -1;
  if (link->out.data == NULL) {
    MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);

    initStringInfo(&link->out);
    initStringInfo(&link->in);
    MemoryContextSwitchTo(caller);
  }
  if (!connect_socket(link)) return false;
  queue_hello(link);
  for (;;) {
    int64 left = deadline - argon_monotonic_ms();
    struct pollfd wait = {.fd = link->socket, .events = POLLIN};

    if (!sidecar_flush(link) || !fill(link)) return false;
    if (take_frame(link, &tag, &body, &n)) break;
    if (link->socket < 0) return false;
    errno = ETIMEDOUT;
    if (left <= 0) return broken(link, "no answer from the sidecar at");
    if (sidecar_has_output(link)) wait.events |= POLLOUT;
    (void)poll(&wait, 1, (int)Min(left, 100));
  }
  if (tag != 'h') {
    errno = EPROTO;
    return broken(link, "unknown answer from the sidecar at");
  }
  return take_hello(link, body, n, refused, ship_from);
}
