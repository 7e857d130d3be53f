/**
 * A storage with a watch cache before it: lists, watches and reads of a version are answered from memory, everything
 * else (and what the cache cannot answer) by the storage behind. It is filled when it is first needed. It never answers
 * with something older than was asked for: it waits until it has got so far, and says so when that takes too long.
 *
 * What is answered from where follows kubernetes/apiserver pkg/storage/cacher (delegator.go, cacher.go); a list that
 * is too long for one turn of the event loop is read on at its revision, which the cache's history makes possible.
 */

import { prefixEnd, type Clock, type Logger, type Timer } from '@keelson/base';

import type { KubeObject } from '../api/meta.ts';
import { resourceExpired, tooLargeResourceVersion, tooManyRequests } from '../api/status.ts';
import { CacherFeed } from './cacher-feed.ts';
import { EarlierHistory } from './cacher-history.ts';
import { CacherMetrics } from './cacher-metrics.ts';
import { RevisionWaits } from './cacher-waits.ts';
import { continuedAt, encodeContinue } from './continue-token.ts';
import type { EventRingOptions } from './event-ring.ts';
import { DEFAULT_PREFIX, fullKey } from './keys.ts';
import { Turns } from './list-reader.ts';
import { listedResourceVersion, parseResourceVersion } from './resource-version.ts';
import { StorageError } from './storage-error.ts';
import { EVERYTHING, selectsEverything } from './storage.ts';
import type {
  CreateOptions,
  DeleteOptions,
  GetOptions,
  ListOptions,
  ListResult,
  ReadOptions,
  Selection,
  Storage,
  StorageResource,
  StoredObject,
  TryUpdate,
  UpdateOptions,
  Watch,
  WatchOptions,
} from './storage.ts';
import { FanOut } from './watch-cache-fan-out.ts';
import { orderOf, ValueKeeper, type CachedObject } from './watch-cache-object.ts';
import { CacheWatcher, RefusedWatch, type Backlog } from './watch-cache-watcher.ts';
import { WatchCache, type IndexedValue, type Place } from './watch-cache.ts';

export interface CacherOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Fields with an index. Default: spec.nodeName of pods. */
  readonly indexedFields?: readonly string[];
  /** Events a watcher may be behind. Default 1,000, upstream's most. */
  readonly watcherQueueMax?: number;
  /** JSON whose decoded values are kept. Default 8 MB. */
  readonly valueBytesMax?: number;
  /** How long a reader waits for a revision. Default 3 s. */
  readonly waitMs?: number;
  readonly history?: EventRingOptions;
  /** Of all keys in the store, for what an error says. Default: /registry. */
  readonly prefix?: string;
}

/** Objects that are read of the cache in one go. */
const CHUNK = 10_000;
/** Objects that are handed out without a turn for others. */
const PEEKED_MAX = 100;
/** How often it is looked whether bookmarks are due. */
const TICK_MS = 1_000;
const UNREADY_RETRY_SECONDS = 1;

/** What a list asks of the cache; `low` as a key. */
type Plan =
  | { readonly kind: 'storage' }
  | { readonly kind: 'newest'; readonly low: string }
  | { readonly kind: 'least'; readonly revision: number }
  | { readonly kind: 'exact'; readonly revision: number; readonly low: string };

export class Cacher implements Storage {
  readonly resource: StorageResource;
  readonly metrics = new CacherMetrics();
  private readonly storage: Storage;
  private readonly clock: Clock;
  private readonly prefix: string;
  private readonly waitMs: number;
  private readonly queueMax: number;
  private readonly cache: WatchCache;
  private readonly fanOut: FanOut;
  private readonly waits: RevisionWaits;
  private ended = false;
  private readonly feed: CacherFeed;
  private readonly earlier: EarlierHistory;
  private ticking: Timer | undefined = undefined;
  private progressAsked = false;
  private progressKnown = false;
  private newestRunning: Promise<number> | undefined = undefined;
  private newestNext: Promise<number> | undefined = undefined;

