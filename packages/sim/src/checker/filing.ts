/**
 * A history sorted by revision: which answered write made which, what reads tell of which, what is known of revisions nobody was
 * answered for, and from when on each revision was known. It judges nothing but what makes sorting
 * impossible.
 */
import type { History, Operation, WatchEvent } from '../history/record.ts';
import type { KeyValue, Request, Response, TxnOp, TxnOpResponse } from '../history/request.ts';
import { operationText } from './describe.ts';
import type { Findings } from './verdict.ts';

export type KeyRequest = TxnOp;

/** What somebody was told of a revision that no answered write made. */
export interface Claim {
  readonly puts: Map<string, KeyValue>;
  readonly deletes: Set<string>;
  /** Everything that happened, in order. */
  complete: readonly WatchEvent[] | undefined;
  operation: number | undefined;
  expired: string | undefined;
}

export function isKeyRequest(request: Request): request is KeyRequest {
  const { kind } = request;
  return kind === 'range' || kind === 'put' || kind === 'delete' || kind === 'txn';
}

export function isKeyResponse(response: Response): response is TxnOpResponse {
  const { kind } = response;
  return kind === 'range' || kind === 'put' || kind === 'delete' || kind === 'txn';
}

/** Whether an answer says that something was written. */
export function changed(response: TxnOpResponse): boolean {
  switch (response.kind) {
    case 'range':
      return false;
    case 'put':
      return true;
    case 'delete':
      return (response.deleted ?? 0) > 0;
    case 'txn':
      return (response.responses ?? []).some(changed);
  }
}

/** Whether a request may write. */
export function mayWrite(request: Request): boolean {
  switch (request.kind) {
    case 'put':
    case 'delete':
    case 'leaseRevoke':
      return true;
    case 'txn':
      return [...(request.then ?? []), ...(request.else ?? [])].some(mayWrite);
    default:
      return false;
  }
}

/** Whether it may be answered from what one member has: a local read. */
export function isLocal(request: Request): boolean {
  if (request.kind === 'range') return request.serializable === true;
  if (request.kind !== 'txn') return false;
  return [...(request.then ?? []), ...(request.else ?? [])].every(
    (op) => op.kind === 'range' && op.serializable === true,
  );
}

/** Whether the revision of its answer's header is that of the moment it took effect, by the cluster's one order. */
export function isOrdered(request: Request): boolean {
  if (isKeyRequest(request)) return !isLocal(request);
  return request.kind === 'leaseGrant' || request.kind === 'leaseRevoke';
}

export function* putsOf(request: Request): Generator<Extract<TxnOp, { kind: 'put' }>> {
  if (request.kind === 'put') yield request;
  if (request.kind !== 'txn') return;
  for (const op of request.then ?? []) yield* putsOf(op);
  for (const op of request.else ?? []) yield* putsOf(op);
}

export function headerOf({ outcome }: Operation): number {
  return outcome.kind === 'ok' ? (outcome.response.revision ?? 0) : 0;
}

const putName = (key: string, value: string): string => `${key}\0${value}`;

export class Filing {
  readonly history: History;
  /** The revision the history begins at. */
  readonly base: number;
  /** The newest revision that anybody was told and that can be true. */
  readonly last: number;
  /** Without a revision in their answers: nothing but time orders them. */
  readonly unplaced: Operation[] = [];
  /** Requests that may have written and were not answered, by their calls. */
  readonly doubtful: Operation[] = [];
  private readonly writes: (Operation | undefined)[] = [];
  private readonly readers = new Map<number, Operation[]>();
  private readonly revokes = new Map<number, Operation[]>();
  private readonly claims = new Map<number, Claim>();
  private readonly putters = new Map<string, Operation[]>();
  /** By revision − base: the first place and time at which it, or a later one, was told. */
  private readonly seen: Float64Array;
  private readonly seenMs: Float64Array;
  /** By a key's revision, or its creation: the newest revision at which somebody was told that it still is of it. */
  private readonly survived = new Map<string, number>();
  private readonly findings: Findings;

