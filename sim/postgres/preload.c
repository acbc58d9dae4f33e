/* LD_PRELOAD for a stock `postgres --single` that is a node of a simulated world: whatever it asks of the
 * outside is answered by the simulator, over one socket (protocol.h), so that it runs the same way every
 * time.
 *
 * - Clocks stand still but in answers. Random numbers come from a seed. The process id is fixed.
 * - connect() makes a socket pair inside the process; one end takes the descriptor's place, what is read from
 * and written to the other goes through the simulator. So polling and all socket options are the kernel's
 * own. It succeeds at once; whom nobody answers, or nobody knows, is a connection that ends.
 * - What would wait (poll, epoll_wait, select, nanosleep) asks first whether it must, then waits for the
 * simulator.
 * - getc(stdin) is the next statement.
 * - setitimer() is kept; SIGALRM comes with the answer that is at or behind its time.
 * - A signal from outside comes with a statement, before that. kill() of the process group, which is the
 * simulator's, is of this process alone: a server without a postmaster, whose id is 0 then, sends it SIGHUP
 * for pg_reload_conf().
 * - What the server leaves on its stack may come out again, as padding in WAL: so nothing that differs
 * between two runs may come to lie there. Inodes, times of files, resource usage and senders of signals are
 * made up.
 * - Directories are read in order. System V shared memory is ordinary memory: a killed server leaves none
 * behind.
 *
 * Without a control socket (for initdb) the clock ticks by 10 us a look, and nothing may be connected to.
 */
#define _GNU_SOURCE
#include "protocol.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define FAKE_PID 4242
#define TICK_NS 10000
#define FIRST_WALL_NS 1700000000000000000LL
#define CONNECTIONS 64
#define NAMES 32
#define NAME_BYTES 64
#define SECOND_NS 1000000000LL

static int control = -1;
static uint64_t random_state = 88172645463325252ULL;
static int64_t monotonic_ns = SECOND_NS;
static int64_t wall_ns = FIRST_WALL_NS;
static int signal_fd = -1;
static int64_t alarm_ns; /* of the monotonic clock; 0: none */

static void die(const char* what) {
  dprintf(2, "argon-sim preload: %s: %s\n", what, strerror(errno));
  _exit(70);
}

/* ---- buffers and the control socket */

typedef struct Buffer {
  char* bytes;
  size_t begin, end, room;
} Buffer;

static size_t left_in(const Buffer* buffer) {
  return buffer->end - buffer->begin;
}

static char* room_for(Buffer* buffer, size_t n) {
  if (buffer->begin == buffer->end) buffer->begin = buffer->end = 0;
  if (buffer->room - buffer->end < n) {
    buffer->room = (buffer->end + n) * 2;
    buffer->bytes = realloc(buffer->bytes, buffer->room);
    if (buffer->bytes == NULL) die("out of memory");
  }
  return buffer->bytes + buffer->end;
}

static void append(Buffer* buffer, const void* bytes, size_t n) {
  if (n == 0) return;
  memcpy(room_for(buffer, n), bytes, n);
  buffer->end += n;
}

static void put_item(Buffer* frame, uint32_t kind, uint32_t connection, const void* bytes, size_t n) {
  SimItem item = {kind, connection, (uint32_t)n};

  append(frame, &item, sizeof item);
  append(frame, bytes, n);
}

static void send_all(const char* bytes, size_t n) {
  while (n > 0) {
    ssize_t done = syscall(SYS_write, control, bytes, n);

    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) _exit(71); /* the simulator has ended */
    bytes += done;
    n -= (size_t)done;
  }
}

static void receive_all(char* bytes, size_t n) {
  while (n > 0) {
    ssize_t done = syscall(SYS_read, control, bytes, n);

    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) _exit(71);
    bytes += done;
    n -= (size_t)done;
  }
}

/* ---- connections */

typedef struct Connection {
  uint32_t id; /* 0: free */
  int inner;   /* the simulator's end of the pair; -1: closed, since the peer did */
  int64_t space;
  int peer_closed;
  Buffer pending; /* from the peer; what the pair does not take yet */
} Connection;

