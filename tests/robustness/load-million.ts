/**
 * Loads many keys through the client with bounded concurrency, and watches whether anything grows that should
 * not: latency by the hundred thousand keys, resident memory of each member over time. Then a member is
 * restarted, and the time until it serves and until it has caught up is taken; then all of them.
 *
 *   node tests/robustness/load-million.ts --keys 1000000 --value-bytes 256 [--concurrency 256] [--server PATH|reference]
 */
import { Client } from '@keelson/client';
import { Prng } from '@keelson/base';
import { memoryOf, memoryText, type Memory } from '../harness/memory.ts';
import { ProcessCluster } from '../harness/process-cluster.ts';
import { main, type Say } from '../harness/script.ts';
import { inWords, summarize, type Summary } from '../harness/statistics.ts';
import { waitUntil } from '../harness/waiting.ts';

export interface LoadMillionOptions {
  readonly binary: string;
  readonly keys: number;
  readonly valueBytes: number;
  /** Puts in flight, over all clients. */
  readonly concurrency: number;
  /** Keys of which latency is summed up together. */
  readonly stepKeys: number;
  readonly seed: number;
  readonly flags: readonly string[];
}

export interface LoadMillionReport {
  readonly putsPerSecond: number;
  /** For every `stepKeys` keys, in order. */
  readonly steps: readonly { readonly latencyMs: Summary; readonly putsPerSecond: number }[];
  /** By member, at the end of the load. */
  readonly memory: readonly (Memory | undefined)[];
  readonly restartMs: number;
  readonly lines: string[];
}

const PREFIX = 'load/';
const POOL_BYTES = 4 * 1024 * 1024;

export async function loadMillion(options: LoadMillionOptions, say: Say): Promise<LoadMillionReport> {
  await using cluster = await ProcessCluster.start({ binary: options.binary, flags: options.flags });
  try {
    return await run(cluster, options, say);
  } catch (error) {
    throw new Error(`${String(error)}\n${cluster.logTails()}`, { cause: error });
  }
}

async function run(
  cluster: ProcessCluster,
  options: LoadMillionOptions,
  say: Say,
): Promise<LoadMillionReport> {
  const lines: string[] = [];
  const note = (line: string): void => {
    lines.push(line);
    say(line);
  };
  const memoryLine = (): string =>
    cluster.members.map((member) => `${member.name} ${memoryText(memoryOf(member.pid))}`).join(', ');
  note(`memory      before: ${memoryLine()}`);

  const load = await loadAll(cluster, options, (step, done) => {
    const latency = inWords(step.latencyMs, 'ms', 1);
    note(`${String(done).padStart(9)} keys  ${step.putsPerSecond.toFixed(0)} puts/s, ${latency}`);
    note(`           memory ${memoryLine()}`);
  });
  const memory = cluster.members.map((member) => memoryOf(member.pid));
  note(
    `load        ${options.keys} keys of ${options.valueBytes} B, ${options.concurrency} in flight: ${load.putsPerSecond.toFixed(0)} puts/s`,
  );

  const status = await cluster.api(0).status();
  note(
    `size        ${(status.dbSize / 1e6).toFixed(0)} MB backend, ${(status.dbSizeInUse / 1e6).toFixed(0)} MB in use`,
  );
  await checkCount(cluster, options);

  const follower = ((await cluster.leader()) + 1) % 3;
  const member = cluster.members[follower];
  await member.stop();
  const restartMs = await timeToServe(cluster, follower, () => member.start());
  const behindMs = await cluster.caughtUp(follower);
  note(
    `restart     ${member.name} served a read ${restartMs.toFixed(0)} ms after its start and had caught up ${behindMs.toFixed(0)} ms later`,
  );

  await Promise.all(cluster.members.map((each) => each.stop()));
  const startMs = performance.now();
  for (const each of cluster.members) each.start();
  await waitUntil('a put works again', { timeoutMs: 120_000, everyMs: 5 }, () =>
    cluster.api(0).put('after', 'restart', 2000),
  );
  note(
    `restart     all three: the first put worked ${(performance.now() - startMs).toFixed(0)} ms after their start`,
  );
  await cluster.healthy(120_000);
  await checkCount(cluster, options);
  note(`memory      after the restart: ${memoryLine()}`);
  return { putsPerSecond: load.putsPerSecond, steps: load.steps, memory, restartMs, lines };
}

