// The tiers of tests: which folders they are, how many of their files run at once, and how long one file may take. The limits are for a
// loaded machine with two cores; a test that is well takes a small part of them.
const minutes = (n) => n * 60_000;

/** name -> { folders, concurrency, limitMs }; `together`: all files in one runner, since each takes less than its own start. */
export const TIERS = {
  unit: { folders: ['unit'], concurrency: 2, limitMs: minutes(5), together: true },
  model: { folders: ['model'], concurrency: 1, limitMs: minutes(4) },
  contract: { folders: ['contract'], concurrency: 2, limitMs: minutes(5) },
  fault: { folders: ['fault'], concurrency: 2, limitMs: minutes(5) },
  mount: { folders: ['mount'], concurrency: 2, limitMs: minutes(6) },
  'node-next': { folders: ['node-next'], concurrency: 1, limitMs: minutes(6) },
  odoo: { folders: ['odoo'], concurrency: 1, limitMs: minutes(6) },
};

/** Files that measure times, or that count the whole machine's mounts and processes, run alone whatever their tier says. */
export const ALONE = [/quickstart\.test\.js$/];
