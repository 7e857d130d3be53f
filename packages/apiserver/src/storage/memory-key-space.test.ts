/** The store in memory against a dumb twin: whole snapshots of every revision, and the list of all changes. */

import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';

import { systemClock, type Clock } from '@keelson/base';

import { isKeySpaceError, type KeyPair, type KeySpace } from './key-space.ts';
import { MemoryKeySpace } from './memory-key-space.ts';

const KEYS = ['/a/1', '/a/2', '/a/2/x', '/ab/1', '/b/1'];

type Step =
  | { readonly kind: 'put'; readonly key: string }
  | { readonly kind: 'delete'; readonly key: string }
  | { readonly kind: 'compact'; readonly share: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('put' as const), key: fc.constantFrom(...KEYS) }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('delete' as const), key: fc.constantFrom(...KEYS) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('compact' as const),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
);

class Twin {
  /** By revision: what there was. Revision 1 is the empty store. */
  readonly states: ReadonlyMap<string, KeyPair>[] = [new Map(), new Map()];
  readonly changes: string[] = ['', ''];
  compacted = 0;

  get revision(): number {
    return this.states.length - 1;
  }

  change(text: string, edit: (state: Map<string, KeyPair>) => void): void {
    const next = new Map(this.states[this.revision]);
    edit(next);
    this.states.push(next);
    this.changes.push(text);
  }
}

async function play(
  steps: readonly Step[],
  historyMax?: number,
): Promise<{ space: MemoryKeySpace; twin: Twin }> {
  const space = new MemoryKeySpace({
    clock: systemClock,
    ...(historyMax === undefined ? {} : { historyMax }),
  });
  const twin = new Twin();
  for (const [index, { kind, ...rest }] of steps.entries()) {
    if ('share' in rest) {
      const revision = Math.floor(rest.share * twin.revision);
      if (revision > twin.compacted) {
        space.compact(revision);
        twin.compacted = revision;
      } else {
        expect(() => space.compact(revision)).toThrow('compacted');
      }
      continue;
    }
    const { key } = rest;
    const current = twin.states[twin.revision].get(key);
    expect((await space.get(key, undefined)).pair).toEqual(current);
    const expected = current?.revision ?? 0;
    const revision = twin.revision + 1;
    if (kind === 'put') {
      const value = Buffer.from(String(index));
      const wrong = await space.put(key, value, expected + 1, 0, true, undefined);
      expect(wrong).toEqual({ succeeded: false, current });
      expect(await space.put(key, value, expected, 0, true, undefined)).toEqual({
        succeeded: true,
        revision,
      });
      twin.change(`${current === undefined ? 'created' : 'changed'} ${key} ${index} ${expected}`, (state) =>
        state.set(key, { key, value, revision }),
      );
    } else {
      const done = await space.delete(key, expected, undefined);
      if (current === undefined) {
        expect(done).toEqual({ succeeded: false, current: undefined });
        continue;
      }
      expect(done).toEqual({ succeeded: true, revision });
      twin.change(`deleted ${key}  ${expected}`, (state) => state.delete(key));
    }
  }
  twin.compacted = Math.max(twin.compacted, space.compactedRevision());
  return { space, twin };
}

async function check(space: KeySpace, twin: Twin, prefix: string, limit: number): Promise<void> {
  for (let revision = 1; revision <= twin.revision + 1; revision += 1) {
    const range = space.range({ start: prefix, prefix, revision, limit }, undefined);
    if (revision > twin.revision || revision < twin.compacted) {
      const code = revision > twin.revision ? 'FUTURE_REVISION' : 'COMPACTED';
      expect(isKeySpaceError(await range.catch((error: unknown) => error), code)).toBe(true);
      continue;
    }
    const all = [...twin.states[revision].values()]
      .filter(({ key }) => key.startsWith(prefix))
      .toSorted((a, b) => (a.key < b.key ? -1 : 1));
    const pairs = limit === 0 ? all : all.slice(0, limit);
    expect(await range).toEqual({
      pairs,
      count: all.length,
      more: pairs.length < all.length,
      revision: twin.revision,
    });
  }
}

async function changesFrom(space: KeySpace, from: number, prefix: string): Promise<string[]> {
  const seen: string[] = [];
  const watch = space.watch({ start: prefix, prefix }, from, true);
  space.requestProgress();
  for await (const { changes } of watch) {
    if (changes.length === 0) break;
    for (const { type, key, value, previous } of changes) {
      seen.push(`${type} ${key} ${value.toString()} ${previous?.revision ?? 0}`);
    }
  }
  return seen;
}

describe('the store in memory', () => {
  test.each([undefined, 8])('says what its twin says (history %p)', async (historyMax) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.constantFrom('/', '/a/', '/ab/', '/a/2'),
        fc.constantFrom(0, 1, 3),
        async (steps, prefix, limit) => {
          const { space, twin } = await play(
            historyMax === undefined ? steps : steps.filter(({ kind }) => kind !== 'compact'),
            historyMax,
          );
          await check(space, twin, prefix, limit);
          for (let from = Math.max(1, twin.compacted); from <= twin.revision; from += 1) {
            const wanted = twin.changes.slice(from).filter((text) => text.split(' ')[1]?.startsWith(prefix));
            expect(await changesFrom(space, from, prefix)).toEqual(wanted);
          }
          if (twin.compacted > 1) {
            const late = changesFrom(space, twin.compacted - 1, prefix);
            expect(isKeySpaceError(await late.catch((error: unknown) => error), 'COMPACTED')).toBe(true);
          }
          space.close();
        },
      ),
      { numRuns: 60 },
    );
  });

  test('what expires goes once, and not when it was written again', async () => {
    const timers = new Map<number, () => void>();
    let id = 0;
    const clock: Clock = {
      ...systemClock,
      setTimer(_delayMs, task) {
        const own = (id += 1);
        timers.set(own, task);
        return { cancel: () => void timers.delete(own) };
      },
    };
    const space = new MemoryKeySpace({ clock });
    const value = Buffer.from('x');
    await space.put('/e/1', value, 0, 10, false, undefined);
    await space.put('/e/2', value, 0, 10, false, undefined);
    await space.put('/e/2', value, 3, 0, false, undefined);
    expect(timers.size).toBe(1);
    for (const task of timers.values()) task();
    const { pairs, revision } = await space.range(
      { start: '/e/', prefix: '/e/', revision: 0, limit: 0 },
      undefined,
    );
    expect([pairs.map(({ key }) => key), revision]).toEqual([['/e/2'], 5]);
    space.close();
  });
});
