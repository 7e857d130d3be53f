/**
 * The backend in memory, over a sorted map: for embedding without a disk, for simulation and as the dumb
 * twin of LevelDB. Durable for as long as the object lives; a test keeps it across a member's restarts.
 */
import { assert, SortedMap } from '@keelson/base';
import type { Backend, BackendPair, BackendRange, BackendSnapshot, BatchOperation } from './backend.ts';

/** Pairs handed out between two turns of the event loop. */
const SLICE_PAIRS = 256;

/** A map and how many views read it: while there are any, a write works on a copy. */
class Version {
  readonly map: SortedMap<Buffer>;
  views = 0;

  constructor(map: SortedMap<Buffer>) {
    this.map = map;
  }
}

export class MemoryBackend implements Backend {
  private version = new Version(new SortedMap<Buffer>());
  private bytes = 0;
  private closed = false;
  /** Set by a test: the next write rejects with it, and so do all that follow. */
  failure: Error | undefined = undefined;

  getSync(key: string): Buffer | undefined {
    this.assertOpen();
    return this.version.map.get(key);
  }

  async *iterate(range: BackendRange): AsyncGenerator<readonly BackendPair[]> {
    this.assertOpen();
    const version = this.version;
    version.views++;
    try {
      yield* iterateMap(version.map, range);
    } finally {
      version.views--;
    }
  }

  write(operations: readonly BatchOperation[]): Promise<void> {
    this.assertOpen();
    if (this.failure !== undefined) return Promise.reject(this.failure);
    if (this.version.views > 0) this.version = new Version(this.version.map.clone());
    const map = this.version.map;
    for (const { key, value } of operations) {
      const previous = map.get(key);
      if (previous !== undefined) this.bytes -= key.length + previous.length;
      if (value === undefined) map.delete(key);
      else {
        map.set(key, value);
        this.bytes += key.length + value.length;
      }
    }
    return Promise.resolve();
  }

  snapshot(): BackendSnapshot {
    this.assertOpen();
    const version = this.version;
    version.views++;
    let open = true;
    return {
      iterate: (range) => {
        assert(open, 'snapshot used after close');
        return iterateMap(version.map, range);
      },
      close: () => {
        assert(open, 'snapshot closed twice');
        open = false;
        version.views--;
        return Promise.resolve();
      },
    };
  }

  sizeBytes(): Promise<number> {
    return Promise.resolve(this.bytes);
  }

  rangeSizeBytes(gte: string, lt: string): Promise<number> {
    let bytes = 0;
    this.version.map.range(gte, lt, (key, value) => {
      bytes += key.length + value.length;
    });
    return Promise.resolve(bytes);
  }

  compact(_gte: string, _lt: string): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }

  /** Makes it usable again after close(), as a database on disk is by being opened. */
  reopen(): void {
    this.closed = false;
  }

  private assertOpen(): void {
    assert(!this.closed, 'backend used after close');
  }
}

async function* iterateMap(
  map: SortedMap<Buffer>,
  range: BackendRange,
): AsyncGenerator<readonly BackendPair[]> {
  let { gte, lt } = range;
  let left = range.limit ?? Infinity;
  while (left > 0) {
    const pairs: BackendPair[] = [];
    const want = Math.min(SLICE_PAIRS, left);
    const visit = (key: string, value: Buffer): boolean => {
      pairs.push({ key, value });
      return pairs.length < want;
    };
    if (range.reverse === true) map.rangeReverse(gte, lt, visit);
    else map.range(gte, lt, visit);
    const last = pairs.at(-1);
    if (last === undefined) return;
    yield pairs;
    left -= pairs.length;
    if (pairs.length < want) return;
    // The least string above a key is the key and a zero byte.
    if (range.reverse === true) lt = last.key;
    else gte = `${last.key}\0`;
    await Promise.resolve();
  }
}