type Step = LoadMillionReport['steps'][number];

/** One client for each member, so that all three serve. */
async function loadAll(
  cluster: ProcessCluster,
  options: LoadMillionOptions,
  stepDone: (step: Step, keys: number) => void,
): Promise<{ putsPerSecond: number; steps: Step[] }> {
  const clients = cluster.addresses.map(
    (address) => new Client({ endpoints: [address], requestTimeoutMs: 60_000 }),
  );
  const steps: Step[] = [];
  const prng = new Prng(options.seed);
  // Cut from a pool at random, so that no two neighbours are alike: a backend may compress.
  const pool = Buffer.from(Uint32Array.from({ length: POOL_BYTES / 4 }, () => prng.uint32()).buffer);
  const valueOf = (): Buffer => {
    const from = prng.below(POOL_BYTES - options.valueBytes);
    return pool.subarray(from, from + options.valueBytes);
  };
  let next = 0;
  let latencies: number[] = [];
  const startMs = performance.now();
  let stepStartMs = startMs;
  const worker = async (client: Client): Promise<void> => {
    while (next < options.keys) {
      const i = next++;
      const putMs = performance.now();
      await client.kv.put(keyOf(i), valueOf());
      const nowMs = performance.now();
      latencies.push(nowMs - putMs);
      if (latencies.length < options.stepKeys) continue;
      const step = {
        latencyMs: summarize(latencies),
        putsPerSecond: (latencies.length * 1000) / (nowMs - stepStartMs),
      };
      steps.push(step);
      latencies = [];
      stepStartMs = nowMs;
      stepDone(step, steps.length * options.stepKeys);
    }
  };
  try {
    await Promise.all(
      Array.from({ length: options.concurrency }, (_, i) => worker(clients[i % clients.length])),
    );
  } finally {
    for (const client of clients) client.close();
  }
  return { putsPerSecond: (options.keys * 1000) / (performance.now() - startMs), steps };
}

/** Spread, so that the index is not only appended to. */
function keyOf(i: number): string {
  return `${PREFIX}${(Math.imul(i, 0x9e37_79b1) >>> 0).toString(16).padStart(8, '0')}/${i}`;
}

async function timeToServe(cluster: ProcessCluster, index: number, start: () => void): Promise<number> {
  const startMs = performance.now();
  start();
  await waitUntil('it serves a read', { timeoutMs: 120_000, everyMs: 5 }, () => {
    cluster.members[index].assertRuns();
    return cluster.api(index).revision({ serializable: true, timeoutMs: 5000 });
  });
  return performance.now() - startMs;
}

/** Every member counts all keys, and a sample of them is right. */
async function checkCount(cluster: ProcessCluster, options: LoadMillionOptions): Promise<void> {
  for (const [i, member] of cluster.members.entries()) {
    const { count } = await cluster
      .api(i)
      .range({ key: Buffer.from(PREFIX), rangeEnd: Buffer.from('load0'), countOnly: true }, 60_000);
    if (count !== options.keys) throw new Error(`${member.name} has ${count} of ${options.keys} keys`);
  }
  const prng = new Prng(options.seed + 1);
  for (let n = 0; n < 100; n++) {
    const key = keyOf(prng.below(options.keys));
    const { kvs } = await cluster.api(n % 3).range({ key: Buffer.from(key) });
    if (kvs[0]?.value.length !== options.valueBytes) throw new Error(`${key} is missing or wrong`);
  }
}

if (import.meta.main) {
  await main(
    'load-million',
    { values: ['keys', 'value-bytes', 'concurrency', 'step-keys'] },
    async (args, say) => {
      const keys = args.number('keys', 20_000);
      const report = await loadMillion(
        {
          binary: args.binary,
          keys,
          valueBytes: args.number('value-bytes', 256),
          concurrency: args.number('concurrency', 256),
          stepKeys: args.number('step-keys', Math.min(100_000, keys)),
          seed: args.seed,
          flags: args.flags,
        },
        say,
      );
      return report.lines;
    },
  );
}
