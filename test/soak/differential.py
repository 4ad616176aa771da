"""
Makes the same random calls on a mount and on a directory of a local disk, one after the other, and compares what both answer. What docs/SEMANTICS.md
says of the mount alone is allowed where it says it, and nowhere else. Run by differential.ts, which troubles Swift and ends the daemon meanwhile.

usage: differential.py fuzz MOUNT LOCAL SEED SECONDS TROUBLE [strict]
       differential.py compare MOUNT LOCAL all|swift

  TROUBLE  a file that is away while Swift is troubled; its mtime is the end of the last trouble
  strict   a close() and an fsync() may fail while Swift is troubled
  all      every name;  swift: what a machine with nothing of its own must see

It says and hears lines:
  > stopped       no call is under way                < stop    the daemon is about to be ended in order
  > calm?         asks for a Swift that is well       < calm    Swift is well, and the mount knows it
  > dead          a call met a mount that is dead     < up      the daemon serves again
  > settled       after "calm" and "up"               < kill    the daemon is about to be killed
  > done, or "wrong" with the reason (exit 1)
"""
import os
import sys
import time

from compared_files import compare
from paired_calls import Died, Failed
from path_operations import PathOperations
from settling import Settling
from verdict import Wrong, tell_wrong


class Fuzz(PathOperations, Settling):
    def run(self):
        for directory in ("db", "db/plain", "upload", "checklist", "checklist/ab", *sorted({b[:2] for b in self.blobs})):
            os.makedirs(self.theirs(directory), exist_ok=True)
            while True:
                try:
                    self.mkdir_ours(directory)
                    break
                except Failed:
                    time.sleep(0.2)
        operations = {
            self.op_open: 14, self.op_open_blob: 4, self.op_write_blob: 8, self.op_write: 16, self.op_read: 14, self.op_seek: 4,
            self.op_ftruncate: 4, self.op_fallocate: 1, self.op_truncate: 3, self.op_sync: 3, self.op_dup: 2, self.op_close: 16,
            self.op_mmap: 2, self.op_fstat: 4, self.op_stat: 8, self.op_utime: 4, self.op_list: 5, self.op_cat: 8, self.op_unlink: 6,
            self.op_mkdir: 4, self.op_rmdir: 2, self.op_rename: 6, self.op_rename_directory: 1, self.op_gc: 3,
            self.op_publish_by_rename: 3, self.op_copy: 2,
        }
        names, weights = list(operations), list(operations.values())
        while time.monotonic() < self.end:
            word = self.hear(0)
            try:
                if word is not None:
                    self.on_word(word)
                self.rnd.choices(names, weights)[0]()
            except Died:
                self.on_died()
            except Failed:
                self.on_failed()
        while self.handles:
            try:
                self.close(self.handles[-1])
            except Died:
                self.on_died()
            except Failed:
                self.on_failed()
        self.until_calm()
        wrong = compare(self.mount, self.local, "all")
        if wrong:
            raise Wrong("; ".join(wrong))
        self.say("settled")
        print("\n".join(self.history), file=sys.stderr, flush=True)
        self.say(f"done {sum(self.count.values())} calls " + " ".join(f"{k}={v}" for k, v in sorted(self.count.items()) if k.startswith("EIO")))


def main():
    if sys.argv[1] == "compare":
        wrong = compare(*sys.argv[2:5])
        print("\n".join(wrong))
        sys.exit(1 if wrong else 0)
    mount, local, seed, seconds, trouble = sys.argv[2:7]
    fuzz = Fuzz(mount, local, int(seed), float(seconds), trouble, sys.argv[7:8] == ["strict"])
    try:
        fuzz.run()
    except Exception as error:
        tell_wrong(error, fuzz.history)
        # Where the two part.
        try:
            print("\n".join(compare(mount, local, "all")), file=sys.stderr, flush=True)
        except OSError as failure:
            print(failure, file=sys.stderr, flush=True)
        sys.exit(1)


main()
