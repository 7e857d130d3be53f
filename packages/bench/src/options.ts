/**
 * The command line of `keelson bench`: flags named as in etcd's own benchmark tool where it has them. Parsing
 * and defaults only; what a workload makes of them is its own business.
 */
import { parseArgs } from 'node:util';
import type { ClientTransport } from './transport.ts';

export const WORKLOADS = [
  'suite',
  'million',
  'put',
  'range',
  'txn',
  'delete',
  'mixed',
  'watch',
  'watch-latency',
  'lease-grant',
  'lease-keepalive',
  'first-put',
  'memory',
  'restart',
  'growth',
  'micro',
] as const;
export type Workload = (typeof WORKLOADS)[number];

/** A command line that cannot be followed; the message is for the user. */
export class OptionError extends Error {
  override readonly name = 'OptionError';
}

/** How one load is made. */
export interface Settings {
  readonly clients: number;
  readonly connections: number;
  /** Measured calls at most; Infinity: `durationMs` decides. */
  readonly total: number;
  readonly durationMs: number;
  readonly warmupMs: number;
  /** Calls a second meant to start; 0: a closed loop. */
  readonly ratePerSecond: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly keySpace: number;
  readonly sequential: boolean;
  readonly serializable: boolean;
  /** Range over a prefix of up to 100 keys instead of one key. */
  readonly prefix: boolean;
  /** Share of reads in the mixed load, 0 to 1. */
  readonly readShare: number;
  readonly watchKeys: number;
  readonly watchersPerKey: number;
  readonly watchStreams: number;
  /** Keys that memory, restart and growth store. */
  readonly keys: number;
  readonly seed: number;
  readonly transport: ClientTransport;
}

export interface BenchOptions {
  readonly workload: Workload;
  /** Which settings were given, and so bind the suite as well. */
  readonly given: ReadonlySet<string>;
  readonly settings: Settings;
  readonly endpoints: readonly string[];
  readonly members: number;
  readonly compareEtcd: boolean;
  readonly rounds: number;
  readonly report: string | undefined;
  readonly short: boolean;
  /** Micro-benchmarks: only those whose name contains it; and JSON instead of a table. */
  readonly filter: string;
  readonly json: boolean;
  readonly directory: string | undefined;
  /** Flags for every server, and for Keelson's alone. */
  readonly serverFlags: readonly string[];
  readonly keelsonFlags: readonly string[];
  readonly help: boolean;
}

interface Flag {
  readonly name: string;
  readonly kind: 'count' | 'duration' | 'share' | 'bool' | 'text' | 'texts';
  readonly initial: string;
  readonly usage: string;
}

const FLAGS: readonly Flag[] = [
  { name: 'endpoints', kind: 'texts', initial: '', usage: 'servers to load; default: starts its own' },
  { name: 'members', kind: 'count', initial: '3', usage: 'members of its own cluster: 1, 3 or 5' },
  { name: 'compare-etcd', kind: 'bool', initial: '', usage: 'runs etcd in turn, prints ratios and targets' },
  { name: 'rounds', kind: 'count', initial: '2', usage: 'turns of each side when comparing' },
  { name: 'report', kind: 'text', initial: '', usage: 'directory for report.json, .md, .html and plots' },
  { name: 'short', kind: 'bool', initial: '', usage: 'everything in under five minutes' },
  {
    name: 'filter',
    kind: 'text',
    initial: '',
    usage: 'micro: only rooms and operations with this in their name',
  },
  { name: 'json', kind: 'bool', initial: '', usage: 'micro: JSON instead of a table' },
  { name: 'clients', kind: 'count', initial: '1000', usage: 'calls in flight at most' },
  { name: 'conns', kind: 'count', initial: '100', usage: 'connections' },
  { name: 'total', kind: 'count', initial: '0', usage: 'measured calls; 0: --duration decides' },
  { name: 'duration', kind: 'duration', initial: '10s', usage: 'length of the measured window' },
  { name: 'warmup', kind: 'duration', initial: '2s', usage: 'not measured, before the window' },
  { name: 'rate', kind: 'count', initial: '0', usage: 'calls a second (open loop); 0: closed loop' },
  { name: 'key-size', kind: 'count', initial: '16', usage: 'bytes of a key' },
  { name: 'val-size', kind: 'count', initial: '256', usage: 'bytes of a value' },
  { name: 'key-space-size', kind: 'count', initial: '10000', usage: 'different keys' },
  { name: 'sequential-keys', kind: 'bool', initial: '', usage: 'keys in order instead of at random' },
  { name: 'consistency', kind: 'text', initial: 'l', usage: 'range: l (linearizable) or s (serializable)' },
  { name: 'prefix', kind: 'bool', initial: '', usage: 'range: up to 100 keys by prefix' },
  { name: 'read-share', kind: 'share', initial: '0.8', usage: 'mixed: share of reads' },
  { name: 'watch-keys', kind: 'count', initial: '1', usage: 'watch: keys that are written' },
  { name: 'watchers', kind: 'count', initial: '1000', usage: 'watch: watchers of each key' },
  { name: 'streams', kind: 'count', initial: '10', usage: 'watch: streams the watchers share' },
  { name: 'keys', kind: 'count', initial: '1000000', usage: 'memory, restart, growth: keys to store' },
  { name: 'seed', kind: 'count', initial: '1', usage: 'of keys and values' },
  { name: 'client-transport', kind: 'text', initial: 'native', usage: 'native or grpc-js' },
  { name: 'data-dir', kind: 'text', initial: '', usage: 'parent of the data directories (its disk counts)' },
  { name: 'server-flag', kind: 'texts', initial: '', usage: 'for every server started; may be repeated' },
  { name: 'keelson-flag', kind: 'texts', initial: '', usage: "for Keelson's servers only; may be repeated" },
];

