/* What a ring does with requests (ring-loop.h): takes what has come, has it answered here or by JavaScript, and lets the replies leave together. */
#define _GNU_SOURCE
#include "ring-loop.h"

#ifdef HAS_URING

#include "addon-calls.h"

#include <stdlib.h>
#include <string.h>

/* Of ring_take_arrived(); each takes some twenty requests, and a queue has not more than a thousand. */
#define TAKE_ROUNDS 64
/* The loop has other things to do, whatever the ring says of itself: after so many looks that brought no request it goes on. */
#define FRUITLESS_LOOKS 3

/* Replies leave. What the kernel does not take now is tried again soon, whether requests come or not: somebody waits for each of these replies. */
static void submit(struct ring *r) {
  if (entries_submit(&r->entries) == -EAGAIN) listener_again(&r->listener);
}

void ring_flush(struct ring *r) {
  if (!ring_is_ended(r) && entries_are_unsent(&r->entries)) submit(r);
}

static void on_closed(void *owner) {
  struct ring *r = owner;
  uring_release(&r->uring);
  entries_release(&r->entries);
  shares_release(&r->shares);
  r->state = CLOSED;
  if (r->is_orphan) free(r);
}

void ring_end(struct ring *r) {
  if (r->state == STARTED) {
    listener_end(&r->listener);
    uring_release(&r->uring);
  }
  if (r->state == PREPARED) on_closed(r);
}

bool ring_is_ended(const struct ring *r) {
  return r->state == CLOSED || r->listener.is_stopped;
}

int ring_send(struct ring *r, const char *reply, size_t length) {
  const struct out_header *header = (const void *)reply;
  struct entry *e = entry_of(&r->entries, header->unique);
  if (e == NULL) {
    ssize_t written = write_whole(r->uring.device, reply, length);
    return written < 0 ? -errno : 0;
  }
  size_t payload_bytes = length - OUT_HEADER_BYTES;
  if (payload_bytes > PAYLOAD_BYTES) return -EINVAL;
  memcpy(e->payload, reply + OUT_HEADER_BYTES, payload_bytes);
  entry_commit(&r->entries, e, header->error, payload_bytes);
  return 0;
}

/* The replies that the caller has put behind one another, each at a multiple of eight. */
static void send_replies(struct ring *r, size_t bytes) {
  for (size_t at = 0; at + OUT_HEADER_BYTES <= bytes;) {
    size_t length = ((const struct out_header *)(const void *)(r->out + at))->length;
    if (length < OUT_HEADER_BYTES || at + length > bytes) return;
    ring_send(r, r->out + at, length);
    at += (length + 7) & ~(size_t)7;
  }
}

/* Answers a request that needs no server; false: the server has to. */
static bool answer_here(struct ring *r, struct entry *e) {
  const struct in_header *header = request_of(e);
  if (header->opcode == OPCODE_OPEN) {
    uint32_t flags; /* fuse_open_in */
    memcpy(&flags, e->header->operation, sizeof flags);
    const struct share *share = share_open(&r->shares, header->node, flags);
    if (share == NULL) return false;
    memcpy(e->payload, &share->handle, 8); /* fuse_open_out */
    memcpy(e->payload + 8, &share->open_flags, 4);
    memset(e->payload + 12, 0, 4);
    entry_reply(&r->entries, e, 0, OPEN_OUT_BYTES);
    return true;
  }
  if (header->opcode == OPCODE_RELEASE) {
    uint64_t handle; /* fuse_release_in */
    memcpy(&handle, e->header->operation, sizeof handle);
    if (!share_close(&r->shares, header->node, handle)) return false;
    entry_reply(&r->entries, e, 0, 0);
    return true;
  }
  if (header->opcode != OPCODE_IOCTL) return false;
  /* Python asks of each file that it opens whether it is a terminal. */
  entry_reply(&r->entries, e, -ENOTTY, 0);
  return true;
}

#define ANSWERED 0
#define NO_ROOM -1

/* Takes one request. Answers the bytes it put at `into`, or one of the two above. */
static long take_request(struct ring *r, struct entry *e, char *into, size_t room) {
  if (answer_here(r, e)) return ANSWERED;
  const struct in_header *header = request_of(e);
  size_t length = header->length, payload = e->header->entry.payload_bytes;
  if (length > room) return NO_ROOM;
  size_t operation = length - IN_HEADER_BYTES - payload;
  memcpy(into, header, IN_HEADER_BYTES);
  memcpy(into + IN_HEADER_BYTES, e->header->operation, operation);
  memcpy(into + IN_HEADER_BYTES + operation, e->payload, payload);
  entry_take(&r->entries, e);
  return (long)length;
}

