"""
Does with whole databases what Odoo does with them (made, filled, duplicated, renamed, dropped, made again under the same name), by one mount or by two
over the same containers, and holds what each of them shows against what was done. Run by databases.ts, which troubles Swift and ends the daemons when
it is told to.

usage: databases.py SEED SECONDS LAG_S NEGATIVE_S WORDS MOUNT [MOUNT]

  LAG_S       so long a node may show what another one has changed meanwhile: `delete_bound`, and two seconds for a drop
  NEGATIVE_S  `negative_ttl`
  WORDS       calm: Swift is well;  back: another node finds what was written after a while only

It says "do kill|restart|trouble|calm|drained NODE" and hears "ok"; in the end "done", or "wrong" with the reason (exit 1).
"""
import collections
import errno
import hashlib
import os
import random
import shutil
import sys
import time

from verdict import Wrong, tell_wrong

DATABASES = ("prod", "Test", "copy", "neu")
SHARDS = ("0a", "7f", "c3")
SLACK_S = 0.7
# EIO may come of a trouble for so long after its end.
AFTERMATH_S = 15
CALL_LIMIT_S = 45


class GivenUp(Exception):
    """A call that was let fail: the operation ends there, as it does in Odoo."""


def make_blobs(rnd):
    blobs = {}
    for size in (1, 300, 300, 700, 700, 5000, 5000, 5000, 30_000, 30_000, 150_000, 400_000):
        while True:
            content = rnd.randbytes(size)
            digest = hashlib.sha1(content).hexdigest()
            # A single byte is tried for no longer than there are some.
            if digest[:2] in SHARDS or size == 1:
                break
        blobs[f"{digest[:2]}/{digest}"] = content
    return blobs


