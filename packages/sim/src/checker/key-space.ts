/**
 * The deterministic model of etcd's keys: what each revision did, what every key was at each of them, and which keys hang on
 * which lease. It executes requests one at a time and can take revisions back. Slow where that is
 * simpler; it shares no code with the store.
 *
 * Modelled on etcd's description of itself: revision 1 is the empty store, every transaction that changes something adds one.
 */
import { assert, SortedMap } from '@keelson/base';
import type { WatchEvent } from '../history/record.ts';
import type { KeyValue, LeaseId, TxnOp, TxnOpResponse, TxnRequest } from '../history/request.ts';
import { bounds, comparesHold, selectRange } from './range-model.ts';

/** Why a request could not be done; then it did nothing. */
export type Refusal = 'key not found' | 'future' | 'compacted' | 'lease not found';

export interface Execution {
  readonly refusal: Refusal | undefined;
  readonly response: TxnOpResponse | undefined;
  readonly events: readonly WatchEvent[];
}

const NO_KEYS: ReadonlySet<string> = new Set();

/** '0' and undefined are no lease. */
export function leaseOf({ lease }: { readonly lease?: LeaseId }): LeaseId | undefined {
  return lease === '0' ? undefined : lease;
}

export class KeySpace {
  /** The revision of what it began with. */
  readonly base: number;
  private readonly live = new SortedMap<KeyValue>();
  /** Every event of a key, oldest first; what was there at the beginning is a put at its own revision. */
  private readonly versions = new SortedMap<WatchEvent[]>();
  private readonly attached = new Map<LeaseId, Set<string>>();
  /** Events of revision base + 1 + index. */
  private readonly log: WatchEvent[][] = [];
  private pending: WatchEvent[] = [];
  private hashLow = 0;
  private hashHigh = 0;

  constructor(base: number, kvs: readonly KeyValue[]) {
    this.base = base;
    for (const kv of kvs) this.change({ kind: 'put', kv });
    this.pending = [];
  }

  get revision(): number {
    return this.base + this.log.length;
  }

  /** Of the state as a whole; equal states have equal ones. */
  get hash(): string {
    return `${this.hashHigh}.${this.hashLow}`;
  }

  get(key: string): KeyValue | undefined {
    return this.live.get(key);
  }

  /** What happened at a revision after the base and not after the newest. */
  eventsAt(revision: number): readonly WatchEvent[] {
    return this.log[revision - this.base - 1] ?? [];
  }

  /** All that ever happened to a key, oldest first. */
  versionsOf(key: string): readonly WatchEvent[] {
    return this.versions.get(key) ?? [];
  }

  /** The key as it was at a revision. */
  at(key: string, revision: number): KeyValue | undefined {
    return newest(this.versions.get(key) ?? [], revision);
  }

  keysOf(lease: LeaseId): ReadonlySet<string> {
    return this.attached.get(lease) ?? NO_KEYS;
  }

  /** Leases that keys hang on. */
  attachedLeases(): IterableIterator<LeaseId> {
    return this.attached.keys();
  }

  /** Does a request at the next revision, if it changes anything; else the revision stays. */
  execute(request: TxnOp): Execution {
    const succeeded = new Map<TxnRequest, boolean>();
    const refusal = this.refusalOf(request, succeeded);
    if (refusal !== undefined) return { refusal, response: undefined, events: [] };
    const response = this.run(request, succeeded);
    return { refusal: undefined, response, events: this.commit() };
  }

  /** A lease's end: all its keys go, in the order of their names. */
  endLease(lease: LeaseId): readonly WatchEvent[] {
    for (const key of [...this.keysOf(lease)].sort()) this.remove(key);
    return this.commit();
  }

  /** Takes what somebody was told for what happened; the next revision, even when nothing is known of it. */
  adopt(events: readonly WatchEvent[]): void {
    for (const { kind, kv } of events) this.change({ kind, kv });
    this.log.push(this.pending);
    this.pending = [];
  }

  /** Takes back everything after `revision`. */
  undoTo(revision: number): void {
    while (this.revision > revision) {
      const events = this.log.pop()!;
      for (let i = events.length - 1; i >= 0; i--) this.revert(events[i]);
    }
  }

  /** What reading does, at the newest revision or at an older one. */
  private range(request: Extract<TxnOp, { kind: 'range' }>): TxnOpResponse {
    const [low, high] = bounds(request.key, request.end);
    const { revision = 0 } = request;
    // Within a transaction that has written, an explicit revision is still the state before it.
    if (revision <= 0 || (revision >= this.revision && this.pending.length === 0))
      return selectRange(request, this.live.count(low, high), (visit) =>
        this.live.range(low, high, (_, kv) => visit(kv)),
      );
    const kvs: KeyValue[] = [];
    this.versions.range(low, high, (_, versions) => {
      const kv = newest(versions, revision);
      if (kv !== undefined) kvs.push(kv);
    });
    return selectRange(request, kvs.length, (visit) => void kvs.every((kv) => visit(kv)));
  }

