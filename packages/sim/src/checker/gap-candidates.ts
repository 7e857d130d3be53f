/**
 * What may have made a revision that nobody was answered for: a request whose outcome is unknown, a lease that was over, or a
 * revocation that was answered. What anybody was told of the revision narrows it; each candidate is tried on the
 * model and taken back, so that only those are offered that do what was told.
 */
import type { Operation, WatchEvent } from '../history/record.ts';
import type { KeyValue, LeaseId, Request } from '../history/request.ts';
import type { Claim, Filing } from './filing.ts';
import { isKeyRequest, putsOf } from './filing.ts';
import { leaseOf, type KeySpace } from './key-space.ts';
import type { LeaseBook } from './lease-book.ts';
import { covers } from './range-model.ts';

export type Candidate =
  | { readonly kind: 'doubtful'; readonly operation: Operation }
  /** A lease's end that was asked for, answered or not. */
  | { readonly kind: 'revoked'; readonly operation: Operation }
  /** A lease's end that nobody asked for. */
  | { readonly kind: 'expired'; readonly lease: LeaseId };

/** Why candidates that do what was told were passed over: what was decided of other revisions. */
export interface Blocks {
  /** Those that had been taken for these revisions. */
  readonly revisions: Set<number>;
  /** Some attach a key to a lease that had ended. */
  byEnds: boolean;
}

export class GapCandidates {
  private readonly filing: Filing;
  private readonly leases: LeaseBook;
  private readonly space: KeySpace;
  private readonly used: ReadonlyMap<number, number>;
  private readonly ended: ReadonlyMap<LeaseId, number>;
  /** What clients saw of leases counts, too. */
  private readonly strict: boolean;
  /** Requests that were found at a revision by a value only they wrote. */
  private readonly reserved = new Map<number, number>();
  /** Unanswered requests, latest call first. */
  private readonly doubtful: readonly Operation[];
  private readonly deleters: readonly Operation[];
  /** Those that may put a key. */
  private readonly puttersOf = new Map<string, Operation[]>();
  /** Those whose effect their own text does not tell. */
  private readonly keepers: readonly Operation[];

  constructor(
    filing: Filing,
    leases: LeaseBook,
    space: KeySpace,
    used: ReadonlyMap<number, number>,
    ended: ReadonlyMap<LeaseId, number>,
    strict: boolean,
  ) {
    this.filing = filing;
    this.leases = leases;
    this.space = space;
    this.used = used;
    this.ended = ended;
    this.strict = strict;
    this.doubtful = filing.doubtful.toSorted((a, b) => b.called - a.called);
    this.deleters = this.doubtful.filter(({ request }) => mayDelete(request));
    this.keepers = this.doubtful.filter(({ request }) =>
      [...putsOf(request)].some((put) => put.ignoreValue === true),
    );
    for (const operation of this.doubtful) {
      for (const { key } of putsOf(operation.request)) {
        const putters = this.puttersOf.get(key);
        if (putters === undefined) this.puttersOf.set(key, [operation]);
        else if (putters.at(-1) !== operation) putters.push(operation);
      }
    }
    for (let revision = filing.base + 1; revision <= filing.last; revision++) {
      for (const { key, value } of filing.claimAt(revision)?.puts.values() ?? []) {
        const putters = filing.puttersOf(key, value);
        if (value !== '' && putters.length === 1 && !this.reserved.has(putters[0].id))
          this.reserved.set(putters[0].id, revision);
      }
    }
  }

  /**
   * Those that can have made the next revision, the likeliest first. The space is as before between any two.
   * @param blocks takes, of those that were passed over, what other revisions have to do with it
   */
  *of(revision: number, blocks: Blocks): Generator<Candidate> {
    const claim = this.filing.claimAt(revision);
    const denied: Candidate[] = [];
    for (const candidate of this.raw(revision, claim)) {
      const events = this.possible(candidate, revision, claim, blocks);
      if (events === undefined) continue;
      if (!this.denied(events, revision)) yield candidate;
      else if (!this.strict) denied.push(candidate);
    }
    yield* denied;
  }

