/**
 * Leases: the promises, who holds on to which, and on the leader (the primary lessor) when each ends.
 * It knows key names, never values; the applier joins leases and keys. It owns no timer and no clock:
 * it is told the time and answers with what is due. Modelled on etcd's server/lease/lessor.go.
 *
 * Law: `leases` and each lease's keys are replicated state, the same on every member at the same
 * applied index. Deadlines are not: only the primary has them, re-armed at each promotion in full, or with
 * what the last checkpoint left, so that a lease may live longer than promised across a leader change but
 * never shorter (E1, E2, E7).
 */
import { exponentialBuckets, Histogram } from '../metrics/metric.ts';
import { StoreError } from '../errors.ts';
import { LEASE_TTL_SECONDS_MAX } from '../limits.ts';
import { CheckpointQueue } from './checkpoint-queue.ts';
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
  /** On the primary: a checkpoint was given out and has not come back through the log. */
  checkpointUnderway = false;
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

/** What a lease has left, as the primary tells the others. */
export interface RemainingTime {
  readonly id: LeaseId;
  /** Whole seconds, rounded up; at least 1. */
  readonly remainingSeconds: number;
}

export interface CheckpointPolicy {
  /** How often the primary tells what a long lease has left; Infinity: never (gate LeaseCheckpoint). */
  readonly intervalMs: number;
  /** Whether what it told is kept beyond a restart; must be the same on every member at the same entry. */
  readonly persistent: () => boolean;
}

const NO_CHECKPOINTS: CheckpointPolicy = { intervalMs: Infinity, persistent: () => false };

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
  /** Checkpointed since the last arm(): on the primary their next one is to be planned. */
  private checkpointed: Lease[] = [];
  private readonly checkpointQueue: CheckpointQueue<Lease>;
  private readonly policy: CheckpointPolicy;
  private readonly store: LeaseStore;
  private readonly ttlSecondsMin: number;
  readonly counters: LessorCounters = { granted: 0, revoked: 0, renewed: 0, expired: 0 };
  /** The seconds leases were granted for, in etcd's buckets (etcd_debugging_lease_ttl_total). */
  readonly grantedSeconds = new Histogram(exponentialBuckets(1, 2, 24));

  /** @param ttlSecondsMin ceil(1.5 × election timeout); grants below it are raised silently */
  constructor(store: LeaseStore, ttlSecondsMin: number, policy: CheckpointPolicy = NO_CHECKPOINTS) {
    this.store = store;
    this.ttlSecondsMin = ttlSecondsMin;
    this.policy = policy;
    this.checkpointQueue = new CheckpointQueue(policy.intervalMs);
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
    this.checkpointQueue.clear();
    this.unarmed = [];
    this.checkpointed = [];
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
    if (this.unarmed.length > 0) {
      for (const lease of this.unarmed) {
        if (this.leases.get(lease.id) !== lease) continue;
        this.expireAt(lease, nowMs + lease.termSeconds * 1000);
        this.checkpointQueue.schedule(lease, nowMs);
      }
      this.unarmed.length = 0;
    }
    if (this.checkpointed.length === 0) return;
    for (const lease of this.checkpointed)
      if (this.leases.get(lease.id) === lease) this.checkpointQueue.schedule(lease, nowMs);
    this.checkpointed.length = 0;
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
    this.checkpointQueue.forget(id);
    this.store.delete(id);
    this.counters.revoked++;
    return keys;
  }

  /**
   * Records the seconds a lease had left at the leader's last checkpoint, 0 once it was renewed; unknown ids
   * are old news. Deadlines stay: they are the primary's, who knows better.
   */
  checkpoint(id: LeaseId, remainingSeconds: number): void {
    const lease = this.leases.get(id);
    if (lease === undefined) return;
    lease.remainingSeconds = remainingSeconds;
    lease.checkpointUnderway = false;
    if (this.policy.persistent()) this.store.put(lease);
    if (this.isPrimary) this.checkpointed.push(lease);
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
   * Extends a lease to its full TTL from now. Primary only: the caller has confirmed leadership, and has
   * cleared the lease's checkpoint on all members, who would else give it less than this promises.
   * @returns the TTL in seconds, or undefined when there is no such lease or it is already due
   * @throws StoreError NOT_PRIMARY
   */
  renew(id: LeaseId, nowMs: number): number | undefined {
    if (!this.isPrimary) throw new StoreError('NOT_PRIMARY');
    const lease = this.leases.get(id);
    if (lease === undefined) return undefined;
    // A due lease may already have its revoke on the way: renewing it would promise what it breaks (E4).
    if (lease.expiresAtMs <= nowMs) return undefined;
    this.expireAt(lease, nowMs + lease.ttlSeconds * 1000);
    this.counters.renewed++;
    return lease.ttlSeconds;
  }

  /** Whether a lease is there whose time is up: it is to be revoked, and not to be renewed. */
  isDue(id: LeaseId, nowMs: number): boolean {
    const lease = this.leases.get(id);
    return lease !== undefined && lease.expiresAtMs <= nowMs;
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
    this.checkpointed = [];
    for (const lease of this.leases.values()) {
      this.expireAt(lease, nowMs + extensionMs + lease.termSeconds * 1000);
      this.checkpointQueue.schedule(lease, nowMs);
    }
  }

  /** This member is no longer leader: it decides nothing about time any more. */
  demote(): void {
    this.isPrimary = false;
    this.queue.clear();
    this.checkpointQueue.clear();
    this.unarmed = [];
    this.checkpointed = [];
    for (const lease of this.leases.values()) {
      lease.expiresAtMs = lease.deadlineMs = Infinity;
      lease.checkpointUnderway = false;
    }
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

  /** Whether others have heard, or are about to hear, of a remaining time that a renewal would make wrong. */
  isCheckpointed(id: LeaseId): boolean {
    const lease = this.leases.get(id);
    return lease !== undefined && (lease.remainingSeconds > 0 || lease.checkpointUnderway);
  }

  /** Whether checkpoints() would give any lease. */
  hasCheckpoints(nowMs: number): boolean {
    return this.isPrimary && this.checkpointQueue.hasDue(nowMs);
  }

  /** What leases have left whose checkpoint is due, looking at no more than `limit` of them. */
  checkpoints(nowMs: number, limit: number): RemainingTime[] {
    if (!this.isPrimary) return [];
    const due: RemainingTime[] = [];
    for (const lease of this.checkpointQueue.takeDue(nowMs, limit)) {
      const remainingSeconds = Math.ceil((lease.expiresAtMs - nowMs) / 1000);
      // One that has just been renewed has nothing to tell, one that is due will be revoked.
      if (remainingSeconds <= 0 || remainingSeconds >= lease.ttlSeconds) continue;
      lease.checkpointUnderway = true;
      due.push({ id: lease.id, remainingSeconds });
    }
    return due;
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
