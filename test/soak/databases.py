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
import os
import sys
import time

from database_changes import DatabaseChanges
from database_looks import SLACK_S, DatabaseLooks
from node_calls import DATABASES, GivenUp
from verdict import Wrong, tell_wrong


class Run(DatabaseChanges, DatabaseLooks):
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
