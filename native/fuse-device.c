/*
 * fuse-device: the system calls a FUSE server needs that Node does not offer. Node-API only, so one binary serves Node 20 and later.
 *
 *   openDevice() mount() unmount()            /dev/fuse, mount(2), umount2(2) (the last on a pool thread: it may wait for this very process)
 *   start() stop()                            a reader (device-reader.c)
 *   reply() replyFromFile()                   one write(2) of a whole reply; the second reads a local file behind the header first
 *   backingOpen() backingClose()              FUSE_DEV_IOC_BACKING_OPEN / _CLOSE (kernel passthrough)
 *   socketPair() receiveDescriptor()          how fusermount3 hands over the device (SCM_RIGHTS)
 *   reserveDescriptors()                      the table of descriptors grows now, on a pool thread, and not while it serves
 *   ring...()                                 requests by io_uring (fuse-ring.c)
 *
 * Every function answers a number: what the system call returned, or a negative errno. Nothing throws, nothing is global: the
 * state is one struct a reader and one a ring, which end with their environment (listener.h).
 */
#define _GNU_SOURCE
#define NAPI_VERSION 8
#include <node_api.h>

#include "addon-calls.h"
#include "device-reader.h"
#include "fuse-abi.h"
#include "fuse-ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define PATH_BYTES 4096

static napi_value result_of(napi_env env, long returned) {
  return number(env, returned < 0 ? -errno : returned);
}

/* Returns 0 when the string (UTF-8) does not fit. */
static int to_string(napi_env env, napi_value value, char *into, size_t capacity) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok || length >= capacity) return 0;
  return napi_get_value_string_utf8(env, value, into, capacity, &length) == napi_ok;
}

static napi_value open_device(napi_env env, napi_callback_info info) {
  (void)info;
  return result_of(env, open("/dev/fuse", O_RDWR | O_CLOEXEC));
}

/* mount(source, target, type, flags, data) */
static napi_value do_mount(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  char source[512], target[PATH_BYTES], type[128], data[1024];
  if (a.count < 5 || !to_string(env, a.at[0], source, sizeof source) || !to_string(env, a.at[1], target, sizeof target) ||
      !to_string(env, a.at[2], type, sizeof type) || !to_string(env, a.at[4], data, sizeof data))
    return number(env, -EINVAL);
  return result_of(env, mount(source, target, type, (unsigned long)to_int(env, a.at[3]), data));
}

/* On a pool thread. */
static napi_value queue_work(napi_env env, const char *what, napi_async_execute_callback execute, napi_async_complete_callback complete, void *data,
                             napi_async_work *work) {
  napi_value name;
  napi_create_string_utf8(env, what, NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(env, NULL, name, execute, complete, data, work);
  napi_queue_async_work(env, *work);
  return number(env, 0);
}

struct unmount_work {
  char target[PATH_BYTES];
  int flags, result;
  napi_ref callback;
  napi_async_work work;
};

static void unmount_execute(napi_env env, void *data) {
  (void)env;
  struct unmount_work *w = data;
  w->result = umount2(w->target, w->flags) < 0 ? -errno : 0;
}

static void unmount_complete(napi_env env, napi_status status, void *data) {
  struct unmount_work *w = data;
  napi_value callback, receiver, argument;
  if (status == napi_ok && napi_get_reference_value(env, w->callback, &callback) == napi_ok) {
    napi_get_undefined(env, &receiver);
    argument = number(env, w->result);
    napi_call_function(env, receiver, callback, 1, &argument, NULL);
  }
  napi_delete_reference(env, w->callback);
  napi_delete_async_work(env, w->work);
  free(w);
}

/* unmount(target, flags, callback(result)) */
static napi_value do_unmount(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  struct unmount_work *w = calloc(1, sizeof *w);
  if (w == NULL) return number(env, -ENOMEM);
  if (a.count < 3 || !to_string(env, a.at[0], w->target, sizeof w->target)) {
    free(w);
    return number(env, -EINVAL);
  }
  w->flags = to_int(env, a.at[1]);
  napi_create_reference(env, a.at[2], 1, &w->callback);
  return queue_work(env, "fuse-unmount", unmount_execute, unmount_complete, w, &w->work);
}

/*
 * A table of descriptors that grows waits for a grace period of RCU where there are several threads (fs/file.c: expand_fdtable), 15 to 40 ms; by itself it would
 * grow at 64, 128, 256, …, while all requests wait. A table never shrinks.
 */
struct reserve_work {
  int count;
  napi_async_work work;
};

static void reserve_execute(napi_env env, void *data) {
  (void)env;
  struct reserve_work *w = data;
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < (rlim_t)w->count) w->count = (int)limit.rlim_cur;
  int any = open("/", O_PATH | O_CLOEXEC);
  if (any < 0) return;
  int last = fcntl(any, F_DUPFD_CLOEXEC, w->count - 1);
  if (last >= 0) close(last);
  close(any);
}

static void reserve_complete(napi_env env, napi_status status, void *data) {
  (void)status;
  struct reserve_work *w = data;
  napi_delete_async_work(env, w->work);
  free(w);
}

