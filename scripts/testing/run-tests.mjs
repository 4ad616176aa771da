#!/usr/bin/env node
// Runs tests and tells the truth about them.
//
//   node scripts/testing/run-tests.mjs [--build DIR] [--jobs N] TIER... | all | FILE...
//
// TIER is one of scripts/testing/tiers.mjs; FILE a compiled test (dist/test/….test.js) or its source (test/….test.ts). `--build` says where
// the compiled project lies (default dist). The project must be built.
//
// Each file runs in a process group of its own with a limit of time; one that hangs is ended by its group and counted as a failure. A
// process or mount that a file leaves behind is a failure too, and is cleaned. A skipped test is a failure of the run: on this machine
// every server a test needs can be had. The failures are told once more at the end, and the last line is `tests: N passed, N failed, N skipped`.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { MARK_VARIABLE, clean, findLeftovers } from './leftovers.mjs';
import { ALONE, FILES_AT_ONCE, TIERS } from './tiers.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, '../..');

/** Output of a failed file that is shown: its end tells most. */
const SHOWN_OUTPUT_CHARACTERS = 6000;

function parseArguments(argv) {
  const options = { build: 'dist', jobs: undefined, targets: [] };
  for (let index = 0; index < argv.length; index += 1) {
    const argument = argv[index];
    if (argument === '--build') options.build = argv[(index += 1)];
    else if (argument === '--jobs') options.jobs = Number(argv[(index += 1)]);
    else if (argument.startsWith('--')) fail(`unknown option ${argument}`);
    else options.targets.push(argument);
  }
  if (options.targets.length === 0) fail(`say what to run: ${[...Object.keys(TIERS), 'all'].join(', ')}, or files`);
  return { ...options, build: path.resolve(root, options.build) };
}

function fail(message) {
  console.error(`run-tests: ${message}`);
  removeScratch();
  process.exit(2);
}

/** Compiled test files below a folder whose sources still stand: tsc leaves the output of a source that was removed. */
function testsIn(build, folder) {
  const directory = path.join(build, 'test', folder);
  if (!fs.existsSync(directory)) return [];
  return fs
    .readdirSync(directory, { recursive: true })
    .filter((name) => name.endsWith('.test.js'))
    .map((name) => path.join(directory, name))
    .filter((file) => fs.existsSync(sourceOf(build, file)))
    .sort();
}

function sourceOf(build, file) {
  return path.join(root, path.relative(build, file).replace(/\.js$/, '.ts'));
}

/** What is to run: jobs of one or more files with the limits of their tier. */
function planJobs({ build, targets }) {
  const jobs = [];
  const addTier = (tier) => {
    const { folders, limitMs, together } = TIERS[tier];
    const files = folders.flatMap((folder) => testsIn(build, folder));
    if (files.length === 0) return;
    if (together) jobs.push({ tier, files, limitMs, alone: true });
    else for (const file of files) jobs.push({ tier, files: [file], limitMs, alone: ALONE.some((pattern) => pattern.test(file)) });
  };
  for (const target of targets) {
    if (target === 'all') Object.keys(TIERS).forEach(addTier);
    else if (target in TIERS) addTier(target);
    else {
      const compiled = path.resolve(
        target.endsWith('.ts') ? path.join(build, path.relative(root, path.resolve(target)).replace(/\.ts$/, '.js')) : target,
      );
      if (!fs.existsSync(compiled))
        fail(`${target} is neither a tier nor a built test file (looked for ${compiled}); npm run build first?`);
      const tier = path.relative(path.join(build, 'test'), compiled).split(path.sep)[0];
      const { limitMs } = TIERS[tier] ?? TIERS.mount;
      jobs.push({ tier: tier in TIERS ? tier : 'mount', files: [compiled], limitMs, alone: false });
    }
  }
  return jobs;
}

/** The command runs the bundle: one that is older than the modules would have old code judged. */
function refuseOldBundle({ build }) {
  const bundle = path.join(build, 'src/bundle/main.js');
  if (!fs.existsSync(bundle)) return;
  const { mtimeMs } = fs.statSync(bundle);
  const isNewer = (name) =>
    name.endsWith('.js') && !name.startsWith('bundle/') && fs.statSync(path.join(build, 'src', name)).mtimeMs > mtimeMs;
  if (fs.readdirSync(path.join(build, 'src'), { recursive: true }).some(isNewer))
    fail(`${bundle} is older than the compiled modules: npm run compile`);
}

/** In the environment of every process of this run, with a further part for each file. */
const runMark = randomUUID();
/** The temporary directory of every process of this run; open to all, since servers and mounts of other users lie in it. */
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'odoo-swiftfs-run-'));
fs.chmodSync(scratch, 0o1777);
const running = new Set();
const killGroup = (child) => {
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // the group is gone
  }
};

