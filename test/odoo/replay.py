#!/usr/bin/python3
"""What Odoo does to its filestore, replayed without Odoo.

usage: replay.py GENERATION SCENARIO FILESTORE TMP

GENERATION is one of GENERATIONS below, SCENARIO one of SCENARIOS. FILESTORE is `data_dir/filestore`, TMP a directory on another file
system. The calls and their order are those of `ir_attachment.py` (`_get_path`, `_file_write`, `_file_read`, `_mark_for_gc`, `_file_gc`)
and `service/db.py` (`exp_duplicate_database`, `exp_rename`, `exp_drop`, `dump_db`, `restore_db`) of each version. Prints one JSON
object: {"seen": what a plain directory would have shown too, "ms": {step: milliseconds}}. Anything Odoo would have swallowed is an
error here.
"""
import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
import zipfile


class Generation:
    """8.0 and 9.0: data only, deleted at once."""
    name = '8.0-9.0'
    looks_at_three_digits = True
    compares = False

    def __init__(self, filestore):
        self.filestore = filestore
        # the database's name: another for each generation, since they share one filestore
        self.database = 'Odoo_' + self.name.replace('.', '_').replace('-', '_')
        self.root = os.path.join(filestore, self.database)

    # --- names
    def full_path(self, name):
        return os.path.join(self.root, name)

    def get_path(self, data, sha):
        if self.looks_at_three_digits:
            name = sha[:3] + '/' + sha
            if os.path.isfile(self.full_path(name)):
                return name
        name = sha[:2] + '/' + sha
        directory = os.path.dirname(self.full_path(name))
        if not os.path.isdir(directory):
            os.makedirs(directory)
        if self.compares and os.path.isfile(self.full_path(name)) and not self.same_content(data, self.full_path(name)):
            raise AssertionError('The attachment collides with an existing file: ' + name)
        return name

    @staticmethod
    def same_content(data, path):
        block = os.stat(path).st_blksize or 4096
        with open(path, 'rb') as file:
            offset = 0
            while True:
                piece = file.read(block)
                if piece != data[offset:offset + block]:
                    return False
                if not piece:
                    return True
                offset += block

    # --- one attachment
    def write(self, data):
        sha = hashlib.sha1(data).hexdigest()
        name = self.get_path(data, sha)
        self.store(name, data)
        self.mark(name)
        return name

    def store(self, name, data):
        path = self.full_path(name)
        if not os.path.exists(path):
            with open(path, 'wb') as file:
                file.write(data)

    def mark(self, name):
        pass

    def read(self, name):
        with open(self.full_path(name), 'rb') as file:
            return file.read()

    def delete(self, name):
        path = self.full_path(name)
        if os.path.exists(path):
            os.unlink(path)

    def collect(self, live):
        """The garbage collector: nothing in these versions."""


class Checklist(Generation):
    """10.0 to 13.0: a marker for each new and each deleted name; the collector walks them."""
    name = '10.0-13.0'

    def mark(self, name):
        path = os.path.join(self.root, 'checklist', name)
        if not os.path.exists(path):
            if not os.path.exists(os.path.dirname(path)):
                os.makedirs(os.path.dirname(path))
            open(path, 'ab').close()

    def delete(self, name):
        self.mark(name)

    def collect(self, live):
        checklist = {}
        for directory, _directories, files in os.walk(os.path.join(self.root, 'checklist')):
            for file in files:
                checklist['%s/%s' % (os.path.basename(directory), file)] = os.path.join(directory, file)
        for name, marker in checklist.items():
            if name not in live:
                os.unlink(self.full_path(name))
            os.unlink(marker)


class Comparing(Checklist):
    """14.0 to 16.0: what is there already is compared in full."""
    name = '14.0-16.0'
    compares = True


