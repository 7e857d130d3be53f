import { describe, expect, test } from '@jest/globals';
import { Prng, silentLogger } from '@keelson/base';
import { Entry, Message, MessageType, Snapshot, type AppendWork } from '@keelson/raft';
import { MemoryDisk } from '@keelson/sim';
import type { BackendHome } from '../backend/home.ts';
import { BackendDirectories } from '../../test/directories.ts';
import { imageOf, Machine } from '../../test/machine.ts';
import { FatalError } from '../errors.ts';
import { openStorage, type MemberStorage } from './member-storage.ts';
import { Snapshotter, type SnapshotSender, type SnapshotterOptions } from './snapshotter.ts';

const DIRECTORY = '/data/member/snap';
const CONF_STATE = {
  voters: [1n, 2n, 3n],
  learners: [],
  votersOutgoing: [],
  learnersNext: [],
  autoLeave: false,
};
const MEMBERS = [1n, 2n, 3n].map((id) => ({
  id,
  peerUrls: [`http://m${id}:2380`],
  name: `m${id}`,
  isLearner: false,
  clientUrls: [],
}));
const nobody: SnapshotSender = { sendSnapshot: () => {} };

/** What a leader would send: state after 40 puts, one of them leased, and its database file. */
async function leaderImage(): Promise<{ snapshot: Snapshot; image: Buffer; dump: string[] }> {
  const machine = await Machine.open();
  machine.grant(5n);
  for (let i = 0; i < 40; i++) machine.put(`key${i % 7}`, `value ${i}`, i === 39 ? { lease: 5n } : {});
  machine.compact(20);
  machine.alarm(1, 3n, 1);
  machine.state.confState = JSON.stringify({ voters: [1, 2, 3], auto_leave: false });
  machine.state.mark(machine.state.consistentIndex, 2);
  const image = await imageOf(machine.state);
  return {
    snapshot: new Snapshot(machine.state.consistentIndex, 2, CONF_STATE, Buffer.from('{}')),
    image,
    dump: machine.dump(),
  };
}

class Member {
  readonly disk = new MemoryDisk();
  readonly directories = new BackendDirectories();

  async start(
    options: Partial<SnapshotterOptions> = {},
  ): Promise<{ storage: MemberStorage; snapshotter: Snapshotter; home: BackendHome }> {
    const disk = this.disk.boot();
    await disk.makeDirectory(DIRECTORY);
    for (const each of ['/', '/data', '/data/member']) await disk.syncDirectory(each);
    const home = this.directories.home(disk, DIRECTORY);
    const onError = (): void => {};
    const storage = await openStorage(
      disk,
      home,
      { snap: DIRECTORY, wal: '/data/member/wal' },
      { joins: false, ask: () => Promise.resolve({ memberId: 1n, clusterId: 9n, members: MEMBERS }) },
      {
        wal: { segmentBytes: 4096, onError },
        writeBuffer: { onError },
        state: {
          leaseTtlSecondsMin: 2,
          learnersMax: 1,
          mvcc: {},
          onMembershipChange: () => {},
          onCompaction: () => {},
        },
      },
      silentLogger,
    );
    const { state, tail, wal, snapFiles } = storage;
    const snapshotter = new Snapshotter(
      {
        state,
        tail,
        log: wal,
        files: snapFiles,
        home,
        disk,
        sender: nobody,
        logger: silentLogger,
        onError,
        onReplaced: () => Promise.resolve(),
      },
      { directory: DIRECTORY, snapshotCount: 10, catchUpEntries: 2, writeBuffer: { onError }, ...options },
      storage.snapshotIndex,
    );
    return { storage, snapshotter, home };
  }
}

async function* inChunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) {
    await Promise.resolve();
    yield bytes.subarray(at, at + size);
  }
}

