/**
 * Watches over a store of keys: the current state first where it is asked for, then changes as the selection sees
 * them. A batch of changes becomes a batch of events; a reader that is slow holds up its own watch at the source.
 *
 * Modelled on kubernetes/apiserver pkg/storage/etcd3/watcher.go.
 */

import { ApiError, resourceExpired, tooLargeResourceVersion } from '../api/status.ts';
import type { EncodedObject } from './encoded-object.ts';
import { isKeySpaceError, type KeyChange, type KeySpace, type KeyWatch } from './key-space.ts';
import { fullKey } from './keys.ts';
import { PAGE_MAX, type ListReader } from './list-reader.ts';
import type { StoreTraffic } from './measured-key-space.ts';
import { parseResourceVersion } from './resource-version.ts';
import { EVERYTHING, matches, selectsEverything } from './storage.ts';
import type {
  ListResult,
  ObjectEvent,
  Selection,
  StorageResource,
  Watch,
  WatchEvent,
  WatchOptions,
} from './storage.ts';

const WATCH_EXPIRED = 'The resourceVersion for the provided watch is too old.';

export class ObjectWatcher {
  private readonly resource: StorageResource;
  private readonly space: KeySpace;
  private readonly prefix: string;
  private readonly traffic: StoreTraffic | undefined;
  private readonly reader: ListReader;

  constructor(
    resource: StorageResource,
    space: KeySpace,
    { prefix, traffic }: { readonly prefix: string; readonly traffic?: StoreTraffic },
    reader: ListReader,
  ) {
    this.traffic = traffic;
    this.resource = resource;
    this.space = space;
    this.prefix = prefix;
    this.reader = reader;
  }

  async watch(key: string, options: WatchOptions): Promise<Watch> {
    const { resourceVersion = '', selection = EVERYTHING, recursive = true, sendInitialEvents } = options;
    const { bookmarks = false, signal } = options;
    const start = fullKey(this.prefix, key, recursive);
    const range = { start, prefix: recursive ? start : undefined };
    const wanted = parseResourceVersion(resourceVersion);

    let initial: Initial | undefined;
    let from = wanted;
    if (sendInitialEvents ?? wanted === 0) {
      const list = (token: string, limit: number): Promise<ListResult> =>
        this.reader.list(key, { selection, recursive, limit, continue: token, signal });
      const first = await list('', recursive ? PAGE_MAX : 0);
      if (first.revision < wanted) throw tooLargeResourceVersion(wanted, first.revision);
      initial = { first, list, ended: sendInitialEvents === true && bookmarks };
      from = first.revision;
    } else if (wanted === 0) {
      const { revision } = await this.space.count(range, signal);
      from = revision;
    }
    signal?.throwIfAborted();
    const source = this.space.watch(range, from + 1, bookmarks);
    const { resource, reader, traffic } = this;
    return new RunningWatch({ resource, reader, traffic }, source, selection, initial, signal);
  }
}

/** The state a watch begins with. */
interface Initial {
  readonly first: ListResult;
  /** A page of the same list. */
  readonly list: (token: string, limit: number) => Promise<ListResult>;
  /** Whether a bookmark tells that it is complete. */
  readonly ended: boolean;
}

interface WatchParts {
  readonly resource: StorageResource;
  readonly reader: ListReader;
  readonly traffic: StoreTraffic | undefined;
}

class RunningWatch implements Watch {
  private readonly resource: StorageResource;
  private readonly reader: ListReader;
  private readonly source: KeyWatch;
  private readonly selection: Selection;
  private readonly all: boolean;
  private readonly initial: Initial | undefined;
  private readonly traffic: StoreTraffic | undefined;
  private readonly signal: AbortSignal | undefined;
  private stopped = false;
  private readonly abort = (): void => this.stop();

