/** The KV service asked for everything that etcdctl cannot ask: every option, every target, every refusal. */
import { etcdserverpb as pb } from '@keelson/proto';
import {
  bytes,
  compare,
  del,
  deleting,
  endOf,
  KV,
  put,
  putting,
  range,
  ranges,
  step,
  txn,
  txning,
  type ApiStep,
  type Op,
  type Scene,
} from './api-call.ts';

const { SortOrder, SortTarget, CompareResult, CompareTarget } = pb;
const all = (s: Scene): { key: string; rangeEnd: string } => ({ key: s.p, rangeEnd: endOf(s.p) });

/** Keys whose order differs by each target, without ties. */
const setup: ApiStep[] = [
  putting('put d', (s) => ({ key: `${s.p}d`, value: 'v4' }), 'd'),
  putting('put a', (s) => ({ key: `${s.p}a`, value: 'v9' }), 'a'),
  putting('put c', (s) => ({ key: `${s.p}c`, value: 'v2' }), 'c'),
  putting('put b', (s) => ({ key: `${s.p}b`, value: 'v7' }), 'b'),
  ...[3, 2, 2, 1, 1, 1].map((n) =>
    putting(`put again ${n}`, (s) => ({
      key: `${s.p}${'?bca'[n]}`,
      value: `v${'?315'[n]}`,
      prevKv: n === 2,
    })),
  ),
  step('a note', (s) => s.api.call(KV.range, range(all(s))), 'setup'),
];

const rangeSteps: ApiStep[] = [
  ranges('range: count only', (s) => ({ ...all(s), countOnly: true })),
  ranges('range: count only with a limit', (s) => ({ ...all(s), countOnly: true, limit: 2 })),
  ranges('range: count only of keys only', (s) => ({ ...all(s), countOnly: true, keysOnly: true })),
  ranges('range: count only at a revision', (s) => ({ ...all(s), countOnly: true, revision: s.noted('c') })),
  ranges('range: limit', (s) => ({ ...all(s), limit: 2 })),
  ranges('range: limit equal to the count', (s) => ({ ...all(s), limit: 4 })),
  ranges('range: negative limit', (s) => ({ ...all(s), limit: -1 })),
  ranges('range: serializable', (s) => ({ ...all(s), serializable: true })),
  ranges('range: one key', (s) => ({ key: `${s.p}a` })),
  ranges('range: from a key', (s) => ({ key: `${s.p}c`, rangeEnd: '\0' })),
  ranges('range: end before start', (s) => ({ key: `${s.p}c`, rangeEnd: `${s.p}a` })),
  ranges('range: end equal to start', (s) => ({ key: `${s.p}c`, rangeEnd: `${s.p}c` })),
  ranges('range: everything', () => ({ key: '\0', rangeEnd: '\0', countOnly: true })),
  ranges('range: empty key', () => ({ key: '' })),
  ranges('range: empty key with an end', () => ({ key: '', rangeEnd: '\0' })),
  ranges('range: a key of bytes 0xff', () => ({ key: '\xff\xff' })),
  ranges('range: negative revision', (s) => ({ ...all(s), revision: -5 })),
  ranges('range: current revision', (s) => ({ ...all(s), revision: s.rev() })),
  ranges('range: future revision', (s) => ({ ...all(s), revision: s.rev(1) })),
  ranges('range: revision before the pass', (s) => ({ ...all(s), revision: s.noted('d', -1) })),
  ...Object.entries(SortTarget).flatMap(([targetName, sortTarget]) =>
    Object.entries(SortOrder).flatMap(([orderName, sortOrder]) => [
      ranges(`range: sort ${targetName} ${orderName}`, (s) => ({ ...all(s), sortTarget, sortOrder })),
      ranges(`range: sort ${targetName} ${orderName}, two keys only`, (s) => ({
        ...all(s),
        sortTarget,
        sortOrder,
        limit: 2,
        keysOnly: true,
      })),
    ]),
  ),
  ranges('range: min mod revision', (s) => ({ ...all(s), minModRevision: s.noted('b', 2) })),
  ranges('range: max mod revision', (s) => ({ ...all(s), maxModRevision: s.noted('b', 2) })),
  ranges('range: min create revision', (s) => ({ ...all(s), minCreateRevision: s.noted('c') })),
  ranges('range: max create revision', (s) => ({ ...all(s), maxCreateRevision: s.noted('c') })),
  ranges('range: a window of mod revisions', (s) => ({
    ...all(s),
    minModRevision: s.noted('d'),
    maxModRevision: s.noted('b', 3),
  })),
  ranges('range: filter and limit', (s) => ({ ...all(s), minCreateRevision: s.noted('a'), limit: 1 })),
  ranges('range: filter, count only', (s) => ({
    ...all(s),
    minCreateRevision: s.noted('c'),
    countOnly: true,
  })),
  ranges('range: filter, sort and limit', (s) => ({
    ...all(s),
    maxCreateRevision: s.noted('c'),
    sortTarget: SortTarget.VALUE,
    sortOrder: SortOrder.DESCEND,
    limit: 2,
  })),
  ranges('range: filters that leave nothing', (s) => ({ ...all(s), minModRevision: s.rev(10) })),
  ranges('range: filter at a revision', (s) => ({
    ...all(s),
    revision: s.noted('b'),
    maxModRevision: s.noted('a'),
  })),
];

