/**
 * Starts a member on an image, as production does it, and says what came back. What it finds is the same whoever asks:
 * it applies what the log holds to the state that was stored, and leaves the disk as the start left it.
 */
import { Prng, silentLogger, systemClock } from '@keelson/base';
import { errorMessageOf } from '../../src/disk/error-code.ts';
import { FatalError } from '../../src/errors.ts';
import { Opening, openMember } from '../../src/open-member.ts';
import { systemSecrets } from '../../src/secrets/system-secrets.ts';
import type { ServerConfig } from '../../src/config/flag-table.ts';
import type { World } from '../../src/world.ts';
import { Recorder } from './recorder.ts';
import { applierOf, digestOf, type Reference } from './reference.ts';
import type { Image } from './volume.ts';
import type { Disk } from '@keelson/base';
import type { BackendHome } from '../../src/backend/home.ts';

export interface Recovered {
  readonly kind: 'recovered';
  readonly term: number;
  readonly vote: bigint;
  readonly commit: number;
  readonly lastIndex: number;
  /** Entries in the log that nobody ever wrote. */
  readonly foreign: readonly number[];
  readonly applied: number;
  /** The state that was stored, and the one with the log applied. */
  readonly stored: string;
  readonly final: string;
}

/** The start was refused, with one line that says why. */
export interface Refused {
  readonly kind: 'refused';
  readonly message: string;
}

export interface Machine {
  readonly disk: Disk;
  home(snapDirectory: string): BackendHome;
}

/** A world for members that serve nobody. */
export function offlineWorldOf(machine: Machine, walSegmentBytes?: number): World {
  return {
    clock: systemClock,
    disk: machine.disk,
    home: (directory) => machine.home(directory),
    prng: new Prng(1),
    random64: () => 1n,
    secrets: systemSecrets,
    defer: (task) => void setImmediate(task),
    logger: silentLogger,
    transport: () => {
      throw new Error('a member that serves nobody has no peers');
    },
    ...(walSegmentBytes !== undefined && { tuning: { walSegmentBytes } }),
  };
}

/** @throws what is no refusal: an assertion, a TypeError, anything without a line for the operator */
export async function recover(
  config: ServerConfig,
  world: World,
  reference: Reference,
): Promise<Recovered | Refused> {
  let storage;
  try {
    storage = await openMember(config, world, new Opening(false));
  } catch (error) {
    if (error instanceof FatalError) return { kind: 'refused', message: errorMessageOf(error) };
    throw error;
  }
  try {
    const { state, tail, memberId } = storage;
    const applied = state.consistentIndex;
    const stored = await digestOf(state);
    const lastIndex = tail.lastIndex();
    const first = tail.firstIndex();
    const entries = lastIndex < first ? [] : tail.entries(first, lastIndex + 1, Infinity);
    if (typeof entries === 'string') throw new Error(`entries: ${entries}`);
    const foreign = entries.filter((entry) => !reference.knows(entry)).map((entry) => entry.index);
    const { hardState } = tail.initialState();
    const rest = entries.filter((entry) => entry.index > applied);
    if (rest.length > 0) applierOf(state, memberId).applyBatch(rest);
    const final = await digestOf(state);
    const { term, vote, commit } = hardState;
    return { kind: 'recovered', term, vote, commit, lastIndex, foreign, applied, stored, final };
  } finally {
    await storage.wal.close();
    await storage.state.backend.close();
  }
}

export interface Judged {
  readonly outcome: Recovered | Refused;
  /** Laws that were broken, in words; none for an image that is well. */
  readonly broken: readonly string[];
  /** What the start did to the disk. */
  readonly recorder: Recorder;
}

/** Starts on an image twice, and judges all that does not depend on what was promised. */
export async function judge(
  image: Image,
  config: ServerConfig,
  walSegmentBytes: number,
  reference: Reference,
): Promise<Judged> {
  const recorder = await Recorder.of(image);
  const world = offlineWorldOf(recorder, walSegmentBytes);
  const outcome = await recover(config, world, reference);
  const broken: string[] = [];
  if (outcome.kind === 'recovered') {
    const { applied, lastIndex, stored, final, foreign } = outcome;
    if (foreign.length > 0) broken.push(`entries that nobody wrote: ${foreign.join()}`);
    if (stored !== reference.digests[applied]) broken.push(`the state at ${applied} is another: ${stored}`);
    if (final !== reference.digests[lastIndex]) broken.push(`the state at ${lastIndex} is another: ${final}`);
  }
  // What the first start applied may be stored now; nothing else is another.
  const again = essence(await recover(config, world, reference));
  if (again !== essence(outcome))
    broken.push(`the second start is ${again}, the first was ${essence(outcome)}`);
  return { outcome, broken, recorder };
}

function essence(outcome: Recovered | Refused): string {
  if (outcome.kind === 'refused') return outcome.message;
  const { term, vote, lastIndex, final } = outcome;
  return `${term} ${vote} ${lastIndex} ${final}`;
}
