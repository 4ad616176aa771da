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
import collections
import errno
import hashlib
import mmap
import os
import random
import select
import stat
import sys
import time

from verdict import Wrong, tell_wrong

DEAD = {errno.ENOTCONN, errno.ECONNABORTED, errno.ECANCELED, errno.ENODEV}
# How long after a trouble an EIO may still come of it.
AFTERMATH_S = 20
CLOCK_S = 15
# A trouble, read_timeout after the last byte, and a loaded machine.
CALL_LIMIT_S = 45
# write_timeout and a little.
STRICT_PAUSE_S = 3
SET_TIME_S = 0.002
BLOB_TIME = 1451606400
DIRECTORIES = ("", "db", "db/plain", "db/plain/deep", "x y", "\u00fcn\u00ef")
NAMES = ("a", "b", "file.txt")
OTHERS = tuple(os.path.join(d, n) for d in DIRECTORIES for n in NAMES)
MARKERS = ("checklist/m1", "checklist/ab/m2", "checklist/ab/m3")
TEMPORARIES = ("upload/u1", "upload/u2", "db/t.__new")
SIZES = (0, 1, 10, 700, 4096, 5000, 70_000, 140_000)
LARGE = (300_000, 600_000, 1_500_000)


class Died(Exception):
    """The mount died under a call. The call may be done, or not."""


class Failed(Exception):
    """EIO while Swift is troubled. The call may be done, or not."""


def kind_of(path):
    if path.startswith("checklist/"):
        return "marker"
    if path.endswith(".__gc"):
        return "alias"
    if path.startswith("upload/") or path.endswith(".__new"):
        return "temporary"
    if len(path) == 43 and path[2] == "/" and all(c in "0123456789abcdef" for c in path[3:]):
        return "blob"
    return "other"


def is_in_swift(path):
    return kind_of(path) in ("blob", "other")


def read_file(path):
    """None: not there.  The string "directory" for one."""
    try:
        if stat.S_ISDIR(os.stat(path).st_mode):
            return "directory"
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def shown(content):
    if content is None or isinstance(content, str):
        return str(content)
    return f"{len(content)} bytes, sha1 {hashlib.sha1(content).hexdigest()[:10]}"


def tree(root):
    """Every path below root: None for a directory, else its bytes."""
    found = {}
    for directory, directories, files in os.walk(root, onerror=raise_it):
        for name in directories:
            found[os.path.relpath(os.path.join(directory, name), root)] = None
        for name in files:
            path = os.path.join(directory, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, root)] = file.read()
    return found


def raise_it(error):
    raise error


def compare(mount, local, what):
    ours, theirs = tree(mount), tree(local)
    if what == "swift":
        # A blob that waits behind `.__gc` waits there on one machine only.
        waiting = {path[:-5]: content for path, content in theirs.items() if kind_of(path) == "alias"}
        theirs = {**waiting, **{path: content for path, content in theirs.items() if content is not None and is_in_swift(path)}}
        ours = {path: content for path, content in ours.items() if content is not None}
    wrong = []
    for path in sorted(set(ours) | set(theirs)):
        if path not in ours:
            wrong.append(f"{path}: not in the mount; {shown(theirs[path] or 'directory')} in the local directory")
        elif path not in theirs:
            wrong.append(f"{path}: {shown(ours[path] or 'directory')} in the mount, not in the local directory")
        elif ours[path] != theirs[path]:
            wrong.append(f"{path}: {shown(ours[path])} in the mount, {shown(theirs[path])} in the local directory")
        elif ours[path] is not None and kind_of(path) == "other":
            a, b = (os.stat(os.path.join(root, path)).st_mtime for root in (mount, local))
            if abs(a - b) > CLOCK_S:
                wrong.append(f"{path}: mtime {a} in the mount, {b} in the local directory")
    return wrong


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


