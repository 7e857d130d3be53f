/** Watch responses are the bytes that the generated encoder makes, whichever way they were made. */
import { expect, test } from '@jest/globals';
import { etcdserverpb, mvccpb } from '@keelson/proto';
import { EventType, WatchEvent } from '../mvcc/event.ts';
import { KeyValue } from '../mvcc/key-value.ts';
import { WatchBatch } from '../watch/events.ts';
import type { WatchResponse } from '../watch/watch-stream.ts';
import { WatchEncoder } from './watch-encoder.ts';

const VALUE = Buffer.from('value');

function whole(who: { clusterId: bigint; memberId: bigint; term: number }, of: WatchResponse): Buffer {
  const { revision, batch, ...fields } = of;
  const header = new etcdserverpb.ResponseHeader({
    clusterId: who.clusterId,
    memberId: who.memberId,
    revision,
    raftTerm: who.term,
  });
  const events = (batch?.events ?? []).map(
    ({ kv }) =>
      new mvccpb.Event({
        kv: new mvccpb.KeyValue({
          key: Buffer.from(kv.keyString, 'latin1'),
          createRevision: kv.createRevision,
          modRevision: kv.modRevision,
          version: kv.version,
          value: VALUE,
        }),
      }),
  );
  return etcdserverpb.encodeWatchResponse(new etcdserverpb.WatchResponse({ ...fields, header, events }));
}

test('equal to the generated encoder for every id, revision, term and kind', () => {
  const who = { clusterId: 0xcafe_0000_0000_0001n, memberId: 7n, term: 1 };
  const encoder = new WatchEncoder(who);
  const ids = [0n, 1n, 127n, 128n, 0x7fff_ffffn, 0x8000_0000n, 2n ** 62n, -1n, -(2n ** 63n)];
  const none = { created: false, canceled: false, compactRevision: 0, cancelReason: '', fragment: false };
  for (const term of [1, 1, 300])
    for (const revision of [2, 3, 3, 70_000, 2]) {
      who.term = term;
      const kv = KeyValue.write('k', revision, revision, 1, VALUE, 0n);
      const batch = new WatchBatch(revision, [new WatchEvent(EventType.PUT, kv)], false);
      for (const watchId of ids)
        for (const fields of [{ batch }, { batch, fragment: true }, { batch: undefined, created: true }]) {
          const response = { ...none, revision, watchId, ...fields };
          expect(encoder.encode(response)).toEqual(whole(who, response));
        }
      const header = { ...none, revision, watchId: 0n, batch: undefined };
      expect(encoder.headerBytes(revision)).toBe(encoder.encode(header).length);
    }
});
