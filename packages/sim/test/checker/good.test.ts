/** Histories that look wrong and are not: what a checker once called broken stays here. */
import { expect, test } from '@jest/globals';
import { checkHistory } from '../../src/checker/check-history.ts';
import { Filing } from '../../src/checker/filing.ts';
import { LeaseBook } from '../../src/checker/lease-book.ts';
import { Replay } from '../../src/checker/replay.ts';
import { Findings, verdictText } from '../../src/checker/verdict.ts';
import { WatchWitness } from '../../src/checker/watch-witness.ts';
import type { History } from '../../src/history/record.ts';
import { HistoryRecorder } from '../../src/history/recorder.ts';
import type { Response, TxnOp, TxnRequest } from '../../src/history/request.ts';

const READ = { kind: 'range', key: 'k' } as const;
const NOTHING: Response = { kind: 'range', revision: 1 };

function recorded(write: (recorder: HistoryRecorder) => void): History {
  let ms = 0;
  const recorder = new HistoryRecorder({ nowMs: () => ms++ });
  write(recorder);
  return recorder.finish();
}

/** A learner is added, starts, and is read from; `learns` says where it comes to know what it is. */
function learner(learns: 'before the read' | 'by a refusal' | 'in the read' | 'in an earlier life'): History {
  return recorded((recorder) => {
    recorder.call({ client: 1 }, { kind: 'memberAdd', member: 'd', learner: true }).ok({ kind: 'memberAdd' });
    recorder.fact({ type: 'start', member: 'd' });
    const asker = { client: 1, member: 'd' };
    if (learns === 'by a refusal')
      recorder.call(asker, READ).failed('FailedPrecondition', 'etcdserver: rpc not supported for learner');
    if (learns === 'before the read' || learns === 'in an earlier life')
      recorder.fact({ type: 'learns', member: 'd' });
    if (learns === 'in an earlier life') {
      recorder.fact({ type: 'crash', member: 'd' });
      recorder.fact({ type: 'start', member: 'd' });
    }
    const read = recorder.call(asker, READ);
    if (learns === 'in the read') recorder.fact({ type: 'learns', member: 'd' });
    read.ok(NOTHING);
  });
}

test.each([
  ['before the read', /^broken: .*M3/],
  ['by a refusal', /^broken: .*M3/],
  ['in the read', /^ok: /],
  ['in an earlier life', /^ok: /],
] as const)('a learner answers a read, and knows what it is: %s', (learns, says) => {
  expect(verdictText(checkHistory(learner(learns)))).toMatch(says);
});

const ASKER = { client: 1 };
const LOST = ['Unavailable', 'the connection was lost'] as const;

function txn(...ops: readonly TxnOp[]): TxnRequest {
  // oxlint-disable-next-line unicorn/no-thenable -- a history's word for it
  return { kind: 'txn', then: ops };
}

function put(recorder: HistoryRecorder, key: string, value: string, revision: number, lease?: string): void {
  const request = { kind: 'put', key, value, ...(lease !== undefined && { lease }) } as const;
  recorder.call(ASKER, request).ok({ kind: 'put', revision });
}

test('an unanswered txn changes keys twice, and deletes what it has put', () => {
  const history = recorded((recorder) => {
    put(recorder, 'a', '1', 2);
    put(recorder, 'c', '1', 3);
    const request = txn(
      { kind: 'put', key: 'b', value: '2' },
      { kind: 'put', key: 'c', value: '2' },
      { kind: 'delete', key: 'a', end: '\0' },
      { kind: 'put', key: 'a', value: '3' },
    );
    recorder.call(ASKER, request).failed(...LOST);
    const gone = { value: '', create: 0, mod: 4, version: 0 };
    const events = [
      { kind: 'put', kv: { key: 'b', value: '2', create: 4, mod: 4, version: 1 } },
      { kind: 'put', kv: { key: 'c', value: '2', create: 3, mod: 4, version: 2 } },
      { kind: 'delete', kv: { key: 'a', ...gone } },
      { kind: 'delete', kv: { key: 'b', ...gone } },
      { kind: 'delete', kv: { key: 'c', ...gone } },
      { kind: 'put', kv: { key: 'a', value: '3', create: 4, mod: 4, version: 1 } },
    ] as const;
    recorder.fact({ type: 'applied', member: 'm', revision: 4, events });
    const kvs = [{ key: 'a', value: '3', create: 4, mod: 4, version: 1 }];
    recorder
      .call(ASKER, { kind: 'range', key: '\0', end: '\0' })
      .ok({ kind: 'range', revision: 4, kvs, count: 1 });
  });
  const findings = new Findings();
  const filing = new Filing(history, findings);
  const limits = { choicesMax: 10, stepsMax: 1000 };
  const strict = new Replay(filing, new LeaseBook(history), findings, limits, new WatchWitness(filing));
  expect(strict.run()).toBe(true);
  expect(verdictText(checkHistory(history))).toMatch(/^ok: /);
});