static Connection connections[CONNECTIONS];
static uint32_t last_connection;
static Buffer opened; /* SIM_OPEN items of the next frame */

static Connection* find_connection(uint32_t id) {
  for (int i = 0; i < CONNECTIONS; i++)
    if (connections[i].id == id) return &connections[i];
  return NULL;
}

static void forget(Connection* connection) {
  if (connection->inner >= 0) close(connection->inner);
  free(connection->pending.bytes);
  *connection = (Connection){.inner = -1};
}

/* Hands on what came from the peer. */
static void flush_pending(void) {
  for (int i = 0; i < CONNECTIONS; i++) {
    Connection* c = &connections[i];

    if (c->id == 0 || c->inner < 0) continue;
    while (left_in(&c->pending) > 0) {
      ssize_t n = send(c->inner, c->pending.bytes + c->pending.begin, left_in(&c->pending),
                       MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
      if (n < 0) c->pending.begin = c->pending.end = 0; /* the server has closed it */
      if (n > 0) c->pending.begin += (size_t)n;
    }
    if (c->peer_closed && left_in(&c->pending) == 0) forget(c);
  }
}

/* What the server wrote, and whether it closed. */
static void collect(Connection* c, Buffer* frame) {
  while (c->inner >= 0 && !c->peer_closed && c->space > 0) {
    char bytes[16384];
    size_t most = c->space < (int64_t)sizeof bytes ? (size_t)c->space : sizeof bytes;
    ssize_t n = recv(c->inner, bytes, most, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (n <= 0) {
      put_item(frame, SIM_CLOSE, c->id, NULL, 0);
      forget(c);
      return;
    }
    put_item(frame, SIM_DATA, c->id, bytes, (size_t)n);
    c->space -= n;
  }
}

/* ---- one request */

static Buffer statement;
static int input_ended;
static int32_t signalled; /* 0: not */

static void take_item(const SimItem* item, const char* bytes) {
  Connection* c = item->connection != 0 ? find_connection(item->connection) : NULL;

  switch (item->kind) {
    case SIM_TIME:
      memcpy(&monotonic_ns, bytes, sizeof monotonic_ns);
      memcpy(&wall_ns, bytes + sizeof monotonic_ns, sizeof wall_ns);
      break;
    case SIM_STATEMENT:
      append(&statement, bytes, item->bytes);
      input_ended = item->bytes == 0;
      break;
    case SIM_DATA:
      if (c != NULL) append(&c->pending, bytes, item->bytes);
      break;
    case SIM_CLOSE:
      if (c != NULL) c->peer_closed = 1;
      break;
    case SIM_SPACE:
      if (c != NULL) {
        uint32_t space;

        memcpy(&space, bytes, sizeof space);
        c->space = space;
      }
      break;
    case SIM_SIGNAL:
      memcpy(&signalled, bytes, sizeof signalled);
      break;
    default:
      errno = EPROTO;
      die("unknown item from the simulator");
  }
}

/* `output`: items that go before. */
static void exchange(uint32_t kind, const void* body, size_t n, const char* output, size_t output_bytes) {
  static Buffer frame, answer;
  SimItem item;
  uint32_t length = 0;
  size_t at = 0;

  frame.begin = frame.end = answer.begin = answer.end = 0;
  append(&frame, &length, sizeof length);
  append(&frame, opened.bytes + opened.begin, left_in(&opened));
  opened.begin = opened.end = 0;
  for (int i = 0; i < CONNECTIONS; i++)
    if (connections[i].id != 0) collect(&connections[i], &frame);
  append(&frame, output, output_bytes);
  put_item(&frame, kind, 0, body, n);
  length = (uint32_t)(frame.end - sizeof length);
  memcpy(frame.bytes, &length, sizeof length);
  send_all(frame.bytes, frame.end);

  receive_all((char*)&length, sizeof length);
  receive_all(room_for(&answer, length), length);
  while (at < length) {
    memcpy(&item, answer.bytes + at, sizeof item);
    take_item(&item, answer.bytes + at + sizeof item);
    at += sizeof item + item.bytes;
  }
  flush_pending();
}

/* Not by the kernel, which would put the true process id on the stack. */
static void call_handler(int signal) {
  struct sigaction action;

  sigaction(signal, NULL, &action);
  if (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN) action.sa_handler(signal);
}

/* True where the alarm's time had come. */
static int deliver_alarm(void) {
  if (alarm_ns == 0 || monotonic_ns < alarm_ns) return 0;
  alarm_ns = 0;
  call_handler(SIGALRM);
  return 1;
}

/* Until `ready` says something else than 0, at most so long (-1: for ever). Then what it said, or 0; -1 with
 * EINTR behind a signal. */
static int wait_for(int64_t timeout_ns, int (*ready)(void*), void* what) {
  int64_t until = timeout_ns < 0 ? -1 : monotonic_ns + timeout_ns;

  for (;;) {
    int64_t wait;
    int said;

    flush_pending();
    said = ready(what);
    if (said != 0 || (until >= 0 && monotonic_ns >= until)) return said;
    if (control < 0) { /* time goes on by itself */
      monotonic_ns += timeout_ns < 0 ? SECOND_NS : timeout_ns;
      wall_ns += timeout_ns < 0 ? SECOND_NS : timeout_ns;
      continue;
    }
    wait = until < 0 ? -1 : until - monotonic_ns;
    if (alarm_ns != 0 && (wait < 0 || alarm_ns - monotonic_ns < wait)) wait = alarm_ns - monotonic_ns;
    exchange(SIM_WAIT, &wait, sizeof wait, NULL, 0);
    if (deliver_alarm()) {
      errno = EINTR;
      return -1;
    }
  }
}

/* ---- what waits */

typedef struct Polled {
  struct pollfd* fds;
  nfds_t n;
} Polled;

static int poll_now(void* what) {
  struct timespec none = {0, 0};
  Polled* polled = what;

  return (int)syscall(SYS_ppoll, polled->fds, polled->n, &none, NULL, 0);
}

int poll(struct pollfd* fds, nfds_t n, int timeout_ms) {
  Polled polled = {fds, n};

  return wait_for(timeout_ms < 0 ? -1 : timeout_ms * 1000000LL, poll_now, &polled);
}

int __poll_chk(struct pollfd* fds, nfds_t n, int timeout_ms, size_t size) {
  (void)size;
  return poll(fds, n, timeout_ms);
}

typedef struct Epolled {
  int epoll;
  struct epoll_event* events;
  int most;
} Epolled;

static int epoll_now(void* what) {
  Epolled* e = what;

  return (int)syscall(SYS_epoll_wait, e->epoll, e->events, e->most, 0);
}

int epoll_wait(int epoll, struct epoll_event* events, int most, int timeout_ms) {
  Epolled e = {epoll, events, most};

  return wait_for(timeout_ms < 0 ? -1 : timeout_ms * 1000000LL, epoll_now, &e);
}

static int nothing_now(void* what) {
  (void)what;
  return 0;
}

int select(int n, fd_set* in, fd_set* out, fd_set* other, struct timeval* timeout) {
  if (n != 0 || in != NULL || out != NULL || other != NULL || timeout == NULL) {
    errno = ENOSYS; /* the server only sleeps by it */
    die("select with descriptors");
  }
  return wait_for(timeout->tv_sec * SECOND_NS + timeout->tv_usec * 1000, nothing_now, NULL);
}

int nanosleep(const struct timespec* time, struct timespec* left) {
  if (left != NULL) *left = (struct timespec){0, 0};
  return wait_for(time->tv_sec * SECOND_NS + time->tv_nsec, nothing_now, NULL);
}

int usleep(useconds_t us) {
  return wait_for(us * 1000LL, nothing_now, NULL);
}

int setitimer(__itimer_which_t which, const struct itimerval* wanted, struct itimerval* before) {
  int64_t in_ns = wanted->it_value.tv_sec * SECOND_NS + wanted->it_value.tv_usec * 1000;

  (void)which;
  if (before != NULL) memset(before, 0, sizeof *before);
  alarm_ns = in_ns == 0 ? 0 : monotonic_ns + in_ns;
  return 0;
}

/* ---- clocks, chance, process */

static void look_at_clock(void) {
  if (control >= 0) return;
  monotonic_ns += TICK_NS;
  wall_ns += TICK_NS;
}

int clock_gettime(clockid_t clock, struct timespec* out) {
  int64_t ns;

  look_at_clock();
  ns = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE ? wall_ns : monotonic_ns;
  *out = (struct timespec){ns / SECOND_NS, ns % SECOND_NS};
  return 0;
}

int gettimeofday(struct timeval* restrict out, void* restrict zone) {
  (void)zone;
  look_at_clock();
  *out = (struct timeval){wall_ns / SECOND_NS, wall_ns % SECOND_NS / 1000};
  return 0;
}

time_t time(time_t* out) {
  look_at_clock();
  if (out != NULL) *out = wall_ns / SECOND_NS;
  return wall_ns / SECOND_NS;
}

ssize_t getrandom(void* into, size_t n, unsigned flags) {
  unsigned char* bytes = into;

  (void)flags;
  for (size_t i = 0; i < n; i++) { /* xorshift64 */
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    bytes[i] = (unsigned char)(random_state >> 24);
  }
  return (ssize_t)n;
}

int getentropy(void* into, size_t n) {
  getrandom(into, n, 0);
  return 0;
}

void arc4random_buf(void* into, size_t n) {
  getrandom(into, n, 0);
}

uint32_t arc4random(void) {
  uint32_t value;

  getrandom(&value, sizeof value, 0);
  return value;
}

int RAND_bytes(unsigned char* into, int n) {
  getrandom(into, (size_t)n, 0);
  return 1;
}
int RAND_status(void) {
  return 1;
}
int RAND_poll(void) {
  return 1;
}

pid_t getpid(void) {
  return FAKE_PID;
}
pid_t getppid(void) {
  return FAKE_PID - 1;
}

int kill(pid_t pid, int signal) {
  if (pid == FAKE_PID) return (int)syscall(SYS_kill, syscall(SYS_getpid), signal);
  if (pid == 0) {
    call_handler(signal);
    return 0;
  }
  if (pid > 1 && signal == 0) { /* nobody else is there */
    errno = ESRCH;
    return -1;
  }
  return (int)syscall(SYS_kill, pid, signal);
}

int signalfd(int fd, const sigset_t* set, int flags) {
  static int (*next)(int, const sigset_t*, int);

  if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, "signalfd");
  return signal_fd = next(fd, set, flags);
}

ssize_t read(int fd, void* into, size_t n) {
  ssize_t got = syscall(SYS_read, fd, into, n);

  if (got > 0 && fd == signal_fd) memset(into, 0, (size_t)got);
  return got;
}

ssize_t __read_chk(int fd, void* into, size_t n, size_t size) {
  (void)size;
  return read(fd, into, n);
}

int getrusage(__rusage_who_t who, struct rusage* out) {
  (void)who;
  memset(out, 0, sizeof *out);
  return 0;
}

/* ---- files */

/* The server tells by the inode whether it has loaded a library already: its name will do. */
static ino_t name_as_inode(const char* path) {
  ino_t hash = 1469598103934665603u;

  if (strrchr(path, '/') != NULL) path = strrchr(path, '/') + 1;
  for (; *path != '\0'; path++) hash = (hash ^ (unsigned char)*path) * 1099511628211u;
  return hash;
}

static int without_host(int result, struct stat* about, const char* path) {
  if (result != 0) return result;
  about->st_dev = 0;
  about->st_ino = name_as_inode(path);
  about->st_atim = about->st_mtim = about->st_ctim = (struct timespec){wall_ns / SECOND_NS, 0};
  return 0;
}

int stat(const char* restrict path, struct stat* restrict out) {
  return without_host((int)syscall(SYS_newfstatat, AT_FDCWD, path, out, 0), out, path);
}

int lstat(const char* restrict path, struct stat* restrict out) {
  return without_host((int)syscall(SYS_newfstatat, AT_FDCWD, path, out, AT_SYMLINK_NOFOLLOW), out, path);
}

int fstat(int fd, struct stat* out) {
  return without_host((int)syscall(SYS_newfstatat, fd, "", out, AT_EMPTY_PATH), out, "");
}

/* ---- System V shared memory: one process attaches to it */

static void* shared_memory;
static size_t shared_bytes;

int shmget(key_t key, size_t n, int flags) {
  (void)key;
  (void)flags;
  if (n > 0) shared_bytes = n;
  return 1;
}
void* shmat(int id, const void* at, int flags) {
  (void)id;
  (void)at;
  (void)flags;
  shared_memory = mmap(NULL, shared_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return shared_memory;
}
int shmdt(const void* at) {
  return munmap((void*)at, shared_bytes);
}
int shmctl(int id, int command, struct shmid_ds* out) {
  (void)id;
  (void)command;
  if (out != NULL) memset(out, 0, sizeof *out);
  return 0;
}

/* ---- directories, in order */

typedef struct Listing {
  DIR* of;
  struct dirent** entries;
  int n, next;
} Listing;

static Listing listings[16];

static int by_name(const void* a, const void* b) {
  return strcmp((*(struct dirent* const*)a)->d_name, (*(struct dirent* const*)b)->d_name);
}

static void read_all(Listing* listing) {
  static struct dirent* (*next)(DIR*);
  struct dirent* entry;
  int room = 0;

  if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, "readdir");
  while ((entry = next(listing->of)) != NULL) {
    if (listing->n == room) {
      room = room * 2 + 64;
      listing->entries = realloc(listing->entries, (size_t)room * sizeof *listing->entries);
    }
    if (listing->entries == NULL) die("out of memory");
    listing->entries[listing->n] = malloc(sizeof *entry);
    if (listing->entries[listing->n] == NULL) die("out of memory");
    memcpy(listing->entries[listing->n], entry, entry->d_reclen);
    listing->entries[listing->n++]->d_ino = 1;
  }
  qsort(listing->entries, (size_t)listing->n, sizeof *listing->entries, by_name);
}

struct dirent* readdir(DIR* directory) {
  Listing* listing = NULL;

  for (int i = 0; i < 16 && listing == NULL; i++)
    if (listings[i].of == directory) listing = &listings[i];
  for (int i = 0; i < 16 && listing == NULL; i++) {
    if (listings[i].of != NULL) continue;
    listing = &listings[i];
    listing->of = directory;
    read_all(listing);
  }
  if (listing == NULL) die("too many directories are read at once");
  errno = 0;
  return listing->next < listing->n ? listing->entries[listing->next++] : NULL;
}

int closedir(DIR* directory) {
  static int (*next)(DIR*);

  if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, "closedir");
  for (int i = 0; i < 16; i++) {
    if (listings[i].of != directory) continue;
    for (int k = 0; k < listings[i].n; k++) free(listings[i].entries[k]);
    free(listings[i].entries);
    listings[i] = (Listing){0};
  }
  return next(directory);
}

