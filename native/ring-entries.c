#define _GNU_SOURCE
#include "ring-entries.h"

#ifdef HAS_URING

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The memory of a header; a multiple of a cache line. */
#define HEADER_STRIDE 320
/* Of a queue whose processor is not there. */
#define FEW_ENTRIES 4
/* Payloads beyond which an entry's memory is given back at its next request, but for some; see give_back(). */
#define LARGE_BYTES (64 << 10)
#define LARGE_KEPT 16

/* Entries that were made together. */
struct chunk {
  struct chunk *next;
  struct entry *entries;
  char *headers, *payloads;
  size_t count;
};

static void *map_memory(size_t bytes, int more_flags) {
  void *mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | more_flags, -1, 0);
  return mapped == MAP_FAILED ? NULL : mapped;
}

static void free_chunk(struct chunk *chunk) {
  if (chunk->headers != NULL) munmap(chunk->headers, chunk->count * HEADER_STRIDE);
  if (chunk->payloads != NULL) munmap(chunk->payloads, chunk->count * PAYLOAD_BYTES);
  free(chunk->entries);
  free(chunk);
}

/* Entries that the kernel does not know of yet. Their memory is taken page by page, as requests use it. */
static int make_chunk(struct entries *all, uint16_t queue, size_t count) {
  struct chunk *chunk = calloc(1, sizeof *chunk);
  if (chunk == NULL) return -ENOMEM;
  *chunk = (struct chunk){.next = all->chunks,
                          .entries = calloc(count, sizeof(struct entry)),
                          .headers = map_memory(count * HEADER_STRIDE, 0),
                          .payloads = map_memory(count * PAYLOAD_BYTES, MAP_NORESERVE),
                          .count = count};
  if (chunk->entries == NULL || chunk->headers == NULL || chunk->payloads == NULL) {
    free_chunk(chunk);
    return -ENOMEM;
  }
  all->chunks = chunk;
  for (size_t i = 0; i < count; i++) {
    struct entry *e = &chunk->entries[i];
    e->queue = queue;
    e->is_new = true;
    e->header = (void *)(chunk->headers + i * HEADER_STRIDE);
    e->payload = chunk->payloads + i * PAYLOAD_BYTES;
    e->memory[0] = (struct iovec){.iov_base = e->header, .iov_len = sizeof *e->header};
    e->memory[1] = (struct iovec){.iov_base = e->payload, .iov_len = PAYLOAD_BYTES};
  }
  all->queues[queue].entries += count;
  return 0;
}

/* False: there is no room in the ring. */
static bool push_now(struct entries *all, struct entry *e) {
  struct io_uring_sqe *submission = uring_push(all->uring);
  if (submission == NULL) return false;
  submission->cmd_op = e->command;
  submission->user_data = (uint64_t)(uintptr_t)e;
  struct command *command = (void *)submission->cmd;
  command->queue = e->queue;
  if (e->command == CMD_REGISTER) {
    submission->addr = (uint64_t)(uintptr_t)e->memory;
    submission->len = 2;
  } else {
    command->commit_id = e->header->entry.commit_id;
  }
  return true;
}

/* Of an entry that is in no bucket. One command of an entry is under way at a time. */
static void push(struct entries *all, struct entry *e, uint32_t what) {
  e->command = what;
  if (all->held == NULL && push_now(all, e)) return;
  e->next = NULL;
  if (all->held == NULL) all->held = e;
  else all->last_held->next = e;
  all->last_held = e;
}

int entries_submit(struct entries *all) {
  do {
    while (all->held != NULL && push_now(all, all->held)) all->held = all->held->next;
    int failed = uring_enter(all->uring);
    if (failed) return failed;
  } while (all->held != NULL);
  return 0;
}

bool entries_are_unsent(const struct entries *all) {
  return all->held != NULL || all->uring->unsubmitted > 0;
}

static void register_chunk(struct entries *all, const struct chunk *chunk) {
  for (size_t i = 0; i < chunk->count; i++) push(all, &chunk->entries[i], CMD_REGISTER);
}

