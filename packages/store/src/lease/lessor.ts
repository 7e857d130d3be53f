/**
 * Leases: the promises, who holds on to which, and on the leader (the primary lessor) when each ends.
 * It knows key names, never values; the applier joins leases and keys. It owns no timer and no clock:
 * it is told the time and answers with what is due. Modelled on etcd's server/lease/lessor.go.
 *
 * Law: `leases` and each lease's keys are replicated state, the same on every member at the same
 * applied index. Deadlines are not: only the primary has them, re-armed in full at each promotion, so
 * that a lease may live longer than promised across a leader change but never shorter (E1, E2).
 */
import { exponentialBuckets, Histogram } from '../metrics/metric.ts';
import { StoreError } from '../errors.ts';
import { LEASE_TTL_SECONDS_MAX } from '../limits.ts';
import { ExpiryQueue, type Expiring } from './expiry-queue.ts';

export type LeaseId = bigint;

/** "No lease" in a KeyValue. */
export const NO_LEASE: LeaseId = 0n;

/** A due lease is offered again after this long if its revoke has not been applied by then. */
const REVOKE_RETRY_MS = 3_000;

export class Lease implements Expiring {
  readonly id: LeaseId;
  /** Granted seconds, already raised to the minimum. */
  readonly ttlSeconds: number;
  /** Seconds left at the last checkpoint; 0 means the full TTL. */
  remainingSeconds: number;
  readonly keys = new Set<string>();
  /** When the promise ends, monotonic; Infinity where this member is not primary or has not armed it. */
  expiresAtMs = Infinity;
  /** When the queue offers it for revoking: expiresAtMs, later again while a revoke is on its way. */
  deadlineMs = Infinity;
  heapIndex = -1;

  constructor(id: LeaseId, ttlSeconds: number, remainingSeconds = 0) {
    this.id = id;
    this.ttlSeconds = ttlSeconds;
    this.remainingSeconds = remainingSeconds;
  }

  /** What a promotion re-arms with. */
  get termSeconds(): number {
    return this.remainingSeconds > 0 ? this.remainingSeconds : this.ttlSeconds;
  }
}

/** Where grants and revokes are kept; the write buffer's lease bucket in production. */
export interface LeaseStore {
  put(lease: Lease): void;
  delete(id: LeaseId): void;
}

export interface LessorCounters {
  granted: number;
  revoked: number;
  renewed: number;
  expired: number;
}

export class Lessor {
  private leases = new Map<LeaseId, Lease>();
  private leaseOfKey = new Map<string, LeaseId>();
  private readonly queue = new ExpiryQueue<Lease>();
  /** Granted since the last arm(): on the primary they still need a deadline. */
  private unarmed: Lease[] = [];
  private isPrimary = false;
  private readonly store: LeaseStore;
  private readonly ttlSecondsMin: number;
  readonly counters: LessorCounters = { granted: 0, revoked: 0, renewed: 0, expired: 0 };
  /** The seconds leases were granted for, in etcd's buckets (etcd_debugging_lease_ttl_total). */
  readonly grantedSeconds = new Histogram(exponentialBuckets(1, 2, 24));

  /** @param ttlSecondsMin ceil(1.5 × election timeout); grants below it are raised silently */
  constructor(store: LeaseStore, ttlSecondsMin: number) {
    this.store = store;
    this.ttlSecondsMin = ttlSecondsMin;
  }

  get primary(): boolean {
    return this.isPrimary;
  }

  get size(): number {
    return this.leases.size;
  }

  /** Puts back a lease read from the backend at start or from a snapshot. */
  restore(id: LeaseId, ttlSeconds: number, remainingSeconds: number): void {
    const lease = new Lease(id, Math.max(ttlSeconds, this.ttlSecondsMin), remainingSeconds);
    this.leases.set(id, lease);
    if (this.isPrimary) this.unarmed.push(lease);
  }

  /** Forgets everything, before a restore from a snapshot. */
  reset(): void {
    this.leases = new Map();
    this.leaseOfKey = new Map();
    this.queue.clear();
    this.unarmed = [];
  }

  /**
   * @returns the lease with its real TTL
   * @throws StoreError LEASE_EXISTS, LEASE_TTL_TOO_LARGE, LEASE_NOT_FOUND (id 0, which etcd also refuses)
   */
  grant(id: LeaseId, ttlSeconds: number): Lease {
    if (id === NO_LEASE) throw new StoreError('LEASE_NOT_FOUND');
    if (ttlSeconds > LEASE_TTL_SECONDS_MAX) throw new StoreError('LEASE_TTL_TOO_LARGE');
    if (this.leases.has(id)) throw new StoreError('LEASE_EXISTS');
    const lease = new Lease(id, Math.max(ttlSeconds, this.ttlSecondsMin));
    this.leases.set(id, lease);
    this.store.put(lease);
    this.counters.granted++;
    this.grantedSeconds.observe(lease.ttlSeconds);
    if (this.isPrimary) this.unarmed.push(lease);
    return lease;
  }

