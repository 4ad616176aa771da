// The tiers of tests: which folders they are, and how long one file may take. The limits are for a loaded machine with two cores; a test that
// is well takes a small part of them.
const minutes = (n) => n * 60_000;

/** One for each core; `run-tests.mjs --jobs` says another number, but for those that run together. */
export const FILES_AT_ONCE = 2;

/** name -> { folders, limitMs }; `together`: all files in one runner, since each takes less than its own start. */
export const TIERS = {
  unit: { folders: ['unit'], limitMs: minutes(5), together: true },
  model: { folders: ['model'], limitMs: minutes(4) },
  fault: { folders: ['fault'], limitMs: minutes(5) },
  mount: { folders: ['mount'], limitMs: minutes(6) },
  'node-next': { folders: ['node-next'], limitMs: minutes(6) },
  odoo: { folders: ['odoo'], limitMs: minutes(6) },
  contract: { folders: ['contract'], limitMs: minutes(5) },
};

/** Files that measure times, or that count the whole machine's mounts and processes, run alone whatever their tier says. */
export const ALONE = [/quickstart\.test\.js$/, /odoo\/generations\.test\.js$/];
