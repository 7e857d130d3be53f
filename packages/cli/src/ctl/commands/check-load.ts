/** Puts from many clients, by the second or as fast as they go, and what is to be said of them. */
import { randomBytes } from 'node:crypto';
import { EtcdError, type Client } from '@keelson/client';

export interface Load {
  /** Each keeps one request under way. */
  readonly clients: readonly Client[];
  readonly prefix: string;
  readonly keyBytes: number;
  readonly valueBytes: number;
  /** Puts a second; Infinity: as fast as they go. */
  readonly rate: number;
  /** Ends after so many puts, or after so long, whichever comes first. */
  readonly count: number;
  readonly durationMs: number;
  readonly signal: AbortSignal;
  /** Puts so far, told now and then. */
  progress(puts: number, elapsedMs: number): void;
}

export interface LoadReport {
  readonly puts: number;
  readonly perSecond: number;
  readonly slowestSeconds: number;
  readonly stddevSeconds: number;
  readonly errors: ReadonlyMap<string, number>;
}

/** Eight random bytes make a key unique; the rest only makes it long. */
const UNIQUE_BYTES = 8;

export async function runLoad(load: Load): Promise<LoadReport> {
  const startMs = performance.now();
  const until = startMs + load.durationMs;
  const value = Buffer.alloc(load.valueBytes);
  const prefix = Buffer.from(load.prefix, 'utf8');
  const errors = new Map<string, number>();
  const seconds: number[] = [];
  let started = 0;
  /** When put number n is due, so that the rate holds on average whatever one of them takes. */
  const dueMs = (number: number): number => startMs + (number * 1000) / load.rate;

  const one = async (client: Client): Promise<void> => {
    const key = Buffer.alloc(prefix.length + load.keyBytes);
    prefix.copy(key);
    randomBytes(UNIQUE_BYTES).copy(key, prefix.length);
    const atMs = performance.now();
    try {
      await client.kv.put(key, value);
    } catch (error) {
      if (!(error instanceof EtcdError)) throw error;
      errors.set(error.message, (errors.get(error.message) ?? 0) + 1);
      return;
    }
    seconds.push((performance.now() - atMs) / 1000);
  };
  const worker = async (client: Client): Promise<void> => {
    while (started < load.count && !load.signal.aborted) {
      const due = dueMs(started++);
      if (Math.max(due, performance.now()) >= until) return;
      const waitMs = due - performance.now();
      if (waitMs > 0) await sleep(waitMs);
      await one(client);
    }
  };
  const timer = setInterval(() => load.progress(seconds.length, performance.now() - startMs), 200);
  try {
    await Promise.all(load.clients.map(worker));
  } finally {
    clearInterval(timer);
  }
  return report(seconds, (performance.now() - startMs) / 1000, errors);
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function report(
  seconds: readonly number[],
  tookSeconds: number,
  errors: ReadonlyMap<string, number>,
): LoadReport {
  const count = seconds.length;
  let sum = 0;
  let slowestSeconds = 0;
  for (const each of seconds) {
    sum += each;
    slowestSeconds = Math.max(slowestSeconds, each);
  }
  const mean = count === 0 ? 0 : sum / count;
  let squares = 0;
  for (const each of seconds) squares += (each - mean) ** 2;
  return {
    puts: count,
    perSecond: tookSeconds === 0 ? 0 : count / tookSeconds,
    slowestSeconds,
    stddevSeconds: count === 0 ? 0 : Math.sqrt(squares / count),
    errors,
  };
}
