/** A backup folder while it is written: power lost and disks failing at every step, streams that break, long runs. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Prng } from '@keelson/base';
import type { Client } from '@keelson/client';
import type { ShippedMessage } from '../src/transfer/backup-folder.ts';
import { readManifest, writeManifest } from '../src/transfer/backup-manifest.ts';
import { backupStatus, type ChainStatus } from '../src/transfer/backup-status.ts';
import { BackupSite, record } from './backup-machine.ts';
import { MemberCluster } from './members.ts';

let cluster: MemberCluster;
let client: Client;

beforeAll(async () => {
  cluster = await MemberCluster.start({ members: 1 });
  client = cluster.client();
  for (let i = 0; i < 20; i++) await client.kv.put(`key/${i}`, 'x'.repeat(i));
});
afterAll(() => cluster.stop());

async function chainsOf(site: BackupSite): Promise<readonly ChainStatus[]> {
  return (await backupStatus(site.world(), site.directory)).chains;
}

/** Opens the folder, takes a base when it must, and ships some, as each run of the command does. */
async function run(site: BackupSite): Promise<void> {
  const folder = await site.open();
  if (folder.end === undefined) await site.addBase(client);
  for (let i = 0; i < 2; i++) {
    await client.kv.put('new', `${i}`);
    await site.ship(client);
  }
  await folder.close();
}

async function expectUndamaged(site: BackupSite): Promise<void> {
  const [{ base, increments, points }, ...others] = await chainsOf(site);
  for (const { damage } of [base, ...increments]) expect(damage).toBe(undefined);
  expect(points.at(-1)?.index).toBe(cluster.server(0).replica.appliedIndex);
  expect(others).toEqual([]);
}

/** And what is restored is what the member has. */
async function expectWhole(site: BackupSite): Promise<void> {
  await expectUndamaged(site);
  const want = await record(cluster.server(0).replica.state);
  site.homes.clear();
  await site.disk.removeAll('/data');
  expect(await site.restore('/data', { kind: 'end' })).toMatchObject({ revision: want.revision });
  expect(await site.stateOf('/data')).toEqual(want);
}

test('power lost at every step of two runs: the next one goes on', async () => {
  const prng = new Prng(11);
  const steps = await countSteps();
  expect(steps).toBeGreaterThan(40);
  let seen = '';
  for (let step = 0; step < steps; step++) {
    const site = new BackupSite();
    await site.crashDuring(step, prng, async () => {
      await run(site);
      await run(site);
    });
    await run(site);
    await (step % 4 === 0 ? expectWhole(site) : expectUndamaged(site));
    seen += site.messages.join('\n');
  }
  expect(seen).toContain('discarded a base that was not finished');
  expect(seen).toContain('discarded a torn increment');
});

/** Operations on the disk of two runs. */
async function countSteps(): Promise<number> {
  const site = new BackupSite();
  let count = 0;
  site.disk.configure({ delay: () => (count++, undefined) });
  await run(site);
  await run(site);
  return count;
}

test('a disk that fails at any step: nothing is written any more until the folder is opened anew', async () => {
  for (let step = 0; ; step++) {
    const site = new BackupSite();
    await run(site);
    const folder = await site.open();
    await client.kv.put('new', 'before the failure');
    await site.ship(client);
    await client.kv.put('new', 'failing');
    let left = step;
    site.disk.configure({ fault: () => (left-- === 0 ? 'EIO' : undefined) });
    const outcome = await site.ship(client).then(
      () => 'shipped',
      (error: unknown) => String(error),
    );
    site.disk.configure({});
    if (left >= 0) {
      expect(outcome).toBe('shipped');
      expect(step).toBeGreaterThan(4);
      break;
    }
    expect(outcome).toMatch(/EIO/);
    await expect(site.ship(client)).rejects.toThrow('/backup could not be written to: open it again');
    await expect(site.addBase(client)).rejects.toThrow('/backup could not be written to: open it again');
    await folder.close();
    await run(site);
    await expectWhole(site);
  }
});

