/**
 * The backend over LevelDB (classic-level). Every batch is written with sync, off the main thread: LevelDB
 * can lose an unsynced batch under a later one. LevelDB's own LOCK file is the data directory's lock, so the
 * backend is opened before the log is touched.
 *
 * Every option is chosen by measurement: see OPTIONS.
 */
import { assert, type Disk } from '@keelson/base';
import { ClassicLevel, type IteratorOptions, type Snapshot } from 'classic-level';
import { errorCodeOf, errorMessageOf } from '../disk/error-code.ts';
import { FatalError } from '../errors.ts';
import type { Backend, BackendPair, BackendRange, BackendSnapshot, BatchOperation } from './backend.ts';
import { moveFormerBuckets } from './former-buckets.ts';
import { BackendOpenError } from './open-error.ts';
import { checkLevelFiles, LevelDamage } from './level-files.ts';

type Level = ClassicLevel<string, Buffer>;

/**
 * LevelDB's lock file. Nothing may open it: a process's locks on a file (POSIX) end when it closes any handle of
 * it, and a second process could then open the data directory.
 */
const LOCK = 'LOCK';

/** Pairs a native call brings; between two calls other work runs. */
const SLICE_PAIRS = 256;

/** Keys are latin1 in memory and the same bytes on disk. */
const KEY_ENCODING = {
  name: 'latin1-bytes',
  format: 'buffer',
  encode: (key: string): Buffer => Buffer.from(key, 'latin1'),
  decode: (bytes: Buffer): string => bytes.toString('latin1'),
} as const;

/**
 * Measured with 300,000 revisions of 256 bytes in batches of 5,000 (2 shared cores): all of these are
 * within the noise of 1.6 µs a put except where said.
 */
const OPTIONS = {
  /** Snappy: no cost that shows, a quarter less disk for text. */
  compression: true,
  /** Two are held at most. 8 MiB gained nothing and doubles memory and the time to recover at open. */
  writeBufferSize: 4 * 1024 * 1024,
  /** 16 KiB made a random get 4.0 instead of 2.6 µs. */
  blockSize: 4096,
  /** 32 MiB gained nothing: revisions are read once, and the system caches the files. */
  cacheSize: 8 * 1024 * 1024,
  /** LevelDB's own 2 MiB means thousands of open files at a few gigabytes; throughput is the same. */
  maxFileSize: 8 * 1024 * 1024,
} as const;

export class LevelBackend implements Backend {
  private readonly level: Level;
  private readonly disk: Disk;
  private readonly directory: string;
  private failure: Error | undefined = undefined;

  private constructor(level: Level, disk: Disk, directory: string) {
    this.level = level;
    this.disk = disk;
    this.directory = directory;
  }

  /**
   * Opens or creates the database in `directory`, whose parent exists, once its files are found to be what was written.
   * @param isLocked whether another process holds a file: what it is writing to looks damaged
   * @throws BackendOpenError; FatalError for a directory of two layouts
   */
  static async open(
    disk: Disk,
    directory: string,
    isLocked: (path: string) => Promise<boolean> = () => Promise.resolve(false),
  ): Promise<LevelBackend> {
    await disk.makeDirectory(directory);
    try {
      const found = await checkLevelFiles(disk, directory);
      if (found === 'begun' && !(await isLocked(`${directory}/${LOCK}`))) {
        await disk.removeAll(directory);
        await disk.makeDirectory(directory);
      }
    } catch (error) {
      if (await isLocked(`${directory}/${LOCK}`)) throw locked(directory, error);
      if (!(error instanceof LevelDamage)) throw error;
      throw new BackendOpenError('DAMAGED', `backend: ${error.message}`, { cause: error });
    }
    const level: Level = new ClassicLevel<string, Buffer>(directory, {
      ...OPTIONS,
      keyEncoding: KEY_ENCODING,
      valueEncoding: 'buffer',
    });
    try {
      await level.open();
    } catch (error) {
      const cause = typeof error === 'object' && error !== null && 'cause' in error ? error.cause : error;
      if (errorCodeOf(cause) === 'LEVEL_LOCKED') {
        throw locked(directory, cause);
      }
      throw new BackendOpenError('DAMAGED', `backend: cannot open ${directory}: ${errorMessageOf(cause)}`, {
        cause,
      });
    }
    const backend = new LevelBackend(level, disk, directory);
    try {
      // CURRENT names a new manifest from now on, which LevelDB does not make durable.
      await disk.syncDirectory(directory);
      await moveFormerBuckets(backend);
    } catch (error) {
      await level.close();
      throw error;
    }
    return backend;
  }

  getSync(key: string): Buffer | undefined {
    return this.level.getSync(key);
  }

  iterate(range: BackendRange): AsyncIterable<readonly BackendPair[]> {
    return iterateLevel(this.level, range, undefined);
  }

  async write(operations: readonly BatchOperation[]): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    const batch = this.level.batch();
    try {
      for (const { key, value } of operations) {
        if (value === undefined) batch.del(key);
        else batch.put(key, value);
      }
      await batch.write({ sync: true });
    } catch (error) {
      this.failure = new FatalError(`backend: ${errorMessageOf(error)}`, { cause: error });
      throw this.failure;
    }
  }

  snapshot(): BackendSnapshot {
    const snapshot = this.level.snapshot();
    let open = true;
    return {
      iterate: (range) => {
        assert(open, 'snapshot used after close');
        return iterateLevel(this.level, range, snapshot);
      },
      close: async () => {
        assert(open, 'snapshot closed twice');
        open = false;
        await snapshot.close();
      },
    };
  }

  /** What the files take: LevelDB's own estimate leaves out its log, where the newest writes are. */
  async sizeBytes(): Promise<number> {
    let bytes = 0;
    for (const name of await this.disk.list(this.directory)) {
      if (name !== LOCK) bytes += await this.fileBytes(name);
    }
    return bytes;
  }

  /** 0 for a file that LevelDB has removed meanwhile. */
  private async fileBytes(name: string): Promise<number> {
    try {
      const file = await this.disk.open(`${this.directory}/${name}`, 'read');
      try {
        return await file.size();
      } finally {
        await file.close();
      }
    } catch (error) {
      if (errorCodeOf(error) === 'ENOENT') return 0;
      throw error;
    }
  }

  rangeSizeBytes(gte: string, lt: string): Promise<number> {
    return this.level.approximateSize(gte, lt);
  }

  compact(gte: string, lt: string): Promise<void> {
    return this.level.compactRange(gte, lt);
  }

  close(): Promise<void> {
    return this.level.close();
  }
}

function locked(directory: string, cause: unknown): BackendOpenError {
  return new BackendOpenError('LOCKED', `another process holds the data dir: ${directory} is locked`, {
    cause,
  });
}

async function* iterateLevel(
  level: Level,
  range: BackendRange,
  snapshot: Snapshot | undefined,
): AsyncGenerator<readonly BackendPair[]> {
  const options: IteratorOptions<string, Buffer> = {
    gte: range.gte,
    lt: range.lt,
    reverse: range.reverse ?? false,
    limit: range.limit ?? -1,
    ...(snapshot === undefined ? {} : { snapshot }),
  };
  const iterator = level.iterator(options);
  try {
    for (;;) {
      const entries = await iterator.nextv(SLICE_PAIRS);
      if (entries.length === 0) return;
      yield entries.map(([key, value]) => ({ key, value }));
    }
  } finally {
    await iterator.close();
  }
}
