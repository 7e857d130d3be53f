/** store: the key index, the log's record encoder, reads and writes of mvcc, and the notification of watchers. */
import { Entry, EntryType } from '@keelson/raft';
import {
  MemoryBackend,
  MvccStore,
  RecordEncoder,
  RecordType,
  TreeIndex,
  WatchHub,
  WriteBuffer,
  encodeEntry,
} from '@keelson/store';
import type { Body } from './body.ts';

const KEYS = 10_000;
const ENTRIES = 100;
const WATCHERS = 1000;

const keyOf = (i: number): string => String(i).padStart(16, '0');

export async function storeBodies(): Promise<Body[]> {
  return [keyIndexBody(), walBody(), ...(await mvccBodies())];
}

function keyIndexBody(): Body {
  const index = new TreeIndex();
  for (let i = 0; i < KEYS; i++) index.put(keyOf(i), i + 2, 0);
  let at = 0;
  return {
    name: 'key index: find one of 10,000',
    operations: 1,
    run: () => index.at(keyOf((at = (at + 7919) % KEYS)), Number.MAX_SAFE_INTEGER),
  };
}

function walBody(): Body {
  const data = Buffer.alloc(300, 1);
  const encoder = new RecordEncoder(0);
  return {
    name: 'wal: encode an entry of 300 B',
    operations: ENTRIES,
    run: () => {
      // New ones each time: an entry keeps its bytes once it is encoded.
      for (let i = 0; i < ENTRIES; i++) {
        const entry = new Entry(3, 1000 + i, EntryType.Normal, data);
        encoder.add(RecordType.Entry, encodeEntry(entry));
      }
      return encoder.take();
    },
  };
}

/** A store whose write buffer is emptied into nothing worth measuring. */
async function openStore(): Promise<{ store: MvccStore; buffer: WriteBuffer }> {
  const buffer = await WriteBuffer.load(new MemoryBackend(), {
    onError: (error) => {
      throw error;
    },
  });
  return { buffer, store: await MvccStore.restore(buffer) };
}

async function mvccBodies(): Promise<Body[]> {
  const { store } = await openStore();
  const value = Buffer.alloc(256, 1);
  const put = (i: number): ReturnType<ReturnType<MvccStore['beginWrite']>['end']> => {
    const txn = store.beginWrite();
    txn.put(keyOf(i), value, 0n);
    return txn.end();
  };
  for (let i = 0; i < KEYS; i++) put(i);
  const hub = new WatchHub(store);
  let offered = 0;
  const sink = { writable: () => true, offer: () => ++offered > 0, compacted: () => undefined };
  for (let i = 0; i < WATCHERS; i++) {
    const request = {
      key: keyOf(0),
      end: '',
      startRevision: 0,
      wantsPuts: true,
      wantsDeletes: true,
      withPrevious: false,
    };
    hub.watch(request, sink);
  }
  let at = 0;
  return [
    { name: 'mvcc: get of 10,000', operations: 1, run: () => store.get(keyOf((at = (at + 7919) % KEYS))) },
    {
      name: 'mvcc: range of one key',
      operations: 1,
      run: () => store.range(keyOf((at = (at + 7919) % KEYS)), ''),
    },
    {
      name: 'watch: notify one of 1000 watchers',
      operations: WATCHERS,
      run: () => {
        // A hub takes each revision once; the put's share of 1000 notifications is lost in them.
        hub.notify(put(0).events);
        return offered;
      },
    },
    putBody(store, put),
  ];
}

/** Last, since the store grows with it: the write buffer is never emptied here. */
function putBody(store: MvccStore, put: (i: number) => unknown): Body {
  let at = 0;
  return {
    name: 'mvcc: put over one of 10,000',
    operations: 1,
    run: () => {
      put((at = (at + 7919) % KEYS));
      return store.currentRevision;
    },
  };
}