/* What one callback is told. */
struct arrived {
  size_t filled; /* of the inbox */
  int taken, ended; /* requests, those that were answered here among them; why the ring has ended, a negative errno */
};

/* Takes the requests up to `tail` of the completions, a batch at the most. */
static struct arrived take_requests(struct ring *r, uint32_t tail) {
  struct arrived it = {0};
  uint32_t head = uring_head(&r->uring);
  for (; head != tail && it.taken < r->batch && it.filled < r->in_bytes && !it.ended; head++) {
    const struct io_uring_cqe *completion = uring_completion(&r->uring, head);
    struct entry *e = (void *)(uintptr_t)completion->user_data;
    if (completion->res == -ENOMEM && e->is_new) {
      entry_lost(&r->entries, e);
      continue;
    }
    e->is_new = false;
    if (completion->res < 0) it.ended = completion->res;
    else if (!is_well_formed(e)) it.ended = -EPROTO;
    if (it.ended) continue;
    long got = take_request(r, e, r->in + it.filled, r->in_bytes - it.filled);
    if (got == NO_ROOM) break;
    it.filled += ((size_t)got + 7) & ~(size_t)7;
    it.taken++;
  }
  uring_seen(&r->uring, head);
  return it;
}

/* Answers requests up to `tail` of the completions. Their replies are pushed, and not yet submitted. Returns how many requests it took. */
static int answer(struct ring *r, uint32_t tail) {
  struct arrived it = take_requests(r, tail);
  if (it.filled == 0 && !it.ended) return it.taken;
  struct call call;
  open_call(&r->listener, &call);
  r->is_answering = true;
  if (it.filled > 0) {
    int64_t replied = tell(&r->listener, &call, (int64_t)it.filled);
    if (replied > 0 && (size_t)replied <= r->out_bytes && !ring_is_ended(r)) send_replies(r, (size_t)replied);
  }
  if (it.ended) {
    ring_end(r);
    tell(&r->listener, &call, it.ended);
  }
  close_call(&r->listener, &call);
  r->is_answering = false;
  return it.taken;
}

/* In a loop that waits for memory to change: the other thread of this processor core gets its turn. */
static void relax(void) {
#if defined(__x86_64__)
  for (int i = 0; i < 8; i++) __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

/*
 * Until a request is there or the time is up; not while another one waits for a disk or for Swift, whose answers come by the loop and want a processor
 * themselves. The processor is not offered to others meanwhile: sched_yield() gives it to programs of the same session alone (sched(7), autogroup).
 */
static void look(const struct ring *r) {
  uint64_t start = uv_hrtime();
  while (!uring_is_pending(&r->uring) && r->entries.waiting == 0 && uv_hrtime() - start < r->listener.look_ns) relax();
}

static void on_readable(void *owner) {
  struct ring *r = owner;
  bool looks = slept_briefly(&r->listener);
  int answered = 0, fruitless = 0;
  uring_mute(&r->uring);
  while (!ring_is_ended(r) && fruitless < FRUITLESS_LOOKS) {
    submit(r);
    int taken = answer(r, uring_tail(&r->uring));
    answered += taken;
    fruitless = taken > 0 ? 0 : fruitless + 1;
    if (taken > 0 && answered < r->batch) continue;
    if (taken > 0 || !looks) break;
    look(r);
    if (!uring_is_pending(&r->uring)) break;
  }
  ring_flush(r);
  if (!ring_is_ended(r)) uring_unmute(&r->uring);
  note_requests(&r->listener, answered);
  note_sleep(&r->listener);
}

void ring_take_arrived(struct ring *r) {
  /* Others keep asking meanwhile: not without end. */
  for (int rounds = 0; rounds < TAKE_ROUNDS && !ring_is_ended(r); rounds++) {
    submit(r);
    if (answer(r, uring_tail(&r->uring)) == 0 && !uring_is_pending(&r->uring)) break;
  }
  ring_flush(r);
}

const struct listener_hooks RING_HOOKS = {.name = "fuse-ring", .on_readable = on_readable, .on_closed = on_closed};

#endif
