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
#include "ring-loop.h"

#include <stdlib.h>

#ifdef HAS_URING

/* A sleep of so many looks was a short one: it includes the waking of two programs, which a look spares. */
#define BRIEF_LOOKS 3

static struct ring *to_ring(napi_env env, const struct args *a, size_t least_args) {
  void *r = NULL;
  return a->count >= least_args && napi_get_value_external(env, a->at[0], &r) == napi_ok ? r : NULL;
}

/* Nothing names the ring any more; where it is not closed yet, its end frees it. */
static void finalize(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  struct ring *r = data;
  if (r->state == PREPARED) ring_end(r);
  if (r->state == CLOSED) free(r);
  else r->is_orphan = true;
}

/* ringPrepare(queues, deepQueues, depth): an external, or a negative errno. Nothing of the device is touched. */
napi_value ring_prepare(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  if (a.count < 3) return number(env, -EINVAL);
  struct ring *r = calloc(1, sizeof *r);
  if (r == NULL) return number(env, -ENOMEM);
  int failed = uring_make(&r->uring);
  if (!failed) failed = entries_make(&r->entries, &r->uring, to_int(env, a.at[0]), to_int(env, a.at[1]), to_int(env, a.at[2]));
  napi_value external;
  if (!failed && napi_create_external(env, r, finalize, NULL, &external) != napi_ok) failed = -ENOMEM;
  if (!failed) return external;
  r->is_orphan = true;
  ring_end(r);
  return number(env, failed);
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
  if (!failed) failed = listener_start(&r->listener, env, r->uring.wake, &RING_HOOKS, r, a.at[4], &a.at[2]);
  if (failed) return number(env, failed);
  listener_keep_awake(&r->listener, to_int(env, a.at[7]));
  r->state = STARTED;
  return number(env, 0);
}

/* ringShare(ring, node, handle, openFlags): share_begin() */
napi_value ring_share(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  struct ring *r = to_ring(env, &a, 4);
  if (r == NULL || ring_is_ended(r)) return number(env, -EINVAL);
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
  ring_end(r);
  return number(env, 0);
}

/*
 * ringTake(ring): answers what has arrived, before its turn comes. For who reads something of the device that is about a request of the ring.
 */
napi_value ring_take(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  struct ring *r = to_ring(env, &a, 1);
  if (r == NULL || r->state != STARTED || r->is_answering) return number(env, -EINVAL);
  ring_take_arrived(r);
  return number(env, 0);
}

/* While requests are being answered, replies leave with the others. */
static napi_value sent(napi_env env, struct ring *r, int result) {
  if (result >= 0 && !r->is_answering) ring_flush(r);
  return number(env, result);
}

/* ringReply(ring, buffer, length) */
napi_value ring_reply(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  struct ring *r = to_ring(env, &a, 3);
  size_t capacity;
  void *bytes;
  if (r == NULL || napi_get_buffer_info(env, a.at[1], &bytes, &capacity) != napi_ok) return number(env, -EINVAL);
  if (ring_is_ended(r)) return number(env, -ENODEV);
  int32_t length = to_int(env, a.at[2]);
  if (length < OUT_HEADER_BYTES || (size_t)length > capacity) return number(env, -EINVAL);
  return sent(env, r, ring_send(r, bytes, (size_t)length));
}

/* ringReplyFromFile(ring, buffer, file, length, position, isWhole): as replyFromFile() of the device. */
napi_value ring_reply_from_file(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  struct ring *r = to_ring(env, &a, 6);
  size_t capacity;
  void *bytes;
  if (r == NULL || napi_get_buffer_info(env, a.at[1], &bytes, &capacity) != napi_ok) return number(env, -EINVAL);
  if (ring_is_ended(r)) return number(env, -ENODEV);
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
