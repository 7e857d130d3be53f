import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Prng } from '@keelson/base';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { LevelBackend } from '../backend/level-backend.ts';
import { MemoryBackend } from '../backend/memory-backend.ts';
import { WriteBuffer } from '../backend/write-buffer.ts';
import { NodeDisk } from '../disk/node-disk.ts';
import { encodeRevision } from './revision.ts';
import { MvccStore } from './store.ts';

const prng = new Prng(3);
const KEYS = 1000;
const noise = Buffer.from(Uint32Array.from({ length: 65_536 }, () => prng.uint32()).buffer);
const noPause = (): Promise<void> => Promise.resolve();

/** A store that is written to as fast as it takes it, and the ranges its backend was asked to write anew. */
class Bench {
  readonly rewritten: [string, string][] = [];
  readonly store: MvccStore;
  readonly backend: LevelBackend | MemoryBackend;
  private readonly buffer: WriteBuffer;
  private index = 0;

  private constructor(backend: LevelBackend | MemoryBackend, buffer: WriteBuffer, store: MvccStore) {
    this.backend = backend;
    this.buffer = buffer;
    this.store = store;
    const compact = backend.compact.bind(backend);
    backend.compact = (gte, lt) => {
      this.rewritten.push([gte, lt]);
      return compact(gte, lt);
    };
  }

  static async open(backend: LevelBackend | MemoryBackend): Promise<Bench> {
    const onError = (error: Error): void => {
      throw error;
    };
    const buffer = await WriteBuffer.load(backend, { onError });
    return new Bench(backend, buffer, await MvccStore.restore(buffer));
  }

  /** Random values, which no compression makes smaller. */
  async put(count: number, keyOf: (i: number) => string, valueBytes = 1024): Promise<void> {
    for (let i = 0; i < count; i++) {
      const at = prng.below(noise.length - valueBytes);
      const value = noise.subarray(at, at + valueBytes);
      const txn = this.store.beginWrite();
      txn.put(keyOf(i), value, 0n);
      txn.end();
      if (i % 1000 === 999) await this.commit();
    }
    await this.commit();
  }

  async compact(revision = this.store.currentRevision): Promise<void> {
    expect(this.store.compact(revision)).toBe('ok');
    await this.store.runCompaction(noPause);
    await this.commit();
  }

  private commit(): Promise<void> {
    const newestRevision = encodeRevision(this.store.currentRevision, 0);
    this.buffer.mark({ consistentIndex: ++this.index, term: 1, newestRevision, confState: '' });
    return this.buffer.commit();
  }
}

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'keelson-reclaim-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const again = (i: number): string => `key${i % KEYS}`;
/** Of a page of main revisions, in the backend's words. */
const edge = (page: number): string => `k${encodeRevision(page * 4096, 0)}`;

test('files hold what is there, not what was ever written', async () => {
  const bench = await Bench.open(await LevelBackend.open(new NodeDisk(), directory));
  for (let round = 0; round < 3; round++) {
    await bench.put(16_000, again);
    expect(await bench.backend.sizeBytes()).toBeGreaterThan(16e6);
    await bench.compact();
    // A thousand keys of 1 kB, in tables and in what LevelDB's log still holds of them.
    expect(await bench.backend.sizeBytes()).toBeLessThan(6e6);
  }
  for (let i = 0; i < KEYS; i++) expect(bench.store.range(again(i), '', {})).toMatchObject({ count: 1 });
  await bench.backend.close();
});

test('only pages of which half is deleted are written anew, neighbours at once', async () => {
  const bench = await Bench.open(new MemoryBackend());
  // Pages 0 and 1 and most of 2, the last of them half of what no one supersedes.
  await bench.put(4096 + 4095, again);
  await bench.put(4096, (i) => (i % 8 === 0 ? again(i) : `once${i}`));
  await bench.put(KEYS, again);
  await bench.compact();
  expect(bench.rewritten).toEqual([[edge(0), edge(2)]]);
  // What stays of page 2 goes a while later.
  bench.rewritten.length = 0;
  await bench.put(4096, (i) => (i % 8 === 0 ? again(i) : `once${i}`));
  await bench.compact();
  expect(bench.rewritten).toEqual([[edge(2), edge(3)]]);
});

test('a little is left for later', async () => {
  const bench = await Bench.open(new MemoryBackend());
  await bench.put(4000, again, 64);
  await bench.compact();
  expect(bench.rewritten).toEqual([]);
  // Seldom compactions and often ones end alike.
  for (let i = 0; i < 20; i++) {
    await bench.put(4000, again, 64);
    await bench.compact();
  }
  expect(bench.rewritten.length).toBeGreaterThan(0);
  const last = bench.rewritten.at(-1) ?? ['', ''];
  expect(await bench.backend.rangeSizeBytes(edge(0), last[1])).toBeLessThan(0.5e6);
});

test('a compaction that has to stop leaves the rest of the rewriting to the next', async () => {
  const bench = await Bench.open(new MemoryBackend());
  // Two ranges, since page 1 between them stays.
  await bench.put(4095, again);
  await bench.put(4096, (i) => `once${i}`);
  await bench.put(4096 + KEYS, again);
  expect(bench.store.compact(bench.store.currentRevision)).toBe('ok');
  const stop = new Error('stopping');
  const pause = (): Promise<void> => (bench.rewritten.length > 0 ? Promise.reject(stop) : Promise.resolve());
  await expect(bench.store.runCompaction(pause)).rejects.toBe(stop);
  expect(bench.rewritten).toEqual([[edge(0), edge(1)]]);
  expect(bench.store.compactionPending).toBe(true);
  // Less is left than is worth a rewrite alone.
  await bench.put(KEYS, again);
  await bench.compact();
  expect(bench.rewritten.slice(1)).toEqual([[edge(2), edge(4)]]);
  expect(bench.store.compactionPending).toBe(false);
});
