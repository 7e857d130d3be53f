/**
 * A real etcd's log read by ours, and ours read by a real etcd: it boots from a WAL we wrote, with small
 * segments and our Crc records, serves the same keys and goes on in it.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { silentLogger } from '@keelson/base';
import { etcdserverpb } from '@keelson/proto';
import { EntryType, type Entry } from '@keelson/raft';
import { NodeDisk } from '../disk/node-disk.ts';
import { SnapStore } from '../snap/snap-store.ts';
import { decodeMetadata } from './entry-codec.ts';
import { endOfData } from './repair.ts';
import { validSnapshotMarkers, Wal } from './wal.ts';
import { ETCD_VERSION, startEtcd, type EtcdProcess } from '../../../base/test/etcd-process.ts';
import { freePorts } from '../../../base/test/free-ports.ts';

const SEGMENT_BYTES = 8192;
const describeWithEtcd = ETCD_VERSION === undefined ? describe.skip : describe;
const title = ETCD_VERSION === undefined ? 'a real etcd (skipped: no etcd binary)' : 'a real etcd';

const START = { index: 0, term: 0 };
const disk = new NodeDisk();

/** One running etcd; peer port fixed by the caller, so that a copied log finds its own URL. */
class Etcd {
  private readonly process: EtcdProcess;

  private constructor(process: EtcdProcess) {
    this.process = process;
  }

  static async start(dataDir: string, peerPort: number): Promise<Etcd> {
    const ports = [...(await freePorts(1)), peerPort];
    return new Etcd(await startEtcd({ dataDir, ports, flags: ['--snapshot-count=20'] }));
  }

  async call(method: string, body: object): Promise<Record<string, unknown>> {
    const response = await fetch(`${this.process.url}/v3/kv/${method}`, {
      method: 'POST',
      body: JSON.stringify(body),
    });
    const answer: unknown = await response.json();
    if (!response.ok || typeof answer !== 'object' || answer === null)
      throw new Error(JSON.stringify(answer));
    return Object.fromEntries(Object.entries(answer));
  }

  put(key: string, value: string): Promise<unknown> {
    return this.call('put', { key: base64(key), value: base64(value) });
  }

  /** All keys with value and revisions, as the gateway prints them. */
  async all(): Promise<unknown> {
    const { kvs } = await this.call('range', { key: 'AA==', range_end: 'AA==' });
    return kvs;
  }

  kill(): Promise<void> {
    return this.process.stop();
  }
}

const base64 = (text: string) => Buffer.from(text).toString('base64');

/** The puts and deletes of the log, in order. */
function commandsOf(entries: readonly Entry[]): string[] {
  const commands: string[] = [];
  for (const entry of entries) {
    if (entry.type !== EntryType.Normal || entry.data.length === 0) continue;
    let request: etcdserverpb.InternalRaftRequest;
    // A bare v2 request, with which etcd 3.4 publishes a member's URLs, does not parse or has no key.
    try {
      request = etcdserverpb.decodeInternalRaftRequest(entry.data);
    } catch {
      continue;
    }
    const { put, deleteRange } = request;
    if (put?.key !== undefined && put.key.length > 0)
      commands.push(`put ${put.key.toString()} ${put.value?.length}`);
    if (deleteRange !== undefined) commands.push(`delete ${deleteRange.key?.toString()}`);
  }
  return commands;
}

