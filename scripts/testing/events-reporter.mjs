// A reporter of node:test for run-tests.mjs: one JSON line for each test that ended, to the file that `--test-reporter-destination` names, and one
// for each piece of output of the test files.
// Suites and files are containers, not tests: a suite that fails by itself (a hook that throws) is told as a failure all the same.
export default async function* events(source) {
  const path = [];
  for await (const { type, data } of source) {
    if (type === 'test:start') {
      path.length = data.nesting;
      path[data.nesting] = data.name;
    }
    if (type === 'test:stdout' || type === 'test:stderr') yield `${JSON.stringify({ output: data.message })}\n`;
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const container = data.details?.type === 'suite' || (data.nesting === 0 && /\.js$/.test(data.name) && data.details?.type !== 'test');
    const error = data.details?.error;
    const cause = error?.cause ?? error;
    yield `${JSON.stringify({
      file: data.file,
      title: [...path.slice(0, data.nesting), data.name].join(' › '),
      outcome: type === 'test:fail' ? 'failed' : data.skip !== undefined || data.todo !== undefined ? 'skipped' : 'passed',
      reason: typeof data.skip === 'string' ? data.skip : typeof data.todo === 'string' ? data.todo : undefined,
      container,
      // a container that fails only because a test in it failed says nothing new
      childFailed: error?.failureType === 'subtestsFailed',
      durationMs: data.details?.duration_ms,
      error: type === 'test:fail' ? describe(cause) : undefined,
    })}\n`;
  }
}

function describe(cause) {
  if (cause instanceof Error || typeof cause?.stack === 'string') {
    const detail =
      'actual' in cause && cause.code === 'ERR_ASSERTION' && !String(cause.message).includes('\n')
        ? `\nactual: ${show(cause.actual)}\nexpected: ${show(cause.expected)}`
        : '';
    return `${cause.stack}${detail}${cause.cause === undefined ? '' : `\ncaused by ${describe(cause.cause)}`}`;
  }
  return String(cause);
}

function show(value) {
  try {
    return (JSON.stringify(value) ?? String(value)).slice(0, 1000);
  } catch {
    return String(value);
  }
}