describe('a shipment', () => {
  /** What the member would send, changed on its way. */
  async function* changed(
    site: BackupSite,
    change: (message: ShippedMessage, at: number) => ShippedMessage,
  ): AsyncGenerator<ShippedMessage> {
    const end = site.folder?.end;
    let at = 0;
    for await (const message of client.backup.shipLog({ term: end?.term ?? 0, index: end?.index ?? 0 }))
      yield change(message, at++);
  }

  const pick = ({ term, index, revision, unixMs, leaseTtlMin }: NonNullable<ShippedMessage['reached']>) => ({
    term,
    index,
    revision,
    unixMs,
    leaseTtlMin,
  });

  const broken = (): never => {
    throw new Error('the connection broke');
  };

  test.each<[string, (message: ShippedMessage) => ShippedMessage, string]>([
    ['that breaks', (message) => (message.reached === undefined ? message : broken()), 'the connection broke'],
    ['without an end', (message) => ({ ...message, reached: undefined }), 'the shipment ended before it was whole'],
    ['that lacks its last entries', (message) => ({ ...message, entries: message.entries.slice(0, -1) }), 'and should have reached'],
    ['of another history', (message) => message.reached === undefined ? message : { ...message, reached: { ...pick(message.reached), revision: message.reached.revision + 1 } }, 'cannot make: its history is another one'],
    ['of an earlier history', (message) => message.reached === undefined ? message : { ...message, reached: { ...pick(message.reached), revision: message.reached.revision - 3 } }, 'cannot make: its history is another one'],
    ['with a gap', (message) => ({ ...message, entries: message.entries.slice(1) }), 'the member sent entry'],
  ])('%s leaves the folder as it was', async (_name, change, error) => {
    const site = new BackupSite();
    const folder = await site.open();
    await site.addBase(client);
    for (const before of ['a base', 'a shipment of this run']) {
      await client.kv.put('broken', before);
      await client.kv.put('broken', before);
      const { end } = folder;
      await expect(folder.receive(changed(site, change))).rejects.toThrow(error);
      expect(folder.end).toEqual(end);
      await site.ship(client);
    }
    const [{ increments }] = await chainsOf(site);
    expect(increments).toHaveLength(1);
    await folder.close();
    await expectWhole(site);
  }); // prettier-ignore

  test('that breaks where the disk fails to take it back: nothing is written any more', async () => {
    for (const before of ['a base', 'a shipment of this run']) {
      const site = new BackupSite();
      const folder = await site.open();
      await site.addBase(client);
      if (before !== 'a base') {
        await client.kv.put('broken', before);
        await site.ship(client);
      }
      await client.kv.put('broken', before);
      const breaks = (message: ShippedMessage): ShippedMessage => {
        if (message.reached === undefined) return message;
        site.disk.configure({ fault: () => 'EIO' });
        return broken();
      };
      await expect(folder.receive(changed(site, breaks))).rejects.toThrow('EIO');
      site.disk.configure({});
      await expect(site.ship(client)).rejects.toThrow('/backup could not be written to: open it again');
      await folder.close();
      await run(site);
      await expectWhole(site);
    }
  });

  test('keeps earlier points a minute apart', async () => {
    const site = new BackupSite();
    const folder = await site.open();
    await site.addBase(client);
    for (let second = 0; second <= 200; second += 20) {
      await client.kv.put('clock', `${second}`);
      await folder.receive(
        changed(site, (message) => ({
          ...message,
          reached:
            message.reached === undefined
              ? undefined
              : { ...pick(message.reached), unixMs: 1_800_000_000_000 + second * 1_000 },
        })),
      );
    }
    const [{ increments }] = await chainsOf(site);
    const [{ item }] = increments;
    expect(item.points.map(({ timeMs }) => (timeMs - 1_800_000_000_000) / 1_000)).toEqual([
      0, 60, 120, 180, 200,
    ]);
    const restored = await site.restore('/at-130', { kind: 'time', ms: 1_800_000_130_000 });
    expect(restored.revision).toBe(item.points[2].revision);
    await folder.close();
  });
});

