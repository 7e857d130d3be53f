import { silentLogger } from '@keelson/base';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { entriesSize, entrySize } from './entry-size.ts';
import { RaftLog } from './log.ts';
import { StorageError } from './log-storage.ts';
import { MemoryStorage } from './memory-storage.ts';
import { EMPTY_CONF_STATE, Entry, EntryType, Snapshot } from './types.ts';

/** Entries first, first+1, … with these terms. */
function run(first: number, terms: readonly number[]): Entry[] {
  return terms.map((term, i) => new Entry(term, first + i, EntryType.Normal, Buffer.from(`${first + i}`)));
}

/** A log whose first `stable` entries are durable. */
function logOf(terms: readonly number[], stable: number, applyingMax = Infinity): RaftLog {
  const entries = run(1, terms);
  const storage = new MemoryStorage();
  storage.append(entries.slice(0, stable));
  const log = new RaftLog(storage, silentLogger, applyingMax);
  log.append(entries.slice(stable));
  return log;
}

function termsOf(log: RaftLog): number[] {
  const all = log.slice(log.firstIndex(), log.lastIndex() + 1, Infinity);
  return Array.isArray(all) ? all.map((entry) => entry.term) : [];
}

describe('maybeAppend, on a log with terms 1 2 3 of which 1 is committed', () => {
  test.each<[string, number, number, number[], number, number, number, number[]]>([
    // previous term and index, new terms, leader's commit → last agreed, commit, log
    ['another term before it', 2, 3, [4], 3, -1, 1, [1, 2, 3]],
    ['past our end', 3, 4, [4], 4, -1, 1, [1, 2, 3]],
    ['the end, nothing new', 3, 3, [], 3, 3, 3, [1, 2, 3]],
    ['commit past what it proves', 3, 3, [], 4, 3, 3, [1, 2, 3]],
    ['commit below ours', 3, 3, [], 0, 3, 1, [1, 2, 3]],
    ['from nothing', 0, 0, [], 3, 0, 1, [1, 2, 3]],
    ['one more', 3, 3, [4], 4, 4, 4, [1, 2, 3, 4]],
    ['two more, one committed', 3, 3, [4, 4], 4, 5, 4, [1, 2, 3, 4, 4]],
    ['what we have: nothing is cut', 1, 1, [2], 1, 2, 1, [1, 2, 3]],
    ['a conflict at 3 cuts', 2, 2, [4], 3, 3, 3, [1, 2, 4]],
    ['a conflict at 2 cuts both', 1, 1, [4], 2, 2, 2, [1, 4]],
    ['overlap, then a conflict', 1, 1, [2, 4, 4], 1, 4, 1, [1, 2, 4, 4]],
  ])('%s', (_name, previousTerm, previous, terms, leaderCommit, last, committed, want) => {
    for (let stable = 0; stable <= 3; stable++) {
      const log = logOf([1, 2, 3], stable);
      log.commitTo(1);
      expect(log.maybeAppend(previous, previousTerm, run(previous + 1, terms), leaderCommit)).toBe(last);
      expect(log.committed).toBe(committed);
      expect(termsOf(log)).toEqual(want);
    }
  });

  test('a conflict with what is committed is a broken law', () => {
    const log = logOf([1, 2, 3], 1);
    log.commitTo(1);
    expect(() => log.maybeAppend(0, 0, run(1, [4]), 1)).toThrow('entry 1 conflict with committed entry');
  });
});

test.each<[string, number, number, boolean]>([
  ['a later term wins, however short', 4, 1, true],
  ['the same term, longer', 3, 4, true],
  ['the same term, as long', 3, 3, true],
  ['the same term, shorter', 3, 2, false],
  ['an earlier term, however long', 2, 9, false],
])('isUpToDate: %s', (_name, term, index, want) => {
  expect(logOf([1, 2, 3], 3).isUpToDate(index, term)).toBe(want);
});

test.each<[number, number, number, number]>([
  // index, term → where both may agree
  [4, 5, 4, 4],
  [4, 4, 4, 4],
  [4, 3, 3, 2],
  [4, 2, 3, 2],
  [4, 1, 1, 1],
  [3, 1, 1, 1],
  [1, 0, 0, 0],
  [9, 9, 9, 0],
])('findConflictByTerm(%i, %i) in terms 1 2 2 4', (index, term, wantIndex, wantTerm) => {
  expect(logOf([1, 2, 2, 4], 2).findConflictByTerm(index, term)).toEqual({
    index: wantIndex,
    term: wantTerm,
  });
});

test('findConflictByTerm stops at what was compacted, as a possible agreement', () => {
  const storage = new MemoryStorage();
  storage.append(run(1, [1, 1, 5, 5]));
  storage.compact(3);
  expect(new RaftLog(storage, silentLogger, Infinity).findConflictByTerm(4, 1)).toEqual({
    index: 2,
    term: 0,
  });
});

