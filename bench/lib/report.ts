/** What a run says: lines while it goes on, the whole as JSON, and a table for docs/BENCHMARKS.md. */
import fs from 'node:fs';
import path from 'node:path';
import { cellsOf, short, verdictsOf } from './row.js';
import type { Row } from './row.js';

interface RunFacts {
  readonly command: string;
  readonly startedAt: string;
  readonly machine: Readonly<Record<string, string | number>>;
}

export function printRow(row: Row): void {
  console.log(`\n${row.title} [${row.unit}]`);
  for (const cell of cellsOf(row)) {
    const ratio = cell.ratio === undefined ? '' : `  ${short(cell.ratio)} x ${row.baseline ?? ''}`;
    console.log(`  ${cell.name.padEnd(34)} ${short(cell.median).padStart(8)}  ±${cell.noisePercent.toFixed(0).padStart(2)} %${ratio}`);
  }
  for (const { text, isMet } of verdictsOf(row)) console.log(`  ${isMet ? 'met   ' : 'MISSED'} ${text}`);
  if (row.note !== undefined) console.log(`  ${row.note}`);
}

function markdownOf(facts: RunFacts, rows: readonly Row[]): string {
  const lines = [
    `Run of ${facts.startedAt} by \`${facts.command}\`:`,
    ...Object.entries(facts.machine).map(([name, value]) => `- ${name}: ${value}`),
    '',
    '| work | unit | figures (median ± noise) | promised |',
    '|---|---|---|---|',
  ];
  for (const row of rows) {
    const cells = cellsOf(row).map(
      (cell) =>
        `${cell.name} **${short(cell.median)}** ±${cell.noisePercent.toFixed(0)} %${cell.ratio === undefined ? '' : ` (${short(cell.ratio)} x)`}`,
    );
    const goals = verdictsOf(row).map(({ text, isMet }) => `${text}: ${isMet ? 'met' : '**missed**'}`);
    lines.push(
      `| ${row.title}${row.note === undefined ? '' : `; ${row.note}`} | ${row.unit} | ${cells.join('<br>')} | ${goals.join('<br>')} |`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/** @returns the files written */
export function writeResults(directory: string, facts: RunFacts, rows: readonly Row[], failures: readonly string[]): string[] {
  fs.mkdirSync(directory, { recursive: true });
  const name = facts.startedAt.replace(/[:.]/g, '-');
  const json = path.join(directory, `${name}.json`);
  const markdown = path.join(directory, `${name}.md`);
  const told = rows.map((row) => ({ ...row, cells: cellsOf(row), verdicts: verdictsOf(row) }));
  fs.writeFileSync(json, `${JSON.stringify({ ...facts, rows: told, failures }, undefined, 2)}\n`);
  fs.writeFileSync(markdown, markdownOf(facts, rows));
  return [json, markdown];
}
