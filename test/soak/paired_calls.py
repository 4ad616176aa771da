"""The same call on a mount and on a directory of a local disk."""
import collections
import errno
import hashlib
import os
import random
import select
import sys
import time

from compared_files import MARKERS, OTHERS, TEMPORARIES, kind_of, read_file, shown
from verdict import Wrong

DEAD = {errno.ENOTCONN, errno.ECONNABORTED, errno.ECANCELED, errno.ENODEV}
# How long after a trouble an EIO may still come of it.
AFTERMATH_S = 20
# A trouble, read_timeout after the last byte, and a loaded machine.
CALL_LIMIT_S = 45
SIZES = (0, 1, 10, 700, 4096, 5000, 70_000, 140_000)
LARGE = (300_000, 600_000, 1_500_000)


class Died(Exception):
    """The mount died under a call. The call may be done, or not."""


class Failed(Exception):
    """EIO while Swift is troubled. The call may be done, or not."""


class Handle:
    """A descriptor of either side."""

    def __init__(self, path, flags, ours, theirs, key, side=None):
        self.path, self.flags, self.ours, self.theirs, self.key, self.side = path, flags, ours, theirs, key, side
        self.writes = flags & os.O_ACCMODE != os.O_RDONLY
        # Who only reads publishes nothing, unless it has emptied or made the file.
        self.publishes = self.writes or flags & os.O_TRUNC != 0
        self.is_overwritten = False

    def __str__(self):
        return f"fd{self.ours}:{self.path}"