  constructor(storage: Storage, options: CacherOptions) {
    const { clock, logger } = options;
    this.storage = storage;
    this.resource = storage.resource;
    this.clock = clock;
    this.prefix = options.prefix ?? DEFAULT_PREFIX;
    this.waitMs = options.waitMs ?? 3_000;
    this.queueMax = options.watcherQueueMax ?? 1_000;
    this.cache = new WatchCache(options.indexedFields ?? indexedFieldsOf(this.resource), options.history);
    this.fanOut = new FanOut(orderOf(fullKey('', this.resource.prefix, true)));
    this.waits = new RevisionWaits(clock, () => storage.requestProgress());
    const keeper = new ValueKeeper(options.valueBytesMax ?? 8_000_000);
    const { cache, fanOut, waits, metrics } = this;
    const progressed = (): void => this.progressed();
    this.earlier = new EarlierHistory({ storage, cache, keeper, clock });
    this.feed = new CacherFeed({
      storage,
      cache,
      fanOut,
      waits,
      keeper,
      metrics,
      clock,
      logger,
      progressed,
    });
  }

  /** Whether reads are answered from memory. */
  get ready(): boolean {
    return this.feed.ready;
  }

  /** Objects in the cache; undefined before it is filled. */
  get objectCount(): number | undefined {
    return this.feed.ready ? this.cache.size : undefined;
  }

  /** The revision the cache has reached; 0 before it is filled. */
  get revision(): number {
    return this.cache.revision;
  }

  /** Watches that run on it. */
  get watcherCount(): number {
    return this.fanOut.size;
  }

  /** Begins to fill the cache, which otherwise begins with the first that needs it. */
  start(): void {
    this.feed.start();
  }

  /** @returns whether it is filled in time. @throws the signal's reason */
  whenReady(timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    this.feed.start();
    return this.feed.whenReady(timeoutMs, signal);
  }

  /** Ends its watches and leaves the storage, which stays open. */
  stop(): void {
    this.ended = true;
    this.feed.stop();
    this.earlier.stop();
    this.ticking?.cancel();
  }

  /** As stop(). */
  close(): void {
    this.stop();
  }

