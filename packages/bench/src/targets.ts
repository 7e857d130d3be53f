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

export const PER_SECOND: Figure = { name: 'per second', unit: '/s', of: (one) => one.perSecond || undefined };
const P99: Figure = { name: 'p99', unit: 'ms', of: (one) => one.latency.p99 };
const MEAN: Figure = { name: 'mean', unit: 'ms', of: (one) => one.latency.mean };
const CPU: Figure = { name: 'server CPU per call', unit: 'µs', of: (one) => one.serverCpuUsPerCall };
const OWN_CPU: Figure = {
  name: "generator's CPU per call",
  unit: 'µs',
  of: (one) => one.generatorCpuUsPerCall,
};
export const extra = (name: string, key: string, unit: string): Figure => ({
  name,
  unit,
  of: (one) => one.extra[key],
});

export interface Target {
  readonly step: string;
  readonly figure: Figure;
  /** A bound of ours / the other side's; or of our own figure alone. */
  readonly against: 'etcd' | 'echo' | 'alone';
  readonly bound: 'at least' | 'at most';
  readonly value: number;
  /** Judged only with this many keys. */
  readonly keys?: number;
  /** What measures it, when the run at hand does not. */
  readonly command: string;
}

type Bound = Pick<Target, 'bound' | 'value'>;

const SHORT = 'keelson bench --short --compare-etcd';
const MILLION = 'keelson bench million --compare-etcd';
const TRANSPORTS = 'keelson bench transports --compare-etcd';
const A_MILLION = 1_000_000;

const least = (value: number): Bound => ({ bound: 'at least', value });
const most = (value: number): Bound => ({ bound: 'at most', value });

const target = (
  step: string,
  figure: Figure,
  bound: Bound,
  against: Target['against'] = 'etcd',
  command = SHORT,
): Target => ({ step, figure, ...bound, against, command });

/** Judged with a million keys only. */
const large = (step: string, figure: Figure, bound: Bound, against: Target['against']): Target => ({
  ...target(step, figure, bound, against, MILLION),
  keys: A_MILLION,
});

export const TARGETS: readonly Target[] = [
  target('put', PER_SECOND, least(2)),
  target('put', P99, most(1)),
  target('put', CPU, most(0.3)),
  target('put-1', MEAN, most(0.9)),
  target('range-l', PER_SECOND, least(3)),
  target('range-l', OWN_CPU, most(8), 'alone'),
  target('range-s', PER_SECOND, least(3.5)),
  target('range-s', OWN_CPU, most(8), 'alone'),
  // Any client of etcd's: grpc-js stands for them, and takes most of the machine itself.
  target('range-l/grpc-js', PER_SECOND, least(2), 'etcd', TRANSPORTS),
  target('txn', PER_SECOND, least(2)),
  target('delete', PER_SECOND, least(2)),
  target('lease-keepalive', PER_SECOND, least(2)),
  target('watch-1x1000', PER_SECOND, least(2)),
  target('watch-1x1000', P99, most(1)),
  target('watch-100x100', PER_SECOND, least(2)),
  target('watch-100x100', P99, most(1)),
  target('first-put', extra('until the first put', 'firstPutMs', 'ms'), most(1000), 'alone'),
  large('memory', extra('resident memory', 'rssMeanMb', 'MB'), most(0.8), 'etcd'),
  large('restart', extra('until serving', 'restartMs', 'ms'), most(0.5), 'etcd'),
  large('growth', extra('put cost, largest / smallest', 'putCostRatio', '×'), most(1.3), 'alone'),
  large('growth', extra('get cost, hot keys', 'getHotCostRatio', '×'), most(1.3), 'alone'),
  large('growth', extra('get cost, cold keys', 'getColdCostRatio', '×'), most(2), 'alone'),
  target('list', extra('cost a key, 10,000 / 100', 'listCostRatio', '×'), most(1.3), 'alone', MILLION),
  target(
    'idle-watchers',
    extra('put cost beside 10,000 / alone', 'idleWatchersRatio', '×'),
    most(1.3),
    'alone',
    MILLION,
  ),
];
