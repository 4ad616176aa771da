/*
 * io_uring without liburing, for one thread that both submits and takes completions. Knows nothing of FUSE.
 *
 *   uring_make() ──► uring_push() and fill in... ──► uring_enter() ──► completions from `uring_head()` up to `uring_tail()`, uring_seen() ──► uring_release()
 */
#ifndef URING_H
#define URING_H

#include <linux/io_uring.h>

/* linux/io_uring.h of the build machine may be older than 6.1. */
#ifdef IORING_SETUP_DEFER_TASKRUN
#define HAS_URING

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uring {
  /* `wake` is readable when there is something to do, but see uring_mute(). */
  int fd, wake, device;
  /* The ring, and the device as a file of the ring, under numbers that the kernel resolves without a look at the process's descriptors; -1: without. */
  int registered_ring, registered_device;
  char *submission_ring, *completion_ring, *submissions;
  size_t submission_ring_bytes, completion_ring_bytes, submissions_bytes;
  _Atomic uint32_t *submission_head, *submission_tail, *submission_flags, *completion_head, *completion_tail, *completion_flags;
  uint32_t *submission_array, submission_mask, completion_mask, submission_count, unsubmitted;
  struct io_uring_cqe *completions;
};

/* 0 or a negative errno; uring_release() follows in both cases. */
int uring_make(struct uring *u);
void uring_use_device(struct uring *u, int device);
/* What the kernel still has of the ring is ended by the kernel itself from then on. Idempotent. */
void uring_release(struct uring *u);

/* A command to the device, to be filled in at once: the kernel reads it at the next uring_enter(). NULL while the kernel takes none and there is no room. */
struct io_uring_sqe *uring_push(struct uring *u);
/* Submits what is there, and makes completions, some twenty at once: uring_is_pending() says whether more are due. 0 or a negative errno. */
int uring_enter(struct uring *u);

/* While this thread looks for itself (uring_is_pending()) the kernel need not wake it: `wake` is empty, and stays so but for what was on its way. */
void uring_mute(struct uring *u);
/* Before this thread may sleep: what is there already makes `wake` readable as well. */
void uring_unmute(struct uring *u);

static inline uint32_t uring_head(const struct uring *u) {
  return atomic_load_explicit(u->completion_head, memory_order_relaxed);
}

static inline uint32_t uring_tail(const struct uring *u) {
  return atomic_load_explicit(u->completion_tail, memory_order_acquire);
}

static inline const struct io_uring_cqe *uring_completion(const struct uring *u, uint32_t at) {
  return &u->completions[at & u->completion_mask];
}

static inline void uring_seen(struct uring *u, uint32_t head) {
  atomic_store_explicit(u->completion_head, head, memory_order_release);
}

static inline bool uring_is_pending(const struct uring *u) {
  return uring_tail(u) != uring_head(u) ||
         (atomic_load_explicit(u->submission_flags, memory_order_relaxed) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

#endif
#endif
