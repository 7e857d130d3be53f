/**
 * The steps a benchmark is made of, and the plans that string them together: which loads share one cluster,
 * with which numbers. A plan always starts on a fresh cluster, so that sides can alternate plan by plan and
 * no load inherits another's data. The numbers of the suite are those of the targets (targets.ts).
 */
import { keepAliveLoad, grantCall } from './lease-load.ts';
import { Keys } from './keys.ts';
import { deleteCall, mixedCall, preload, putCall, rangeCall, txnCall } from './kv-load.ts';
import type { Call } from './load.ts';
import { measureCalls, single, type Measured } from './measured.ts';
import type { BenchOptions, Settings, Workload } from './options.ts';
import type { Progress } from './progress.ts';
import { Cluster, type ServerUsage, type Subject } from './servers.ts';
import { Connections } from './transport.ts';
import { measureWatch } from './watch-load.ts';

export interface Step {
  /** One word, for tables and files. */
  readonly id: string;
  readonly title: string;
  readonly settings: Settings;
  run(subject: Subject, settings: Settings, progress: Progress): Promise<Measured>;
}

export interface Plan {
  readonly id: string;
  readonly steps: readonly Step[];
  /** The cluster is started by the first step, which times it. */
  readonly cold?: boolean;
}

type Run = Step['run'];

/** Opens connections, loads the key space if asked, measures the call. */
function calls(
  make: (connections: Connections, keys: Keys, settings: Settings) => Call,
  loaded: boolean,
): Run {
  return async (subject, settings, progress) => {
    const connections = await Connections.open(settings.transport, subject.addresses, settings.connections);
    try {
      const keys = new Keys(settings);
      if (loaded) await preload(connections, keys, 0, settings.keySpace, progress);
      return await measureCalls(subject, settings, make(connections, keys, settings), progress);
    } finally {
      connections.close();
    }
  };
}

const runPut = calls(putCall, false);
const runRange = calls(rangeCall, true);
const runGrant = calls((connections) => grantCall(connections), false);

/** Every call deletes a key of its own: no warm-up, and it ends when the keys do. */
const runDelete: Run = (subject, settings, progress) => {
  const total = Math.min(settings.total, settings.keySpace);
  const once: Settings = { ...settings, total, warmupMs: 0, durationMs: Infinity };
  return calls(deleteCall, true)(subject, once, progress);
};

const runKeepAlive: Run = async (subject, settings, progress) => {
  const connections = await Connections.open(settings.transport, subject.addresses, settings.connections);
  try {
    const load = await keepAliveLoad(connections, settings.clients);
    try {
      return await measureCalls(subject, settings, load.call, progress);
    } finally {
      load.close();
    }
  } finally {
    connections.close();
  }
};

function ownCluster(subject: Subject): Cluster {
  if (subject instanceof Cluster) return subject;
  throw new TypeError('this step starts and stops its servers itself');
}

/** From nothing to the first acknowledged put: spawn, election, commit. */
const runFirstPut: Run = async (subject) => {
  const cluster = ownCluster(subject);
  const startMs = performance.now();
  cluster.spawn();
  await cluster.firstPut();
  const seconds = (performance.now() - startMs) / 1000;
  await cluster.serving();
  return single(subject, seconds, { firstPutMs: seconds * 1000 });
};

async function store(subject: Subject, settings: Settings, first: number, progress: Progress): Promise<void> {
  const connections = await Connections.open(settings.transport, subject.addresses, 8);
  try {
    await preload(connections, keysToStore(settings), first, settings.keys, progress);
  } finally {
    connections.close();
  }
}

const keysToStore = (settings: Settings): Keys => new Keys({ ...settings, keySpace: settings.keys });

/** Resident memory of each member once the keys are stored. */
const runMemory: Run = async (subject, settings, progress) => {
  const startMs = performance.now();
  await store(subject, settings, 0, progress);
  const members = subject.usage();
  const mean = (of: 'rssBytes' | 'rssAnonBytes' | 'rssFileBytes'): number =>
    members.reduce((sum, { memory }) => sum + memory[of], 0) / members.length / 2 ** 20;
  return single(subject, (performance.now() - startMs) / 1000, {
    keys: settings.keys,
    rssMeanMb: mean('rssBytes'),
    rssAnonMeanMb: mean('rssAnonBytes'),
    rssFileMeanMb: mean('rssFileBytes'),
  });
};

