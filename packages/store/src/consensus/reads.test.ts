import { beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { StoreError } from '../errors.ts';
import { Reads } from './reads.ts';
import { RequestIds } from './request-ids.ts';

let reads: Reads;

beforeEach(() => {
  reads = new Reads(new RequestIds(0x77n, 1_800_000_000_000));
});

async function fate(promise: Promise<void>): Promise<string> {
  return Promise.race([
    promise.then(
      () => 'released',
      (error: unknown) => (error as StoreError).code,
    ),
    new Promise<string>((resolve) => setImmediate(() => resolve('waits'))),
  ]);
}

test('all who came before a round is issued share it, and are released when its index is applied', async () => {
  const early = [reads.add(0), reads.add(0)];
  const context = reads.next(0)!;
  reads.confirm(context, 10);
  reads.applied(9);
  expect(await Promise.all(early.map(fate))).toEqual(['waits', 'waits']);
  reads.applied(10);
  expect(await Promise.all(early.map(fate))).toEqual(['released', 'released']);
  expect(reads.waitingCount).toBe(0);
  expect(reads.isIdle).toBe(true);
});

test('who comes while a round is in flight waits for the next', async () => {
  reads.add(0).catch(() => {});
  const first = reads.next(0)!;
  const late = reads.add(1);
  expect(reads.next(1)).toBeUndefined();
  reads.confirm(first, 10);
  reads.applied(10);
  expect(await fate(late)).toBe('waits');
  const second = reads.next(2)!;
  expect(second.equals(first)).toBe(false);
  reads.confirm(first, 99);
  expect(await fate(late)).toBe('waits');
  reads.confirm(second, 11);
  reads.applied(11);
  expect(await fate(late)).toBe('released');
});

test('an unanswered round is asked again under a new context; either answer confirms it', async () => {
  const reader = reads.add(0);
  const first = reads.next(0)!;
  expect(reads.next(499)).toBeUndefined();
  const second = reads.next(500)!;
  expect(second.equals(first)).toBe(false);
  expect(reads.counters.slow).toBe(1);
  reads.confirm(first, 3);
  reads.confirm(second, 4);
  reads.applied(3);
  expect(await fate(reader)).toBe('released');
});

test.each<[string, Buffer]>([
  ['of another member', new RequestIds(0x78n, 1_800_000_000_000).encode(5)],
  ['of another length', Buffer.from('short')],
  ['of an earlier life', new RequestIds(0x77n, 1_700_000_000_000).encode(5)],
])('an answer %s confirms nothing', async (_name, context) => {
  const reader = reads.add(0);
  reads.next(0);
  reads.confirm(context, 1);
  reads.applied(100);
  expect(await fate(reader)).toBe('waits');
});

describe('a new leader', () => {
  test('fails the round in flight; who has not been asked about yet goes on', async () => {
    const asked = reads.add(0);
    const context = reads.next(0)!;
    const arriving = reads.add(0);
    reads.leaderChanged();
    reads.confirm(context, 1);
    reads.applied(1);
    expect(await fate(asked)).toBe('LEADER_CHANGED');
    expect(await fate(arriving)).toBe('waits');
    reads.confirm(reads.next(1)!, 2);
    reads.applied(2);
    expect(await fate(arriving)).toBe('released');
  });

  test('does not touch what is confirmed', async () => {
    const reader = reads.add(0);
    reads.confirm(reads.next(0)!, 5);
    reads.leaderChanged();
    reads.applied(5);
    expect(await fate(reader)).toBe('released');
  });
});

describe('time', () => {
  test('each reader has its own, wherever it waits', async () => {
    const [old, young] = [reads.add(0), reads.add(5_000)];
    const context = reads.next(5_000)!;
    const arriving = reads.add(6_000);
    reads.expire(6_999, 7_000);
    expect(await fate(old)).toBe('waits');
    reads.expire(7_000, 7_000);
    expect(await fate(old)).toBe('TIMEOUT');
    expect(await fate(young)).toBe('waits');
    reads.confirm(context, 3);
    reads.applied(3);
    expect(await fate(young)).toBe('released');
    reads.expire(13_000, 7_000);
    expect(await fate(arriving)).toBe('TIMEOUT');
    expect(reads.waitingCount).toBe(0);
  });

  test('a round whose readers are all gone is over', () => {
    reads.add(0).catch(() => {});
    reads.next(0);
    reads.expire(7_000, 7_000);
    expect(reads.isIdle).toBe(true);
  });

  test('who is confirmed and not applied is told so', async () => {
    const reader = reads.add(0);
    reads.confirm(reads.next(0)!, 5);
    reads.expire(7_000, 7_000);
    expect(await fate(reader)).toBe('TIMEOUT_WAIT_APPLIED');
  });
});

test('at the end everybody hears of it', async () => {
  const confirmed = reads.add(0);
  reads.confirm(reads.next(0)!, 5);
  const asked = reads.add(0);
  reads.next(0);
  const arriving = reads.add(0);
  reads.failAll(new StoreError('STOPPED'));
  expect(await Promise.all([confirmed, asked, arriving].map(fate))).toEqual([
    'STOPPED',
    'STOPPED',
    'STOPPED',
  ]);
});

/**
 * The law: a reader is released only when an index is applied that a leader confirmed for an attempt issued
 * after the reader came. Answers arrive late, doubled, in any order; leaders change.
 */
test('nobody is released by an attempt from before (random schedules)', async () => {
  type Step =
    | { readonly kind: 'read' | 'ask' | 'commit' | 'apply' | 'leader' }
    | { readonly kind: 'answer'; readonly pick: number };
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 3, arbitrary: fc.constant({ kind: 'read' as const }) },
    { weight: 3, arbitrary: fc.constant({ kind: 'ask' as const }) },
    { weight: 2, arbitrary: fc.constant({ kind: 'commit' as const }) },
    { weight: 2, arbitrary: fc.constant({ kind: 'apply' as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'leader' as const }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('answer' as const), pick: fc.nat(1000) }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const tested = new Reads(new RequestIds(1n, 0));
      const attempts: { context: Buffer; index: number }[] = [];
      const stale: string[] = [];
      let [commit, applied, nowMs] = [1, 0, 0];
      for (const each of steps) {
        nowMs += 200;
        if (each.kind === 'read') {
          const needs = commit;
          tested.add(nowMs).then(
            () => {
              if (applied < needs) stale.push(`needs ${needs}, released at ${applied}`);
            },
            () => {},
          );
        } else if (each.kind === 'ask') {
          const context = tested.next(nowMs);
          // A leader answers with its commit index at the time it was asked.
          if (context !== undefined) attempts.push({ context, index: commit });
        } else if (each.kind === 'answer' && attempts.length > 0) {
          const { context, index } = attempts[each.pick % attempts.length];
          tested.confirm(context, index);
          tested.applied(applied);
        } else if (each.kind === 'commit') commit++;
        else if (each.kind === 'apply') tested.applied((applied = Math.min(commit, applied + 1)));
        else if (each.kind === 'leader') tested.leaderChanged();
        await Promise.resolve();
      }
      expect(stale).toEqual([]);
    }),
    { numRuns: 300 },
  );
});