  /** Gives leases granted since the last call their deadlines. Called after each applied batch. */
  arm(nowMs: number): void {
    if (this.unarmed.length === 0) return;
    for (const lease of this.unarmed) {
      if (this.leases.get(lease.id) === lease) this.expireAt(lease, nowMs + lease.termSeconds * 1000);
    }
    this.unarmed.length = 0;
  }

  private expireAt(lease: Lease, expiresAtMs: number): void {
    lease.expiresAtMs = expiresAtMs;
    this.queue.schedule(lease, expiresAtMs);
  }

  /**
   * Ends a lease.
   * @returns its keys in byte order, for the applier to delete in one revision (E3)
   * @throws StoreError LEASE_NOT_FOUND
   */
  revoke(id: LeaseId): string[] {
    const lease = this.leases.get(id);
    if (lease === undefined) throw new StoreError('LEASE_NOT_FOUND');
    const keys = [...lease.keys].sort();
    for (const key of keys) this.leaseOfKey.delete(key);
    this.leases.delete(id);
    this.queue.remove(lease);
    this.store.delete(id);
    this.counters.revoked++;
    return keys;
  }

  /** Records the seconds a lease had left at the leader's last checkpoint; unknown ids are old news. */
  checkpoint(id: LeaseId, remainingSeconds: number): void {
    const lease = this.leases.get(id);
    if (lease !== undefined) lease.remainingSeconds = remainingSeconds;
  }

  lookup(id: LeaseId): Lease | undefined {
    return this.leases.get(id);
  }

  /** The lease a key is attached to; NO_LEASE when none. */
  leaseOf(key: string): LeaseId {
    return this.leaseOfKey.get(key) ?? NO_LEASE;
  }

  /** Attaches a key, detaching it from any other lease first; NO_LEASE only detaches (E8). */
  attach(key: string, id: LeaseId): void {
    this.detach(key);
    if (id === NO_LEASE) return;
    const lease = this.leases.get(id);
    if (lease === undefined) throw new StoreError('LEASE_NOT_FOUND');
    lease.keys.add(key);
    this.leaseOfKey.set(key, id);
  }

  detach(key: string): void {
    const id = this.leaseOfKey.get(key);
    if (id === undefined) return;
    this.leaseOfKey.delete(key);
    this.leases.get(id)?.keys.delete(key);
  }

  /**
   * Extends a lease to its full TTL from now. Primary only: the caller has confirmed leadership.
   * @returns the TTL in seconds, or undefined when there is no such lease or it is already due
   * @throws StoreError NOT_PRIMARY
   */
  renew(id: LeaseId, nowMs: number): number | undefined {
    if (!this.isPrimary) throw new StoreError('NOT_PRIMARY');
    const lease = this.leases.get(id);
    if (lease === undefined) return undefined;
    // A due lease may already have its revoke on the way: renewing it would promise what it breaks (E4).
    if (lease.expiresAtMs <= nowMs) return undefined;
    lease.remainingSeconds = 0;
    this.expireAt(lease, nowMs + lease.ttlSeconds * 1000);
    this.counters.renewed++;
    return lease.ttlSeconds;
  }

  /** Whole seconds left, rounded as etcd does (towards zero, at least 0); full TTL while unarmed. */
  remainingSeconds(lease: Lease, nowMs: number): number {
    if (lease.expiresAtMs === Infinity) return lease.termSeconds;
    return Math.max(0, Math.floor((lease.expiresAtMs - nowMs) / 1000));
  }

  /** This member became leader: every lease gets its whole term plus `extensionMs`, so none ends early. */
  promote(nowMs: number, extensionMs: number): void {
    this.isPrimary = true;
    this.unarmed = [];
    for (const lease of this.leases.values())
      this.expireAt(lease, nowMs + extensionMs + lease.termSeconds * 1000);
  }

  /** This member is no longer leader: it decides nothing about time any more. */
  demote(): void {
    this.isPrimary = false;
    this.queue.clear();
    this.unarmed = [];
    for (const lease of this.leases.values()) lease.expiresAtMs = lease.deadlineMs = Infinity;
  }

  /** Whether expired() would give any lease. */
  hasExpired(nowMs: number): boolean {
    return this.isPrimary && this.queue.hasDue(nowMs);
  }

  /**
   * Leases due at `nowMs`, earliest first, at most `limit`. Each is offered again a few seconds later
   * unless a revoke was applied meanwhile.
   */
  expired(nowMs: number, limit: number): LeaseId[] {
    if (!this.isPrimary) return [];
    const due = this.queue.takeDue(nowMs, limit);
    for (const lease of due) this.queue.schedule(lease, nowMs + REVOKE_RETRY_MS);
    this.counters.expired += due.length;
    return due.map((lease) => lease.id);
  }

  /** Ids ordered by deadline (by id where unarmed), as LeaseLeases lists them. */
  list(): LeaseId[] {
    return [...this.leases.values()]
      .sort((a, b) =>
        a.expiresAtMs === b.expiresAtMs ? (a.id < b.id ? -1 : 1) : a.expiresAtMs - b.expiresAtMs,
      )
      .map((lease) => lease.id);
  }
}
