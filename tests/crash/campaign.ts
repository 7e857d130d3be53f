/**
 * A real member's disk as strace saw it: every moment, what of the unsynced may survive a loss of power, and a start on
 * each. What was acknowledged to a client before the moment must be there, and nothing else than what was proposed.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { configOf, startOn } from '../../packages/store/test/crash/real-start.ts';
import { Reference } from '../../packages/store/test/crash/reference.ts';
import type { Recovered, Refused } from '../../packages/store/test/crash/recovery.ts';
import { EMPTY_IMAGE, Volume, type Image } from '../../packages/store/test/crash/volume.ts';
import { materialize, scratch } from './real-images.ts';
import { STRACE_FLAGS, Trace } from './trace.ts';
import { operate, TracedMember } from './traced-member.ts';

/** A run that was traced. */
export interface TracedRun {
  readonly member: TracedMember;
  readonly trace: Trace;
  readonly initial: Image;
  readonly reference: Reference;
}

/** Three lives on one directory: one ends in good order, one is killed. */
export async function tracedRun(operations: number): Promise<TracedRun> {
  const home = await scratch();
  const member = await TracedMember.in(home);
  for (let life = 0; life < 3; life++) {
    member.start(STRACE_FLAGS);
    if (!(await member.ready())) throw new Error(`the traced member does not start:\n${member.log}`);
    const client = member.client();
    const first = Math.floor((operations * life) / 3);
    const last = Math.floor((operations * (life + 1)) / 3);
    for (let i = first; i < last; i++) await operate(member, client, i);
    client.close();
    await member.end(life === 1 ? 'SIGKILL' : 'SIGTERM');
  }
  const directories = new Set<string>();
  for (let at = home; at !== '/'; at = path.dirname(at)) directories.add(at);
  const initial = { ...EMPTY_IMAGE, directories };
  const trace = new Trace(home, new Volume(initial));
  for (let life = 0; life < 3; life++) trace.addLife(member.trace(life));
  checkTrace(trace);
  const writes = trace.operations.flatMap(({ operation }) => (operation.kind === 'write' ? [operation] : []));
  const logs = new Set(
    trace.operations.flatMap(({ operation }) =>
      operation.kind === 'create' && operation.path.includes('/wal') ? [operation.file] : [],
    ),
  );
  const reference = await Reference.of([writes.filter(({ file }) => logs.has(file))]);
  return { member, trace, initial, reference };
}

/** What was rebuilt must be what is there, or the trace was misread. */
function checkTrace({ volume }: Trace): void {
  for (const [name, bytes] of volume.current().files)
    if (!readFileSync(name).equals(bytes)) throw new Error(`${name} is not as it was traced`);
}

export interface RealResult {
  operations: number;
  images: number;
  started: number;
  /** Images of names out of their order that a start refuses. */
  refused: number;
  readonly failures: string[];
}

const FAILURES_MAX = 10;

/** @param points images to start, spread over all; Infinity for all @param untilMs Date.now() at which to end */
export async function realImages(run: TracedRun, points: number, untilMs: number): Promise<RealResult> {
  const { member, trace, initial, reference } = run;
  const result: RealResult = {
    operations: trace.operations.length,
    images: 0,
    started: 0,
    refused: 0,
    failures: [],
  };
  const all = [...imagesOf(run)].length;
  const every = Math.max(1, Math.floor(all / points));
  const target = path.join(member.home, 'image');
  const config = configOf(member.flags(target));
  const outcomes = new Map<string, Recovered | Refused>();
  const volume = new Volume(initial);
  for (const { operation, endMs } of trace.operations) {
    volume.apply(operation);
    const revision = member.acknowledged.reduce(
      (most, each) => (each.atMs < endMs ? Math.max(most, each.revision) : most),
      0,
    );
    for (const image of volume.images()) {
      if (result.images++ % every !== 0 || Date.now() > untilMs || result.failures.length >= FAILURES_MAX)
        continue;
      const failed = (what: string): void =>
        void result.failures.push(
          `after operation ${trace.operations.findIndex((each) => each.operation === operation)} (${describe(operation)}), ${image.label} kept: ${what}`,
        );
      const key = keyOf(image);
      let outcome = outcomes.get(key);
      if (outcome === undefined) {
        await materialize(image, member.dataDir, target);
        try {
          outcome = await startOn(config, reference);
          const again = await startOn(config, reference);
          const broken = brokenBy(outcome, again, reference);
          if (broken !== undefined) failed(broken);
        } catch (error) {
          failed(error instanceof Error ? (error.stack ?? error.message) : String(error));
          continue;
        }
        outcomes.set(key, outcome);
        result.started++;
      }
      if (outcome.kind === 'refused') {
        // LevelDB does not sync the name of CURRENT before it removes the manifest before: it needs a file system
        // that keeps names in order. On others it is refused, never served wrong.
        if (image.ordered || !outcome.message.startsWith('backend: ')) failed(`refused: ${outcome.message}`);
        else result.refused++;
      } else if (revisionOf(outcome.final) < revision)
        failed(`revision ${revision} was acknowledged, it comes back with ${revisionOf(outcome.final)}`);
    }
  }
  await rm(target, { recursive: true, force: true });
  return result;
}

function* imagesOf({ trace, initial }: TracedRun): Generator<string> {
  const volume = new Volume(initial);
  for (const { operation } of trace.operations) {
    volume.apply(operation);
    for (const { label } of volume.images()) yield label;
  }
}

export function revisionOf(digest: string): number {
  return (JSON.parse(digest) as { revision: number }).revision;
}

/** What every start keeps; undefined: it did. */
export function brokenBy(
  outcome: Recovered | Refused,
  again: Recovered | Refused,
  reference: Reference,
): string | undefined {
  if (outcome.kind === 'refused')
    return again.kind === 'refused' ? undefined : `refused (${outcome.message}), and then not`;
  if (again.kind === 'refused') return `the second start is refused: ${again.message}`;
  if (outcome.foreign.length > 0) return `entries that nobody wrote: ${outcome.foreign.join()}`;
  if (outcome.stored !== reference.digests[outcome.applied])
    return `the state at ${outcome.applied} is another: ${outcome.stored}, not ${reference.digests[outcome.applied]}`;
  if (outcome.final !== reference.digests[outcome.lastIndex])
    return `the state at ${outcome.lastIndex} is another: ${outcome.final}, not ${reference.digests[outcome.lastIndex]}`;
  if (again.final !== outcome.final || again.lastIndex !== outcome.lastIndex || again.term !== outcome.term)
    return 'the second start comes back with something else';
  return undefined;
}

function describe(operation: Trace['operations'][number]['operation']): string {
  return 'path' in operation ? `${operation.kind} ${operation.path}` : operation.kind;
}

function keyOf({ directories, files }: Image): string {
  const hash = createHash('sha1');
  for (const each of directories) hash.update(`${each}\n`);
  for (const [name, bytes] of files)
    if (!/LOG(\.old)?$/.test(name)) hash.update(`${name} ${bytes.length}\n`).update(bytes);
  return hash.digest('hex');
}

export async function removeRun({ member }: TracedRun): Promise<void> {
  await rm(member.home, { recursive: true, force: true });
}
