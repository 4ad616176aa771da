/* The reader of /dev/fuse: polled on the main loop, one callback a request, bytes in the caller's buffer. */
#define _GNU_SOURCE
#define NAPI_VERSION 8
#include "device-reader.h"

#include "addon-calls.h"
#include "listener.h"

#include <stdlib.h>

struct reader {
  struct listener listener;
  char *bytes;
  size_t capacity;
  int fd, batch;
};

/* The next request's bytes, or a negative errno: -EAGAIN when there is none now. */
static ssize_t next(struct reader *r) {
  for (;;) {
    ssize_t got = read(r->fd, r->bytes, r->capacity);
    if (got >= 0) return got;
    if (errno != EINTR && errno != ENOENT) return -errno; /* ENOENT: the request was withdrawn between poll and read */
  }
}

/* Answers what is there, starting with a request already in the buffer, in one callback scope. Returns how many requests it answered. */
static int answer(struct reader *r, ssize_t got) {
  struct call call;
  int answered = 0;
  open_call(&r->listener, &call);
  while (got != -EAGAIN) {
    if (got < 0) listener_end(&r->listener); /* ENODEV: unmounted */
    tell(&r->listener, &call, got);
    if (++answered == r->batch || r->listener.is_stopped) break;
    got = next(r);
  }
  close_call(&r->listener, &call);
  return answered;
}

static void on_readable(void *owner) {
  struct reader *r = owner;
  bool looks = slept_briefly(&r->listener);
  int answered = 0;
  ssize_t got = next(r);
  for (;;) {
    if (got != -EAGAIN) answered += answer(r, got);
    if (r->listener.is_stopped) return;
    if (answered >= r->batch || !looks) break;
    uint64_t until = uv_hrtime() + r->listener.look_ns;
    while ((got = next(r)) == -EAGAIN && uv_hrtime() < until)
      ;
    if (got == -EAGAIN) break;
  }
  note_sleep(&r->listener);
}

static const struct listener_hooks HOOKS = {.name = "fuse-device", .on_readable = on_readable, .on_closed = free};

/*
 * start(device, buffer, callback(lengthOrNegativeErrno), batch, lookAgainUs): an external, or a negative errno. The device becomes
 * non-blocking. `batch` requests are answered before other work of the loop gets its turn.
 */
napi_value reader_start(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  struct reader *r = calloc(1, sizeof *r);
  if (r == NULL) return number(env, -ENOMEM);
  napi_value external;
  if (a.count < 5 || napi_get_buffer_info(env, a.at[1], (void **)&r->bytes, &r->capacity) != napi_ok) {
    free(r);
    return number(env, -EINVAL);
  }
  r->fd = to_int(env, a.at[0]);
  r->batch = to_int(env, a.at[3]);
  r->listener.look_ns = r->listener.brief_ns = (uint64_t)to_int(env, a.at[4]) * 1000;
  int failed = listener_start(&r->listener, env, r->fd, &HOOKS, r, a.at[2], (napi_value[LISTENER_BUFFERS]){a.at[1]});
  if (failed) {
    free(r);
    return number(env, failed);
  }
  napi_create_external(env, r, NULL, NULL, &external);
  return external;
}

/* stop(external): call at most once, and not after the callback was told a negative errno. */
napi_value reader_stop(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  void *r = NULL;
  if (a.count < 1 || napi_get_value_external(env, a.at[0], &r) != napi_ok) return number(env, -EINVAL);
  listener_end(&((struct reader *)r)->listener);
  return number(env, 0);
}
