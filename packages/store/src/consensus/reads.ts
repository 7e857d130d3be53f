/**
 * Linearizable reads by ReadIndex (thesis §6.4), batched: all who arrived before a ReadIndex is issued
 * share it; one is in flight; whoever arrives meanwhile waits for the following one, since joining the
 * one in flight would be a stale read. Every attempt, retries included, has a context of its own: a late
 * heartbeat answer to an earlier attempt must never confirm a newer one.
 */
import { Deferred } from '@keelson/base';
import { StoreError, type ErrorCode } from '../errors.ts';
import { READ_INDEX_RETRY_MS } from '../limits.ts';
import type { RequestIds } from './request-ids.ts';

interface Reader {
  readonly deferred: Deferred<void>;
  readonly startedMs: number;
}

interface Round {
  readers: Reader[];
  /** Contexts of this round's attempts: any of them confirms the same readers, who all came before the first. */
  readonly firstAttempt: number;
  lastAttempt: number;
  issuedMs: number;
}

export interface ReadCounters {
  slow: number;
  failed: number;
}

export class Reads {
  private arriving: Reader[] = [];
  private inFlight: Round | undefined;
  /** Confirmed but not yet applied here: readers by the index they wait for, ascending. */
  private confirmed: { index: number; readers: Reader[] }[] = [];
  private readonly ids: RequestIds;
  readonly counters: ReadCounters = { slow: 0, failed: 0 };

  constructor(ids: RequestIds) {
    this.ids = ids;
  }

  get hasArrivals(): boolean {
    return this.arriving.length > 0;
  }

  /** Nobody waits for a confirmation. */
  get isIdle(): boolean {
    return this.inFlight === undefined && this.arriving.length === 0;
  }

  get waitingCount(): number {
    let count = this.arriving.length + (this.inFlight?.readers.length ?? 0);
    for (const group of this.confirmed) count += group.readers.length;
    return count;
  }

  /** Resolves when the local state machine holds everything committed before this call. */
  add(nowMs: number): Promise<void> {
    const reader: Reader = { deferred: new Deferred<void>(), startedMs: nowMs };
    this.arriving.push(reader);
    return reader.deferred.promise;
  }

  /**
   * The context of a ReadIndex to issue now, or undefined when nothing is to be asked: nobody waits, or
   * a round is in flight and not yet due for a retry.
   */
  next(nowMs: number): Buffer | undefined {
    if (this.inFlight !== undefined) {
      if (nowMs - this.inFlight.issuedMs < READ_INDEX_RETRY_MS) return undefined;
      this.counters.slow++;
      this.inFlight.issuedMs = nowMs;
      this.inFlight.lastAttempt = this.ids.next();
      return this.ids.encode(this.inFlight.lastAttempt);
    }
    if (this.arriving.length === 0) return undefined;
    const attempt = this.ids.next();
    this.inFlight = {
      readers: this.arriving,
      firstAttempt: attempt,
      lastAttempt: attempt,
      issuedMs: nowMs,
    };
    this.arriving = [];
    return this.ids.encode(attempt);
  }

  /** raft confirmed a ReadIndex. Answers to attempts of earlier rounds are ignored. */
  confirm(context: Buffer, index: number): void {
    const attempt = this.ids.decode(context);
    if (this.inFlight === undefined || attempt === undefined) return;
    if (attempt < this.inFlight.firstAttempt || attempt > this.inFlight.lastAttempt) return;
    this.confirmed.push({ index, readers: this.inFlight.readers });
    this.inFlight = undefined;
  }

  /** Releases the readers whose index has been applied here. */
  applied(appliedIndex: number): void {
    let done = 0;
    while (done < this.confirmed.length && this.confirmed[done].index <= appliedIndex) {
      for (const reader of this.confirmed[done].readers) reader.deferred.resolve();
      done++;
    }
    if (done > 0) this.confirmed.splice(0, done);
  }

  /** The leader changed under the round in flight: its readers are told to try again. */
  leaderChanged(): void {
    const round = this.inFlight;
    if (round === undefined) return;
    this.inFlight = undefined;
    this.fail(round.readers, new StoreError('LEADER_CHANGED'));
  }

  /** Fails readers older than `timeoutMs`. */
  expire(nowMs: number, timeoutMs: number): void {
    const bornMs = nowMs - timeoutMs;
    this.arriving = this.dropOld(this.arriving, bornMs, 'TIMEOUT');
    const round = this.inFlight;
    if (round !== undefined) {
      round.readers = this.dropOld(round.readers, bornMs, 'TIMEOUT');
      if (round.readers.length === 0) this.inFlight = undefined;
    }
    if (this.confirmed.length === 0) return;
    for (const group of this.confirmed)
      group.readers = this.dropOld(group.readers, bornMs, 'TIMEOUT_WAIT_APPLIED');
    this.confirmed = this.confirmed.filter((group) => group.readers.length > 0);
  }

  /** Fails the readers that came at `bornMs` or before, who stand first; gives the others. */
  private dropOld(readers: Reader[], bornMs: number, code: ErrorCode): Reader[] {
    let old = 0;
    while (old < readers.length && readers[old].startedMs <= bornMs) old++;
    if (old === 0) return readers;
    this.fail(readers.slice(0, old), new StoreError(code));
    return readers.slice(old);
  }

  failAll(error: StoreError): void {
    const all = [
      ...this.arriving,
      ...(this.inFlight?.readers ?? []),
      ...this.confirmed.flatMap((g) => g.readers),
    ];
    this.arriving = [];
    this.inFlight = undefined;
    this.confirmed = [];
    this.fail(all, error);
  }

  private fail(readers: readonly Reader[], error: StoreError): void {
    this.counters.failed += readers.length;
    for (const reader of readers) reader.deferred.reject(error);
  }
}
