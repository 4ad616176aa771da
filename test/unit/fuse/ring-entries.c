/* The commands of entries through a ring whose kernel is told how many to take: prints the order in which they came there. */
#define syscall fake_syscall
#include "../../../native/uring.c"
#include "../../../native/ring-entries.c"

#include <stdio.h>

#define ENTRIES 600
#define SLOTS 8

static _Atomic uint32_t head, tail, flags, none;
static uint32_t array[SLOTS];
static char slots[SLOTS * SUBMISSION_BYTES];
static long takes; /* at each call; below zero: it fails */

long fake_syscall(long number, ...) {
  (void)number;
  if (takes < 0) {
    errno = EAGAIN;
    return -1;
  }
  long taken = 0;
  for (; taken < takes && head != tail; taken++, head++) {
    const struct io_uring_sqe *submission = (void *)(slots + (size_t)array[head % SLOTS] * SUBMISSION_BYTES);
    const struct entry *e = (void *)(uintptr_t)submission->user_data;
    const struct command *command = (const void *)submission->cmd;
    if (submission->cmd_op == CMD_REGISTER) printf("r%lu:%u ", (unsigned long)(e->memory[1].iov_base == e->payload), submission->len);
    else printf("%lu ", (unsigned long)command->commit_id);
  }
  return taken;
}

int main(void) {
  struct uring u = {.fd = -1, .device = 0, .registered_ring = -1, .registered_device = -1, .submission_head = &head, .submission_tail = &tail,
                    .submission_flags = &flags, .completion_head = &none, .completion_tail = &none, .submissions = slots,
                    .submission_array = array, .submission_mask = SLOTS - 1, .submission_count = SLOTS};
  static struct entries all;
  if (entries_make(&all, &u, 1, 1, ENTRIES) != 0) return 1;
  takes = SLOTS;
  entries_register(&all);
  if (entries_submit(&all) != 0 || entries_are_unsent(&all)) return 2;
  printf("\n");
  struct entry *entries = all.chunks->entries;
  for (int i = 0; i < ENTRIES; i++) entries[i].header->entry.commit_id = (uint64_t)i;
  /* The kernel takes nothing for a while, and then a few at a time. */
  takes = -1;
  for (int i = 0; i < 20; i++) entry_reply(&all, &entries[i], 0, 0);
  if (entries_submit(&all) != -EAGAIN || !entries_are_unsent(&all)) return 3;
  takes = 3;
  for (int i = 20; i < ENTRIES; i++) entry_reply(&all, &entries[i], 0, 0);
  if (entries_submit(&all) != 0 || entries_are_unsent(&all)) return 4;
  return 0;
}
