/* What all parts of the addon say to Node and to the kernel in the same way. */
#ifndef ADDON_CALLS_H
#define ADDON_CALLS_H

#include <node_api.h>

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#define MAX_ARGS 8

struct args {
  size_t count;
  napi_value at[MAX_ARGS];
};

static inline struct args arguments(napi_env env, napi_callback_info info) {
  struct args a = {.count = MAX_ARGS};
  napi_get_cb_info(env, info, &a.count, a.at, NULL, NULL);
  return a;
}

static inline int32_t to_int(napi_env env, napi_value value) {
  int32_t result = -1;
  napi_get_value_int32(env, value, &result);
  return result;
}

static inline int64_t to_int64(napi_env env, napi_value value) {
  int64_t result = 0;
  napi_get_value_int64(env, value, &result);
  return result;
}

static inline bool to_bool(napi_env env, napi_value value) {
  bool result = false;
  napi_get_value_bool(env, value, &result);
  return result;
}

static inline napi_value number(napi_env env, int64_t value) {
  napi_value result;
  napi_create_int64(env, value, &result);
  return result;
}

static inline ssize_t write_whole(int fd, const void *bytes, size_t length) {
  ssize_t written;
  do written = write(fd, bytes, length);
  while (written < 0 && errno == EINTR);
  return written;
}

/* Reads up to the file's end. -1 when it cannot be read, or has fewer bytes where `is_whole` says that all must be there. */
static inline ssize_t read_slice(int file, char *into, size_t length, int64_t position, bool is_whole) {
  size_t filled = 0;
  while (filled < length) {
    ssize_t got = pread(file, into + filled, length - filled, position + (int64_t)filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    filled += (size_t)got;
  }
  return is_whole && filled < length ? -1 : (ssize_t)filled;
}

#endif