class PairedCalls:
    """One call on either side, and what may differ; what is open, and what was closed; the other process."""

    def __init__(self, mount, local, seed, seconds, trouble, strict):
        self.mount, self.local, self.trouble, self.strict = mount, local, trouble, strict
        self.side = local + ".side"
        os.makedirs(self.side, exist_ok=True)
        self.rnd = random.Random(seed)
        self.end = time.monotonic() + seconds
        self.history = collections.deque(maxlen=4000)
        self.count = collections.Counter()
        self.handles = []
        # By local inode: the bytes as they were last closed or synced, while somebody has the file open for writing.
        self.published = {}
        self.set_times = {}
        # By path: what a file had before a close under which the mount died.
        self.cut_short = {}
        self.heard = b""
        self.blobs = {}
        for size in (0, 1, 700, 5000, 30_000, 140_000, 300_000, 1_500_000):
            for _ in range(2 if 0 < size < 100_000 else 1):
                content = self.rnd.randbytes(size)
                digest = hashlib.sha1(content).hexdigest()
                self.blobs[f"{digest[:2]}/{digest}"] = content

    # --- the other side ---

    def say(self, line):
        print(line, flush=True)

    def hear(self, wait):
        """The next line from the test, or None."""
        while b"\n" not in self.heard:
            ready, _, _ = select.select([0], [], [], wait)
            if not ready:
                return None
            more = os.read(0, 4096)
            if not more:
                sys.exit(3)
            self.heard += more
        line, _, self.heard = self.heard.partition(b"\n")
        return line.decode()

    def expect(self, *lines):
        line = self.hear(240)
        if line not in lines:
            raise Wrong(f"expected to hear {lines}, heard {line}")
        return line

    def is_troubled(self):
        try:
            return time.time() - os.stat(self.trouble).st_mtime < AFTERMATH_S
        except FileNotFoundError:
            return True

    # --- calls ---

    def ours(self, path):
        return os.path.join(self.mount, path)

    def theirs(self, path):
        return os.path.join(self.local, path)

    def note(self, text):
        self.history.append(f"{time.strftime('%H:%M:%S')} {text}")

    def attempt(self, call):
        """@returns (value, None) or (None, errno)"""
        try:
            return call(), None
        except OSError as error:
            return None, error.errno

    def both(self, name, ours, theirs, also=(), eio=False):
        """
        @param also what the mount may answer besides, doing nothing then
        @param eio whether it may have to ask Swift
        @returns what both said: (value, errno); the value is the pair of values where they are descriptors
        """
        self.count[name.split()[0]] += 1
        self.note(name)
        start = time.monotonic()
        value, error = self.attempt(ours)
        took = time.monotonic() - start
        if took > CALL_LIMIT_S:
            raise Wrong(f"{name} took {took:.1f} s")
        self.history[-1] += f" -> {errno.errorcode.get(error, error) if error is not None else self.short(value)[:60]}"
        if error in DEAD:
            raise Died(name)
        if error == errno.EIO and eio and self.is_troubled():
            self.count[f"EIO:{name.split()[0]}"] += 1
            raise Failed(name)
        if error is not None and error in also:
            return None, error
        other, other_error = self.attempt(theirs)
        if error != other_error:
            names = [errno.errorcode.get(e, e) if e is not None else f"no error ({shown(v) if isinstance(v, bytes) else v})"
                     for v, e in ((value, error), (other, other_error))]
            raise Wrong(f"{name}: {names[0]} in the mount, {names[1]} in the local directory")
        return (value, other), error

    def same(self, name, ours, theirs, **more):
        values, error = self.both(name, ours, theirs, **more)
        if values is not None and values[0] != values[1]:
            raise Wrong(f"{name}: {self.short(values[0])} in the mount, {self.short(values[1])} in the local directory"
                        + self.first_difference(*values))
        return (None if values is None else values[0]), error

    def short(self, value):
        return shown(value) if isinstance(value, bytes) else repr(value)

    def first_difference(self, a, b):
        if not isinstance(a, bytes) or not isinstance(b, bytes):
            return ""
        at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
        return f"; they differ from byte {at} on: {a[at:at + 8].hex()} and {b[at:at + 8].hex()}"

    def key_of(self, path):
        try:
            return os.stat(self.theirs(path)).st_ino
        except OSError:
            return None

    def changed(self, key):
        self.set_times.pop(key, None)

    def publish(self, handle):
        """Its bytes are on their way or stored: a close, an fsync."""
        if handle.side is not None:
            content = self.side_bytes(handle)
            if hashlib.sha1(content).hexdigest() == handle.path[3:]:
                self.put_local(handle.path, content)
        elif handle.key in self.published:
            self.published[handle.key] = os.pread(handle.theirs_read, 1 << 24, 0)

    def side_bytes(self, handle):
        with open(handle.side, "rb") as file:
            return file.read()

    def put_local(self, path, content):
        """A blob is there from now on. One that is there already keeps its inode for who has it open."""
        if read_file(self.theirs(path)) == content:
            return
        os.makedirs(os.path.dirname(self.theirs(path)), exist_ok=True)
        temporary = os.path.join(self.side, "new")
        with open(temporary, "wb") as file:
            file.write(content)
        os.rename(temporary, self.theirs(path))

    # --- choices ---

    def plain_path(self):
        return self.rnd.choices([OTHERS, MARKERS, TEMPORARIES], [8, 1, 1])[0]

    def a_plain(self):
        return self.rnd.choice(self.plain_path())

    def an_existing(self):
        for _ in range(6):
            path = self.a_plain()
            if os.path.lexists(self.theirs(path)):
                return path
        return self.a_plain()

    def being_written(self, path):
        return any(h.side is not None and h.path == path for h in self.handles)

    def a_blob(self):
        """None where a name is being written: who writes it sees what others do not."""
        path = self.rnd.choice(list(self.blobs))
        return None if self.being_written(path) else path

    def shares_its_size(self, handle):
        """Those who have a blob open while it is written share an inode, whose size is that of one of them."""
        return kind_of(handle.path) == "blob" and self.being_written(handle.path) and sum(1 for h in self.handles if h.path == handle.path) > 1

    def some_bytes(self):
        size = self.rnd.choice(SIZES if self.rnd.random() < 0.95 else LARGE)
        return self.rnd.randbytes(size)

    def an_offset(self):
        return self.rnd.choice((0, 0, 1, 4095, 4096, 10_000, self.rnd.randrange(200_000)))

    def a_handle(self, test=lambda h: True):
        some = [h for h in self.handles if test(h)]
        return self.rnd.choice(some) if some else None
