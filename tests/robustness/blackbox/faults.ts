/**
 * How each kind of fault is done to a cluster, and undone. An injector returns when its fault is over and its member has been
 * started again, though perhaps not caught up. It meets members that another fault has just ended: then there is nothing to do, and
 * the fault counts as missed.
 */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { Prng } from '@keelson/base';
import { TamperedSyncs, type SyncFault } from '../../harness/syscalls.ts';
import { pause, waitUntil } from '../../harness/waiting.ts';
import type { Field } from './field.ts';
import type { FaultKind, FaultPlan } from './plan.ts';

/** What was done, for the round's log; undefined: there was nothing to do it to. */
type Injector = (field: Field, plan: FaultPlan, prng: Prng) => Promise<string | undefined>;

const MAX_STOPPED_MS = 30_000;
const SECOND = 1000;
const CLOCK_STEPS_MS: readonly number[] = [SECOND, 60 * SECOND, 3600 * SECOND, 30 * 86_400 * SECOND];

/** @returns what was done; undefined when it met nobody */
export async function inject(field: Field, plan: FaultPlan): Promise<string | undefined> {
  const done = await INJECTORS[plan.kind](field, plan, new Prng(plan.dice));
  return done === undefined ? undefined : `${plan.kind} ${done}`;
}

/** The leader or anybody, running. */
async function target(field: Field, plan: FaultPlan, prng: Prng): Promise<number | undefined> {
  const leader = plan.leader ? await field.leader() : undefined;
  const running = field.everyone.filter((i) => field.member(i).running);
  if (leader !== undefined && running.includes(leader)) return leader;
  return running.length === 0 ? undefined : prng.pick(running);
}

