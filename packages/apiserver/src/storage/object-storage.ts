/**
 * A Storage over a store of keys: objects to bytes, conditional writes that are repeated when somebody else wrote,
 * lists in pages, watches. Everything the two backends have in common; they differ in their key space alone.
 *
 * It keeps no state but what runs at the moment, and never caches. Modelled on kubernetes/apiserver
 * pkg/storage/etcd3/store.go, whose order of checks and texts are the contract.
 */

import type { Clock } from '@keelson/base';

import type { KubeObject } from '../api/meta.ts';
import { finish, WITHOUT_PAUSE, type Pace, type Sliced, type Slices } from '../api/sliced.ts';
import { requestEntityTooLarge } from '../api/status.ts';
import { readJsonInSlices } from '../codec/json-reader.ts';
import { equalJsonInSlices } from '../patch/field-path.ts';
import { EncodedObject, corrupt } from './encoded-object.ts';
import { isKeySpaceError, type KeyPair, type KeySpace, type WriteResult } from './key-space.ts';
import { fullKey } from './keys.ts';
import { ListReader, type Writing } from './list-reader.ts';
import type { StoreTraffic } from './measured-key-space.ts';
import { ObjectWatcher } from './object-watch.ts';
import { checkReached } from './resource-version.ts';
import { StorageError } from './storage-error.ts';
import type {
  CreateOptions,
  DeleteOptions,
  GetOptions,
  ListOptions,
  ListResult,
  Preconditions,
  ReadOptions,
  Storage,
  StorageResource,
  StoredObject,
  TryUpdate,
  Updated,
  UpdateOptions,
  Watch,
  WatchOptions,
} from './storage.ts';

export interface ObjectStorageOptions {
  /** Of all keys, `/registry`. */
  readonly prefix: string;
  /** Long lists give the event loop its turns by it. */
  readonly clock: Clock;
  /** Told what comes from the store. */
  readonly traffic?: StoreTraffic;
}

/** What an update or a delete starts from. */
interface State {
  /** Undefined: the key does not exist. */
  readonly object: StoredObject | undefined;
  /** 0: the key does not exist. */
  readonly revision: number;
  /** What the codec would write; made when it is compared. @returns a promise only where it is made in slices */
  readonly bytes: (slices?: Slices) => Buffer | Promise<Buffer>;
  /** Must be written again although nothing changed. */
  readonly stale: boolean;
}

export class ObjectStorage implements Storage {
  readonly resource: StorageResource;
  private readonly space: KeySpace;
  private readonly options: ObjectStorageOptions;
  private readonly reader: ListReader;
  private readonly watcher: ObjectWatcher;

  constructor(resource: StorageResource, space: KeySpace, options: ObjectStorageOptions) {
    this.resource = resource;
    this.space = space;
    this.options = options;
    this.reader = new ListReader(resource, space, options);
    this.watcher = new ObjectWatcher(resource, space, options, this.reader);
  }

  async get(key: string, { resourceVersion = '', cached, signal }: GetOptions = {}): Promise<StoredObject> {
    const full = this.full(key);
    // A state of a key is known by its revision: it need not be sent, nor decoded, nor written as JSON, a second time.
    if (isOf(cached, key) && resourceVersion === '' && this.space.revisionOf !== undefined) {
      if ((await this.space.revisionOf(full)) === cached.revision) return cached;
    }
    const { pair, revision } = await this.space.get(full, signal);
    checkReached(resourceVersion, revision);
    if (pair === undefined) throw new StorageError('KEY_NOT_FOUND', full, 0);
    if (isOf(cached, key) && cached.revision === pair.revision) return cached;
    const { object } = await this.reader.open(pair);
    await this.reader.prepared(object);
    readable(object);
    return object;
  }

  list(key: string, options: ListOptions = {}): Promise<ListResult> {
    return this.reader.list(key, options);
  }

  watch(key: string, options: WatchOptions = {}): Promise<Watch> {
    return this.watcher.watch(key, options);
  }

  async create(
    key: string,
    value: KubeObject,
    { ttlSeconds = 0, slices, signal }: CreateOptions = {},
  ): Promise<StoredObject> {
    const full = this.full(key);
    // What is no version names none.
    if (/^\d*[1-9]\d*$/.test(value.metadata.resourceVersion ?? '')) {
      throw new Error('resourceVersion should not be set on objects to be created');
    }
    const encoding = this.encode(value, slices);
    const bytes = encoding instanceof Promise ? await encoding : encoding;
    const writing = this.reader.writing(key, bytes, value);
    const written = await this.write(full, bytes, 0, ttlSeconds, false, signal);
    if (!written.succeeded) throw new StorageError('KEY_EXISTS', full, 0);
    return await made(writing, written.revision, slices);
  }

