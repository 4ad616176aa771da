"""What a directory shows, and when it goes."""
import ctypes
import errno
import os

from checks import LIBC, check, refuses, write


@check("a directory that is not empty stays, an emptied one goes at once")
def _(d):
    os.mkdir(d + "/m")
    for name in ("a", "b", "c"):
        write(d + "/m/" + name)
    with refuses(errno.ENOTEMPTY, errno.EEXIST):
        os.rmdir(d + "/m")
    for name in ("a", "b", "c"):
        os.unlink(d + "/m/" + name)
    os.rmdir(d + "/m")
    assert os.listdir(d) == []


@check("a directory goes although an unlinked file of it is open")
def _(d):
    os.mkdir(d + "/m")
    write(d + "/m/x", b"x")
    fd = os.open(d + "/m/x", os.O_RDONLY)
    os.unlink(d + "/m/x")
    os.rmdir(d + "/m")
    assert os.read(fd, 2) == b"x"
    os.close(fd)


@check("nothing is made in a removed directory that is still open")
def _(d):
    os.mkdir(d + "/m")
    fd = os.open(d + "/m", os.O_RDONLY | os.O_DIRECTORY)
    os.rmdir(d + "/m")
    with refuses(errno.ENOENT):
        os.open("x", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
    os.close(fd)


@check("a listing shows each of a thousand names once")
def _(d):
    names = ["file-with-a-longer-name-%04d" % i for i in range(1000)]
    for name in names:
        os.close(os.open(d + "/" + name, os.O_CREAT | os.O_WRONLY))
    assert sorted(os.listdir(d)) == names


@check("unlinking while listing skips nobody")
def _(d):
    for i in range(600):
        os.close(os.open(d + "/file%04d" % i, os.O_CREAT | os.O_WRONLY))
    seen = 0
    with os.scandir(d) as entries:
        for entry in entries:
            os.unlink(entry.path)
            seen += 1
    assert seen == 600 and os.listdir(d) == []


@check("a listing tells the kind and the inode that stat tells")
def _(d):
    os.mkdir(d + "/m")
    write(d + "/x")
    for entry in os.scandir(d):
        assert entry.is_dir(follow_symlinks=False) == (entry.name == "m")
        assert entry.inode() == os.stat(entry.path).st_ino


class Dirent(ctypes.Structure):
    _fields_ = [("ino", ctypes.c_uint64), ("off", ctypes.c_int64), ("reclen", ctypes.c_ushort), ("type", ctypes.c_ubyte), ("name", ctypes.c_char * 256)]


class Stream:
    """opendir(3) and its friends, which Python does not offer."""

    def __init__(self, path):
        for name, result, arguments in (
            ("opendir", ctypes.c_void_p, [ctypes.c_char_p]),
            ("readdir", ctypes.POINTER(Dirent), [ctypes.c_void_p]),
            ("telldir", ctypes.c_long, [ctypes.c_void_p]),
            ("seekdir", None, [ctypes.c_void_p, ctypes.c_long]),
            ("rewinddir", None, [ctypes.c_void_p]),
            ("closedir", ctypes.c_int, [ctypes.c_void_p]),
        ):
            function = getattr(LIBC, name)
            function.restype, function.argtypes = result, arguments
        self.dir = LIBC.opendir(os.fsencode(path))
        assert self.dir

    def next(self):
        entry = LIBC.readdir(self.dir)
        return os.fsdecode(entry.contents.name) if entry else None

    def rest(self):
        return sorted(n for n in iter(self.next, None) if n not in (".", ".."))


@check("rewinddir shows what was made and unlinked since")
def _(d):
    write(d + "/a")
    write(d + "/b")
    stream = Stream(d)
    assert stream.rest() == ["a", "b"]
    write(d + "/c")
    os.unlink(d + "/a")
    LIBC.rewinddir(stream.dir)
    assert stream.rest() == ["b", "c"]
    LIBC.closedir(stream.dir)


@check("seekdir goes back to where telldir was")
def _(d):
    for i in range(300):
        os.close(os.open(d + "/file%04d" % i, os.O_CREAT | os.O_WRONLY))
    stream = Stream(d)
    for _i in range(100):
        stream.next()
    place = LIBC.telldir(stream.dir)
    rest = stream.rest()
    LIBC.seekdir(stream.dir, place)
    assert stream.rest() == rest and 190 < len(rest) < 210
    LIBC.closedir(stream.dir)
