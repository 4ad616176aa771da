"""What stands below a mount and below a local directory, and where the two differ that may not."""
import hashlib
import os
import stat

CLOCK_S = 15
DIRECTORIES = ("", "db", "db/plain", "db/plain/deep", "x y", "\u00fcn\u00ef")
NAMES = ("a", "b", "file.txt")
OTHERS = tuple(os.path.join(d, n) for d in DIRECTORIES for n in NAMES)
MARKERS = ("checklist/m1", "checklist/ab/m2", "checklist/ab/m3")
TEMPORARIES = ("upload/u1", "upload/u2", "db/t.__new")


def kind_of(path):
    if path.startswith("checklist/"):
        return "marker"
    if path.endswith(".__gc"):
        return "alias"
    if path.startswith("upload/") or path.endswith(".__new"):
        return "temporary"
    if len(path) == 43 and path[2] == "/" and all(c in "0123456789abcdef" for c in path[3:]):
        return "blob"
    return "other"


def is_in_swift(path):
    return kind_of(path) in ("blob", "other")


def read_file(path):
    """None: not there.  The string "directory" for one."""
    try:
        if stat.S_ISDIR(os.stat(path).st_mode):
            return "directory"
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def shown(content):
    if content is None or isinstance(content, str):
        return str(content)
    return f"{len(content)} bytes, sha1 {hashlib.sha1(content).hexdigest()[:10]}"


def tree(root):
    """Every path below root: None for a directory, else its bytes."""
    found = {}
    for directory, directories, files in os.walk(root, onerror=raise_it):
        for name in directories:
            found[os.path.relpath(os.path.join(directory, name), root)] = None
        for name in files:
            path = os.path.join(directory, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, root)] = file.read()
    return found


def raise_it(error):
    raise error


def compare(mount, local, what):
    ours, theirs = tree(mount), tree(local)
    if what == "swift":
        # A blob that waits behind `.__gc` waits there on one machine only.
        waiting = {path[:-5]: content for path, content in theirs.items() if kind_of(path) == "alias"}
        theirs = {**waiting, **{path: content for path, content in theirs.items() if content is not None and is_in_swift(path)}}
        ours = {path: content for path, content in ours.items() if content is not None}
    wrong = []
    for path in sorted(set(ours) | set(theirs)):
        if path not in ours:
            wrong.append(f"{path}: not in the mount; {shown(theirs[path] or 'directory')} in the local directory")
        elif path not in theirs:
            wrong.append(f"{path}: {shown(ours[path] or 'directory')} in the mount, not in the local directory")
        elif ours[path] != theirs[path]:
            wrong.append(f"{path}: {shown(ours[path])} in the mount, {shown(theirs[path])} in the local directory")
        elif ours[path] is not None and kind_of(path) == "other":
            a, b = (os.stat(os.path.join(root, path)).st_mtime for root in (mount, local))
            if abs(a - b) > CLOCK_S:
                wrong.append(f"{path}: mtime {a} in the mount, {b} in the local directory")
    return wrong