class Newer(Comparing):
    """17.0 and 18.0: makedirs tolerates, the three-digit names are no longer looked for (18.0)."""
    name = '17.0-18.0'
    looks_at_three_digits = False

    def mark(self, name):
        path = os.path.join(self.root, 'checklist', name)
        if not os.path.exists(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            open(path, 'ab').close()


class RowFirst(Newer):
    """19.0: path, then the row, the marker, and the data last."""
    name = '19.0'

    def write(self, data):
        sha = hashlib.sha1(data).hexdigest()
        name = self.get_path(data, sha)
        self.get_path(data, sha)
        self.mark(name)
        self.store(name, data)
        return name


class Grace(RowFirst):
    """The development of 20.0: markers count by their mtime, and the collector renames before it removes."""
    grace_seconds = 30 * 60

    def mark(self, name):
        path = os.path.join(self.root, 'checklist', name)
        os.makedirs(os.path.dirname(path), mode=0o751, exist_ok=True)
        before = time.time()
        # O_TRUNC on an empty file must move its mtime
        open(path, 'wb').close()
        assert os.path.getmtime(path) >= before - 2, 'the marker is older than its making'

    def age_markers(self):
        old = time.time() - 2 * self.grace_seconds
        for directory, _directories, files in os.walk(os.path.join(self.root, 'checklist')):
            for file in files:
                os.utime(os.path.join(directory, file), (old, old))

    def collect(self, live):
        fresh = self.write_probe()
        for directory, _directories, files in list(os.walk(os.path.join(self.root, 'checklist'))):
            for file in files:
                marker = os.path.join(directory, file)
                if os.path.getmtime(marker) > time.time() - self.grace_seconds:
                    continue
                name = '%s/%s' % (os.path.basename(directory), file)
                self.collect_one(name, marker, name in live)
        assert os.path.exists(fresh), 'a fresh marker was taken for an old one'
        os.unlink(fresh)

    def write_probe(self):
        """A marker younger than the grace: the collector must leave it."""
        path = os.path.join(self.root, 'checklist', 'ff', 'f' * 40)
        os.makedirs(os.path.dirname(path), mode=0o751, exist_ok=True)
        open(path, 'wb').close()
        return path

    def collect_one(self, name, marker, is_live):
        path = self.full_path(name)
        os.rename(marker, marker + '.__gc')
        os.rename(path, path + '.__gc')
        assert not os.path.exists(path)
        if is_live:
            # somebody refers to it again: as if it had never been moved
            os.rename(path + '.__gc', path)
            assert os.path.exists(path) and not os.path.exists(path + '.__gc')
        else:
            os.unlink(path + '.__gc')
        os.unlink(marker + '.__gc')


class Uploading(Grace):
    """20.0 development, first form: a temporary file under upload/ is renamed onto the name."""
    name = '20.0dev-upload'

    def write(self, data):
        sha = hashlib.sha1(data).hexdigest()
        name = sha[:2] + '/' + sha
        upload = os.path.join(self.root, 'upload')
        os.makedirs(upload, mode=0o751, exist_ok=True)
        self.mark(name)
        temporary = os.path.join(upload, 'tmp%s' % sha[:8])
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600)
        with os.fdopen(descriptor, 'wb') as file:
            file.write(data)
            file.flush()
            # read by its name while it is still open for writing
            assert os.path.getsize(temporary) == len(data)
            with open(temporary, 'rb') as again:
                assert again.read() == data
            os.fchmod(file.fileno(), 0o444)
        self.link_or_copy(temporary, temporary + '.second', data)
        path = self.full_path(name)
        if os.path.exists(path):
            assert self.same_content(data, path)
            os.unlink(temporary)
            return name
        try:
            os.replace(temporary, path)
        except FileNotFoundError:
            # the parent is missing: made only now
            os.makedirs(os.path.dirname(path), mode=0o751, exist_ok=True)
            os.replace(temporary, path)
        return name

    @staticmethod
    def link_or_copy(source, target, data):
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
        with open(target, 'rb') as file:
            assert file.read() == data
        os.unlink(target)


