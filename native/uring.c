#define _GNU_SOURCE
#include "uring.h"

#ifdef HAS_URING

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SUBMISSION_BYTES 128
#define SUBMISSIONS 256
#define COMPLETIONS 4096
#define ENTER_TRIES 10000

static const struct uring NONE = {.fd = -1, .wake = -1, .device = -1, .registered_ring = -1, .registered_device = -1};

static void *map_ring(int fd, size_t bytes, off_t what) {
  void *mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);
  return mapped == MAP_FAILED ? NULL : mapped;
}

/*
 * Completions are made when this thread enters the kernel for them and at no other time, so that many come at once; a flag in shared memory says that
 * there are some. No poll of such a ring tells of them, so an eventfd is registered, which the kernel makes readable.
 */
int uring_make(struct uring *u) {
  struct io_uring_params p = {
    .flags = IORING_SETUP_SQE128 | IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    .cq_entries = COMPLETIONS};
  *u = NONE;
  u->fd = (int)syscall(__NR_io_uring_setup, SUBMISSIONS, &p);
  if (u->fd < 0) return -errno;
  u->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (u->wake < 0 || syscall(__NR_io_uring_register, u->fd, IORING_REGISTER_EVENTFD, &u->wake, 1) < 0) return -errno;
  u->submission_ring_bytes = p.sq_off.array + p.sq_entries * sizeof(uint32_t);
  u->completion_ring_bytes = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
  u->submissions_bytes = p.sq_entries * SUBMISSION_BYTES;
  u->submission_ring = map_ring(u->fd, u->submission_ring_bytes, IORING_OFF_SQ_RING);
  u->completion_ring = map_ring(u->fd, u->completion_ring_bytes, IORING_OFF_CQ_RING);
  u->submissions = map_ring(u->fd, u->submissions_bytes, (off_t)IORING_OFF_SQES);
  if (u->submission_ring == NULL || u->completion_ring == NULL || u->submissions == NULL) return -ENOMEM;
  u->submission_head = (void *)(u->submission_ring + p.sq_off.head);
  u->submission_tail = (void *)(u->submission_ring + p.sq_off.tail);
  u->submission_flags = (void *)(u->submission_ring + p.sq_off.flags);
  u->submission_array = (void *)(u->submission_ring + p.sq_off.array);
  u->submission_mask = *(uint32_t *)(u->submission_ring + p.sq_off.ring_mask);
  u->submission_count = p.sq_entries;
  u->completion_head = (void *)(u->completion_ring + p.cq_off.head);
  u->completion_tail = (void *)(u->completion_ring + p.cq_off.tail);
  u->completion_flags = (void *)(u->completion_ring + p.cq_off.flags);
  u->completion_mask = *(uint32_t *)(u->completion_ring + p.cq_off.ring_mask);
  u->completions = (void *)(u->completion_ring + p.cq_off.cqes);
  return 0;
}

/* To register saves a tenth of what a request costs; without it the ring works as well. Both are good for this thread alone, the only one that enters. */
void uring_use_device(struct uring *u, int device) {
  u->device = device;
  if (syscall(__NR_io_uring_register, u->fd, IORING_REGISTER_FILES, &u->device, 1) == 0) u->registered_device = 0;
  struct io_uring_rsrc_update ring = {.offset = UINT32_MAX, .data = (uint64_t)u->fd};
  if (syscall(__NR_io_uring_register, u->fd, IORING_REGISTER_RING_FDS, &ring, 1) == 1) u->registered_ring = (int)ring.offset;
}

void uring_release(struct uring *u) {
  /* A registered number holds the ring, and so the device, as long as this thread lives. */
  struct io_uring_rsrc_update ring = {.offset = (uint32_t)u->registered_ring};
  if (u->registered_ring >= 0) syscall(__NR_io_uring_register, u->fd, IORING_UNREGISTER_RING_FDS, &ring, 1);
  if (u->submission_ring != NULL) munmap(u->submission_ring, u->submission_ring_bytes);
  if (u->completion_ring != NULL) munmap(u->completion_ring, u->completion_ring_bytes);
  if (u->submissions != NULL) munmap(u->submissions, u->submissions_bytes);
  if (u->fd >= 0) close(u->fd);
  if (u->wake >= 0) close(u->wake);
  *u = NONE;
}