/** Runs one job. @returns { results: [event], output, ended: how it ended in words, or undefined when it ended well } */
function runJob(job, mark) {
  const eventsFile = path.join(scratch, `${randomUUID()}.jsonl`);
  const args = [
    '--test',
    // A handle that a failed hook left open must not hold the file until its limit; processes and mounts left behind are looked for below.
    // Not where many files run together: a forced exit may cut off what a busy child still has to report, and the count falls short.
    ...(job.files.length > 1 ? [`--test-concurrency=${FILES_AT_ONCE}`] : ['--test-force-exit']),
    `--test-reporter=${path.join(here, 'events-reporter.mjs')}`,
    `--test-reporter-destination=${eventsFile}`,
    ...job.files,
  ];
  const env = { ...process.env, [MARK_VARIABLE]: mark, TMPDIR: scratch, NODE_PATH: path.join(root, '.state/fuse-native/node_modules') };
  // set by an outer `node --test`: it would make ours report to that one
  delete env.NODE_TEST_CONTEXT;
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: root, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(child);
    let output = '';
    let ended;
    const keep = (chunk) => {
      output = (output + chunk.toString()).slice(-4 * SHOWN_OUTPUT_CHARACTERS);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const timer = setTimeout(() => {
      ended = `did not end within ${job.limitMs / 1000} s and was ended`;
      killGroup(child);
      // a grandchild in a group of its own may hold the pipes open
      child.stdout.destroy();
      child.stderr.destroy();
    }, job.limitMs);
    child.on('exit', () =>
      setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, 1000).unref(),
    );
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      running.delete(child);
      killGroup(child);
      const lines = fs.existsSync(eventsFile) ? fs.readFileSync(eventsFile, 'utf8').split('\n').filter(Boolean) : [];
      const events = lines.flatMap((line) => {
        try {
          return [JSON.parse(line)];
        } catch {
          // cut off where the runner was ended
          return [];
        }
      });
      const results = events.filter((event) => event.output === undefined);
      for (const event of events) if (event.output !== undefined) keep(event.output);
      if (ended === undefined && code !== 0 && !results.some(({ outcome }) => outcome === 'failed'))
        ended = `ended with ${signal ?? `exit code ${code}`}`;
      resolve({ results, output, ended });
    });
  });
}

/** Not while something is mounted in it, which would be emptied too. */
function removeScratch() {
  if (!fs.readFileSync('/proc/mounts', 'latin1').includes(` ${scratch}/`))
    fs.rmSync(scratch, { recursive: true, force: true, maxRetries: 3 });
}

const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

async function main() {
  const options = parseArguments(process.argv.slice(2));
  refuseOldBundle(options);
  const jobs = planJobs(options);
  if (jobs.length === 0) fail('no test was found: npm run build first');
  const totals = { passed: 0, failed: 0, skipped: 0 };
  const failures = [];
  const skips = [];
  const startedMs = Date.now();

  const finish = async (job, mark, startMs) => {
    const { results, output, ended } = await runJob(job, mark);
    const name = job.files.length > 1 ? `${job.files.length} files of ${job.tier}` : path.relative(options.build, job.files[0]);
    const counts = { passed: 0, failed: 0, skipped: 0 };
    const tell = (title, error) => {
      counts.failed += 1;
      failures.push({ file: name, title, error });
    };
    for (const event of results) {
      const title =
        job.files.length > 1 && event.file !== undefined ? `${path.relative(options.build, event.file)} › ${event.title}` : event.title;
      if (event.outcome === 'failed') {
        if (!event.childFailed) tell(title, event.error);
      } else if (!event.container) {
        counts[event.outcome] += 1;
        if (event.outcome === 'skipped') skips.push(`${name} › ${event.title}${event.reason === undefined ? '' : `: ${event.reason}`}`);
      }
    }
    if (ended !== undefined) tell(ended, output.slice(-SHOWN_OUTPUT_CHARACTERS));
    else if (results.length === 0) tell('ran no test', output.slice(-SHOWN_OUTPUT_CHARACTERS));
    const left = await findLeftovers(mark, scratch, running.size > 0 ? 2000 : 5000);
    // another file's mounts are its own affair while it runs
    const mounts = running.size > 0 ? [] : left.mounts;
    for (const { pid, command } of left.processes) tell(`left process ${pid} running`, command);
    for (const mountPoint of mounts) tell(`left ${mountPoint} mounted`, 'a mount of a test must be gone when its file ends');
    await clean({ processes: left.processes, mounts });
    for (const key of Object.keys(totals)) totals[key] += counts[key];
    console.log(
      `${counts.failed > 0 ? 'FAIL' : 'ok  '} ${name}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped (${seconds(Date.now() - startMs)})`,
    );
    if (counts.failed > 0) {
      for (const failure of failures.slice(-counts.failed)) console.log(`     ✖ ${failure.title}`);
      if (output.trim() !== '') console.log(output.trim().slice(-SHOWN_OUTPUT_CHARACTERS).replace(/^/gm, '     | '));
    }
  };

  const run = (job) => finish(job, `${runMark}-${randomUUID()}`, Date.now());
  const shared = jobs.filter(({ alone }) => !alone);
  const next = async () => {
    for (let job = shared.shift(); job !== undefined; job = shared.shift()) await run(job);
  };
  for (const job of jobs) if (job.files.length > 1) await run(job);
  await Promise.all(Array.from({ length: Math.max(1, options.jobs ?? FILES_AT_ONCE) }, next));
  for (const job of jobs) if (job.alone && job.files.length === 1) await run(job);

  const left = await findLeftovers(runMark, scratch, 1000);
  for (const mountPoint of left.mounts) {
    totals.failed += 1;
    failures.push({ file: 'all', title: `${mountPoint} is still mounted`, error: 'a mount of a test must be gone when its file ends' });
  }
  await clean(left);
  removeScratch();

  for (const { file, title, error } of failures)
    console.log(
      `\n✖ ${file} › ${title}\n${String(error ?? '')
        .slice(0, 3000)
        .replace(/^/gm, '    ')}`,
    );
  for (const skip of skips) console.log(`\n- skipped, which counts as a failure of the run: ${skip}`);
  console.log(`\nran ${jobs.reduce((sum, job) => sum + job.files.length, 0)} test files in ${seconds(Date.now() - startedMs)}`);
  console.log(`tests: ${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
  process.exitCode = totals.failed > 0 || totals.skipped > 0 || totals.passed === 0 ? 1 : 0;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    for (const child of running) killGroup(child);
    console.error(`run-tests: ended by ${signal}; cleaning up`);
    void findLeftovers(runMark, scratch, 0)
      .then(clean)
      .finally(() => {
        removeScratch();
        process.exit(130);
      });
  });
}
await main();
