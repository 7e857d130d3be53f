/**
 * Commands on their way to commit, each with its waiting client. Bounded in bytes and age; a waiter is
 * answered exactly once, and a command whose waiter gave up before it was proposed is not proposed any more. It
 * never proposes anything twice: a command whose outcome is unknown stays unknown (decision 9).
 *
 * The one promise per request lives here; everything below works in batches.
 */
import { Deferred } from '@keelson/base';
import { encodeCommand, type CommandId, type CommandKind } from '../apply/command.ts';
import type { Identity } from '../auth/identity.ts';
import type { ApplyResult, Waiters } from '../apply/results.ts';
import { StoreError } from '../errors.ts';
import type { RequestIds } from './request-ids.ts';

/** An encoded command and the number its waiter is filed under. */
export interface QueuedCommand {
  readonly sequence: number;
  readonly data: Buffer;
}

interface Waiter {
  readonly deferred: Deferred<ApplyResult>;
  readonly startedMs: number;
  /** Of its command, as the log keeps it. */
  readonly bytes: number;
}

export interface ProposalCounters {
  pending: number;
  failed: number;
}

export class Proposals implements Waiters {
  private readonly waiters = new Map<number, Waiter>();
  /** Encoded commands not yet handed to raft, in arrival order. */
  private queue: QueuedCommand[] = [];
  private leaderQueue: QueuedCommand[] = [];
  /** Of all commands somebody waits for, proposed or not. */
  private pendingBytes = 0;
  /** A waiter gave up since the last take(): its command may still be queued. */
  private abandoned = false;
  private readonly ids: RequestIds;
  /** Of those whose waiters still wait. */
  readonly bytesMax: number;
  readonly counters: ProposalCounters = { pending: 0, failed: 0 };

  constructor(ids: RequestIds, bytesMax: number) {
    this.ids = ids;
    this.bytesMax = bytesMax;
  }

  /** Whether the command came from here and somebody still waits for its result. */
  isWaiting(id: CommandId): boolean {
    return this.ids.isOwn(id) && this.waiters.has(id.sequence);
  }

  /** Bytes of all commands somebody waits for. */
  get bytes(): number {
    return this.pendingBytes;
  }

  get waitingCount(): number {
    return this.waiters.size;
  }

  get queuedCount(): number {
    return this.queue.length + this.leaderQueue.length;
  }

  /**
   * Files a waiter and queues the command. Resolves with the state machine's answer, rejects with its refusal.
   * @param bytesMax bound on the command as the log keeps it; beyond it REQUEST_TOO_LARGE
   * @param identity in whose name
   * @throws StoreError TOO_MANY_REQUESTS when too much is under way
   */
  add(
    kind: CommandKind,
    body: Buffer,
    nowMs: number,
    bytesMax: number,
    identity?: Identity,
  ): Promise<ApplyResult> {
    const sequence = this.ids.next();
    const data = encodeCommand({ owner: this.ids.owner, sequence }, kind, body, identity);
    if (data.length > bytesMax) return Promise.reject(new StoreError('REQUEST_TOO_LARGE'));
    if (this.pendingBytes + data.length > this.bytesMax)
      return Promise.reject(new StoreError('TOO_MANY_REQUESTS'));
    this.queue.push({ sequence, data });
    return this.wait(sequence, nowMs, data.length);
  }

  private wait(sequence: number, startedMs: number, bytes: number): Promise<ApplyResult> {
    const deferred = new Deferred<ApplyResult>();
    this.waiters.set(sequence, { deferred, startedMs, bytes });
    this.pendingBytes += bytes;
    this.counters.pending++;
    return deferred.promise;
  }

  /**
   * Queues a command that only a leader may propose and nobody waits for, such as ending an expired
   * lease. It is discarded, not forwarded, when this member does not lead at the next turn: a deposed
   * leader's idea of time must not reach the log through its successor.
   */
  addAsLeader(kind: CommandKind, body: Buffer, identity?: Identity): void {
    const sequence = this.ids.next();
    const data = encodeCommand({ owner: this.ids.owner, sequence }, kind, body, identity);
    this.leaderQueue.push({ sequence, data });
  }

  /** Everything queued, for one raft proposal; the queues are empty afterwards. */
  take(isLeader: boolean): QueuedCommand[] {
    const queued = this.queue;
    this.queue = [];
    const taken = this.abandoned ? queued.filter(({ sequence }) => this.waiters.has(sequence)) : queued;
    this.abandoned = false;
    if (this.leaderQueue.length > 0) {
      // First: a renewal that knows of a checkpoint on its way must come behind it.
      if (isLeader) taken.unshift(...this.leaderQueue);
      this.leaderQueue = [];
    }
    return taken;
  }

  /** Files a waiter for something proposed by other means (a membership change), under its own id. */
  file(nowMs: number): { readonly sequence: number; readonly result: Promise<ApplyResult> } {
    const sequence = this.ids.next();
    return { sequence, result: this.wait(sequence, nowMs, 0) };
  }

  /** Answers the waiter of `sequence`, if any is left. */
  resolve(sequence: number, result: ApplyResult): void {
    const waiter = this.settle(sequence);
    if (result.error === undefined) waiter?.deferred.resolve(result);
    else waiter?.deferred.reject(result.error);
  }

  /** Fails commands that raft refused: they are in no log. */
  drop(commands: readonly QueuedCommand[], error: StoreError): void {
    for (const command of commands) this.fail(command.sequence, error);
  }

  /** Fails every waiter that has waited `timeoutMs`; `errorFor` decides the text by its start. */
  expire(nowMs: number, timeoutMs: number, errorFor: (startedMs: number) => StoreError): void {
    // Waiters are filed in time order and share one timeout: stop at the first young one.
    for (const [sequence, waiter] of this.waiters) {
      if (nowMs - waiter.startedMs < timeoutMs) return;
      this.abandoned = true;
      this.fail(sequence, errorFor(waiter.startedMs));
    }
  }

  failAll(error: StoreError): void {
    this.take(false);
    for (const sequence of [...this.waiters.keys()]) this.fail(sequence, error);
  }

  private fail(sequence: number, error: StoreError): void {
    const waiter = this.settle(sequence);
    if (waiter === undefined) return;
    this.counters.failed++;
    waiter.deferred.reject(error);
  }

  private settle(sequence: number): Waiter | undefined {
    const waiter = this.waiters.get(sequence);
    if (waiter === undefined) return undefined;
    this.waiters.delete(sequence);
    this.pendingBytes -= waiter.bytes;
    this.counters.pending--;
    return waiter;
  }
}
