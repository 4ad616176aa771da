/* What the addon needs of linux/fuse.h. Our own copy: the header of a build machine may be older than the kernel we run on. */
#ifndef FUSE_ABI_H
#define FUSE_ABI_H

#include <stdint.h>
#include <sys/ioctl.h>

#define IN_HEADER_BYTES 40
#define OUT_HEADER_BYTES 16
#define OPEN_OUT_BYTES 16
#define OPCODE_OPEN 14
#define OPCODE_RELEASE 18
#define OPCODE_IOCTL 39

struct in_header {
  uint32_t length, opcode;
  uint64_t unique, node;
  uint32_t uid, gid, pid, extensions;
};

struct out_header {
  uint32_t length;
  int32_t error;
  uint64_t unique;
};

/* Passthrough (7.40). */
struct backing_map {
  int32_t fd;
  uint32_t flags;
  uint64_t padding;
};
#define IOC_BACKING_OPEN _IOW(229, 1, struct backing_map)
#define IOC_BACKING_CLOSE _IOW(229, 2, uint32_t)

/* FUSE over io_uring (7.42): commands to the device, and the header of an entry. */
#define CMD_REGISTER 1
#define CMD_COMMIT_AND_FETCH 2

/* fuse_uring_req_header */
struct entry_header {
  char in_out[128]; /* in_header, or out_header */
  char operation[128];
  struct {
    uint64_t flags, commit_id;
    uint32_t payload_bytes, padding;
    uint64_t reserved;
  } entry;
};

/* fuse_uring_cmd_req, in the last 80 bytes of a large submission */
struct command {
  uint64_t flags, commit_id;
  uint16_t queue;
  uint8_t padding[6];
};

#endif