/* ---- names and connections. A host's name becomes an address of 127.77.0.0/16, and back. */

static char names[NAMES][NAME_BYTES];

static in_addr_t address_of(const char* name) {
  for (int i = 0; i < NAMES; i++) {
    if (names[i][0] == '\0') snprintf(names[i], NAME_BYTES, "%s", name);
    if (strcmp(names[i], name) == 0) return htonl((127u << 24 | 77u << 16) + (uint32_t)i + 1);
  }
  errno = ENOMEM;
  die("too many host names");
  return 0;
}

static const char* name_of(struct in_addr address) {
  uint32_t number = ntohl(address.s_addr) - (127u << 24 | 77u << 16) - 1;

  return number < NAMES && names[number][0] != '\0' ? names[number] : NULL;
}

typedef struct Found {
  struct addrinfo info;
  struct sockaddr_in address;
} Found;

int getaddrinfo(const char* restrict name, const char* restrict service,
                const struct addrinfo* restrict hints, struct addrinfo** restrict out) {
  Found* found = calloc(1, sizeof *found);

  if (found == NULL) return EAI_MEMORY;
  found->address =
      (struct sockaddr_in){.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)(service != NULL ? atoi(service) : 0)),
                           .sin_addr.s_addr = name != NULL ? address_of(name) : htonl(INADDR_LOOPBACK)};
  found->info = (struct addrinfo){.ai_family = AF_INET,
                                  .ai_socktype = hints != NULL ? hints->ai_socktype : SOCK_STREAM,
                                  .ai_addrlen = sizeof found->address,
                                  .ai_addr = (struct sockaddr*)&found->address};
  *out = &found->info;
  return 0;
}

