/** The Backup service: the committed log after an entry, from memory and from the segments, and what it refuses. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { crc32c, EMPTY } from '@keelson/base';
import { backuppb, services } from '@keelson/proto';
import { EtcdError, type Client } from '@keelson/client';
import { Entry, EntryType } from '@keelson/raft';
import { inProcessChannel, MethodTable, StatusCode } from '@keelson/rpc';
import { LogTail } from '../src/consensus/log-storage.ts';
import { registerBackup } from '../src/rpc/backup.ts';
import { decodeEntry } from '../src/wal/entry-codec.ts';
import { readWal } from '../src/wal/wal.ts';
import { MemberCluster } from './members.ts';

interface Shipment {
  readonly entries: ReturnType<typeof decodeEntry>[];
  readonly messages: number;
  readonly reached: backuppb.LogPoint | undefined;
}

async function ship(
  client: Client,
  term: number,
  index: number,
  clusterId = 0n,
  dataCrc = 0,
): Promise<Shipment> {
  const entries: ReturnType<typeof decodeEntry>[] = [];
  let messages = 0;
  let reached: backuppb.LogPoint | undefined;
  for await (const message of client.backup.shipLog({ term, index, clusterId, dataCrc })) {
    expect(reached).toBe(undefined);
    messages++;
    entries.push(...message.entries.map(decodeEntry));
    reached = message.reached;
  }
  return { entries, messages, reached };
}

async function refusal(attempt: Promise<unknown>): Promise<EtcdError> {
  const reason: unknown = await attempt.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(reason instanceof EtcdError)) throw new Error(`no refusal: ${String(reason)}`);
  return reason;
}

describe('a member', () => {
  let cluster: MemberCluster;
  let client: Client;

  beforeAll(async () => {
    cluster = await MemberCluster.start({
      members: 1,
      config: { snapshotCount: 100, snapshotCatchupEntries: 20, maxWals: 1 },
    });
    client = cluster.client();
    for (let i = 0; i < 250; i++) await client.kv.put(`key/${i % 10}`, `value ${i}`);
  });
  afterAll(() => cluster.stop());

  const memory = (): { readonly first: number; readonly last: number; readonly term: number } => {
    const { state } = cluster.server(0).replica;
    return {
      first: cluster.server(0).replica.appliedIndex - 20,
      last: state.consistentIndex,
      term: state.consistentTerm,
    };
  };

  test('sends what is in memory, byte for byte', async () => {
    const { first, last, term } = memory();
    const { entries, reached } = await ship(client, term, first);
    expect(entries.map(({ index }) => index)).toEqual(
      Array.from({ length: last - first }, (_, i) => first + 1 + i),
    );
    const { state } = cluster.server(0).replica;
    expect(reached).toMatchObject({
      term,
      index: last,
      revision: state.mvcc.currentRevision,
      leaseTtlMin: 1,
    });
    expect(Math.abs((reached?.unixMs ?? 0) - Date.now())).toBeLessThan(600_000);
  });

  test('sends what only the disk has, as the log has it', async () => {
    const { last } = memory();
    const { entries } = await ship(client, 1, 1);
    const disk = cluster.seats[0].disk.boot();
    const log = await readWal(disk, '/m1/member/wal', { index: 0, term: 0 });
    expect(entries.map((entry) => entry.encoded?.toString('hex'))).toEqual(
      log.entries.slice(1, last).map((entry) => entry.encoded?.toString('hex')),
    );
    expect(entries).toHaveLength(last - 1);
  });

  test('says how far it is when there is nothing new, and when nothing is asked for', async () => {
    const { last, term } = memory();
    for (const index of [last, 0]) {
      const { entries, messages, reached } = await ship(client, term, index);
      expect([entries.length, messages, reached?.index]).toEqual([0, 1, last]);
    }
  });

  test('compares what the caller has with its own entry', async () => {
    const { last, term } = memory();
    for (const index of [3, last - 60, last - 2, last]) {
      const { entries } = await ship(client, index === 3 ? 2 : term, index - 1);
      const dataCrc = crc32c(entries[0].data);
      const { entries: after } = await ship(client, term, index, 0n, dataCrc);
      expect(after).toHaveLength(last - index);
      expect(await refusal(ship(client, term, index, 0n, (dataCrc ^ 1) >>> 0))).toMatchObject({
        code: StatusCode.FailedPrecondition,
        message: `keelson: entry ${index} of term ${term} holds something else in this log: its history is another one`,
      });
    }
    expect(await refusal(ship(client, term, last + 1))).toMatchObject({
      code: StatusCode.FailedPrecondition,
      message: `keelson: the log ends at entry ${last}, before entry ${last + 1}: its history is another one`,
    });
  });

  test("sends nothing while a snapshot takes the log's place", async () => {
    const { last, term } = memory();
    const confState = { voters: [1n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
    const stale = Array.from({ length: last + 2 }, (_, i) => new Entry(1, i + 1, EntryType.Normal, EMPTY));
    for (const entries of [stale, stale.slice(0, 5)]) {
      const table = new MethodTable();
      registerBackup(table, cluster.server(0).replica, {
        tail: new LogTail(undefined, { term: 1, vote: 0n, commit: 0 }, entries, confState),
        disk: cluster.seats[0].disk.boot(),
        walDirectory: '/m1/member/wal',
        leaseTtlSecondsMin: 1,
        nowMs: () => 0,
        defer: queueMicrotask,
      });
      const request = new backuppb.ShipLogRequest({ term: 1, index: 2 });
      const call = inProcessChannel(table).serverStream(services.Backup.methods.shipLog, request);
      const received: unknown[] = [];
      const reading = (async () => {
        for await (const message of call) received.push(message);
      })();
      await expect(reading).rejects.toMatchObject({ code: StatusCode.Unavailable });
      expect(received).toEqual([]);
    }
    expect(term).not.toBe(1);
  });

  test('refuses another cluster, another history, and what was released', async () => {
    const { last, term } = memory();
    expect(await refusal(ship(client, term, last, 12n))).toMatchObject({
      code: StatusCode.FailedPrecondition,
      message: 'etcdserver: cluster ID mismatch',
    });
    for (const index of [2, last - 1, last])
      expect(await refusal(ship(client, term + 7, index))).toMatchObject({
        code: StatusCode.FailedPrecondition,
        message: `keelson: entry ${index} is of term ${index === 2 ? 2 : term} in this log, not of term ${term + 7}: its history is another one`,
      });
    // The first segment is left for the next one, and released with the snapshot after that.
    const value = Buffer.alloc(40_000, 'x');
    for (let i = 0; i < 220; i++) await client.kv.put('large', value);
    await expectReleased();
  });

  async function expectReleased(): Promise<void> {
    for (;;) {
      const names = await cluster.seats[0].disk.boot().list('/m1/member/wal');
      if (!names.some((name) => name.startsWith('0000000000000000-'))) break;
      await client.kv.put('more', '');
    }
    expect(await refusal(ship(client, 1, 1))).toMatchObject({
      code: StatusCode.OutOfRange,
      message: 'keelson: the log no longer reaches back to entry 1',
    });
  }

  test('sends large entries in several messages', async () => {
    const { last, term } = memory();
    const before = last - 19;
    const { entries, messages } = await ship(client, term, before);
    expect(entries.at(-1)?.index).toBe(last);
    expect(messages).toBeGreaterThan(1);
  });
});
