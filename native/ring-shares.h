/*
 * Opens of a file that one open stands for. As long as a node is *shared*, an OPEN of it to read is answered in the addon with the same handle, and the
 * RELEASEs are counted here. Unshared, it takes no more opens, and its last RELEASE goes to the server, which knows of one.
 */
#ifndef RING_SHARES_H
#define RING_SHARES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHARE_BUCKETS 4096

struct share {
  struct share *next; /* in its bucket */
  uint64_t node, handle;
  uint32_t open_flags, opens;
  bool is_shared, was_used;
};

struct shares {
  struct share *buckets[SHARE_BUCKETS];
};

void shares_release(struct shares *s);

/* That open, the only one there is, takes others from now on. 0, -EEXIST or -ENOMEM. */
int share_begin(struct shares *s, uint64_t node, uint64_t handle, uint32_t open_flags);
/* Its handle when nothing has it open and the server has to release it, else 0; -ENOENT when the node is not shared. */
int64_t share_end(struct shares *s, uint64_t node);
/* How many nodes it put at `into`, of those shared ones that nobody has opened since the last time. */
size_t shares_unused(struct shares *s, double *into, size_t capacity);

/* Counts an open(2) with these flags; NULL: the server has to answer it. */
const struct share *share_open(struct shares *s, uint64_t node, uint32_t flags);
/* Counts a close; false: the server has to be told of it. */
bool share_close(struct shares *s, uint64_t node, uint64_t handle);

#endif
