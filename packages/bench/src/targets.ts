/**
 * What Keelson promises against etcd, as data: which figure of which step, and its bound. A line is judged
 * only when it was measured as the promise says; a smaller run shows its ratio without a verdict.
 */
import type { Measured } from './measured.ts';

export interface Figure {
  readonly name: string;
  readonly unit: string;
  of(measured: Measured): number | undefined;
}

const PER_SECOND: Figure = { name: 'per second', unit: '/s', of: (one) => one.perSecond };
const P99: Figure = { name: 'p99', unit: 'ms', of: (one) => one.latency.p99 };
const MEAN: Figure = { name: 'mean', unit: 'ms', of: (one) => one.latency.mean };
const CPU: Figure = { name: 'server CPU per call', unit: 'µs', of: (one) => one.serverCpuUsPerCall };
const extra = (name: string, key: string, unit: string): Figure => ({
  name,
  unit,
  of: (one) => one.extra[key],
});

export interface Target {
  readonly step: string;
  readonly figure: Figure;
  /** A bound of ours / etcd's; or of our own figure alone. */
  readonly against: 'etcd' | 'alone';
  readonly bound: 'at least' | 'at most';
  readonly value: number;
  /** Judged only with this many keys. */
  readonly keys?: number;
}

const against = (step: string, figure: Figure, bound: Target['bound'], value: number): Target => ({
  step,
  figure,
  against: 'etcd',
  bound,
  value,
});

export const TARGETS: readonly Target[] = [
  against('put', PER_SECOND, 'at least', 2),
  against('put', P99, 'at most', 1),
  against('put', CPU, 'at most', 0.3),
  against('put-1', MEAN, 'at most', 0.9),
  against('range-l', PER_SECOND, 'at least', 3),
  against('range-s', PER_SECOND, 'at least', 3.5),
  against('txn', PER_SECOND, 'at least', 2),
  against('delete', PER_SECOND, 'at least', 2),
  against('lease-keepalive', PER_SECOND, 'at least', 2),
  against('watch-1x1000', PER_SECOND, 'at least', 2),
  against('watch-1x1000', P99, 'at most', 1),
  against('watch-100x100', PER_SECOND, 'at least', 2),
  against('watch-100x100', P99, 'at most', 1),
  { ...against('memory', extra('resident memory', 'rssMeanMb', 'MB'), 'at most', 0.8), keys: 1_000_000 },
  { ...against('restart', extra('until serving', 'restartMs', 'ms'), 'at most', 0.5), keys: 1_000_000 },
  {
    step: 'first-put',
    figure: extra('until the first put', 'firstPutMs', 'ms'),
    against: 'alone',
    bound: 'at most',
    value: 1000,
  },
  {
    step: 'growth',
    figure: extra('put cost, largest / smallest', 'putCostRatio', '×'),
    against: 'alone',
    bound: 'at most',
    value: 1.3,
    keys: 1_000_000,
  },
  {
    step: 'growth',
    figure: extra('get cost, largest / smallest', 'getCostRatio', '×'),
    against: 'alone',
    bound: 'at most',
    value: 1.3,
    keys: 1_000_000,
  },
];