  async guaranteedUpdate(
    key: string,
    tryUpdate: TryUpdate,
    { preconditions, ignoreNotFound = false, cached, signal }: UpdateOptions = {},
  ): Promise<StoredObject> {
    const full = this.full(key);
    const current = async (): Promise<State> => {
      const { pair } = await this.space.get(full, signal);
      return this.stateOf(full, pair, ignoreNotFound);
    };

    let fresh = !isOf(cached, key);
    let state = isOf(cached, key) ? this.cachedState(cached) : await current();
    for (;;) {
      signal?.throwIfAborted();
      let updated: Updated;
      try {
        checkPreconditions(full, preconditions, state.object);
        updated = await tryUpdate(state.object);
      } catch (error) {
        // What an old copy led to says nothing, unless it turns out not to be old.
        if (fresh) throw error;
        const { revision } = state;
        state = await current();
        fresh = true;
        if (state.revision === revision) throw error;
        continue;
      }

      const { slices } = updated;
      const encoding = this.encode(updated.value, slices);
      const bytes = encoding instanceof Promise ? await encoding : encoding;
      const held = state.stale || state.object === undefined ? undefined : state.bytes(slices);
      const heldBytes = held instanceof Promise ? await held : held;
      const same = heldBytes !== undefined && this.saysSame(bytes, heldBytes, slices);
      if (same instanceof Promise ? await same : same) {
        if (!fresh) {
          state = await current();
          fresh = true;
          if (state.object === undefined) continue;
          if (!(await this.saysSame(bytes, await state.bytes(slices), slices))) continue;
        }
        if (!state.stale && state.object !== undefined) return state.object;
      }

      const writing = this.reader.writing(key, bytes, updated.value);
      const written = await this.write(full, bytes, state.revision, updated.ttlSeconds ?? 0, true, signal);
      if (written.succeeded) return await made(writing, written.revision, slices);
      state = await this.stateOf(full, written.current, ignoreNotFound);
      fresh = true;
    }
  }

  async delete(
    key: string,
    { preconditions, validate, cached, ignoreReadErrors = false, signal }: DeleteOptions = {},
  ): Promise<StoredObject> {
    const full = this.full(key);
    const current = async (): Promise<State> => {
      const { pair } = await this.space.get(full, signal);
      return this.stateOf(full, pair, false, ignoreReadErrors);
    };

    let fresh = !isOf(cached, key);
    let state = isOf(cached, key) ? this.cachedState(cached) : await current();
    for (;;) {
      signal?.throwIfAborted();
      const { object } = state;
      if (object === undefined) throw new StorageError('KEY_NOT_FOUND', full, 0);
      try {
        if (!ignoreReadErrors || preconditions !== undefined) checkPreconditions(full, preconditions, object);
        await validate?.(object);
      } catch (error) {
        if (fresh) throw error;
        const { revision } = state;
        state = await current();
        fresh = true;
        if (state.revision === revision) throw error;
        continue;
      }
      const deleted = await this.space.delete(full, state.revision, signal);
      if (deleted.succeeded) {
        return new EncodedObject(key, deleted.revision, await state.bytes(), this.resource.codec);
      }
      state = await this.stateOf(full, deleted.current, false, ignoreReadErrors);
      fresh = true;
    }
  }

  async count(key = this.resource.prefix, { signal }: ReadOptions = {}): Promise<number> {
    const prefix = fullKey(this.options.prefix, key, true);
    const { count } = await this.space.count({ start: prefix, prefix }, signal);
    return count;
  }

  async currentRevision({ signal }: ReadOptions = {}): Promise<number> {
    const prefix = fullKey(this.options.prefix, this.resource.prefix, true);
    const { revision } = await this.space.count({ start: prefix, prefix }, signal);
    return revision;
  }

  supportsProgress(): Promise<boolean> {
    return this.space.supportsProgress();
  }

  requestProgress(): void {
    this.space.requestProgress();
  }

  compactedRevision(): number {
    return this.space.compactedRevision();
  }

  /**
   * Whether an object says what lies there: in the same bytes, or with members in another order, which takes as many.
   *
   * @returns a promise only where it is found in slices
   */
  private saysSame(bytes: Buffer, held: Buffer, slices: Slices | undefined): boolean | Promise<boolean> {
    if (bytes.equals(held)) return true;
    if (this.resource.codec.keepsOrder !== true || bytes.length !== held.length) return false;
    const comparison = sameInAnyOrder(bytes, held, slices ?? WITHOUT_PAUSE);
    return slices === undefined ? finish(comparison) : slices.run(comparison);
  }