  constructor(
    { resource, reader, traffic }: WatchParts,
    source: KeyWatch,
    selection: Selection,
    initial: Initial | undefined,
    signal: AbortSignal | undefined,
  ) {
    this.resource = resource;
    this.reader = reader;
    this.traffic = traffic;
    this.source = source;
    this.selection = selection;
    this.all = selectsEverything(selection);
    this.initial = initial;
    this.signal = signal;
    signal?.addEventListener('abort', this.abort, { once: true });
  }

  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    this.signal?.removeEventListener('abort', this.abort);
    this.source.stop();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly WatchEvent[], void, undefined> {
    try {
      if (this.initial !== undefined) yield* this.begin(this.initial);
      if (this.isStopped()) return;
      for await (const { changes, revision } of this.source) {
        if (this.isStopped()) return;
        if (changes.length === 0) {
          this.traffic?.progressed();
          yield [{ type: 'BOOKMARK', revision, initialEventsEnd: false }];
          continue;
        }
        this.traffic?.received(changes.length);
        const events: WatchEvent[] = [];
        try {
          for (const change of changes) {
            const event = await this.eventOf(change);
            if (event !== undefined) events.push(event);
          }
        } catch (error) {
          // What came before it in the same batch is told before it.
          events.push({ type: 'ERROR', error: watchError(error) });
          yield events;
          return;
        }
        if (events.length > 0) yield events;
      }
    } catch (error) {
      if (!this.isStopped()) yield [{ type: 'ERROR', error: watchError(error) }];
    } finally {
      this.stop();
    }
  }

  /** The state at one revision, in pages. */
  private async *begin({
    first,
    list,
    ended,
  }: Initial): AsyncGenerator<readonly WatchEvent[], void, undefined> {
    let page = first;
    for (;;) {
      if (page.objects.length > 0) {
        yield page.objects.map((object): ObjectEvent => {
          // What does not decode ends the watch here and not in the hands of whoever reads it.
          void object.value;
          return { type: 'ADDED', object, previous: undefined, initial: true };
        });
      }
      if (this.isStopped()) return;
      if (page.continue === '') break;
      page = await list(page.continue, PAGE_MAX);
    }
    if (ended) yield [{ type: 'BOOKMARK', revision: first.revision, initialEventsEnd: true }];
  }

  /** The change as the selection sees it; undefined: not at all. */
  private async eventOf(change: KeyChange): Promise<ObjectEvent | undefined> {
    const { previous, type, revision } = change;
    if (type !== 'created' && previous === undefined) {
      throw new Error(
        `etcd event received with PrevKv=nil (key=${JSON.stringify(change.key)}, modRevision=${revision}, ` +
          `type=${type === 'deleted' ? 'DELETE' : 'PUT'})`,
      );
    }
    const before = previous === undefined ? undefined : (await this.reader.open(previous)).object;
    if (before !== undefined && (type === 'deleted' || !this.all)) await this.reader.prepared(before);
    if (type === 'deleted') {
      // Not undefined: that was checked above.
      if (before === undefined || !this.selects(before)) return undefined;
      return this.gone(before, revision);
    }
    const { object } = await this.reader.open(change);
    this.reader.told(object);
    await this.reader.prepared(object);
    const now = this.selects(object);
    if (this.all) {
      return { type: before === undefined ? 'ADDED' : 'MODIFIED', object, previous: before, initial: false };
    }
    const then = before !== undefined && this.selects(before);
    if (now) return { type: then ? 'MODIFIED' : 'ADDED', object, previous: before, initial: false };
    return then ? this.gone(before, revision) : undefined;
  }

  private gone(before: EncodedObject, revision: number): ObjectEvent {
    const object = before.at(revision);
    return { type: 'DELETED', object, previous: before, initial: false };
  }

  /** Decodes whatever the selection is. */
  private selects(object: EncodedObject): boolean {
    return matches(this.resource, this.selection, object.value);
  }

  /** A function, because the answer changes while we wait. */
  private isStopped(): boolean {
    return this.stopped;
  }
}

function watchError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (isKeySpaceError(error, 'COMPACTED')) return resourceExpired(WATCH_EXPIRED);
  const message = error instanceof Error ? error.message : String(error);
  return new ApiError({ code: 500, reason: 'InternalError', message }, { cause: error });
}