class Renaming(Grace):
    """20.0 development, second form: `SHA.__new` beside the name, made read-only and renamed onto it."""
    name = '20.0dev-new'

    def write(self, data):
        sha = hashlib.sha1(data).hexdigest()
        name = sha[:2] + '/' + sha
        path = self.full_path(name)
        try:
            with open(path, 'rb') as file:
                assert file.read() == data
            return name
        except FileNotFoundError:
            pass
        self.mark(name)
        os.makedirs(os.path.dirname(path), mode=0o751, exist_ok=True)
        with open(path + '.__new', 'wb') as file:
            file.write(data)
        os.chmod(path + '.__new', 0o444)
        os.replace(path + '.__new', path)
        assert not os.path.exists(path + '.__new')
        return name


GENERATIONS = {g.name: g for g in (Generation, Checklist, Comparing, Newer, RowFirst, Uploading, Renaming)}


# --- reading as the web server does -----------------------------------------------------------------------------------------------
def http_read(path, start=0, length=None):
    """werkzeug's wrapper: stat twice, open, seek, pieces of 8192."""
    size = os.stat(path).st_size
    assert os.stat(path).st_size == size
    with open(path, 'rb') as file:
        file.seek(start)
        pieces, left = [], size - start if length is None else length
        while left > 0:
            piece = file.read(min(8192, left))
            if not piece:
                break
            pieces.append(piece)
            left -= len(piece)
    return b''.join(pieces)


# --- what a directory shows -------------------------------------------------------------------------------------------------------
def tree(top):
    seen = {}
    for directory, directories, files in os.walk(top):
        for name in directories:
            seen[os.path.relpath(os.path.join(directory, name), top) + '/'] = None
        for name in files:
            path = os.path.join(directory, name)
            with open(path, 'rb') as file:
                content = file.read()
            assert len(content) == os.stat(path).st_size, 'st_size of ' + path
            seen[os.path.relpath(path, top)] = hashlib.sha1(content).hexdigest()
    return dict(sorted(seen.items()))