  execute(candidate: Candidate): readonly WatchEvent[] {
    if (candidate.kind === 'expired') return this.space.endLease(candidate.lease);
    const { request } = candidate.operation;
    if (request.kind === 'leaseRevoke') return this.space.endLease(request.id);
    return isKeyRequest(request) ? this.space.execute(request).events : [];
  }

  /** What was told of a revision, as events. */
  told(revision: number): readonly WatchEvent[] {
    const claim = this.filing.claimAt(revision);
    if (claim === undefined) return [];
    if (claim.complete !== undefined) return claim.complete.filter((event) => this.isChange(event, revision));
    const puts: WatchEvent[] = [...claim.puts.values()].map((kv) => ({ kind: 'put', kv }));
    const deletes: WatchEvent[] = [...claim.deletes].map((key) => ({
      kind: 'delete',
      kv: { key, value: '', create: 0, mod: revision, version: 0 },
    }));
    return [...puts, ...deletes].filter((event) => this.isChange(event, revision));
  }

  /** Whether a request may delete a key. */
  mayDelete(request: Request, key: string): boolean {
    switch (request.kind) {
      case 'delete':
        return covers(request.key, request.end, key);
      case 'leaseRevoke':
        return this.space.keysOf(request.id).has(key);
      case 'txn':
        return [...(request.then ?? []), ...(request.else ?? [])].some((op) => this.mayDelete(op, key));
      default:
        return false;
    }
  }

  private isChange({ kind, kv }: WatchEvent, revision: number): boolean {
    return kv.mod === revision && (kind === 'put' || this.space.get(kv.key) !== undefined);
  }

  private *raw(revision: number, claim: Claim | undefined): Generator<Candidate> {
    if (claim?.operation !== undefined) {
      const operation = this.filing.history.operations[claim.operation];
      if (operation !== undefined && operation.outcome.kind !== 'refused') yield candidateOf(operation);
      return;
    }
    if (claim?.expired !== undefined) {
      yield { kind: 'expired', lease: claim.expired };
      return;
    }
    const puts = [...(claim?.puts.values() ?? [])];
    const put = puts.find(({ value }) => value !== '') ?? puts[0];
    if (put !== undefined) {
      const { filing } = this;
      for (const operation of filing.puttersOf(put.key, put.value))
        if (operation.outcome.kind === 'unknown') yield { kind: 'doubtful', operation };
      const named = put.value !== '' && this.keepers.length === 0;
      for (const operation of named
        ? []
        : put.value === ''
          ? (this.puttersOf.get(put.key) ?? [])
          : this.keepers)
        yield candidateOf(operation);
      return;
    }
    for (const operation of this.filing.revokesAt(revision)) yield { kind: 'revoked', operation };
    const [deleted] = claim?.deletes ?? [];
    if (deleted !== undefined) {
      yield* this.deletions(revision, deleted);
      return;
    }
    // Nothing is known: the latest call is the likeliest.
    const [over, early] = this.leaseEnds(revision, undefined);
    for (const lease of over) yield { kind: 'expired', lease };
    for (const operation of this.doubtful)
      if (this.reserved.get(operation.id) === undefined) yield candidateOf(operation);
    for (const lease of early) yield { kind: 'expired', lease };
  }

  /** Requests and leases' ends that delete `key`. A lease that should live comes last. */
  private *deletions(revision: number, key: string): Generator<Candidate> {
    const [over, early] = this.leaseEnds(revision, key);
    for (const lease of over) yield { kind: 'expired', lease };
    for (const operation of this.deleters)
      if (this.mayDelete(operation.request, key)) yield candidateOf(operation);
    for (const lease of early) yield { kind: 'expired', lease };
  }

  /** Leases of `key`, or all with keys: those whose time was over when the revision was told, and the others. */
  private leaseEnds(revision: number, key: string | undefined): readonly [over: LeaseId[], early: LeaseId[]] {
    const over: LeaseId[] = [];
    const early: LeaseId[] = [];
    for (const lease of this.leasesOf(key)) {
      const livesUntilMs = this.leases.livesUntilMs(lease, this.filing.seenAt(revision));
      (livesUntilMs > this.filing.seenMsAt(revision) ? early : over).push(lease);
    }
    return [over, early];
  }

