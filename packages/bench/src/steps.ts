/**
 * The steps a benchmark is made of: each one load with its preparation, or one thing done to a cluster. Which of
 * them run, in what order and with which numbers is a plan's business (plans.ts).
 */
import { etcdserverpb, services } from '@keelson/proto';
import { keepAliveLoad, grantCall } from './lease-load.ts';
import { Keys } from './keys.ts';
import { deleteCall, listCall, mixedCall, preload, putCall, rangeCall, txnCall } from './kv-load.ts';
import type { Call } from './load.ts';
import { measureCalls, single, type Measured } from './measured.ts';
import type { Settings, Workload } from './options.ts';
import type { Progress } from './progress.ts';
import { Cluster, type ServerUsage, type Subject } from './servers.ts';
import { Connections } from './transport.ts';
import { measureWatch } from './watch-load.ts';

export type Run = (subject: Subject, settings: Settings, progress: Progress) => Promise<Measured>;

/** Opens connections, loads the key space if asked, measures the call. */
function calls(
  make: (connections: Connections, keys: Keys, settings: Settings) => Call,
  loaded: boolean,
): Run {
  return async (subject, settings, progress) => {
    const connections = await Connections.open(settings.transport, subject, settings.connections);
    try {
      const keys = new Keys(settings);
      if (loaded) await preload(connections, keys, 0, settings.keySpace, progress);
      return await measureCalls(subject, settings, make(connections, keys, settings), progress);
    } finally {
      connections.close();
    }
  };
}

/**
 * Every call deletes a key of its own, and the window closes early when they are used up. With a given number of
 * deletes there is no warm-up: it would take of them.
 */
const runDelete: Run = async (subject, settings, progress) => {
  const counted = settings.total !== Infinity;
  const total = Math.min(settings.total, settings.keySpace);
  const limits = counted ? { total, warmupMs: 0, durationMs: Infinity } : {};
  const once = { ...settings, ...limits, calls: settings.keySpace };
  const connections = await Connections.open(settings.transport, subject, settings.connections);
  try {
    const keys = new Keys(settings);
    await preload(connections, keys, 0, settings.keySpace, progress);
    const measured = await measureCalls(subject, once, deleteCall(connections, keys), progress);
    if (measured.completed > 0 || Object.keys(measured.errors).length > 0) return measured;
    throw new Error(
      `${settings.keySpace} keys were deleted before the warm-up ended: raise --key-space-size`,
    );
  } finally {
    connections.close();
  }
};