  constructor(history: History, findings: Findings) {
    this.history = history;
    this.findings = findings;
    this.base = history.beginning.revision ?? 1;
    for (const operation of history.operations) this.file(operation);
    this.last = this.newest();
    this.seen = new Float64Array(this.last - this.base + 2).fill(Infinity);
    this.seenMs = new Float64Array(this.last - this.base + 2).fill(Infinity);
    this.findSeen();
    if (this.hasGaps) this.findClaims();
  }

  /** The answered write that made a revision. */
  writeAt(revision: number): Operation | undefined {
    return this.writes[revision - this.base];
  }

  /** Answers that tell what there was at a revision and changed nothing. */
  readersAt(revision: number): readonly Operation[] {
    return this.readers.get(revision) ?? [];
  }

  /** Leases' answered ends, some of which may have made the revision. */
  revokesAt(revision: number): readonly Operation[] {
    return this.revokes.get(revision) ?? [];
  }

  claimAt(revision: number): Claim | undefined {
    return this.claims.get(revision);
  }

  /** Whether there are revisions that no answered write made. */
  get hasGaps(): boolean {
    for (let revision = this.base + 1; revision <= this.last; revision++)
      if (this.writes[revision - this.base] === undefined) return true;
    return false;
  }

  /** All requests that would put this value to this key. */
  puttersOf(key: string, value: string): readonly Operation[] {
    return this.putters.get(putName(key, value)) ?? [];
  }

  /** The newest revision at which a key was told to be as it is here: not put again, or not deleted since; 0: never. */
  survivedUntil({ key, create, mod }: KeyValue, without: 'put' | 'delete'): number {
    const alive = this.survived.get(`c${create} ${key}`) ?? 0;
    return without === 'delete' ? alive : (this.survived.get(`${mod} ${key}`) ?? 0);
  }

  /** The first place in the history at which a revision, or a later one, was told; Infinity: never. */
  seenAt(revision: number): number {
    return this.seen[revision - this.base] ?? Infinity;
  }

  seenMsAt(revision: number): number {
    return this.seenMs[revision - this.base] ?? Infinity;
  }

  private file(operation: Operation): void {
    const { request, outcome } = operation;
    this.findings.count(`${outcome.kind} operations`);
    for (const { key, value } of putsOf(request)) {
      const name = putName(key, value);
      const putters = this.putters.get(name);
      if (putters === undefined) this.putters.set(name, [operation]);
      else putters.push(operation);
    }
    if (outcome.kind !== 'ok') {
      if (outcome.kind === 'unknown' && mayWrite(request)) this.doubtful.push(operation);
      return;
    }
    const revision = headerOf(operation);
    if (request.kind === 'leaseRevoke' && revision > 0) append(this.revokes, revision, operation);
    if (!isKeyRequest(request) || !isKeyResponse(outcome.response)) return;
    if (revision === 0) this.unplaced.push(operation);
    else if (changed(outcome.response)) this.fileWrite(operation, revision);
    else this.fileRead(operation, request, revision);
  }

  private fileWrite(operation: Operation, revision: number): void {
    if (revision <= this.base) {
      this.findings.report(
        'K3',
        `a write was answered with revision ${revision}, and the history began at ${this.base}`,
        () => [operationText(operation)],
      );
      return;
    }
    const other = this.writes[revision - this.base];
    if (other === undefined) {
      this.writes[revision - this.base] = operation;
      return;
    }
    this.findings.report(
      'K3',
      `two writes were answered with revision ${revision}`,
      () => [operationText(other), operationText(operation)],
      this.crashBetween(other, operation) ? ['D1'] : [],
    );
  }

