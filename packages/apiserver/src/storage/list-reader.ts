/**
 * Lists over a store of keys: which revision is read, pages that grow while a selection drops most of what they bring,
 * and the token for the next one. Also what both lists and watches need: from a stored pair to an object.
 */

import type { Clock } from '@keelson/base';

import type { KubeObject } from '../api/meta.ts';
import { LONG_BYTES, Slices } from '../api/sliced.ts';
import { ApiError, resourceExpired, tooLargeResourceVersion } from '../api/status.ts';
import { continuedAt, encodeContinue, NEWEST } from './continue-token.ts';
import { corrupt, EncodedObject } from './encoded-object.ts';
import { isKeySpaceError, type KeyPair, type KeySpace, type RangeResult } from './key-space.ts';
import { fullKey } from './keys.ts';
import type { StoreTraffic } from './measured-key-space.ts';
import { checkReached, listedResourceVersion } from './resource-version.ts';
import { EVERYTHING, matches, selectsEverything } from './storage.ts';
import type { ListOptions, ListResult, ObjectCodec, StorageResource } from './storage.ts';

/** Most keys asked of the store at once, as upstream: what a selection drops is paid for in memory and in time. */
export const PAGE_MAX = 10_000;

/** Longest time that objects are decoded without a turn for the event loop. */
const SLICE_MS = 8;
/** Objects between two looks at the clock. */
const LOOK_EVERY = 32;

const LIST_EXPIRED = 'The resourceVersion for the provided list is too old.';
const CONTINUE_EXPIRED =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without ' +
  'the continue parameter, or use the continue token in this response to retrieve the remainder of the results. ' +
  'Continuing with the provided token results in an inconsistent list - objects that were created, modified, or ' +
  'deleted between the time the first chunk was returned and now may show up in the list.';

/** What a list reads. */
interface Place {
  /** First full key. */
  readonly start: string;
  /** 0: the newest. */
  readonly revision: number;
  readonly continued: boolean;
}

/** Of what was written last, so many objects are kept: a watch tells of them some milliseconds later. */
const WRITTEN_MAX = 64;
const WRITTEN_BYTES_EACH = 16 * 1024;

interface ListReaderOptions {
  readonly prefix: string;
  readonly clock: Clock;
  readonly traffic?: StoreTraffic;
}

export class ListReader {
  private readonly resource: StorageResource;
  private readonly space: KeySpace;
  private readonly prefix: string;
  private readonly clock: Clock;
  private readonly traffic: StoreTraffic | undefined;
  /** What is being written and what was written last, oldest first. */
  private readonly written = new Map<string, Writing>();
  /** The last long object that was written, until it is told of. */
  private long: { readonly key: string; readonly writing: Writing } | undefined = undefined;

  constructor(resource: StorageResource, space: KeySpace, { prefix, clock, traffic }: ListReaderOptions) {
    this.traffic = traffic;
    this.resource = resource;
    this.space = space;
    this.prefix = prefix;
    this.clock = clock;
  }

  async list(key: string, options: ListOptions): Promise<ListResult> {
    const counts = { fetched: 0, evaluated: 0 };
    const result = await this.pages(key, options, counts);
    this.traffic?.listed(counts.fetched, counts.evaluated, result.objects.length);
    return result;
  }

