/** What goes wrong between the daemon and Swift in a long run. */
import type { Rule } from '../helpers/fault-proxy.js';

export const TROUBLES: readonly (Rule | 'down')[] = [
  { do: 'reset' },
  { do: 'hang' },
  { do: 'delay', ms: 300 },
  { do: 'lost' },
  { do: 'lost', method: 'PUT' },
  { do: 'half', bytes: 1_000, method: 'PUT' },
  { do: 'truncate', bytes: 500, method: 'GET' },
  { do: 'status', status: 401, times: 20 },
  { do: 'status', status: 429, headers: { 'retry-after': '1' } },
  { do: 'status', status: 503 },
  { do: 'status', status: 503, method: 'PUT' },
  { do: 'status', status: 503, method: 'DELETE' },
  'down',
];