test('progress of a stream does not speak for a watch that was asked for and is not there yet', () => {
  const history = recorded((recorder) => {
    recorder.call(ASKER, { kind: 'put', key: 'k', value: '1' }).failed(...LOST);
    const stream = recorder.stream();
    const watch = recorder.watch({ client: 2 }, stream, { key: 'k', start: 2 });
    recorder.call(ASKER, { kind: 'delete', key: 'k' }).ok({ kind: 'delete', revision: 3, deleted: 1 });
    recorder.watchResponse({ stream, revision: 3 });
    recorder.watchResponse({ watch, stream, revision: 3, created: true });
    recorder.watchResponse({ watch, stream, revision: 0, canceled: true, compactRevision: 3 });
  });
  const findings = new Findings();
  const filing = new Filing(history, findings);
  const limits = { choicesMax: 10, stepsMax: 1000 };
  const strict = new Replay(filing, new LeaseBook(history), findings, limits, new WatchWitness(filing));
  expect(strict.run()).toBe(true);
});

/** A key of a lease is deleted by a request nobody answered: who thinks the lease ran out is told otherwise later. */
function deletedUnanswered(after: (recorder: HistoryRecorder) => void): History {
  return recorded((recorder) => {
    recorder
      .call(ASKER, { kind: 'leaseGrant', ttl: 1 })
      .ok({ kind: 'leaseGrant', revision: 1, id: 'a1', ttl: 1 });
    put(recorder, 'k', '1', 2, 'a1');
    recorder.call(ASKER, { kind: 'delete', key: 'k' }).failed(...LOST);
    // Its second is over, as far as clients know.
    for (let i = 0; i < 1000; i++) recorder.fact({ type: 'fault', name: 'weather' });
    const kv = { key: 'k', value: '', create: 0, mod: 3, version: 0 };
    recorder.fact({ type: 'applied', member: 'm', revision: 3, events: [{ kind: 'delete', kv }] });
    recorder.call(ASKER, READ).ok({ kind: 'range', revision: 3 });
    after(recorder);
  });
}

test.each<[string, (recorder: HistoryRecorder) => void]>([
  [
    'a renewal',
    (recorder) =>
      recorder.call(ASKER, { kind: 'leaseKeepAlive', id: 'a1' }).ok({ kind: 'leaseKeepAlive', ttl: 1 }),
  ],
  ['a put to it', (recorder) => put(recorder, 'j', '2', 4, 'a1')],
  [
    'a put to it in a txn',
    (recorder) => {
      recorder
        .call(ASKER, txn({ kind: 'put', key: 'j', value: '2', lease: 'a1' }))
        .ok({ kind: 'txn', revision: 4, succeeded: true, responses: [{ kind: 'put' }] });
    },
  ],
  [
    'and a txn reads a revision of before',
    (recorder) => {
      put(recorder, 'j', '2', 4, 'a1');
      const kvs = [{ key: 'k', value: '1', create: 2, mod: 2, version: 1, lease: 'a1' }];
      recorder.call(ASKER, txn({ ...READ, revision: 2 }, { kind: 'put', key: 'i', value: '3' })).ok({
        kind: 'txn',
        revision: 5,
        succeeded: true,
        responses: [{ kind: 'range', kvs, count: 1 }, { kind: 'put' }],
      });
    },
  ],
])('a lease whose key somebody deleted lives on: %s', (_name, after) => {
  expect(verdictText(checkHistory(deletedUnanswered(after)))).toMatch(/^ok: /);
});

/** Users are made and authentication is switched on, which one member has not heard of; nobody asks that one. */
function lateMember(ask: (recorder: HistoryRecorder, revision: number) => void): History {
  return recorded((recorder) => {
    put(recorder, 'k', '1', 2);
    recorder.call(ASKER, { kind: 'userAdd', user: 'root' }).ok({ kind: 'userAdd' });
    recorder.call(ASKER, { kind: 'userGrantRole', user: 'root', role: 'root' }).ok({ kind: 'userGrantRole' });
    recorder.call(ASKER, { kind: 'authEnable' }).ok({ kind: 'authEnable' });
    recorder
      .call({ client: 1, user: 'root' }, { kind: 'put', key: 'k', value: '2' })
      .ok({ kind: 'put', revision: 3 });
    ask(recorder, 2);
    recorder.call({ client: 1, user: 'root' }, READ).ok({
      kind: 'range',
      revision: 3,
      kvs: [{ key: 'k', value: '2', create: 2, mod: 3, version: 2 }],
      count: 1,
    });
  });
}

const OLD = { key: 'k', value: '1', create: 2, mod: 2, version: 1 };

