/**
 * The command line of `keelson bench`: flags named as in etcd's own benchmark tool where it has them. Parsing
 * and defaults only; what a workload makes of them is its own business.
 */
import { parseArgs } from 'node:util';
import type { ClientTransport } from './transport.ts';

export const WORKLOADS = [
  'suite',
  'million',
  'transports',
  'soak',
  'apiserver',
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
  'list',
  'idle-watchers',
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
  /** Keys that memory, restart, growth and list store. */
  readonly keys: number;
  readonly seed: number;
  readonly transport: ClientTransport;
}

export interface SoakOptions {
  /** Of the maximum, which a closed loop finds first; above 0, up to 1. */
  readonly load: number;
  readonly sampleMs: number;
  /** As --auto-compaction-retention has it: how much history a user keeps. */
  readonly retention: string;
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
  /** Of the suite only these, by id; empty: all. */
  readonly steps: readonly string[];
  readonly soak: SoakOptions;
  /** Clients and peers of own clusters speak TLS, each end with a certificate. */
  readonly tls: boolean;
  /** Files of PEM, for TLS to servers that are there already. */
  readonly authority: string | undefined;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  /** Where flame graphs of our members go; undefined: they are not profiled. */
  readonly profile: string | undefined;
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
  {
    name: 'report',
    kind: 'text',
    initial: '',
    usage: 'directory for report.json, .md, .html and plots (SVG, PNG)',
  },
  { name: 'short', kind: 'bool', initial: '', usage: 'suite: in under five minutes' },
  { name: 'steps', kind: 'texts', initial: '', usage: 'suite, apiserver: only these, such as put,range-l' },
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
  { name: 'duration', kind: 'duration', initial: '10s', usage: 'length of the measured window; soak: 20m' },
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
  { name: 'keys', kind: 'count', initial: '1000000', usage: 'memory, restart, growth, list: keys to store' },
  { name: 'load', kind: 'share', initial: '0.8', usage: 'soak: share of the maximum, which is found first' },
  { name: 'sample', kind: 'duration', initial: '5s', usage: 'soak: between two looks at the members' },
  { name: 'retention', kind: 'text', initial: '1m', usage: 'soak: history that auto-compaction keeps' },
  {
    name: 'tls',
    kind: 'bool',
    initial: '',
    usage: 'TLS with certificates on both ends, between members too',
  },
  {
    name: 'cacert',
    kind: 'text',
    initial: '',
    usage: '--endpoints: authority of the servers (PEM); asks for TLS',
  },
  { name: 'cert', kind: 'text', initial: '', usage: '--endpoints: certificate of the client' },
  { name: 'key', kind: 'text', initial: '', usage: '--endpoints: its key' },
  { name: 'profile', kind: 'text', initial: '', usage: "directory for flame graphs of Keelson's members" },
  { name: 'seed', kind: 'count', initial: '1', usage: 'of keys and values' },
  { name: 'client-transport', kind: 'text', initial: 'native', usage: 'native or grpc-js' },
  { name: 'data-dir', kind: 'text', initial: '', usage: 'parent of the data directories (its disk counts)' },
  { name: 'server-flag', kind: 'texts', initial: '', usage: 'for every server started; may be repeated' },
  { name: 'keelson-flag', kind: 'texts', initial: '', usage: "for Keelson's servers only; may be repeated" },
];