  private leasesOf(key: string | undefined): readonly LeaseId[] {
    if (key === undefined) return [...this.space.attachedLeases()];
    const kv = this.space.get(key);
    const lease = kv === undefined ? undefined : leaseOf(kv);
    return lease === undefined ? [] : [lease];
  }

  /** Whether somebody was told later that a key still was as before. */
  private denied(events: readonly WatchEvent[], revision: number): boolean {
    return events.some(({ kind, prev }) => {
      if (prev === undefined) return false;
      const until = this.filing.survivedUntil(prev, kind);
      // What the same txn has put before was there at this revision, and was not when the txn was over.
      return prev.mod === revision ? until > revision : until >= revision;
    });
  }

  /** What it would do; undefined: it cannot have been. */
  private possible(
    candidate: Candidate,
    revision: number,
    claim: Claim | undefined,
    blocks: Blocks,
  ): readonly WatchEvent[] | undefined {
    let usedAt: number | undefined;
    if (candidate.kind !== 'expired') {
      const { id, called } = candidate.operation;
      const reserved = this.reserved.get(id);
      usedAt = this.used.get(id);
      if ((usedAt !== undefined && !this.strict) || called > this.filing.seenAt(revision)) return undefined;
      if (reserved !== undefined && reserved !== revision) return undefined;
    }
    if (this.strict && candidate.kind === 'expired' && this.lives(candidate.lease, revision))
      return undefined;
    const before = this.space.revision;
    const events = this.execute(candidate);
    let fits = events.length > 0 && agrees(events, claim);
    if (fits && events.some((event) => this.attachesToEnded(event, revision))) {
      blocks.byEnds = true;
      fits = false;
    }
    this.space.undoTo(before);
    if (usedAt === undefined) return fits ? events : undefined;
    if (fits) blocks.revisions.add(usedAt);
    return undefined;
  }

  /** Whether a client knows better than that the lease was over by then. */
  private lives(lease: LeaseId, revision: number): boolean {
    const { filing, leases } = this;
    const place = filing.seenAt(revision);
    if (leases.aliveAt(lease) > place) return true;
    return !leases.revokeAsked(lease, place) && leases.livesUntilMs(lease, place) > filing.seenMsAt(revision);
  }

  private attachesToEnded({ kind, kv }: WatchEvent, revision: number): boolean {
    const lease = kind === 'put' ? leaseOf(kv) : undefined;
    return lease !== undefined && (this.ended.get(lease) ?? Infinity) < revision;
  }
}

function candidateOf(operation: Operation): Candidate {
  return { kind: operation.request.kind === 'leaseRevoke' ? 'revoked' : 'doubtful', operation };
}

function mayDelete(request: Request): boolean {
  if (request.kind === 'delete' || request.kind === 'leaseRevoke') return true;
  return request.kind === 'txn' && [...(request.then ?? []), ...(request.else ?? [])].some(mayDelete);
}

/** Whether events are what was told of them. A txn may change a key more than once, and each change was told. */
function agrees(events: readonly WatchEvent[], claim: Claim | undefined): boolean {
  if (claim === undefined) return true;
  const { complete } = claim;
  if (complete !== undefined) {
    if (complete.length !== events.length) return false;
    return complete.every((told, i) => told.kind === events[i].kind && isSame(events[i], told.kv));
  }
  for (const kv of claim.puts.values())
    if (!events.some((event) => event.kind === 'put' && isSame(event, kv))) return false;
  for (const key of claim.deletes)
    if (!events.some((event) => event.kind === 'delete' && event.kv.key === key)) return false;
  return true;
}

/** Whether it is what was told of a key; a value may have been left out. */
function isSame({ kind, kv }: WatchEvent, told: KeyValue): boolean {
  if (kv.key !== told.key) return false;
  if (kind === 'delete') return true;
  if (kv.version !== told.version || kv.create !== told.create) return false;
  return told.value === '' || (kv.value === told.value && leaseOf(kv) === leaseOf(told));
}
