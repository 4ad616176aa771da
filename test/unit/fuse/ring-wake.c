/* A read of a pipe stands for a request: prints, when it has come, whether the ring knows of it, whether it wakes who sleeps, and what holds the device. */
#include "../../../native/uring.c"

#include <poll.h>
#include <stdio.h>

#define MANY 100

static struct uring u;
static int ends[2];
static char byte;

/* Whether it becomes readable, or its other end is closed, within the time. */
static int comes(int fd, int most_ms) {
  struct pollfd wanted = {.fd = fd, .events = POLLIN};
  return poll(&wanted, 1, most_ms);
}

static void tell(const char *when) {
  printf("%s: pending %d, wakes %d\n", when, uring_is_pending(&u), comes(u.wake, 0));
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
  int device[2], failed = uring_make(&u);
  if (failed || pipe(ends) != 0 || pipe(device) != 0) {
    printf("no ring, or no pipe: %d\n", failed);
    return 1;
  }
  uring_use_device(&u, device[1]);
  close(device[1]);
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
  for (int i = 0; i < MANY; i++) ask();
  for (int i = 0; i < MANY; i++) come();
  uring_mute(&u);
  take();
  tell("some of many taken");
  uring_unmute(&u);
  tell("unmuted");
  while (uring_is_pending(&u)) take();
  ask();
  come();
  uring_mute(&u);
  uring_unmute(&u);
  uring_enter(&u);
  tell("entered, and not taken");
  take();
  uring_mute(&u);
  uring_unmute(&u);
  /* As it stands when what the kernel has listed is carried out before it raises its flag. */
  atomic_fetch_or(u.submission_flags, IORING_SQ_TASKRUN);
  tell("a flag that stands for nothing");
  uring_enter(&u);
  tell("entered");
  ask();
  come();
  tell("come");
  take();
  ask();
  printf("device held: %d\n", !comes(device[0], 0));
  uring_release(&u);
  printf("released, device held: %d\n", !comes(device[0], 5000));
  uring_release(&u);
  return 0;
}
