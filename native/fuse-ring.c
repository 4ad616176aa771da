/*
 * fuse-ring: FUSE over io_uring (Linux 6.14, Documentation/filesystems/fuse-io-uring.rst). Requests come as completions and replies leave as
 * submissions, many of each in one system call; a device that is read and written takes four calls for what costs one here under load.
 *
 *   ringPrepare(queues, depth)     the ring and its memory, before INIT promises it: an external, or a negative errno
 *   ringStart(...)                 registers the entries, after INIT was answered; requests arrive on the main loop from then on
 *   ringReply() ringReplyFromFile()  one reply, at once, or with the others when requests are being answered
 *   ringTake()                     answers what has arrived, now
 *   ringShare() ringUnshare() ringUnused()  opens that are answered here, see `struct share`
 *   ringStop()
 *
 * An *entry* is a place for one request and its reply: a header and a payload, in memory of ours that the kernel copies into and out of. A
 * request occupies its entry until it is answered. The kernel keeps a queue of entries for each processor; what finds none waits in the kernel. So
 * a queue gets more entries long before its last one is taken: requests that wait for a slow store must not hold up the others.
 */
#define _GNU_SOURCE
#define NAPI_VERSION 8
#include "addon-calls.h"
#include "fuse-ring.h"

#include <uv.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef IORING_SETUP_TASKRUN_FLAG

/* linux/fuse.h of a build machine may be older than the kernel we run on, hence our own copy of the interface (7.42). */
#define CMD_REGISTER 1
#define CMD_COMMIT_AND_FETCH 2
#define IN_HEADER_BYTES 40
#define OUT_HEADER_BYTES 16
#define OPEN_OUT_BYTES 16

struct in_header {
  uint32_t length, opcode;
  uint64_t unique, node;
  uint32_t uid, gid, pid, extensions;
};

struct out_header {
  uint32_t length;
  int32_t error;
  uint64_t unique;
};

/* fuse_uring_req_header */
struct entry_header {
  char in_out[128]; /* in_header, or out_header */
  char operation[128];
  struct {
    uint64_t flags, commit_id;
    uint32_t payload_bytes, padding;
    uint64_t reserved;
  } entry;
};

/* fuse_uring_cmd_req, in the last 80 bytes of a large submission */
struct command {
  uint64_t flags, commit_id;
  uint16_t queue;
  uint8_t padding[6];
};

#define SUBMISSION_BYTES 128
#define SUBMISSIONS 256
#define COMPLETIONS 4096
#define ENTER_TRIES 10000
/* The memory of a header; a multiple of a cache line. */
#define HEADER_STRIDE 320
/* Payloads beyond which an entry's memory is given back at its next request, but for some; see give_back(). */
#define LARGE_BYTES (64 << 10)
#define LARGE_KEPT 16
#define PAYLOAD_BYTES (1 << 20)
#define BUCKETS 1024
#define SHARE_BUCKETS 4096
#define OPCODE_OPEN 14
#define OPCODE_RELEASE 18
#define OPCODE_IOCTL 39
/* So long the look for the next request keeps the processor to itself. */
#define LOOK_ALONE_NS 2000
#define MAX_QUEUES 1024
#define MAX_ENTRIES_A_QUEUE 4096

struct entry {
  struct entry_header *header;
  char *payload;
  struct iovec memory[2];
  uint64_t unique;
  struct entry *next; /* of those with a request, in their bucket */
  uint16_t queue;
  bool is_new, is_large; /* it was never asked anything; more of its payload has been used than is worth keeping */
};

/* Entries that were made together. */
struct chunk {
  struct chunk *next;
  struct entry *entries;
  char *headers, *payloads;
  size_t count;
};

struct queue {
  uint32_t entries, taken;
};

/*
 * One open of a file that stands for many: as long as it is shared, an OPEN of its node to read is answered here with the same handle, and the
 * RELEASEs are counted here. Unshared, it takes no more opens, and its last RELEASE goes to the server, which knows of one.
 */
struct share {
  struct share *next; /* in its bucket */
  uint64_t node, handle;
  uint32_t open_flags, opens;
  int is_shared, was_used;
};

struct ring {
  int fd, device;
  /* The ring, and the device as a file of the ring, under numbers that the kernel resolves without a look at the process's descriptors; -1: without. */
  int registered_ring, registered_device;
  char *submission_ring, *completion_ring, *submissions;
  size_t submission_ring_bytes, completion_ring_bytes, submissions_bytes;
  _Atomic uint32_t *submission_head, *submission_tail, *submission_flags, *completion_head, *completion_tail;
  uint32_t *submission_array, submission_mask, completion_mask, submission_count, unsubmitted;
  struct io_uring_cqe *completions;

