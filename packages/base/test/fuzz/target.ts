/**
 * What a fuzz target is: a parser with its oracle, as a function from randomness to what became of one input. The
 * targets stand in the test folders of the packages whose parsers they feed; tests/fuzz runs them all. A target never
 * draws randomness from anywhere but the Prng it is given, so that a seed repeats an execution alone.
 */
import type { Prng } from '@keelson/base';

/** One input to one parser, and the oracle's judgement. @returns what became of it, for the tally. @throws when a promise is broken */
export type Execution = (prng: Prng) => string | Promise<string>;

export interface FuzzTarget {
  readonly name: string;
  /** Executions in the gate. */
  readonly gateExecutions: number;
  /** Outcomes that must not be missing after the gate's run, so that an oracle that is never reached is noticed. */
  readonly outcomes: readonly string[];
  /** Makes ready what executions share: corpora of our own encoders, codecs. Dispose of nothing: it holds memory only. */
  readonly open: () => Execution | Promise<Execution>;
}

/** What a target promised and did not keep. */
export class PromiseBroken extends Error {
  override readonly name = 'PromiseBroken';
}

/** @throws PromiseBroken unless `kept` */
export function promise(kept: boolean, what: () => string): void {
  if (!kept) throw new PromiseBroken(what());
}

/** @throws PromiseBroken when the texts differ; both are told, cut to a readable length */
export function promiseSame(what: string, got: string, want: string): void {
  if (got !== want) throw new PromiseBroken(`${what}: got ${cut(got)}, want ${cut(want)}`);
}

function cut(text: string): string {
  return text.length > 600 ? `${text.slice(0, 600)}… (${text.length})` : text;
}