  /** @param counts of what was read and looked at */
  private async pages(
    key: string,
    options: ListOptions,
    counts: { fetched: number; evaluated: number },
  ): Promise<ListResult> {
    const { resourceVersion = '', selection = EVERYTHING, limit = 0, recursive = true, signal } = options;
    const keyPrefix = fullKey(this.prefix, key, recursive);
    const place = placeOf(keyPrefix, options);
    const all = selectsEverything(selection);
    const turns = new Turns(this.clock);

    const objects: EncodedObject[] = [];
    let { start, revision } = place;
    let pageSize = limit === 0 ? PAGE_MAX : Math.min(limit, PAGE_MAX);
    for (;;) {
      let page: RangeResult;
      try {
        page = await this.space.range(
          { start, prefix: recursive ? keyPrefix : undefined, revision, limit: pageSize },
          signal,
        );
      } catch (error) {
        throw await this.refusal(error, { ...place, start, revision }, keyPrefix);
      }
      checkReached(resourceVersion, page.revision);
      if (page.pairs.length === 0 && page.more) {
        throw new Error('no results were found, but etcd indicated there were more values remaining');
      }
      if (revision === 0) revision = page.revision;
      counts.fetched += page.pairs.length;

      let more = page.more;
      let last = '';
      for (const pair of page.pairs) {
        if (limit > 0 && objects.length >= limit) {
          more = true;
          break;
        }
        last = pair.key;
        counts.evaluated += 1;
        const opened = this.open(pair);
        const { object } = opened instanceof Promise ? await opened : opened;
        if (all || matches(this.resource, selection, object.value)) objects.push(object);
        if (!all && turns.due()) {
          await turns.take();
          signal?.throwIfAborted();
        }
      }
      if (!more) return { objects, revision, continue: '' };
      if (limit > 0 && objects.length >= limit) {
        const token = encodeContinue(`${last}\0`, keyPrefix, revision);
        if (!all) return { objects, revision, continue: token };
        return { objects, revision, continue: token, remainingItemCount: page.count - page.pairs.length };
      }
      start = `${last}\0`;
      pageSize = Math.min(pageSize * 2, PAGE_MAX);
    }
  }

  /** The object of a pair. A promise is waited for only where a key service is asked. */
  open(pair: KeyPair): Opened | Promise<Opened> {
    const { transformer, codec } = this.resource;
    const key = this.keyOf(pair);
    if (transformer === undefined) {
      const writing = this.long?.key === key ? this.long.writing : this.written.get(key);
      const own = writing?.at(pair.revision, pair.value);
      if (own !== undefined) return { object: own, stale: false };
      return { object: new EncodedObject(key, pair.revision, pair.value, codec), stale: false };
    }
    return this.decrypt(pair, key);
  }

  /**
   * Keeps what is about to be written for a moment: whoever watches is told of it next, perhaps before the writer, and
   * need not decode it once more.
   */
  writing(key: string, bytes: Buffer, value: KubeObject): Writing {
    const { written } = this;
    const writing = new Writing(key, bytes, value, this.resource.codec);
    // What a transformer makes of it is not what was encoded.
    if (this.resource.transformer !== undefined) return writing;
    if (this.long?.key === key) this.long = undefined;
    if (bytes.length > WRITTEN_BYTES_EACH) {
      // Of these the last is kept: it takes long to be decoded, and is told of when it is written.
      if (bytes.length > LONG_BYTES) this.long = { key, writing };
      return writing;
    }
    written.delete(key);
    written.set(key, writing);
    if (written.size <= WRITTEN_MAX) return writing;
    for (const oldest of written.keys()) {
      written.delete(oldest);
      break;
    }
    return writing;
  }

  /** What is long is decoded and written as JSON in slices. @returns undefined where there is nothing to wait for */
  prepared(object: EncodedObject): Promise<void> | undefined {
    if (object.size <= LONG_BYTES) return undefined;
    const { clock } = this;
    const turn = (): Promise<void> => new Promise((resolve) => void clock.setTimer(0, resolve));
    const slices = new Slices(clock, turn);
    return Promise.resolve(slices.run(object.prepareInSlices(slices)));
  }

  /** A watch has told of it: who keeps watch has it now, and here it is needed no more. */
  told(object: EncodedObject): void {
    if (this.long?.writing.is(object) === true) this.long = undefined;
    if (this.written.get(object.key)?.is(object) === true) this.written.delete(object.key);
  }

  /** A full key as the storage's callers write it. */
  keyOf({ key }: KeyPair): string {
    return key.slice(this.prefix.length);
  }

