/**
 * The backend that keeps everything in memory: for control planes that need not outlive their process, and for tests.
 * The same storage as over etcd, on a store of keys of its own.
 */

import type { Clock } from '@keelson/base';

import { MemoryKeySpace } from './memory-key-space.ts';
import { DEFAULT_PREFIX } from './keys.ts';
import { ObjectStorage } from './object-storage.ts';
import type { Storage, StorageBackend, StorageResource } from './storage.ts';

export interface MemoryBackendOptions {
  readonly clock: Clock;
  /** Of all keys. Default: /registry. */
  readonly prefix?: string;
  /** Changes kept for watches and lists of the past; see MemoryKeySpace. */
  readonly historyMax?: number;
}

export class MemoryBackend implements StorageBackend {
  readonly space: MemoryKeySpace;
  private readonly prefix: string;
  private readonly clock: Clock;

  constructor({ clock, prefix = DEFAULT_PREFIX, historyMax }: MemoryBackendOptions) {
    this.clock = clock;
    this.prefix = prefix;
    this.space = new MemoryKeySpace(historyMax === undefined ? { clock } : { clock, historyMax });
  }

  storage(resource: StorageResource): Storage {
    return new ObjectStorage(resource, this.space, { prefix: this.prefix, clock: this.clock });
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    this.space.close();
  }
}
