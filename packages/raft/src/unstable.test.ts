import { silentLogger } from '@keelson/base';
import { expect, test } from '@jest/globals';
import { Entry, EMPTY_CONF_STATE, Snapshot } from './types.ts';
import { Unstable } from './unstable.ts';

const run = (term: number, from: number, to: number): Entry[] =>
  Array.from({ length: to - from + 1 }, (_, i) => new Entry(term, from + i));

function unstable(entries: Entry[], inProgress = 0): Unstable {
  const log = new Unstable(5, silentLogger);
  if (entries.length > 0) log.truncateAndAppend(entries, 0);
  if (inProgress > 0) {
    log.acceptInProgress();
    log.offsetInProgress = inProgress;
  }
  return log;
}

test.each<[string, Entry[], number, Entry[], [number, number, number]]>([
  ['at the end', run(1, 5, 6), 7, run(1, 7, 8), [5, 7, 4]],
  ['in the middle, past what is being written', run(1, 5, 8), 6, run(2, 7, 7), [5, 6, 3]],
  ['into what is being written', run(1, 5, 8), 8, run(2, 6, 6), [5, 6, 2]],
  ['at the very first', run(1, 5, 8), 8, run(2, 5, 5), [5, 5, 1]],
  ['below the first: storage will be overwritten', run(1, 5, 8), 8, run(2, 3, 4), [3, 3, 2]],
])('truncateAndAppend %s', (_name, before, inProgress, more, want) => {
  const log = unstable(before, inProgress);
  log.truncateAndAppend(more, 0);
  expect([log.offset, log.offsetInProgress, log.entries.length]).toEqual(want);
  expect(log.lastIndex()).toBe(more[more.length - 1].index);
});

test.each<[string, number, number, number, number]>([
  ['nothing here at this index', 9, 1, 5, 3],
  ['another term is here now', 6, 2, 5, 3],
  ['the first of three', 5, 1, 6, 2],
  ['all of it', 7, 1, 8, 0],
])('stableTo: %s', (_name, index, term, offset, left) => {
  const log = unstable(run(1, 5, 7), 8);
  log.stableTo(index, term);
  expect([log.offset, log.entries.length]).toEqual([offset, left]);
  expect(log.offsetInProgress).toBeGreaterThanOrEqual(log.offset);
});

test('entries handed out are not touched by what is appended or made durable later', () => {
  const log = unstable(run(1, 5, 7));
  const handed = log.nextEntries();
  log.acceptInProgress();
  log.stableTo(5, 1);
  log.truncateAndAppend(run(2, 6, 9), 0);
  expect(handed.map((entry) => [entry.term, entry.index])).toEqual([
    [1, 5],
    [1, 6],
    [1, 7],
  ]);
  expect(log.nextEntries().map((entry) => entry.index)).toEqual([6, 7, 8, 9]);
});

test('a snapshot replaces all, and is let go only by its own index', () => {
  const log = unstable(run(1, 5, 7));
  log.restore(new Snapshot(20, 3, EMPTY_CONF_STATE));
  expect([log.firstIndex(), log.lastIndex(), log.term(20), log.term(19)]).toEqual([21, 20, 3, -1]);
  log.acceptInProgress();
  expect(log.nextSnapshot()).toBeUndefined();
  log.stableSnapshotTo(7);
  expect(log.snapshot?.index).toBe(20);
  log.stableSnapshotTo(20);
  expect([log.firstIndex(), log.lastIndex(), log.offset]).toEqual([0, -1, 21]);
});
