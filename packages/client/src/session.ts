/**
 * A session: a lease that is kept alive for as long as its owner works, and a signal that says when it must be
 * taken for lost. What is put under the lease (a place in a line, an announcement) ends with it. The recipes
 * in lock.ts and election.ts stand on it (etcd: client/v3/concurrency).
 *
 * The signal is for stopping work early; it is no proof. Between the loss of a lease and the moment this
 * process hears of it another owner may already act, so what is written must be fenced (see Place.held).
 */
import type { Kv } from './kv.ts';
import type { Lease, LeaseKeeper } from './lease.ts';
import type { RequestOptions } from './retry.ts';
import type { Watch } from './watch.ts';

/** What the recipes need of a client. */
export interface RecipeClient {
  readonly kv: Kv;
  readonly lease: Lease;
  readonly watch: Watch;
}

export interface SessionOptions extends RequestOptions {
  /** Seconds until others may go on after this process dies. Default 60, as etcd's. */
  readonly ttl?: number;
  /** A lease that exists already, to be kept alive; `ttl` is not used then. */
  readonly lease?: bigint;
}

const TTL_SECONDS = 60;

export class Session {
  readonly client: RecipeClient;
  readonly lease: bigint;
  /** Aborts once: the lease is gone, was not renewed in time, or the session was closed. Reason: why. */
  readonly lost: AbortSignal;
  private readonly keeper: LeaseKeeper;
  private readonly loss = new AbortController();

  private constructor(client: RecipeClient, lease: bigint) {
    this.client = client;
    this.lease = lease;
    this.lost = this.loss.signal;
    this.keeper = client.lease.keepAlive(lease, { lost: (error) => this.loss.abort(error) });
  }

  /**
   * Grants a lease and keeps it.
   * @throws EtcdError when the lease cannot be had; LEASE_NOT_FOUND for one of one's own that is gone
   */
  static async open(client: RecipeClient, options: SessionOptions = {}): Promise<Session> {
    const { ttl = TTL_SECONDS, lease, ...request } = options;
    const id = lease ?? (await client.lease.grant(ttl, request)).ID;
    const session = new Session(client, id);
    try {
      // The first renewal says that the lease is there: etcd's sessions wait for it as well.
      await session.keeper.first;
    } catch (error) {
      session.orphan();
      throw error;
    }
    return session;
  }

  /** False from the moment the session must be taken for lost. */
  get alive(): boolean {
    return !this.lost.aborted;
  }

  /** Stops renewing and leaves the lease to expire: what it holds stays until then. */
  orphan(): void {
    this.keeper.stop();
    this.loss.abort(new Error('the session was closed'));
  }

  /**
   * Ends the lease and everything under it, at once.
   * @throws EtcdError when the server could not be told; the lease then ends by itself
   */
  async close(options?: RequestOptions): Promise<void> {
    const lived = this.alive;
    this.orphan();
    if (lived) await this.client.lease.revoke(this.lease, options);
  }
}
