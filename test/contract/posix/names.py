"""Names that are made, refused, renamed and taken away."""
import ctypes
import errno
import os
import stat

from checks import LIBC, check, read, refuses, write


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
