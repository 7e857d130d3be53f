/**
 * Ours against etcd's: medians over the rounds, their ratio with its spread, and the verdict. Rounds are
 * paired as they ran (A B, A B), so the spread shows what the machine did between the turns. Pure arithmetic.
 */
import type { Measured } from './measured.ts';
import { TARGETS, type Target } from './targets.ts';

/** One step, once, on one side. */
export interface Sample {
  readonly step: string;
  readonly title: string;
  /** The label of what was measured: "keelson", "etcd", "echo", … */
  readonly side: string;
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
  /** Undefined when the step was not run. */
  readonly ours: number | undefined;
  /** Undefined when the target is ours alone, or etcd was not run. */
  readonly theirs: number | undefined;
  readonly ratio: number | undefined;
  /** Smallest and largest ratio of the paired rounds. */
  readonly spread: readonly [number, number] | undefined;
  readonly verdict: Verdict;
  /** Why there is no verdict. */
  readonly reason: string;
}

/**
 * A line for every target that was measured.
 * @param all also for those that were not: they say what measures them
 */
export function judge(
  samples: readonly Sample[],
  all: boolean,
  targets: readonly Target[] = TARGETS,
): Line[] {
  return targets.flatMap((target) => {
    const of = (side: string): Sample[] =>
      samples.filter((sample) => sample.step === target.step && sample.side === side);
    const figures = (side: string): number[] =>
      of(side).flatMap(({ measured }) => target.figure.of(measured) ?? []);
    const ours = figures('keelson');
    if (ours.length === 0) return all ? [unjudged(target, undefined, `run ${target.command}`)] : [];
    if (target.against === 'alone') return [withReason(judgeAlone(target, ours), of('keelson'))];
    const { against } = target;
    const theirs = figures(against);
    if (theirs.length === 0) return all ? [unjudged(target, median(ours), 'needs --compare-etcd')] : [];
    return [withReason(judgeLine(target, ours, theirs), [...of('keelson'), ...of(against)])];
  });
}

function unjudged(target: Target, ours: number | undefined, reason: string): Line {
  return {
    target,
    ours,
    theirs: undefined,
    ratio: undefined,
    spread: undefined,
    verdict: 'not judged',
    reason,
  };
}

function withReason(line: Line, samples: readonly Sample[]): Line {
  const reason = reasonAgainst(line.target, samples);
  return reason === '' ? line : { ...line, verdict: 'not judged', reason };
}

function judgeAlone(target: Target, ours: readonly number[]): Line {
  const own = median(ours);
  return { ...unjudged(target, own, ''), verdict: holds(target, own) };
}

function judgeLine(target: Target, ours: readonly number[], theirs: readonly number[]): Line {
  const own = median(ours);
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

function reasonAgainst({ keys, command }: Target, samples: readonly Sample[]): string {
  if (samples.some(({ measured }) => Object.keys(measured.errors).length > 0)) return 'calls failed';
  if (keys === undefined) return '';
  const short = samples.some(({ measured }) => (measured.extra['keys'] ?? 0) < keys);
  return short ? `needs ${keys.toLocaleString('en')} keys: run ${command}` : '';
}
