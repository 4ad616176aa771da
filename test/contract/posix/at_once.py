"""Locks, and several threads or processes at once."""
import errno
import fcntl
import os
import threading

from checks import check, read, refuses, write


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
