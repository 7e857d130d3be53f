/**
 * Which steps make a benchmark, and with which numbers: those of the targets (targets.ts). A plan says how steps
 * share clusters: in the long suite each group of loads has a fresh cluster of its own, one side after the other;
 * in the short one both sides stay up and take turns step by step, so that no time goes into starting.
 */
import type { BenchOptions, Settings } from './options.ts';
import { OptionError } from './options.ts';
import { RUNS, runRestartOnly, type Run, type SingleWorkload } from './steps.ts';

export interface Step {
  /** One word, for tables and files. */
  readonly id: string;
  readonly title: string;
  readonly settings: Settings;
  readonly run: Run;
  /** Not judged: once a side is enough. */
  readonly once?: boolean;
}

export interface Plan {
  readonly id: string;
  readonly steps: readonly Step[];
  /** The clusters of all sides are up together, and take turns step by step. */
  readonly together?: boolean;
}

/** The step that starts its cluster, to time it. */
export const COLD_STEP = 'first-put';

function step(id: string, title: string, run: Run, settings: Settings): Step {
  return { id, title, run, settings };
}

/** Writes in flight of a watch load, when --clients does not say: enough to keep the servers busy. */
const WATCH_WRITES = 16;
const WATCH_RATE = 100;
/** A list of ten thousand is three megabytes: few at a time keep everybody busy. */
const LIST_CLIENTS = 10;
/** More than any server here deletes: keys for a window that time ends. */
const DELETES_PER_SECOND_MAX = 50_000;
/** Deletes need keys, so that their window stays short. */
const DELETE_WINDOW_MS = 4000;

function deleting(settings: Settings): Settings {
  const durationMs = Math.min(settings.durationMs, DELETE_WINDOW_MS);
  const seconds = (settings.warmupMs + durationMs) / 1000;
  return { ...settings, durationMs, keySpace: Math.ceil(seconds * DELETES_PER_SECOND_MAX) };
}

/** The step of the targets that these numbers make, or a name that no target has. */
function idOf(workload: SingleWorkload, settings: Settings): string {
  const { clients, connections, valueBytes, ratePerSecond, serializable, prefix } = settings;
  const { watchKeys, watchersPerKey } = settings;
  const crowd = clients === 1000 && connections === 100 && valueBytes === 256 && ratePerSecond === 0;
  const alone = clients === 1 && valueBytes === 256 && ratePerSecond === 0;
  const among = `${workload}-${clients}`;
  switch (workload) {
    case 'put':
      return alone ? 'put-1' : crowd ? 'put' : ratePerSecond > 0 ? 'put-open' : among;
    case 'range':
      return prefix ? 'range-prefix' : crowd ? (serializable ? 'range-s' : 'range-l') : among;
    case 'watch':
      return `watch-${watchKeys}x${watchersPerKey}`;
    case 'txn':
    case 'delete':
    case 'lease-keepalive':
      return crowd ? workload : among;
    default:
      return workload;
  }
}

/** One workload with the numbers given. */
export function onePlan(workload: SingleWorkload, options: BenchOptions): Plan {
  const { given } = options;
  let { settings } = options;
  const watching = workload === 'watch' || workload === 'watch-latency';
  if (watching && !given.has('clients')) settings = { ...settings, clients: WATCH_WRITES };
  if (watching && !given.has('conns')) settings = { ...settings, connections: settings.watchStreams };
  if (workload === 'watch-latency') {
    if (!given.has('rate')) settings = { ...settings, ratePerSecond: WATCH_RATE };
    if (!given.has('watchers')) settings = { ...settings, watchersPerKey: 1 };
  }
  if (workload === 'growth' && !given.has('clients')) {
    settings = { ...settings, clients: 100, connections: 10 };
  }
  if (workload === 'list' && !given.has('clients')) {
    settings = { ...settings, clients: LIST_CLIENTS, connections: LIST_CLIENTS };
  }
  if (workload === 'delete' && !given.has('key-space-size')) {
    settings = settings.total === Infinity ? deleting(settings) : { ...settings, keySpace: settings.total };
  }
  return { id: workload, steps: [step(idOf(workload, settings), workload, RUNS[workload], settings)] };
}

interface Loads {
  readonly base: Settings;
  readonly all: readonly Step[];
}

