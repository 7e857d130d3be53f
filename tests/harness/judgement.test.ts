/**
 * The judge itself: a small history that is right, and the same with one thing wrong at a time, each of which it must see.
 */
import { expect, test } from '@jest/globals';
import { mvccpb } from '@keelson/proto';
import { History, type Held } from './history.ts';
import { judge } from './judgement.ts';
import { MixedLoad, type Operation } from './mixed-load.ts';

const FIRST = 5;
const keyValue = (
  key: string,
  value: string,
  createRevision: number,
  modRevision: number,
  version: number,
): mvccpb.KeyValue =>
  new mvccpb.KeyValue({
    key: Buffer.from(key),
    value: Buffer.from(value),
    createRevision,
    modRevision,
    version,
  });
const put = (kv: mvccpb.KeyValue, prevKv?: mvccpb.KeyValue): mvccpb.Event =>
  new mvccpb.Event({ type: mvccpb.EventType.PUT, kv, prevKv });
const del = (key: string, modRevision: number, prevKv?: mvccpb.KeyValue): mvccpb.Event =>
  new mvccpb.Event({ type: mvccpb.EventType.DELETE, kv: keyValue(key, '', 0, modRevision, 0), prevKv });

/** What a right history is made of, for a fault to be put in. */
interface World {
  readonly events: Map<number, mvccpb.Event[]>;
  readonly operations: Operation[];
}

const held = (value: string, createRevision: number, modRevision: number, version: number): Held => ({
  value,
  createRevision,
  modRevision,
  version,
  lease: 0n,
});

/** #0 puts a; #1 swaps it and puts b; #2 fails to swap; #3 reads; #4, unknown, puts c; #5, unknown, never did; #6 deletes a; #7 was refused. */
function world(): World {
  const a5 = keyValue('a', '#0#', 5, 5, 1);
  const a6 = keyValue('a', '#1#', 5, 6, 2);
  const b6 = keyValue('b', '#1#', 6, 6, 1);
  const c7 = keyValue('c', '#4#', 7, 7, 1);
  const write = (id: number, key: string): Operation['changes'][number] => ({
    kind: 'put',
    key,
    value: `#${id}#`,
    lease: 0n,
  });
  return {
    events: new Map([
      [5, [put(a5)]],
      [6, [put(a6, a5), put(b6)]],
      [7, [put(c7)]],
      [8, [del('a', 8, a6)]],
    ]),
    operations: [
      {
        id: 0,
        kind: 'put',
        known: 4,
        changes: [write(0, 'a')],
        outcome: 'acknowledged',
        revision: 5,
        told: { when: 'before', of: [['a', undefined]] },
      },
      {
        id: 1,
        kind: 'swap',
        known: 5,
        changes: [write(1, 'a'), write(1, 'b')],
        compare: { key: 'a', modRevision: 5 },
        outcome: 'acknowledged',
        revision: 6,
        succeeded: true,
        told: {
          when: 'before',
          of: [
            ['a', held('#0#', 5, 5, 1)],
            ['b', undefined],
          ],
        },
      },
      {
        id: 2,
        kind: 'swap',
        known: 5,
        changes: [write(2, 'a')],
        compare: { key: 'a', modRevision: 5 },
        outcome: 'acknowledged',
        revision: 6,
        succeeded: false,
        told: { when: 'after', of: [['a', held('#1#', 5, 6, 2)]] },
      },
      {
        id: 3,
        kind: 'read',
        known: 6,
        changes: [],
        outcome: 'acknowledged',
        revision: 6,
        told: {
          when: 'after',
          of: [
            ['b', held('#1#', 6, 6, 1)],
            ['c', undefined],
          ],
        },
      },
      { id: 4, kind: 'put', known: 6, changes: [write(4, 'c')], outcome: 'unknown', revision: 0 },
      { id: 5, kind: 'put', known: 6, changes: [write(5, 'd')], outcome: 'unknown', revision: 0 },
      {
        id: 6,
        kind: 'delete',
        known: 6,
        changes: [{ kind: 'delete', keys: ['a'] }],
        outcome: 'acknowledged',
        revision: 8,
        told: { when: 'before', of: [['a', held('#1#', 5, 6, 2)]] },
      },
      { id: 7, kind: 'put', known: 8, changes: [write(7, 'e')], outcome: 'refused', revision: 0 },
    ],
  };
}