/** Workloads that start and stop their servers. */
const OWN_SERVERS: readonly Workload[] = [
  'suite',
  'million',
  'transports',
  'soak',
  'apiserver',
  'first-put',
  'memory',
  'restart',
  'growth',
];
/** Length of a soak's window when --duration does not say: as long as the promise. */
const SOAK_MS = 20 * 60_000;

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
  const list = (name: string): string[] =>
    texts(name)
      .flatMap((one) => one.split(','))
      .filter((one) => one !== '');
  const count = (name: string, least: number): number => parseCount(name, text(name), least);
  const duration = (name: string): number => parseDuration(name, text(name));
  const flag = (name: string): boolean => values[name] === true;
  const workload = parseWorkload(positionals);
  const total = count('total', 0);
  const timed = total === 0 || values['duration'] !== undefined;
  const soaking = workload === 'soak' && values['duration'] === undefined;
  const consistency = oneOf('consistency', text('consistency'), ['l', 's']);
  const options: BenchOptions = {
    workload,
    given: new Set(Object.keys(values)),
    settings: {
      clients: count('clients', 1),
      connections: Math.min(count('conns', 1), count('clients', 1)),
      total: total === 0 ? Infinity : total,
      durationMs: soaking ? SOAK_MS : timed ? duration('duration') : Infinity,
      warmupMs: duration('warmup'),
      ratePerSecond: count('rate', 0),
      keyBytes: count('key-size', 1),
      valueBytes: count('val-size', 0),
      keySpace: count('key-space-size', 1),
      sequential: flag('sequential-keys'),
      serializable: consistency === 's',
      prefix: flag('prefix'),
      readShare: parseShare('read-share', text('read-share')),
      watchKeys: count('watch-keys', 1),
      watchersPerKey: count('watchers', 1),
      watchStreams: count('streams', 1),
      keys: count('keys', 1),
      seed: count('seed', 0),
      transport: oneOf('client-transport', text('client-transport'), ['native', 'grpc-js']),
    },
    endpoints: list('endpoints').map((one) => one.replace(/^https?:\/\//, '')),
    members: count('members', 1),
    compareEtcd: flag('compare-etcd'),
    rounds: count('rounds', 1),
    report: text('report') || undefined,
    short: flag('short'),
    steps: list('steps'),
    soak: {
      load: parseShare('load', text('load')),
      sampleMs: duration('sample'),
      retention: text('retention'),
    },
    tls: flag('tls'),
    authority: text('cacert') || undefined,
    certificate: text('cert') || undefined,
    key: text('key') || undefined,
    profile: text('profile') || undefined,
    filter: text('filter'),
    json: flag('json'),
    directory: text('data-dir') || undefined,
    serverFlags: texts('server-flag'),
    keelsonFlags: texts('keelson-flag'),
    help: flag('help'),
  };
  check(options);
  return options;
}

/** What each flag allows alone and they do not together. */
function check(options: BenchOptions): void {
  const { workload, endpoints, members, compareEtcd, settings, tls, authority } = options;
  const refuse = (when: boolean, why: string): void => {
    if (when) throw new OptionError(why);
  };
  const away = endpoints.length > 0;
  refuse(![1, 3, 5].includes(members), `--members is 1, 3 or 5, not ${members}`);
  refuse(compareEtcd && away, '--compare-etcd starts both sides itself: leave out --endpoints');
  refuse(
    away && OWN_SERVERS.includes(workload),
    `${workload} starts and stops its servers: leave out --endpoints`,
  );
  refuse(away && tls, '--tls is for servers started here; for others name their authority: --cacert FILE');
  refuse(!away && authority !== undefined, '--cacert is for --endpoints; --tls makes its own certificates');
  refuse((options.certificate === undefined) !== (options.key === undefined), '--cert and --key go together');
  refuse(
    options.certificate !== undefined && authority === undefined,
    '--cert and --key need --cacert: who signs the servers',
  );
  refuse(
    (tls || authority !== undefined) && settings.transport === 'grpc-js',
    'with TLS only the native client transport: leave out --client-transport=grpc-js',
  );
  refuse(
    compareEtcd && workload === 'apiserver',
    'the API server has no etcd to compare with: leave out --compare-etcd',
  );
  refuse(tls && workload === 'transports', 'transports are compared without TLS: leave out --tls');
  refuse(away && options.profile !== undefined, '--profile starts its servers: leave out --endpoints');
  refuse(options.soak.load === 0, '--load is above 0, up to 1');
  refuse(options.soak.sampleMs < 100, '--sample is 100ms or more');
  refuse(
    options.steps.length > 0 && !['suite', 'million', 'apiserver'].includes(workload),
    '--steps chooses among those of the suite; one workload needs no choice',
  );
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

function oneOf<T extends string>(name: string, text: string, choices: readonly T[]): T {
  const chosen = choices.find((one) => one === text);
  if (chosen === undefined) throw new OptionError(`--${name} is ${choices.join(' or ')}, not ${text}`);
  return chosen;
}

function parseShare(name: string, text: string): number {
  const share = text.trim() === '' ? NaN : Number(text);
  if (!(share >= 0 && share <= 1)) throw new OptionError(`--${name} is from 0 to 1, not ${text}`);
  return share;
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

const EXAMPLES: readonly (readonly [command: string, what: string])[] = [
  [
    'keelson bench --short --compare-etcd --report DIR',
    'every promise that takes seconds, in turn with etcd',
  ],
  ['keelson bench million --compare-etcd', 'memory, restart and growth with a million keys'],
  ['keelson bench put --clients 1 --compare-etcd', 'one load'],
  ['keelson bench put --profile DIR', 'the same, and a flame graph of each member'],
  ['keelson bench transports', 'our gRPC beside grpc-js, as server and as client'],
  ['keelson bench soak --duration 20m', 'at 80 % of the maximum: is it flat?'],
  ['keelson bench apiserver', 'the API server, beside an echo behind the same port'],
];

export function usage(): string {
  const width = Math.max(...FLAGS.map(({ name }) => name.length));
  const flags = FLAGS.map(({ name, initial, usage: what }) => {
    const fallback = initial === '' ? '' : ` (${initial})`;
    return `  --${name.padEnd(width)}  ${what}${fallback}\n`;
  });
  const widest = Math.max(...EXAMPLES.map(([command]) => command.length));
  const examples = EXAMPLES.map(([command, what]) => `  ${command.padEnd(widest)}  ${what}\n`);
  return `Usage:\n  keelson bench [workload] [flags]\n\nWorkloads:\n  ${WORKLOADS.join(', ')}\n\nExamples:\n${examples.join('')}\nFlags:\n${flags.join('')}`;
}
