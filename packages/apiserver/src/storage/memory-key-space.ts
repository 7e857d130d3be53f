/**
 * A store of keys in memory with etcd's rules: one revision a change, history to read and watch, compaction, keys that
 * expire. For control planes that keep nothing and for tests; nothing is durable, and nobody else can write to it.
 *
 * The log of changes is the history: a watch reads it at its own pace, so a slow one costs nothing and is told when its
 * place has been compacted away. Once the log is full its older half is compacted.
 */

import { keyFromBytes, prefixEnd, SortedMap, type Clock, type Timer } from '@keelson/base';

import {
  KeySpaceError,
  type GetResult,
  type KeyChange,
  type KeyChanges,
  type KeyPair,
  type KeyRange,
  type KeySpace,
  type KeyWatch,
  type RangeRequest,
  type RangeResult,
  type WriteResult,
} from './key-space.ts';

export interface MemoryKeySpaceOptions {
  /** For keys that expire, and for signs of progress. */
  readonly clock: Clock;
  /** Changes kept before the older half is forgotten. Default 100,000, as many as the largest watch cache holds. */
  readonly historyMax?: number;
}

const HISTORY_MAX = 100_000;
/** Changes a watch is given at a time: small enough that what follows for each does not hold the event loop. */
const BATCH_MAX = 500;
/** How often watches hear of progress when nothing happens. */
const PROGRESS_MS = 60_000;
const NOTHING = Buffer.alloc(0);

/** All states of a key since the last compaction (and the one before it), oldest first. */
interface History {
  readonly states: State[];
  readonly expiry: Timer | undefined;
}

/** A key from one revision on; undefined: it does not exist. */
interface State {
  readonly revision: number;
  readonly pair: KeyPair | undefined;
}

interface LoggedChange extends KeyChange {
  /** In byte order. */
  readonly order: string;
}

export class MemoryKeySpace implements KeySpace {
  private readonly clock: Clock;
  private readonly historyMax: number;
  /** By keys as latin1, whose order is that of their bytes. */
  private readonly keys = new SortedMap<History>();
  /** Changes of the revisions from `compacted` on, each of one revision. */
  private log: LoggedChange[] = [];
  private compacted: number;
  private revision: number;
  private readonly watches = new Set<MemoryWatch>();
  private ticker: Timer | undefined = undefined;

  constructor({ clock, historyMax = HISTORY_MAX }: MemoryKeySpaceOptions) {
    this.clock = clock;
    this.historyMax = historyMax;
    // As etcd's first: an empty store has a revision that can be listed and watched from.
    this.revision = 1;
    this.compacted = 0;
  }

  // Promises, because the interface is that of a store far away; everything happens within the call.

  async get(key: string, signal: AbortSignal | undefined): Promise<GetResult> {
    signal?.throwIfAborted();
    return { pair: this.current(orderOf(key)), revision: this.revision };
  }

  async range(request: RangeRequest, signal: AbortSignal | undefined): Promise<RangeResult> {
    signal?.throwIfAborted();
    const { limit } = request;
    const at = request.revision === 0 ? this.revision : request.revision;
    if (at > this.revision) {
      throw new KeySpaceError('FUTURE_REVISION', 'etcdserver: mvcc: required revision is a future revision');
    }
    if (at < this.compacted) throw compactedError();
    const pairs: KeyPair[] = [];
    let count = 0;
    const [low, high] = boundsOf(request);
    this.keys.range(low, high, (_order, { states }) => {
      const pair = stateAt(states, at);
      if (pair === undefined) return;
      count += 1;
      if (limit === 0 || pairs.length < limit) pairs.push(pair);
    });
    return { pairs, count, more: count > pairs.length, revision: this.revision };
  }

  async count(range: KeyRange, signal: AbortSignal | undefined): Promise<RangeResult> {
    const { count } = await this.range({ ...range, revision: 0, limit: 0 }, signal);
    return { pairs: [], count, more: false, revision: this.revision };
  }

  async put(
    key: string,
    value: Buffer,
    expected: number,
    ttlSeconds: number,
    _wantCurrent: boolean,
    signal: AbortSignal | undefined,
  ): Promise<WriteResult> {
    signal?.throwIfAborted();
    const order = orderOf(key);
    const current = this.current(order);
    if ((current?.revision ?? 0) !== expected) return { succeeded: false, current };
    const revision = this.revision + 1;
    const pair: KeyPair = { key, value, revision };
    const expiry =
      ttlSeconds === 0 ? undefined : this.clock.setTimer(ttlSeconds * 1000, () => this.expire(key, pair));
    this.apply(order, { revision, pair }, expiry);
    const type = current === undefined ? 'created' : 'changed';
    this.record({ order, key, type, revision, value, previous: current });
    return { succeeded: true, revision };
  }

  async delete(key: string, expected: number, signal: AbortSignal | undefined): Promise<WriteResult> {
    signal?.throwIfAborted();
    const current = this.current(orderOf(key));
    if (current === undefined || current.revision !== expected) return { succeeded: false, current };
    return { succeeded: true, revision: this.remove(current) };
  }

  watch(range: KeyRange, from: number, progress: boolean): KeyWatch {
    const watch = new MemoryWatch(boundsOf(range), from, progress, {
      read: (next, matches) => this.read(next, matches),
      left: () => {
        this.watches.delete(watch);
        if (this.watches.size === 0) {
          this.ticker?.cancel();
          this.ticker = undefined;
        }
      },
    });
    this.watches.add(watch);
    if (progress && this.ticker === undefined) this.tick();
    return watch;
  }

  supportsProgress(): Promise<boolean> {
    return Promise.resolve(true);
  }

