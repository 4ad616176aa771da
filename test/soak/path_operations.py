"""Names that are looked at, made, renamed and removed."""
import errno
import os
import stat

from compared_files import CLOCK_S, DIRECTORIES, TEMPORARIES, kind_of, read_file
from handle_operations import HandleOperations
from verdict import Wrong

SET_TIME_S = 0.002
BLOB_TIME = 1451606400


class PathOperations(HandleOperations):
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
