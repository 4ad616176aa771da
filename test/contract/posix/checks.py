"""How a check is named, and what checks have in common."""
import ctypes
import errno

CHECKS = []
LIBC = ctypes.CDLL(None, use_errno=True)


def check(sentence):
    def register(function):
        CHECKS.append((sentence, function))
        return function

    return register


def write(path, data=b""):
    with open(path, "wb") as file:
        file.write(data)


def read(path):
    with open(path, "rb") as file:
        return file.read()


class refuses:
    """with refuses(errno.ENOENT): the body must fail with one of these numbers."""

    def __init__(self, *numbers):
        self.numbers = numbers

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _trace):
        if kind is None:
            raise AssertionError("succeeded, expected " + "/".join(errno.errorcode[n] for n in self.numbers))
        return isinstance(error, OSError) and error.errno in self.numbers
