#include "awake.h"

#include <stdint.h>
#include <unistd.h>

/* In a tick: one program that writes small files, or reads cold ones, brings more. */
#define MANY 8
/* PM_QOS_CPU_LATENCY_DEFAULT_VALUE: no request. */
#define ANY_LATENCY_US 2000000000

static void hold(struct awake *a, bool is_held) {
  int32_t most_us = is_held ? 0 : ANY_LATENCY_US;
  if (a->is_held != is_held && write(a->fd, &most_us, sizeof most_us) == sizeof most_us) a->is_held = is_held;
}

void awake_begin(struct awake *a, int fd) {
  *a = (struct awake){.fd = fd};
}

bool awake_tick(struct awake *a) {
  int came = a->requests;
  a->requests = 0;
  hold(a, came >= MANY);
  return came > 0;
}

void awake_end(struct awake *a) {
  if (a->fd >= 0) close(a->fd);
  a->fd = -1;
}