  get stopped(): boolean {
    return this.ended;
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredObject> {
    const { resourceVersion = '', signal } = options;
    if (!this.isUsable()) return this.storage.get(key, options);
    if (resourceVersion === '') return this.storage.get(key, { ...options, cached: this.cachedOf(key) });
    signal?.throwIfAborted();
    await this.reach(parseResourceVersion(resourceVersion), signal);
    const object = this.cache.get(orderOf(fullKey('', key, false)));
    if (object === undefined) throw new StorageError('KEY_NOT_FOUND', fullKey(this.prefix, key, false), 0);
    return object;
  }

  peek(key: string): StoredObject | undefined {
    return this.isUsable() ? this.cachedOf(key) : undefined;
  }

  peekList(key: string): readonly StoredObject[] | undefined {
    if (!this.isUsable()) return undefined;
    const { cache, metrics } = this;
    const { low, high } = boundsOf(fullKey('', key, true), true);
    const chunk = cache.read({ revision: cache.revision, low, high, indexed: undefined }, PEEKED_MAX);
    if (chunk === undefined || chunk.next !== undefined) return undefined;
    metrics.lists += 1;
    metrics.listFetchedObjects += chunk.objects.length;
    metrics.listReturnedObjects += chunk.objects.length;
    return chunk.objects;
  }

  async list(key: string, options: ListOptions = {}): Promise<ListResult> {
    const { selection = EVERYTHING, recursive = true, signal } = options;
    signal?.throwIfAborted();
    const keyPrefix = fullKey('', key, recursive);
    const plan = planOf(keyPrefix, options);
    if (plan.kind === 'storage' || !this.isUsable()) return this.storage.list(key, options);
    this.metrics.lists += 1;
    const { low, high } = boundsOf(keyPrefix, recursive);
    const indexed = this.indexedOf(selection);
    let result: ListResult | undefined;
    switch (plan.kind) {
      case 'exact':
        // The history here is longer than the store's, but a token must end where the store's does, whoever answers.
        if (plan.revision < this.storage.compactedRevision()) break;
        result = await this.scan(
          keyPrefix,
          { revision: plan.revision, low: orderOf(plan.low), high, indexed },
          options,
        );
        break;
      case 'least':
        await this.reach(plan.revision, signal);
        result = await this.scan(
          keyPrefix,
          { revision: this.cache.revision, low, high, indexed },
          { ...options, limit: plan.revision === 0 ? 0 : (options.limit ?? 0) },
        );
        break;
      case 'newest':
        if (!(await this.hasProgress())) break;
        if (!(await this.isNewest(signal))) return await this.fallenBack(key, options);
        result = await this.scan(
          keyPrefix,
          { revision: this.cache.revision, low: orderOf(plan.low), high, indexed },
          options,
        );
        break;
    }
    return result ?? (await this.storage.list(key, options));
  }

  async watch(key: string, options: WatchOptions = {}): Promise<Watch> {
    const { resourceVersion = '', selection = EVERYTHING, recursive = true, sendInitialEvents } = options;
    const { bookmarks = false, signal } = options;
    signal?.throwIfAborted();
    const wanted = parseResourceVersion(resourceVersion);
    const keyPrefix = fullKey('', key, recursive);
    // A store that tells no progress cannot tell the cache that it is the newest.
    if (resourceVersion === '' && !(await this.hasProgress())) return this.storage.watch(key, options);
    this.feed.start();
    if (!(await this.feed.whenReady(this.waitMs, signal))) throw unready();
    const fromState = sendInitialEvents ?? wanted === 0;
    if (resourceVersion === '') await this.reach(await this.newest(), signal);
    else if (fromState && !(await this.waitFor(wanted, signal))) {
      const error = tooLargeResourceVersion(wanted, this.cache.revision);
      // A streaming list has begun by then.
      if (sendInitialEvents !== true || wanted === 0) throw error;
      return new RefusedWatch({ type: 'ERROR', error });
    } else if (wanted > 0 && wanted < this.cache.oldestRevision) await this.earlier.recall(wanted);
    signal?.throwIfAborted();
    if (!this.feed.ready) throw unready();

    const { low, high } = boundsOf(keyPrefix, recursive);
    const indexed = this.indexedOf(selection);
    const current = this.cache.revision;
    const from = fromState || wanted === 0 ? current : wanted;
    const place = { revision: current, low, high, indexed };
    const backlog = this.backlogOf(fromState, from, place, sendInitialEvents === true && bookmarks);
    if (backlog === undefined) {
      const message = `too old resource version: ${wanted} (${this.cache.oldestRevision})`;
      return new RefusedWatch({ type: 'ERROR', error: resourceExpired(message) });
    }
    const watcher = new CacheWatcher({
      selection,
      from,
      backlog,
      bookmarks,
      timeoutMs: options.timeoutMs,
      queueMax: this.queueMax,
      clock: this.clock,
      signal,
      left: () => this.fanOut.remove(watcher),
    });
    this.fanOut.add(watcher, { order: low, indexed });
    if (bookmarks) this.tick();
    return watcher;
  }

  create(key: string, value: KubeObject, options?: CreateOptions): Promise<StoredObject> {
    return this.storage.create(key, value, options);
  }

  guaranteedUpdate(key: string, tryUpdate: TryUpdate, options: UpdateOptions = {}): Promise<StoredObject> {
    const cached = options.cached ?? this.cachedOf(key);
    return this.storage.guaranteedUpdate(key, tryUpdate, { ...options, cached });
  }

  delete(key: string, options: DeleteOptions = {}): Promise<StoredObject> {
    // What may be unreadable is not looked for among what was read.
    if (options.ignoreReadErrors === true) return this.storage.delete(key, options);
    return this.storage.delete(key, { ...options, cached: options.cached ?? this.cachedOf(key) });
  }

  count(key?: string, options?: ReadOptions): Promise<number> {
    return this.storage.count(key, options);
  }

  currentRevision(options?: ReadOptions): Promise<number> {
    return this.storage.currentRevision(options);
  }

  supportsProgress(): Promise<boolean> {
    return this.storage.supportsProgress();
  }

  requestProgress(): void {
    this.progressAsked = true;
    this.storage.requestProgress();
  }

  compactedRevision(): number {
    return this.storage.compactedRevision();
  }

  private cachedOf(key: string): StoredObject | undefined {
    return this.feed.ready ? this.cache.get(orderOf(fullKey('', key, false))) : undefined;
  }

  /** Whether the cache can answer; the first to ask has it filled and does not wait for it. */
  private isUsable(): boolean {
    this.feed.start();
    return this.feed.ready;
  }

  /**
   * Part of the state, a turn of the event loop at a time.
   *
   * @param place its `low` is where a page starts
   * @returns undefined when the cache does not know that state (any more)
   */
  private async scan(
    keyPrefix: string,
    place: Place,
    { selection = EVERYTHING, limit = 0, signal }: ListOptions,
  ): Promise<ListResult | undefined> {
    const { metrics } = this;
    const { revision } = place;
    const all = selectsEverything(selection);
    const turns = new Turns(this.clock);
    const objects: CachedObject[] = [];
    let low: string | undefined = place.low;
    while (low !== undefined) {
      // One more than is wanted tells whether there is one.
      const countMax = all && limit > 0 ? Math.min(CHUNK, limit + 1 - objects.length) : CHUNK;
      const chunk = this.cache.read({ ...place, low }, countMax);
      if (chunk === undefined) return undefined;
      metrics.listFetchedObjects += chunk.objects.length;
      for (const object of chunk.objects) {
        if (limit > 0 && objects.length === limit) return this.pageOf(keyPrefix, place, all, objects);
        if (all || object.isSelected(selection)) objects.push(object);
        if (!all && turns.due()) await turns.take();
      }
      low = chunk.next;
      if (low !== undefined && objects.length >= CHUNK) await turns.take();
      signal?.throwIfAborted();
    }
    metrics.listReturnedObjects += objects.length;
    return { objects, revision, continue: '' };
  }

  /** A page that is not the last. */
  private pageOf(
    keyPrefix: string,
    place: Place,
    all: boolean,
    objects: readonly CachedObject[],
  ): ListResult | undefined {
    const { revision } = place;
    const last = objects.at(-1);
    if (last === undefined) return undefined;
    const token = encodeContinue(`${last.key}\0`, keyPrefix, revision);
    this.metrics.listReturnedObjects += objects.length;
    if (!all) return { objects, revision, continue: token };
    const remainingItemCount = this.cache.count({ ...place, low: `${last.order}\0` });
    if (remainingItemCount === undefined) return undefined;
    return { objects, revision, continue: token, remainingItemCount };
  }

  private backlogOf(fromState: boolean, from: number, place: Place, ended: boolean): Backlog | undefined {
    const { metrics, cache } = this;
    if (!fromState) {
      const events = from >= cache.revision ? [] : cache.after(from, place);
      metrics.initEvents += events?.length ?? 0;
      return events === undefined ? undefined : { kind: 'events', events };
    }
    const objects = cache.read(place, Infinity)?.objects ?? [];
    metrics.initEvents += objects.length;
    return { kind: 'state', objects, endedAt: ended ? from : undefined };
  }

  /** An indexed value that everything selected has. */
  private indexedOf({ fields }: Selection): IndexedValue | undefined {
    const found = fields.find(({ field, operator }) => operator === '=' && this.cache.hasIndex(field));
    return found === undefined ? undefined : { field: found.field, value: found.value };
  }

  /** @throws ApiError 504 when the cache does not get there in time */
  private async reach(revision: number, signal: AbortSignal | undefined): Promise<void> {
    if (await this.waitFor(revision, signal)) return;
    throw tooLargeResourceVersion(revision, this.cache.revision);
  }

  private async waitFor(revision: number, signal: AbortSignal | undefined): Promise<boolean> {
    if (revision <= this.cache.revision) return true;
    const startMs = this.clock.monotonicMs();
    const reached = await this.waits.wait(revision, this.waitMs, signal);
    this.metrics.readWaits += 1;
    this.metrics.readWaitSeconds += (this.clock.monotonicMs() - startMs) / 1000;
    return reached;
  }

  /** Whether the cache is, in time, as new as the store was when this was asked. */
  private async isNewest(signal: AbortSignal | undefined): Promise<boolean> {
    const newest = await this.newest();
    if ((await this.waitFor(newest, signal)) && this.feed.ready) {
      this.metrics.consistentReads += 1;
      return true;
    }
    return false;
  }

  /** The store's answer, where the cache's came too late. */
  private async fallenBack(key: string, options: ListOptions): Promise<ListResult> {
    try {
      const result = await this.storage.list(key, options);
      this.metrics.consistentReadFallbacks += 1;
      return result;
    } catch (error) {
      this.metrics.consistentReadFailures += 1;
      throw error;
    }
  }

  /** A store that cannot be asked is taken for one that tells none: it will say itself what is wrong. */
  private async hasProgress(): Promise<boolean> {
    if (this.progressKnown) return true;
    try {
      this.progressKnown = await this.storage.supportsProgress();
    } catch {
      return false;
    }
    return this.progressKnown;
  }

  /** The store's revision, asked for after this was called; all who ask while a question runs share the next one. */
  private newest(): Promise<number> {
    const { newestRunning } = this;
    if (newestRunning === undefined) return this.askNewest();
    this.newestNext ??= newestRunning.then(
      () => this.askNewest(),
      () => this.askNewest(),
    );
    return this.newestNext;
  }

  private askNewest(): Promise<number> {
    this.newestNext = undefined;
    const asked = this.storage.currentRevision().finally(() => {
      if (this.newestRunning === asked) this.newestRunning = undefined;
    });
    this.newestRunning = asked;
    return asked;
  }

  /** Tells of what somebody asked for. */
  private progressed(): void {
    if (!this.progressAsked) return;
    this.progressAsked = false;
    const nowMs = this.clock.monotonicMs();
    for (const watcher of this.fanOut.watchers()) watcher.bookmark(this.cache.revision, nowMs);
  }

  /** Bookmarks, as long as anybody wants some. */
  private tick(): void {
    if (this.ticking !== undefined) return;
    this.ticking = this.clock.setTimer(TICK_MS, () => {
      this.ticking = undefined;
      const nowMs = this.clock.monotonicMs();
      let wanted = 0;
      let soon = false;
      for (const watcher of this.fanOut.watchers()) {
        if (!watcher.bookmarks) continue;
        wanted += 1;
        watcher.progress(this.cache.revision, nowMs);
        soon ||= watcher.wantsProgress(2 * TICK_MS, nowMs);
      }
      // So that the next one says something new although nothing happened to this resource.
      if (soon) this.storage.requestProgress();
      if (wanted > 0) this.tick();
    });
  }
}

/** @throws ApiError 400 */
function planOf(keyPrefix: string, options: ListOptions): Plan {
  const { resourceVersion = '', resourceVersionMatch = '', limit = 0, recursive = true } = options;
  const continued = continuedAt(keyPrefix, options);
  if (continued !== undefined) {
    const { start, revision } = continued;
    return revision < 0 ? { kind: 'newest', low: start } : { kind: 'exact', revision, low: start };
  }
  const wanted = listedResourceVersion(resourceVersion);
  switch (resourceVersionMatch) {
    case '':
      if (resourceVersion === '') return { kind: 'newest', low: keyPrefix };
      if (wanted === 0 || !recursive || limit === 0) return { kind: 'least', revision: wanted };
      return { kind: 'exact', revision: wanted, low: keyPrefix };
    case 'NotOlderThan':
      return resourceVersion === '' ? { kind: 'storage' } : { kind: 'least', revision: wanted };
    case 'Exact':
      return wanted === 0 ? { kind: 'storage' } : { kind: 'exact', revision: wanted, low: keyPrefix };
    default:
      return { kind: 'storage' };
  }
}

function boundsOf(
  keyPrefix: string,
  recursive: boolean,
): { readonly low: string; readonly high: string | undefined } {
  const low = orderOf(keyPrefix);
  return { low, high: recursive ? prefixEnd(low) : `${low}\0` };
}

function indexedFieldsOf({ resource: { group, resource } }: StorageResource): readonly string[] {
  return group === '' && resource === 'pods' ? ['spec.nodeName'] : [];
}

function unready(): Error {
  return tooManyRequests('storage is (re)initializing', UNREADY_RETRY_SECONDS);
}