const runKeepAlive: Run = async (subject, settings, progress) => {
  const connections = await Connections.open(settings.transport, subject, settings.connections);
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
  const connections = await Connections.open(settings.transport, subject, 8);
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
export const runRestartOnly: Run = (subject, settings) => restart(ownCluster(subject), settings);

/** The sizes of a growth run: powers of ten from 1,000 up to and including `keys`. */
export function growthSizes(keys: number): number[] {
  const sizes: number[] = [];
  for (let size = 1000; size < keys; size *= 10) sizes.push(size);
  return [...sizes, keys];
}

/** Keys that the value cache holds at any size of the store. */
const HOT_KEYS = 1000;

/** The cost of a put, of a get of any key (cold, when there are many) and of a hot one, as the store grows. */
const runGrowth: Run = async (subject, settings, progress) => {
  const extra: Record<string, number> = {};
  let stored = 0;
  let last: Measured | undefined;
  const sizes = growthSizes(settings.keys);
  for (const size of sizes) {
    const sized: Settings = { ...settings, keys: size, keySpace: size };
    await store(subject, sized, stored, progress);
    stored = size;
    const connections = await Connections.open(settings.transport, subject, settings.connections);
    try {
      const keys = new Keys(sized);
      const hot = new Keys({ ...sized, keySpace: Math.min(HOT_KEYS, size) });
      for (const [name, call] of [
        ['put', putCall(connections, keys)],
        ['getCold', rangeCall(connections, keys, sized)],
        ['getHot', rangeCall(connections, hot, sized)],
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
  for (const name of ['put', 'getCold', 'getHot']) {
    extra[`${name}CostRatio`] =
      (extra[`${name}CpuUs@${largest}`] ?? 0) / (extra[`${name}CpuUs@${first}`] || 1);
  }
  return { ...(last ?? single(subject, 0, {})), extra: { ...extra, keys: largest } };
};

/** A list may be longer than this only if its cost a key stays the same. */
const LIST_SIZES = [100, 1000, 10_000] as const;

/** What a key costs in lists of a hundred, a thousand and ten thousand. */
const runList: Run = async (subject, settings, progress) => {
  const extra: Record<string, number> = {};
  const keySpace = 2 * Math.max(...LIST_SIZES);
  const connections = await Connections.open(settings.transport, subject, settings.connections);
  let last: Measured | undefined;
  try {
    const keys = new Keys({ ...settings, keySpace });
    await preload(connections, keys, 0, keySpace, progress);
    for (const size of LIST_SIZES) {
      last = await measureCalls(subject, settings, listCall(connections, keys, size), progress);
      extra[`listKeyCpuUs@${size}`] = (last.serverCpuUsPerCall ?? 0) / size;
      extra[`listP50Ms@${size}`] = last.latency.p50;
    }
  } finally {
    connections.close();
  }
  const cost = (size: number): number => extra[`listKeyCpuUs@${size}`] ?? 0;
  extra['listCostRatio'] = cost(LIST_SIZES[2]) / (cost(LIST_SIZES[0]) || 1);
  return { ...(last ?? single(subject, 0, {})), extra };
};

const IDLE_WATCHERS = 10_000;
const IDLE_STREAMS = 10;

/** What a put costs alone, and beside ten thousand watchers of other keys. */
const runIdleWatchers: Run = async (subject, settings, progress) => {
  const connections = await Connections.open(settings.transport, subject, settings.connections);
  const readers = await Connections.open(settings.transport, subject, IDLE_STREAMS);
  try {
    const put = putCall(connections, new Keys(settings));
    const alone = await measureCalls(subject, settings, put, progress);
    const streams = readers.channels.map((channel) => channel.bidi(services.Watch.methods.watch));
    try {
      await new Promise<void>((resolve, reject) => {
        let created = 0;
        for (const stream of streams) {
          stream.onMessage((response) => {
            if (response.created && ++created === IDLE_WATCHERS) resolve();
          });
          stream.onEnd((error) => reject(error ?? new Error('a watch stream ended')));
        }
        for (let i = 0; i < IDLE_WATCHERS; i++) {
          const createRequest = new etcdserverpb.WatchCreateRequest({ key: Buffer.from(`idle-${i}`) });
          streams[i % streams.length].write(new etcdserverpb.WatchRequest({ createRequest }));
        }
      });
      const beside = await measureCalls(subject, settings, put, progress);
      const [before, after] = [alone.serverCpuUsPerCall ?? 0, beside.serverCpuUsPerCall ?? 0];
      const extra = {
        putCpuUsAlone: before,
        putCpuUsBeside: after,
        idleWatchersRatio: after / (before || 1),
      };
      return { ...beside, extra };
    } finally {
      for (const stream of streams) stream.cancel();
    }
  } finally {
    connections.close();
    readers.close();
  }
};

/** Workloads of one step. */
export type SingleWorkload = Exclude<
  Workload,
  'suite' | 'million' | 'transports' | 'soak' | 'apiserver' | 'micro'
>;

export const RUNS: Readonly<Record<SingleWorkload, Run>> = {
  put: calls(putCall, false),
  range: calls(rangeCall, true),
  txn: calls(txnCall, true),
  delete: runDelete,
  mixed: calls(mixedCall, true),
  watch: measureWatch,
  'watch-latency': measureWatch,
  'lease-grant': calls((connections) => grantCall(connections), false),
  'lease-keepalive': runKeepAlive,
  'first-put': runFirstPut,
  memory: runMemory,
  restart: runRestart,
  growth: runGrowth,
  list: runList,
  'idle-watchers': runIdleWatchers,
};
