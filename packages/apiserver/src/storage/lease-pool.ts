/**
 * Leases for objects that disappear by themselves: one serves many, for a while. A lease of its own for each event would
 * cost the store a write and a record more for every one.
 *
 * Modelled on kubernetes/apiserver pkg/storage/etcd3/lease_manager.go: a lease lives a little longer than asked for and
 * is given out as long as it still outlives the wish, to a bounded number.
 */

import type { Clock } from '@keelson/base';

/** What is asked of the client. */
export interface LeaseGranter {
  grant(ttl: number): Promise<{ readonly ID: bigint }>;
}

/** Share of the time to live by which a lease is made longer, and thus how long it is given out. */
const REUSE_SHARE = 0.05;
/** Default of --lease-reuse-duration-seconds. */
const REUSE_SECONDS_MAX = 60;
/** Objects on one lease: all of them go in one transaction of the store when it ends. */
const OBJECTS_MAX = 1_000;

interface Held {
  readonly id: bigint;
  readonly endsAtMs: number;
  objects: number;
}

export class LeasePool {
  private readonly granter: LeaseGranter;
  private readonly clock: Clock;
  private readonly reuseSecondsMax: number;
  private held: Held | undefined = undefined;
  /** One grant at a time: who comes meanwhile gets the same lease if it suits. */
  private turn: Promise<unknown> = Promise.resolve();

  /** @param reuseSecondsMax how long a lease is given out at most, s */
  constructor(granter: LeaseGranter, clock: Clock, reuseSecondsMax = REUSE_SECONDS_MAX) {
    this.granter = granter;
    this.clock = clock;
    this.reuseSecondsMax = reuseSecondsMax;
  }

  /** A lease that lives at least as long, and not much longer. @throws EtcdError of the grant */
  lease(ttlSeconds: number): Promise<bigint> {
    const found = this.turn.then(() => this.next(ttlSeconds));
    this.turn = found.catch(() => undefined);
    return found;
  }

  /** A lease that may be gone is not given out again. */
  forget(id: bigint): void {
    if (this.held?.id === id) this.held = undefined;
  }

  private async next(ttlSeconds: number): Promise<bigint> {
    const now = this.clock.monotonicMs();
    const reuse = Math.min(Math.floor(ttlSeconds * REUSE_SHARE), this.reuseSecondsMax);
    const { held } = this;
    if (held !== undefined) {
      const outlives = now + ttlSeconds * 1000 < held.endsAtMs;
      const suits = now + (ttlSeconds + reuse) * 1000 >= held.endsAtMs;
      if (outlives && suits && held.objects < OBJECTS_MAX) {
        held.objects += 1;
        return held.id;
      }
    }
    const { ID: id } = await this.granter.grant(ttlSeconds + reuse);
    // Counted from before it was asked for: never longer than the store counts it.
    this.held = { id, endsAtMs: now + (ttlSeconds + reuse) * 1000, objects: 1 };
    return id;
  }
}