/** Stops every member in order, starts them again with their data, until all serve. */
async function restart(cluster: Cluster, settings: Settings): Promise<Measured> {
  await cluster.stop();
  const startMs = performance.now();
  cluster.spawn();
  await cluster.serving();
  const seconds = (performance.now() - startMs) / 1000;
  const members = cluster.usage();
  const mean = (of: (member: ServerUsage) => number): number =>
    members.reduce((sum, member) => sum + of(member), 0) / members.length;
  return single(cluster, seconds, {
    keys: settings.keys,
    restartMs: seconds * 1000,
    // Of what else the machine does the CPU time knows less.
    restartCpuMeanMs: mean((member) => member.cpuSeconds * 1000),
    rssAfterMeanMb: mean((member) => member.memory.rssBytes) / 2 ** 20,
  });
}

const runRestart: Run = async (subject, settings, progress) => {
  await store(subject, settings, 0, progress);
  return restart(ownCluster(subject), settings);
};

/** As runRestart, on the keys an earlier step stored. */
const runRestartOnly: Run = (subject, settings) => restart(ownCluster(subject), settings);

/** The sizes of a growth run: powers of ten from 1,000 up to and including `keys`. */
export function growthSizes(keys: number): number[] {
  const sizes: number[] = [];
  for (let size = 1000; size < keys; size *= 10) sizes.push(size);
  return [...sizes, keys];
}

/** The cost of a put and of a get as the store grows. */
const runGrowth: Run = async (subject, settings, progress) => {
  const extra: Record<string, number> = {};
  let stored = 0;
  let last: Measured | undefined;
  const sizes = growthSizes(settings.keys);
  for (const size of sizes) {
    const sized: Settings = { ...settings, keys: size, keySpace: size };
    await store(subject, sized, stored, progress);
    stored = size;
    const connections = await Connections.open(settings.transport, subject.addresses, settings.connections);
    try {
      const keys = new Keys(sized);
      for (const [name, call] of [
        ['put', putCall(connections, keys)],
        ['get', rangeCall(connections, keys, sized)],
      ] as const) {
        last = await measureCalls(subject, sized, call, progress);
        extra[`${name}CpuUs@${size}`] = last.serverCpuUsPerCall ?? 0;
        extra[`${name}P50Ms@${size}`] = last.latency.p50;
      }
    } finally {
      connections.close();
    }
  }
  const [first] = sizes;
  const largest = sizes.at(-1) ?? first;
  for (const name of ['put', 'get']) {
    extra[`${name}CostRatio`] =
      (extra[`${name}CpuUs@${largest}`] ?? 0) / (extra[`${name}CpuUs@${first}`] || 1);
  }
  return { ...(last ?? single(subject, 0, {})), extra: { ...extra, keys: largest } };
};

type SingleWorkload = Exclude<Workload, 'suite' | 'million' | 'micro'>;

const RUNS: Readonly<Record<SingleWorkload, Run>> = {
  put: runPut,
  range: runRange,
  txn: calls(txnCall, true),
  delete: runDelete,
  mixed: calls(mixedCall, true),
  watch: measureWatch,
  'watch-latency': measureWatch,
  'lease-grant': runGrant,
  'lease-keepalive': runKeepAlive,
  'first-put': runFirstPut,
  memory: runMemory,
  restart: runRestart,
  growth: runGrowth,
};

function step(id: string, title: string, run: Run, settings: Settings): Step {
  return { id, title, run, settings };
}

/** Writes in flight of a watch load, when --clients does not say: enough to keep the servers busy. */
const WATCH_WRITES = 16;
const WATCH_RATE = 100;