/* Returns how many of the submissions the kernel took. */
static long enter(const struct uring *u, uint32_t submissions) {
  return u->registered_ring < 0 ? syscall(__NR_io_uring_enter, u->fd, submissions, 0, IORING_ENTER_GETEVENTS, NULL, 0)
                                : syscall(__NR_io_uring_enter, u->registered_ring, submissions, 0,
                                          IORING_ENTER_GETEVENTS | IORING_ENTER_REGISTERED_RING, NULL, 0);
}

void uring_mute(struct uring *u) {
  atomic_fetch_or(u->completion_flags, IORING_CQ_EVENTFD_DISABLED);
  eventfd_t count;
  eventfd_read(u->wake, &count); /* nothing was in it: fails, and blocks not */
}

void uring_unmute(struct uring *u) {
  atomic_fetch_and(u->completion_flags, ~(uint32_t)IORING_CQ_EVENTFD_DISABLED);
  atomic_thread_fence(memory_order_seq_cst); /* the kernel sets its flag first and looks at ours then */
#if !defined(__x86_64__)
  enter(u, 0); /* where its flag may become visible after that look, it has listed the work before it, and this carries that out */
#endif
  if (uring_is_pending(u)) eventfd_write(u->wake, 1);
}

/*
 * The kernel lists work first and raises its flag then (io_req_local_work_add() of Linux 6.18). What is carried out between the two leaves a flag that
 * stands for nothing, and no enter takes it back before the next work: a thread that goes by it looks for ever. So it is taken back here; what was listed
 * before that is carried out by the enter that follows, and what is listed later raises it again.
 */
static void lower_stale_flag(struct uring *u) {
  if (uring_tail(u) != uring_head(u) || (atomic_load_explicit(u->submission_flags, memory_order_relaxed) & IORING_SQ_TASKRUN) == 0) return;
  atomic_fetch_and(u->submission_flags, ~(uint32_t)IORING_SQ_TASKRUN);
  enter(u, 0);
}

int uring_enter(struct uring *u) {
  for (int tries = 0;;) {
    long taken = enter(u, u->unsubmitted);
    if (taken >= 0) {
      u->unsubmitted -= (uint32_t)taken;
      if (u->unsubmitted == 0) {
        lower_stale_flag(u);
        return 0;
      }
    } else if (errno != EINTR && errno != EAGAIN && errno != EBUSY) {
      return -errno;
    }
    /* Memory is short for a moment, and a reply that stays behind leaves its client waiting. The caller comes again. */
    if (++tries == ENTER_TRIES) return -EAGAIN;
    if (taken >= 0 || errno == EINTR) continue;
    sched_yield();
    enter(u, 0); /* who takes no submission makes no completion either */
  }
}

static bool is_full(const struct uring *u, uint32_t tail) {
  return tail - atomic_load_explicit(u->submission_head, memory_order_acquire) >= u->submission_count;
}

struct io_uring_sqe *uring_push(struct uring *u) {
  uint32_t tail = atomic_load_explicit(u->submission_tail, memory_order_relaxed);
  if (is_full(u, tail)) {
    uring_enter(u);
    if (is_full(u, tail)) return NULL;
  }
  uint32_t index = tail & u->submission_mask;
  struct io_uring_sqe *submission = (void *)(u->submissions + (size_t)index * SUBMISSION_BYTES);
  memset(submission, 0, SUBMISSION_BYTES);
  submission->opcode = IORING_OP_URING_CMD;
  submission->fd = u->registered_device < 0 ? u->device : u->registered_device;
  submission->flags = u->registered_device < 0 ? 0 : IOSQE_FIXED_FILE;
  u->submission_array[index] = index;
  atomic_store_explicit(u->submission_tail, tail + 1, memory_order_release);
  u->unsubmitted++;
  return submission;
}

#endif
