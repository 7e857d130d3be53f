/**
 * The model as part of every run of the suite: the core keeps the laws in the first states of each
 * configuration, a small one to its end, and a core with a mistake in it is found out. main.ts goes further.
 */
import { describe, expect, test } from '@jest/globals';
import type { NodeId } from '../../src/index.ts';
import { RaftLog } from '../../src/log.ts';
import { VoteResult } from '../../src/quorum.ts';
import { Tracker } from '../../src/tracker.ts';
import { type Configuration, CONFIGURATIONS } from './configurations.ts';
import { Explorer, type Outcome } from './explore.ts';
import { hashOf, Visited } from './visited.ts';
import { WorldQueue } from './world-queue.ts';

/** A quarter of a second each, on one core and under jest. */
const STATES = 5_000;

function explore(name: string, states: number): Outcome {
  const configuration = CONFIGURATIONS.find((each) => each.name === name) as Configuration;
  return new Explorer(configuration).run(states);
}

test.each(CONFIGURATIONS.map(({ name, aim }) => [name, aim]))('%s: %s', (name) => {
  const { broken, stuck, states, transitions } = explore(name, STATES);
  expect(stuck).toBeUndefined();
  expect(broken).toBeUndefined();
  expect(states).toBeGreaterThan(2000);
  expect(transitions).toBeGreaterThan(states);
});

test('a space that is exhausted has always the same size', () => {
  const { states, transitions, depth, frontier, memberStates, messages } = explore('tiny', Infinity);
  expect({ states, transitions, depth, frontier, memberStates, messages }).toEqual({
    states: 2042,
    transitions: 4900,
    depth: 24,
    frontier: 0,
    memberStates: 142,
    messages: 11,
  });
});

describe('a core with a mistake in it is found out', () => {
  /** Puts a method in place of another for as long as `run` takes. */
  function instead<T extends object, K extends keyof T>(
    target: T,
    key: K,
    method: T[K],
    run: () => void,
  ): void {
    const original = target[key];
    target[key] = method;
    try {
      run();
    } finally {
      target[key] = original;
    }
  }

  test('a leader that commits what it has alone', () => {
    const alone = function (this: Tracker): number {
      return Math.max(0, ...this.progresses.map(({ match }) => match));
    };
    instead(Tracker.prototype, 'committed', alone, () => {
      expect(explore('tiny', STATES).broken).toEqual({
        law: 'R7: 1 announces 2/2, which is not durable on a quorum of (1 2)() learners ()()',
        path: [
          '1 campaigns',
          '2 takes 1->2 MsgVote Term:2 Log:1/1',
          "1's disk finishes its oldest write",
          "2's disk finishes its oldest write",
          '1 takes 2->1 MsgVoteResp Term:2 Log:0/0',
          "1's disk finishes its oldest write",
        ],
      });
    });
  });

  test('a candidate that one vote is enough for', () => {
    const one = (votes: ReadonlyMap<NodeId, boolean>): VoteResult =>
      [...votes.values()].includes(true) ? VoteResult.Won : VoteResult.Pending;
    instead(Tracker.prototype, 'quorumOf', one, () => {
      expect(explore('election', STATES).broken).toEqual({
        law: 'R1: 1 leads term 2 without durable votes of a quorum of (1 2 3)() learners ()()',
        path: ['1 campaigns', "1's disk finishes its oldest write"],
      });
    });
  });

  test('a leader that counts copies of an entry of an older term', () => {
    const count = function (this: RaftLog, index: number): boolean {
      if (index <= this.committed) return false;
      this.commitTo(index);
      return true;
    };
    instead(RaftLog.prototype, 'maybeCommit', count, () => {
      expect(explore('older-term', 100_000).broken?.law).toMatch(
        /^R4: leader 1 of term 4 commits up to 2\/2/,
      );
    });
  });
});

describe('what the search rests on', () => {
  test('states are kept once, with the way to them', () => {
    const visited = new Visited();
    const numbers = Array.from({ length: 200_000 }, (_, i) => i);
    const added = numbers.map((i) => visited.add([i, i >> 3, 7], i - 1, i));
    expect(added.findIndex((state, i) => state !== i)).toBe(-1);
    expect(numbers.findIndex((i) => visited.add([i, i >> 3, 7], 0, 0) !== -1)).toBe(-1);
    expect(visited.path(3)).toEqual([0, 1, 2, 3]);
    expect([visited.parent(3), visited.event(3)]).toEqual([2, 3]);
  });

  test('both halves of a hash depend on every word', () => {
    const words = [1, 2, 3, 4];
    for (let i = 0; i < words.length; i++) {
      const other = words.with(i, 9);
      for (const seed of [1, 2]) expect(hashOf(other, seed)).not.toBe(hashOf(words, seed));
    }
    expect(hashOf(words, 1)).not.toBe(hashOf(words, 2));
  });

  test('worlds come back as they went', () => {
    const queue = new WorldQueue();
    const worlds = Array.from({ length: 70_000 }, (_, i) =>
      Array.from({ length: i % 5 }, (__, at) => i + at),
    );
    for (const world of worlds) queue.push(world);
    expect(worlds.findIndex((world, i) => queue.at(i).join() !== world.join())).toBe(-1);
    queue.clear();
    expect(queue.count).toBe(0);
  });
});