/** One workload with the numbers given. */
export function onePlan(workload: SingleWorkload, options: BenchOptions): Plan {
  let { settings } = options;
  const watching = workload === 'watch' || workload === 'watch-latency';
  if (watching && !options.given.has('clients')) settings = { ...settings, clients: WATCH_WRITES };
  if (watching && !options.given.has('conns')) settings = { ...settings, connections: settings.watchStreams };
  if (workload === 'watch-latency') {
    if (!options.given.has('rate')) settings = { ...settings, ratePerSecond: WATCH_RATE };
    if (!options.given.has('watchers')) settings = { ...settings, watchersPerKey: 1 };
  }
  if (workload === 'delete' && settings.total !== Infinity && !options.given.has('key-space-size')) {
    settings = { ...settings, keySpace: settings.total };
  }
  const plan = { id: workload, steps: [step(workload, workload, RUNS[workload], settings)] };
  return workload === 'first-put' ? { ...plan, cold: true } : plan;
}

/** Everything the targets ask for. `--short`: windows of 1.5 seconds, 20,000 keys instead of a million. */
export function suitePlans(options: BenchOptions): Plan[] {
  const { given, short } = options;
  const or = (name: string, value: number, otherwise: number): number =>
    given.has(name) ? value : otherwise;
  const base: Settings = {
    ...options.settings,
    durationMs: or('duration', options.settings.durationMs, short ? 1500 : 10_000),
    warmupMs: or('warmup', options.settings.warmupMs, short ? 500 : 2000),
    keys: or('keys', options.settings.keys, short ? 20_000 : 1_000_000),
    total: Infinity,
    ratePerSecond: 0,
  };
  const alone: Settings = { ...base, clients: 1, connections: 1 };
  const quick: Settings = { ...base, clients: 100, connections: 10 };
  const watch: Settings = { ...base, clients: WATCH_WRITES, connections: 10, watchStreams: 10 };
  const many = `${base.clients} clients`;
  const grown: Settings = { ...quick, durationMs: Math.min(base.durationMs, 3000) };
  return [
    {
      id: 'first-put',
      cold: true,
      steps: [step('first-put', 'from nothing to the first put', runFirstPut, base)],
    },
    {
      id: 'put',
      steps: [
        step('put-1', 'put, 1 client', runPut, alone),
        step('put', `put, ${many}`, runPut, base),
        step('put-open', 'put, 500 a second (open loop)', runPut, { ...quick, ratePerSecond: 500 }),
      ],
    },
    {
      id: 'range',
      steps: [
        step('range-l', `get linearizable, ${many}`, runRange, { ...base, serializable: false }),
        step('range-s', `get serializable, ${many}`, runRange, { ...base, serializable: true }),
        step('range-prefix', 'list 100 keys, 100 clients', runRange, { ...quick, prefix: true }),
      ],
    },
    {
      id: 'writes',
      steps: [
        step('txn', `compare and put, ${many}`, RUNS.txn, base),
        step('delete', `delete, ${many}`, runDelete, { ...base, keySpace: short ? 20_000 : 100_000 }),
        step('mixed', `80 % gets, 20 % puts, ${many}`, RUNS.mixed, base),
      ],
    },
    {
      id: 'watch',
      steps: [
        step('watch-1x1000', 'watch, 1 key × 1000 watchers', measureWatch, {
          ...watch,
          watchKeys: 1,
          watchersPerKey: 1000,
        }),
        step('watch-100x100', 'watch, 100 keys × 100 watchers', measureWatch, {
          ...watch,
          watchKeys: 100,
          watchersPerKey: 100,
        }),
        step('watch-latency', 'watch, 100 writes a second, 1 watcher', measureWatch, {
          ...watch,
          watchKeys: 1,
          watchersPerKey: 1,
          ratePerSecond: WATCH_RATE,
        }),
      ],
    },
    {
      id: 'lease',
      steps: [
        step('lease-grant', 'lease grant, 100 clients', runGrant, quick),
        step('lease-keepalive', `lease keep-alive, ${many}`, runKeepAlive, base),
      ],
    },
    {
      id: 'keys',
      steps: [
        step('memory', `memory with ${base.keys} keys`, runMemory, base),
        step('restart', `restart with ${base.keys} keys`, runRestartOnly, base),
      ],
    },
    { id: 'growth', steps: [step('growth', `growth to ${base.keys} keys`, runGrowth, grown)] },
  ];
}

/** Of the suite what a large store is asked for: starting, memory, restart, growth. */
export function millionPlans(options: BenchOptions): Plan[] {
  return suitePlans(options).filter(({ id }) => id === 'first-put' || id === 'keys' || id === 'growth');
}
