/**
 * How long three members take from nothing to the first successful put: the processes are spawned on empty
 * directories, and puts are sent to all of them until one is acknowledged.
 *
 *   node tests/robustness/first-put.ts --rounds 10 [--server PATH|reference]
 */
import { ProcessCluster } from '../harness/process-cluster.ts';
import { main, type Say } from '../harness/script.ts';
import { inWords, summarize, type Summary } from '../harness/statistics.ts';
import { pause } from '../harness/waiting.ts';

export interface FirstPutOptions {
  readonly binary: string;
  readonly rounds: number;
  readonly flags: readonly string[];
}

export interface FirstPutReport {
  readonly firstPutMs: Summary;
  /** Until a linearizable read works on every member. */
  readonly allReadyMs: Summary;
  readonly lines: string[];
}

const GIVE_UP_MS = 30_000;

export async function firstPut(options: FirstPutOptions, say: Say): Promise<FirstPutReport> {
  const firstMs: number[] = [];
  const allMs: number[] = [];
  for (let round = 1; round <= options.rounds; round++) {
    await using cluster = await ProcessCluster.prepare({ binary: options.binary, flags: options.flags });
    const startMs = performance.now();
    for (const member of cluster.members) member.start();
    firstMs.push(await firstAcknowledged(cluster, startMs));
    await cluster.healthy();
    allMs.push(performance.now() - startMs);
    say(
      `round ${round}/${options.rounds}: first put after ${firstMs.at(-1)?.toFixed(0)} ms, all serve after ${allMs.at(-1)?.toFixed(0)} ms`,
    );
  }
  const firstPutMs = summarize(firstMs);
  const allReadyMs = summarize(allMs);
  return {
    firstPutMs,
    allReadyMs,
    lines: [
      `first put   ${inWords(firstPutMs, 'ms')} after the three processes were spawned on empty directories`,
      `all serve   ${inWords(allReadyMs, 'ms')}: ready line printed and a linearizable read answered by each`,
    ],
  };
}

/** One loop of puts for each member; the first acknowledgement of any of them counts. */
async function firstAcknowledged(cluster: ProcessCluster, startMs: number): Promise<number> {
  let firstMs: number | undefined;
  await Promise.all(
    cluster.members.map(async (_, i) => {
      for (let n = 0; firstMs === undefined; n++) {
        if (performance.now() - startMs > GIVE_UP_MS) {
          throw new Error(`no put within ${GIVE_UP_MS} ms\n${cluster.logTails()}`);
        }
        try {
          await cluster.api(i).put(`first/${i}/${n}`, 'x', GIVE_UP_MS);
          firstMs ??= performance.now() - startMs;
        } catch {
          await pause(5);
        }
      }
    }),
  );
  return firstMs ?? GIVE_UP_MS;
}

if (import.meta.main) {
  await main('first-put', { values: ['rounds'] }, async (args, say) => {
    const options = { binary: args.binary, rounds: args.number('rounds', 5), flags: args.flags };
    return (await firstPut(options, say)).lines;
  });
}