void freeaddrinfo(struct addrinfo* info) {
  free(info);
}

/* "HOST:PORT" or "unix:PATH"; false where it is nothing that we gave out. */
static int describe(const struct sockaddr* address, char* out, size_t n) {
  if (address->sa_family == AF_UNIX) {
    snprintf(out, n, "unix:%s", ((const struct sockaddr_un*)address)->sun_path);
    return 1;
  }
  if (address->sa_family == AF_INET) {
    const struct sockaddr_in* in = (const struct sockaddr_in*)address;
    const char* name = name_of(in->sin_addr);

    if (name != NULL) snprintf(out, n, "%s:%u", name, ntohs(in->sin_port));
    return name != NULL;
  }
  return 0;
}

/* The descriptor stays, and so do its flags. */
static int take_place_of(int fd, int* inner) {
  int status = fcntl(fd, F_GETFL);
  int own = fcntl(fd, F_GETFD);
  int pair[2];

  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return -1;
  *inner = fcntl(pair[1], F_DUPFD_CLOEXEC, SIM_CONTROL_FD + 1);
  close(pair[1]);
  if (*inner < 0 || dup2(pair[0], fd) < 0) return -1;
  close(pair[0]);
  fcntl(fd, F_SETFD, own);
  return fcntl(fd, F_SETFL, status);
}

