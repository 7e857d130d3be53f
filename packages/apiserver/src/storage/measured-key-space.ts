/**
 * A store of keys as one resource uses it: says how long each request took and whether it failed. Changes nothing about
 * them, and waits for nothing itself: who asked has the store's own promise.
 *
 * Operations are called as in kubernetes/apiserver pkg/storage/etcd3, whose metrics have them as a label.
 */

import type { Clock } from '@keelson/base';

import type { GroupResource } from '../api/meta.ts';
import type {
  GetResult,
  KeyRange,
  KeySpace,
  KeyWatch,
  RangeRequest,
  RangeResult,
  WriteResult,
} from './key-space.ts';

export type StoreOperation = 'create' | 'delete' | 'get' | 'list' | 'listWithCount' | 'update';

/** Notes one request. */
export type RequestNote = (seconds: number, failed: boolean) => void;

/** What comes from the store for a resource. */
export interface StoreTraffic {
  /** A list was answered: so many objects were read for it, looked at by its selection and returned. */
  listed(fetched: number, evaluated: number, returned: number): void;
  /** So many changes came to a watch. */
  received(changes: number): void;
  /** A sign of progress came to a watch. */
  progressed(): void;
}

export interface StoreRequests {
  /** Asked once for each resource and operation that occurs. */
  of(operation: StoreOperation, resource: GroupResource): RequestNote;
  /** Asked once for each resource. */
  traffic(resource: GroupResource): StoreTraffic;
}

export class MeasuredKeySpace implements KeySpace {
  private readonly inner: KeySpace;
  private readonly requests: StoreRequests;
  private readonly resource: GroupResource;
  private readonly clock: Pick<Clock, 'monotonicMs'>;
  private readonly notes = new Map<StoreOperation, RequestNote>();
  /** As the store itself: undefined where a read costs the same. */
  readonly revisionOf?: (key: string) => Promise<number>;

  constructor(
    inner: KeySpace,
    requests: StoreRequests,
    resource: GroupResource,
    clock: Pick<Clock, 'monotonicMs'>,
  ) {
    this.inner = inner;
    this.requests = requests;
    this.resource = resource;
    this.clock = clock;
    if (inner.revisionOf !== undefined) {
      this.revisionOf = (key) => this.measured('get', inner.revisionOf?.(key) ?? Promise.resolve(0));
    }
  }

  get(key: string, signal: AbortSignal | undefined): Promise<GetResult> {
    return this.measured('get', this.inner.get(key, signal));
  }

  range(request: RangeRequest, signal: AbortSignal | undefined): Promise<RangeResult> {
    return this.measured('list', this.inner.range(request, signal));
  }

  count(range: KeyRange, signal: AbortSignal | undefined): Promise<RangeResult> {
    return this.measured('listWithCount', this.inner.count(range, signal));
  }

  put(
    key: string,
    value: Buffer,
    expected: number,
    ttlSeconds: number,
    wantCurrent: boolean,
    signal: AbortSignal | undefined,
  ): Promise<WriteResult> {
    const done = this.inner.put(key, value, expected, ttlSeconds, wantCurrent, signal);
    return this.measured(expected === 0 ? 'create' : 'update', done);
  }

  delete(key: string, expected: number, signal: AbortSignal | undefined): Promise<WriteResult> {
    return this.measured('delete', this.inner.delete(key, expected, signal));
  }

  watch(range: KeyRange, from: number, progress: boolean): KeyWatch {
    return this.inner.watch(range, from, progress);
  }

  supportsProgress(): Promise<boolean> {
    return this.inner.supportsProgress();
  }

  requestProgress(): void {
    this.inner.requestProgress();
  }

  compactedRevision(): number {
    return this.inner.compactedRevision();
  }

  private measured<T>(operation: StoreOperation, answer: Promise<T>): Promise<T> {
    const { clock } = this;
    const since = clock.monotonicMs();
    let note = this.notes.get(operation);
    if (note === undefined) {
      note = this.requests.of(operation, this.resource);
      this.notes.set(operation, note);
    }
    const told = note;
    answer.then(
      () => told((clock.monotonicMs() - since) / 1000, false),
      () => told((clock.monotonicMs() - since) / 1000, true),
    );
    return answer;
  }
}