function dumpOf({ state }: MemberStorage): string[] {
  const found = state.mvcc.range('\0', '\0');
  if (typeof found === 'string') throw new Error(found);
  return found.kvs.map(
    (kv) =>
      `${kv.keyString}=${kv.value.toString()} ${kv.createRevision}.${kv.modRevision}.${kv.version}${kv.lease === 0n ? '' : ` lease ${kv.lease}`}`,
  );
}

/** @param work what raft hands out with it; by default the first of a new term, with an entry behind the snapshot */
async function receiveAndInstall(
  member: { storage: MemberStorage; snapshotter: Snapshotter },
  leader: { snapshot: Snapshot; image: Buffer },
  work?: Pick<AppendWork, 'entries' | 'mustSync'>,
): Promise<void> {
  const { snapshot, image } = leader;
  await member.snapshotter.receive(new Message(MessageType.Snap, { snapshot }), inChunks(image, 8192));
  const next = new Entry(2, snapshot.index + 1, 0, Buffer.from('next'));
  await member.snapshotter.install({
    snapshot,
    entries: work?.entries ?? [next],
    hardState: { term: 2, vote: 0n, commit: snapshot.index },
    responses: [],
    mustSync: work?.mustSync ?? true,
  });
}

describe('installing a snapshot', () => {
  test('replaces keys, leases, alarms, and leaves nothing behind', async () => {
    const leader = await leaderImage();
    const place = new Member();
    const member = await place.start();
    const before = member.storage.state.backend;
    await receiveAndInstall(member, leader);
    const { state } = member.storage;
    expect(dumpOf(member.storage)).toEqual(leader.dump);
    expect(state.consistentIndex).toBe(leader.snapshot.index);
    expect(state.mvcc.compactRevision).toBe(20);
    expect([...state.lessor.lookup(5n)!.keys]).toEqual(['key4']);
    expect(state.alarms.list(0)).toEqual([{ memberId: 3n, type: 1 }]);
    expect(() => before.getSync('k')).toThrow();
    expect((await place.disk.list(DIRECTORY)).sort()).toEqual([
      '0000000000000002-000000000000002b.snap',
      'db.level.1',
      'db.level.current',
    ]);
  });

  test('reads go on with the old state until the new one is there', async () => {
    const leader = await leaderImage();
    const place = new Member();
    const member = await place.start();
    const { state } = member.storage;
    place.disk.configure({ delay: () => new Promise((resolve) => setImmediate(resolve)) });
    let over = false;
    let reads = 0;
    expect(state.mvcc.currentRevision).toBe(1);
    const installing = receiveAndInstall(member, leader).finally(() => {
      over = true;
    });
    while (!over) {
      expect([0, 7]).toContain(dumpOf(member.storage).length);
      reads++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await installing;
    expect(reads).toBeGreaterThan(10);
  });

  test.each([
    ['with an entry behind it, in a new term', 1, 1],
    // To raft it is only a commit index that moves, which need not be synced.
    ['alone, in a term that is known', 2, 0],
  ])(
    'power may fail at any operation: a start finds the state before it or after it: %s',
    async (_name, term, entries) => {
      const leader = await leaderImage();
      const outcomes = { before: 0, after: 0 };
      for (let crashAt = 1, finished = 0; finished < 3; crashAt++) {
        const place = new Member();
        const member = await place.start();
        await member.storage.wal.append({
          entries: [],
          hardState: { term, vote: 0n, commit: 3 },
          mustSync: true,
        });
        let operations = 0;
        place.disk.configure({ fault: () => (++operations >= crashAt ? 'EIO' : undefined) });
        const work = entries === 0 ? { entries: [], mustSync: false } : undefined;
        const done = await receiveAndInstall(member, leader, work).then(
          () => true,
          () => false,
        );
        place.disk.configure({});
        place.disk.crash(new Prng(crashAt));
        const { storage } = await place.start();
        const installed = storage.state.consistentIndex > 0;
        if (done) {
          finished++;
          expect(installed).toBe(true);
        }
        outcomes[installed ? 'after' : 'before']++;
        expect(dumpOf(storage)).toEqual(installed ? leader.dump : []);
        if (installed) {
          expect(storage.tail.firstIndex()).toBe(leader.snapshot.index + 1);
          expect(storage.tail.lastIndex()).toBe(leader.snapshot.index + entries);
          expect(storage.tail.initialState().confState.voters).toEqual([1n, 2n, 3n]);
        } else {
          expect(storage.tail.lastIndex()).toBe(3);
          expect(storage.tail.initialState().hardState.commit).toBe(3);
        }
        await storage.wal.close();
      }
      expect(outcomes.before).toBeGreaterThan(5);
      expect(outcomes.after).toBeGreaterThan(3);
    },
  );
});

test.each([
  ['torn', (image: Buffer) => image.subarray(0, image.length - 5000)],
  ['empty', () => Buffer.alloc(0)],
  ['rotted', rotted],
])('a start whose snapshot came with a database that is %s says what to do', async (_name, harm) => {
  const leader = await leaderImage();
  const place = new Member();
  const member = await place.start();
  const path = `${DIRECTORY}/${leader.snapshot.index.toString(16).padStart(16, '0')}.snap.db`;
  // The log speaks of the snapshot, and its database was never adopted.
  const adopt = new Error('power lost');
  member.home.adopt = () => Promise.reject(adopt);
  await expect(receiveAndInstall(member, leader)).rejects.toBe(adopt);
  await place.disk.writeFileAtomic(path, harm(leader.image));
  const said = await place.start().then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(said).toBeInstanceOf(FatalError);
  const { message } = said as FatalError;
  expect(message).toMatch(
    `the database of the snapshot at index ${leader.snapshot.index}, ${path}, is damaged: bbolt: `,
  );
  expect(message).toMatch('remove this member from the cluster, remove its data dir, and add it again');
  expect(message).not.toMatch('\n');
  // Whole again, it is what the member begins with: the refusal has changed nothing.
  await place.disk.writeFileAtomic(path, leader.image);
  expect(dumpOf((await place.start()).storage)).toEqual(leader.dump);
});

/** Pages whose numbers are not theirs. */
function rotted(image: Buffer): Buffer {
  const bytes = Buffer.from(image);
  bytes.fill(0xee, 8192);
  return bytes;
}

describe('receiving', () => {
  test('a transfer that is cut leaves nothing', async () => {
    const place = new Member();
    const { snapshotter } = await place.start();
    async function* cut(): AsyncGenerator<Buffer> {
      yield Buffer.alloc(100);
      await Promise.resolve();
      throw new Error('cut');
    }
    const message = new Message(MessageType.Snap, { snapshot: new Snapshot(7, 2, CONF_STATE) });
    await expect(snapshotter.receive(message, cut())).rejects.toThrow('cut');
    expect(await place.disk.list(DIRECTORY)).toEqual(['db.level']);
  });

  test('two members may send the same snapshot at a time', async () => {
    const place = new Member();
    const { snapshotter } = await place.start();
    const bytes = Buffer.alloc(50_000, 'x');
    const message = new Message(MessageType.Snap, { snapshot: new Snapshot(7, 2, CONF_STATE) });
    await Promise.all([
      snapshotter.receive(message, inChunks(bytes, 100)),
      snapshotter.receive(message, inChunks(bytes, 7000)),
    ]);
    expect((await place.disk.readFile(`${DIRECTORY}/0000000000000007.snap.db`, 1e6)).equals(bytes)).toBe(
      true,
    );
  });
});

describe('sending', () => {
  async function sender(
    take: SnapshotSender['sendSnapshot'],
  ): Promise<{ snapshotter: Snapshotter; machine: Machine }> {
    const machine = await Machine.open();
    machine.put('a', 'b');
    machine.state.confState = JSON.stringify({ voters: [1], auto_leave: false });
    machine.state.mark(machine.state.consistentIndex, 1);
    const { storage } = await new Member().start();
    const snapshotter = new Snapshotter(
      {
        state: machine.state,
        tail: storage.tail,
        log: storage.wal,
        files: storage.snapFiles,
        home: new BackendDirectories().home(new MemoryDisk(), '/'),
        disk: new MemoryDisk(),
        sender: { sendSnapshot: take },
        logger: silentLogger,
        onError: (error) => {
          throw error;
        },
        onReplaced: () => Promise.resolve(),
      },
      { directory: '/', snapshotCount: 10, catchUpEntries: 2, writeBuffer: { onError: () => {} } },
      0,
    );
    return { snapshotter, machine };
  }
  const asked = new Message(MessageType.Snap, { to: 2n, snapshot: new Snapshot(1, 1, CONF_STATE) });

  test.each<[string, (body: AsyncIterable<Buffer>) => Promise<unknown>]>([
    [
      'read to its end',
      async (body) => {
        let bytes = 0;
        for await (const chunk of body) bytes += chunk.length;
        expect(bytes).toBeGreaterThan(0);
      },
    ],
    ['dropped before its first chunk', async (body) => body[Symbol.asyncIterator]().return?.()],
    [
      'dropped in its middle',
      async (body) => {
        const chunks = body[Symbol.asyncIterator]();
        await chunks.next();
        await chunks.return?.();
      },
    ],
    [
      'closed twice',
      async (body) => {
        const chunks = body[Symbol.asyncIterator]();
        await Promise.all([chunks.return?.(), chunks.return?.()]);
      },
    ],
  ])('its view is given back when the body is %s', async (_name, take) => {
    let sent: Promise<unknown> | undefined;
    const { snapshotter, machine } = await sender((message, body) => {
      expect(message.snapshot!.index).toBe(1);
      sent = take(body);
    });
    let closed = 0;
    const snapshot = machine.backend.snapshot.bind(machine.backend);
    machine.backend.snapshot = () => {
      const view = snapshot();
      return { iterate: (range) => view.iterate(range), close: () => (closed++, view.close()) };
    };
    snapshotter.send(asked);
    while (closed === 0) await new Promise((resolve) => setImmediate(resolve));
    await sent;
    expect(closed).toBe(1);
  });

  test('its index is that of what is inside, not of what is applied meanwhile', async () => {
    const sent: Message[] = [];
    const { snapshotter, machine } = await sender((message, body) => {
      sent.push(message);
      void body[Symbol.asyncIterator]().return?.();
    });
    const snapshot = machine.backend.snapshot.bind(machine.backend);
    machine.backend.snapshot = () => {
      const view = snapshot();
      machine.put('later', 'x');
      return view;
    };
    snapshotter.send(asked);
    while (sent.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(machine.state.consistentIndex).toBe(2);
    expect(sent[0].snapshot?.index).toBe(1);
  });
});

test.each<[string, Partial<SnapshotterOptions>, number[], number]>([
  ['by count', { snapshotCount: 10, catchUpEntries: 4, tailBytesMax: 1e6 }, [20, 10], 17],
  [
    'by bytes, when entries are large',
    { snapshotCount: 1000, catchUpEntries: 500, tailBytesMax: 1000 },
    [25, 14],
    16,
  ],
])('snapshots are taken and the tail is cut %s', async (_name, options, indexes, firstIndex) => {
  const { storage, snapshotter } = await new Member().start(options);
  const { state, tail, wal, snapFiles } = storage;
  state.confState = JSON.stringify({ voters: [1], auto_leave: false });
  // The first three entries are the members.
  for (let index = 4; index <= 29; index++) {
    const entries = [new Entry(1, index, 0, Buffer.alloc(100))];
    await wal.append({ entries, hardState: { term: 1, vote: 0n, commit: index }, mustSync: true });
    tail.append(entries);
    state.mark(index, 1);
    snapshotter.afterApply();
    await snapshotter.idle();
  }
  expect((await snapFiles.list()).map((name) => name.index)).toEqual(indexes);
  expect(tail.firstIndex()).toBe(firstIndex);
});
