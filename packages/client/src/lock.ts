/**
 * A lock that at most one session holds at a time, in the order in which they asked (etcd: concurrency.Mutex).
 *
 * No lock over a network can stop an owner that was asleep when its lease ran out. Therefore each acquisition
 * has a fencing token, which only grows, and `held()`, a comparison that makes a write at this store happen
 * only while the lock is ours. Work that is not fenced is not protected.
 */
import { StatusCode } from '@keelson/rpc';
import type { etcdserverpb } from '@keelson/proto';
import { EtcdError } from './errors.ts';
import { Place, cancelled, type WaitOptions } from './place.ts';
import type { RequestOptions } from './retry.ts';
import type { Session } from './session.ts';

export class Lock {
  private readonly place: Place;

  /** @param name of the lock; its keys are `name/<lease in hex>` */
  constructor(session: Session, name: string) {
    this.place = new Place(session, name);
  }

  /** The key that stands for the lock while it is held. */
  get key(): string {
    return this.place.key;
  }

  /** The acquisition's revision: larger than that of every earlier owner. 0 while it is not held. */
  get token(): number {
    return this.place.revision;
  }

  /** Of the newest answer about this lock. */
  get header(): etcdserverpb.ResponseHeader | undefined {
    return this.place.header;
  }

  /**
   * Waits until the lock is ours. With one session it may be taken once: again is the same acquisition.
   * @returns the fencing token
   * @throws EtcdError SESSION_EXPIRED when the session is lost while waiting; CANCELLED by the signal
   */
  async acquire(options: WaitOptions = {}): Promise<number> {
    await this.enter(options);
    if (!this.place.first) {
      try {
        await this.place.reachHead(options);
      } catch (error) {
        await this.giveUp();
        throw error;
      }
    }
    return this.place.revision;
  }

  /** Takes the lock if it is free. @throws EtcdError LOCKED when it is not */
  async tryAcquire(options: WaitOptions = {}): Promise<number> {
    await this.enter(options);
    if (this.place.first) return this.place.revision;
    await this.place.leave();
    throw new EtcdError(StatusCode.FailedPrecondition, 'mutex: Locked by another session');
  }

  /** For the comparisons of a transaction: it succeeds only while this acquisition holds. */
  held(): etcdserverpb.Compare {
    return this.place.held();
  }

  /** Lets the next one in. What others hold by now is left alone. */
  release(options?: RequestOptions): Promise<void> {
    return this.place.leave(options);
  }

  private async enter({ signal }: WaitOptions): Promise<void> {
    if (signal?.aborted === true) throw cancelled();
    await this.place.enter('', signal);
  }

  /** The error that is on its way says more than one about leaving; the lease takes the key along. */
  private async giveUp(): Promise<void> {
    try {
      await this.place.leave();
    } catch (error) {
      if (!(error instanceof EtcdError)) throw error;
    }
  }
}