const putSteps: ApiStep[] = [
  putting('put: empty key', () => ({ key: '', value: 'x' })),
  putting('put: prev kv of nothing', (s) => ({ key: `${s.p}p`, value: '1', prevKv: true })),
  putting('put: prev kv', (s) => ({ key: `${s.p}p`, value: '2', prevKv: true })),
  putting('put: ignore value with a value', (s) => ({ key: `${s.p}p`, value: 'x', ignoreValue: true })),
  putting('put: ignore lease with a lease', (s) => ({
    key: `${s.p}p`,
    value: 'x',
    lease: 5n,
    ignoreLease: true,
  })),
  putting('put: ignore value', (s) => ({ key: `${s.p}p`, ignoreValue: true, prevKv: true })),
  putting('put: ignore both', (s) => ({ key: `${s.p}p`, ignoreValue: true, ignoreLease: true })),
  putting('put: ignore value of a missing key', (s) => ({ key: `${s.p}nothing`, ignoreValue: true })),
  putting('put: ignore lease of a missing key', (s) => ({
    key: `${s.p}nothing`,
    value: 'x',
    ignoreLease: true,
  })),
  putting('put: ignore value of a missing key with an unknown lease', (s) => ({
    key: `${s.p}nothing`,
    ignoreValue: true,
    lease: 424_242n,
  })),
  txning('put: the same in a transaction', (s) =>
    txn([], [put({ key: `${s.p}nothing`, ignoreValue: true, lease: 424_242n })]),
  ),
  putting('put: unknown lease', (s) => ({ key: `${s.p}p`, value: 'x', lease: 424_242n })),
  putting('put: a value that is no text', (s) => ({ key: `${s.p}p`, value: '\0\xff\xfe\x80' })),
  putting('put: too large', (s) => ({ key: `${s.p}p`, value: 'x'.repeat(1_600_000) })),
  putting('put: too large for the transport', (s) => ({ key: `${s.p}p`, value: 'x'.repeat(2_200_000) })),
  ranges('put: nothing of what failed is there', (s) => ({ key: `${s.p}p` })),
];

const deleteSteps: ApiStep[] = [
  deleting('delete: empty key', () => ({ key: '' })),
  deleting('delete: nothing', (s) => ({ key: `${s.p}nothing`, prevKv: true })),
  deleting('delete: end before start', (s) => ({ key: `${s.p}c`, rangeEnd: `${s.p}a` })),
  ...['x/1', 'x/2', 'x/3'].map((key) =>
    putting(`delete: put ${key}`, (s) => ({ key: s.p + key, value: key })),
  ),
  deleting('delete: one with its value', (s) => ({ key: `${s.p}x/1`, prevKv: true })),
  deleting('delete: a range with values', (s) => ({
    key: `${s.p}x/`,
    rangeEnd: endOf(`${s.p}x/`),
    prevKv: true,
  })),
  ranges('delete: they are gone', (s) => ({ key: `${s.p}x/`, rangeEnd: endOf(`${s.p}x/`) })),
  ranges('delete: they are there in the past', (s) => ({
    key: `${s.p}x/`,
    rangeEnd: endOf(`${s.p}x/`),
    revision: s.rev(-1),
  })),
];

/** A compare that holds or not, told by which branch runs. */
const compares = (name: string, make: (s: Scene) => pb.Compare[]): ApiStep =>
  txning(`compare ${name}`, (s) => txn(make(s), [range({ key: `${s.p}a` })], []));

