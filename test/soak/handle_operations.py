"""Files that are opened, written, read, cut and closed."""
import errno
import mmap
import os
import sys
import time

from compared_files import kind_of, read_file
from paired_calls import DEAD, Died, Failed, Handle, PairedCalls
from verdict import Wrong


class HandleOperations(PairedCalls):
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