test.each<[string, (recorder: HistoryRecorder, revision: number) => void, RegExp]>([
  [
    'a local read of before',
    (recorder, revision) =>
      recorder
        .call({ client: 2, member: 'b' }, { ...READ, serializable: true })
        .ok({ kind: 'range', revision, kvs: [OLD], count: 1 }),
    /^ok: /,
  ],
  [
    'a local read of now',
    (recorder) =>
      recorder.call({ client: 2, member: 'b' }, { ...READ, serializable: true }).ok({
        kind: 'range',
        revision: 3,
        kvs: [{ key: 'k', value: '2', create: 2, mod: 3, version: 2 }],
        count: 1,
      }),
    /^broken: .*A3/,
  ],
  [
    'a watch of before',
    (recorder, revision) => {
      const stream = recorder.stream();
      const watch = recorder.watch({ client: 2, member: 'b' }, stream, { key: 'k', start: 1 });
      recorder.watchResponse({ watch, stream, revision, created: true });
      recorder.watchResponse({ watch, stream, revision, events: [{ kind: 'put', kv: OLD }] });
      recorder.streamEnd(stream, 'Unavailable');
    },
    /^ok: /,
  ],
])('a member that is late, and does not know of users: %s', (_name, ask, says) => {
  expect(verdictText(checkHistory(lateMember(ask)))).toMatch(says);
});

test('a put to a lease with keys one may not write is denied', () => {
  const history = recorded((recorder) => {
    recorder
      .call(ASKER, { kind: 'leaseGrant', ttl: 60 })
      .ok({ kind: 'leaseGrant', revision: 1, id: 'a1', ttl: 60 });
    put(recorder, 'other', '1', 2, 'a1');
    for (const request of [
      { kind: 'userAdd', user: 'ann' },
      { kind: 'roleAdd', role: 'r' },
      { kind: 'roleGrantPermission', role: 'r', permission: 'readwrite', key: 'k' },
      { kind: 'userGrantRole', user: 'ann', role: 'r' },
      { kind: 'authEnable' },
    ] as const)
      recorder.call(ASKER, request).ok({ kind: request.kind });
    const denied = ['PermissionDenied', 'etcdserver: permission denied'] as const;
    const ann = { client: 2, user: 'ann' };
    recorder.call(ann, { kind: 'put', key: 'k', value: '2', lease: 'a1' }).failed(...denied);
    recorder.call(ann, txn({ kind: 'put', key: 'k', value: '3', lease: 'a1' })).failed(...denied);
  });
  expect(verdictText(checkHistory(history))).toMatch(/^ok: /);
});

test.each<[number | undefined, RegExp]>([
  [undefined, /^broken: .*E1/],
  [1.05, /^ok: /],
  [1.04, /^broken: .*E1/],
])('a lease of 100 s is over after 96, by a clock %s as fast', (fastestClock, says) => {
  let ms = 0;
  const recorder = new HistoryRecorder({
    nowMs: () => ms,
    beginning: { ...(fastestClock !== undefined && { fastestClock }) },
  });
  recorder
    .call(ASKER, { kind: 'leaseGrant', ttl: 100 })
    .ok({ kind: 'leaseGrant', revision: 1, id: 'a1', ttl: 100 });
  ms = 96_000;
  recorder.call(ASKER, { kind: 'leaseKeepAlive', id: 'a1' }).ok({ kind: 'leaseKeepAlive' });
  expect(verdictText(checkHistory(recorder.finish()))).toMatch(says);
});

test('two requests without an answer may have made each of many revisions: what nothing explains is found all the same', () => {
  const pairs = 16;
  const history = recorded((recorder) => {
    for (let i = 0; i < pairs; i++) put(recorder, `k${i}`, '1', 2 + i);
    for (let i = 0; i < 2 * pairs; i++)
      recorder.call(ASKER, { kind: 'delete', key: `k${i % pairs}` }).failed(...LOST);
    let revision = 1 + pairs;
    const deleted = (key: string): void => {
      const kv = { key, value: '', create: 0, mod: ++revision, version: 0 };
      recorder.fact({ type: 'applied', member: 'm', revision, events: [{ kind: 'delete', kv }] });
    };
    for (let i = 0; i < pairs; i++) deleted(`k${i}`);
    recorder
      .call(ASKER, { kind: 'leaseGrant', ttl: 1000 })
      .ok({ kind: 'leaseGrant', revision, id: 'a1', ttl: 1000 });
    put(recorder, 'k', '1', ++revision, 'a1');
    deleted('k');
    recorder.call(ASKER, READ).ok({ kind: 'range', revision });
  });
  const verdict = checkHistory(history);
  expect(verdictText(verdict)).toMatch(/^broken: .*E1 × 1/);
  expect(verdict.notes).toEqual([]);
});