/** The steps that need seconds. */
function loads(options: BenchOptions): Loads {
  const { given, short } = options;
  const or = (name: string, value: number, otherwise: number): number =>
    given.has(name) ? value : otherwise;
  const base: Settings = {
    ...options.settings,
    durationMs: or('duration', options.settings.durationMs, short ? 3000 : 10_000),
    warmupMs: or('warmup', options.settings.warmupMs, 2000),
    keys: options.settings.keys,
    total: Infinity,
    ratePerSecond: 0,
  };
  // What has no target is shown, in the short suite from one glance a side.
  const glance: Partial<Settings> = short
    ? { durationMs: Math.min(base.durationMs, 1500), warmupMs: 500 }
    : {};
  const alone: Settings = { ...base, clients: 1, connections: 1 };
  const quick: Settings = { ...base, clients: 100, connections: 10 };
  const watch: Settings = { ...base, clients: WATCH_WRITES, connections: 10, watchStreams: 10 };
  const many = `${base.clients} clients`;
  const aside = (id: string, title: string, run: Run, settings: Settings): Step => ({
    ...step(id, title, run, { ...settings, ...glance }),
    once: short,
  });
  const { put, range } = RUNS;
  return {
    base,
    all: [
      step(COLD_STEP, 'from nothing to the first put', RUNS['first-put'], base),
      step('put-1', 'put, 1 client', put, alone),
      step('put', `put, ${many}`, put, base),
      aside('put-open', 'put, 500 a second (open loop)', put, { ...quick, ratePerSecond: 500 }),
      step('range-l', `get linearizable, ${many}`, range, { ...base, serializable: false }),
      step('range-s', `get serializable, ${many}`, range, { ...base, serializable: true }),
      aside('range-prefix', 'list 100 keys, 100 clients', range, { ...quick, prefix: true }),
      step('txn', `compare and put, ${many}`, RUNS.txn, base),
      aside('mixed', '80 % gets, 20 % puts', RUNS.mixed, base),
      step('watch-1x1000', 'watch, 1 key × 1000 watchers', RUNS.watch, {
        ...watch,
        watchKeys: 1,
        watchersPerKey: 1000,
      }),
      step('watch-100x100', 'watch, 100 keys × 100 watchers', RUNS.watch, {
        ...watch,
        watchKeys: 100,
        watchersPerKey: 100,
      }),
      aside('watch-latency', 'watch, 100 writes a second, 1 watcher', RUNS.watch, {
        ...watch,
        watchKeys: 1,
        watchersPerKey: 1,
        ratePerSecond: WATCH_RATE,
      }),
      aside('lease-grant', 'lease grant, 100 clients', RUNS['lease-grant'], quick),
      step('lease-keepalive', `lease keep-alive, ${many}`, RUNS['lease-keepalive'], base),
      // The last: what it must load first is the most.
      step('delete', `delete, ${many}`, RUNS.delete, deleting(base)),
    ],
  };
}

/** Steps of the long suite that share a fresh cluster; what stands in no group has its own. */
const GROUPS: readonly (readonly string[])[] = [
  [COLD_STEP],
  ['put-1', 'put', 'put-open'],
  ['range-l', 'range-s', 'range-prefix'],
  ['txn', 'mixed', 'delete'],
  ['watch-1x1000', 'watch-100x100', 'watch-latency'],
  ['lease-grant', 'lease-keepalive'],
];

/** What takes a large store, or several loads to compare with each other. */
function large({ base }: Loads): Plan[] {
  const quick: Settings = { ...base, clients: 100, connections: 10 };
  const grown: Settings = { ...quick, durationMs: Math.min(base.durationMs, 3000) };
  const keys = base.keys.toLocaleString('en');
  return [
    {
      id: 'keys',
      steps: [
        step('memory', `memory with ${keys} keys`, RUNS.memory, base),
        step('restart', `restart with ${keys} keys`, runRestartOnly, base),
      ],
    },
    { id: 'growth', steps: [step('growth', `growth to ${keys} keys`, RUNS.growth, grown)] },
    {
      id: 'costs',
      steps: [
        step('list', 'lists of 100, 1,000 and 10,000 keys', RUNS.list, {
          ...grown,
          clients: LIST_CLIENTS,
          connections: LIST_CLIENTS,
        }),
        step('idle-watchers', 'put beside 10,000 idle watchers', RUNS['idle-watchers'], grown),
      ],
    },
  ];
}

/** Everything the targets ask for; `--short`: what can be judged in seconds. */
export function suitePlans(options: BenchOptions): Plan[] {
  const made = loads(options);
  if (options.short) {
    const plan: Plan = { id: 'short', steps: made.all, together: true };
    return chosen([plan], options, large(made));
  }
  const groups = GROUPS.map((ids): Plan => {
    const steps = ids.flatMap((id) => made.all.filter((one) => one.id === id));
    return { id: ids[0], steps };
  });
  return chosen([...groups, ...large(made)], options, []);
}

/** Of the suite what a large store is asked for: starting, memory, restart, growth, and costs by size. */
export function millionPlans(options: BenchOptions): Plan[] {
  const made = loads(options);
  const cold = made.all.filter(({ id }) => id === COLD_STEP);
  return chosen([{ id: COLD_STEP, steps: cold }, ...large(made)], options, []);
}

/** @param more plans that only --steps can ask for. @throws OptionError for a step that does not exist */
function chosen(plans: readonly Plan[], { steps: wanted }: BenchOptions, more: readonly Plan[]): Plan[] {
  if (wanted.length === 0) return plans.filter(({ steps }) => steps.length > 0);
  const all = [...plans, ...more];
  const known = new Set(all.flatMap(({ steps }) => steps.map(({ id }) => id)));
  for (const id of wanted) {
    if (!known.has(id)) throw new OptionError(`no step ${id}; there are ${[...known].join(', ')}`);
  }
  return all
    .map((plan) => ({ ...plan, steps: plan.steps.filter(({ id }) => wanted.includes(id)) }))
    .filter(({ steps }) => steps.length > 0);
}

/** Put and get, carried by each client transport; the servers' transports are the sides. */
export function transportPlans(options: BenchOptions): Plan[] {
  const { given } = options;
  const base: Settings = {
    ...options.settings,
    durationMs: given.has('duration') ? options.settings.durationMs : 3000,
    ratePerSecond: 0,
    total: Infinity,
  };
  const steps = (['native', 'grpc-js'] as const).flatMap((transport) => [
    step(`put/${transport}`, `put, ${transport} generator`, RUNS.put, { ...base, transport }),
    step(`range-l/${transport}`, `get, ${transport} generator`, RUNS.range, { ...base, transport }),
  ]);
  return [{ id: 'transports', steps, together: true }];
}