class Run:
    def __init__(self, seed, seconds, lag, negative, words, mounts):
        self.rnd = random.Random(seed)
        self.lag, self.negative = lag, negative
        self.calm, self.back = "calm" in words, "back" in words
        self.mounts = mounts
        self.nodes = list(range(len(mounts)))
        self.end = time.monotonic() + seconds
        self.blobs = make_blobs(self.rnd)
        self.history = collections.deque(maxlen=3000)
        self.count = collections.Counter()
        # By key, (database, None) for its directory and (database, path) for a file: when it changed, by whom, and whether it is there since.
        self.changes = collections.defaultdict(list)
        # What may be there or not: a call failed, or two nodes did not know of each other.
        self.open = set()
        # By database: the directories that somebody made in it since it was made.
        self.directories = collections.defaultdict(set)
        self.markers = collections.defaultdict(set)
        # By node and database: directories and markers of before a drop by the other one, which that node misses when it is made again too soon.
        self.missed = collections.defaultdict(set)
        # By node: databases that another one has dropped and it has not seen to be gone. A start in that state asks for a decision.
        self.unnoticed = collections.defaultdict(set)
        # When a node was last told that something is not there, by node and path.
        self.told_no = {}
        self.troubled = None
        self.trouble_start = self.trouble_end = -1e9

    # --- the other side ---

    def do(self, what, node):
        self.note(f"do {what} {node}")
        print(f"do {what} {node}", flush=True)
        line = sys.stdin.readline().strip()
        if line != "ok":
            raise Wrong(f"do {what} {node}: {line}")

    def note(self, text):
        self.history.append(f"{time.strftime('%H:%M:%S')}.{int(time.time() * 1000) % 1000:03} {text}")

    # --- what is to be there ---

    def changed(self, node, database, path, is_there):
        self.changes[database, path].append((time.monotonic(), node, is_there))
        self.open.discard((database, path))

    def is_there(self, database, path=None):
        """By what was done last. A database that is stored in after a drop lives on."""
        some = self.changes[database, path]
        there = bool(some) and some[-1][2]
        return there or (path is None and any(self.is_there(database, blob) for blob in self.blobs))

    def stored(self, database):
        return {blob for blob in self.blobs if self.is_there(database, blob)}

    def allowed(self, node, database, path=None, started=None):
        """The answers that a node may give to whether it is there, for a question that set out then."""
        if (database, path) in self.open:
            return {True, False}
        since = self.knows_until(node, started)
        answers = {self.is_there(database, path)}
        before = False
        for at, who, there in self.changes[database, path]:
            if who == node or at < since:
                answers = set()
            else:
                answers.add(before)
            answers.add(there)
            before = there
        # Until it is sure of a drop, a node goes by what it knew of the files.
        if path is not None and any(there for _, _, there in self.changes[database, path]):
            if any(at > since and who != node and not there for at, who, there in self.changes[database, None]):
                answers = {True, False}
        if path is None:
            for blob in self.blobs:
                if (database, blob) in self.open:
                    answers |= {True, False}
                elif True in self.allowed(node, database, blob, started):
                    answers.add(True)
            if self.is_there(database):
                answers.add(True)
                # Its files may be known without it, and it without them, for that long.
                if not self.is_exact(node, database):
                    answers.add(False)
                elif self.changes[database, None] and not self.changes[database, None][-1][2]:
                    answers.discard(False)
        return answers

    def knows_until(self, node, started=None):
        """Up to when a node must know what the others have done. While its Swift is troubled it hears nothing."""
        now = started or time.monotonic()
        is_blind = self.troubled == node or now - self.trouble_end < self.lag
        return (min(now, self.trouble_start) if is_blind else now) - self.lag

    def is_exact(self, node, database):
        """Nobody else has changed anything there for so long that this node must know all of it."""
        since = self.knows_until(node)
        if any(key[0] == database for key in self.open):
            return False
        return not any(at > since and who != node for key, some in self.changes.items() if key[0] == database for at, who, _ in some)

    # --- calls ---

    def path(self, node, database, name=""):
        return os.path.join(self.mounts[node], database, name) if name else os.path.join(self.mounts[node], database)

    def may_fail(self, node):
        return self.troubled == node or time.monotonic() - self.trouble_end < AFTERMATH_S

    def call(self, node, name, call, also=()):
        """@param also errors that may come. @returns (value, errno)"""
        self.count[name.split()[0]] += 1
        start = time.monotonic()
        try:
            value, error = call(), None
        except OSError as failure:
            value, error = None, failure.errno
        took = time.monotonic() - start
        self.note(f"{'AB'[node]} {name}{'' if error is None else ' -> ' + errno.errorcode.get(error, str(error))} ({took * 1000:.0f} ms)")
        if took > CALL_LIMIT_S:
            raise Wrong(f"{name} took {took:.1f} s")
        if error == errno.EIO and self.may_fail(node):
            raise GivenUp(name)
        if error is not None and error not in also:
            raise Wrong(f"{'AB'[node]} {name}: {errno.errorcode.get(error, error)}")
        return value, error

    def perhaps_end(self, node):
        if self.rnd.random() < 0.004 and not self.unnoticed[node]:
            self.do(self.rnd.choice(("kill", "kill", "restart")), node)

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

    # --- what may be done now ---

    def a_node(self):
        # The one whose Swift is troubled, which knows itself best.
        return self.troubled if self.troubled is not None else self.rnd.choice(self.nodes)

    def a_known(self, node, there=True):
        """A database of which the node must know all, that is there or not."""
        some = [d for d in DATABASES if self.is_there(d) == there and self.is_exact(node, d)]
        return self.rnd.choice(some) if some else None

    def a_known_by_both(self):
        """A node, and a database that is there and of which both must know all; None where there is none, or only one node."""
        if len(self.nodes) < 2 or self.troubled is not None:
            return None, None
        node = self.a_node()
        database = self.a_known(node)
        if database is None or not self.is_exact(1 - node, database):
            return None, None
        return node, database

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

    def op_end(self):
        node = self.a_node()
        if not self.unnoticed[node]:
            self.do(self.rnd.choice(("kill", "restart")), node)

    def op_trouble(self):
        if self.calm or self.troubled is not None:
            return
        self.troubled = self.rnd.choice(self.nodes)
        # Who has not made up yet for the last one is still where he was before that.
        if time.monotonic() - self.trouble_end >= self.lag:
            self.trouble_start = time.monotonic()
        self.do("trouble", self.troubled)

    def op_calm(self):
        if self.troubled is not None and self.rnd.random() < 0.4:
            self.settle_trouble()

    def settle_trouble(self):
        node = self.troubled
        self.do("calm", node)
        self.do("drained", node)
        self.troubled = None
        self.trouble_end = now = time.monotonic()
        # From now on the others can see what it did.
        for some in self.changes.values():
            for index, (at, who, there) in enumerate(some):
                if who == node and at > now - 200:
                    some[index] = (now, who, there)
        self.resolve()

    def resolve(self):
        """What is open is what Swift has, which both must see after a while."""
        if not self.open:
            return
        time.sleep(self.lag + SLACK_S)
        for database, path in sorted(self.open, key=str):
            if path is None:
                continue
            there = [os.path.exists(self.path(node, database, path)) for node in self.nodes]
            if len(set(there)) > 1:
                raise Wrong(f"{database}/{path}: {there}")
            self.note(f"resolved {database}/{path}: {there[0]}")
            self.changed(0, database, path, there[0])
            self.changes[database, path][-1] = (time.monotonic() - self.lag, 0, there[0])

    def settle(self):
        """All is told to everybody."""
        if self.troubled is not None:
            self.settle_trouble()
        for node in self.nodes:
            self.do("drained", node)
        self.resolve()
        time.sleep(self.lag + SLACK_S)
        for database in DATABASES:
            for node in self.nodes:
                if not self.is_exact(node, database):
                    raise Wrong("settled, and not exact")
                self.look(node, database)
        for node in self.nodes:
            self.call(node, "listdir", lambda: os.listdir(self.mounts[node]))

    def run(self):
        operations = {
            self.op_make: 6, self.op_store: 8, self.op_unlink: 3, self.op_duplicate: 5, self.op_rename: 5, self.op_drop: 4, self.op_drop_unseen: 2,
            self.op_make_elsewhere: 3, self.op_look: 6, self.op_root: 5, self.op_peek: 20, self.op_end: 0.5, self.op_trouble: 1, self.op_calm: 5,
        }
        next_settle = time.monotonic() + 20
        while time.monotonic() < self.end:
            try:
                operation = self.rnd.choices(list(operations), list(operations.values()))[0]
                self.count[operation.__name__] += 1
                self.note(operation.__name__)
                operation()
            except GivenUp as failure:
                self.note(f"given up: {failure}")
                self.count["given up"] += 1
                if self.troubled is None and self.may_fail(0):
                    self.resolve()
            if time.monotonic() > next_settle:
                self.settle()
                next_settle = time.monotonic() + 20
        self.settle()
        for node in self.nodes:
            self.do("restart", node)
        self.settle()
        print("there " + " ".join(d for d in DATABASES if self.is_there(d)), flush=True)
        if sys.stdin.readline().strip() != "ok":
            raise Wrong("the containers are others")
        print("done " + " ".join(f"{k}={v}" for k, v in sorted(self.count.items())), flush=True)


def main():
    seed, seconds, lag, negative, words = sys.argv[1:6]
    run = Run(int(seed), float(seconds), float(lag), float(negative), words.split("+"), sys.argv[6:])
    try:
        run.run()
    except BaseException as error:
        tell_wrong(error, run.history)
        sys.exit(1)


main()
