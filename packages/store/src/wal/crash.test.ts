/**
 * Power loss at any operation, again and again over several lives, the reopening included: every
 * acknowledged record is there, nothing is there that was never appended, and the log always opens.
 */
import { expect, test } from '@jest/globals';
import { Prng } from '@keelson/base';
import { Entry, EntryType } from '@keelson/raft';
import { MemoryDisk } from '@keelson/sim';
import { encodeMetadata } from './entry-codec.ts';
import { Wal, type OpenedWal } from './wal.ts';
import { errorCodeOf } from '../disk/error-code.ts';

const DIRECTORY = '/data/wal';
const METADATA = encodeMetadata({ memberId: 1n, clusterId: 2n });
const LIVES = 6;
const FIRST_SEED = Number(process.env['SEED'] ?? 1);
const SEEDS = Number(process.env['SEEDS'] ?? 150);

interface Promised {
  /** Index → what was appended there; a later life may only go on behind the acknowledged ones. */
  readonly log: Map<number, string>;
  /** Everything up to here was acknowledged. */
  acknowledged: number;
  commit: number;
  term: number;
  /** The newest snapshot marker known to be durable. */
  start: { index: number; term: number };
}

const text = (entry: Entry) => `${entry.term}/${entry.data.toString('latin1')}`;

function checkOpened(opened: OpenedWal, promised: Promised): void {
  const first = promised.start.index + 1;
  for (const [i, entry] of opened.entries.entries()) {
    expect(entry.index).toBe(first + i);
    // Replays a prefix of what was appended: the unacknowledged rest may be cut, not changed.
    expect(text(entry)).toBe(promised.log.get(entry.index));
  }
  expect(promised.start.index + opened.entries.length).toBeGreaterThanOrEqual(promised.acknowledged);
  expect(opened.hardState.term).toBeGreaterThanOrEqual(promised.term);
  expect(opened.hardState.commit).toBeGreaterThanOrEqual(promised.commit);
}

/** One life: open, append in overlapping calls until the disk is gone. */
async function live(disk: MemoryDisk, prng: Prng, promised: Promised, segmentBytes: number): Promise<void> {
  const options = { segmentBytes, keepSegments: 1 };
  let opened: OpenedWal;
  if (await disk.exists(DIRECTORY)) opened = await Wal.open(disk, DIRECTORY, promised.start, options);
  else {
    expect(promised.acknowledged).toBe(0);
    const wal = await Wal.create(disk, DIRECTORY, METADATA, options);
    opened = {
      wal,
      metadata: METADATA,
      hardState: { term: 0, vote: 0n, commit: 0 },
      entries: [],
      markers: [],
      tornReason: undefined,
    };
  }
  checkOpened(opened, promised);
  const { wal } = opened;
  let index = promised.start.index + opened.entries.length;
  for (const key of promised.log.keys()) if (key > index) promised.log.delete(key);
  promised.acknowledged = index; // What was read back is durable now.
  promised.commit = opened.hardState.commit;
  promised.term = opened.hardState.term;
  const term = opened.hardState.term + 1;
  const waiting: Promise<void>[] = [];
  const stopped: unknown[] = [];
  for (let turn = 0; turn < 40 && stopped.length === 0; turn++) {
    const entries: Entry[] = [];
    for (let i = prng.below(4); i > 0; i--) {
      index++;
      entries.push(
        new Entry(
          term,
          index,
          EntryType.Normal,
          Buffer.alloc(prng.pick([0, 5, 100, 480, 1500]), `${index} ${term} `),
        ),
      );
    }
    for (const entry of entries) promised.log.set(entry.index, text(entry));
    const upTo = index;
    const hardState = prng.chance(1, 2) ? { term, vote: 1n, commit: promised.acknowledged } : undefined;
    const done = wal.append({ entries, hardState, mustSync: false }).then(
      () => {
        promised.acknowledged = Math.max(promised.acknowledged, upTo);
        if (hardState !== undefined && entries.length > 0) {
          promised.commit = Math.max(promised.commit, hardState.commit);
          promised.term = term;
        }
        return undefined;
      },
      (error: unknown) => {
        stopped.push(error);
      },
    );
    waiting.push(done);
    if (prng.chance(1, 3)) await done;
    if (prng.chance(1, 15) && promised.acknowledged > promised.start.index)
      await snapshot(wal, promised, stopped);
  }
  await Promise.all(waiting);
  if (stopped.length === 0) await wal.close();
  else throw stopped[0];
}