  private async decrypt(pair: KeyPair, key: string): Promise<Opened> {
    const { transformer, codec } = this.resource;
    try {
      const opened = await transformer?.fromStorage(pair.value, pair.key);
      const { value, stale } = opened ?? { value: pair.value, stale: false };
      return { object: new EncodedObject(key, pair.revision, value, codec), stale };
    } catch (error) {
      throw corrupt(pair.key, pair.revision, error);
    }
  }

  /** What a client is told when the revision cannot be read. */
  private async refusal(error: unknown, place: Place, keyPrefix: string): Promise<unknown> {
    if (isKeySpaceError(error, 'COMPACTED')) {
      if (!place.continued) return resourceExpired(LIST_EXPIRED);
      return resourceExpired(CONTINUE_EXPIRED, encodeContinue(place.start, keyPrefix, NEWEST));
    }
    if (isKeySpaceError(error, 'FUTURE_REVISION')) {
      const { revision } = await this.space.count({ start: keyPrefix, prefix: keyPrefix }, undefined);
      return tooLargeResourceVersion(place.revision, revision);
    }
    return error;
  }
}

/** What is written under a key: an object once its revision is known, from whomever that is heard first. */
export class Writing {
  private readonly key: string;
  private readonly bytes: Buffer;
  private readonly value: KubeObject;
  private readonly codec: ObjectCodec;
  private object: EncodedObject | undefined = undefined;

  constructor(key: string, bytes: Buffer, value: KubeObject, codec: ObjectCodec) {
    this.key = key;
    this.bytes = bytes;
    this.value = value;
    this.codec = codec;
  }

  /** @returns undefined when another state lies under the key; a store may even tell a revision twice */
  at(revision: number, bytes: Buffer): EncodedObject | undefined {
    if (this.object !== undefined && this.object.revision !== revision) return undefined;
    return this.bytes.equals(bytes) ? this.made(revision) : undefined;
  }

  /** Whether this is what it became. */
  is(object: EncodedObject): boolean {
    return this.object === object;
  }

  /** The object as it was stored under that revision. */
  made(revision: number): EncodedObject {
    if (this.object?.revision !== revision) {
      this.object = new EncodedObject(this.key, revision, this.bytes, this.codec, this.value);
    }
    return this.object;
  }
}

interface Opened {
  readonly object: EncodedObject;
  readonly stale: boolean;
}

/**
 * Where a list starts, and at which revision.
 *
 * @throws ApiError 400
 */
function placeOf(keyPrefix: string, options: ListOptions): Place {
  const { resourceVersion = '', resourceVersionMatch = '', limit = 0, recursive = true } = options;
  const continued = continuedAt(keyPrefix, options);
  if (continued !== undefined) {
    return { start: continued.start, revision: Math.max(continued.revision, 0), continued: true };
  }
  const wanted = listedResourceVersion(resourceVersion);
  switch (resourceVersionMatch) {
    case 'NotOlderThan':
      return { start: keyPrefix, revision: 0, continued: false };
    case 'Exact':
      return { start: keyPrefix, revision: wanted, continued: false };
    case '':
      return { start: keyPrefix, revision: recursive && limit > 0 ? wanted : 0, continued: false };
    default:
      throw new ApiError({
        code: 500,
        reason: '',
        message: `unknown ResourceVersionMatch value: ${String(resourceVersionMatch)}`,
      });
  }
}

/** Gives the event loop its turn when work has gone on for a while. */
export class Turns {
  private readonly clock: Clock;
  private sinceMs: number;
  private steps = 0;

  constructor(clock: Clock) {
    this.clock = clock;
    this.sinceMs = clock.monotonicMs();
  }

  due(): boolean {
    this.steps += 1;
    return this.steps % LOOK_EVERY === 0 && this.clock.monotonicMs() - this.sinceMs >= SLICE_MS;
  }

  async take(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.clock.setTimer(0, resolve);
    });
    this.sinceMs = this.clock.monotonicMs();
  }
}
