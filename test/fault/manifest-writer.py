"""
A process that writes blobs over the mount as Odoo does, and appends a name to an outside manifest only when close() has returned 0.
Run by crash-manifest.test.ts and the soak; ends when the mount dies under it (exit 0) or when an error comes that no promise allows (exit 1).

usage: manifest-writer.py MOUNT MANIFEST SEED [write|delete] [PAUSE]
  write    writes without end
  delete   the same, and deletes every third of its own blobs again
  PAUSE    seconds between two writes, on the average; default 0.0025

Lines of the manifest: "W name" written, "B name" about to be deleted, "D name" deleted. Each is one write to a file opened for appending.
"""
import errno
import hashlib
import itertools
import os
import random
import sys
import time

MOUNT, MANIFEST, SEED = sys.argv[1:4]
DELETES = len(sys.argv) > 4 and sys.argv[4] == "delete"
PAUSE = float(sys.argv[5]) if len(sys.argv) > 5 else 0.0025
# What a mount whose daemon was killed answers: aborted or cancelled to the request that was under way, not connected to the next.
DEAD = {errno.ENOTCONN, errno.ECONNABORTED, errno.ECANCELED, errno.ENODEV}
SIZES = (0, 1, 700, 4096, 30_000, 140_000, 300_000)

rnd = random.Random(SEED)
manifest = os.open(MANIFEST, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def tell(word, name):
    os.write(manifest, f"{word} {name}\n".encode())


def write(number):
    content = f"{SEED} {number} ".encode() + rnd.randbytes(rnd.choice(SIZES))
    digest = hashlib.sha1(content).hexdigest()
    name = f"{digest[:2]}/{digest}"
    os.makedirs(os.path.join(MOUNT, digest[:2]), exist_ok=True)
    descriptor = os.open(os.path.join(MOUNT, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view):]
    except BaseException:
        try:
            os.close(descriptor)
        except OSError:
            pass
        raise
    os.close(descriptor)
    tell("W", name)
    return name


def main():
    mine = []
    for number in itertools.count():
        mine.append(write(number))
        if DELETES and number % 3 == 2:
            victim = mine.pop(rnd.randrange(len(mine)))
            tell("B", victim)
            os.unlink(os.path.join(MOUNT, victim))
            tell("D", victim)
        time.sleep(rnd.random() * 2 * PAUSE)


try:
    main()
except OSError as error:
    if error.errno in DEAD:
        sys.exit(0)
    print(f"{SEED}: {error!r}", file=sys.stderr)
    sys.exit(1)