function broken({ events, operations }: World): string[] {
  const history = new History(FIRST);
  for (const [revision, told] of events) history.take('a watcher', revision, told);
  const load = new MixedLoad({ apis: () => [], seed: 1, clients: 0, timeoutMs: 1, paceMs: 1 });
  load.operations.push(...operations);
  return judge(history, load, Math.max(...events.keys())).broken;
}

test('a right history is right', () => {
  expect(broken(world())).toEqual([]);
});

test.each<[string, (world: World) => void, RegExp]>([
  [
    'an acknowledged write is lost',
    ({ events }) => events.set(8, [put(keyValue('c', '#5#', 7, 8, 2), keyValue('c', '#4#', 7, 7, 1))]),
    /wanted delete a/,
  ],
  ['a revision that nobody was told', ({ events }) => events.delete(6), /no watcher was told of revision 6/],
  [
    'half a transaction',
    ({ events }) => events.set(6, events.get(6)!.slice(0, 1)),
    /revision 6 is of swap #1/,
  ],
  [
    'a refused write took effect',
    ({ events }) => events.set(9, [put(keyValue('e', '#7#', 9, 9, 1))]),
    /revision 9 is of put #7 .*refused/,
  ],
  [
    'a write took effect twice',
    ({ events }) => events.set(9, [put(keyValue('c', '#4#', 7, 9, 2), keyValue('c', '#4#', 7, 7, 1))]),
    /revision 9 is of put #4/,
  ],
  [
    'an acknowledged write took effect once more',
    ({ events }) => events.set(9, [put(keyValue('a', '#0#', 9, 9, 1))]),
    /revision 9 is of put #0/,
  ],
  ['a write of nobody', ({ events }) => events.set(9, [put(keyValue('x', 'x', 9, 9, 1))]), /is of nobody/],
  [
    'a delete of nobody',
    ({ events }) => events.set(9, [del('b', 9, keyValue('b', '#1#', 6, 6, 1))]),
    /is of nobody/,
  ],
  [
    'a wrong previous value',
    ({ events }) => events.set(8, [del('a', 8, keyValue('a', '#0#', 5, 5, 1))]),
    /names as before it/,
  ],
  ['no previous value', ({ events }) => events.set(8, [del('a', 8)]), /names as before it nothing/],
  ['a wrong version', ({ events }) => events.set(7, [put(keyValue('c', '#4#', 7, 7, 2))]), /wanted c7 m7 v1/],
  [
    'a stale linearizable read',
    ({ operations }) => Object.assign(operations[3], { revision: 5, told: undefined }),
    /was answered at revision 5, and 6 was known/,
  ],
  [
    'a read that saw too much',
    ({ operations }) =>
      Object.assign(operations[3], { told: { when: 'after', of: [['c', held('#4#', 7, 7, 1)]] } }),
    /was told that c is/,
  ],
  [
    'a swap that should have happened',
    ({ operations }) => Object.assign(operations[2], { compare: { key: 'a', modRevision: 6 } }),
    /did nothing at 6/,
  ],
  [
    'a swap that should not have happened',
    ({ operations }) => Object.assign(operations[1], { compare: { key: 'a', modRevision: 4 } }),
    /took effect at 6 where/,
  ],
  [
    'a delete that found nothing',
    ({ operations, events }) => {
      events.delete(8);
      Object.assign(operations[6], { revision: 7, told: { when: 'before', of: [] } });
    },
    /found nothing at 7/,
  ],
  [
    'a write before it was sent',
    ({ operations }) => Object.assign(operations[4], { known: 7 }),
    /took effect at 7; 7 was known/,
  ],
  [
    'two writes at one revision',
    ({ operations }) => Object.assign(operations[6], { revision: 6 }),
    /share revision 6/,
  ],
])('%s', (_name, spoil, message) => {
  const spoilt = world();
  spoil(spoilt);
  expect(broken(spoilt).join('\n')).toMatch(message);
});

test('two watchers that were told different things', () => {
  const history = new History(FIRST);
  const kv = keyValue('a', 'x', 5, 5, 1);
  history.take('one', 5, [put(kv)]);
  history.take('two', 5, [put(kv)]);
  expect(history.broken).toEqual([]);
  history.take('three', 5, [put(keyValue('a', 'y', 5, 5, 1))]);
  expect(history.broken.join()).toMatch(/three: at revision 5 was told/);
});