const INJECTORS: Readonly<Record<FaultKind, Injector>> = {
  async killOne(field, plan, prng) {
    const at = await target(field, plan, prng);
    if (at === undefined) return undefined;
    await field.kill(at);
    await pause(plan.forMs);
    field.start(at);
    return field.name(at);
  },

  async killMajority(field, plan, prng) {
    const spared = prng.pick(field.everyone);
    const met = field.everyone.filter((i) => i !== spared);
    await Promise.all(met.map((i) => field.kill(i)));
    await pause(plan.forMs / 2);
    for (const i of met) field.start(i);
    return `all but ${field.name(spared)}`;
  },

  async killAll(field, plan) {
    await Promise.all(field.everyone.map((i) => field.kill(i)));
    await pause(plan.forMs / 8);
    for (const i of field.everyone) field.start(i);
    return '';
  },

  async pause(field, plan, prng) {
    const at = await target(field, plan, prng);
    if (at === undefined) return undefined;
    const forMs = prng.chance(1, 10) ? Math.min(plan.forMs * 3, MAX_STOPPED_MS) : plan.forMs;
    const { pid } = field.member(at);
    field.note('pause', [at]);
    field.member(at).signal('SIGSTOP');
    await pause(forMs);
    if (field.member(at).pid === pid && field.member(at).running) field.member(at).signal('SIGCONT');
    field.note('pause', [at], true);
    return `${field.name(at)} for ${forMs} ms`;
  },

  async isolate(field, plan, prng) {
    const at = await target(field, plan, prng);
    if (at === undefined) return undefined;
    field.note('isolate', [at]);
    for (const other of field.everyone) if (other !== at) field.cut(at, other);
    await pause(plan.forMs);
    for (const other of field.everyone) if (other !== at) field.join(at, other);
    field.note('isolate', [at], true);
    return `${field.name(at)} for ${plan.forMs} ms`;
  },

  async cutOneWay(field, plan, prng) {
    const at = await target(field, plan, prng);
    if (at === undefined) return undefined;
    const outward = prng.chance(1, 2);
    const met = field.everyone.filter((other) => other !== at && prng.chance(2, 3));
    field.note('cutOneWay', [at]);
    for (const other of met)
      field.network.cut(...(outward ? ([at, other] as const) : ([other, at] as const)));
    await pause(plan.forMs);
    for (const other of met)
      field.network.join(...(outward ? ([at, other] as const) : ([other, at] as const)));
    field.note('cutOneWay', [at], true);
    return `${outward ? 'from' : 'to'} ${field.name(at)}, ${met.length} links, for ${plan.forMs} ms`;
  },

  /** Two that do not hear each other, and one that hears both. */
  async bridge(field, plan, prng) {
    const middle = (await target(field, plan, prng)) ?? 0;
    const [a, b] = field.everyone.filter((i) => i !== middle);
    field.note('bridge', [a, b]);
    field.cut(a, b);
    await pause(plan.forMs);
    field.join(a, b);
    field.note('bridge', [a, b], true);
    return `over ${field.name(middle)} for ${plan.forMs} ms`;
  },

  async flap(field, plan, prng) {
    const at = await target(field, plan, prng);
    if (at === undefined) return undefined;
    const others = field.everyone.filter((i) => i !== at);
    field.note('flap', [at]);
    for (const untilMs = performance.now() + plan.forMs; performance.now() < untilMs;) {
      for (const other of others) field.cut(at, other);
      await pause(100);
      for (const other of others) field.join(at, other);
      await pause(100);
    }
    field.note('flap', [at], true);
    return `${field.name(at)} for ${plan.forMs} ms`;
  },

  async cutClients(field, plan, prng) {
    const at = await target(field, plan, prng);
    if (at === undefined) return undefined;
    field.note('cutClients', [at]);
    field.cut('clients', at);
    await pause(plan.forMs);
    field.join('clients', at);
    field.note('cutClients', [at], true);
    return `${field.name(at)} for ${plan.forMs} ms`;
  },

  /** The member may end or go on, and must be whole in the end. */
  async fullDisk(field, plan, prng) {
    const at = await target(field, plan, prng);
    if (at === undefined || field.disks.length === 0) return undefined;
    field.note('fullDisk', [at]);
    field.excused.set(at, 'its disk is full');
    const bytes = field.disks[at].fill();
    await pause(plan.forMs);
    field.disks[at].free();
    field.note('fullDisk', [at], true);
    const ended = !field.member(at).running;
    field.start(at);
    // Else nobody could write for the rest of the round. The alarm may come again when the member does.
    await field.disarm();
    return `${field.name(at)} for ${plan.forMs} ms (${bytes} bytes)${ended ? ', it ended' : ''}`;
  },

  async slowSync(field, plan, prng) {
    const delayMs = prng.pick([50, 100, 300, 1000, 5000]);
    const at = await target(field, plan, prng);
    if (at === undefined) return undefined;
    const done = await tamper(field, at, { delayMs }, plan.forMs);
    return done && `${field.name(at)} by ${delayMs} ms for ${plan.forMs} ms`;
  },

  /** It must stop, or have had nothing to sync. */
  async failSync(field, plan, prng) {
    const at = await target(field, plan, prng);
    if (at === undefined) return undefined;
    field.excused.set(at, 'its syncs fail');
    const done = await tamper(field, at, { failFrom: prng.between(1, 20) }, plan.forMs);
    const ended = !field.member(at).running;
    // Whether it knows or not: what it wrote since is not to be trusted.
    await field.kill(at);
    field.start(at);
    return done && `${field.name(at)} for ${plan.forMs} ms${ended ? ', it ended' : ''}`;
  },

  /** A member that does not run is spoilt; the others have all that was acknowledged. It refuses, or serves what is right. */
  async rot(field, plan, prng) {
    const at = await target(field, plan, prng);
    if (at === undefined) return undefined;
    field.note('rot', [at]);
    await field.kill(at);
    field.excused.set(at, 'its files are spoilt');
    await othersEqual(field, at);
    const what = spoil(field.member(at).dataDir, prng);
    if (what === undefined) {
      field.start(at);
      return undefined;
    }
    field.spoilt.add(at);
    field.start(at);
    const came = await waitUntil(`${field.name(at)} refuses or serves`, { timeoutMs: 30_000 }, async () => {
      if (!field.member(at).running) return 'it refused';
      await field.cluster.api(at).revision({ timeoutMs: 1000 });
      return 'it serves';
    });
    if (came === 'it refused') await field.replace(at, 60_000);
    else field.spoilt.delete(at);
    field.note('rot', [at], true);
    return `${field.name(at)}: ${what}: ${came}`;
  },

  async clockStep(field, plan, prng) {
    const step = prng.pick(CLOCK_STEPS_MS) * (prng.chance(1, 2) ? 1 : -1);
    const met = field.everyone.filter(() => prng.chance(1, 2));
    field.note('clockStep', met);
    for (const i of met) field.setClock(i, step);
    await pause(plan.forMs);
    if (prng.chance(1, 2)) for (const i of met) field.setClock(i, 0);
    field.note('clockStep', met, true);
    return `${met.map((i) => field.name(i)).join(' ')} by ${step / 1000} s`;
  },

  async replace(field, plan, prng) {
    const at = await target(field, plan, prng);
    if (at === undefined) return undefined;
    field.note('replace', [at]);
    field.spoilt.add(at);
    await field.replace(at, 60_000);
    field.note('replace', [at], true);
    return field.name(at);
  },

  async rollingRestart(field) {
    for (const i of field.everyone) {
      await field.stop(i);
      field.start(i);
      await waitUntil(`${field.name(i)} is back`, { timeoutMs: 10_000 }, async () =>
        field.cluster.api(i).revision({ serializable: true, timeoutMs: 500 }),
      ).catch(() => undefined); // Another fault may keep it down.
    }
    return '';
  },
};

