/* A read of a pipe stands for a request: prints, when it has come, whether the ring knows of it and whether it wakes who sleeps. */
#include "../../../native/uring.c"

#include <poll.h>
#include <stdio.h>

static struct uring u;
static int ends[2];
static char byte;

static void tell(const char *when) {
  struct pollfd wake = {.fd = u.wake, .events = POLLIN};
  printf("%s: pending %d, wakes %d\n", when, uring_is_pending(&u), poll(&wake, 1, 0));
}

static void ask(void) {
  struct io_uring_sqe *submission = uring_push(&u);
  submission->opcode = IORING_OP_READ;
  submission->fd = ends[0];
  submission->flags = 0;
  submission->addr = (uint64_t)(uintptr_t)&byte;
  submission->len = 1;
  uring_enter(&u);
}

static void come(void) {
  if (write(ends[1], "", 1) != 1) printf("the pipe is full\n");
}

static void take(void) {
  uring_enter(&u);
  uring_seen(&u, uring_tail(&u));
}

int main(void) {
  int failed = uring_make(&u);
  if (failed || pipe(ends) != 0) {
    printf("no ring: %s\n", strerror(-failed));
    return 1;
  }
  ask();
  tell("asked");
  come();
  tell("come");
  uring_mute(&u);
  tell("muted");
  take();
  ask();
  come();
  tell("come while muted");
  uring_unmute(&u);
  tell("unmuted");
  uring_mute(&u);
  take();
  uring_unmute(&u);
  tell("taken");
  uring_release(&u);
  return 0;
}