def contents(seed, sizes):
    for index, size in enumerate(sizes):
        block = hashlib.sha256(b'%d %d' % (seed, index)).digest()
        yield (block * (size // len(block) + 1))[:size]


class Steps:
    def __init__(self):
        self.seen, self.ms = {}, {}

    def time(self, name, action):
        start = time.monotonic()
        value = action()
        self.ms[name] = round((time.monotonic() - start) * 1000, 1)
        return value


SIZES = (1, 700, 4096, 50 * 1024, 131072, 131073, 400_000, 3_000_000)


def seed_of(generation):
    return sum(map(ord, generation.name))


def scenario_write(odoo, steps, _tmp):
    """New attachments, each timed by itself, as many as the outage test needs."""
    names = []
    for index, data in enumerate(contents(seed_of(odoo) + 1000, SIZES[1:5])):
        name = steps.time('write %d' % index, lambda: odoo.write(data))
        names.append(name)
        assert odoo.read(name) == data, 'what was written is not what is read'
        assert os.path.getsize(odoo.full_path(name)) == len(data)
    steps.seen['names'] = names


def scenario_life(odoo, steps, _tmp):
    """A database's life: attachments come, are read, come again, are replaced and collected."""
    os.makedirs(odoo.root, exist_ok=True)
    blobs = {}
    for index, data in enumerate(contents(seed_of(odoo), SIZES)):
        name = steps.time('write %d' % index, lambda: odoo.write(data))
        blobs[name] = data
    steps.seen['written'] = tree(odoo.root)

    def read_all():
        for name, data in blobs.items():
            path = odoo.full_path(name)
            assert odoo.read(name) == data
            assert http_read(path) == data
            assert http_read(path, len(data) // 2, 100) == data[len(data) // 2:len(data) // 2 + 100]
    steps.time('read', read_all)

    def write_again():
        for name, data in blobs.items():
            before = os.stat(odoo.full_path(name))
            assert odoo.write(data) == name
            after = os.stat(odoo.full_path(name))
            assert (before.st_ino, before.st_mtime_ns, before.st_size) == (after.st_ino, after.st_mtime_ns, after.st_size)
            assert before.st_mtime > 315532800, 'before 1980 a zip backup fails'
            assert before.st_blksize >= 4096
    steps.time('same content again', write_again)
    steps.seen['written again'] = tree(odoo.root)

    # two attachments are replaced: the new content is written, the old name is let go
    victims = list(blobs)[2:4]
    for index, victim in enumerate(victims):
        data = b'replaced %d ' % index + blobs.pop(victim)
        blobs[odoo.write(data)] = data
        odoo.delete(victim)
    if isinstance(odoo, Grace):
        odoo.age_markers()
    steps.time('collect', lambda: odoo.collect(set(blobs)))
    for victim in victims:
        assert not os.path.exists(odoo.full_path(victim)), 'deleted, and still there'
        assert victim.split('/')[1] not in os.listdir(os.path.dirname(odoo.full_path(victim)))
    for name, data in blobs.items():
        assert odoo.read(name) == data
    steps.seen['collected'] = tree(odoo.root)
    # what was deleted may come back
    back = next(iter(contents(seed_of(odoo), SIZES[2:3])))
    assert odoo.read(odoo.write(back)) == back


def scenario_databases(odoo, steps, tmp):
    """Duplicate, rename, back up, drop and restore whole databases, as the database manager does."""
    filestore = odoo.filestore
    blobs = {odoo.write(data): data for data in contents(seed_of(odoo) + 2000, SIZES[:6])}
    source, copy, renamed = odoo.root, os.path.join(filestore, 'copy'), os.path.join(filestore, 'renamed')

    def ours():
        return [name for name in (odoo.database, 'copy', 'renamed', 'restored') if name in os.listdir(filestore)]

    assert os.path.exists(source) and not os.path.exists(copy), 'a directory that nobody made'
    steps.time('duplicate', lambda: shutil.copytree(source, copy))
    steps.seen['duplicate'] = tree(copy)
    assert tree(copy) == tree(source)

    assert os.path.exists(copy) and not os.path.exists(renamed)
    steps.time('rename', lambda: shutil.move(copy, renamed))
    assert not os.path.exists(copy)
    assert tree(renamed) == tree(source)

    backup = tempfile.mkdtemp(dir=tmp)
    dump = os.path.join(backup, 'filestore')
    steps.time('backup', lambda: shutil.copytree(renamed, dump))
    zip_path = os.path.join(tmp, 'backup-%s.zip' % odoo.name)
    with zipfile.ZipFile(zip_path, 'w', compression=zipfile.ZIP_DEFLATED) as archive:
        for directory, _directories, files in os.walk(dump):
            for file in files:
                path = os.path.join(directory, file)
                archive.write(path, os.path.relpath(path, backup))
    shutil.rmtree(backup)

    steps.time('drop', lambda: shutil.rmtree(renamed))
    assert not os.path.exists(renamed)
    steps.seen['dropped'] = ours()

    unpacked = tempfile.mkdtemp(dir=tmp)
    with zipfile.ZipFile(zip_path) as archive:
        archive.extractall(unpacked)
    restored = os.path.join(filestore, 'restored')
    assert not os.path.exists(restored)
    steps.time('restore', lambda: shutil.move(os.path.join(unpacked, 'filestore'), restored))
    shutil.rmtree(unpacked)
    steps.seen['restored'] = {name: sha for name, sha in tree(restored).items() if sha is not None}
    for name, data in blobs.items():
        with open(os.path.join(restored, name), 'rb') as file:
            assert file.read() == data
    shutil.rmtree(restored)
    os.unlink(zip_path)
    steps.seen['after'] = ours()


SCENARIOS = {'write': scenario_write, 'life': scenario_life, 'databases': scenario_databases}


def main(generation, scenario, filestore, tmp):
    steps = Steps()
    SCENARIOS[scenario](GENERATIONS[generation](filestore), steps, tmp)
    json.dump({'seen': steps.seen, 'ms': steps.ms}, sys.stdout)


if __name__ == '__main__':
    if len(sys.argv) != 5 or sys.argv[1] not in GENERATIONS or sys.argv[2] not in SCENARIOS:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except OSError as error:
        print('%s: %s' % (errno.errorcode.get(error.errno, error.errno), error), file=sys.stderr)
        raise
