"""Ordinary file system behaviour by real system calls, below the directory given as first argument.

Prints one JSON line a check: its sentence, and null or what went wrong. Each check has an empty directory of its own. The same checks run
over a plain directory, which shows that the expectations are the operating system's and not ours.
"""

import ctypes
import errno
import fcntl
import json
import mmap
import os
import shutil
import stat
import sys
import tempfile
import threading
import time
import traceback

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


# Contents


@check("bytes written are read back")
def _(d):
    data = os.urandom(300_001)
    write(d + "/x", data)
    assert read(d + "/x") == data and os.stat(d + "/x").st_size == len(data)


@check("a file is written in pieces at any offset, and what was never written reads as zeros")
def _(d):
    fd = os.open(d + "/x", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"end", 200_000)
    os.pwrite(fd, b"start", 0)
    assert os.pread(fd, 8, 0) == b"start\0\0\0" and os.pread(fd, 10, 199_998) == b"\0\0end"
    os.close(fd)
    assert read(d + "/x") == b"start" + bytes(199_995) + b"end"


@check("reading at and past the end gives nothing")
def _(d):
    write(d + "/x", b"abc")
    fd = os.open(d + "/x", os.O_RDONLY)
    assert (os.pread(fd, 5, 1), os.pread(fd, 5, 3), os.pread(fd, 5, 1000)) == (b"bc", b"", b"")
    os.close(fd)


@check("a file is no terminal, as Python asks of each that it opens, and takes no other ioctl")
def _(d):
    write(d + "/x", b"bytes")
    for mode in ("rb", "r+b"):
        with open(d + "/x", mode) as file:
            assert not file.isatty()
            with refuses(errno.ENOTTY):
                fcntl.ioctl(file, 0x5413, b"\0" * 8)  # TIOCGWINSZ
            assert file.read() == b"bytes"


@check("what one descriptor wrote another one reads at once")
def _(d):
    a = os.open(d + "/x", os.O_RDWR | os.O_CREAT)
    b = os.open(d + "/x", os.O_RDWR)
    os.pwrite(a, b"hello", 0)
    assert os.pread(b, 9, 0) == b"hello" and os.stat(d + "/x").st_size == 5
    os.pwrite(b, b"J", 0)
    assert os.pread(a, 9, 0) == b"Jello" and read(d + "/x") == b"Jello"
    os.close(a)
    os.close(b)