test('a chain whose end is damaged is not gone on with', async () => {
  const site = new BackupSite();
  await run(site);
  const manifest = await readManifest(site.disk, site.directory);
  const last = manifest?.chains[0].increments.at(-1);
  site.disk.flip(`/backup/chain-0001/${last?.file}`, (last?.bytes ?? 0) - 50, 1);
  await run(site);
  expect(site.messages).toEqual(['the newest chain cannot be gone on with: a new base is wanted']);
  const chains = await chainsOf(site);
  expect(chains.map(({ directory }) => directory)).toEqual(['chain-0001', 'chain-0002']);
  expect(chains.map(({ increments }) => increments.map(({ damage }) => damage === undefined))).toEqual([
    [false],
    [true],
  ]);
  const want = await record(cluster.server(0).replica.state);
  expect(await site.restore('/data', { kind: 'end' })).toMatchObject({ revision: want.revision });
});

test.each<[string, string, string | undefined, string]>([
  ['other files', 'notes.txt', 'mine', '/backup holds notes.txt and no manifest.json: it is no backup folder'],
  ['a manifest of another version', 'manifest.json', '{"version":2}', '/backup/manifest.json cannot be read: it is of version 2, and this build knows 1'],
  ['a manifest that is cut', 'manifest.json', '{"version":1,', '/backup/manifest.json cannot be read: '],
  ['a manifest that leads elsewhere', 'manifest.json', '{"version":1,"clusterId":"1","chains":[{"directory":"../..","base":{}}]}', 'directory is no name of ours'],
])('a directory with %s is left alone', async (_name, file, text, error) => {
  const site = new BackupSite();
  await site.disk.makeDirectory('/backup');
  await site.disk.writeFileAtomic(`/backup/${file}`, Buffer.from(text ?? ''));
  await expect(site.open()).rejects.toThrow(error);
  expect(await site.disk.list('/backup')).toEqual([file]);
}); // prettier-ignore

test('a folder whose manifest is lost keeps what it has', async () => {
  const site = new BackupSite();
  await run(site);
  await site.disk.remove('/backup/manifest.json');
  const names = await site.disk.list('/backup/chain-0001/wal');
  expect(names.length).toBeGreaterThan(0);
  await expect(site.open()).rejects.toThrow('/backup holds increments and no manifest.json: it is lost');
  expect(await site.disk.list('/backup/chain-0001/wal')).toEqual(names);
  // With later chains it is nothing that a crash leaves, either.
  await site.disk.makeDirectory('/backup/chain-0002/wal');
  for (const name of names) await site.disk.remove(`/backup/chain-0001/wal/${name}`);
  await expect(site.open()).rejects.toThrow('/backup holds chain-0002 and no manifest.json');
  expect(await site.disk.list('/backup')).toEqual(expect.arrayContaining(['chain-0001', 'chain-0002']));
});

test('a chain that was taken out of the manifest is discarded, and its successors keep their names', async () => {
  const site = new BackupSite();
  await run(site);
  await site.addBase(client);
  await run(site);
  const manifest = await readManifest(site.disk, site.directory);
  expect(manifest?.chains.map(({ directory }) => directory)).toEqual(['chain-0001', 'chain-0002']);
  if (manifest !== undefined)
    await writeManifest(site.disk, site.directory, { ...manifest, chains: manifest.chains.slice(1) });
  await run(site);
  expect(site.messages).toEqual(['discarded a base that was not finished']);
  await site.addBase(client);
  await run(site);
  const chains = await chainsOf(site);
  expect(chains.map(({ directory }) => directory)).toEqual(['chain-0002', 'chain-0003']);
  for (const { base, increments } of chains)
    for (const { damage } of [base, ...increments]) expect(damage).toBe(undefined);
});

// Last: what it puts makes every base after it a large one.
test('a long run begins another file after 16 MB', async () => {
  const site = new BackupSite();
  const folder = await site.open();
  await site.addBase(client);
  const value = Buffer.alloc(1_000_000, 'v');
  for (let i = 0; i < 18; i++) {
    await client.kv.put(`large/${i % 2}`, value);
    if (i % 6 === 5) await site.ship(client);
  }
  await client.kv.put('last', '');
  await site.ship(client);
  await folder.close();
  const [{ increments }] = await chainsOf(site);
  expect(increments.map(({ item }) => item.points.length)).toEqual([2, 1]);
  expect(increments[0].item.bytes).toBeGreaterThan(16 * 1024 * 1024);
  await expectWhole(site);
});
