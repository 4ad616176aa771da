/**
 * Interleaved rounds: every contender once a round, in an order that changes, so that whatever else the machine does falls on all of them.
 * A figure is the median over the rounds; its noise is half the distance of the quartiles, in percent of it.
 */

export interface Contender {
  readonly name: string;
  /** Makes one measurement. */
  readonly run: (round: number) => Promise<number>;
  /** For one so slow that it would take the whole time: it sits out the later rounds. */
  readonly roundsAtMost?: number;
}

export interface Samples {
  readonly name: string;
  readonly values: readonly number[];
}

export async function interleave(rounds: number, contenders: readonly Contender[]): Promise<Samples[]> {
  const samples = contenders.map(({ name }) => ({ name, values: [] as number[] }));
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < contenders.length; turn += 1) {
      const index = (turn + round) % contenders.length;
      const contender = contenders[index];
      if (contender === undefined || round >= (contender.roundsAtMost ?? Number.POSITIVE_INFINITY)) continue;
      samples[index]?.values.push(await contender.run(round));
    }
  }
  return samples;
}

function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * part;
  const low = sorted[Math.floor(at)] ?? Number.NaN;
  const high = sorted[Math.ceil(at)] ?? Number.NaN;
  return low + (high - low) * (at - Math.floor(at));
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function noisePercent(values: readonly number[]): number {
  const distance = quantile(values, 0.75) - quantile(values, 0.25);
  return distance === 0 ? 0 : (distance / 2 / median(values)) * 100;
}
