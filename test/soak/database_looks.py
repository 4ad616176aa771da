"""What a node shows: of the filestore, of one file, of a whole database."""
import errno
import os
import time

from node_calls import AFTERMATH_S, DATABASES, NodeCalls
from verdict import Wrong

SLACK_S = 0.7


class DatabaseLooks(NodeCalls):
    def op_look(self):
        node = self.a_node()
        for database in self.rnd.sample(DATABASES, 2):
            self.look(node, database)

    def op_root(self):
        node = self.a_node()
        started = time.monotonic()
        names, _ = self.call(node, "listdir", lambda: set(os.listdir(self.mounts[node])))
        self.unnoticed[node] &= names
        for name in names - set(DATABASES):
            raise Wrong(f"{'AB'[node]} lists a database {name}")
        for database in DATABASES:
            if (database in names) not in self.allowed(node, database, None, started):
                raise Wrong(f"{'AB'[node]} lists {sorted(names)}: {database} {'is not' if database in names else 'is'} there")

    def op_peek(self):
        """What one has stored the other finds at once by its name, unless it was told otherwise a moment ago."""
        node = self.a_node()
        database, blob = self.rnd.choice(DATABASES), self.rnd.choice(sorted(self.blobs))
        self.peek(node, database, blob)

    def peek(self, node, database, blob):
        started = time.monotonic()

        def read():
            with open(self.path(node, database, blob), "rb") as file:
                return file.read()

        allowed = self.allowed(node, database, blob, started)
        names = [(node, database), (node, database, blob[:2]), (node, database, blob)]
        told = any(started - self.told_no.get(name, -1e9) < self.negative + SLACK_S for name in names)
        if self.is_there(database, blob) and allowed == {True, False} and not told and (database, blob) not in self.open and not self.back and self.troubled is None:
            # A write that took the place of a delete: the delete may be all that it knows.
            if all(there for at, _, there in self.changes[database, blob] if at > started - self.lag) and self.is_calm():
                if all(there for at, _, there in self.changes[database, None] if at > started - self.lag):
                    allowed = {True}
        content, error = self.call(node, f"read {database}/{blob}", read, (errno.ENOENT,))
        if error is not None:
            for name in names:
                self.told_no[name] = time.monotonic()
        if (error is None) not in allowed:
            raise Wrong(f"{'AB'[node]} {database}/{blob} is {'there' if error is None else 'not there'}")
        if error is None and content != self.blobs[blob]:
            raise Wrong(f"{'AB'[node]} {database}/{blob} has other bytes")

    def is_calm(self):
        return self.troubled is None and time.monotonic() - self.trouble_end > AFTERMATH_S

    def look(self, node, database):
        """All of it, where the node must know all of it."""
        if not self.is_exact(node, database):
            for blob in self.rnd.sample(sorted(self.blobs), 3):
                self.peek(node, database, blob)
            return
        found, directories = {}, set()

        def walk(name):
            entries, error = self.call(node, f"scandir {database}/{name}", lambda: [(e.is_dir(), e.name) for e in os.scandir(self.path(node, database, name))], (errno.ENOENT,) if not name else ())
            if error is not None:
                return False
            for is_directory, entry in entries:
                below = f"{name}/{entry}" if name else entry
                if is_directory:
                    directories.add(below)
                    walk(below)
                else:
                    found[below], _ = self.call(node, f"read {database}/{below}", lambda: open(self.path(node, database, below), "rb").read())
            return True

        is_there = walk("")
        if not is_there:
            self.unnoticed[node].discard(database)
        if is_there != self.is_there(database):
            raise Wrong(f"{'AB'[node]} {database} is {'' if is_there else 'not '}there")
        expected = self.stored(database) | self.markers[node, database] if is_there else set()
        if set(found) - self.missed[node, database] != expected - self.missed[node, database]:
            raise Wrong(f"{'AB'[node]} {database} has besides {sorted(set(found) - expected)}, and lacks {sorted(expected - set(found))}")
        for name, content in found.items():
            if content != self.blobs.get(name, b""):
                raise Wrong(f"{'AB'[node]} {database}/{name} has other bytes")
        for name in directories - self.directories[database] - self.missed[node, database]:
            raise Wrong(f"{'AB'[node]} {database} has a directory {name} that nobody made")
