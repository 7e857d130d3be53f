/** The Watch service: conversations on a stream, each ended by something that must come, so that silence shows. */
import { etcdserverpb as pb } from '@keelson/proto';
import { bytes, del, endOf, KV, put, putting, step, txn, type ApiStep, type Scene } from './api-call.ts';
import { WatchConversation } from './watch-conversation.ts';

const { FilterType } = pb;

/** A step that is a conversation on a stream of its own. */
export const talk = (name: string, speak: (w: WatchConversation, s: Scene) => Promise<void>): ApiStep =>
  step(`watch: ${name}`, async (s) => {
    const conversation = new WatchConversation(s.api);
    await speak(conversation, s);
    return conversation.close();
  });

const puts = async (s: Scene, key: string, value: string): Promise<void> => {
  await s.api.call(KV.put, put({ key: s.p + key, value }));
};
const deletes = async (s: Scene, key: string): Promise<void> => {
  await s.api.call(KV.deleteRange, del({ key: s.p + key }));
};
/** All keys of this pass that start so. */
export const prefix = (s: Scene, key: string): { key: Buffer; rangeEnd: Buffer } => ({
  key: bytes(s.p + key),
  rangeEnd: bytes(endOf(s.p + key)),
});

export const WATCH_STEPS: readonly ApiStep[] = [
  putting('watch: a beginning', (s) => ({ key: `${s.p}w/0`, value: '0' }), 'w'),
  talk('from now on: put, put, delete, cancel', async (w, s) => {
    w.create({ key: bytes(`${s.p}w/1`) });
    await w.hears(0n, 1);
    await puts(s, 'w/1', 'one');
    await puts(s, 'w/other', 'x');
    await puts(s, 'w/1', 'two');
    await deletes(s, 'w/1');
    await w.hears(0n, 4);
    w.cancel(0n);
    await w.hears(0n, 5);
  }),
  talk('previous values', async (w, s) => {
    w.create({ ...prefix(s, 'w/'), prevKv: true });
    await w.hears(0n, 1);
    await puts(s, 'w/1', 'new');
    await puts(s, 'w/1', 'newer');
    await deletes(s, 'w/1');
    await deletes(s, 'w/1');
    await puts(s, 'w/1', 'reborn');
    await w.hears(0n, 5);
  }),
  talk('filters', async (w, s) => {
    const range = prefix(s, 'w/f');
    w.create({ ...range, watchId: 1n, filters: [FilterType.NOPUT] });
    w.create({ ...range, watchId: 2n, filters: [FilterType.NODELETE] });
    w.create({ ...range, watchId: 3n, filters: [FilterType.NOPUT, FilterType.NODELETE] });
    w.create({ ...range, watchId: 4n });
    for (const id of [1n, 2n, 3n, 4n]) await w.hears(id, 1);
    await puts(s, 'w/f', '1');
    await deletes(s, 'w/f');
    await puts(s, 'w/f', '2');
    await deletes(s, 'w/f');
    await w.hears(1n, 3);
    await w.hears(2n, 3);
    await w.hears(4n, 5);
  }),
  talk('history, then news', async (w, s) => {
    w.create({ ...prefix(s, 'w/'), startRevision: s.noted('w'), prevKv: true });
    await w.hears(0n, 14);
    await puts(s, 'w/news', '!');
    await w.hears(0n, 15);
  }),
  talk('a transaction', async (w, s) => {
    w.create(prefix(s, 'w/t'));
    await w.hears(0n, 1);
    await s.api.call(
      KV.txn,
      txn(
        [],
        [
          put({ key: `${s.p}w/t2`, value: '2' }),
          put({ key: `${s.p}w/t1`, value: '1' }),
          del({ key: `${s.p}w/news` }),
        ],
      ),
    );
    await w.hears(0n, 3);
  }),
  talk('from a future revision', async (w, s) => {
    w.create({ ...prefix(s, 'w/'), startRevision: s.rev(3) });
    await w.hears(0n, 1);
    await puts(s, 'w/1', 'too early');
    await puts(s, 'w/1', 'early');
    await puts(s, 'w/1', 'in time');
    await w.hears(0n, 2);
  }),
  talk('progress on request', async (w, s) => {
    w.create(prefix(s, 'w/'));
    await w.hears(0n, 1);
    w.progress();
    await w.hears(-1n, 1);
    await puts(s, 'w/1', 'p');
    await w.hears(0n, 2);
    w.progress();
    await w.hears(-1n, 2);
  }),
  talk('ids: the same twice, chosen and given', async (w, s) => {
    w.create({ ...prefix(s, 'w/'), watchId: 1n });
    await w.hears(1n, 1);
    w.create({ ...prefix(s, 'w/'), watchId: 1n });
    await w.hears(-1n, 1);
    w.create(prefix(s, 'w/'));
    w.create(prefix(s, 'w/'));
    await w.hears(0n, 1);
    await w.hears(2n, 1);
    await puts(s, 'w/1', 'ids');
    for (const id of [0n, 1n, 2n]) await w.hears(id, 2);
  }),
  talk('an id that was cancelled is free', async (w, s) => {
    w.create({ ...prefix(s, 'w/'), watchId: 7n });
    await w.hears(7n, 1);
    w.cancel(7n);
    await w.hears(7n, 2);
    w.create({ ...prefix(s, 'w/'), watchId: 7n });
    await w.hears(7n, 3);
    await puts(s, 'w/1', 'again');
    await w.hears(7n, 4);
  }),
  talk('cancel of an unknown id', async (w, s) => {
    w.cancel(42n);
    w.create(prefix(s, 'w/'));
    await w.hears(0n, 1);
    w.progress();
    await w.hears(-1n, 1);
  }),
  talk('an empty range', async (w, s) => {
    w.create({ key: bytes(`${s.p}w/2`), rangeEnd: bytes(`${s.p}w/1`) });
    await w.hears(-1n, 1);
    w.create({ key: bytes(`${s.p}w/2`), rangeEnd: bytes(`${s.p}w/2`) });
    await w.hears(-1n, 2);
  }),
  talk('everything: empty key and open end', async (w, s) => {
    w.create({ key: Buffer.alloc(0), rangeEnd: bytes('\0') });
    await w.hears(0n, 1);
    await puts(s, 'w/1', 'all');
    await w.hears(0n, 2);
  }),
  talk('an empty key alone', async (w, s) => {
    w.create({ key: Buffer.alloc(0) });
    await w.hears(0n, 1);
    w.create({ ...prefix(s, 'w/'), watchId: 9n });
    await w.hears(9n, 1);
    await puts(s, 'w/1', 'not for the first');
    await w.hears(9n, 2);
  }),
  talk('from a key on', async (w, s) => {
    w.create({ key: bytes(`${s.p}w/5`), rangeEnd: bytes('\0') });
    await w.hears(0n, 1);
    await puts(s, 'w/4', 'below');
    await puts(s, 'w/5', 'at');
    await puts(s, 'w/6', 'above');
    await w.hears(0n, 3);
  }),
  talk('a client that says no more', async (w, s) => {
    w.create(prefix(s, 'w/'));
    await w.hears(0n, 1);
    w.halfClose();
    await puts(s, 'w/1', 'still here');
    await w.hears(0n, 2);
  }),
  ...['x', 'y', 'z', 'x'].map((letter, i) =>
    putting(
      `watch: a megabyte ${i}`,
      (s) => ({ key: `${s.p}big/${i}`, value: letter.repeat(1_000_000) }),
      `big ${i}`,
    ),
  ),
  talk('history in fragments', async (w, s) => {
    w.create({ ...prefix(s, 'big/'), startRevision: s.noted('big 0'), fragment: true });
    await w.hears(0n, 6);
    w.progress();
    await w.hears(-1n, 1);
  }),
  talk('the same history unbroken', async (w, s) => {
    w.create({ ...prefix(s, 'big/'), startRevision: s.noted('big 0') });
    await w.hears(0n, 5);
  }),
  step('watch: compact', (s) =>
    s.api.call(KV.compact, new pb.CompactionRequest({ revision: s.noted('big 0') })),
  ),
  talk('from a compacted revision', async (w, s) => {
    w.create({ ...prefix(s, 'w/'), startRevision: s.noted('w') });
    await w.hears(0n, 2);
    w.create(prefix(s, 'w/'));
    await w.hears(1n, 1);
    await puts(s, 'w/1', 'the stream lives on');
    await w.hears(1n, 2);
  }),
  talk('from the compacted revision itself', async (w, s) => {
    w.create({ ...prefix(s, 'big/0'), startRevision: s.noted('big 0') });
    await w.hears(0n, 2);
  }),
];