  private fileRead(operation: Operation, request: KeyRequest, revision: number): void {
    const asked = request.kind === 'range' ? (request.revision ?? 0) : 0;
    if (asked > revision) {
      this.findings.report(
        'K5',
        `a read at revision ${asked} was answered when the newest was ${revision}`,
        () => [operationText(operation)],
      );
      return;
    }
    append(this.readers, asked > 0 ? asked : revision, operation);
  }

  /** Whether a member crashed after one ended and before another did. */
  crashBetween(one: Operation, other: Operation): boolean {
    const [from, to] = [one.returned ?? Infinity, other.returned ?? Infinity].sort((a, b) => a - b);
    return this.history.facts.some(({ type, seq }) => type === 'crash' && seq > from && seq < to);
  }

  /** What was told beyond what all requests together can have made is a lie; it must not make the check endless. */
  private newest(): number {
    const { operations, watches, facts, beginning } = this.history;
    let possible = this.base + (beginning.leases?.length ?? 0);
    for (const { request } of operations) if (mayWrite(request) || request.kind === 'leaseGrant') possible++;
    // Twice that is the bound: what was done twice, or though it was refused, is found where it was done.
    const most = this.base + (possible - this.base) * 2;
    let told = this.base;
    const lies = new Set<number>();
    const take = (revision: number): void => {
      if (revision > most) lies.add(revision);
      else if (revision > told) told = revision;
    };
    for (const operation of operations) take(headerOf(operation));
    for (const record of watches) if (record.type === 'watchResponse') take(record.revision);
    for (const fact of facts) if (fact.type === 'applied') take(fact.revision);
    if (lies.size > 0)
      this.findings.report(
        'K2',
        `revision ${Math.min(...lies)} was told; all that was asked can have made ${possible} at most`,
        () =>
          operations
            .filter((operation) => lies.has(headerOf(operation)))
            .slice(0, 3)
            .map(operationText),
      );
    return told;
  }

  private findSeen(): void {
    const { operations, watches } = this.history;
    const see = (revision: number, place: number | undefined, ms: number | undefined): void => {
      if (place === undefined || revision <= this.base) return;
      const index = Math.min(revision, this.last + 1) - this.base;
      if (place < this.seen[index]) {
        this.seen[index] = place;
        this.seenMs[index] = ms ?? Infinity;
      }
    };
    for (const operation of operations) see(headerOf(operation), operation.returned, operation.returnMs);
    for (const record of watches)
      if (record.type === 'watchResponse') see(record.revision, record.seq, record.ms);
    for (let i = this.seen.length - 2; i >= 0; i--) {
      if (this.seen[i + 1] < this.seen[i]) {
        this.seen[i] = this.seen[i + 1];
        this.seenMs[i] = this.seenMs[i + 1];
      }
    }
  }

  private findClaims(): void {
    const { operations, watches, facts } = this.history;
    for (const operation of operations) {
      const { request, outcome } = operation;
      if (outcome.kind !== 'ok' || !isKeyResponse(outcome.response)) continue;
      const revision = headerOf(operation);
      // What a write tells of keys was so before it, at least.
      const at = changed(outcome.response) ? revision - 1 : revision;
      if (isKeyRequest(request)) this.claimAnswer(request, outcome.response, at);
    }
    // Watches of everything that have just been told a whole response: the next one begins with a revision's first event.
    const whole = new Map<number, boolean>();
    for (const record of watches) {
      if (record.type === 'watch') {
        const { watch, key, end, noPut, noDelete } = record;
        if (key <= '\0' && end === '\0' && noPut !== true && noDelete !== true) whole.set(watch, true);
      } else if (
        record.type === 'watchResponse' &&
        record.events !== undefined &&
        record.watch !== undefined
      ) {
        const { watch, events, fragment } = record;
        this.claimEvents(events, whole.get(watch) === true && fragment !== true);
        if (whole.has(watch)) whole.set(watch, fragment !== true);
      }
    }
    for (const fact of facts) {
      if (fact.type !== 'applied') continue;
      const claim = this.claimOf(fact.revision);
      if (claim === undefined) continue;
      claim.complete = fact.events;
      claim.operation ??= fact.operation;
      claim.expired ??= fact.expired;
      this.claimEvents(fact.events, false);
    }
  }

