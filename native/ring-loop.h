/* A ring: the kernel's part of it, its requests, and what the main loop does when some have come. Of fuse-ring.c. */
#ifndef RING_LOOP_H
#define RING_LOOP_H

#include "listener.h"
#include "ring-entries.h"
#include "ring-shares.h"

#ifdef HAS_URING

enum ring_state { PREPARED, STARTED, CLOSED };

struct ring {
  struct uring uring;
  struct entries entries;
  struct shares shares;
  struct listener listener;
  enum ring_state state;
  char *in, *out;
  size_t in_bytes, out_bytes;
  int batch;
  bool is_answering, is_orphan; /* its requests are being answered; nothing in JavaScript names it any more */
};

/* The kernel's part ends at once: it waits for nothing that only this thread would carry out. */
void ring_end(struct ring *r);
bool ring_is_ended(const struct ring *r);

/* One reply as it would be written to the device. What did not come through the ring is written there. 0 or a negative errno. */
int ring_send(struct ring *r, const char *reply, size_t length);

/* Replies that stand ready leave, unless the ring has ended. */
void ring_flush(struct ring *r);

/* Answers what has arrived, without waiting for the main loop's turn. */
void ring_take_arrived(struct ring *r);

/* For listener_start(). */
extern const struct listener_hooks RING_HOOKS;

#endif
#endif
