#define _GNU_SOURCE
#include "ring-shares.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

static struct share **bucket_of(struct shares *s, uint64_t node) {
  return &s->buckets[node % SHARE_BUCKETS];
}

/* The place that points to it, so that it can be taken out. `handle` 0: the one that is shared now. */
static struct share **find(struct shares *s, uint64_t node, uint64_t handle) {
  struct share **at = bucket_of(s, node);
  while (*at != NULL && ((*at)->node != node || (handle == 0 ? !(*at)->is_shared : (*at)->handle != handle))) at = &(*at)->next;
  return at;
}

static void take_out(struct share **at) {
  struct share *share = *at;
  *at = share->next;
  free(share);
}

/* To read, with nothing that would change the file or go around its pages. */
static bool opens_to_read(uint32_t flags) {
  return (flags & (O_ACCMODE | O_TRUNC | O_APPEND | O_DIRECT)) == O_RDONLY;
}

void shares_release(struct shares *s) {
  for (size_t i = 0; i < SHARE_BUCKETS; i++)
    while (s->buckets[i] != NULL) take_out(&s->buckets[i]);
}

int share_begin(struct shares *s, uint64_t node, uint64_t handle, uint32_t open_flags) {
  if (handle == 0 || *find(s, node, 0) != NULL) return -EEXIST;
  struct share *share = calloc(1, sizeof *share);
  if (share == NULL) return -ENOMEM;
  struct share **bucket = bucket_of(s, node);
  *share = (struct share){.next = *bucket, .node = node, .handle = handle, .open_flags = open_flags, .opens = 1, .is_shared = true, .was_used = true};
  *bucket = share;
  return 0;
}

int64_t share_end(struct shares *s, uint64_t node) {
  struct share **at = find(s, node, 0);
  if (*at == NULL) return -ENOENT;
  (*at)->is_shared = false;
  if ((*at)->opens > 0) return 0;
  int64_t handle = (int64_t)(*at)->handle;
  take_out(at);
  return handle;
}

size_t shares_unused(struct shares *s, double *into, size_t capacity) {
  size_t found = 0;
  for (size_t i = 0; i < SHARE_BUCKETS && found < capacity; i++) {
    for (struct share *share = s->buckets[i]; share != NULL && found < capacity; share = share->next) {
      if (!share->is_shared) continue;
      if (!share->was_used) into[found++] = (double)share->node;
      share->was_used = false;
    }
  }
  return found;
}

const struct share *share_open(struct shares *s, uint64_t node, uint32_t flags) {
  struct share *share = *find(s, node, 0);
  if (share == NULL || !opens_to_read(flags)) return NULL;
  share->opens++;
  share->was_used = true;
  return share;
}

bool share_close(struct shares *s, uint64_t node, uint64_t handle) {
  struct share **at = find(s, node, handle);
  if (*at == NULL) return false;
  (*at)->opens--;
  if ((*at)->is_shared || (*at)->opens > 0) return true;
  take_out(at);
  return false;
}
