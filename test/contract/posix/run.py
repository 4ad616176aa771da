"""Ordinary file system behaviour by real system calls, below the directory given as first argument.

Prints one JSON line a check: its sentence, and null or what went wrong. Each check has an empty directory of its own. The same checks run
over a plain directory, which shows that the expectations are the operating system's and not ours.
"""
import json
import os
import shutil
import sys
import traceback

from checks import CHECKS

# Each adds its checks, in this order.
import contents
import names
import directories
import attributes
import at_once
import programs


def main(root):
    for number, (sentence, function) in enumerate(CHECKS):
        directory = os.path.join(root, "check-%02d" % number)
        failure = None
        try:
            os.mkdir(directory)
            function(directory)
            shutil.rmtree(directory)
        except BaseException:
            failure = traceback.format_exc(limit=-3)
        print(json.dumps([sentence, failure]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