async function tamper(field: Field, at: number, fault: SyncFault, forMs: number): Promise<true | undefined> {
  const { pid } = field.member(at);
  if (pid === undefined) return undefined;
  const name = 'delayMs' in fault ? 'slowSync' : 'failSync';
  field.note(name, [at]);
  let tampered: TamperedSyncs;
  try {
    tampered = await TamperedSyncs.of(pid, fault);
  } catch {
    return undefined; // The process has ended under its hands.
  }
  field.tampered.add(tampered);
  await Promise.race([pause(forMs), field.member(at).exited()]);
  await tampered.detach();
  field.tampered.delete(tampered);
  field.note(name, [at], true);
  return true;
}

/** Until those beside `at` have both applied what either has: no acknowledgement depends on `at` alone. */
async function othersEqual(field: Field, at: number): Promise<void> {
  const others = field.everyone.filter((i) => i !== at);
  await waitUntil('the others are equal', { timeoutMs: 30_000 }, async () => {
    for (const other of others) await field.cluster.api(other).revision({ timeoutMs: 2000 });
    return true;
  });
}

/** One file with bytes changed, zeroed or gone. @returns what; undefined: there is no such file */
function spoil(dataDir: string, prng: Prng): string | undefined {
  const files = filesBelow(dataDir).filter((file) => statSync(file).size > 64);
  if (files.length === 0) return undefined;
  const kinds = [/\.wal$/, /\.snap$/, /\/db(\/|$)/];
  const kind = prng.pick(kinds);
  const chosen = files.filter((file) => kind.test(file));
  const file = prng.pick(chosen.length === 0 ? files : chosen);
  const handle = openSync(file, 'r+');
  try {
    const end = lastUsed(handle, fstatSync(handle).size);
    const position = prng.below(Math.max(1, end));
    const how = prng.below(3);
    if (how === 0) {
      const byte = Buffer.alloc(1);
      readSync(handle, byte, 0, 1, position);
      byte[0] ^= 1 << prng.below(8);
      writeSync(handle, byte, 0, 1, position);
    } else if (how === 1) {
      const from = position - (position % 512);
      writeSync(handle, Buffer.alloc(Math.min(512, Math.max(1, end - from))), 0, undefined, from);
    } else {
      ftruncateSync(handle, position);
    }
    const did = ['a bit flipped', 'a sector zeroed', 'cut off'][how];
    return `${path.relative(dataDir, file)} ${did} at ${position} of ${end}`;
  } finally {
    closeSync(handle);
  }
}

/** Behind it a file made long in advance is all zeros. */
function lastUsed(handle: number, size: number): number {
  const block = Buffer.alloc(64 * 1024);
  for (let from = Math.max(0, size - block.length); ; from = Math.max(0, from - block.length)) {
    const read = readSync(handle, block, 0, block.length, from);
    for (let i = read - 1; i >= 0; i--) if (block[i] !== 0) return from + i + 1;
    if (from === 0) return 0;
  }
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name !== '.ballast' && entry.name !== 'LOCK')
    .map((entry) => path.join(entry.parentPath, entry.name))
    .toSorted();
}
