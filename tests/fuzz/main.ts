/**
 * Every parser under mutated input, as long as asked:
 *   npm run fuzz -- [--target NAME[,NAME]] [--minutes M | --execs N] [--seed S] [--ledger]
 * Targets take turns of a few seconds, so that a run that is broken off has tried them all. A worker executes and this
 * thread watches: an execution that takes longer than HANG_MS, or a process that grows beyond RSS_MB_MAX, is a failure
 * like a broken promise. Stops at the first failure with the seed that repeats it.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { numberOf, scriptFlags } from '../../packages/base/test/script.ts';
import { FuzzFailure, runTarget } from '../../packages/base/test/fuzz/runner.ts';
import { targets } from './targets.ts';

/** Far above the slowest execution (a conversation of 2,000 frames on a loaded machine: 0.5 s). */
const HANG_MS = 30_000;
const RSS_MB_MAX = 2048;
/** One target's turn. */
const TURN_MS = 5_000;

interface Job {
  readonly names: readonly string[];
  readonly seed: number;
  readonly executions: number;
  readonly minutes: number;
  /** [0]: executions begun, [1]: seed of the one under way, [2]: place of its target in `names`. */
  readonly alive: SharedArrayBuffer;
}

interface Total {
  executions: number;
  elapsedMs: number;
  outcomes: Map<string, number>;
}

/** The targets whose names are given, or all. @throws Error for a name that is none */
function chosen(names: string | undefined): string[] {
  const known = targets.map(({ name }) => name);
  if (names === undefined) return known;
  const wanted = names.split(',');
  for (const name of wanted)
    if (!known.includes(name)) throw new Error(`there is no target ${name}; there are ${known.join(', ')}`);
  return wanted;
}

/** In the worker: turns of targets until the job's bound. */
async function execute(job: Job): Promise<void> {
  const alive = new Uint32Array(job.alive);
  const nowMs = (): number => performance.now();
  const endMs = nowMs() + job.minutes * 60_000;
  const totals = new Map<string, Total>(
    job.names.map((name) => [name, { executions: 0, elapsedMs: 0, outcomes: new Map() }]),
  );
  for (let turn = 0, left = job.names.length; left > 0 && nowMs() < endMs; turn++) {
    const place = turn % job.names.length;
    const target = targets.find(({ name }) => name === job.names[place])!;
    const total = totals.get(target.name)!;
    if (total.executions >= job.executions) {
      left--;
      continue;
    }
    left = job.names.length;
    alive[2] = place;
    const run = await runTarget(target, {
      seed: job.seed + total.executions,
      executions: job.executions - total.executions,
      endMs: Math.min(endMs, nowMs() + TURN_MS),
      nowMs,
      begin: (seed) => {
        alive[1] = seed;
        alive[0]++;
      },
    });
    total.executions += run.executions;
    total.elapsedMs += run.elapsedMs;
    for (const [outcome, count] of run.outcomes)
      total.outcomes.set(outcome, (total.outcomes.get(outcome) ?? 0) + count);
  }
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port, not a window
  parentPort?.postMessage(totals);
}

/** Runs the job in a worker and watches it. @throws FuzzFailure or the worker's error */
function watched(job: Job): Promise<ReadonlyMap<string, Total>> {
  const alive = new Uint32Array(job.alive);
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: job });
    let seen = -1;
    let seenMs = performance.now();
    const timer = setInterval(() => {
      const nowMs = performance.now();
      const name = job.names[alive[2]] ?? '';
      const rssMb = process.memoryUsage.rss() / 1e6;
      if (alive[0] !== seen) {
        seen = alive[0];
        seenMs = nowMs;
      } else if (seen > 0 && nowMs - seenMs > HANG_MS)
        fail(new FuzzFailure(name, alive[1], new Error(`hangs for ${Math.round(nowMs - seenMs)} ms`)));
      if (rssMb > RSS_MB_MAX) fail(new FuzzFailure(name, alive[1], new Error(`${Math.round(rssMb)} MB`)));
    }, 1000);
    const fail = (error: unknown): void => {
      clearInterval(timer);
      void worker.terminate();
      reject(error instanceof Error ? error : new Error(String(error)));
    };
    worker.on('message', (totals: ReadonlyMap<string, Total>) => {
      clearInterval(timer);
      resolve(totals);
    });
    worker.on('error', fail);
    worker.on('exit', (code) => {
      if (code !== 0)
        fail(new FuzzFailure(job.names[alive[2]] ?? '', alive[1], new Error(`exit code ${code}`)));
    });
  });
}

async function main(): Promise<number> {
  const values = scriptFlags(import.meta.filename, {
    target: { type: 'string' },
    minutes: { type: 'string' },
    execs: { type: 'string' },
    seed: { type: 'string', default: `${Date.now() % 0x7fff_ffff}` },
    ledger: { type: 'boolean', default: false },
  });
  const bounded = values.execs !== undefined;
  const job: Job = {
    names: chosen(values.target),
    seed: numberOf('seed', values.seed),
    executions: bounded ? numberOf('execs', values.execs ?? '') : Infinity,
    minutes: values.minutes === undefined ? (bounded ? Infinity : 1) : numberOf('minutes', values.minutes),
    alive: new SharedArrayBuffer(12),
  };
  process.stdout.write(`seed ${job.seed}\n`);
  let totals: ReadonlyMap<string, Total>;
  try {
    totals = await watched(job);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    if (error instanceof Error && error.cause instanceof Error)
      process.stderr.write(`${error.cause.stack}\n`);
    return 1;
  }
  let sum = 0;
  for (const [name, { executions, elapsedMs, outcomes }] of totals) {
    sum += executions;
    const rate = Math.round(executions / Math.max(elapsedMs / 1000, 1e-3));
    const sorted = [...outcomes]
      .sort(([, a], [, b]) => b - a)
      .map(([outcome, count]) => `${outcome} ${count}`);
    process.stdout.write(`${name}: ${executions} executions, ${rate}/s; ${sorted.slice(0, 12).join(', ')}\n`);
  }
  process.stdout.write(`${sum} executions of ${totals.size} targets, no promise broken\n`);
  if (values.ledger)
    for (const [name, { executions, elapsedMs }] of totals)
      process.stdout.write(
        `| ${name} | ${executions} | ${(elapsedMs / 60_000).toFixed(1)} | ${job.seed} | none |\n`,
      );
  return 0;
}

if (!isMainThread) await execute(workerData as Job);
else if (import.meta.main) process.exitCode = await main();
