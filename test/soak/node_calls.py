"""Calls on the mounts of one filestore or of two nodes, held against what was done."""
import collections
import errno
import hashlib
import os
import random
import sys
import time

from verdict import Wrong

DATABASES = ("prod", "Test", "copy", "neu")
SHARDS = ("0a", "7f", "c3")
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


class NodeCalls:
    """What was done, what a node may therefore say is there, and calls on its mount."""

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

    # --- who and what may be next ---

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