/** As a member does: marker, then release what is before it. */
async function snapshot(wal: Wal, promised: Promised, stopped: unknown[]): Promise<void> {
  const index = promised.acknowledged;
  const term = Number(promised.log.get(index)?.split('/')[0] ?? promised.start.term);
  const confState = { voters: [1n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
  try {
    await wal.saveSnapshotMarker({ index, term, confState });
    promised.start = { index, term };
    await wal.release(index);
  } catch (error) {
    stopped.push(error);
  }
}

test(`acknowledged records survive crashes (SEED=${FIRST_SEED}, ${SEEDS} seeds of ${LIVES} lives)`, async () => {
  let torn = 0;
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    const prng = new Prng(seed);
    const segmentBytes = 2048 + prng.below(6000);
    const disk = new MemoryDisk();
    await disk.makeDirectory('/data');
    await disk.syncDirectory('/');
    const promised: Promised = {
      log: new Map(),
      acknowledged: 0,
      commit: 0,
      term: 0,
      start: { index: 0, term: 0 },
    };
    for (let life = 0; life < LIVES; life++) {
      let left = prng.below(prng.pick([10, 100, 400]));
      disk.configure({
        fault: () => {
          if (left-- !== 0) return undefined;
          disk.crash(prng);
          return 'ECRASH';
        },
      });
      try {
        await live(disk.boot(), prng, promised, segmentBytes);
      } catch (error) {
        // The log's own error has the disk's as its cause; anything else is a finding.
        const cause = typeof error === 'object' && error !== null && 'cause' in error ? error.cause : error;
        if (errorCodeOf(cause) !== 'ECRASH') throw new Error(`seed ${seed}, life ${life}`, { cause: error });
      }
      disk.configure({});
      disk.crash(prng);
    }
    if (await disk.exists(DIRECTORY)) {
      const opened = await Wal.open(disk, DIRECTORY, promised.start, { segmentBytes });
      checkOpened(opened, promised);
      if (opened.tornReason !== undefined) torn++;
    }
  }
  if (SEEDS >= 100) expect(torn).toBeGreaterThan(2);
});

test('what is read after a failed sync is durable once the log is open', async () => {
  for (let seed = 0; seed < 20; seed++) {
    let fails = false;
    const disk = new MemoryDisk({
      prng: new Prng(seed),
      fault: ({ kind }) => (kind === 'sync' && fails ? 'EIO' : undefined),
    });
    await disk.makeDirectory('/data');
    await disk.syncDirectory('/');
    const batch = (index: number): Parameters<Wal['append']>[0] => ({
      entries: [new Entry(1, index, EntryType.Normal, Buffer.alloc(900, `${index} `))],
      hardState: { term: 1, vote: 1n, commit: index - 1 },
      mustSync: true,
    });
    const wal = await Wal.create(disk, DIRECTORY, METADATA, { segmentBytes: 65_536 });
    await wal.append(batch(1));
    fails = true;
    await expect(wal.append(batch(2))).rejects.toMatchObject({ code: 'FAILED' });
    fails = false;
    // The process starts again on a machine that went on: the second entry may still be read.
    disk.kill();
    const second = await Wal.open(disk, DIRECTORY, { index: 0, term: 0 }, { segmentBytes: 65_536 });
    const read = second.entries.length;
    await second.wal.append(batch(read + 1));
    disk.crash(new Prng(seed));
    const third = await Wal.open(disk, DIRECTORY, { index: 0, term: 0 }, { segmentBytes: 65_536 });
    expect([seed, third.entries.length]).toEqual([seed, read + 1]);
  }
});
