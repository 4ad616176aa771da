/*
 * Keeps the processors of this machine from sleeping while many requests come, by a PM QoS request (Linux, Documentation/power/pm_qos_interface.rst):
 * a client that works through small files sleeps at each request, and to wake a processor takes longer than to answer it, in a virtual machine
 * several times as long.
 */
#ifndef AWAKE_H
#define AWAKE_H

#include <stdbool.h>

#define AWAKE_TICK_MS 10

struct awake {
  /* Of /dev/cpu_dma_latency, -1 for none: who closes it, and be it by being killed, takes the request back. */
  int fd;
  int requests; /* since the last tick */
  bool is_held;
};

/* @param fd becomes its own */
void awake_begin(struct awake *a, int fd);
/* Each AWAKE_TICK_MS while requests come. False: there was none since the last one, so the next request begins the ticks anew. */
bool awake_tick(struct awake *a);
void awake_end(struct awake *a);

#endif
