import { expect, test } from '@jest/globals';
import { etcdserverpb, mvccpb } from '@keelson/proto';
import { WatchBatch, withWatchId } from './watch-batch.ts';

const event = (revision: number, type = 0, bytes = 1): mvccpb.Event =>
  new mvccpb.Event({
    type,
    kv: new mvccpb.KeyValue({ key: Buffer.from('k'), value: Buffer.alloc(bytes), modRevision: revision }),
    prevKv: new mvccpb.KeyValue({ key: Buffer.from('k'), value: Buffer.from('before') }),
  });
const ALL = { prevKv: true, noPut: false, noDelete: false };
const batch = new WatchBatch(new etcdserverpb.ResponseHeader({ revision: 9 }), [
  event(5),
  event(6, 1),
  event(9),
]);
const read = (body: Buffer | undefined): etcdserverpb.WatchResponse =>
  etcdserverpb.decodeWatchResponse(body!);

test.each([
  ['all', ALL, 0, [5, 6, 9], 'before'],
  ['from the middle', ALL, 6, [6, 9], 'before'],
  ['without values before', { ...ALL, prevKv: false }, 0, [5, 6, 9], undefined],
  ['without puts', { ...ALL, noPut: true }, 0, [6], 'before'],
  ['without deletes', { ...ALL, noDelete: true }, 6, [9], 'before'],
])('what is seen: %s', (_name, view, from, revisions, before) => {
  const { header, events } = read(batch.body(view, from));
  expect(header?.revision).toBe(9);
  expect(events.map(({ kv }) => kv?.modRevision)).toEqual(revisions);
  expect(events[0].prevKv?.value.toString()).toBe(before);
});

test('the same view is encoded once; nothing to see is nothing to send', () => {
  expect(batch.body(ALL, 0)).toBe(batch.body(ALL, 5));
  expect(batch.body({ ...ALL, noPut: true, noDelete: true }, 0)).toBeUndefined();
  expect(batch.body(ALL, 10)).toBeUndefined();
});

test.each([0n, 1n, 127n, 128n, 300n, 2n ** 62n, -1n, -(2n ** 63n)])('an id goes in front: %s', (id) => {
  const response = read(withWatchId(batch.body(ALL, 0)!, id));
  expect(response.watchId).toBe(id);
  expect(response.events).toHaveLength(3);
});

test('pieces: every one but the last says that more follows, and no event is lost', () => {
  const large = new WatchBatch(undefined, [
    event(1, 0, 400),
    event(2, 0, 400),
    event(2, 0, 5_000),
    event(3, 0, 10),
  ]);
  const pieces = large.pieces(ALL, 0, 1_000).map(read);
  expect(pieces.map(({ events, fragment }) => [events.length, fragment])).toEqual([
    [2, true],
    [1, true],
    [1, false],
  ]);
});
