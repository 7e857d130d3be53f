import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Inflights } from './inflights.ts';
import { Progress, ProgressState } from './progress.ts';

function progress(state: ProgressState, match: number, next: number, window = 256): Progress {
  const made = new Progress(1n, match, next, false, new Inflights(window, Infinity));
  made.state = state;
  return made;
}

test('a line says what matters of a peer', () => {
  const peer = new Progress(123n, 3, 4, true, new Inflights(1, Infinity));
  peer.becomeReplicate();
  peer.sentEntries(2, 10);
  expect(peer.describe()).toBe('StateReplicate match=3 next=6 learner paused inactive inflight=1[full]');
  peer.recentActive = true;
  peer.becomeSnapshot(9);
  expect(peer.describe()).toBe('StateSnapshot match=3 next=10 learner paused pendingSnap=9');
});

test.each<[string, ProgressState, boolean, boolean]>([
  ['a probe that waits', ProgressState.Probe, true, true],
  ['a probe that may be sent', ProgressState.Probe, false, false],
  ['replication with a full window', ProgressState.Replicate, true, true],
  ['replication with room', ProgressState.Replicate, false, false],
  ['a snapshot under way', ProgressState.Snapshot, false, true],
])('paused: %s', (_name, state, appendPaused, want) => {
  const peer = progress(state, 0, 1);
  peer.appendPaused = appendPaused;
  expect(peer.paused()).toBe(want);
});

describe('probing begins', () => {
  test.each<[string, ProgressState, number, number]>([
    ['after what is known to agree', ProgressState.Replicate, 0, 2],
    ['after a snapshot that was sent', ProgressState.Snapshot, 10, 11],
    ['after what is known to agree, if the snapshot failed', ProgressState.Snapshot, 0, 2],
  ])('%s', (_name, state, pendingSnapshot, want) => {
    const peer = progress(state, 1, 5);
    peer.pendingSnapshot = pendingSnapshot;
    peer.appendPaused = true;
    peer.becomeProbe();
    expect([peer.state, peer.match, peer.next]).toEqual([ProgressState.Probe, 1, want]);
    expect(peer.paused()).toBe(false);
    expect(peer.pendingSnapshot).toBe(0);
  });
});

test('replication starts after the match with an empty window', () => {
  const peer = progress(ProgressState.Probe, 1, 5);
  peer.becomeReplicate();
  expect([peer.match, peer.next, peer.inflights.count]).toEqual([1, 2, 0]);
  peer.sentEntries(3, 30);
  expect([peer.next, peer.inflights.count]).toEqual([5, 1]);
});

test.each<[number, number, number, boolean]>([
  [2, 3, 5, false],
  [3, 3, 5, false],
  [4, 4, 5, true],
  [5, 5, 6, true],
])('an acknowledgement of %i at match 3, next 5 leaves match %i, next %i', (index, match, next, news) => {
  const peer = progress(ProgressState.Replicate, 3, 5);
  expect(peer.maybeUpdate(index)).toBe(news);
  expect([peer.match, peer.next]).toEqual([match, next]);
});

test.each<[string, ProgressState, number, number, number, number, boolean, number]>([
  ['replicating: below the match is stale', ProgressState.Replicate, 5, 10, 4, 4, false, 10],
  ['replicating: at the match is stale', ProgressState.Replicate, 5, 10, 5, 5, false, 10],
  ['replicating: goes back to the match', ProgressState.Replicate, 5, 10, 9, 9, true, 6],
  ['probing: not the one that was sent', ProgressState.Probe, 0, 10, 5, 5, false, 10],
  ['probing: one step back', ProgressState.Probe, 0, 10, 9, 9, true, 9],
  ['probing: to the hint', ProgressState.Probe, 0, 10, 9, 2, true, 3],
  ['probing: never below one', ProgressState.Probe, 0, 1, 0, 0, true, 1],
  ['probing: never below the match', ProgressState.Probe, 5, 10, 9, 2, true, 6],
])('rejection, %s', (_name, state, match, next, rejected, hint, news, wantNext) => {
  const peer = progress(state, match, next);
  expect(peer.maybeDecreaseTo(rejected, hint)).toBe(news);
  expect([peer.match, peer.next]).toEqual([match, wantNext]);
});

describe('the commit index is sent once', () => {
  test('until it reaches the end of what was sent', () => {
    const peer = progress(ProgressState.Replicate, 5, 8);
    peer.sentCommit(6);
    expect(peer.canBumpCommit(6)).toBe(false);
    expect(peer.canBumpCommit(7)).toBe(true);
    peer.sentCommit(7);
    expect(peer.canBumpCommit(9)).toBe(false);
  });

  test('and again when a rejection says that it did not arrive', () => {
    const peer = progress(ProgressState.Replicate, 5, 10);
    peer.sentCommit(9);
    peer.maybeDecreaseTo(9, 9);
    peer.sentEntries(4, 0);
    expect(peer.canBumpCommit(9)).toBe(true);
  });
});

test('match < next, and the window never overflows, whatever happens', () => {
  const event = fc.oneof(
    fc.record({ kind: fc.constant('send' as const), count: fc.nat(3) }),
    fc.record({ kind: fc.constant('ack' as const), ahead: fc.nat(4) }),
    fc.record({ kind: fc.constant('reject' as const), back: fc.nat(4), hint: fc.nat(10) }),
    fc.record({ kind: fc.constantFrom('probe' as const, 'snapshot' as const, 'heartbeat' as const) }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3 }), fc.array(event, { maxLength: 40 }), (window, events) => {
      const peer = progress(ProgressState.Probe, 0, 1, window);
      for (const each of events) {
        const before = peer.match;
        if (each.kind === 'send') {
          if (!peer.paused()) peer.sentEntries(peer.inflights.full() ? 0 : each.count, each.count);
        } else if (each.kind === 'ack') {
          // Only what was sent is acknowledged.
          peer.maybeUpdate(Math.min(peer.match + each.ahead, peer.next - 1));
          if (peer.state === ProgressState.Probe) peer.becomeReplicate();
          else peer.inflights.freeTo(peer.match);
        } else if (each.kind === 'reject') {
          peer.maybeDecreaseTo(Math.max(0, peer.next - 1 - each.back), each.hint);
          if (peer.state === ProgressState.Replicate) peer.becomeProbe();
        } else if (each.kind === 'probe') peer.becomeProbe();
        else if (each.kind === 'snapshot') peer.becomeSnapshot(peer.next);
        else peer.appendPaused = false;
        expect(peer.match).toBeGreaterThanOrEqual(before);
        expect(peer.match).toBeLessThan(peer.next);
        expect(peer.inflights.count).toBeLessThanOrEqual(window);
      }
    }),
  );
});