  /** Also decides the branches, all on the state before. */
  private refusalOf(request: TxnOp, succeeded: Map<TxnRequest, boolean>): Refusal | undefined {
    switch (request.kind) {
      case 'range':
        return (request.revision ?? 0) > this.revision ? 'future' : undefined;
      case 'put':
        return (request.ignoreValue === true || request.ignoreLease === true) && !this.live.has(request.key)
          ? 'key not found'
          : undefined;
      case 'delete':
        return undefined;
      case 'txn': {
        const holds = (request.compare ?? []).every((compare) => comparesHold(compare, this.live));
        succeeded.set(request, holds);
        for (const op of (holds ? request.then : request.else) ?? []) {
          const refusal = this.refusalOf(op, succeeded);
          if (refusal !== undefined) return refusal;
        }
        return undefined;
      }
    }
  }

  private run(request: TxnOp, succeeded: ReadonlyMap<TxnRequest, boolean>): TxnOpResponse {
    switch (request.kind) {
      case 'range':
        return this.range(request);
      case 'put': {
        const previous = this.live.get(request.key);
        this.put(
          request.key,
          // It may be gone by now, deleted by the same txn.
          request.ignoreValue === true ? (previous?.value ?? '') : request.value,
          request.ignoreLease === true ? leaseOf(previous ?? {}) : leaseOf(request),
        );
        return request.prevKv === true && previous !== undefined
          ? { kind: 'put', prev: previous }
          : { kind: 'put' };
      }
      case 'delete': {
        const [low, high] = bounds(request.key, request.end);
        const prevs: KeyValue[] = [];
        this.live.range(low, high, (_, kv) => void prevs.push(kv));
        for (const { key } of prevs) this.remove(key);
        return { kind: 'delete', deleted: prevs.length, prevs: request.prevKv === true ? prevs : [] };
      }
      case 'txn': {
        const holds = succeeded.get(request) === true;
        const ops = (holds ? request.then : request.else) ?? [];
        return { kind: 'txn', succeeded: holds, responses: ops.map((op) => this.run(op, succeeded)) };
      }
    }
  }

  private put(key: string, value: string, lease: LeaseId | undefined): void {
    const previous = this.live.get(key);
    const mod = this.revision + 1;
    const create = previous?.create ?? mod;
    const version = (previous?.version ?? 0) + 1;
    const kv =
      lease === undefined
        ? { key, value, create, mod, version }
        : { key, value, create, mod, version, lease };
    this.change({ kind: 'put', kv });
  }

  private remove(key: string): void {
    this.change({ kind: 'delete', kv: { key, value: '', create: 0, mod: this.revision + 1, version: 0 } });
  }

  /** The one place where a key changes. */
  private change({ kind, kv }: Pick<WatchEvent, 'kind' | 'kv'>): void {
    const prev = this.live.get(kv.key);
    const event: WatchEvent = prev === undefined ? { kind, kv } : { kind, kv, prev };
    if (prev !== undefined) this.leave(prev);
    if (kind === 'put') this.enter(kv);
    else this.live.delete(kv.key);
    const versions = this.versions.get(kv.key);
    if (versions === undefined) this.versions.set(kv.key, [event]);
    else versions.push(event);
    this.pending.push(event);
  }

  private revert({ kind, kv, prev }: WatchEvent): void {
    if (kind === 'put') this.leave(kv);
    if (prev === undefined) this.live.delete(kv.key);
    else this.enter(prev);
    const versions = this.versions.get(kv.key)!;
    versions.pop();
    if (versions.length === 0) this.versions.delete(kv.key);
  }

  private enter(kv: KeyValue): void {
    this.live.set(kv.key, kv);
    this.mix(kv);
    const lease = leaseOf(kv);
    if (lease === undefined) return;
    const keys = this.attached.get(lease);
    if (keys === undefined) this.attached.set(lease, new Set([kv.key]));
    else keys.add(kv.key);
  }

  private leave(kv: KeyValue): void {
    this.mix(kv);
    const lease = leaseOf(kv);
    if (lease === undefined) return;
    const keys = this.attached.get(lease)!;
    keys.delete(kv.key);
    if (keys.size === 0) this.attached.delete(lease);
  }

  private commit(): readonly WatchEvent[] {
    const events = this.pending;
    if (events.length > 0) this.log.push(events);
    this.pending = [];
    assert(
      events.every(({ kv }) => kv.mod === this.revision),
      'events are of their revision',
    );
    return events;
  }

  /** Adds a key's state to the hash, or takes it out again. */
  private mix(kv: KeyValue): void {
    let low = (kv.mod ^ Math.imul(kv.version, 0x9e3779b1)) >>> 0;
    let high = (Math.imul(kv.create, 0x85ebca6b) ^ kv.mod) >>> 0;
    for (const text of [kv.key, kv.value, leaseOf(kv) ?? '']) {
      for (let i = 0; i < text.length; i++) {
        low = Math.imul(low ^ text.charCodeAt(i), 0x01000193);
        high = Math.imul(high + text.charCodeAt(i), 0xcc9e2d51) ^ (high >>> 15);
      }
    }
    this.hashLow = (this.hashLow ^ low) >>> 0;
    this.hashHigh = (this.hashHigh ^ high) >>> 0;
  }
}

/** The last version not after `revision`; undefined where there is none, or it is a delete. */
function newest(versions: readonly WatchEvent[], revision: number): KeyValue | undefined {
  let low = 0;
  let high = versions.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (versions[middle].kv.mod <= revision) low = middle + 1;
    else high = middle;
  }
  const event = versions[low - 1];
  return event === undefined || event.kind === 'delete' ? undefined : event.kv;
}
