/**
 * The n-th call of a member's disk fails, or the member is killed there: strace does it to the whole program. Whatever
 * was acknowledged is there when it is started again; a member whose disk failed has ended with a line that says so.
 */
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { EtcdError, type Client } from '@keelson/client';
import { scratch } from './real-images.ts';
import { TracedMember } from './traced-member.ts';

export interface Injection {
  /** As strace has it: 'fdatasync', 'pwrite64,pwritev' … */
  readonly calls: string;
  readonly effect: 'error=EIO' | 'error=ENOSPC' | 'signal=KILL';
  /** Of each thread, counted from 1. */
  readonly n: number;
}

const SYNCS = 'fdatasync,fsync';
const WRITES = 'pwrite64,pwritev';
const RENAMES = 'rename,renameat,renameat2';
const REMOVALS = 'unlink,unlinkat,rmdir';
const CUTS = 'ftruncate';
const NEW = 'mkdir,mkdirat';

/** Kinds, in an order in which the first few are already of many kinds. */
const KINDS: readonly (readonly [calls: string, effect: Injection['effect'], most: number])[] = [
  [SYNCS, 'error=EIO', 90],
  [WRITES, 'error=ENOSPC', 60],
  [SYNCS, 'signal=KILL', 90],
  [RENAMES, 'error=EIO', 12],
  [WRITES, 'signal=KILL', 60],
  [REMOVALS, 'signal=KILL', 12],
  [WRITES, 'error=EIO', 60],
  [RENAMES, 'signal=KILL', 12],
  [REMOVALS, 'error=EIO', 12],
  [RENAMES, 'error=ENOSPC', 12],
  [SYNCS, 'error=ENOSPC', 90],
  [NEW, 'error=ENOSPC', 5],
  [CUTS, 'error=EIO', 3],
  [NEW, 'signal=KILL', 5],
];

/** Injections without end, of all kinds in turn; the n-th calls are spread over the script. */
export function* injections(): Generator<Injection> {
  for (let round = 0; ; round++)
    for (const [calls, effect, most] of KINDS) yield { calls, effect, n: 1 + ((5 + round * 7) % most) };
}

export interface InjectResult {
  tried: number;
  /** The call was reached. */
  hit: number;
  acknowledged: number;
  readonly failures: string[];
}

const OPERATIONS = 40;

/** @param points how many @param untilMs Date.now() at which to end */
export async function injected(points: number, untilMs: number): Promise<InjectResult> {
  const result: InjectResult = { tried: 0, hit: 0, acknowledged: 0, failures: [] };
  for (const injection of injections()) {
    if (result.tried >= points || Date.now() > untilMs) return result;
    result.tried++;
    await tryOne(injection, result);
  }
  return result;
}

/** What was proposed under a key, and at which revision it was acknowledged. */
interface Proposed {
  readonly key: string;
  readonly value: string;
  revision: number | undefined;
}

async function tryOne({ calls, effect, n }: Injection, result: InjectResult): Promise<void> {
  const home = await scratch();
  const member = await TracedMember.in(home);
  const failed = (what: string): void =>
    void result.failures.push(`${calls}:${effect}:when=${n}: ${what}\n${member.log.slice(-1500)}`);
  try {
    member.start([
      '-f',
      '-e',
      'signal=none',
      '-e',
      `trace=${calls}`,
      '-e',
      `inject=${calls}:${effect}:when=${n}`,
    ]);
    const proposed: Proposed[] = [];
    if (await member.ready()) await putAll(member.client(), proposed);
    const hit = effect === 'signal=KILL' ? await isGone(member) : /\(INJECTED\)/.test(traceOf(home));
    if (hit) result.hit++;
    if (hit && calls === SYNCS) {
      // What was not made durable is not known to be on the disk: it ends by itself, and at once.
      const ended = await isGone(member, 10_000);
      if (!ended) failed('a sync failed, and it goes on');
    }
    if (hit && effect !== 'signal=KILL') {
      const ended = await member.end('SIGTERM');
      // A call that was not for data (a table that is no longer used, say) may fail without harm.
      if (ended?.signal === null && ended.code !== 0 && member.fatalLine === undefined)
        failed(`it ended with ${ended.code} and without a line that says why`);
    } else await member.end('SIGKILL');
    result.acknowledged += proposed.filter((each) => each.revision !== undefined).length;

    member.start();
    if (!(await member.ready())) {
      failed('it does not start again');
      return;
    }
    const wrong = await compareAll(member.client(), proposed);
    if (wrong !== undefined) failed(wrong);
  } finally {
    await member.end('SIGKILL');
    await rm(home, { recursive: true, force: true });
  }
}

function traceOf(home: string): string {
  return readFileSync(path.join(home, 'trace.0'), 'latin1');
}

async function isGone(member: TracedMember, withinMs = 100): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), withinMs);
  });
  const gone = await Promise.race([member.exited().then(() => true), late]);
  clearTimeout(timer);
  return gone;
}

/** Until one is not answered: from then on nobody knows. */
async function putAll(client: Client, proposed: Proposed[]): Promise<void> {
  try {
    for (let i = 0; i < OPERATIONS; i++) {
      const put: Proposed = { key: `k${i % 7}`, value: `value ${i}`, revision: undefined };
      proposed.push(put);
      const { header } = await client.kv.put(put.key, put.value, { timeoutMs: 3_000 });
      put.revision = header?.revision;
    }
  } catch (error) {
    if (!(error instanceof EtcdError)) throw error;
  } finally {
    client.close();
  }
}

async function compareAll(client: Client, proposed: readonly Proposed[]): Promise<string | undefined> {
  try {
    const { header } = await client.kv.get('k', { prefix: true });
    const newest = header?.revision ?? 0;
    const acknowledged = proposed.filter((each) => each.revision !== undefined);
    if (newest > 1 + proposed.length) return `revision ${newest} after ${proposed.length} proposals`;
    for (const { key, value, revision } of acknowledged) {
      if (revision! > newest) return `revision ${revision} was acknowledged, the newest is ${newest}`;
      const [found] = (await client.kv.get(key, { revision: revision! })).kvs;
      if (found?.value.toString() !== value || found.modRevision !== revision)
        return `${key} at revision ${revision} is ${found?.value.toString()}, acknowledged was ${value}`;
    }
    // It serves writes again.
    await client.kv.put('k0', 'again');
    return undefined;
  } finally {
    client.close();
  }
}