/** A compare of each target with what `q/1` has, or one less or more. */
function everyTarget([resultName, result]: [string, number], by: number, key: string): ApiStep[] {
  const about = `${resultName} ${by} of ${key}`;
  return [
    compares(`version ${about}`, (s) => [
      compare({ key: s.p + key, result, target: CompareTarget.VERSION, version: 2 + by }),
    ]),
    compares(`create revision ${about}`, (s) => [
      compare({ key: s.p + key, result, target: CompareTarget.CREATE, createRevision: s.noted('q', by) }),
    ]),
    compares(`mod revision ${about}`, (s) => [
      compare({ key: s.p + key, result, target: CompareTarget.MOD, modRevision: s.noted('q', 1 + by) }),
    ]),
    compares(`value ${about}`, (s) => [
      compare({ key: s.p + key, result, target: CompareTarget.VALUE, value: ['m', 'mm', 'mz'][by + 1] }),
    ]),
    compares(`lease ${about}`, (s) => [
      compare({ key: s.p + key, result, target: CompareTarget.LEASE, lease: s.lease(1) + BigInt(by) }),
    ]),
  ];
}

const compareSteps: ApiStep[] = [
  putting('compare: a key with a lease', (s) => ({ key: `${s.p}q/1`, value: 'mm', lease: s.lease(1) }), 'q'),
  putting('compare: again', (s) => ({ key: `${s.p}q/1`, value: 'mm', lease: s.lease(1) })),
  putting('compare: another', (s) => ({ key: `${s.p}q/2`, value: 'mn', lease: s.lease(1) })),
  ...Object.entries(CompareResult).flatMap((result) =>
    [-1, 0, 1].flatMap((by) => ['q/1', 'missing'].flatMap((key) => everyTarget(result, by, key))),
  ),
  compares('of a missing key with zero', (s) => [
    compare({
      key: `${s.p}missing`,
      result: CompareResult.EQUAL,
      target: CompareTarget.CREATE,
      createRevision: 0,
    }),
  ]),
  compares('without a value to compare with', (s) => [
    compare({ key: `${s.p}q/1`, result: CompareResult.GREATER, target: CompareTarget.VERSION }),
  ]),
  compares('with the value of another target', (s) => [
    compare({ key: `${s.p}q/1`, result: CompareResult.EQUAL, target: CompareTarget.VERSION, modRevision: 2 }),
  ]),
  compares('of a range: all match', (s) => [
    compare({
      key: `${s.p}q/`,
      rangeEnd: `${s.p}q0`,
      result: CompareResult.GREATER,
      target: CompareTarget.VALUE,
      value: 'ma',
    }),
  ]),
  compares('of a range: one does not', (s) => [
    compare({
      key: `${s.p}q/`,
      rangeEnd: `${s.p}q0`,
      result: CompareResult.EQUAL,
      target: CompareTarget.VALUE,
      value: 'mm',
    }),
  ]),
  compares('of an empty range', (s) => [
    compare({
      key: `${s.p}zz/`,
      rangeEnd: `${s.p}zz0`,
      result: CompareResult.EQUAL,
      target: CompareTarget.VERSION,
      version: 0,
    }),
  ]),
  compares('of an empty range by value', (s) => [
    compare({
      key: `${s.p}zz/`,
      rangeEnd: `${s.p}zz0`,
      result: CompareResult.NOT_EQUAL,
      target: CompareTarget.VALUE,
      value: 'x',
    }),
  ]),
  compares('of everything from a key', (s) => [
    compare({
      key: `${s.p}q/2`,
      rangeEnd: '\0',
      result: CompareResult.GREATER,
      target: CompareTarget.VERSION,
      version: 0,
    }),
  ]),
  compares('with an empty key', () => [
    compare({ key: '', result: CompareResult.EQUAL, target: CompareTarget.VERSION, version: 0 }),
  ]),
  compares('with an unknown result', (s) => [
    compare({ key: `${s.p}q/1`, result: 9, target: CompareTarget.VERSION, version: 2 }),
  ]),
  compares('with an unknown target', (s) => [
    compare({ key: `${s.p}q/1`, result: CompareResult.EQUAL, target: 9, version: 2 }),
  ]),
  compares('several: one fails', (s) => [
    compare({ key: `${s.p}q/1`, result: CompareResult.EQUAL, target: CompareTarget.VERSION, version: 2 }),
    compare({ key: `${s.p}q/2`, result: CompareResult.EQUAL, target: CompareTarget.VERSION, version: 2 }),
  ]),
];

