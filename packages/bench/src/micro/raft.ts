/** raft: an entry's way through one node and through three, the log's storage, and the bytes of a conf change. */
import {
  ConfChangeTransition,
  ConfChangeType,
  decodeConfChangeV2,
  encodeConfChangeV2,
  Entry,
  EntryType,
  MemoryStorage,
  Message,
  MessageType,
} from '@keelson/raft';
import type { Body } from './body.ts';
import { drain, nodeOf } from './lone-node.ts';
import { Trio } from './trio.ts';

/** What a busy store's turn takes together, as a rule of thumb. */
export const BATCH = 64;
const LOG = 10_000;
const PAYLOAD = Buffer.alloc(256, 1);
const PAYLOADS: readonly Buffer[] = Array.from({ length: BATCH }, () => PAYLOAD);
const ALONE: readonly Buffer[] = [PAYLOAD];

export function raftBodies(): Body[] {
  return [
    ...singleBodies(),
    followerBody(),
    ...trioBodies(),
    appendBody(),
    ...sliceBodies(),
    ...confChangeBodies(),
  ];
}

function cut(storage: MemoryStorage): void {
  if (storage.lastIndex() - storage.firstIndex() > 5000) storage.compact(storage.lastIndex() - 100);
}

function singleBodies(): Body[] {
  const body = (name: string, data: readonly Buffer[]): Body => {
    const { node, storage } = nodeOf(1n, [1n]);
    node.campaign();
    drain(node, storage);
    return {
      name,
      operations: data.length,
      run: () => {
        node.propose(data);
        drain(node, storage);
        cut(storage);
        return storage.lastIndex();
      },
    };
  };
  return [
    body('raft: propose, ready, apply alone', ALONE),
    body(`raft: propose, ready, apply, of ${BATCH}`, PAYLOADS),
  ];
}

/** A follower takes appends of a full batch, each with the commit index of the one before. */
function followerBody(): Body {
  const { node, storage } = nodeOf(2n, [1n, 2n, 3n]);
  return {
    name: `raft: step of a MsgApp, entry of ${BATCH}`,
    operations: BATCH,
    run: () => {
      const index = storage.lastIndex();
      const entries: Entry[] = [];
      for (let i = 1; i <= BATCH; i++) entries.push(new Entry(2, index + i, EntryType.Normal, PAYLOAD));
      const logTerm = index === 1 ? 1 : 2;
      const fields = { from: 1n, to: 2n, term: 2, index, logTerm, commit: index, entries };
      node.step(new Message(MessageType.App, fields));
      drain(node, storage);
      cut(storage);
      return index;
    },
  };
}

function trioBodies(): Body[] {
  const alone = new Trio({ compacts: true });
  const batches = new Trio({ compacts: true });
  const oneByOne = new Trio({ compacts: true });
  return [
    { name: 'raft: 1 entry through 3 nodes', operations: 1, run: () => alone.batch(ALONE) },
    {
      name: `raft: through 3 nodes, entry of ${BATCH}`,
      operations: BATCH,
      run: () => batches.batch(PAYLOADS),
      naive: {
        name: 'a message an entry',
        run: () => {
          for (let i = 0; i < BATCH; i++) oneByOne.batch(ALONE);
          return oneByOne.nodes[0].applied;
        },
      },
    },
  ];
}

function appendBody(): Body {
  const storage = new MemoryStorage();
  const made: Entry[][] = Array.from({ length: Math.floor(LOG / BATCH) }, (_, batch) =>
    Array.from({ length: BATCH }, (__, i) => new Entry(1, batch * BATCH + i + 1)),
  );
  // From the start again when the end is reached, over what is there: entries can be used any number of times.
  const turns = (): (() => readonly Entry[]) => {
    let next = 0;
    return () => made[next++ % made.length];
  };
  const [batch, naiveBatch] = [turns(), turns()];
  let list: Entry[] = [];
  return {
    name: `log: append, entry of ${BATCH}`,
    operations: BATCH,
    run: () => {
      storage.append(batch());
      return storage.lastIndex();
    },
    naive: {
      name: 'a new array each time',
      run: () => {
        const entries = naiveBatch();
        list = [...list.slice(0, entries[0].index - 1), ...entries];
        return list.length;
      },
    },
  };
}

function sliceBodies(): Body[] {
  const storage = new MemoryStorage();
  const entries = Array.from({ length: LOG }, (_, i) => new Entry(1, i + 1, EntryType.Normal, PAYLOAD));
  storage.append(entries);
  let at = 1;
  const move = (): number => (at = 1 + ((at + 4999) % (LOG - BATCH)));
  return [
    {
      name: `log: slice ${BATCH} of ${LOG.toLocaleString('en-US')}`,
      operations: 1,
      run: () => {
        const low = move();
        return storage.entries(low, low + BATCH, Infinity);
      },
      naive: {
        name: 'filter',
        run: () => {
          const low = move();
          return entries.filter(({ index }) => index >= low && index < low + BATCH);
        },
      },
    },
    {
      name: `log: slice of ${BATCH}, bounded by bytes`,
      operations: 1,
      run: () => {
        const low = move();
        return storage.entries(low, low + BATCH, 10_000);
      },
    },
  ];
}

function confChangeBodies(): Body[] {
  const change = {
    transition: ConfChangeTransition.Auto,
    changes: [
      { type: ConfChangeType.RemoveNode, nodeId: 0x8e9e05c52164694dn },
      { type: ConfChangeType.AddNode, nodeId: 0x91bc3c398fb3c146n },
    ],
    context: Buffer.alloc(0),
  };
  const bytes = encodeConfChangeV2(change);
  return [
    { name: 'conf change: encode two', operations: 1, run: () => encodeConfChangeV2(change) },
    { name: 'conf change: decode two', operations: 1, run: () => decodeConfChangeV2(bytes) },
  ];
}
