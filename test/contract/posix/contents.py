"""What is written, and read back."""
import errno
import fcntl
import mmap
import os

from checks import check, read, refuses, write


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
