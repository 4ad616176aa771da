/*
 * A descriptor that is watched on the main loop, and the function of JavaScript that is told of it: how the reader of the device and the ring begin,
 * call and end. It belongs to its environment (main thread or worker), whose end is its own.
 *
 *   listener_start()  ──►  on_readable() again and again  ──►  listener_end(), or the environment's end  ──►  on_closed()
 *                              └─ open_call() tell()... close_call()
 */
#ifndef LISTENER_H
#define LISTENER_H

#include "awake.h"

#include <node_api.h>
#include <uv.h>

#include <stdbool.h>
#include <stdint.h>

#define LISTENER_BUFFERS 2

struct listener_hooks {
  const char *name;
  void (*on_readable)(void *owner);
  /* Once, after listener_end(); the owner, and the listener within it, may be freed from then on. */
  void (*on_closed)(void *owner);
};

struct listener {
  uv_poll_t poll;
  uv_timer_t again, tick;
  struct awake awake;
  int open_handles;
  napi_env env;
  napi_ref callback, resource, buffers[LISTENER_BUFFERS];
  napi_async_context context;
  napi_async_cleanup_hook_handle cleanup;
  const struct listener_hooks *hooks;
  void *owner;
  bool is_stopped, env_is_ending;
  /* How long it may look again at once before it sleeps, after a sleep of up to `brief_ns`; and since when it sleeps (0: it has not slept). See slept_briefly(). */
  uint64_t look_ns, brief_ns, asleep_since_ns;
};

/* What the listener calls, within one callback scope: promises that it settled go on when the scope closes. */
struct call {
  napi_handle_scope handles;
  napi_callback_scope scope;
  napi_value callback, receiver;
};

/*
 * Watches `fd`, which becomes non-blocking, and keeps the callback and the buffers (as many as LISTENER_BUFFERS, NULL where there are fewer) alive.
 * 0, or a negative errno: then nothing has begun, and on_closed() is not called.
 */
int listener_start(struct listener *l, napi_env env, int fd, const struct listener_hooks *hooks, void *owner, napi_value callback,
                   const napi_value buffers[LISTENER_BUFFERS]);

/* on_readable() once more in a moment, whether something can be read then or not. */
void listener_again(struct listener *l);

/* While requests come, the processors are kept awake by this descriptor of /dev/cpu_dma_latency, which becomes the listener's own. -1 for none. */
void listener_keep_awake(struct listener *l, int fd);
/* For note_requests(). */
void listener_tick(struct listener *l);

/* Idempotent, once it was started. */
void listener_end(struct listener *l);

void open_call(struct listener *l, struct call *c);
/* Answers what the callback returned; 0 when that was no number, or it threw (which is then reported as uncaught). */
int64_t tell(struct listener *l, const struct call *c, int64_t value);
void close_call(struct listener *l, const struct call *c);

/*
 * A client that works through many files asks again some microseconds after its answer, sooner than this thread sleeps and is woken. So where the
 * last sleep was short, the next request is looked for, for a moment, before the loop may sleep.
 */
static inline bool slept_briefly(const struct listener *l) {
  return l->look_ns > 0 && uv_hrtime() - l->asleep_since_ns < l->brief_ns;
}

static inline void note_sleep(struct listener *l) {
  l->asleep_since_ns = uv_hrtime();
}

/* So many requests were taken. */
static inline void note_requests(struct listener *l, int requests) {
  l->awake.requests += requests;
  if (l->awake.fd >= 0 && requests > 0 && !uv_is_active((uv_handle_t *)&l->tick)) listener_tick(l);
}

#endif
