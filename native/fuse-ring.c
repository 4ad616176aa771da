/*
 * fuse-ring: FUSE over io_uring (Linux 6.14, Documentation/filesystems/fuse-io-uring.rst). Requests come as completions and replies leave as
 * submissions, many of each in one system call; a device that is read and written takes four calls for what costs one here under load.
 *
 *   ringPrepare(...)               the ring and its memory, before INIT promises it: an external, or a negative errno
 *   ringStart(...)                 registers the entries, after INIT was answered; requests arrive on the main loop from then on
 *   ringReply() ringReplyFromFile()  one reply, at once, or with the others when requests are being answered
 *   ringTake()                     answers what has arrived, now
 *   ringShare() ringUnshare() ringUnused()  opens that are answered here (ring-shares.h)
 *   ringStop()
 */
#define _GNU_SOURCE
#define NAPI_VERSION 8
#include "fuse-ring.h"

#include "addon-calls.h"
#include "listener.h"
#include "ring-entries.h"
#include "ring-shares.h"

#include <stdlib.h>
#include <string.h>

#ifdef HAS_URING

/* Of ring_take(); each takes some twenty requests, and a queue has not more than a thousand. */
#define TAKE_ROUNDS 64

/* A sleep of so many looks was a short one: it includes the waking of two programs, which a look spares. */
#define BRIEF_LOOKS 3

enum state { PREPARED, STARTED, CLOSED };

struct ring {
  struct uring uring;
  struct entries entries;
  struct shares shares;
  struct listener listener;
  enum state state;
  char *in, *out;
  size_t in_bytes, out_bytes;
  int batch;
  bool is_answering, is_orphan; /* its requests are being answered; nothing in JavaScript names it any more */
};

static struct ring *to_ring(napi_env env, const struct args *a, size_t least_args) {
  void *r = NULL;
  return a->count >= least_args && napi_get_value_external(env, a->at[0], &r) == napi_ok ? r : NULL;
}

/* What the kernel does not take now is tried again soon, whether requests come or not: somebody waits for each of these replies. */
static void submit(struct ring *r) {
  if (entries_submit(&r->entries) == -EAGAIN) listener_again(&r->listener);
}

static void on_closed(void *owner) {
  struct ring *r = owner;
  uring_release(&r->uring);
  entries_release(&r->entries);
  shares_release(&r->shares);
  r->state = CLOSED;
  if (r->is_orphan) free(r);
}

/* The kernel's part ends at once: it waits for nothing that only this thread would carry out. */
static void end(struct ring *r) {
  if (r->state == STARTED) {
    listener_end(&r->listener);
    uring_release(&r->uring);
  }
  if (r->state == PREPARED) on_closed(r);
}

static bool is_ended(const struct ring *r) {
  return r->state == CLOSED || r->listener.is_stopped;
}

/* Nothing names the ring any more; where it is not closed yet, its end frees it. */
static void finalize(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  struct ring *r = data;
  if (r->state == PREPARED) end(r);
  if (r->state == CLOSED) free(r);
  else r->is_orphan = true;
}

/* One reply as it would be written to the device. What did not come through the ring is written there. 0 or a negative errno. */
static int send_reply(struct ring *r, const char *reply, size_t length) {
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
    send_reply(r, r->out + at, length);
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
    if (replied > 0 && (size_t)replied <= r->out_bytes && !is_ended(r)) send_replies(r, (size_t)replied);
  }
  if (it.ended) {
    end(r);
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
  int answered = 0;
  uring_mute(&r->uring);
  while (!is_ended(r)) {
    submit(r);
    int taken = answer(r, uring_tail(&r->uring));
    answered += taken;
    if (taken > 0 && answered < r->batch) continue;
    if (taken > 0 || !looks) break;
    look(r);
    if (!uring_is_pending(&r->uring)) break;
  }
  if (!is_ended(r)) {
    if (entries_are_unsent(&r->entries)) submit(r);
    uring_unmute(&r->uring);
  }
  note_requests(&r->listener, answered);
  note_sleep(&r->listener);
}

static const struct listener_hooks HOOKS = {.name = "fuse-ring", .on_readable = on_readable, .on_closed = on_closed};

/* ringPrepare(queues, deepQueues, depth): an external, or a negative errno. Nothing of the device is touched. */
napi_value ring_prepare(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  if (a.count < 3) return number(env, -EINVAL);
  struct ring *r = calloc(1, sizeof *r);
  if (r == NULL) return number(env, -ENOMEM);
  int failed = uring_make(&r->uring);
  if (!failed) failed = entries_make(&r->entries, &r->uring, to_int(env, a.at[0]), to_int(env, a.at[1]), to_int(env, a.at[2]));
  if (failed) {
    r->is_orphan = true;
    end(r);
    return number(env, failed);
  }
  napi_value external;
  napi_create_external(env, r, finalize, NULL, &external);
  return external;
}

/* Right after the entries were registered: why the kernel refuses one, or 0. Completions stay where they are. */
static int refusal(const struct uring *u) {
  for (uint32_t head = uring_head(u), tail = uring_tail(u); head != tail; head++)
    if (uring_completion(u, head)->res < 0) return uring_completion(u, head)->res;
  return 0;
}

/*
 * ringStart(ring, device, inbox, outbox, callback(bytesOrNegativeErrno): bytesOfReplies, batch, lookAgainUs, latency): 0 or a negative errno.
 * Requests stand in the inbox behind one another, each at a multiple of eight; replies are left in the outbox in the same way. `latency` is a
 * descriptor of /dev/cpu_dma_latency, which is the ring's own from then on, or -1.
 */