  struct queue queues[MAX_QUEUES];
  uint32_t queue_count, depth, large, waiting; /* waiting: requests without their answer */
  struct chunk *chunks;
  struct entry *taken[BUCKETS];
  struct share *shares[SHARE_BUCKETS];

  uv_poll_t poll;
  napi_env env;
  napi_ref callback, inbox, outbox, resource;
  napi_async_context context;
  napi_async_cleanup_hook_handle cleanup;
  char *in, *out;
  size_t in_bytes, out_bytes;
  int batch, is_started, is_stopped, is_closed, is_orphan, is_answering, env_is_ending;
  /* How long it may look again at once before it sleeps, and since when it sleeps (0: it has not slept); see ring_readable(). */
  uint64_t look_ns, asleep_since_ns;
};

static void *map_ring(int fd, size_t bytes, off_t what) {
  return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);
}

/* Everything but the struct itself; what was never made is left alone. */
static void ring_release(struct ring *r) {
  if (r->submission_ring != NULL) munmap(r->submission_ring, r->submission_ring_bytes);
  if (r->completion_ring != NULL) munmap(r->completion_ring, r->completion_ring_bytes);
  if (r->submissions != NULL) munmap(r->submissions, r->submissions_bytes);
  if (r->fd >= 0) close(r->fd);
  r->fd = -1;
  r->submission_ring = r->completion_ring = r->submissions = NULL;
  for (size_t i = 0; i < SHARE_BUCKETS; i++) {
    while (r->shares[i] != NULL) {
      struct share *share = r->shares[i];
      r->shares[i] = share->next;
      free(share);
    }
  }
  while (r->chunks != NULL) {
    struct chunk *chunk = r->chunks;
    r->chunks = chunk->next;
    munmap(chunk->headers, chunk->count * HEADER_STRIDE);
    munmap(chunk->payloads, chunk->count * PAYLOAD_BYTES);
    free(chunk->entries);
    free(chunk);
  }
}

/* Completions are made when this thread enters the kernel, so that many come at once; a flag in shared memory says that there are some. */
static int ring_make(struct ring *r) {
  struct io_uring_params p = {.flags = IORING_SETUP_SQE128 | IORING_SETUP_CQSIZE | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
                              .cq_entries = COMPLETIONS};
  r->fd = (int)syscall(__NR_io_uring_setup, SUBMISSIONS, &p);
  if (r->fd < 0) return -errno;
  r->submission_ring_bytes = p.sq_off.array + p.sq_entries * sizeof(uint32_t);
  r->completion_ring_bytes = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
  r->submissions_bytes = p.sq_entries * SUBMISSION_BYTES;
  char *submission_ring = map_ring(r->fd, r->submission_ring_bytes, IORING_OFF_SQ_RING);
  if (submission_ring != MAP_FAILED) r->submission_ring = submission_ring;
  char *completion_ring = map_ring(r->fd, r->completion_ring_bytes, IORING_OFF_CQ_RING);
  if (completion_ring != MAP_FAILED) r->completion_ring = completion_ring;
  char *submissions = map_ring(r->fd, r->submissions_bytes, (off_t)IORING_OFF_SQES);
  if (submissions != MAP_FAILED) r->submissions = submissions;
  if (r->submission_ring == NULL || r->completion_ring == NULL || r->submissions == NULL) return -ENOMEM;
  r->submission_head = (void *)(submission_ring + p.sq_off.head);
  r->submission_tail = (void *)(submission_ring + p.sq_off.tail);
  r->submission_flags = (void *)(submission_ring + p.sq_off.flags);
  r->submission_array = (void *)(submission_ring + p.sq_off.array);
  r->submission_mask = *(uint32_t *)(submission_ring + p.sq_off.ring_mask);
  r->submission_count = p.sq_entries;
  r->completion_head = (void *)(completion_ring + p.cq_off.head);
  r->completion_tail = (void *)(completion_ring + p.cq_off.tail);
  r->completion_mask = *(uint32_t *)(completion_ring + p.cq_off.ring_mask);
  r->completions = (void *)(completion_ring + p.cq_off.cqes);
  return 0;
}

static uint32_t ring_tail(const struct ring *r) {
  return atomic_load_explicit(r->completion_tail, memory_order_acquire);
}