test('only an entry of the current term commits by count', () => {
  const log = logOf([1, 2, 3], 3);
  expect(log.maybeCommit(2, 3)).toBe(false);
  expect(log.maybeCommit(0, 0)).toBe(false);
  expect(log.maybeCommit(3, 3)).toBe(true);
  expect(log.maybeCommit(3, 3)).toBe(false);
  expect(log.committed).toBe(3);
  expect(() => log.commitTo(4)).toThrow('Was the raft log corrupted, truncated, or lost?');
});

test('terms are known from the compacted index to the end', () => {
  const storage = new MemoryStorage();
  storage.append(run(1, [1, 1, 2, 2]));
  storage.compact(2);
  const log = new RaftLog(storage, silentLogger, Infinity);
  log.append(run(5, [3]));
  expect([1, 2, 3, 5, 6].map((index) => log.term(index))).toEqual([
    StorageError.Compacted,
    1,
    2,
    3,
    StorageError.Unavailable,
  ]);
  expect(log.slice(2, 4, Infinity)).toBe(StorageError.Compacted);
});

describe('what is handed out for applying', () => {
  test('only what is durable here, unless the driver writes first', () => {
    const log = logOf([1, 1, 1, 1], 2);
    log.commitTo(3);
    expect(log.nextCommitted(false).map((entry) => entry.index)).toEqual([1, 2]);
    expect(log.nextCommitted(true).map((entry) => entry.index)).toEqual([1, 2, 3]);
  });

  test('nothing under a snapshot that is not applied', () => {
    const log = logOf([1, 1, 1], 3);
    log.commitTo(3);
    log.restore(new Snapshot(5, 1, EMPTY_CONF_STATE));
    expect(log.hasNextCommitted(true)).toBe(false);
  });

  test('nothing is handed out twice, and the bound counts what is under way', () => {
    const entries = run(1, [1, 1, 1, 1]);
    const two = entriesSize(entries.slice(0, 2));
    const log = logOf([1, 1, 1, 1], 4, two);
    log.commitTo(4);
    const first = log.nextCommitted(false);
    expect(first.map((entry) => entry.index)).toEqual([1, 2]);
    log.acceptApplying(2, entriesSize(first), false);
    expect(log.hasNextCommitted(false)).toBe(false);
    log.appliedTo(1, entrySize(entries[0]));
    expect(log.nextCommitted(false).map((entry) => entry.index)).toEqual([3]);
    log.appliedTo(2, entrySize(entries[1]));
    expect(log.nextCommitted(false).map((entry) => entry.index)).toEqual([3, 4]);
  });

  test('at least one entry, however large', () => {
    const log = logOf([1, 1], 2, 1);
    log.commitTo(2);
    expect(log.nextCommitted(false).map((entry) => entry.index)).toEqual([1]);
  });

  test('applied never falls and never passes commit', () => {
    const log = logOf([1, 1, 1], 3);
    log.commitTo(2);
    log.appliedTo(2, 0);
    expect(() => log.appliedTo(1, 0)).toThrow('applied(1) is out of range');
    expect(() => log.appliedTo(3, 0)).toThrow('applied(3) is out of range');
  });
});

test('a conf change counts as unapplied until it is applied, page by page', () => {
  const storage = new MemoryStorage();
  const normal = (index: number): Entry => new Entry(1, index);
  storage.append([normal(1), normal(2), new Entry(1, 3, EntryType.ConfChangeV2), normal(4)]);
  const log = new RaftLog(storage, silentLogger, 1);
  log.commitTo(2);
  expect(log.hasUnappliedConfChange()).toBe(false);
  log.commitTo(4);
  expect(log.hasUnappliedConfChange()).toBe(true);
  log.appliedTo(3, 0);
  expect(log.hasUnappliedConfChange()).toBe(false);
});

test('a bound that durable entries leave room under admits no entry in memory that passes it', () => {
  const entries = [1, 1, 40].map((size, i) => new Entry(1, i + 1, EntryType.Normal, Buffer.alloc(size)));
  for (let stable = 0; stable <= 3; stable++) {
    const storage = new MemoryStorage();
    storage.append(entries.slice(0, stable));
    const log = new RaftLog(storage, silentLogger, Infinity);
    log.append(entries.slice(stable));
    expect(log.slice(1, 4, entriesSize(entries) - 1)).toEqual(entries.slice(0, 2));
  }
});

test('a slice is the same wherever durable ends, and within its bound but for one entry', () => {
  const terms = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(terms, fc.nat(), fc.nat(), fc.nat(), fc.nat(200), (raw, s, l, h, bytesMax) => {
      const sorted = raw.toSorted((a, b) => a - b);
      const low = 1 + (l % sorted.length);
      const high = low + 1 + (h % (sorted.length - low + 1));
      const found = logOf(sorted, s % (sorted.length + 1)).slice(low, high, bytesMax);
      const all = run(1, sorted).slice(low - 1, high - 1);
      // The obvious way: one, then more while they fit.
      let count = 1;
      while (count < all.length && entriesSize(all.slice(0, count + 1)) <= bytesMax) count++;
      expect(found).toEqual(all.slice(0, count));
    }),
  );
});