const version = (key: string, is: number): pb.Compare =>
  compare({ key, result: CompareResult.EQUAL, target: CompareTarget.VERSION, version: is });
const many = (count: number, op: (i: number) => Op): Op[] => Array.from({ length: count }, (_, i) => op(i));

const txnSteps: ApiStep[] = [
  txning('txn: nothing', () => txn([], [])),
  txning('txn: sees its own writes', (s) =>
    txn(
      [],
      [
        range({ key: `${s.p}n/1` }),
        put({ key: `${s.p}n/1`, value: 'one' }),
        range({ key: `${s.p}n/1` }),
        del({ key: `${s.p}n/2` }),
        put({ key: `${s.p}n/3`, value: 'three', prevKv: true }),
        range({ key: `${s.p}n/`, rangeEnd: `${s.p}n0` }),
        del({ key: `${s.p}q/2`, prevKv: true }),
      ],
    ),
  ),
  txning('txn: reads at an older revision', (s) =>
    txn([], [range({ key: `${s.p}n/1`, revision: s.rev(-1) }), range({ key: `${s.p}n/1` })]),
  ),
  txning('txn: deletes nothing', (s) => txn([], [del({ key: `${s.p}nothing` })])),
  txning('txn: serializable reads', (s) => txn([], [range({ key: `${s.p}a`, serializable: true })])),
  txning('txn: a nested one succeeds', (s) =>
    txn(
      [version(`${s.p}n/1`, 1)],
      [
        put({ key: `${s.p}n/4`, value: 'outer' }),
        txn(
          [version(`${s.p}n/3`, 1)],
          [put({ key: `${s.p}n/5`, value: 'inner' }), range({ key: `${s.p}n/4` })],
        ),
      ],
    ),
  ),
  txning('txn: a nested one fails', (s) =>
    txn(
      [],
      [
        txn(
          [version(`${s.p}n/3`, 9)],
          [put({ key: `${s.p}n/6`, value: 'no' })],
          [range({ key: `${s.p}n/3` }), del({ key: `${s.p}n/4`, prevKv: true })],
        ),
      ],
    ),
  ),
  txning('txn: inner compares see the state before', (s) =>
    txn(
      [],
      [
        put({ key: `${s.p}n/7`, value: 'x' }),
        txn(
          [version(`${s.p}n/7`, 0)],
          [range({ key: `${s.p}n/7` })],
          [put({ key: `${s.p}n/8`, value: 'wrong' })],
        ),
      ],
    ),
  ),
  txning('txn: three deep', (s) =>
    txn(
      [],
      [txn([], [txn([version(`${s.p}a`, 0)], [], [txn([], [put({ key: `${s.p}n/9`, value: 'deep' })])])])],
    ),
  ),
  txning('txn: nested reads only', (s) => txn([], [txn([], [range({ key: `${s.p}a` })])])),
  txning('txn: the outer one fails', (s) =>
    txn(
      [version(`${s.p}a`, 99)],
      [txn([], [put({ key: `${s.p}n/x`, value: 'no' })])],
      [range({ key: `${s.p}n/x` })],
    ),
  ),
  txning('txn: a key put twice', (s) =>
    txn([], [put({ key: `${s.p}t`, value: '1' }), put({ key: `${s.p}t`, value: '2' })]),
  ),
  txning('txn: put and delete of a key', (s) =>
    txn([], [put({ key: `${s.p}t`, value: '1' }), del({ key: `${s.p}t` })]),
  ),
  txning('txn: delete and put of a key', (s) =>
    txn([], [del({ key: `${s.p}t` }), put({ key: `${s.p}t`, value: '1' })]),
  ),
  txning('txn: put in a deleted range', (s) =>
    txn([], [del({ key: s.p, rangeEnd: endOf(s.p) }), put({ key: `${s.p}t`, value: '1' })]),
  ),
  txning('txn: put at the end of a deleted range', (s) =>
    txn([], [del({ key: `${s.p}u/`, rangeEnd: `${s.p}u0` }), put({ key: `${s.p}u0`, value: '1' })]),
  ),
  txning('txn: overlapping deletes', (s) =>
    txn(
      [],
      [del({ key: `${s.p}n/`, rangeEnd: `${s.p}n/5` }), del({ key: `${s.p}n/3`, rangeEnd: `${s.p}n0` })],
    ),
  ),
  txning('txn: a key in both branches', (s) =>
    txn(
      [version(`${s.p}a`, 99)],
      [put({ key: `${s.p}t`, value: '1' })],
      [put({ key: `${s.p}t`, value: '2' })],
    ),
  ),
  txning('txn: a key outside and inside', (s) =>
    txn([], [put({ key: `${s.p}t`, value: '1' }), txn([], [put({ key: `${s.p}t`, value: '2' })])]),
  ),
  txning('txn: a key in two nested ones', (s) =>
    txn([], [txn([], [put({ key: `${s.p}t`, value: '1' })]), txn([], [put({ key: `${s.p}t`, value: '2' })])]),
  ),
  txning('txn: a key in both branches of a nested one', (s) =>
    txn([], [txn([], [put({ key: `${s.p}t`, value: '1' })], [put({ key: `${s.p}t`, value: '2' })])]),
  ),
  txning('txn: deleted outside, put inside', (s) =>
    txn([], [del({ key: `${s.p}t` }), txn([], [put({ key: `${s.p}t`, value: '2' })])]),
  ),
  txning('txn: 128 operations', (s) =>
    txn(
      [],
      many(128, (i) => put({ key: `${s.p}m/${i}`, value: 'x' })),
    ),
  ),
  txning('txn: 129 operations', (s) =>
    txn(
      [],
      many(129, (i) => put({ key: `${s.p}m/${i}`, value: 'x' })),
    ),
  ),
  txning('txn: 129 compares', (s) =>
    txn(
      Array.from({ length: 129 }, () => version(`${s.p}a`, 1)),
      [],
    ),
  ),
  txning('txn: 129 operations that are not done', (s) =>
    txn(
      [],
      [],
      many(129, () => range({ key: `${s.p}a` })),
    ),
  ),
  txning('txn: too many with those nested', (s) =>
    txn(
      [],
      [
        ...many(100, () => range({ key: `${s.p}a` })),
        txn(
          [],
          many(100, () => range({ key: `${s.p}a` })),
        ),
      ],
    ),
  ),
  txning('txn: an empty operation', () => txn([], ['empty'])),
  txning('txn: a put without key', () => txn([], [put({ key: '', value: 'x' })])),
  txning('txn: a range without key', () => txn([], [], [range({ key: '' })])),
  txning('txn: a delete without key', () => txn([], [txn([], [del({ key: '' })])])),
  txning('txn: a put of nothing', (s) => txn([], [put({ key: `${s.p}t`, value: 'x', ignoreValue: true })])),
  txning('txn: reads of a future revision', (s) => txn([], [range({ key: `${s.p}a`, revision: s.rev(50) })])),
  deleting('txn: clean up', (s) => ({ key: `${s.p}m/`, rangeEnd: `${s.p}m0` })),
  ranges('txn: what is there now', (s) => all(s)),
];