int entries_make(struct entries *all, struct uring *uring, int queues, int deep, int depth) {
  if (queues < 1 || queues > MAX_QUEUES || deep < 0 || depth < 1 || depth > MAX_ENTRIES_A_QUEUE) return -EINVAL;
  all->uring = uring;
  all->depth = (uint32_t)depth;
  int failed = 0, few = depth < FEW_ENTRIES ? depth : FEW_ENTRIES;
  for (int queue = 0; queue < queues && !failed; queue++) failed = make_chunk(all, (uint16_t)queue, (size_t)(queue < deep ? depth : few));
  return failed;
}

void entries_register(struct entries *all) {
  for (const struct chunk *chunk = all->chunks; chunk != NULL; chunk = chunk->next) register_chunk(all, chunk);
}

void entries_release(struct entries *all) {
  while (all->chunks != NULL) {
    struct chunk *chunk = all->chunks;
    all->chunks = chunk->next;
    free_chunk(chunk);
  }
}

bool is_well_formed(const struct entry *e) {
  size_t length = request_of(e)->length, payload = e->header->entry.payload_bytes;
  return payload <= PAYLOAD_BYTES && length >= IN_HEADER_BYTES + payload && length - IN_HEADER_BYTES - payload <= sizeof e->header->operation;
}

static struct entry **bucket_of(struct entries *all, uint64_t unique) {
  return &all->taken[(unique >> 1) % BUCKETS];
}

struct entry *entry_of(struct entries *all, uint64_t unique) {
  struct entry *e = *bucket_of(all, unique);
  while (e != NULL && e->unique != unique) e = e->next;
  return e;
}

static void note_size(struct entries *all, struct entry *e, size_t payload_bytes) {
  if (payload_bytes <= LARGE_BYTES || e->is_large) return;
  e->is_large = true;
  all->large++;
}

/*
 * Of an entry whose request has been copied and not yet answered, the only time at which the kernel does not write on it. The pages come again
 * when they are written on. An entry that is not asked again keeps what it has.
 */
static void give_back(struct entries *all, struct entry *e, size_t payload_bytes) {
  note_size(all, e, payload_bytes);
  if (!e->is_large || all->large <= LARGE_KEPT) return;
  madvise(e->payload, PAYLOAD_BYTES, MADV_DONTNEED);
  e->is_large = false;
  all->large--;
}

void entry_take(struct entries *all, struct entry *e) {
  give_back(all, e, e->header->entry.payload_bytes);
  e->unique = request_of(e)->unique;
  struct entry **bucket = bucket_of(all, e->unique);
  e->next = *bucket;
  *bucket = e;
  struct queue *queue = &all->queues[e->queue];
  queue->taken++;
  all->waiting++;
  if (queue->entries - queue->taken < all->depth / 2 && queue->entries < MAX_ENTRIES_A_QUEUE && make_chunk(all, e->queue, all->depth) == 0)
    register_chunk(all, all->chunks);
}

void entry_reply(struct entries *all, struct entry *e, int32_t error, size_t payload_bytes) {
  struct out_header header = {.length = (uint32_t)(OUT_HEADER_BYTES + payload_bytes), .error = error, .unique = request_of(e)->unique};
  memcpy(e->header->in_out, &header, sizeof header);
  e->header->entry.payload_bytes = (uint32_t)payload_bytes;
  push(all, e, CMD_COMMIT_AND_FETCH);
}

void entry_commit(struct entries *all, struct entry *e, int32_t error, size_t payload_bytes) {
  struct entry **at = bucket_of(all, e->unique);
  while (*at != e) at = &(*at)->next;
  *at = e->next;
  note_size(all, e, payload_bytes);
  all->queues[e->queue].taken--;
  all->waiting--;
  entry_reply(all, e, error, payload_bytes);
}

void entry_lost(struct entries *all, const struct entry *e) {
  all->queues[e->queue].entries--;
}

#endif