/* reserveDescriptors(count): no more than this process may open. */
static napi_value reserve_descriptors(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  struct reserve_work *w = calloc(1, sizeof *w);
  if (w == NULL) return number(env, -ENOMEM);
  w->count = a.count > 0 ? to_int(env, a.at[0]) : 0;
  return queue_work(env, "fuse-reserve", reserve_execute, reserve_complete, w, &w->work);
}

/* detachNow(target): for the exit hook, after the device was closed (the connection is aborted then, so that nothing waits for us). */
static napi_value detach_now(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  char target[PATH_BYTES];
  if (a.count < 1 || !to_string(env, a.at[0], target, sizeof target)) return number(env, -EINVAL);
  return result_of(env, umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW));
}

static napi_value backing_open(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  if (a.count < 2) return number(env, -EINVAL);
  struct backing_map map = {.fd = to_int(env, a.at[1])};
  return result_of(env, ioctl(to_int(env, a.at[0]), IOC_BACKING_OPEN, &map));
}

static napi_value backing_close(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  if (a.count < 2) return number(env, -EINVAL);
  uint32_t id = (uint32_t)to_int(env, a.at[1]);
  return result_of(env, ioctl(to_int(env, a.at[0]), IOC_BACKING_CLOSE, &id));
}

/* socketPair(into: Int32Array of 2) */
static napi_value socket_pair(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  size_t length = 0;
  void *into = NULL;
  napi_typedarray_type type;
  if (a.count < 1 || napi_get_typedarray_info(env, a.at[0], &type, &length, &into, NULL, NULL) != napi_ok || type != napi_int32_array || length < 2)
    return number(env, -EINVAL);
  return result_of(env, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, into));
}

/* receiveDescriptor(socket): never waits; fusermount3 has sent the descriptor before it exits. */
static napi_value receive_descriptor(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  if (a.count < 1) return number(env, -EINVAL);
  char byte;
  struct iovec io = {.iov_base = &byte, .iov_len = 1};
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  ssize_t got;
  do got = recvmsg(to_int(env, a.at[0]), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  while (got < 0 && errno == EINTR);
  if (got < 0) return number(env, -errno);
  if (got == 0) return number(env, -ECONNRESET);
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) return number(env, -EBADMSG);
  int fd;
  memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return number(env, fd);
}

/* reply(device, buffer, length) */
static napi_value reply(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  void *bytes;
  size_t capacity;
  if (a.count < 3 || napi_get_buffer_info(env, a.at[1], &bytes, &capacity) != napi_ok) return number(env, -EINVAL);
  int32_t length = to_int(env, a.at[2]);
  if (length < OUT_HEADER_BYTES || (size_t)length > capacity) return number(env, -EINVAL);
  return result_of(env, write_whole(to_int(env, a.at[0]), bytes, (size_t)length));
}

/* replyFromFile(device, buffer, file, length, position, isWhole): `buffer` holds the header, whose length is filled in here. Returns 0, and has written
 * nothing, when the file cannot be read, or has fewer bytes where `isWhole` says that all must be there. */
static napi_value reply_from_file(napi_env env, napi_callback_info info) {
  struct args a = arguments(env, info);
  void *bytes;
  size_t capacity;
  if (a.count < 6 || napi_get_buffer_info(env, a.at[1], &bytes, &capacity) != napi_ok) return number(env, -EINVAL);
  int32_t length = to_int(env, a.at[3]);
  if (length < 0 || (size_t)length + OUT_HEADER_BYTES > capacity) return number(env, -EINVAL);
  ssize_t filled = read_slice(to_int(env, a.at[2]), (char *)bytes + OUT_HEADER_BYTES, (size_t)length, to_int64(env, a.at[4]), to_bool(env, a.at[5]));
  if (filled < 0) return number(env, 0);
  uint32_t *header = bytes;
  header[0] = OUT_HEADER_BYTES + (uint32_t)filled;
  return result_of(env, write_whole(to_int(env, a.at[0]), bytes, header[0]));
}

NAPI_MODULE_INIT() {
  static const struct {
    const char *name;
    napi_callback function;
  } table[] = {
      {"openDevice", open_device},     {"mount", do_mount},           {"unmount", do_unmount},
      {"detachNow", detach_now},       {"backingOpen", backing_open}, {"backingClose", backing_close},
      {"socketPair", socket_pair},     {"reply", reply},              {"receiveDescriptor", receive_descriptor},
      {"replyFromFile", reply_from_file}, {"start", reader_start},    {"stop", reader_stop},
      {"ringPrepare", ring_prepare},  {"ringStart", ring_start},     {"ringStop", ring_stop},
      {"ringReply", ring_reply},      {"ringReplyFromFile", ring_reply_from_file},
      {"ringShare", ring_share},      {"ringUnshare", ring_unshare}, {"ringUnused", ring_unused},
      {"ringTake", ring_take},        {"reserveDescriptors", reserve_descriptors},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    napi_value function;
    napi_create_function(env, table[i].name, NAPI_AUTO_LENGTH, table[i].function, NULL, &function);
    napi_set_named_property(env, exports, table[i].name, function);
  }
  return exports;
}