napi_value ring_start(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  struct ring *r = to_ring(env, &a, 8);
  if (r == NULL || r->state != PREPARED || napi_get_buffer_info(env, a.at[2], (void **)&r->in, &r->in_bytes) != napi_ok ||
      napi_get_buffer_info(env, a.at[3], (void **)&r->out, &r->out_bytes) != napi_ok)
    return number(env, -EINVAL);
  r->batch = to_int(env, a.at[5]);
  r->listener.look_ns = (uint64_t)to_int(env, a.at[6]) * 1000;
  r->listener.brief_ns = BRIEF_LOOKS * r->listener.look_ns;
  uring_use_device(&r->uring, to_int(env, a.at[1]));
  entries_register(&r->entries);
  int failed = entries_submit(&r->entries);
  if (!failed) failed = refusal(&r->uring);
  if (!failed) failed = listener_start(&r->listener, env, r->uring.wake, &HOOKS, r, a.at[4], &a.at[2]);
  if (failed) return number(env, failed);
  listener_keep_awake(&r->listener, to_int(env, a.at[7]));
  r->state = STARTED;
  return number(env, 0);
}

/* ringShare(ring, node, handle, openFlags): share_begin() */
napi_value ring_share(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  struct ring *r = to_ring(env, &a, 4);
  if (r == NULL || is_ended(r)) return number(env, -EINVAL);
  return number(env, share_begin(&r->shares, (uint64_t)to_int64(env, a.at[1]), (uint64_t)to_int64(env, a.at[2]), (uint32_t)to_int(env, a.at[3])));
}

/* ringUnshare(ring, node): share_end() */
napi_value ring_unshare(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  struct ring *r = to_ring(env, &a, 2);
  return number(env, r == NULL ? -EINVAL : share_end(&r->shares, (uint64_t)to_int64(env, a.at[1])));
}

/* ringUnused(ring, into: Float64Array): shares_unused() */
napi_value ring_unused(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  struct ring *r = to_ring(env, &a, 2);
  size_t capacity = 0;
  napi_typedarray_type type;
  void *into = NULL;
  if (r == NULL || napi_get_typedarray_info(env, a.at[1], &type, &capacity, &into, NULL, NULL) != napi_ok || type != napi_float64_array)
    return number(env, -EINVAL);
  return number(env, (int64_t)shares_unused(&r->shares, into, capacity));
}

/* ringStop(ring) */
napi_value ring_stop(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  struct ring *r = to_ring(env, &a, 1);
  if (r == NULL) return number(env, -EINVAL);
  end(r);
  return number(env, 0);
}

/*
 * ringTake(ring): answers what has arrived, before its turn comes. For who reads something of the device that is about a request of the ring.
 */
napi_value ring_take(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  struct ring *r = to_ring(env, &a, 1);
  if (r == NULL || r->state != STARTED || r->is_answering) return number(env, -EINVAL);
  /* Others keep asking meanwhile: not without end. */
  for (int rounds = 0; rounds < TAKE_ROUNDS && !is_ended(r); rounds++) {
    submit(r);
    if (answer(r, uring_tail(&r->uring)) == 0 && !uring_is_pending(&r->uring)) break;
  }
  if (!is_ended(r) && entries_are_unsent(&r->entries)) submit(r);
  return number(env, 0);
}

/* While requests are being answered, replies leave with the others. */
static napi_value sent(napi_env env, struct ring *r, int result) {
  if (result >= 0 && !r->is_answering && entries_are_unsent(&r->entries)) submit(r);
  return number(env, result);
}

/* ringReply(ring, buffer, length) */
napi_value ring_reply(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  struct ring *r = to_ring(env, &a, 3);
  size_t capacity;
  void *bytes;
  if (r == NULL || napi_get_buffer_info(env, a.at[1], &bytes, &capacity) != napi_ok) return number(env, -EINVAL);
  if (is_ended(r)) return number(env, -ENODEV);
  int32_t length = to_int(env, a.at[2]);
  if (length < OUT_HEADER_BYTES || (size_t)length > capacity) return number(env, -EINVAL);
  return sent(env, r, send_reply(r, bytes, (size_t)length));
}

/* ringReplyFromFile(ring, buffer, file, length, position, isWhole): as replyFromFile() of the device. */
napi_value ring_reply_from_file(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  struct ring *r = to_ring(env, &a, 6);
  size_t capacity;
  void *bytes;
  if (r == NULL || napi_get_buffer_info(env, a.at[1], &bytes, &capacity) != napi_ok) return number(env, -EINVAL);
  if (is_ended(r)) return number(env, -ENODEV);
  int32_t length = to_int(env, a.at[3]);
  struct entry *e = entry_of(&r->entries, ((const struct out_header *)bytes)->unique);
  if (length < 0 || length > PAYLOAD_BYTES) return number(env, -EINVAL);
  if (e == NULL) return number(env, -ENOENT);
  ssize_t filled = read_slice(to_int(env, a.at[2]), e->payload, (size_t)length, to_int64(env, a.at[4]), to_bool(env, a.at[5]));
  if (filled < 0) return number(env, 0);
  entry_commit(&r->entries, e, 0, (size_t)filled);
  return sent(env, r, (int)(OUT_HEADER_BYTES + filled));
}

#else /* linux/io_uring.h of the build machine is older than 6.1: no ring, and so no call of what follows ringPrepare() */

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
