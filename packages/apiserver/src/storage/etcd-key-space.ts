/**
 * A store of keys in an etcd cluster: the few requests kube-apiserver makes, in the same shapes, so that every server
 * that serves it serves us. Conditions are on mod revisions only; a write that did not happen brings back what is there.
 *
 * Writes are never repeated here: the client says of a failed one only whether it certainly had no effect.
 */

import { assert } from '@keelson/base';
import {
  compare,
  EtcdError,
  op,
  type Client,
  type Event,
  type KeyValue,
  type Watcher,
  type WatchBatch,
} from '@keelson/client';

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
import { versionsReportProgress } from './etcd-features.ts';
import type { LeasePool } from './lease-pool.ts';
import { RevisionChecks } from './revision-checks.ts';

/** As long as a request of a client may take at most. */
const REQUEST_TIMEOUT_MS = 60_000;

export class EtcdKeySpace implements KeySpace {
  private readonly client: Client;
  private readonly leases: LeasePool;
  private readonly compacted: () => number;
  private readonly watches = new Set<EtcdWatch>();
  private readonly checks: RevisionChecks;
  private reportsProgress: Promise<boolean> | undefined = undefined;

  /** @param compacted the last compaction that is known */
  constructor(client: Client, leases: LeasePool, compacted: () => number) {
    this.client = client;
    this.checks = new RevisionChecks(client, REQUEST_TIMEOUT_MS);
    this.leases = leases;
    this.compacted = compacted;
  }

  async get(key: string, signal: AbortSignal | undefined): Promise<GetResult> {
    const response = await this.client.kv.get(key, options(signal));
    return { pair: pairOf(response.kvs[0]), revision: revisionOf(response) };
  }

  revisionOf(key: string): Promise<number> {
    return this.checks.revisionOf(key);
  }

  async range(request: RangeRequest, signal: AbortSignal | undefined): Promise<RangeResult> {
    const { revision, limit } = request;
    try {
      const response = await this.client.kv.get(request.start, {
        ...endOf(request),
        revision,
        limit,
        ...options(signal),
      });
      const { kvs, count, more } = response;
      return { pairs: kvs.map(toPair), count, more, revision: revisionOf(response) };
    } catch (error) {
      throw inOurWords(error);
    }
  }

  async count(range: KeyRange, signal: AbortSignal | undefined): Promise<RangeResult> {
    const response = await this.client.kv.get(range.start, {
      ...endOf(range),
      countOnly: true,
      ...options(signal),
    });
    return { pairs: [], count: response.count, more: false, revision: revisionOf(response) };
  }

  async put(
    key: string,
    value: Buffer,
    expected: number,
    ttlSeconds: number,
    wantCurrent: boolean,
    signal: AbortSignal | undefined,
  ): Promise<WriteResult> {
    const lease = ttlSeconds === 0 ? undefined : await this.leases.lease(ttlSeconds);
    try {
      const response = await this.client.kv.txn(
        {
          compare: [compare.modRevision(key, '=', expected)],
          success: [op.put(key, value, lease === undefined ? {} : { lease })],
          failure: wantCurrent ? [op.get(key)] : [],
        },
        options(signal),
      );
      if (response.succeeded) return { succeeded: true, revision: revisionOf(response) };
      return { succeeded: false, current: pairOf(response.responses[0]?.responseRange?.kvs[0]) };
    } catch (error) {
      // Somebody revoked it, or it ran out while we slept: the next one gets another.
      if (lease !== undefined) this.leases.forget(lease);
      throw inOurWords(error);
    }
  }

  async delete(key: string, expected: number, signal: AbortSignal | undefined): Promise<WriteResult> {
    const response = await this.client.kv.txn(
      {
        compare: [compare.modRevision(key, '=', expected)],
        success: [op.delete(key)],
        failure: [op.get(key)],
      },
      options(signal),
    );
    if (response.succeeded) return { succeeded: true, revision: revisionOf(response) };
    return { succeeded: false, current: pairOf(response.responses[0]?.responseRange?.kvs[0]) };
  }

  watch(range: KeyRange, from: number, progress: boolean): KeyWatch {
    // etcd answers no request for progress while a watch of the stream begins in the future, as one does that follows a
    // list until the next write: one that wants progress begins with the revision of its list, and passes that over.
    const start = progress && from > 1 ? from - 1 : from;
    const watcher = this.client.watch.create(range.start, {
      ...endOf(range),
      startRevision: start,
      prevKv: true,
      progressNotify: progress,
      fragment: false,
      requireLeader: true,
    });
    const watch = new EtcdWatch(watcher, from, progress, () => this.watches.delete(watch));
    this.watches.add(watch);
    return watch;
  }