  requestProgress(): void {
    for (const watch of this.watches) watch.askedForProgress();
  }

  compactedRevision(): number {
    return this.compacted;
  }

  /**
   * Forgets what is older than `revision`, as etcd does: that revision itself can still be read.
   *
   * @throws KeySpaceError
   */
  compact(revision: number): void {
    if (revision > this.revision) {
      throw new KeySpaceError('FUTURE_REVISION', 'etcdserver: mvcc: required revision is a future revision');
    }
    if (revision <= this.compacted) throw compactedError();
    const kept = this.log.findIndex((change) => change.revision >= revision);
    this.log = kept < 0 ? [] : this.log.slice(kept);
    this.compacted = revision;
    const gone: string[] = [];
    this.keys.range('', undefined, (order, { states }) => {
      let first = states.length - 1;
      while (first > 0 && states[first].revision > revision) first -= 1;
      if (first > 0) states.splice(0, first);
      if (states[0].pair === undefined && states.length === 1 && states[0].revision <= revision) {
        gone.push(order);
      }
    });
    for (const order of gone) this.keys.delete(order);
    for (const watch of this.watches) watch.awake();
  }

  /** Ends all watches and forgets the timers. */
  close(): void {
    for (const watch of this.watches) watch.stop();
    this.keys.range('', undefined, (_order, { expiry }) => expiry?.cancel());
    this.ticker?.cancel();
    this.ticker = undefined;
  }

  private current(order: string): KeyPair | undefined {
    return this.keys.get(order)?.states.at(-1)?.pair;
  }

  private expire(key: string, pair: KeyPair): void {
    if (this.current(orderOf(key)) === pair) this.remove(pair);
  }

  private remove(current: KeyPair): number {
    const { key } = current;
    const order = orderOf(key);
    const revision = this.revision + 1;
    this.apply(order, { revision, pair: undefined }, undefined);
    this.record({ order, key, type: 'deleted', revision, value: NOTHING, previous: current });
    return revision;
  }

  private apply(order: string, state: State, expiry: Timer | undefined): void {
    const history = this.keys.get(order);
    history?.expiry?.cancel();
    const states = history?.states ?? [];
    states.push(state);
    this.keys.set(order, { states, expiry });
  }

  private record(change: LoggedChange): void {
    this.revision = change.revision;
    this.log.push(change);
    if (this.log.length > this.historyMax) this.compact(this.log[this.historyMax >>> 1].revision);
    for (const watch of this.watches) watch.awake();
  }

  /** What happened from `next` on, at most a batch; and the revision up to which that is all. */
  private read(next: number, matches: (order: string) => boolean): KeyChanges {
    if (next < this.compacted) throw compactedError();
    const changes: KeyChange[] = [];
    // One change a revision: the place in the log is known. Revision 1 is the empty store's and changes nothing.
    let at = this.log.length === 0 ? 0 : Math.max(0, next - this.log[0].revision);
    for (; at < this.log.length && changes.length < BATCH_MAX; at += 1) {
      const change = this.log[at];
      if (matches(change.order)) changes.push(change);
    }
    const revision = at < this.log.length ? this.log[at].revision - 1 : this.revision;
    return { changes, revision };
  }

  private tick(): void {
    this.ticker = this.clock.setTimer(PROGRESS_MS, () => {
      this.tick();
      this.requestProgress();
    });
  }
}

interface Source {
  read(next: number, matches: (order: string) => boolean): KeyChanges;
  left(): void;
}

class MemoryWatch implements KeyWatch {
  private readonly matches: (order: string) => boolean;
  private readonly progress: boolean;
  private readonly source: Source;
  private next: number;
  private asked = false;
  private stopped = false;
  private wake: (() => void) | undefined = undefined;

  constructor(
    [low, high]: readonly [string, string | undefined],
    from: number,
    progress: boolean,
    source: Source,
  ) {
    this.matches = (order) => order >= low && (high === undefined || order < high);
    this.next = from;
    this.progress = progress;
    this.source = source;
  }

  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    this.source.left();
    this.awake();
  }

  awake(): void {
    const { wake } = this;
    this.wake = undefined;
    wake?.();
  }

  askedForProgress(): void {
    if (!this.progress) return;
    this.asked = true;
    this.awake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<KeyChanges, void, undefined> {
    try {
      while (!this.stopped) {
        const found = this.source.read(this.next, this.matches);
        this.next = Math.max(this.next, found.revision + 1);
        if (found.changes.length > 0) {
          yield found;
        } else if (this.asked) {
          this.asked = false;
          // A watch from a revision that is yet to come is not at it.
          if (this.next === found.revision + 1) yield found;
        } else {
          await new Promise<void>((resolve) => {
            this.wake = resolve;
          });
        }
      }
    } finally {
      this.stop();
    }
  }
}

/** A key in the order of its bytes; names are ASCII but for a few kinds. */
function orderOf(key: string): string {
  return keyFromBytes(Buffer.from(key, 'utf8'));
}

function boundsOf({ start, prefix }: KeyRange): readonly [low: string, high: string | undefined] {
  const low = orderOf(start);
  if (prefix === undefined) return [low, `${low}\0`];
  const end = prefixEnd(orderOf(prefix));
  return [low, end === '\0' ? undefined : end];
}

function stateAt(states: readonly State[], revision: number): KeyPair | undefined {
  for (let at = states.length - 1; at >= 0; at -= 1) {
    if (states[at].revision <= revision) return states[at].pair;
  }
  return undefined;
}

function compactedError(): KeySpaceError {
  return new KeySpaceError('COMPACTED', 'etcdserver: mvcc: required revision has been compacted');
}
