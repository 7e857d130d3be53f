/**
 * Leader election: candidates stand in a line, each with a value that says who it is; the one at the head
 * leads until it resigns or its session ends (etcd: concurrency.Election). As with locks, a leader that slept
 * may believe in itself for too long: what it does is fenced with `leads()`, or with the term it was elected in.
 */
import { StatusCode } from '@keelson/rpc';
import { etcdserverpb, mvccpb } from '@keelson/proto';
import { toBytes, type Bytes } from './bytes.ts';
import { EtcdError, WatchCompactedError } from './errors.ts';
import { Place, type WaitOptions } from './place.ts';
import type { RequestOptions } from './retry.ts';
import type { RecipeClient, Session } from './session.ts';
import { op } from './txn.ts';

export class Election {
  private readonly place: Place;
  private readonly session: Session;
  private readonly name: string;

  /** @param name of the election; candidates' keys are `name/<lease in hex>` */
  constructor(session: Session, name: string) {
    this.session = session;
    this.name = name;
    this.place = new Place(session, name);
  }

  /** The key that stands for this candidate. */
  get key(): string {
    return this.place.key;
  }

  /** The candidacy's revision: larger than that of every earlier leader. 0 while not a candidate. */
  get term(): number {
    return this.place.revision;
  }

  /** Of the newest answer about this candidacy. */
  get header(): etcdserverpb.ResponseHeader | undefined {
    return this.place.header;
  }

  /**
   * Waits until this candidate leads.
   * @returns its term, the fencing token
   * @throws EtcdError SESSION_EXPIRED when the session is lost while waiting; CANCELLED by the signal
   */
  async campaign(value: Bytes, options: WaitOptions = {}): Promise<number> {
    const { place } = this;
    const said = await place.enter(toBytes(value), options.signal);
    try {
      if (!said) await this.proclaimAs(value);
      if (!place.first) await place.reachHead(options);
    } catch (error) {
      await this.giveUp();
      throw error;
    }
    return place.revision;
  }

  /** Says something else as the leader. @throws EtcdError NOT_ELECTED when it is none any more */
  async proclaim(value: Bytes, options?: RequestOptions): Promise<void> {
    if (this.place.revision === 0) throw notElected();
    await this.proclaimAs(value, options);
  }

  /** Leaves the election; the next candidate leads. */
  resign(options?: RequestOptions): Promise<void> {
    return this.place.leave(options);
  }

  /** For the comparisons of a transaction: it succeeds only during this term. */
  leads(): etcdserverpb.Compare {
    return this.place.held();
  }

  /** Who leads, by everybody's word; undefined: nobody. */
  leader(options?: RequestOptions): Promise<mvccpb.KeyValue | undefined> {
    return leaderOf(this.session.client, this.name, options).then(({ kvs }) => kvs[0]);
  }

  private async proclaimAs(value: Bytes, options?: RequestOptions): Promise<void> {
    const { place, session } = this;
    const response = await session.client.kv.txn(
      { compare: [place.held()], success: [op.put(place.key, value, { lease: session.lease })] },
      options,
    );
    place.header = response.header;
    if (response.succeeded) return;
    place.revision = 0;
    throw notElected();
  }

  private async giveUp(): Promise<void> {
    try {
      await this.place.leave();
    } catch (error) {
      if (!(error instanceof EtcdError)) throw error;
    }
  }
}

const notElected = (): EtcdError => new EtcdError(StatusCode.FailedPrecondition, 'election: not leader');

function leaderOf(
  client: RecipeClient,
  name: string,
  options?: RequestOptions,
): Promise<etcdserverpb.RangeResponse> {
  return client.kv.get(`${name}/`, { ...options, prefix: true, sortBy: 'create', order: 'ascend', limit: 1 });
}

/**
 * Leaders and what they proclaim, from the one now on, without a session of one's own. Each answer holds one
 * key, and the revision of its last change. Leaders who come and go in between may be left out; the order is
 * never wrong. Ends when the signal aborts.
 * @throws EtcdError when the watch breaks for good
 */
export async function* observeElection(
  client: RecipeClient,
  name: string,
  { signal }: WaitOptions = {},
): AsyncGenerator<etcdserverpb.RangeResponse, void, undefined> {
  while (!stopped(signal)) {
    try {
      const now = await leaderOf(client, name, { signal });
      const revision = now.header?.revision ?? 0;
      const response = (kv: mvccpb.KeyValue, at: number): etcdserverpb.RangeResponse => {
        const header = new etcdserverpb.ResponseHeader(now.header);
        header.revision = at;
        return new etcdserverpb.RangeResponse({ header, kvs: [kv] });
      };
      const seen = now.kvs[0];
      const leader = seen ?? (await nextCandidate(client, name, revision + 1, signal));
      if (leader === undefined) return;
      const at = seen === undefined ? leader.modRevision : revision;
      yield response(leader, at);
      let gone = false;
      for await (const event of eventsOf(client, leader.key, at + 1, false, signal)) {
        gone = event.type === mvccpb.EventType.DELETE;
        if (gone) break;
        if (event.kv !== undefined) yield response(event.kv, event.kv.modRevision);
      }
      if (!gone) return;
    } catch (error) {
      if (stopped(signal)) return;
      // Too far behind: the line is looked at again.
      if (!(error instanceof WatchCompactedError)) throw error;
    }
  }
}

/** A function, because the answer changes while we wait. */
const stopped = (signal: AbortSignal | undefined): boolean => signal?.aborted === true;

/** The next one that comes to an empty line; undefined when told to stop. */
async function nextCandidate(
  client: RecipeClient,
  name: string,
  startRevision: number,
  signal: AbortSignal | undefined,
): Promise<mvccpb.KeyValue | undefined> {
  for await (const event of eventsOf(client, `${name}/`, startRevision, true, signal)) {
    if (event.type === mvccpb.EventType.PUT) return event.kv;
  }
  return undefined;
}

async function* eventsOf(
  client: RecipeClient,
  key: Bytes,
  startRevision: number,
  prefix: boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<mvccpb.Event, void, undefined> {
  const watcher = client.watch.create(key, { startRevision, prefix });
  const stop = (): void => watcher.cancel();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    if (signal?.aborted !== true) yield* watcher.events();
  } finally {
    signal?.removeEventListener('abort', stop);
    watcher.cancel();
  }
}
