/** The contract over the fuse-native driver: an explicit choice with known gaps, each named here with its reason. */
import { createFuseNativeDriver } from '../../src/fuse/fuse-native-driver.js';
import { posixContract } from './posix.js';
import { mountVfs } from './posix-mounts.js';

const UNLINKED = 'libfuse 2 asks by path; `hard_remove`, which keeps .fuse_hidden files out of listings, leaves it none';

posixContract('a fuse-native mount', () => mountVfs(createFuseNativeDriver(), 'fuse-native', false), {
  differences: {
    'names of any bytes come back as they were given': 'it hands names over as UTF-8 text',
    'renameat2 with RENAME_NOREPLACE refuses a name that exists': 'libfuse 2 knows no rename flags',
    'a listing tells the kind and the inode that stat tells': 'its readdir hands over names alone',
    'an mtime that was set is shown, to the millisecond, also after the close of a writer': 'its utimens passes the atime on as mtime',
    'an inode number stays while a file is written, renamed and opened': 'it asks by path, and a number belongs to a path',
  },
  unsteady: {
    'a file is read, written and told of while its name is gone': UNLINKED,
    'a name made again is another file than the one still open': UNLINKED,
    'a file replaced by a rename is still read by who has it open': UNLINKED,
    'a directory goes although an unlinked file of it is open': UNLINKED,
    'temporary files and directories come and go': UNLINKED,
  },
});