/** @param argv what follows `keelson bench`. @throws OptionError */
export function parseOptions(argv: readonly string[]): BenchOptions {
  const { values, positionals } = parse(argv);
  const text = (name: string): string => {
    const value = values[name];
    const initial = FLAGS.find((flag) => flag.name === name)?.initial ?? '';
    return typeof value === 'string' ? value : initial;
  };
  const texts = (name: string): string[] => {
    const value = values[name];
    return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
  };
  const count = (name: string, least: number): number => parseCount(name, text(name), least);
  const transport = text('client-transport');
  if (transport !== 'native' && transport !== 'grpc-js') {
    throw new OptionError(`--client-transport is native or grpc-js, not ${transport}`);
  }
  const consistency = text('consistency');
  if (consistency !== 'l' && consistency !== 's') {
    throw new OptionError(`--consistency is l or s, not ${consistency}`);
  }
  const members = count('members', 1);
  if (![1, 3, 5].includes(members)) throw new OptionError(`--members is 1, 3 or 5, not ${members}`);
  const endpoints = texts('endpoints')
    .flatMap((list) => list.split(','))
    .filter((one) => one !== '')
    .map((one) => one.replace(/^http:\/\//, ''));
  const workload = parseWorkload(positionals);
  const compareEtcd = values['compare-etcd'] === true;
  if (compareEtcd && endpoints.length > 0) {
    throw new OptionError('--compare-etcd starts both sides itself: leave out --endpoints');
  }
  if (
    endpoints.length > 0 &&
    ['suite', 'million', 'first-put', 'memory', 'restart', 'growth'].includes(workload)
  ) {
    throw new OptionError(`${workload} starts and stops its servers: leave out --endpoints`);
  }
  const total = count('total', 0);
  const share = Number(text('read-share'));
  if (!(share >= 0 && share <= 1)) throw new OptionError('--read-share is from 0 to 1');
  return {
    workload,
    given: new Set(Object.keys(values)),
    settings: {
      clients: count('clients', 1),
      connections: Math.min(count('conns', 1), count('clients', 1)),
      total: total === 0 ? Infinity : total,
      durationMs:
        total > 0 && values['duration'] === undefined
          ? Infinity
          : parseDuration('duration', text('duration')),
      warmupMs: parseDuration('warmup', text('warmup')),
      ratePerSecond: count('rate', 0),
      keyBytes: count('key-size', 1),
      valueBytes: count('val-size', 0),
      keySpace: count('key-space-size', 1),
      sequential: values['sequential-keys'] === true,
      serializable: consistency === 's',
      prefix: values['prefix'] === true,
      readShare: share,
      watchKeys: count('watch-keys', 1),
      watchersPerKey: count('watchers', 1),
      watchStreams: count('streams', 1),
      keys: count('keys', 1),
      seed: count('seed', 0),
      transport,
    },
    endpoints,
    members,
    compareEtcd,
    rounds: count('rounds', 1),
    report: text('report') || undefined,
    short: values['short'] === true,
    filter: text('filter'),
    json: values['json'] === true,
    directory: text('data-dir') || undefined,
    serverFlags: texts('server-flag'),
    keelsonFlags: texts('keelson-flag'),
    help: values['help'] === true,
  };
}

type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

function parse(argv: readonly string[]): { values: Values; positionals: string[] } {
  const options: Record<string, { type: 'boolean' | 'string'; multiple?: boolean; short?: string }> = {
    help: { type: 'boolean', short: 'h' },
  };
  for (const { name, kind } of FLAGS) {
    options[name] =
      kind === 'bool' ? { type: 'boolean' } : { type: 'string', ...(kind === 'texts' && { multiple: true }) };
  }
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new OptionError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function parseWorkload(positionals: readonly string[]): Workload {
  if (positionals.length > 1) throw new OptionError(`one workload at a time, not ${positionals.join(' ')}`);
  const [name = 'suite'] = positionals;
  const wanted = name === 'lease' ? 'lease-keepalive' : name;
  const workload = WORKLOADS.find((one) => one === wanted);
  if (workload === undefined) {
    throw new OptionError(`unknown workload ${name}; there are ${WORKLOADS.join(', ')}`);
  }
  return workload;
}

function parseCount(name: string, text: string, least: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(value) || value < least) {
    throw new OptionError(`--${name} is a whole number from ${least}, not ${text}`);
  }
  return value;
}

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

function parseDuration(name: string, text: string): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
  if (number === '') throw new OptionError(`--${name} is a duration such as 500ms, 10s or 1m, not ${text}`);
  return Number(number) * (UNITS_MS[unit] ?? 0);
}

export function usage(): string {
  const width = Math.max(...FLAGS.map(({ name }) => name.length));
  const flags = FLAGS.map(({ name, initial, usage: what }) => {
    const fallback = initial === '' ? '' : ` (${initial})`;
    return `  --${name.padEnd(width)}  ${what}${fallback}\n`;
  });
  return `Usage:\n  keelson bench [workload] [flags]\n\nWorkloads:\n  ${WORKLOADS.join(', ')}\n\nFlags:\n${flags.join('')}`;
}
