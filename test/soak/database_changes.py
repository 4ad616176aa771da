"""What Odoo does with databases: they are made, filled, duplicated, renamed and dropped."""
import errno
import os
import shutil
import time

from node_calls import DATABASES, GivenUp, NodeCalls
from verdict import Wrong


class DatabaseChanges(NodeCalls):
    def mkdir(self, node, database, also=()):
        _, error = self.call(node, f"mkdir {database}", lambda: os.mkdir(self.path(node, database)), also)
        if error is None:
            for each in self.nodes:
                if database not in self.unnoticed[each]:
                    self.missed[each, database] = set()
            self.changed(node, database, None, True)
        return error

    def make_directory(self, node, database, name, also=()):
        _, error = self.call(node, f"mkdir {database}/{name}", lambda: os.mkdir(self.path(node, database, name)), (errno.EEXIST, *also))
        if error in (None, errno.EEXIST):
            self.directories[database].add(name)
        elif error is not None:
            raise GivenUp(name)

    def write(self, node, database, blob, also=()):
        def write():
            with open(self.path(node, database, blob), "wb") as file:
                file.write(self.blobs[blob])

        self.open.add((database, blob)) if self.may_fail(node) else None
        _, error = self.call(node, f"write {database}/{blob}", write, also)
        if error is not None:
            raise GivenUp(blob)
        self.changed(node, database, blob, True)
        for each in self.nodes:
            self.unnoticed[each].discard(database)

    def store(self, node, database, blob, also=()):
        """As Odoo up to 18 does."""
        self.make_directory(node, database, blob[:2], also)
        self.write(node, database, blob, also)
        if self.rnd.random() < 0.3:
            self.mark(node, database, blob, also)

    def mark(self, node, database, blob, also=()):
        self.make_directory(node, database, "checklist", also)
        self.make_directory(node, database, f"checklist/{blob[:2]}", also)
        marker = f"checklist/{blob}"
        _, error = self.call(node, f"mark {database}/{marker}", lambda: open(self.path(node, database, marker), "ab").close(), also)
        if error is None:
            self.markers[node, database].add(marker)

    def unlink(self, node, database, name):
        is_blob = name in self.blobs
        if is_blob and self.may_fail(node):
            self.open.add((database, name))
        # Another node may have deleted it meanwhile, or dropped the database.
        may_be_gone = is_blob and False in self.allowed(node, database, name)
        _, error = self.call(node, f"unlink {database}/{name}", lambda: os.unlink(self.path(node, database, name)), (errno.ENOENT,) if may_be_gone else ())
        if error is None and is_blob:
            self.changed(node, database, name, False)
        elif error is None:
            self.markers[node, database].discard(name)
        return error

    # --- operations with whole databases ---

    def copy_tree(self, node, source, target):
        """shutil.copytree, with a word about each file."""
        def copy(here, there, **_):
            self.perhaps_end(node)
            name = os.path.relpath(there, self.path(node, target))
            is_blob = name in self.blobs
            if is_blob and self.may_fail(node):
                self.open.add((target, name))
            # What another node has deleted meanwhile ends a copy, as on any shared disk.
            may_be_gone = is_blob and False in self.allowed(node, source, name)
            _, error = self.call(node, f"copy {source} {target}/{name}", lambda: shutil.copy2(here, there), (errno.ENOENT,) if may_be_gone else ())
            if error is not None:
                raise GivenUp(name)
            if is_blob:
                self.changed(node, target, name, True)
                for each in self.nodes:
                    self.unnoticed[each].discard(target)
            elif name.startswith("checklist/"):
                self.markers[node, target].add(name)
            else:
                raise Wrong(f"{source} has a file {name} that nobody made")

        before = self.count["copy"]
        expected = len(self.stored(source)) + len(self.markers[node, source])
        exact = self.is_exact(node, source)
        self.directories[target] = self.directories[source] | self.missed[node, source]
        self.note(f"{'AB'[node]} copytree {source} {target}")
        try:
            shutil.copytree(self.path(node, source), self.path(node, target), symlinks=True, copy_function=copy)
        except (OSError, shutil.Error) as failure:
            if isinstance(failure, OSError) and failure.errno == errno.EIO and self.may_fail(node) or "Errno 5" in str(failure) and self.may_fail(node):
                raise GivenUp("copytree") from failure
            if not exact:
                raise GivenUp("copytree") from failure
            raise Wrong(f"copytree {source} {target}: {failure!r}") from failure
        finally:
            if os.path.isdir(self.path(node, target)):
                self.changed(node, target, None, True)
        if exact and not self.missed[node, source] and self.count["copy"] - before != expected:
            raise Wrong(f"{'AB'[node]} copytree {source} {target} copied {self.count['copy'] - before} files of {expected}")

    def remove_tree(self, node, database):
        """As shutil.rmtree does, by paths: a daemon may be ended in between. @returns whether all of it went"""
        exact = self.is_exact(node, database)
        also = () if exact else (errno.ENOENT, errno.ENOTEMPTY)

        def remove(name):
            entries, error = self.call(node, f"scandir {database}/{name}", lambda: sorted((e.is_dir(), e.name) for e in os.scandir(self.path(node, database, name))), also)
            if error is not None:
                raise GivenUp(name)
            for is_directory, entry in entries:
                self.perhaps_end(node)
                below = f"{name}/{entry}" if name else entry
                if is_directory:
                    remove(below)
                elif self.unlink(node, database, below) is not None:
                    raise GivenUp(below)
            if name:
                _, error = self.call(node, f"rmdir {database}/{name}", lambda: os.rmdir(self.path(node, database, name)), also)
                if error is not None:
                    raise GivenUp(name)

        remove("")
        self.perhaps_end(node)
        # What another node has stored in it and this one has not seen.
        unseen = self.stored(database)
        _, error = self.call(node, f"rmdir {database}", lambda: os.rmdir(self.path(node, database)), also)
        if error is not None:
            raise GivenUp(database)
        if unseen and not self.may_fail(node):
            raise Wrong(f"{'AB'[node]} rmdir {database} went well over {unseen}")
        self.changed(node, database, None, False)
        for each in self.nodes:
            if each != node:
                self.unnoticed[each].add(database)
            self.missed[each, database] |= self.directories[database] | self.markers[each, database] if each != node else set()
            self.markers[each, database] = set()
        if not unseen:
            self.directories[database] = set()

    def op_make(self):
        node = self.a_node()
        database = self.a_known(node, there=False)
        if database is None:
            return
        self.mkdir(node, database)
        for blob in self.rnd.sample(sorted(self.blobs), self.rnd.randrange(6)):
            self.store(node, database, blob)

    def op_store(self):
        node = self.a_node()
        database = self.rnd.choice([d for d in DATABASES if self.allowed(node, d) == {True}] or [None])
        if database is None:
            return
        # Not while this node may still believe in a drop, or not know of it.
        if not self.is_exact(node, database) and False in {there for _, _, there in self.changes[database, None][-3:]}:
            return
        for blob in self.rnd.sample(sorted(self.blobs), self.rnd.randrange(1, 4)):
            self.store(node, database, blob)

    def op_unlink(self):
        node = self.a_node()
        database = self.a_known(node)
        some = sorted(self.stored(database)) if database is not None else []
        if some:
            self.unlink(node, database, self.rnd.choice(some))

    def op_duplicate(self):
        node = self.a_node()
        source, target = self.a_known(node), self.a_known(node, there=False)
        if source is not None and target is not None:
            self.copy_tree(node, source, target)
            self.look(node, target)

    def op_rename(self):
        node = self.a_node()
        source, target = self.a_known(node), self.a_known(node, there=False)
        if source is None or target is None:
            return
        self.call(node, f"rename {source} {target}", lambda: os.rename(self.path(node, source), self.path(node, target)), (errno.EXDEV,))
        self.copy_tree(node, source, target)
        self.remove_tree(node, source)
        self.look(node, target)
        self.look(node, source)

    def op_drop(self):
        node = self.a_node()
        database = self.a_known(node)
        if database is None:
            return
        self.remove_tree(node, database)
        self.look(node, database)
        if self.rnd.random() < 0.5:
            self.make_again(node, database)

    def op_drop_unseen(self):
        """One stores, and the other drops before it must have seen that."""
        node, database = self.a_known_by_both()
        if database is None:
            return
        blob = self.rnd.choice(sorted(self.blobs))
        self.store(1 - node, database, blob)
        time.sleep(self.rnd.choice((0, 0.1, 1)))
        if not self.back:
            self.remove_tree(node, database)

    def make_again(self, node, database):
        time.sleep(self.rnd.choice((0, 0, 0.05, 0.3, 1)))
        self.mkdir(node, database)
        self.look(node, database)
        for blob in self.rnd.sample(sorted(self.blobs), self.rnd.randrange(4)):
            self.store(node, database, blob)
        self.look(node, database)

    def op_make_elsewhere(self):
        """One drops it, and the other makes it before it must have heard."""
        node, database = self.a_known_by_both()
        if database is None:
            return
        self.remove_tree(node, database)
        time.sleep(self.rnd.choice((0, 0.02, 0.1, 0.5, 1, 2, 3)))
        other = 1 - node
        # It may believe that it is there. What waits in its spool when it hears of the drop is kept, and a decision is asked for.
        if self.mkdir(other, database, (errno.EEXIST,)) is not None and self.back:
            return
        for blob in self.rnd.sample(sorted(self.blobs), self.rnd.randrange(3)):
            # It may hear of the drop in between.
            self.store(other, database, blob, (errno.ENOENT,))
