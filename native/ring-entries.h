/*
 * An *entry* is a place for one request and its reply: a header and a payload, in memory of ours that the kernel copies into and out of. A request
 * occupies its entry until it is answered. The kernel keeps a queue of entries for each processor; what finds none waits in the kernel. So a queue gets
 * more entries long before its last one is taken: requests that wait for a slow store must not hold up the others.
 *
 *   with the kernel ──► its completion: a request ─┬─ entry_reply(), at once ──────────────────────────► with the kernel
 *                                                 └─ entry_take() ──► taken ──► entry_commit() ────────►
 */
#ifndef RING_ENTRIES_H
#define RING_ENTRIES_H

#include "fuse-abi.h"
#include "uring.h"

#ifdef HAS_URING

#include <sys/uio.h>

#define PAYLOAD_BYTES (1 << 20)
#define BUCKETS 1024
#define MAX_QUEUES 1024
#define MAX_ENTRIES_A_QUEUE 4096

struct entry {
  struct entry_header *header;
  char *payload;
  struct iovec memory[2];
  uint64_t unique;
  struct entry *next; /* of those with a request, in their bucket; of those whose command there was no room for */
  uint32_t command;   /* the last one */
  uint16_t queue;
  bool is_new, is_large; /* it was never asked anything; more of its payload has been used than is worth keeping */
};

struct queue {
  uint32_t entries, taken;
};

struct entries {
  struct uring *uring;
  struct queue queues[MAX_QUEUES];
  uint32_t depth, large, waiting; /* waiting: requests without their answer */
  struct chunk *chunks;
  struct entry *taken[BUCKETS];
  struct entry *held, *last_held; /* their commands wait for room in the ring, in the order in which they came */
};

/*
 * `depth` entries for each of the first `deep` queues and a few for the others, whose processors are not there yet; the kernel does not know of them. Every
 * queue that is used gets `depth` more when it is short. 0 or a negative errno; entries_release() follows in both cases.
 */
int entries_make(struct entries *all, struct uring *uring, int queues, int deep, int depth);
/* Tells the kernel of all that were made, with the next entries_submit(). */
void entries_register(struct entries *all);
/* Submits all that there is, and makes completions as uring_enter() does. 0 or a negative errno; -EAGAIN: the kernel would not take all of it now. */
int entries_submit(struct entries *all);
bool entries_are_unsent(const struct entries *all);
/* Idempotent. */
void entries_release(struct entries *all);

/* Which request the entry holds; only once is_well_formed() said so may its lengths be believed. */
static inline const struct in_header *request_of(const struct entry *e) {
  return (const void *)e->header->in_out;
}
/* Whether the lengths that the kernel tells fit the memory it has been given. */
bool is_well_formed(const struct entry *e);

/* The one with that request, if there is one. */
struct entry *entry_of(struct entries *all, uint64_t unique);
/* Its request has been copied, and will be answered later. */
void entry_take(struct entries *all, struct entry *e);
/* The request of an entry that was not taken: what the payload holds becomes its reply, which leaves with the next entries_submit(). */
void entry_reply(struct entries *all, struct entry *e, int32_t error, size_t payload_bytes);
/* The same for one that was. */
void entry_commit(struct entries *all, struct entry *e, int32_t error, size_t payload_bytes);
/* The kernel refused it for want of memory. */
void entry_lost(struct entries *all, const struct entry *e);

#endif
#endif
