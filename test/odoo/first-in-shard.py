"""Odoo's workers, each the first to write into the same shard in the same moment: `first-in-shard.py FILESTORE_OF_A_DATABASE WORKERS SHARDS`.

The lines of the writer are those of ir_attachment.py (8.0 to 18.0). Prints how many writes failed, and how.
"""
import hashlib
import json
import multiprocessing
import os
import sys


def blobs(shards):
    """One a shard."""
    found, counter = {}, 0
    while len(found) < shards:
        content = b'the same report, made by every worker %d' % counter
        sha = hashlib.sha1(content).hexdigest()
        found.setdefault(sha[:2], (sha, content))
        counter += 1
    return list(found.values())


def write(root, sha, content):
    full_path = os.path.join(root, sha[:2], sha)
    dirname = os.path.dirname(full_path)
    if not os.path.isdir(dirname):
        os.makedirs(dirname)
    if not os.path.exists(full_path):
        with open(full_path, 'wb') as fp:
            fp.write(content)


def worker(root, shards, barrier, failures):
    for sha, content in blobs(shards):
        barrier.wait()
        try:
            write(root, sha, content)
        except OSError as error:
            failures.put(repr(error))


def main():
    root, workers, shards = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    barrier, failures = multiprocessing.Barrier(workers), multiprocessing.SimpleQueue()
    processes = [multiprocessing.Process(target=worker, args=(root, shards, barrier, failures)) for _ in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    failed = []
    while not failures.empty():
        failed.append(failures.get())
    print(json.dumps({'writes': workers * shards, 'failed': failed}))


main()
