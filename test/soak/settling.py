"""After a kill, a restart or an EIO the mount says what became of a call, and the local directory follows it where it may."""
import errno
import hashlib
import os
import time

from compared_files import DIRECTORIES, MARKERS, OTHERS, TEMPORARIES, kind_of, read_file, shown
from paired_calls import DEAD, Died, PairedCalls
from verdict import Wrong

# write_timeout and a little.
STRICT_PAUSE_S = 3


class Settling(PairedCalls):
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