  /** @param complete all events of their revisions are there */
  private claimEvents(events: readonly WatchEvent[], complete: boolean): void {
    for (let from = 0; from < events.length;) {
      const { mod } = events[from].kv;
      let to = from + 1;
      while (to < events.length && events[to].kv.mod === mod) to++;
      const claim = this.claimOf(mod);
      if (claim !== undefined) {
        for (let i = from; i < to; i++) {
          const { kind, kv } = events[i];
          if (kind === 'delete') claim.deletes.add(kv.key);
          else if (!claim.puts.has(kv.key)) claim.puts.set(kv.key, kv);
        }
        if (complete) claim.complete ??= events.slice(from, to);
      }
      for (let i = from; i < to; i++) {
        if (events[i].kind === 'put') this.claimKv(events[i].kv, mod);
        this.claimKv(events[i].prev, mod - 1);
      }
      from = to;
    }
  }

  /** @param at the newest revision at which what it tells was so */
  /** @param at where the request was done; a range may say for itself of when it is */
  private claimAnswer(request: TxnOp, response: TxnOpResponse, at: number): void {
    switch (response.kind) {
      case 'range': {
        const asked = request.kind === 'range' ? (request.revision ?? 0) : 0;
        for (const kv of response.kvs ?? []) this.claimKv(kv, asked > 0 ? asked : at);
        return;
      }
      case 'put':
        this.claimKv(response.prev, at);
        return;
      case 'delete':
        for (const kv of response.prevs ?? []) this.claimKv(kv, at);
        return;
      case 'txn': {
        if (request.kind !== 'txn') return;
        const ops = (response.succeeded === true ? request.then : request.else) ?? [];
        for (const [i, nested] of (response.responses ?? []).entries())
          if (i < ops.length) this.claimAnswer(ops[i], nested, at);
      }
    }
  }

  private survive(name: string, from: number, at: number): void {
    if (from < at && (this.survived.get(name) ?? 0) < at) this.survived.set(name, at);
  }

  private claimKv(kv: KeyValue | undefined, at: number): void {
    if (kv === undefined) return;
    this.survive(`${kv.mod} ${kv.key}`, kv.mod, at);
    this.survive(`c${kv.create} ${kv.key}`, kv.create, Math.max(kv.mod, at));
    this.claimPut(kv.mod, kv);
    // Its creation was a put as well, of a value that is not known here.
    if (kv.create < kv.mod)
      this.claimPut(kv.create, { key: kv.key, value: '', create: kv.create, mod: kv.create, version: 1 });
  }

  private claimPut(revision: number, kv: KeyValue): void {
    const claim = this.claimOf(revision);
    if (claim === undefined) return;
    const known = claim.puts.get(kv.key);
    // What has a value says more; keys_only leaves it out.
    if (known === undefined || (known.value === '' && kv.value !== '')) claim.puts.set(kv.key, kv);
  }

  /** Undefined: an answered write made the revision, or it is out of bounds. */
  private claimOf(revision: number): Claim | undefined {
    if (revision <= this.base || revision > this.last || this.writes[revision - this.base] !== undefined)
      return undefined;
    let claim = this.claims.get(revision);
    if (claim === undefined) {
      claim = {
        puts: new Map(),
        deletes: new Set(),
        complete: undefined,
        operation: undefined,
        expired: undefined,
      };
      this.claims.set(revision, claim);
    }
    return claim;
  }
}

function append(map: Map<number, Operation[]>, revision: number, operation: Operation): void {
  const list = map.get(revision);
  if (list === undefined) map.set(revision, [operation]);
  else list.push(operation);
}
