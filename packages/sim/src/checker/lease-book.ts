/** What clients know of leases: when each was granted, kept alive and asked to end, by the recorder's places and clock. */
import type { History, Operation } from '../history/record.ts';
import type { LeaseId, Request, Response } from '../history/request.ts';
import { leaseOf } from './key-space.ts';

export interface Renewal {
  readonly operation: Operation;
  /** Milliseconds it gives, from the moment the server took it. */
  readonly ttlMs: number;
}

export interface LeaseRecord {
  readonly id: LeaseId;
  readonly ttlMs: number;
  /** Undefined: it was there at the beginning, or the answer to its grant got lost. */
  readonly grant: Operation | undefined;
  /** The grant and every successful keep-alive, by their calls. */
  readonly renewals: Renewal[];
  /** Every request to end it, whatever became of it. */
  readonly revokes: Operation[];
}

export class LeaseBook {
  readonly leases = new Map<LeaseId, LeaseRecord>();
  private readonly alive = new Map<LeaseId, number>();
  private readonly fastest: number;

  constructor(history: History) {
    this.fastest = history.beginning.fastestClock ?? 1;
    for (const { id, ttl } of history.beginning.leases ?? [])
      this.leases.set(id, { id, ttlMs: ttl * 1000, grant: undefined, renewals: [], revokes: [] });
    for (const operation of history.operations) {
      const { request, outcome } = operation;
      if (outcome.kind !== 'ok' || outcome.response.kind !== 'leaseGrant') continue;
      const { id, ttl } = outcome.response;
      const lease = { id, ttlMs: ttl * 1000, grant: operation, renewals: [], revokes: [] };
      this.leases.set(id, lease);
      if (request.kind === 'leaseGrant') this.renew(id, operation, ttl);
    }
    for (const operation of history.operations) {
      const { request, outcome } = operation;
      if (
        request.kind === 'leaseTimeToLive' &&
        outcome.kind === 'ok' &&
        outcome.response.kind === 'leaseTimeToLive'
      ) {
        if (outcome.response.ttl >= 0) this.seeAlive(request.id, operation.called);
      }
      if (outcome.kind === 'ok')
        for (const lease of attachedBy(request, outcome.response)) this.seeAlive(lease, operation.called);
      if (request.kind === 'leaseRevoke') this.leases.get(request.id)?.revokes.push(operation);
      if (
        request.kind !== 'leaseKeepAlive' ||
        outcome.kind !== 'ok' ||
        outcome.response.kind !== 'leaseKeepAlive'
      )
        continue;
      const { ttl = 0 } = outcome.response;
      if (ttl > 0) this.renew(request.id, operation, ttl);
    }
  }

  /**
   * The lease certainly lives until then, if nobody ends it: each answered renewal was taken by the server after its call.
   * Counted are those that were called before `place`.
   */
  livesUntilMs(id: LeaseId, place: number): number {
    let untilMs = -Infinity;
    for (const { operation, ttlMs } of this.leases.get(id)?.renewals ?? []) {
      if (operation.called >= place) break;
      untilMs = Math.max(untilMs, operation.callMs + ttlMs);
    }
    return untilMs;
  }

  /** Whether its end was asked for before `place`. */
  revokeAsked(id: LeaseId, place: number): boolean {
    return (this.leases.get(id)?.revokes ?? []).some(
      ({ called, outcome }) => called < place && outcome.kind !== 'refused',
    );
  }

  /** The last place at which a call was made that was told that the lease lives. */
  aliveAt(id: LeaseId): number {
    return this.alive.get(id) ?? -1;
  }

  private seeAlive(id: LeaseId, place: number): void {
    this.alive.set(id, Math.max(this.aliveAt(id), place));
  }

  private renew(id: LeaseId, operation: Operation, ttl: number): void {
    this.leases.get(id)?.renewals.push({ operation, ttlMs: (ttl * 1000) / this.fastest });
    if (operation.request.kind === 'leaseKeepAlive') this.seeAlive(id, operation.called);
  }
}

/** Leases that a request has put keys to, as its answer says: they were there. */
function* attachedBy(request: Request, response: Response): Generator<LeaseId> {
  if (request.kind === 'put') {
    const lease = leaseOf(request);
    if (lease !== undefined && request.ignoreLease !== true) yield lease;
  } else if (request.kind === 'txn' && response.kind === 'txn') {
    const ops = (response.succeeded === true ? request.then : request.else) ?? [];
    for (const [i, nested] of (response.responses ?? []).entries())
      if (i < ops.length) yield* attachedBy(ops[i], nested);
  }
}
