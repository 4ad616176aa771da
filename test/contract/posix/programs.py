"""Whole trees, temporary files, replacing by a rename."""
import os
import shutil
import tempfile

from checks import check, read, write


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