@check("O_APPEND writes at the end, from several descriptors too")
def _(d):
    a = os.open(d + "/x", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    b = os.open(d + "/x", os.O_WRONLY | os.O_APPEND)
    for piece in range(6):
        os.write((a, b)[piece % 2], b"%d" % piece)
    os.close(a)
    os.close(b)
    with open(d + "/x", "ab") as file:
        file.write(b"6")
    assert read(d + "/x") == b"0123456"


@check("O_TRUNC empties a file and O_CREAT alone does not")
def _(d):
    write(d + "/x", b"abc")
    os.close(os.open(d + "/x", os.O_WRONLY | os.O_CREAT))
    assert read(d + "/x") == b"abc"
    fd = os.open(d + "/x", os.O_RDWR | os.O_TRUNC)
    assert os.fstat(fd).st_size == 0 and os.read(fd, 3) == b""
    os.close(fd)


@check("truncate and ftruncate shorten, and lengthen with zeros")
def _(d):
    write(d + "/x", b"abcdef")
    os.truncate(d + "/x", 2)
    assert read(d + "/x") == b"ab"
    fd = os.open(d + "/x", os.O_RDWR)
    os.ftruncate(fd, 5)
    assert os.fstat(fd).st_size == 5 and os.pread(fd, 9, 0) == b"ab\0\0\0"
    os.ftruncate(fd, 0)
    os.close(fd)
    assert read(d + "/x") == b""


@check("posix_fallocate makes a file longer and never shorter")
def _(d):
    fd = os.open(d + "/x", os.O_RDWR | os.O_CREAT)
    os.posix_fallocate(fd, 0, 5000)
    os.posix_fallocate(fd, 0, 10)
    assert os.fstat(fd).st_size == 5000
    os.close(fd)


@check("a mapping shows the bytes of the file")
def _(d):
    data = os.urandom(70_000)
    write(d + "/x", data)
    fd = os.open(d + "/x", os.O_RDONLY)
    with mmap.mmap(fd, len(data), prot=mmap.PROT_READ) as mapped:
        assert mapped[:] == data
    os.close(fd)


@check("what is written into a shared mapping reaches the file")
def _(d):
    write(d + "/x", b"q" * 10_000)
    fd = os.open(d + "/x", os.O_RDWR)
    with mmap.mmap(fd, 10_000) as mapped:
        mapped[4000:4003] = b"abc"
        mapped.flush()
    os.close(fd)
    assert read(d + "/x")[3999:4004] == b"qabcq"


@check("sendfile and copy_file_range copy whole files")
def _(d):
    data = os.urandom(200_000)
    write(d + "/x", data)
    for name, copy in (("s", lambda o, i, n: os.sendfile(o, i, None, n)), ("c", lambda o, i, n: os.copy_file_range(i, o, n))):
        source, target = os.open(d + "/x", os.O_RDONLY), os.open(d + "/" + name, os.O_WRONLY | os.O_CREAT)
        left = len(data)
        while left > 0:
            done = copy(target, source, left)
            assert done > 0
            left -= done
        os.close(source)
        os.close(target)
        assert read(d + "/" + name) == data


@check("a descriptor opened one way is not used the other way")
def _(d):
    write(d + "/x", b"abc")
    for flags, use in ((os.O_RDONLY, lambda fd: os.write(fd, b"z")), (os.O_WRONLY, lambda fd: os.read(fd, 1))):
        fd = os.open(d + "/x", flags)
        with refuses(errno.EBADF):
            use(fd)
        os.close(fd)


@check("a file goes on being written after one of its descriptors was closed")
def _(d):
    a = os.open(d + "/x", os.O_WRONLY | os.O_CREAT)
    b = os.dup(a)
    os.write(a, b"one")
    os.close(a)
    os.write(b, b"two")
    os.close(b)
    assert read(d + "/x") == b"onetwo"


@check("a child goes on writing what its parent has closed")
def _(d):
    fd = os.open(d + "/x", os.O_WRONLY | os.O_CREAT)
    os.write(fd, b"parent ")
    go_read, go_write = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(go_read, 1)
        os.write(fd, b"child")
        os.close(fd)
        os._exit(0)
    os.close(fd)
    os.write(go_write, b"!")
    assert os.waitpid(child, 0)[1] == 0
    os.close(go_read)
    os.close(go_write)
    assert read(d + "/x") == b"parent child"


@check("fsync and fdatasync work on files, fsync on directories")
def _(d):
    fd = os.open(d + "/x", os.O_RDWR | os.O_CREAT)
    os.write(fd, b"abc")
    os.fsync(fd)
    os.fdatasync(fd)
    os.close(fd)
    fd = os.open(d, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    os.close(fd)


# Names


@check("what is not there is ENOENT")
def _(d):
    for use in (os.stat, os.unlink, os.rmdir, os.listdir, read, lambda p: os.rename(p, d + "/y"), lambda p: os.truncate(p, 0)):
        with refuses(errno.ENOENT):
            use(d + "/nothing")
    with refuses(errno.ENOENT):
        write(d + "/nothing/x")


@check("a file is no directory, and a directory is no file")
def _(d):
    write(d + "/x")
    os.mkdir(d + "/m")
    for use in (lambda: os.stat(d + "/x/y"), lambda: write(d + "/x/y"), lambda: os.rmdir(d + "/x"), lambda: os.listdir(d + "/x")):
        with refuses(errno.ENOTDIR):
            use()
    with refuses(errno.EISDIR):
        write(d + "/m")
    with refuses(errno.EISDIR, errno.EPERM):
        os.unlink(d + "/m")
    with refuses(errno.EISDIR):
        os.truncate(d + "/m", 0)


@check("O_EXCL and mkdir refuse a name that exists")
def _(d):
    os.close(os.open(d + "/x", os.O_CREAT | os.O_EXCL | os.O_RDWR))
    with refuses(errno.EEXIST):
        os.open(d + "/x", os.O_CREAT | os.O_EXCL | os.O_RDWR)
    for name in ("/x", ""):
        with refuses(errno.EEXIST):
            os.mkdir(d + name)


@check("mknod makes an empty regular file")
def _(d):
    os.mknod(d + "/x", 0o644 | stat.S_IFREG)
    assert os.stat(d + "/x").st_size == 0
    with refuses(errno.EEXIST):
        os.mknod(d + "/x", 0o644 | stat.S_IFREG)


@check("a name of 255 bytes works and a longer one is ENAMETOOLONG")
def _(d):
    write(d + "/" + "n" * 255, b"long")
    assert os.listdir(d) == ["n" * 255] and read(d + "/" + "n" * 255) == b"long"
    for use in (os.stat, write, os.mkdir):
        with refuses(errno.ENAMETOOLONG):
            use(d + "/" + "n" * 256)


@check("names in UTF-8 and with odd characters come back as they were given")
def _(d):
    names = sorted(["Rechnung Übersicht €.pdf", "a b", "new\nline", "-dash", "日本語", "percent%2F", "back\\slash", "'\""])
    for name in names:
        write(d + "/" + name, name.encode())
    assert sorted(os.listdir(d)) == names and all(read(d + "/" + name) == name.encode() for name in names)


@check("names of any bytes come back as they were given")
def _(d):
    name = b"\xff\xfebad\x80"
    write(os.fsencode(d) + b"/" + name, b"x")
    assert os.listdir(os.fsencode(d)) == [name] and read(os.fsencode(d) + b"/" + name) == b"x"
    os.unlink(os.fsencode(d) + b"/" + name)


@check("rename moves a file, also over another and to another directory")
def _(d):
    os.mkdir(d + "/m")
    write(d + "/x", b"x")
    os.rename(d + "/x", d + "/m/y")
    assert not os.path.exists(d + "/x") and read(d + "/m/y") == b"x"
    write(d + "/z", b"z")
    os.replace(d + "/z", d + "/m/y")
    assert os.listdir(d) == ["m"] and os.listdir(d + "/m") == ["y"] and read(d + "/m/y") == b"z"


@check("renaming a file onto itself changes nothing")
def _(d):
    write(d + "/x", b"x")
    os.rename(d + "/x", d + "/x")
    assert read(d + "/x") == b"x"


@check("renameat2 with RENAME_NOREPLACE refuses a name that exists")
def _(d):
    write(d + "/x", b"x")
    write(d + "/y", b"y")

    def rename(a, b):
        return LIBC.renameat2(-100, (d + a).encode(), -100, (d + b).encode(), 1)

    assert rename("/x", "/y") == -1 and ctypes.get_errno() == errno.EEXIST
    assert read(d + "/x") == b"x" and read(d + "/y") == b"y"
    assert rename("/x", "/z") == 0 and read(d + "/z") == b"x" and not os.path.exists(d + "/x")


@check("renaming a directory moves what is in it, also what is open")
def _(d):
    os.makedirs(d + "/m/n")
    write(d + "/m/n/x", b"abc")
    fd = os.open(d + "/m/n/x", os.O_RDWR)
    os.rename(d + "/m", d + "/o")
    assert read(d + "/o/n/x") == b"abc" and not os.path.exists(d + "/m")
    os.pwrite(fd, b"d", 3)
    assert os.fstat(fd).st_size == 4
    os.close(fd)
    assert read(d + "/o/n/x") == b"abcd"


@check("a directory is renamed over an empty one only, and never into itself")
def _(d):
    os.makedirs(d + "/m/n")
    os.mkdir(d + "/empty")
    os.mkdir(d + "/full")
    write(d + "/full/x")
    write(d + "/file")
    with refuses(errno.ENOTEMPTY, errno.EEXIST):
        os.rename(d + "/m", d + "/full")
    with refuses(errno.EINVAL):
        os.rename(d + "/m", d + "/m/n/o")
    with refuses(errno.ENOTDIR):
        os.rename(d + "/m", d + "/file")
    with refuses(errno.EISDIR):
        os.rename(d + "/file", d + "/m")
    os.rename(d + "/m", d + "/empty")
    assert os.listdir(d + "/empty") == ["n"]


@check("a file is read, written and told of while its name is gone")
def _(d):
    write(d + "/x", b"hello")
    fd = os.open(d + "/x", os.O_RDWR)
    os.unlink(d + "/x")
    assert os.listdir(d) == [] and not os.path.exists(d + "/x")
    assert os.fstat(fd).st_nlink == 0 and os.read(fd, 9) == b"hello"
    os.pwrite(fd, b"J", 0)
    os.ftruncate(fd, 4)
    assert os.pread(fd, 9, 0) == b"Jell" and os.fstat(fd).st_size == 4
    os.close(fd)
    assert os.listdir(d) == []


@check("a name made again is another file than the one still open")
def _(d):
    write(d + "/x", b"old")
    fd = os.open(d + "/x", os.O_RDONLY)
    os.unlink(d + "/x")
    write(d + "/x", b"newer")
    assert os.read(fd, 9) == b"old" and read(d + "/x") == b"newer"
    assert os.fstat(fd).st_ino != os.stat(d + "/x").st_ino
    os.close(fd)


@check("a file replaced by a rename is still read by who has it open")
def _(d):
    write(d + "/x", b"old")
    write(d + "/y", b"newer")
    fd = os.open(d + "/x", os.O_RDONLY)
    os.rename(d + "/y", d + "/x")
    assert os.read(fd, 9) == b"old" and read(d + "/x") == b"newer" and os.fstat(fd).st_nlink == 0
    os.close(fd)


# Directories


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


# Attributes


@check("an mtime that was set is shown, to the millisecond, also after the close of a writer")
def _(d):
    write(d + "/x", b"x")
    os.utime(d + "/x", ns=(10**18, 1_500_000_000_123_000_000))
    assert os.stat(d + "/x").st_mtime_ns // 10**6 == 1_500_000_000_123
    fd = os.open(d + "/x", os.O_WRONLY)
    os.write(fd, b"y")
    os.utime(fd, ns=(10**18, 1_400_000_000_456_000_000))
    os.close(fd)
    assert os.stat(d + "/x").st_mtime_ns // 10**6 == 1_400_000_000_456


@check("touch and writing set the mtime to now")
def _(d):
    write(d + "/x", b"x")
    os.utime(d + "/x", (10**9, 10**9))
    os.utime(d + "/x")
    assert abs(os.stat(d + "/x").st_mtime - time.time()) < 60
    os.utime(d + "/x", (10**9, 10**9))
    with open(d + "/x", "ab") as file:
        file.write(b"y")
    assert abs(os.stat(d + "/x").st_mtime - time.time()) < 60


@check("chmod and a create mode are shown")
def _(d):
    os.umask(0o022)
    os.close(os.open(d + "/x", os.O_CREAT | os.O_WRONLY, 0o640))
    os.mkdir(d + "/m", 0o700)
    assert stat.S_IMODE(os.stat(d + "/x").st_mode) == 0o640 and stat.S_IMODE(os.stat(d + "/m").st_mode) == 0o700
    os.chmod(d + "/x", 0o600)
    assert stat.S_IMODE(os.stat(d + "/x").st_mode) == 0o600


@check("chown to the owner succeeds")
def _(d):
    write(d + "/x")
    now = os.stat(d + "/x")
    os.chown(d + "/x", now.st_uid, now.st_gid)
    os.chown(d + "/x", -1, -1)


@check("files and directories have links, blocks, and one device")
def _(d):
    write(d + "/x", b"q" * 5000)
    os.mkdir(d + "/m")
    x, m = os.stat(d + "/x"), os.stat(d + "/m")
    assert x.st_nlink == 1 and m.st_nlink >= 1 and x.st_blksize >= 4096 and x.st_blocks * 512 >= 4096
    assert x.st_dev == m.st_dev and x.st_ino != m.st_ino and stat.S_ISREG(x.st_mode) and stat.S_ISDIR(m.st_mode)


@check("an inode number stays while a file is written, renamed and opened")
def _(d):
    write(d + "/x", b"1")
    ino = os.stat(d + "/x").st_ino
    with open(d + "/x", "ab") as file:
        file.write(b"2")
        assert os.fstat(file.fileno()).st_ino == ino
    os.rename(d + "/x", d + "/y")
    assert os.stat(d + "/y").st_ino == ino


@check("another process sees a file grow")
def _(d):
    fd = os.open(d + "/x", os.O_WRONLY | os.O_CREAT)
    for size in (1, 2, 3):
        os.write(fd, b"z")
        child = os.fork()
        if child == 0:
            os._exit(os.stat(d + "/x").st_size)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == size
    os.close(fd)


@check("extended attributes are listed, or said not to exist here")
def _(d):
    write(d + "/x")
    try:
        assert [n for n in os.listxattr(d + "/x") if n.startswith("user.")] == []
    except OSError as error:
        assert error.errno == errno.ENOTSUP, error


@check("statvfs tells of room and the longest name")
def _(d):
    disk = os.statvfs(d)
    assert disk.f_namemax == 255 and disk.f_blocks >= disk.f_bavail > 0 and disk.f_bsize >= 512


# Several at once


@check("flock keeps a second descriptor out")
def _(d):
    a = os.open(d + "/x", os.O_RDWR | os.O_CREAT)
    b = os.open(d + "/x", os.O_RDWR)
    fcntl.flock(a, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with refuses(errno.EAGAIN):
        fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(a)
    fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(b)


@check("a record lock keeps another process out")
def _(d):
    fd = os.open(d + "/x", os.O_RDWR | os.O_CREAT)
    fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    child = os.fork()
    if child == 0:
        other = os.open(d + "/x", os.O_RDWR)
        try:
            fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os._exit(1)
        except OSError as error:
            os._exit(0 if error.errno in (errno.EAGAIN, errno.EACCES) else 2)
    assert os.waitpid(child, 0)[1] == 0
    os.close(fd)


@check("threads that create, rename, read and unlink in one directory do not disturb each other")
def _(d):
    failures = []

    def work(me):
        try:
            for i in range(25):
                name = d + "/%d-%d" % (me, i)
                data = b"%d %d" % (me, i) * 50
                write(name + ".tmp", data)
                os.rename(name + ".tmp", name)
                assert read(name) == data and os.stat(name).st_size == len(data)
                if i % 2:
                    os.unlink(name)
        except BaseException as error:
            failures.append(repr(error))

    threads = [threading.Thread(target=work, args=(me,)) for me in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert sorted(os.listdir(d)) == sorted("%d-%d" % (me, i) for me in range(6) for i in range(0, 25, 2))


@check("one name created by many with O_EXCL is created by one")
def _(d):
    won = []

    def work(me):
        try:
            os.close(os.open(d + "/x", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            won.append(me)
        except FileExistsError:
            pass

    threads = [threading.Thread(target=work, args=(me,)) for me in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1, won


# What programs do


@check("a tree is copied with its attributes, moved and removed")
def _(d):
    os.makedirs(d + "/from/a/b")
    for name in ("1", "a/2", "a/b/3"):
        write(d + "/from/" + name, name.encode() * 100)
        os.utime(d + "/from/" + name, (10**9, 10**9))
    shutil.copytree(d + "/from", d + "/to")
    for name in ("1", "a/2", "a/b/3"):
        assert read(d + "/to/" + name) == name.encode() * 100 and os.stat(d + "/to/" + name).st_mtime == 10**9
    shutil.move(d + "/to", d + "/moved")
    assert sorted(os.listdir(d)) == ["from", "moved"] and read(d + "/moved/a/b/3") == b"a/b/3" * 100
    shutil.rmtree(d + "/from")
    shutil.rmtree(d + "/moved")
    assert os.listdir(d) == []


@check("a file is written beside and renamed into its place")
def _(d):
    write(d + "/x", b"old")
    with tempfile.NamedTemporaryFile(dir=d, delete=False) as file:
        file.write(b"new")
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, d + "/x")
    assert read(d + "/x") == b"new" and os.listdir(d) == ["x"]


@check("temporary files and directories come and go")
def _(d):
    with tempfile.TemporaryDirectory(dir=d) as directory, tempfile.TemporaryFile(dir=directory) as file:
        file.write(b"abc")
        file.seek(0)
        assert file.read() == b"abc"
    assert os.listdir(d) == []


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
