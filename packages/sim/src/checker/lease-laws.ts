/**
 * Leases (E1–E4, E7): none may be seen to be over before its time, by the recorder's one clock and without slack; none may be
 * kept alive after its end was seen; and where the history says when leaders changed, none may live on much too long.
 */
import type { Fact, History, Operation } from '../history/record.ts';
import type { LeaseId } from '../history/request.ts';
import { operationText } from './describe.ts';
import { headerOf, isKeyResponse, isLocal, isKeyRequest, type Filing } from './filing.ts';
import { leaseOf } from './key-space.ts';
import type { LeaseBook, LeaseRecord } from './lease-book.ts';
import type { Replay } from './replay.ts';
import type { Findings } from './verdict.ts';

/** A client has seen that a lease is over. */
interface End {
  readonly lease: LeaseId;
  readonly place: number;
  readonly ms: number;
  readonly what: () => string;
}

/** After its time, how long an expired lease may be there (E2), beside an election. */
const LATE_MS = 2000;

export function checkLeases(filing: Filing, book: LeaseBook, replay: Replay, findings: Findings): void {
  findings.count('leases', book.leases.size);
  const ends = new Map<LeaseId, End>();
  for (const end of endsSeen(filing, replay)) {
    const { lease, place, ms, what } = end;
    const known = ends.get(lease);
    if (known === undefined || place < known.place) ends.set(lease, end);
    const record = book.leases.get(lease);
    if (record === undefined || book.revokeAsked(lease, place)) continue;
    const untilMs = book.livesUntilMs(lease, place);
    if (ms < untilMs)
      findings.report(
        'E1',
        `lease ${lease} of ${record.ttlMs} ms was over at least ${(untilMs - ms).toFixed(1)} ms early: ${what()}`,
        () => [
          ...renewalsBefore(record, place).map(operationText),
          ...replay.around(replay.endOf(lease) ?? 0),
        ],
      );
  }
  for (const record of book.leases.values()) {
    const end = ends.get(record.id);
    if (end === undefined) continue;
    for (const { operation } of record.renewals)
      if (operation.called > end.place && operation !== record.grant)
        findings.report(
          'E4',
          `lease ${record.id} was kept alive by #${operation.id}, called at ${operation.called}, and was seen to be over at ${end.place}: ${end.what()}`,
          () => [operationText(operation)],
        );
  }
  checkTimes(filing.history, book, ends, findings);
  checkLate(filing, book, replay, findings);
  countExpiries(filing, book, replay, findings);
}

/** Leases that ran out with keys, and those of them that another leader ended than the one that granted them. */
function countExpiries(filing: Filing, book: LeaseBook, replay: Replay, findings: Findings): void {
  const { facts } = filing.history;
  const elections = facts.filter((fact) => fact.type === 'leader').map((fact) => fact.seq);
  for (const fact of facts) {
    if (fact.type !== 'applied') continue;
    const origin = replay.originOf(fact.revision);
    if (origin.kind !== 'expired') continue;
    findings.count('leases expired with keys');
    const granted = book.leases.get(origin.lease)?.grant?.returned ?? Infinity;
    if (elections.some((seq) => seq > granted && seq < fact.seq))
      findings.count('leases ended by a later leader');
  }
}

function renewalsBefore({ renewals }: LeaseRecord, place: number): Operation[] {
  return renewals
    .map(({ operation }) => operation)
    .filter(({ called }) => called < place)
    .slice(-2);
}

/** Every sign that a lease is over: its keys gone at a revision, or an answer that says so. */
function* endsSeen(filing: Filing, replay: Replay): Generator<End> {
  for (let revision = filing.base + 1; revision <= filing.last; revision++) {
    const origin = replay.originOf(revision);
    if (origin.kind === 'expired' && filing.seenAt(revision) < Infinity)
      yield {
        lease: origin.lease,
        place: filing.seenAt(revision),
        ms: filing.seenMsAt(revision),
        what: () => `revision ${revision}, told at ${filing.seenAt(revision)}, ended it`,
      };
  }
  for (const operation of filing.history.operations) {
    const { request, outcome, returned, returnMs } = operation;
    if (returned === undefined || returnMs === undefined) continue;
    const lease = leaseSaidOver(operation);
    if (lease !== undefined)
      yield { lease, place: returned, ms: returnMs, what: () => operationText(operation) };
    else if (request.kind === 'leaseRevoke' && outcome.kind === 'ok')
      yield { lease: request.id, place: returned, ms: returnMs, what: () => operationText(operation) };
  }
}

function leaseSaidOver({ request, outcome }: Operation): LeaseId | undefined {
  if (outcome.kind === 'ok') {
    const { response } = outcome;
    if (request.kind === 'leaseTimeToLive' && response.kind === 'leaseTimeToLive' && response.ttl < 0)
      return request.id;
    if (request.kind === 'leaseKeepAlive' && response.kind === 'leaseKeepAlive' && (response.ttl ?? 0) <= 0)
      return request.id;
    return undefined;
  }
  if (outcome.kind !== 'refused' || !outcome.text.includes('requested lease not found')) return undefined;
  if (request.kind === 'leaseRevoke') return request.id;
  return request.kind === 'put' ? leaseOf(request) : undefined;
}

