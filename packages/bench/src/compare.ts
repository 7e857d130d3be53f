/**
 * Ours against etcd's: medians over the rounds, their ratio with its spread, and the verdict. Rounds are
 * paired as they ran (A B, A B), so the spread shows what the machine did between the turns. Pure arithmetic.
 */
import type { Measured } from './measured.ts';
import type { Side } from './servers.ts';
import { TARGETS, type Target } from './targets.ts';

/** One step, once, on one side. */
export interface Sample {
  readonly step: string;
  readonly title: string;
  readonly side: Side;
  /** From 1. */
  readonly round: number;
  readonly measured: Measured;
}

/** Of a non-empty list. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export type Verdict = 'pass' | 'miss' | 'not judged';

export interface Line {
  readonly target: Target;
  readonly ours: number;
  /** Undefined when the target is ours alone, or etcd was not run. */
  readonly theirs: number | undefined;
  readonly ratio: number | undefined;
  /** Smallest and largest ratio of the paired rounds. */
  readonly spread: readonly [number, number] | undefined;
  readonly verdict: Verdict;
  /** Why there is no verdict. */
  readonly reason: string;
}

export function judge(samples: readonly Sample[], targets: readonly Target[] = TARGETS): Line[] {
  return targets.flatMap((target) => {
    const of = (side: Side): Sample[] =>
      samples.filter((sample) => sample.step === target.step && sample.side === side);
    const figures = (side: Side): number[] =>
      of(side).flatMap(({ measured }) => target.figure.of(measured) ?? []);
    const ours = figures('keelson');
    const theirs = figures('etcd');
    if (ours.length === 0 || (target.against === 'etcd' && theirs.length === 0)) return [];
    const line = judgeLine(target, ours, target.against === 'etcd' ? theirs : undefined);
    const reason = reasonAgainst(target, [...of('keelson'), ...of('etcd')]);
    return reason === '' ? [line] : [{ ...line, verdict: 'not judged', reason } satisfies Line];
  });
}

function judgeLine(target: Target, ours: readonly number[], theirs: readonly number[] | undefined): Line {
  const own = median(ours);
  if (theirs === undefined) {
    return {
      target,
      ours: own,
      theirs: undefined,
      ratio: undefined,
      spread: undefined,
      verdict: holds(target, own),
      reason: '',
    };
  }
  const other = median(theirs);
  const paired = ours.slice(0, theirs.length).map((value, i) => value / theirs[i]);
  return {
    target,
    ours: own,
    theirs: other,
    ratio: own / other,
    spread: [Math.min(...paired), Math.max(...paired)],
    verdict: holds(target, own / other),
    reason: '',
  };
}

function holds({ bound, value }: Target, figure: number): Verdict {
  if (!Number.isFinite(figure)) return 'miss';
  return (bound === 'at least' ? figure >= value : figure <= value) ? 'pass' : 'miss';
}

function reasonAgainst({ keys }: Target, samples: readonly Sample[]): string {
  if (samples.some(({ measured }) => Object.keys(measured.errors).length > 0)) return 'calls failed';
  if (keys === undefined) return '';
  const short = samples.some(({ measured }) => (measured.extra['keys'] ?? 0) < keys);
  return short ? `needs ${keys.toLocaleString('en')} keys` : '';
}