int connect(int fd, const struct sockaddr* address, socklen_t n) {
  char peer[256];
  Connection* c = find_connection(0);

  (void)n;
  if (control < 0 || c == NULL || !describe(address, peer, sizeof peer)) {
    errno = ENETUNREACH;
    return -1;
  }
  if (take_place_of(fd, &c->inner) != 0) return -1;
  c->id = ++last_connection;
  c->space = SIM_SPACE_AT_FIRST;
  put_item(&opened, SIM_OPEN, c->id, peer, strlen(peer));
  return 0;
}

/* ---- statements in, output out */

static void put_file(Buffer* items, uint32_t kind, int fd) {
  static Buffer bytes;
  off_t n = lseek(fd, 0, SEEK_END);

  bytes.begin = bytes.end = 0;
  if (n <= 0) return;
  n = pread(fd, room_for(&bytes, (size_t)n), (size_t)n, 0);
  if (n < 0 || ftruncate(fd, 0) != 0) die("read the output");
  put_item(items, kind, 0, bytes.bytes, (size_t)n);
}

static void next_statement(void) {
  static Buffer items;

  items.begin = items.end = 0;
  fflush(stdout);
  fflush(stderr);
  put_file(&items, SIM_OUTPUT, 1);
  put_file(&items, SIM_LOG, 2);
  exchange(SIM_NEXT, NULL, 0, items.bytes, items.end);
  deliver_alarm();
  if (signalled != 0) call_handler(signalled);
  signalled = 0;
}

int getc(FILE* file) {
  if (control < 0 || file != stdin) return fgetc(file);
  if (left_in(&statement) == 0) {
    if (input_ended) return EOF;
    next_statement();
    if (left_in(&statement) == 0) return EOF;
  }
  return (unsigned char)statement.bytes[statement.begin++];
}

__attribute__((constructor)) static void begin(void) {
  const char* seed = getenv(SIM_SEED_VARIABLE);

  for (int i = 0; i < CONNECTIONS; i++) connections[i].inner = -1;
  if (seed != NULL) random_state ^= strtoull(seed, NULL, 10) * 0x9e3779b97f4a7c15ULL;
  if (random_state == 0) random_state = 1;
  if (getenv(SIM_CONTROL_VARIABLE) != NULL) control = SIM_CONTROL_FD;
}