class Fuzz:
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

    # --- operations ---

    def op_open(self):
        if len(self.handles) >= 12:
            return self.op_close()
        path = self.an_existing() if self.rnd.random() < 0.6 else self.a_plain()
        flags = self.rnd.choice((os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR))
        if self.rnd.random() < 0.6:
            flags |= os.O_CREAT
            if self.rnd.random() < 0.2:
                flags |= os.O_EXCL
        if self.rnd.random() < 0.25:
            flags |= os.O_TRUNC
        if self.rnd.random() < 0.25:
            flags |= os.O_APPEND
        # In strict a write that fails so is half done, and nobody could say how far.
        if self.rnd.random() < 0.05 and not self.strict:
            flags |= os.O_DSYNC
        self.open_plain(path, flags)

    def open_plain(self, path, flags):
        before = self.key_of(path)
        old = read_file(self.theirs(path))
        values, error = self.both(f"open {path} {flags:o}", lambda: os.open(self.ours(path), flags, 0o644),
                                  lambda: os.open(self.theirs(path), flags, 0o644), eio=True)
        if error is not None:
            return None
        if os.path.isdir(self.theirs(path)):
            for fd in values:
                os.close(fd)
            return None
        key = os.fstat(values[1]).st_ino
        handle = Handle(path, flags, values[0], values[1], key)
        # The local bytes can be read whatever the handle may do.
        handle.theirs_read = os.open(f"/proc/self/fd/{values[1]}", os.O_RDONLY)
        if key not in self.published and (handle.writes or flags & (os.O_TRUNC | os.O_CREAT)):
            self.published[key] = old if before == key else None
        if before != key:
            handle.publishes = True
        if flags & os.O_TRUNC or before != key:
            self.changed(key)
        self.handles.append(handle)
        return handle

    def op_open_blob(self):
        if len(self.handles) >= 12:
            return self.op_close()
        path = self.a_blob()
        if path is None:
            return
        values, error = self.both(f"open-blob {path}", lambda: os.open(self.ours(path), os.O_RDONLY),
                                  lambda: os.open(self.theirs(path), os.O_RDONLY), eio=True)
        if error is None:
            handle = Handle(path, os.O_RDONLY, *values, os.fstat(values[1]).st_ino)
            handle.theirs_read = os.dup(values[1])
            self.handles.append(handle)

    def op_write_blob(self):
        """All at once, or a handle that stays open. Perhaps not the bytes of the name."""
        path = self.rnd.choice(list(self.blobs))
        if len(self.handles) >= 12:
            return
        os.makedirs(os.path.dirname(self.theirs(path)), exist_ok=True)
        self.mkdir_ours(os.path.dirname(path))
        old = read_file(self.theirs(path))
        flags = self.rnd.choice((os.O_WRONLY, os.O_RDWR)) | os.O_CREAT
        # Without O_TRUNC it is begun over the bytes that are there, if any are.
        if self.rnd.random() < 0.8 or self.being_written(path):
            flags |= os.O_TRUNC
        side = os.path.join(self.side, f"{time.monotonic_ns()}")
        with open(side, "wb") as file:
            file.write(b"" if flags & os.O_TRUNC or old is None else old)
        values, error = self.both(f"write-blob {path} {flags:o}", lambda: os.open(self.ours(path), flags, 0o644),
                                  lambda: os.open(side, flags & ~os.O_TRUNC), eio=True)
        if error is not None:
            return
        handle = Handle(path, flags, *values, None, side)
        handle.theirs_read = os.open(side, os.O_RDONLY)
        for other in self.handles:
            other.is_overwritten |= other.path == path
        self.handles.append(handle)
        content = self.blobs[path]
        if self.rnd.random() < 0.15:
            content = content[: len(content) // 2] + self.rnd.randbytes(self.rnd.choice((0, 1, 100)))
        at = 0
        while at < len(content):
            piece = content[at : at + self.rnd.choice((1 << 20, 70_000, 4096 * 5))]
            self.write_at(handle, piece, at)
            at += len(piece)
        if self.rnd.random() < 0.7:
            self.close(handle)

    def mkdir_ours(self, directory):
        if not directory:
            return
        try:
            os.makedirs(self.ours(directory), exist_ok=True)
        except OSError as error:
            if error.errno in DEAD:
                raise Died("mkdir") from error
            if error.errno == errno.EIO and self.is_troubled():
                raise Failed("mkdir") from error
            raise Wrong(f"mkdir {directory}: {error}") from error

    def write_at(self, handle, content, at):
        if handle.flags & os.O_APPEND:
            return
        done, _ = self.same(f"pwrite {handle} {len(content)}@{at}", lambda: os.pwrite(handle.ours, content, at),
                            lambda: os.pwrite(handle.theirs, content, at))
        if done:
            self.changed(handle.key)

    def op_write(self):
        handle = self.a_handle()
        if handle is None:
            return self.op_open()
        content = self.some_bytes()
        if self.rnd.random() < 0.5 and not handle.flags & os.O_APPEND:
            at = self.an_offset()
            ours, theirs, name = (lambda: os.pwrite(handle.ours, content, at)), (lambda: os.pwrite(handle.theirs, content, at)), f"@{at}"
        else:
            ours, theirs, name = (lambda: os.write(handle.ours, content)), (lambda: os.write(handle.theirs, content)), ""
        done, error = self.same(f"write {handle} {len(content)}{name}", ours, theirs)
        if error is None and done:
            self.changed(handle.key)
            if handle.flags & os.O_DSYNC == os.O_DSYNC:
                self.publish(handle)

    def op_read(self):
        handle = self.a_handle()
        if handle is None:
            return self.op_open()
        length = self.rnd.choice((1, 10, 4096, 100_000, 3_000_000))
        # A blob of a size or in a state that is not in the cache is read from Swift.
        eio = kind_of(handle.path) == "blob" and handle.side is None
        if handle.is_overwritten and handle.side is None:
            # A writer that makes it longer than its name says stretches the kernel's one inode for its readers too: zeros follow.
            size = os.fstat(handle.theirs).st_size
            at = self.rnd.randrange(size + 1)
            length = min(length, size - at)
            self.same(f"pread {handle} {length}@{at}", lambda: os.pread(handle.ours, length, at), lambda: os.pread(handle.theirs, length, at), eio=eio)
        elif self.rnd.random() < 0.6:
            at = self.an_offset()
            self.same(f"pread {handle} {length}@{at}", lambda: os.pread(handle.ours, length, at), lambda: os.pread(handle.theirs, length, at), eio=eio)
        else:
            self.same(f"read {handle} {length}", lambda: os.read(handle.ours, length), lambda: os.read(handle.theirs, length), eio=eio)

    def op_seek(self):
        handle = self.a_handle()
        if handle is None:
            return
        if self.shares_its_size(handle):
            return
        at, whence = self.rnd.choice(((0, os.SEEK_SET), (0, os.SEEK_END), (5000, os.SEEK_SET), (3, os.SEEK_CUR), (-1, os.SEEK_END)))
        self.same(f"lseek {handle} {at} {whence}", lambda: os.lseek(handle.ours, at, whence), lambda: os.lseek(handle.theirs, at, whence))

    def op_ftruncate(self):
        handle = self.a_handle()
        if handle is None:
            return
        size = self.rnd.choice((0, 1, 4096, 5000, 100_000, self.rnd.randrange(300_000)))
        _, error = self.same(f"ftruncate {handle} {size}", lambda: os.ftruncate(handle.ours, size), lambda: os.ftruncate(handle.theirs, size))
        if error is None:
            self.changed(handle.key)

    def op_fallocate(self):
        handle = self.a_handle(lambda h: h.writes)
        if handle is None:
            return
        at, length = self.an_offset(), self.rnd.choice((1, 5000, 60_000))
        before = os.fstat(handle.theirs)
        _, error = self.same(f"fallocate {handle} {length}@{at}", lambda: os.posix_fallocate(handle.ours, at, length),
                             lambda: os.posix_fallocate(handle.theirs, at, length))
        if error is None and os.fstat(handle.theirs).st_size > before.st_size:
            self.changed(handle.key)
        elif error is None:
            # A local disk sets the time also where only room is reserved.
            os.utime(handle.theirs, ns=(before.st_atime_ns, before.st_mtime_ns))

    def op_truncate(self):
        path = self.an_existing()
        size = self.rnd.choice((0, 0, 1, 5000, 100_000))
        key = self.key_of(path)
        _, error = self.same(f"truncate {path} {size}", lambda: os.truncate(self.ours(path), size), lambda: os.truncate(self.theirs(path), size), eio=True)
        if error is None:
            self.changed(key)
            if key in self.published:
                self.published[key] = read_file(self.theirs(path))

    def op_sync(self):
        handle = self.a_handle()
        if handle is None:
            return
        call = self.rnd.choice((os.fsync, os.fdatasync))
        self.same(f"{call.__name__} {handle}", lambda: call(handle.ours), lambda: call(handle.theirs), eio=self.strict)
        if handle.side is None:
            self.publish(handle)

    def op_dup(self):
        """A fork closes a descriptor too, and each close() is one."""
        handle = self.a_handle()
        if handle is None:
            return
        self.same(f"dup-close {handle}", lambda: os.close(os.dup(handle.ours)), lambda: os.close(os.dup(handle.theirs)), eio=self.strict)
        if handle.publishes:
            self.publish(handle)

    def op_close(self):
        handle = self.a_handle()
        if handle is not None:
            self.close(handle)

    def close(self, handle):
        self.handles.remove(handle)
        # Before it: a close that meets a dead mount has closed all the same.
        if handle.publishes:
            before = self.published.get(handle.key)
            self.publish(handle) if handle.side is None else None
        else:
            before = None
        try:
            self.same(f"close {handle}", lambda: os.close(handle.ours), lambda: os.close(handle.theirs), eio=self.strict)
        except (Died, Failed):
            os.close(handle.theirs)
            # Closed or not: it may have the bytes from before this close too.
            if handle.key in self.published and self.key_of(handle.path) == handle.key and kind_of(handle.path) != "marker":
                self.cut_short.setdefault(handle.path, []).append(before)
            raise
        finally:
            if handle.side is not None and sys.exc_info()[0] is None:
                self.publish(handle)
            self.drop(handle)

    def drop(self, handle):
        os.close(handle.theirs_read)
        if handle.side is not None:
            os.unlink(handle.side)
        if not any(h.key == handle.key for h in self.handles):
            self.published.pop(handle.key, None)

    def op_mmap(self):
        handle = self.a_handle(lambda h: h.side is None and h.flags & os.O_ACCMODE == os.O_RDWR and kind_of(h.path) != "blob")
        if handle is None or os.fstat(handle.theirs).st_size == 0:
            return
        size = min(os.fstat(handle.theirs).st_size, 50_000)
        at = self.rnd.randrange(size)
        content = self.rnd.randbytes(min(self.rnd.choice((1, 100, 5000)), size - at))

        def through_pages(fd):
            with mmap.mmap(fd, size) as pages:
                pages[at : at + len(content)] = content
                pages.flush()
                return pages[:]

        before = os.pread(handle.theirs, 1 << 24, 0)
        try:
            _, error = self.same(f"mmap {handle} {len(content)}@{at}", lambda: through_pages(handle.ours), lambda: through_pages(handle.theirs), eio=self.strict)
        except (Died, Failed):
            self.cut_short.setdefault(handle.path, []).append(before[:at] + content + before[at + len(content) :])
            raise
        if error is None:
            self.changed(handle.key)
            # mmap has a descriptor of its own, and closes it.
            self.publish(handle)

    def op_fstat(self):
        handle = self.a_handle()
        if handle is None or self.shares_its_size(handle):
            return
        self.same(f"fstat {handle}", lambda: os.fstat(handle.ours).st_size, lambda: os.fstat(handle.theirs).st_size)

    def op_stat(self):
        path = self.a_plain() if self.rnd.random() < 0.7 else self.a_blob()
        if path is not None:
            self.check_stat(path)

    def check_stat(self, path):
        def facts(name):
            s = os.stat(name)
            return ("directory", 0, 0) if stat.S_ISDIR(s.st_mode) else ("file", s.st_size, s.st_mtime)

        values, _ = self.both(f"stat {path}", lambda: facts(self.ours(path)), lambda: facts(self.theirs(path)), eio=True)
        if values[0] is None:
            return
        (kind, size, mtime), (kind2, size2, mtime2) = values
        if (kind, size) != (kind2, size2):
            raise Wrong(f"stat {path}: {kind} of {size} bytes in the mount, {kind2} of {size2} in the local directory")
        if kind_of(path) == "blob":
            if mtime != BLOB_TIME:
                raise Wrong(f"stat {path}: mtime {mtime}")
        elif kind == "file" and abs(mtime - mtime2) > (SET_TIME_S if self.key_of(path) in self.set_times else CLOCK_S):
            raise Wrong(f"stat {path}: mtime {mtime} in the mount, {mtime2} in the local directory; set: {self.set_times.get(self.key_of(path))}")

    def op_utime(self):
        seconds = self.rnd.randrange(1_000_000, 1_900_000_000) + self.rnd.choice((0, 0.5, 0.125))
        handle = self.a_handle(lambda h: kind_of(h.path) != "blob") if self.rnd.random() < 0.5 else None
        if handle is not None:
            _, error = self.same(f"futime {handle} {seconds}", lambda: os.utime(handle.ours, (seconds, seconds)), lambda: os.utime(handle.theirs, (seconds, seconds)))
            if error is None:
                self.set_times[handle.key] = seconds
            return
        path = self.an_existing()
        _, error = self.same(f"utime {path} {seconds}", lambda: os.utime(self.ours(path), (seconds, seconds)),
                             lambda: os.utime(self.theirs(path), (seconds, seconds)), eio=True)
        if error is None:
            self.set_times[self.key_of(path)] = seconds

    def op_list(self):
        directory = self.rnd.choice((*DIRECTORIES, "upload", "checklist", "checklist/ab", self.rnd.choice(list(self.blobs))[:2]))
        self.same(f"listdir {directory}", lambda: sorted(os.listdir(self.ours(directory))), lambda: sorted(os.listdir(self.theirs(directory))), eio=True)

    def op_cat(self):
        path = self.a_plain() if self.rnd.random() < 0.7 else self.a_blob()
        if path is None:
            return

        def content(name):
            with open(name, "rb") as file:
                return file.read()

        self.same(f"cat {path}", lambda: content(self.ours(path)), lambda: content(self.theirs(path)), eio=True)

    def op_unlink(self):
        path = self.an_existing() if self.rnd.random() < 0.7 else self.a_blob()
        # Of a blob written anew the old name behind `.__gc` is a name only, and has no bytes of its own.
        if path is not None and not os.path.lexists(self.theirs(path + ".__gc")):
            self.same(f"unlink {path}", lambda: os.unlink(self.ours(path)), lambda: os.unlink(self.theirs(path)), eio=True)

    def op_mkdir(self):
        directory = self.rnd.choice((*DIRECTORIES[1:], *DIRECTORIES[1:], "upload", "checklist", "checklist/ab", "db/a", "db/empty"))
        self.same(f"mkdir {directory}", lambda: os.mkdir(self.ours(directory)), lambda: os.mkdir(self.theirs(directory)), eio=True)

    def op_rmdir(self):
        directory = self.rnd.choice((*DIRECTORIES[1:], "upload", "checklist/ab", "db/a", "db/empty", self.rnd.choice(list(self.blobs))[:2], "a"))
        if any(h.side is not None and h.path.startswith(directory) for h in self.handles):
            return
        self.same(f"rmdir {directory}", lambda: os.rmdir(self.ours(directory)), lambda: os.rmdir(self.theirs(directory)), eio=True)

    def op_rename(self):
        source, target = self.an_existing(), self.a_plain()
        also = []
        kinds = (kind_of(source), kind_of(target))
        if (kinds[0] == "marker") != (kinds[1] == "marker") or (kinds[0] != "temporary" and kinds[1] == "temporary"):
            also.append(errno.EXDEV)
        if self.is_full_directory(source):
            also.append(errno.EXDEV)
        self.rename(source, target, also)

    def is_full_directory(self, path):
        try:
            return len(os.listdir(self.theirs(path))) > 0
        except OSError:
            return False

    def rename(self, source, target, also):
        key = self.key_of(source)
        _, error = self.same(f"rename {source} {target}", lambda: os.rename(self.ours(source), self.ours(target)),
                             lambda: os.rename(self.theirs(source), self.theirs(target)), also=also, eio=True)
        if error is None:
            for handle in self.handles:
                if handle.key == key and handle.side is None:
                    handle.path = target
            # The kernel does nothing where both are one.
            if source != target and key in self.published and not os.path.isdir(self.theirs(target)):
                self.published[key] = read_file(self.theirs(target))

    def op_rename_directory(self):
        names = (*DIRECTORIES[1:], "db/a", "db/empty")
        source, target = self.rnd.choice(names), self.rnd.choice(names)
        also = [errno.EXDEV] if self.is_full_directory(source) else []
        self.rename(source, target, also)

    def op_gc(self):
        """As Odoo's newest garbage collector does: aside, and back or away."""
        path = self.a_blob()
        if path is None:
            return
        alias = path + ".__gc"
        if os.path.lexists(self.theirs(alias)):
            # A name that was written anew meanwhile is EEXIST to nobody: the alias replaces what has the same bytes.
            if self.rnd.random() < 0.5:
                self.same(f"rename {alias} {path}", lambda: os.rename(self.ours(alias), self.ours(path)),
                          lambda: os.rename(self.theirs(alias), self.theirs(path)), eio=True)
            else:
                self.same(f"unlink {alias}", lambda: os.unlink(self.ours(alias)), lambda: os.unlink(self.theirs(alias)), eio=True)
        else:
            self.same(f"rename {path} {alias}", lambda: os.rename(self.ours(path), self.ours(alias)),
                      lambda: os.rename(self.theirs(path), self.theirs(alias)), eio=True)

    def op_publish_by_rename(self):
        """Under another name first, then renamed to the content name."""
        path = self.a_blob()
        if path is None or len(self.handles) >= 12:
            return
        source = self.a_plain() if self.rnd.random() < 0.3 else self.rnd.choice(TEMPORARIES)
        if kind_of(source) == "marker":
            return
        self.mkdir_ours(os.path.dirname(path))
        os.makedirs(os.path.dirname(self.theirs(path)), exist_ok=True)
        handle = self.open_plain(source, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        if handle is None:
            return
        # Who has it open too would go on writing it.
        alone = sum(1 for h in self.handles if h.key == handle.key) == 1
        self.write_at(handle, self.blobs[path], 0)
        self.close(handle)
        if alone:
            self.rename(source, path, [errno.EXDEV] if kind_of(source) == "other" else [])

    def op_copy(self):
        source, target = self.an_existing(), self.a_plain()

        def copy(a, b):
            with open(a, "rb") as reader, open(b, "wb") as writer:
                writer.write(reader.read())

        if self.key_of(source) is not None and self.key_of(source) == self.key_of(target):
            return
        key = self.key_of(target)
        self.same(f"copy {source} {target}", lambda: copy(self.ours(source), self.ours(target)), lambda: copy(self.theirs(source), self.theirs(target)), eio=True)
        self.changed(key)
        self.changed(self.key_of(target))
        if key in self.published:
            self.published[key] = read_file(self.theirs(target))

    # --- after a kill, a restart, an EIO ---

    def touched(self):
        """The paths that the last call names."""
        words = self.history[-1].split(" -> ")[0]
        every = [*OTHERS, *MARKERS, *TEMPORARIES, *self.blobs, *(b + ".__gc" for b in self.blobs), *DIRECTORIES[1:], "upload", "checklist",
                 "checklist/ab", "db/a", "db/empty", *(b[:2] for b in self.blobs)]
        return [path for path in every if f" {path}" in words or f":{path}" in words]

    def forget_handles(self):
        """@returns the paths of files that were open for writing, with the bytes that were last closed"""
        loose = {}
        for handle in list(self.handles):
            for fd in (handle.ours, handle.theirs):
                try:
                    os.close(fd)
                except OSError:
                    pass
            if handle.side is not None:
                content = self.side_bytes(handle)
                if hashlib.sha1(content).hexdigest() == handle.path[3:]:
                    loose.setdefault(handle.path, []).append(content)
                loose.setdefault(handle.path, []).append(read_file(self.theirs(handle.path)))
            elif handle.key in self.published and self.key_of(handle.path) == handle.key and kind_of(handle.path) != "marker":
                loose.setdefault(handle.path, []).append(self.published[handle.key])
            self.handles.remove(handle)
            self.drop(handle)
        self.published.clear()
        return loose

    def settle(self, loose, why):
        """The mount says what became of paths whose state is open; it must be one of those that may be."""
        pending = sorted(loose.items())
        # Directories first, so that a file finds its own.
        for path, allowed in pending:
            now = self.patiently(path)
            here = read_file(self.theirs(path))
            # A call that was cut short by EIO has perhaps emptied it.
            if not any(now == one for one in (*allowed, here)):
                raise Wrong(f"after {why}: {path} is {shown(now)}; it may be {' or '.join(shown(a) for a in (*allowed, here))}")
            self.note(f"settled {path}: {shown(now)}")
            if now == here:
                continue
            target = self.theirs(path)
            if here == "directory":
                os.rmdir(target)
            elif here is not None and now is None:
                os.unlink(target)
            if now == "directory":
                os.makedirs(target, exist_ok=True)
            elif now is not None:
                os.makedirs(os.path.dirname(target), exist_ok=True)
                # In place: who has it open goes on with it.
                with open(target, "r+b" if os.path.exists(target) else "wb") as file:
                    file.truncate(0)
                    file.write(now)
                mtime = os.stat(self.ours(path)).st_mtime
                os.utime(target, (mtime, mtime))

    def patiently(self, path):
        until = time.monotonic() + 90
        while True:
            try:
                return read_file(self.ours(path))
            except OSError as error:
                if error.errno in DEAD:
                    raise Died(path) from error
                if error.errno != errno.EIO or time.monotonic() > until:
                    raise Wrong(f"{path}: {error}") from error
                time.sleep(0.5)

    def after_restart(self):
        """A time that was set and is not stored may be lost."""
        for path in (*OTHERS, *TEMPORARIES):
            if self.key_of(path) in self.set_times and os.path.isfile(self.theirs(path)):
                now = self.patiently(path)
                if now is not None:
                    mtime = os.stat(self.ours(path)).st_mtime
                    os.utime(self.theirs(path), (mtime, mtime))
        self.set_times.clear()

    def outcomes(self):
        """What the paths of the last call may be, done or not: their bytes now, and those that it would have given them."""
        loose = {}
        paths = self.touched()
        words = self.history[-1].split(" ")
        call = words[1]
        for path in paths:
            some = loose.setdefault(path, [])
            some.append(read_file(self.theirs(path)))
            if self.key_of(path) in self.published:
                some.append(self.published[self.key_of(path)])
            if call in ("unlink", "rmdir", "rename", "copy", "open", "truncate", "write-blob"):
                some.append(None)
            if call == "mkdir":
                some.append("directory")
            if call in ("open", "copy", "truncate"):
                some.append(b"")
            if call in ("rename", "copy"):
                some.extend(read_file(self.theirs(p)) for p in paths)
            if call == "truncate":
                content = read_file(self.theirs(path))
                if isinstance(content, bytes):
                    size = int(self.history[-1].split(" -> ")[0].rsplit(" ", 1)[1])
                    some.append(content[:size] + bytes(max(0, size - len(content))))
            if call in ("close", "dup-close", "write-blob", "rename") and path in self.blobs:
                some.append(self.blobs[path])
        return loose

    def on_died(self):
        self.say("dead")
        loose = self.outcomes()
        for path, some in self.cut_short.items():
            loose.setdefault(path, []).extend(some)
        self.cut_short = {}
        if self.history[-1].split(" ")[1] in ("open", "unlink", "stat", "cat", "listdir"):
            loose = {p: [b for b in some if b is not None or "unlink" in self.history[-1] or read_file(self.theirs(p)) is None] for p, some in loose.items()}
        for path, some in self.forget_handles().items():
            loose.setdefault(path, []).extend(some)
        line = self.expect("kill", "up")
        if line == "kill":
            self.expect("up")
        self.settle(loose, "a kill under a call")
        self.after_restart()
        self.say("settled")

    def on_word(self, word, loose=None):
        loose = loose or {}
        if word == "stop":
            self.say("stopped")
        elif word != "kill":
            raise Wrong(f"heard {word}")
        self.expect("up")
        self.note(f"restarted after {word}")
        for path, some in self.forget_handles().items():
            loose.setdefault(path, []).extend(some)
        self.settle(loose, f"a {word}")
        self.after_restart()
        self.say("settled")

    def on_failed(self):
        last = self.history[-1]
        loose = self.outcomes()
        for path, some in self.cut_short.items():
            loose.setdefault(path, []).extend(some)
        self.cut_short = {}
        self.say("calm?")
        word = self.expect("calm", "stop", "kill")
        if word != "calm":
            self.on_word(word, loose)
            return
        if self.strict:
            # What a close could not store is tried once more behind it.
            time.sleep(STRICT_PAUSE_S)
        self.settle(loose, f"EIO to {last}")
        if self.strict:
            self.sync_again(loose)
        self.say("settled")

    def sync_again(self, paths):
        """What is open and was refused is stored or not, until the next close; here it is."""
        for path in paths:
            if self.key_of(path) in self.published and os.path.isfile(self.theirs(path)):
                fd = os.open(self.ours(path), os.O_WRONLY)
                os.fsync(fd)
                os.close(fd)
                self.published[self.key_of(path)] = read_file(self.theirs(path))

    def until_calm(self):
        self.say("calm?")
        while (word := self.expect("calm", "stop", "kill")) != "calm":
            self.on_word(word)
            self.say("calm?")

    # --- the run ---

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
