/** What every group of rows is given, and what it gives back. */
import type { Swift } from '../../test/helpers/with-swift.js';
import type { BareSwift } from './bare-swift.js';
import type { BenchClient } from './client.js';
import type { Row } from './row.js';
import type { Scale } from './scale.js';

export interface Bench {
  readonly scale: Scale;
  /** Only the local directory and this mount, for work on the product. */
  readonly isAlone: boolean;
  /** The run's own directory on the disk that is measured. */
  readonly directory: string;
  readonly client: BenchClient;
  readonly swift: Swift;
  readonly bare: BareSwift;
  /** Tells a finished row. */
  add(row: Row): void;
  /** A contender that could not take part: the run goes on, says so at its end and fails. */
  failed(what: string, error: unknown): void;
}

export interface Group {
  readonly name: string;
  readonly measure: (bench: Bench) => Promise<void>;
}