const compactSteps: ApiStep[] = [
  step('compact: future', (s) => s.api.call(KV.compact, new pb.CompactionRequest({ revision: s.rev(1) }))),
  step('compact', (s) => s.api.call(KV.compact, new pb.CompactionRequest({ revision: s.noted('setup') }))),
  step('compact: again', (s) =>
    s.api.call(KV.compact, new pb.CompactionRequest({ revision: s.noted('setup') })),
  ),
  step('compact: negative', (s) => s.api.call(KV.compact, new pb.CompactionRequest({ revision: -3 }))),
  step('compact: zero', (s) => s.api.call(KV.compact, new pb.CompactionRequest({ revision: 0 }))),
  step('compact: physical', (s) =>
    s.api.call(KV.compact, new pb.CompactionRequest({ revision: s.noted('setup', 1), physical: true })),
  ),
  ranges('range: compacted', (s) => ({ ...all(s), revision: s.noted('setup') })),
  ranges('range: at the compacted revision', (s) => ({ ...all(s), revision: s.noted('setup', 1) })),
  ranges('range: compacted, count only', (s) => ({ ...all(s), revision: 1, countOnly: true })),
  txning('txn: reads of a compacted revision', (s) =>
    txn([], [range({ key: bytes(`${s.p}a`).toString('latin1'), revision: 1 })]),
  ),
];

export const KV_STEPS: readonly ApiStep[] = [
  ...setup,
  ...rangeSteps,
  ...putSteps,
  ...deleteSteps,
  ...compareSteps,
  ...txnSteps,
  ...compactSteps,
];