function checkTimes(
  history: History,
  book: LeaseBook,
  ends: ReadonlyMap<LeaseId, End>,
  findings: Findings,
): void {
  for (const operation of history.operations) {
    const { request, outcome, called } = operation;
    if (
      request.kind !== 'leaseTimeToLive' ||
      outcome.kind !== 'ok' ||
      outcome.response.kind !== 'leaseTimeToLive'
    )
      continue;
    const { ttl, grantedTtl } = outcome.response;
    const record = book.leases.get(request.id);
    if (record === undefined || ttl < 0) continue;
    if (grantedTtl !== undefined && grantedTtl * 1000 !== record.ttlMs)
      findings.report(
        'E7',
        `lease ${request.id} was granted ${record.ttlMs / 1000} s, and is told to have been granted ${grantedTtl} s`,
        () => [operationText(operation)],
      );
    const end = ends.get(request.id);
    // With no time left it may be there until its end is applied.
    if (ttl > 0 && end !== undefined && end.place < called)
      findings.report(
        'E4',
        `lease ${request.id} is told to live ${ttl} s, and was seen to be over at ${end.place}: ${end.what()}`,
        () => [operationText(operation)],
      );
  }
}

/** Keys of a lease whose time was over long ago, told by a read of the newest state. */
function checkLate(filing: Filing, book: LeaseBook, replay: Replay, findings: Findings): void {
  const { beginning, facts, operations } = filing.history;
  const { electionTimeoutMs } = beginning;
  if (electionTimeoutMs === undefined) return;
  const told = new Set<LeaseId>();
  const troubles = troublesOf(facts, electionTimeoutMs);
  // A keep-alive without an answer may have been one.
  const doubtful = new Map<LeaseId, number>();
  for (const { request, outcome, called } of operations)
    if (request.kind === 'leaseKeepAlive' && outcome.kind === 'unknown' && !doubtful.has(request.id))
      doubtful.set(request.id, called);
  for (const operation of operations) {
    const { request, outcome, called, callMs } = operation;
    if (outcome.kind !== 'ok' || !isKeyRequest(request) || !isKeyResponse(outcome.response)) continue;
    if (
      request.kind !== 'range' ||
      isLocal(request) ||
      (request.revision ?? 0) > 0 ||
      outcome.response.kind !== 'range'
    )
      continue;
    for (const kv of outcome.response.kvs ?? []) {
      const id = leaseOf(kv);
      const record = id === undefined ? undefined : book.leases.get(id);
      if (id === undefined || record === undefined || record.grant === undefined || told.has(id)) continue;
      const lastMs = lastRenewalMs(record);
      if (callMs <= lastMs + record.ttlMs) continue;
      const unanswered = (doubtful.get(id) ?? Infinity) < called;
      const since = facts.filter(({ ms }) => ms >= lastMs - record.ttlMs && ms <= callMs);
      // Faults may keep a cluster from ending leases at all; the law speaks of a leader that stays.
      const disturbed = troubles.some(
        ({ fromMs, toMs }) => fromMs <= callMs && toMs >= lastMs - record.ttlMs,
      );
      const leaders = since.filter(({ type }) => type === 'leader').length;
      const allowedMs = lastMs + record.ttlMs * (1 + leaders) + electionTimeoutMs * (1 + leaders) + LATE_MS;
      if (unanswered || disturbed || callMs <= allowedMs) continue;
      told.add(id);
      findings.report(
        'E2',
        `lease ${id} of ${record.ttlMs} ms was renewed last before ${lastMs.toFixed(0)} ms, and at ${callMs.toFixed(0)} ms its key is there at revision ${headerOf(operation)}: ${(callMs - allowedMs).toFixed(0)} ms too long`,
        () => [operationText(operation), ...replay.around(kv.mod)],
      );
    }
  }
}

function lastRenewalMs({ grant, renewals }: LeaseRecord): number {
  let lastMs = grant?.returnMs ?? Infinity;
  for (const { operation } of renewals) lastMs = Math.max(lastMs, operation.returnMs ?? Infinity);
  return lastMs;
}

/** Elections that a cluster may need after a fault. */
const ELECTIONS = 5;

/** From when to when something was wrong, the time to recover included. What nobody heals lasts until all is settled. */
function troublesOf(
  facts: readonly Fact[],
  electionTimeoutMs: number,
): readonly { readonly fromMs: number; readonly toMs: number }[] {
  return facts.flatMap((fact) => {
    if (fact.type !== 'crash' && fact.type !== 'start' && fact.type !== 'fault') return [];
    if (fact.type === 'fault' && fact.heals === true) {
      const begun = facts.some(
        (other) =>
          other.type === 'fault' && other.heals !== true && other.name === fact.name && other.seq < fact.seq,
      );
      // What is healed and never began was there all the time.
      return [{ fromMs: begun ? fact.ms : -Infinity, toMs: fact.ms + ELECTIONS * electionTimeoutMs }];
    }
    const end = facts.find((later) => {
      if (later.seq < fact.seq) return false;
      if (later.type === 'settled' || fact.type === 'start') return true;
      if (fact.type === 'crash') return later.type === 'start' && later.member === fact.member;
      return later.type === 'fault' && later.heals === true && later.name === fact.name;
    });
    return [{ fromMs: fact.ms, toMs: (end?.ms ?? Infinity) + ELECTIONS * electionTimeoutMs }];
  });
}
