/* What a PostgreSQL server that is a node of a simulated world (the child) and the simulator say to each
 * other, on one socket. Read by C (preload.c) and C++.
 *
 * Frames: u32 length of what follows, then items; all integers in the machine's order. The child sends a
 * frame and blocks until it is answered by one; nothing of the world happens while it runs, and nothing of it
 * while the world goes on.
 */
#ifndef ARGON_SIM_POSTGRES_PROTOCOL_H
#define ARGON_SIM_POSTGRES_PROTOCOL_H

#include <stdint.h>

#ifdef __cplusplus
namespace argon::sim {
#endif

enum SimItemKind {
  /* from the child */
  SIM_OPEN = 1, /* connection; its address: HOST:PORT or unix:PATH */
  SIM_OUTPUT,   /* what it wrote to standard output since the last one; ends with NEXT */
  SIM_LOG,      /* to standard error */
  SIM_WAIT,     /* i64 nanoseconds (-1: for ever): until a connection has something new; the last item */
  SIM_NEXT,     /* until there is a statement; the last item */
  SIM_ENDED,    /* i32 status of waitpid; the last item. By the launcher */
  /* from the simulator */
  SIM_TIME,      /* i64 nanoseconds of the monotonic clock, i64 since 1970; in every answer */
  SIM_SPACE,     /* connection; u32: so many bytes more may be sent on it before the next answer */
  SIM_STATEMENT, /* one line, newline included; none: the end of the input */
  /* both */
  SIM_DATA,  /* connection; bytes */
  SIM_CLOSE, /* connection: it has ended, nothing more of it follows */
  /* from the simulator */
  SIM_SIGNAL, /* i32: a signal from outside; with SIM_STATEMENT */
};

typedef struct SimItem {
  uint32_t kind;
  uint32_t connection; /* 0: none */
  uint32_t bytes;      /* behind it */
} SimItem;

/* In the child: its end of the socket. High, so that the server's own descriptors begin where they always do.
 */
#define SIM_CONTROL_FD 900
/* Bytes on their way out of one connection that the simulator takes over. */
#define SIM_SPACE_AT_FIRST (256u * 1024)
/* Environment: seed of the child's random numbers, decimal. Without the next one the clock ticks by itself.
 */
#define SIM_SEED_VARIABLE "ARGON_SIM_SEED"
#define SIM_CONTROL_VARIABLE "ARGON_SIM_CONTROL"

#ifdef __cplusplus
}  // namespace argon::sim
#endif
#endif
