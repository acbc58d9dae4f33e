#include "page_pipeline.h"

#include "common/hashfn.h"
#include "page_transport.h"
#include "storage/ipc.h"

typedef struct Slot {
  Request request;
  PageAnswer answer;  // bytes: NULL while under way, and once taken or dropped
  bool wanted;        // false: the answer is thrown away when it comes
  bool early;         // nobody has waited for it yet
} Slot;

// Places [first, received) have their answer, [received, next) are under way, of which [sent, next) may not
// have been handed to the kernel. Place 0 is none.
static Slot slots[PIPELINE_SLOTS];
static uint64 first = 1;
static uint64 received = 1;
static uint64 sent = 1;
static uint64 next = 1;
static uint64 held;  // the place that somebody is about to wait for
static uint64 last_request_id;

// How many wanted pages there are of each hash, so that what nobody asked for is known at once.
#define HASHES (4 * PIPELINE_SLOTS)
static uint16 wanted_of_hash[HASHES];

static uint16* wanted_like(const RelFileNode* node, BlockNumber block) {
  return &wanted_of_hash[hash_combine(murmurhash32(node->relNode), murmurhash32(block)) % HASHES];
}

static Slot* slot_at(uint64 place) {
  return &slots[place % PIPELINE_SLOTS];
}

static void drop(Slot* slot) {
  if (slot->wanted && slot->early) argon_count(ARGON_PREFETCH_WASTED);
  if (slot->wanted) --*wanted_like(&slot->request.node, slot->request.block);
  slot->wanted = false;
  page_transport_free(&slot->answer);
}

static void count_left(int code, Datum argument) {
  for (uint64 i = first; i < next; i++) drop(slot_at(i));
}

// Places whose answer came and is not wanted go as soon as they are the oldest.
static void advance(void) {
  while (first < received && !slot_at(first)->wanted) first++;
}

// No answer of what is under way will come.
static void lose_connection(void) {
  for (uint64 i = received; i < next; i++) drop(slot_at(i));
  received = sent = next;
  page_transport_close();
}

void pipeline_fail(const Request* request, const char* why) {
  ereport(ERROR, (errcode(ERRCODE_IO_ERROR),
                  errmsg("argon: the pageserver did not give the %s", request_describe(request)),
                  errdetail("%s", why)));
}

static bool is_of(const Slot* slot, RelFileNode node, ForkNumber fork, BlockNumber from, BlockNumber to) {
  const Request* request = &slot->request;

  return slot->wanted && request->kind == ASK_PAGE && request->block >= from && request->block < to &&
         request->fork == fork && RelFileNodeEquals(request->node, node);
}

PipelinePlace pipeline_find(RelFileNode node, ForkNumber fork, BlockNumber block, XLogRecPtr written) {
  if (*wanted_like(&node, block) == 0) return 0;
  for (uint64 i = first; i < next; i++) {
    Slot* slot = slot_at(i);

    if (!is_of(slot, node, fork, block, block + 1)) continue;
    if (written <= slot->request.not_modified_since) return i;
    drop(slot);  // stale
  }
  return 0;
}

void pipeline_hold(PipelinePlace place) {
  held = place;
}

int pipeline_drop(RelFileNode node, ForkNumber fork, BlockNumber from, BlockNumber to) {
  int n = 0;

  for (uint64 i = first; i < next; i++) {
    if (!is_of(slot_at(i), node, fork, from, to) || !slot_at(i)->early) continue;
    drop(slot_at(i));
    n++;
  }
  return n;
}

// Beyond the window the oldest that came go. False if there are `bound` left even so.
static bool make_room(uint64 bound) {
  advance();
  while (next - first >= (uint64)argon_prefetch_window && first < received && first != held) {
    drop(slot_at(first));
    advance();
  }
  return next - first < bound;
}

// REQUIRES: the connection is open and there is room. 0 if the connection failed.
static PipelinePlace append(Request* request, bool early) {
  StringInfoData message;
  Slot* slot = slot_at(next);
  bool ok;

  if (last_request_id == 0) on_shmem_exit(count_left, (Datum)0);
  request->id = ++last_request_id;
  initStringInfo(&message);
  request_encode(&message, request);
  ok = page_transport_put(message.data, message.len);
  pfree(message.data);
  if (!ok) {
    lose_connection();
    return 0;
  }
  *slot = (Slot){.request = *request, .wanted = true, .early = early};
  ++*wanted_like(&request->node, request->block);
  if (!early) held = next;
  return next++;
}

PipelinePlace pipeline_put(Request* request, bool early) {
  if (!page_transport_is_open() || !make_room(early ? (uint64)argon_prefetch_window : PIPELINE_SLOTS))
    return 0;
  return append(request, early);
}

void pipeline_send_batch(void) {
  if (next == sent || next - sent < sent - received) return;
  if (!page_transport_is_open() || !page_transport_send()) lose_connection();
  sent = next;
}

// The answer of the oldest request under way.
static bool receive_one(int64 deadline, char** why) {
  Slot* slot = slot_at(received);
  PageAnswer answer = {0};

  if (!page_transport_receive(deadline, &answer, why)) {
    lose_connection();
    return false;
  }
  slot->answer = answer;
  received++;
  sent = Max(sent, received);
  if (!slot->wanted) page_transport_free(&slot->answer);
  return true;
}

bool pipeline_put_waiting(Request* request, int64 deadline, PipelinePlace* place, char** why) {
  if (!page_transport_is_open()) {
    lose_connection();
    if (!page_transport_open(deadline, why)) return false;
  }
  while (!make_room(PIPELINE_SLOTS))
    if (!receive_one(deadline, why)) return false;
  *place = append(request, false);
  if (*place == 0) *why = pstrdup("The connection was closed.");
  return *place != 0;
}

bool pipeline_take(PipelinePlace place, int64 deadline, void* body, int body_bytes, const char** refused,
                   char** why) {
  Slot* slot = slot_at(place);
  AnswerState state;
  const char* text;

  while (received <= place)
    if (!receive_one(deadline, why)) return false;
  if (!slot->wanted) {
    *why = pstrdup("The connection was closed.");
    return false;
  }
  state = request_decode(&slot->request, slot->answer.bytes, slot->answer.length, body_bytes, &text);
  if (state == ANSWER_BODY) memcpy(body, text, (size_t)body_bytes);
  slot->early = false;
  drop(slot);
  held = 0;
  advance();
  if (state == ANSWER_MALFORMED) {
    lose_connection();
    pipeline_fail(&slot->request, text);
  }
  if (state == ANSWER_REFUSED) *refused = text;
  return true;
}
