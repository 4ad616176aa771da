"""Times, modes, owners, inodes, and what statvfs tells."""
import errno
import os
import stat
import time

from checks import check, write


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