describeWithEtcd(title, () => {
  let root: string;
  let peerPort: number;
  let commands: string[];
  let keys: unknown;

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'keelson-etcd-'));
    [peerPort] = await freePorts(1);
    const etcd = await Etcd.start(join(root, 'theirs'), peerPort);
    commands = [];
    for (let i = 0; i < 45; i++) {
      await etcd.put(`key ${i % 30}`, 'v'.repeat(i * i));
      commands.push(`put key ${i % 30} ${i * i}`);
    }
    await etcd.call('deleterange', { key: base64('key 7') });
    commands.push('delete key 7');
    keys = await etcd.all();
    await etcd.kill();
  });

  afterAll(() => rm(root, { recursive: true }));

  test('its log and snapshot files are read by ours', async () => {
    const directory = join(root, 'read');
    await cp(join(root, 'theirs', 'member'), directory, { recursive: true });
    const markers = await validSnapshotMarkers(disk, join(directory, 'wal'));
    expect(markers.length).toBeGreaterThan(1);
    const newest = markers[markers.length - 1];
    const snapshot = await new SnapStore(disk, join(directory, 'snap'), silentLogger).loadNewest();
    expect(snapshot).toMatchObject({ index: newest.index, term: newest.term });
    const { wal, metadata, entries, hardState } = await Wal.open(disk, join(directory, 'wal'), START);
    expect(snapshot?.confState.voters).toEqual([decodeMetadata(metadata).memberId]);
    expect(commandsOf(entries)).toEqual(commands);
    expect(entries.map((entry) => entry.index)).toEqual(entries.map((_, i) => i + 1));
    expect(hardState.commit).toBeGreaterThanOrEqual(entries.length - 1);
    expect(hardState.vote).toBe(decodeMetadata(metadata).memberId);
    await wal.close();
    const later = await Wal.open(disk, join(directory, 'wal'), newest);
    expect(later.entries[0]?.index).toBe(newest.index + 1);
    await later.wal.close();
  });

  test('a segment that it has cut to its records, as its repair does, is gone on in', async () => {
    const directory = join(root, 'repaired');
    await cp(join(root, 'theirs', 'member', 'wal'), directory, { recursive: true });
    const last = (await disk.list(directory)).findLast((name) => name.endsWith('.wal'))!;
    const before = await Wal.open(disk, directory, START);
    await before.wal.close();
    const file = await disk.open(join(directory, last), 'write');
    const bytes = await file.read(0, await file.size());
    await file.truncate(Math.ceil(endOfData(bytes) / 8) * 8);
    await file.close();
    for (let life = 0; life < 2; life++) {
      const { wal, entries, hardState } = await Wal.open(disk, directory, START);
      expect(entries.length).toBe(before.entries.length);
      await wal.append({
        entries: [],
        hardState: { ...hardState, term: hardState.term + 1 },
        mustSync: true,
      });
      await wal.close();
    }
  });

  test('boots from a log of ours and goes on in it', async () => {
    const source = join(root, 'source');
    await cp(join(root, 'theirs', 'member', 'wal'), source, { recursive: true });
    const { wal: theirs, metadata, entries, hardState } = await Wal.open(disk, source, START);
    await theirs.close();

    const directory = join(root, 'ours', 'member', 'wal');
    await disk.makeDirectory(join(root, 'ours', 'member'));
    const wal = await Wal.create(disk, directory, metadata, { segmentBytes: SEGMENT_BYTES });
    for (let i = 0; i < entries.length; i += 3) {
      const group = entries.slice(i, i + 3);
      const commit = Math.min(hardState.commit, i + group.length);
      await wal.append({ entries: group, hardState: { ...hardState, commit }, mustSync: true });
    }
    expect(wal.counters.cuts).toBeGreaterThan(2);
    await wal.close();

    let etcd = await Etcd.start(join(root, 'ours'), peerPort);
    expect(await etcd.all()).toEqual(keys);
    await etcd.put('later', 'than ours');
    const later = await etcd.all();
    await etcd.kill();

    const again = await Wal.open(disk, directory, START, { segmentBytes: SEGMENT_BYTES });
    expect(commandsOf(again.entries)).toEqual([...commands, 'put later 9']);
    await again.wal.append({ entries: [], hardState: undefined, mustSync: true });
    await again.wal.close();

    etcd = await Etcd.start(join(root, 'ours'), peerPort);
    expect(await etcd.all()).toEqual(later);
    await etcd.kill();
  });
});