static int ring_is_pending(const struct ring *r) {
  return ring_tail(r) != atomic_load_explicit(r->completion_head, memory_order_relaxed) ||
         (atomic_load_explicit(r->submission_flags, memory_order_relaxed) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

/* In a loop that waits for memory to change: the other thread of this processor core gets its turn. */
static void relax(void) {
#if defined(__x86_64__)
  for (int i = 0; i < 8; i++) __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

/* Submits what is there, and makes the completions that are due. 0 or a negative errno. */
static int ring_enter(struct ring *r) {
  for (int tries = 0;;) {
    long taken = r->registered_ring < 0
                   ? syscall(__NR_io_uring_enter, r->fd, r->unsubmitted, 0, IORING_ENTER_GETEVENTS, NULL, 0)
                   : syscall(__NR_io_uring_enter, r->registered_ring, r->unsubmitted, 0, IORING_ENTER_GETEVENTS | IORING_ENTER_REGISTERED_RING, NULL, 0);
    if (taken >= 0) {
      r->unsubmitted -= (uint32_t)taken;
      if (r->unsubmitted == 0) return 0;
    } else if (errno != EINTR && errno != EAGAIN && errno != EBUSY) {
      return -errno;
    }
    /* Memory is short for a moment: a reply that stays behind would leave its client waiting. */
    if (++tries == ENTER_TRIES) return -EAGAIN;
    if (taken < 0 && errno != EINTR) sched_yield();
  }
}

static void ring_push(struct ring *r, struct entry *e, uint32_t what, uint64_t commit_id) {
  uint32_t tail = atomic_load_explicit(r->submission_tail, memory_order_relaxed);
  if (tail - atomic_load_explicit(r->submission_head, memory_order_acquire) >= r->submission_count) ring_enter(r);
  uint32_t index = tail & r->submission_mask;
  struct io_uring_sqe *submission = (void *)(r->submissions + (size_t)index * SUBMISSION_BYTES);
  memset(submission, 0, SUBMISSION_BYTES);
  submission->opcode = IORING_OP_URING_CMD;
  submission->fd = r->registered_device < 0 ? r->device : r->registered_device;
  submission->flags = r->registered_device < 0 ? 0 : IOSQE_FIXED_FILE;
  submission->cmd_op = what;
  submission->user_data = (uint64_t)(uintptr_t)e;
  if (what == CMD_REGISTER) {
    submission->addr = (uint64_t)(uintptr_t)e->memory;
    submission->len = 2;
  }
  struct command *command = (void *)submission->cmd;
  command->commit_id = commit_id;
  command->queue = e->queue;
  r->submission_array[index] = index;
  atomic_store_explicit(r->submission_tail, tail + 1, memory_order_release);
  r->unsubmitted++;
}

/* Entries that the kernel does not know of yet. Their memory is taken page by page, as requests use it. */
static int make_entries(struct ring *r, uint16_t queue, size_t count) {
  struct chunk *chunk = calloc(1, sizeof *chunk);
  struct entry *entries = calloc(count, sizeof *entries);
  char *headers = mmap(NULL, count * HEADER_STRIDE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char *payloads = mmap(NULL, count * PAYLOAD_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (chunk == NULL || entries == NULL || headers == MAP_FAILED || payloads == MAP_FAILED) {
    if (headers != MAP_FAILED) munmap(headers, count * HEADER_STRIDE);
    if (payloads != MAP_FAILED) munmap(payloads, count * PAYLOAD_BYTES);
    free(chunk);
    free(entries);
    return -ENOMEM;
  }
  *chunk = (struct chunk){.next = r->chunks, .entries = entries, .headers = headers, .payloads = payloads, .count = count};
  r->chunks = chunk;
  for (size_t i = 0; i < count; i++) {
    struct entry *e = &entries[i];
    e->queue = queue;
    e->is_new = true;
    e->header = (void *)(headers + i * HEADER_STRIDE);
    e->payload = payloads + i * PAYLOAD_BYTES;
    e->memory[0] = (struct iovec){.iov_base = e->header, .iov_len = sizeof *e->header};
    e->memory[1] = (struct iovec){.iov_base = e->payload, .iov_len = PAYLOAD_BYTES};
  }
  r->queues[queue].entries += count;
  return 0;
}

static void register_entries(struct ring *r, const struct chunk *chunk) {
  for (size_t i = 0; i < chunk->count; i++) ring_push(r, &chunk->entries[i], CMD_REGISTER, 0);
}

static void note_size(struct ring *r, struct entry *e, size_t payload_bytes) {
  if (payload_bytes <= LARGE_BYTES || e->is_large) return;
  e->is_large = true;
  r->large++;
}

static struct entry **bucket_of(struct ring *r, uint64_t unique) {
  return &r->taken[(unique >> 1) % BUCKETS];
}

static struct entry *entry_of(struct ring *r, uint64_t unique) {
  struct entry *e = *bucket_of(r, unique);
  while (e != NULL && e->unique != unique) e = e->next;
  return e;
}

static void take_entry(struct ring *r, struct entry *e, uint64_t unique) {
  struct entry **bucket = bucket_of(r, unique);
  e->unique = unique;
  e->next = *bucket;
  *bucket = e;
  struct queue *queue = &r->queues[e->queue];
  queue->taken++;
  r->waiting++;
  if (queue->entries - queue->taken < r->depth / 2 && queue->entries < MAX_ENTRIES_A_QUEUE && make_entries(r, e->queue, r->depth) == 0)
    register_entries(r, r->chunks);
}

/* What an entry's payload holds becomes its reply, which leaves with the next ring_enter(). */
static void push_reply(struct ring *r, struct entry *e, uint64_t unique, int32_t error, size_t payload_bytes) {
  struct out_header *header = (void *)e->header->in_out;
  *header = (struct out_header){.length = (uint32_t)(OUT_HEADER_BYTES + payload_bytes), .error = error, .unique = unique};
  e->header->entry.payload_bytes = (uint32_t)payload_bytes;
  ring_push(r, e, CMD_COMMIT_AND_FETCH, e->header->entry.commit_id);
}

/* Hands a filled entry back; its reply leaves with the next ring_enter(). */
static void commit_entry(struct ring *r, struct entry *e, int32_t error, size_t payload_bytes) {
  struct entry **at = bucket_of(r, e->unique);
  while (*at != e) at = &(*at)->next;
  *at = e->next;
  note_size(r, e, payload_bytes);
  r->queues[e->queue].taken--;
  r->waiting--;
  push_reply(r, e, e->unique, error, payload_bytes);
}

static struct share **shares_of(struct ring *r, uint64_t node) {
  return &r->shares[node % SHARE_BUCKETS];
}

/* The place that points to it, so that it can be taken out. `handle` 0: the one that is shared now. */
static struct share **share_at(struct ring *r, uint64_t node, uint64_t handle) {
  struct share **at = shares_of(r, node);
  while (*at != NULL && ((*at)->node != node || (handle == 0 ? !(*at)->is_shared : (*at)->handle != handle))) at = &(*at)->next;
  return at;
}

static void share_end(struct share **at) {
  struct share *share = *at;
  *at = share->next;
  free(share);
}

/* fuse_open_in: open(2) flags. To read, with nothing that would change the file or go around its pages. */
static int opens_to_read(uint32_t flags) {
  return (flags & (O_ACCMODE | O_TRUNC | O_APPEND | O_DIRECT)) == O_RDONLY;
}

/* Answers an OPEN or a RELEASE of a shared open by itself; 0: the server has to. */
static int answer_shared(struct ring *r, struct entry *e, const struct in_header *header) {
  if (header->opcode == OPCODE_OPEN) {
    struct share *share = *share_at(r, header->node, 0);
    uint32_t flags;
    memcpy(&flags, e->header->operation, sizeof flags);
    if (share == NULL || !opens_to_read(flags)) return 0;
    share->opens++;
    share->was_used = 1;
    memcpy(e->payload, &share->handle, 8);
    memcpy(e->payload + 8, &share->open_flags, 4);
    memset(e->payload + 12, 0, 4);
    push_reply(r, e, header->unique, 0, OPEN_OUT_BYTES);
    return 1;
  }
  uint64_t handle;
  memcpy(&handle, e->header->operation, sizeof handle);
  struct share **at = share_at(r, header->node, handle);
  if (*at == NULL) return 0;
  (*at)->opens--;
  if (!(*at)->is_shared && (*at)->opens == 0) {
    share_end(at);
    return 0;
  }
  push_reply(r, e, header->unique, 0, 0);
  return 1;
}

/* One reply as it would be written to the device. What did not come through the ring is written there. 0 or a negative errno. */
static int send_reply(struct ring *r, const char *reply, size_t length) {
  const struct out_header *header = (const void *)reply;
  struct entry *e = entry_of(r, header->unique);
  if (e == NULL) {
    ssize_t written = write_whole(r->device, reply, length);
    return written < 0 ? -errno : 0;
  }
  size_t payload_bytes = length - OUT_HEADER_BYTES;
  if (payload_bytes > PAYLOAD_BYTES) return -EINVAL;
  memcpy(e->payload, reply + OUT_HEADER_BYTES, payload_bytes);
  commit_entry(r, e, header->error, payload_bytes);
  return 0;
}

/* The replies that the caller has put behind one another, each at a multiple of eight. */
static void send_replies(struct ring *r, size_t bytes) {
  for (size_t at = 0; at + OUT_HEADER_BYTES <= bytes;) {
    size_t length = ((const struct out_header *)(const void *)(r->out + at))->length;
    if (length < OUT_HEADER_BYTES || at + length > bytes) return;
    send_reply(r, r->out + at, length);
    at += (length + 7) & ~(size_t)7;
  }
}

static void ring_closed(uv_handle_t *handle) {
  struct ring *r = handle->data;
  if (!r->env_is_ending) {
    napi_handle_scope scope;
    napi_open_handle_scope(r->env, &scope);
    napi_delete_reference(r->env, r->callback);
    napi_delete_reference(r->env, r->inbox);
    napi_delete_reference(r->env, r->outbox);
    napi_delete_reference(r->env, r->resource);
    napi_async_destroy(r->env, r->context);
    napi_close_handle_scope(r->env, scope);
  }
  if (r->cleanup != NULL) napi_remove_async_cleanup_hook(r->cleanup);
  r->cleanup = NULL;
  ring_release(r);
  r->is_closed = 1;
  if (r->is_orphan) free(r);
}

static void ring_end(struct ring *r) {
  if (r->is_stopped) return;
  r->is_stopped = 1;
  if (!r->is_started) {
    ring_release(r);
    r->is_closed = 1;
    return;
  }
  uv_poll_stop(&r->poll);
  uv_close((uv_handle_t *)&r->poll, ring_closed);
}

static void ring_cleanup(napi_async_cleanup_hook_handle handle, void *data) {
  (void)handle;
  struct ring *r = data;
  r->env_is_ending = 1;
  ring_end(r); /* when it is closing already, ring_closed() takes the hook away */
}

/* Nothing names the ring any more; where it is still closing, its end frees it. */
static void ring_finalize(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  struct ring *r = data;
  if (!r->is_started) ring_end(r);
  if (r->is_closed) free(r);
  else r->is_orphan = 1;
}

/* Within an open callback scope: `bytes` of requests, or a negative errno. Answers how many bytes of replies came back. */
static size_t ring_tell(struct ring *r, napi_value callback, napi_value receiver, int64_t bytes) {
  napi_handle_scope scope;
  napi_value argument, result, error;
  int64_t replied = 0;
  napi_open_handle_scope(r->env, &scope);
  napi_create_int64(r->env, bytes, &argument);
  if (napi_call_function(r->env, receiver, callback, 1, &argument, &result) == napi_ok) {
    napi_get_value_int64(r->env, result, &replied);
  } else {
    napi_get_and_clear_last_exception(r->env, &error);
    napi_fatal_exception(r->env, error);
  }
  napi_close_handle_scope(r->env, scope);
  return replied < 0 || (size_t)replied > r->out_bytes ? 0 : (size_t)replied;
}

/*
 * Of an entry whose request has been copied and not yet answered, the only time at which the kernel does not write on it. The pages come again
 * when they are written on. An entry that is not asked again keeps what it has.
 */
static void give_back(struct ring *r, struct entry *e, size_t payload_bytes) {
  note_size(r, e, payload_bytes);
  if (!e->is_large || r->large <= LARGE_KEPT) return;
  madvise(e->payload, PAYLOAD_BYTES, MADV_DONTNEED);
  e->is_large = false;
  r->large--;
}

#define ANSWERED 0
#define NO_ROOM -1

/* Takes one request. Answers the bytes it put at `into`, or one of the two above. */
static long take_request(struct ring *r, struct entry *e, char *into, size_t room) {
  const struct in_header *header = (const void *)e->header->in_out;
  if ((header->opcode == OPCODE_OPEN || header->opcode == OPCODE_RELEASE) && answer_shared(r, e, header)) return ANSWERED;
  if (header->opcode == OPCODE_IOCTL) {
    /* Python asks of each file that it opens whether it is a terminal. */
    push_reply(r, e, header->unique, -ENOTTY, 0);
    return ANSWERED;
  }
  size_t length = header->length, payload = e->header->entry.payload_bytes;
  if (length > room) return NO_ROOM;
  size_t operation = length - IN_HEADER_BYTES - payload;
  memcpy(into, header, IN_HEADER_BYTES);
  memcpy(into + IN_HEADER_BYTES, e->header->operation, operation);
  memcpy(into + IN_HEADER_BYTES + operation, e->payload, payload);
  give_back(r, e, payload);
  take_entry(r, e, header->unique);
  return (long)length;
}

/* Whether the lengths that the kernel tells fit the memory it has been given. */
static int is_well_formed(const struct entry *e) {
  size_t length = ((const struct in_header *)(const void *)e->header->in_out)->length, payload = e->header->entry.payload_bytes;
  return payload <= PAYLOAD_BYTES && length >= IN_HEADER_BYTES + payload && length - IN_HEADER_BYTES - payload <= sizeof e->header->operation;
}

/*
 * Answers the requests up to `tail` of the completions, in one callback scope: promises that they settled go on when the scope closes. Their replies are
 * pushed, and not yet submitted. Returns how many requests it took.
 */
static int ring_answer(struct ring *r, uint32_t tail) {
  uint32_t head = atomic_load_explicit(r->completion_head, memory_order_relaxed);
  size_t filled = 0;
  int taken = 0, ended = 0;
  for (; head != tail && taken < r->batch && filled < r->in_bytes && !ended; head++) {
    const struct io_uring_cqe *completion = &r->completions[head & r->completion_mask];
    struct entry *e = (void *)(uintptr_t)completion->user_data;
    if (completion->res == -ENOMEM && e->is_new) {
      r->queues[e->queue].entries--;
      continue;
    }
    e->is_new = false;
    if (completion->res < 0) ended = completion->res;
    else if (!is_well_formed(e)) ended = -EPROTO;
    if (ended) continue;
    long got = take_request(r, e, r->in + filled, r->in_bytes - filled);
    if (got == NO_ROOM) break;
    filled += ((size_t)got + 7) & ~(size_t)7;
    taken++;
  }
  atomic_store_explicit(r->completion_head, head, memory_order_release);
  if (filled == 0 && !ended) return taken;

  napi_handle_scope handles;
  napi_callback_scope scope;
  napi_value resource, callback, receiver;
  napi_open_handle_scope(r->env, &handles);
  napi_get_reference_value(r->env, r->resource, &resource);
  napi_get_reference_value(r->env, r->callback, &callback);
  napi_get_global(r->env, &receiver);
  napi_open_callback_scope(r->env, resource, r->context, &scope);
  r->is_answering = 1;
  if (filled > 0) send_replies(r, ring_tell(r, callback, receiver, (int64_t)filled));
  if (ended) {
    ring_end(r);
    ring_tell(r, callback, receiver, ended);
  }
  napi_close_callback_scope(r->env, scope);
  r->is_answering = 0;
  napi_close_handle_scope(r->env, handles);
  return taken;
}

/*
 * Until a request is there or the time is up; not while another one waits for a disk or for Swift, whose answers come by the loop and want a processor
 * themselves. Whoever else wants this one gets it: often it is the client that is to ask next.
 */
static void look(const struct ring *r) {
  uint64_t start = uv_hrtime();
  while (!ring_is_pending(r)) {
    uint64_t looked_ns = uv_hrtime() - start;
    if (looked_ns >= r->look_ns || r->waiting > 0) return;
    if (looked_ns < LOOK_ALONE_NS) relax();
    else sched_yield();
  }
}

/*
 * A client that works through many files asks again some microseconds after its answer, sooner than this thread sleeps and is woken. So,
 * where the last sleep was as short as that, look for the next request for a moment before the loop may sleep.
 */
static void ring_readable(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  struct ring *r = poll->data;
  int looks = r->look_ns > 0 && uv_hrtime() - r->asleep_since_ns < r->look_ns;
  int answered = 0;
  while (!r->is_stopped) {
    ring_enter(r);
    int taken = ring_answer(r, ring_tail(r));
    answered += taken;
    if (taken > 0 && answered < r->batch) continue;
    if (taken > 0 || !looks) break;
    look(r);
    if (!ring_is_pending(r)) break;
  }
  if (!r->is_stopped && r->unsubmitted > 0) ring_enter(r);
  r->asleep_since_ns = uv_hrtime();
}

/* ringPrepare(queues, depth): an external, or a negative errno. Nothing of the device is touched. */
napi_value ring_prepare(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2], external;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  if (count < 2) return number(env, -EINVAL);
  struct ring *r = calloc(1, sizeof *r);
  if (r == NULL) return number(env, -ENOMEM);
  r->queue_count = (uint32_t)to_int(env, arguments[0]);
  r->depth = (uint32_t)to_int(env, arguments[1]);
  r->fd = r->device = r->registered_ring = r->registered_device = -1;
  int failed = r->queue_count < 1 || r->queue_count > MAX_QUEUES || r->depth < 1 || r->depth > MAX_ENTRIES_A_QUEUE ? -EINVAL : ring_make(r);
  for (uint32_t queue = 0; queue < r->queue_count && !failed; queue++) failed = make_entries(r, (uint16_t)queue, r->depth);
  if (failed) {
    ring_release(r);
    free(r);
    return number(env, failed);
  }
  napi_create_external(env, r, ring_finalize, NULL, &external);
  return external;
}

/* Right after the entries were registered: why the kernel refuses one, or 0. Completions stay where they are. */
static int refusal(const struct ring *r) {
  uint32_t head = atomic_load_explicit(r->completion_head, memory_order_relaxed);
  for (uint32_t tail = ring_tail(r); head != tail; head++)
    if (r->completions[head & r->completion_mask].res < 0) return r->completions[head & r->completion_mask].res;
  return 0;
}

static struct ring *to_ring(napi_env env, napi_value value) {
  void *r = NULL;
  return napi_get_value_external(env, value, &r) == napi_ok ? r : NULL;
}

/* Saves a tenth of what a request costs; without it the ring works as well. Both are good for this thread alone, the only one that enters. */
static void register_descriptors(struct ring *r) {
  if (syscall(__NR_io_uring_register, r->fd, IORING_REGISTER_FILES, &r->device, 1) == 0) r->registered_device = 0;
  struct io_uring_rsrc_update ring = {.offset = UINT32_MAX, .data = (uint64_t)r->fd};
  if (syscall(__NR_io_uring_register, r->fd, IORING_REGISTER_RING_FDS, &ring, 1) == 1) r->registered_ring = (int)ring.offset;
}

/*
 * ringStart(ring, device, inbox, outbox, callback(bytesOrNegativeErrno): bytesOfReplies, batch, lookAgainUs): 0 or a negative errno.
 * Requests stand in the inbox behind one another, each at a multiple of eight; replies are left in the outbox in the same way.
 */
napi_value ring_start(napi_env env, napi_callback_info info) {
  size_t count = 7;
  napi_value arguments[7], name, resource;
  uv_loop_t *loop;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct ring *r = count < 7 ? NULL : to_ring(env, arguments[0]);
  if (r == NULL || r->is_started || napi_get_buffer_info(env, arguments[2], (void **)&r->in, &r->in_bytes) != napi_ok ||
      napi_get_buffer_info(env, arguments[3], (void **)&r->out, &r->out_bytes) != napi_ok || napi_get_uv_event_loop(env, &loop) != napi_ok)
    return number(env, -EINVAL);
  r->env = env;
  r->device = to_int(env, arguments[1]);
  r->batch = to_int(env, arguments[5]);
  r->look_ns = (uint64_t)to_int(env, arguments[6]) * 1000;
  register_descriptors(r);
  for (const struct chunk *chunk = r->chunks; chunk != NULL; chunk = chunk->next) register_entries(r, chunk);
  int failed = ring_enter(r);
  if (!failed) failed = refusal(r);
  if (!failed) failed = uv_poll_init(loop, &r->poll, r->fd);
  if (failed) return number(env, failed);
  r->is_started = 1;
  r->poll.data = r;
  napi_create_reference(env, arguments[2], 1, &r->inbox);
  napi_create_reference(env, arguments[3], 1, &r->outbox);
  napi_create_reference(env, arguments[4], 1, &r->callback);
  napi_create_object(env, &resource);
  napi_create_reference(env, resource, 1, &r->resource);
  napi_create_string_utf8(env, "fuse-ring", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, resource, name, &r->context);
  napi_add_async_cleanup_hook(env, ring_cleanup, r, &r->cleanup);
  uv_poll_start(&r->poll, UV_READABLE, ring_readable);
  return number(env, 0);
}

/* ringShare(ring, node, handle, openFlags): that open, the only one there is, takes others from now on. */
napi_value ring_share(napi_env env, napi_callback_info info) {
  size_t count = 4;
  napi_value arguments[4];
  int64_t node = 0, handle = 0;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct ring *r = count < 4 ? NULL : to_ring(env, arguments[0]);
  if (r == NULL || r->is_stopped) return number(env, -EINVAL);
  napi_get_value_int64(env, arguments[1], &node);
  napi_get_value_int64(env, arguments[2], &handle);
  if (handle == 0 || *share_at(r, (uint64_t)node, 0) != NULL) return number(env, -EEXIST);
  struct share *share = calloc(1, sizeof *share);
  if (share == NULL) return number(env, -ENOMEM);
  struct share **bucket = shares_of(r, (uint64_t)node);
  *share = (struct share){.next = *bucket, .node = (uint64_t)node, .handle = (uint64_t)handle, .open_flags = (uint32_t)to_int(env, arguments[3]),
                          .opens = 1, .is_shared = 1, .was_used = 1};
  *bucket = share;
  return number(env, 0);
}

/* ringUnshare(ring, node): its handle when nothing has it open and the server has to release it, else 0; -ENOENT when it is not shared. */
napi_value ring_unshare(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2];
  int64_t node = 0;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct ring *r = count < 2 ? NULL : to_ring(env, arguments[0]);
  if (r == NULL) return number(env, -EINVAL);
  napi_get_value_int64(env, arguments[1], &node);
  struct share **at = share_at(r, (uint64_t)node, 0);
  if (*at == NULL) return number(env, -ENOENT);
  (*at)->is_shared = 0;
  if ((*at)->opens > 0) return number(env, 0);
  int64_t handle = (int64_t)(*at)->handle;
  share_end(at);
  return number(env, handle);
}

/* ringUnused(ring, into: Float64Array): how many nodes it put there, of those shared ones that nobody has opened since the last time. */
napi_value ring_unused(napi_env env, napi_callback_info info) {
  size_t count = 2, capacity = 0, found = 0;
  napi_value arguments[2];
  napi_typedarray_type type;
  void *into = NULL;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct ring *r = count < 2 ? NULL : to_ring(env, arguments[0]);
  if (r == NULL || napi_get_typedarray_info(env, arguments[1], &type, &capacity, &into, NULL, NULL) != napi_ok || type != napi_float64_array)
    return number(env, -EINVAL);
  for (size_t i = 0; i < SHARE_BUCKETS && found < capacity; i++) {
    for (struct share *share = r->shares[i]; share != NULL && found < capacity; share = share->next) {
      if (!share->is_shared) continue;
      if (!share->was_used) ((double *)into)[found++] = (double)share->node;
      share->was_used = 0;
    }
  }
  return number(env, (int64_t)found);
}

/* ringStop(ring) */
napi_value ring_stop(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value arguments[1];
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct ring *r = count < 1 ? NULL : to_ring(env, arguments[0]);
  if (r == NULL) return number(env, -EINVAL);
  ring_end(r);
  return number(env, 0);
}

/* While requests are being answered, replies leave with the others. */
static napi_value sent(napi_env env, struct ring *r, int result) {
  if (result >= 0 && !r->is_answering && r->unsubmitted > 0) ring_enter(r);
  return number(env, result);
}

/*
 * ringTake(ring): answers what has arrived, before its turn comes. For who reads something of the device that is about a request of the ring.
 */
napi_value ring_take(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value arguments[1];
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct ring *r = count < 1 ? NULL : to_ring(env, arguments[0]);
  if (r == NULL || !r->is_started || r->is_answering) return number(env, -EINVAL);
  ring_enter(r);
  /* No further than this: others keep asking. */
  uint32_t tail = ring_tail(r);
  while (!r->is_stopped && ring_answer(r, tail) > 0)
    ;
  return number(env, 0);
}

/* ringReply(ring, buffer, length) */
napi_value ring_reply(napi_env env, napi_callback_info info) {
  size_t count = 3, capacity;
  napi_value arguments[3];
  void *bytes;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct ring *r = count < 3 ? NULL : to_ring(env, arguments[0]);
  if (r == NULL || napi_get_buffer_info(env, arguments[1], &bytes, &capacity) != napi_ok) return number(env, -EINVAL);
  if (r->is_stopped) return number(env, -ENODEV);
  int32_t length = to_int(env, arguments[2]);
  if (length < OUT_HEADER_BYTES || (size_t)length > capacity) return number(env, -EINVAL);
  return sent(env, r, send_reply(r, bytes, (size_t)length));
}

/* ringReplyFromFile(ring, buffer, file, length, position, isWhole): as replyFromFile() of the device. */
napi_value ring_reply_from_file(napi_env env, napi_callback_info info) {
  size_t count = 6, capacity;
  napi_value arguments[6];
  void *bytes;
  int64_t position = 0;
  bool is_whole = false;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct ring *r = count < 6 ? NULL : to_ring(env, arguments[0]);
  if (r == NULL || napi_get_buffer_info(env, arguments[1], &bytes, &capacity) != napi_ok) return number(env, -EINVAL);
  if (r->is_stopped) return number(env, -ENODEV);
  int file = to_int(env, arguments[2]);
  int32_t length = to_int(env, arguments[3]);
  napi_get_value_int64(env, arguments[4], &position);
  napi_get_value_bool(env, arguments[5], &is_whole);
  struct out_header *header = bytes;
  struct entry *e = entry_of(r, header->unique);
  if (length < 0 || length > PAYLOAD_BYTES) return number(env, -EINVAL);
  if (e == NULL) return number(env, -ENOENT);
  ssize_t filled = read_slice(file, e->payload, (size_t)length, position, is_whole);
  if (filled < 0) return number(env, 0);
  commit_entry(r, e, 0, (size_t)filled);
  return sent(env, r, (int)(OUT_HEADER_BYTES + filled));
}

#else /* linux/io_uring.h of the build machine is older than 5.19: no ring, and so no call of what follows it */

napi_value ring_prepare(napi_env env, napi_callback_info info) {
  (void)info;
  return number(env, -ENOSYS);
}

#define WITHOUT_RING(name)                                                                                                                           \
  napi_value name(napi_env env, napi_callback_info info) {                                                                                          \
    return ring_prepare(env, info);                                                                                                                  \
  }
WITHOUT_RING(ring_start)
WITHOUT_RING(ring_stop)
WITHOUT_RING(ring_share)
WITHOUT_RING(ring_unshare)
WITHOUT_RING(ring_unused)
WITHOUT_RING(ring_take)
WITHOUT_RING(ring_reply)
WITHOUT_RING(ring_reply_from_file)

#endif
