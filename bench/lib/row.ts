/** A row of the table: one kind of work, what each contender took for it, and what was promised. */
import { median, noisePercent } from './rounds.js';
import type { Samples } from './rounds.js';

export interface Goal {
  readonly of: string;
  /** Ratios: `of` divided by `to`. Without it the bare figure. */
  readonly to?: string;
  readonly atMost?: number;
  readonly atLeast?: number;
}

export interface Row {
  readonly id: string;
  readonly title: string;
  readonly unit: string;
  /** What the others are told as multiples of. */
  readonly baseline?: string;
  readonly samples: readonly Samples[];
  readonly goals: readonly Goal[];
  readonly note?: string;
}

interface Cell {
  readonly name: string;
  readonly median: number;
  readonly noisePercent: number;
  /** Multiple of the baseline. */
  readonly ratio: number | undefined;
}

interface Verdict {
  readonly text: string;
  readonly isMet: boolean;
}

export function cellsOf(row: Row): Cell[] {
  const base = row.samples.find(({ name }) => name === row.baseline);
  return row.samples.map(({ name, values }) => ({
    name,
    median: median(values),
    noisePercent: noisePercent(values),
    ratio: base === undefined || base.name === name ? undefined : median(values) / median(base.values),
  }));
}

export function verdictsOf(row: Row): Verdict[] {
  const cells = cellsOf(row);
  const figure = (name: string): number => cells.find((cell) => cell.name === name)?.median ?? Number.NaN;
  return row.goals.map((goal) => {
    const value = goal.to === undefined ? figure(goal.of) : figure(goal.of) / figure(goal.to);
    const isMet = (goal.atMost === undefined || value <= goal.atMost) && (goal.atLeast === undefined || value >= goal.atLeast);
    const bound = goal.atMost === undefined ? `at least ${goal.atLeast}` : `at most ${goal.atMost}`;
    const of = goal.to === undefined ? `${goal.of}: ${short(value)} ${row.unit}` : `${goal.of} / ${goal.to}: ${short(value)}`;
    return { text: `${of} (${bound})`, isMet };
  });
}

export function short(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0 || Math.abs(value) >= 100) return value.toFixed(0);
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
}