  supportsProgress(): Promise<boolean> {
    this.reportsProgress ??= this.askVersions().catch((error: unknown) => {
      // Not known yet: asked again next time.
      this.reportsProgress = undefined;
      throw error;
    });
    return this.reportsProgress;
  }

  requestProgress(): void {
    this.client.watch.requestProgress();
  }

  compactedRevision(): number {
    return this.compacted();
  }

  /** Ends all watches. The client stays its owner's. */
  close(): void {
    for (const watch of this.watches) watch.stop();
  }

  private async askVersions(): Promise<boolean> {
    const { endpoints, maintenance } = this.client;
    const answers = await Promise.all(endpoints.map((endpoint) => maintenance.status({ endpoint })));
    return versionsReportProgress(answers.map(({ version }) => version));
  }
}

class EtcdWatch implements KeyWatch {
  private readonly watcher: Watcher;
  private readonly from: number;
  private readonly progress: boolean;
  private readonly left: () => void;

  constructor(watcher: Watcher, from: number, progress: boolean, left: () => void) {
    this.watcher = watcher;
    this.from = from;
    this.progress = progress;
    this.left = left;
  }

  stop(): void {
    this.left();
    this.watcher.cancel();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<KeyChanges, void, undefined> {
    try {
      let delivered = 0;
      for await (const batch of this.watcher) {
        // An answer to a request for progress goes to all watches of the stream, and may be older than what they have.
        if (batch.progress && (!this.progress || batch.revision < delivered)) continue;
        const changes = changesOf(batch, this.from);
        if (changes === undefined) continue;
        delivered = changes.revision;
        yield changes;
      }
    } catch (error) {
      throw inOurWords(error);
    } finally {
      this.left();
    }
  }
}

/** @returns undefined where all of it happened before `from` */
function changesOf({ events, revision, progress }: WatchBatch, from: number): KeyChanges | undefined {
  if (progress) return { changes: [], revision };
  const changes = events.map(changeOf);
  const last = changes.at(-1)?.revision ?? revision;
  if (last < from) return undefined;
  const [first] = changes;
  return {
    changes:
      first !== undefined && first.revision < from ? changes.filter((one) => one.revision >= from) : changes,
    revision: last,
  };
}

/** Event types on the wire: 0 is a put, 1 a delete. */
const DELETE = 1;

function changeOf(event: Event): KeyChange {
  const { kv, type } = event;
  assert(kv !== undefined, 'an event has its key');
  const previous = pairOf(event.prevKv);
  const changed = type === DELETE ? 'deleted' : kv.createRevision === kv.modRevision ? 'created' : 'changed';
  return { ...toPair(kv), type: changed, previous };
}

function toPair(kv: KeyValue): KeyPair {
  return { key: kv.key.toString('utf8'), value: kv.value, revision: kv.modRevision };
}

function pairOf(kv: KeyValue | undefined): KeyPair | undefined {
  return kv === undefined ? undefined : toPair(kv);
}

function revisionOf(response: { readonly header?: { readonly revision: number } | undefined }): number {
  assert(response.header !== undefined, 'every answer has a header');
  return response.header.revision;
}

/** The end of a range as bytes: every key that begins with the prefix. */
function endOf({ prefix }: KeyRange): { readonly end?: Buffer } {
  if (prefix === undefined) return {};
  const bytes = Buffer.from(prefix, 'utf8');
  // A prefix ends in a slash, so its last byte can be counted up.
  bytes[bytes.length - 1] += 1;
  return { end: bytes };
}

function options(signal: AbortSignal | undefined): {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
} {
  return signal === undefined ? { timeoutMs: REQUEST_TIMEOUT_MS } : { timeoutMs: REQUEST_TIMEOUT_MS, signal };
}

function inOurWords(error: unknown): unknown {
  if (!(error instanceof EtcdError)) return error;
  switch (error.reason) {
    case 'COMPACTED':
      return new KeySpaceError('COMPACTED', error.message, error);
    case 'FUTURE_REVISION':
      return new KeySpaceError('FUTURE_REVISION', error.message, error);
    case 'REQUEST_TOO_LARGE':
      return new KeySpaceError('TOO_LARGE', error.message, error);
    default:
      return error;
  }
}