  /** @returns a promise only where it is done in slices */
  private encode(value: KubeObject, slices: Slices | undefined): Buffer | Promise<Buffer> {
    const { codec } = this.resource;
    if (slices === undefined || codec.slices === undefined) return codec.encode(value);
    return slices.run(codec.slices.encode(value, slices));
  }

  private full(key: string): string {
    return fullKey(this.options.prefix, key, false);
  }

  /** @throws StorageError KEY_NOT_FOUND, CORRUPT_OBJECT unless told to ignore it */
  private async stateOf(
    full: string,
    pair: KeyPair | undefined,
    ignoreNotFound: boolean,
    ignoreReadErrors = false,
  ): Promise<State> {
    if (pair === undefined) {
      if (!ignoreNotFound) throw new StorageError('KEY_NOT_FOUND', full, 0);
      return { object: undefined, revision: 0, bytes: () => pairless, stale: false };
    }
    if (ignoreReadErrors) {
      const object = new EncodedObject(
        this.reader.keyOf(pair),
        pair.revision,
        pair.value,
        this.resource.codec,
      );
      return { object, revision: pair.revision, bytes: () => object.bytes, stale: false };
    }
    const { object, stale } = await this.reader.open(pair);
    await this.reader.prepared(object);
    readable(object);
    return { object, revision: pair.revision, bytes: () => object.bytes, stale };
  }

  private cachedState(cached: StoredObject): State {
    let bytes: Buffer | Promise<Buffer> | undefined;
    return {
      object: cached,
      revision: cached.revision,
      bytes: (slices) => (bytes ??= this.encode(cached.value, slices)),
      stale: false,
    };
  }

  /** @throws ApiError 413 when the store does not take as much */
  private async write(
    full: string,
    bytes: Buffer,
    expected: number,
    ttlSeconds: number,
    wantCurrent: boolean,
    signal: AbortSignal | undefined,
  ): Promise<WriteResult> {
    const stored = (await this.resource.transformer?.toStorage(bytes, full)) ?? bytes;
    try {
      return await this.space.put(full, stored, expected, ttlSeconds, wantCurrent, signal);
    } catch (error) {
      if (isKeySpaceError(error, 'TOO_LARGE')) throw requestEntityTooLarge(error.message);
      throw error;
    }
  }
}

const pairless = Buffer.alloc(0);

/**
 * What was written, under its revision: what is long with its value and JSON, in slices. It is written, also where nobody
 * waits for it any more: to say otherwise would have undone what belongs to it.
 */
async function made(writing: Writing, revision: number, slices: Slices | undefined): Promise<StoredObject> {
  const object = writing.made(revision);
  const rest = slices?.toTheEnd();
  if (rest !== undefined) await rest.run(object.prepareInSlices(rest));
  return object;
}

/** Whether a copy that was offered is of this key: a caller's mistake must not overwrite another object. */
function isOf(cached: StoredObject | undefined, key: string): cached is StoredObject {
  return cached !== undefined && cached.key === key;
}

/** Decodes now, so that a corrupt object fails where it is read. @throws StorageError CORRUPT_OBJECT */
function readable(object: StoredObject): void {
  if (object.value === undefined) throw corrupt(object.key, object.revision, 'no value');
}

/** @throws StorageError INVALID_OBJECT; an object that does not exist has neither uid nor version */
function checkPreconditions(
  key: string,
  preconditions: Preconditions | undefined,
  object: StoredObject | undefined,
): void {
  if (preconditions === undefined) return;
  const { uid, resourceVersion } = preconditions;
  const metadata = object?.value.metadata ?? {};
  const failed = (name: string, wanted: string, actual: string): StorageError =>
    new StorageError(
      'INVALID_OBJECT',
      key,
      0,
      `Precondition failed: ${name} in precondition: ${wanted}, ${name} in object meta: ${actual}`,
    );
  if (uid !== undefined && uid !== (metadata.uid ?? '')) throw failed('UID', uid, metadata.uid ?? '');
  if (resourceVersion !== undefined && resourceVersion !== (metadata.resourceVersion ?? '')) {
    throw failed('ResourceVersion', resourceVersion, metadata.resourceVersion ?? '');
  }
}

function* sameInAnyOrder(bytes: Buffer, held: Buffer, pace: Pace): Sliced<boolean> {
  const wanted = yield* readJsonInSlices(bytes.toString('utf8'), {}, pace);
  const there = yield* readJsonInSlices(held.toString('utf8'), {}, pace);
  return yield* equalJsonInSlices(wanted, there, pace);
}
