#define NAPI_VERSION 8
#include "listener.h"

#define AGAIN_MS 5

static napi_ref reference(napi_env env, napi_value value) {
  napi_ref result = NULL;
  if (value != NULL) napi_create_reference(env, value, 1, &result);
  return result;
}

static void forget(napi_env env, napi_ref reference) {
  if (reference != NULL) napi_delete_reference(env, reference);
}

static void closed(uv_handle_t *handle) {
  struct listener *l = handle->data;
  if (--l->open_handles > 0) return;
  if (!l->env_is_ending) {
    napi_handle_scope scope;
    napi_open_handle_scope(l->env, &scope);
    forget(l->env, l->callback);
    forget(l->env, l->resource);
    for (int i = 0; i < LISTENER_BUFFERS; i++) forget(l->env, l->buffers[i]);
    napi_async_destroy(l->env, l->context);
    napi_close_handle_scope(l->env, scope);
  }
  if (l->cleanup != NULL) napi_remove_async_cleanup_hook(l->cleanup);
  l->hooks->on_closed(l->owner);
}

void listener_end(struct listener *l) {
  if (l->is_stopped) return;
  l->is_stopped = true;
  uv_poll_stop(&l->poll);
  uv_close((uv_handle_t *)&l->poll, closed);
  uv_close((uv_handle_t *)&l->again, closed);
  uv_close((uv_handle_t *)&l->tick, closed);
  awake_end(&l->awake);
}

static void environment_ends(napi_async_cleanup_hook_handle handle, void *data) {
  (void)handle;
  struct listener *l = data;
  l->env_is_ending = true;
  listener_end(l); /* when it is closing already, closed() takes the hook away */
}

static void readable(uv_poll_t *poll, int status, int events) {
  (void)status; /* an error of poll shows in what is done next as well */
  (void)events;
  struct listener *l = poll->data;
  l->hooks->on_readable(l->owner);
}

static void is_due(uv_timer_t *again) {
  struct listener *l = again->data;
  l->hooks->on_readable(l->owner);
}

void listener_again(struct listener *l) {
  if (!l->is_stopped && !uv_is_active((uv_handle_t *)&l->again)) uv_timer_start(&l->again, is_due, AGAIN_MS, 0);
}

static void ticks(uv_timer_t *tick) {
  struct listener *l = tick->data;
  if (!awake_tick(&l->awake)) uv_timer_stop(tick);
}

void listener_tick(struct listener *l) {
  if (!l->is_stopped) uv_timer_start(&l->tick, ticks, AWAKE_TICK_MS, AWAKE_TICK_MS);
}

void listener_keep_awake(struct listener *l, int fd) {
  awake_begin(&l->awake, fd);
}

int listener_start(struct listener *l, napi_env env, int fd, const struct listener_hooks *hooks, void *owner, napi_value callback,
                   const napi_value buffers[LISTENER_BUFFERS]) {
  uv_loop_t *loop;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return UV_EINVAL;
  int failed = uv_poll_init(loop, &l->poll, fd);
  if (failed) return failed;
  uv_timer_init(loop, &l->again);
  uv_timer_init(loop, &l->tick);
  uv_unref((uv_handle_t *)&l->tick);
  awake_begin(&l->awake, -1);
  l->open_handles = 3;
  l->poll.data = l->again.data = l->tick.data = l;
  l->env = env;
  l->hooks = hooks;
  l->owner = owner;
  napi_value name, resource;
  napi_create_object(env, &resource);
  l->callback = reference(env, callback);
  l->resource = reference(env, resource);
  for (int i = 0; i < LISTENER_BUFFERS; i++) l->buffers[i] = reference(env, buffers[i]);
  napi_create_string_utf8(env, hooks->name, NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, resource, name, &l->context);
  napi_add_async_cleanup_hook(env, environment_ends, l, &l->cleanup);
  uv_poll_start(&l->poll, UV_READABLE, readable);
  return 0;
}

void open_call(struct listener *l, struct call *c) {
  napi_value resource;
  napi_open_handle_scope(l->env, &c->handles);
  napi_get_reference_value(l->env, l->resource, &resource);
  napi_get_reference_value(l->env, l->callback, &c->callback);
  napi_get_global(l->env, &c->receiver);
  napi_open_callback_scope(l->env, resource, l->context, &c->scope);
}

int64_t tell(struct listener *l, const struct call *c, int64_t value) {
  napi_handle_scope scope;
  napi_value argument, result, error;
  int64_t answer = 0;
  napi_open_handle_scope(l->env, &scope);
  napi_create_int64(l->env, value, &argument);
  napi_status status = napi_call_function(l->env, c->receiver, c->callback, 1, &argument, &result);
  if (status == napi_ok) {
    napi_get_value_int64(l->env, result, &answer);
  } else if (status == napi_pending_exception) {
    napi_get_and_clear_last_exception(l->env, &error);
    napi_fatal_exception(l->env, error);
  }
  napi_close_handle_scope(l->env, scope);
  return answer;
}

void close_call(struct listener *l, const struct call *c) {
  napi_close_callback_scope(l->env, c->scope);
  napi_close_handle_scope(l->env, c->handles);
}
