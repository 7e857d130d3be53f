/**
 * A place in a line: a key `name/<lease>` whose create revision says when its owner came. Who came first is
 * at the head; the others wait for the one before them. Locks and elections are both such lines, with the
 * keys of etcd's own recipes, so owners written in Go and the server's Lock and Election services stand in
 * the same line.
 */
import { StatusCode } from '@keelson/rpc';
import type { etcdserverpb, mvccpb } from '@keelson/proto';
import { EtcdError, WatchCompactedError } from './errors.ts';
import type { RequestOptions } from './retry.ts';
import type { RecipeClient, Session } from './session.ts';
import { compare, op } from './txn.ts';

export interface WaitOptions {
  /** Gives up: the place in the line is left. */
  readonly signal?: AbortSignal | undefined;
}

export class Place {
  readonly session: Session;
  /** Every key of the line starts with it. */
  readonly prefix: string;
  readonly key: string;
  /** Create revision of our key; 0: not in the line. */
  revision = 0;
  /** Who was at the head when this place was taken; undefined: nobody, so it is ours. */
  head: mvccpb.KeyValue | undefined = undefined;
  /** Of the newest answer about this line. */
  header: etcdserverpb.ResponseHeader | undefined = undefined;

  constructor(session: Session, name: string) {
    this.session = session;
    this.prefix = `${name}/`;
    this.key = this.prefix + session.lease.toString(16);
  }

  /** Whether nobody stood before us when we came. */
  get first(): boolean {
    return this.head === undefined || this.head.createRevision === this.revision;
  }

  /**
   * Takes a place, or finds the one this session has. After an error whose outcome is not known it is looked
   * up, not taken again.
   * @returns whether the value certainly is the one given: false when the place was there before
   * @throws EtcdError and then the key may still appear: close the session before waiting for anybody else
   */
  async enter(value: Uint8Array | string, signal?: AbortSignal): Promise<boolean> {
    const { kv } = this.session.client;
    const options = { signal };
    const head = op.get(this.prefix, { prefix: true, sortBy: 'create', order: 'ascend', limit: 1 });
    const request = {
      compare: [compare.absent(this.key)],
      success: [op.put(this.key, value, { lease: this.session.lease }), head],
      failure: [op.get(this.key), head],
    };
    try {
      const response = await kv.txn(request, options);
      const own = response.responses[0]?.responseRange?.kvs[0];
      this.header = response.header;
      this.revision = response.succeeded ? (response.header?.revision ?? 0) : (own?.createRevision ?? 0);
      this.head = response.responses[1]?.responseRange?.kvs[0];
      return response.succeeded;
    } catch (error) {
      if (!(error instanceof EtcdError) || error.definite) throw error;
      const [own, heads] = await Promise.all([
        kv.get(this.key, options),
        kv.get(this.prefix, { prefix: true, sortBy: 'create', order: 'ascend', limit: 1, ...options }),
      ]);
      const kept = own.kvs[0];
      if (kept === undefined) throw error;
      this.header = own.header;
      this.revision = kept.createRevision;
      this.head = heads.kvs[0];
      return false;
    }
  }

  /**
   * Resolves when everybody who came before has left.
   * @throws EtcdError SESSION_EXPIRED when our own key is gone by then, or the session is lost; CANCELLED by the signal
   */
  async reachHead({ signal }: WaitOptions = {}): Promise<void> {
    const { client, lost } = this.session;
    const stop = signal === undefined ? lost : AbortSignal.any([signal, lost]);
    try {
      for (;;) {
        stop.throwIfAborted();
        // The one just before us: its leaving wakes us alone, not the whole line.
        const { kvs, header } = await client.kv.get(this.prefix, {
          prefix: true,
          sortBy: 'create',
          order: 'descend',
          limit: 1,
          maxCreateRevision: this.revision - 1,
          signal: stop,
        });
        const before = kvs[0];
        if (before === undefined) break;
        await deleted(client, before.key, (header?.revision ?? 0) + 1, stop);
      }
      const own = await client.kv.get(this.key, { signal: stop });
      this.header = own.header;
      if (own.kvs[0]?.createRevision !== this.revision) throw sessionExpired();
    } catch (error) {
      if (signal?.aborted === true) throw cancelled();
      throw lost.aborted ? sessionExpired() : error;
    }
  }

  /** Leaves the line; nothing happens when the key is not ours any more. */
  async leave(options?: RequestOptions): Promise<void> {
    if (this.revision === 0) return;
    const { kv } = this.session.client;
    const response = await kv.txn({ compare: [this.held()], success: [op.delete(this.key)] }, options);
    this.header = response.header;
    this.revision = 0;
    this.head = undefined;
  }

  /**
   * True at the server for as long as this place is ours. A write that must not happen after it was lost
   * carries this comparison: that is the fence, whatever this process believes. Without a place it is false.
   */
  held(): etcdserverpb.Compare {
    // Revision 0 would mean "the key is absent", which is true of every owner that has left.
    if (this.revision === 0) return compare.createRevision(this.key, '<', 0);
    return compare.createRevision(this.key, '=', this.revision);
  }
}

/** Resolves once the key is deleted, or when that may have been missed and is worth a look. */
async function deleted(
  client: RecipeClient,
  key: Uint8Array,
  startRevision: number,
  signal: AbortSignal,
): Promise<void> {
  const watcher = client.watch.create(key, { startRevision, filter: 'no-put' });
  const stop = (): void => watcher.cancel();
  signal.addEventListener('abort', stop, { once: true });
  try {
    for await (const { events } of watcher) if (events.length > 0) return;
  } catch (error) {
    if (!(error instanceof WatchCompactedError)) throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    watcher.cancel();
  }
}

export const sessionExpired = (): EtcdError =>
  new EtcdError(StatusCode.FailedPrecondition, 'mutex: session is expired');
export const cancelled = (): EtcdError => new EtcdError(StatusCode.Cancelled, 'context canceled');
