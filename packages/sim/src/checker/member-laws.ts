/**
 * Members against each other and against the membership: equal hashes of equal keys (K9), no answer of the whole cluster from one
 * that was removed (M2) or only learns (M3), one revision the same on all (K3), and writes that go on in time (L1).
 */
import type { History, Operation, WatchEvent } from '../history/record.ts';
import { sameKv } from './answer.ts';
import { eventText, operationText } from './describe.ts';
import { isKeyResponse, isOrdered, changed } from './filing.ts';
import type { Replay } from './replay.ts';
import type { Findings } from './verdict.ts';

export function checkHashes(history: History, findings: Findings): void {
  const known = new Map<string, { readonly hash: number; readonly who: string }>();
  const take = (revision: number, compactRevision: number, hash: number, who: string): void => {
    findings.count('hashes');
    const at = `${revision} ${compactRevision}`;
    const other = known.get(at);
    if (other === undefined) known.set(at, { hash, who });
    else if (other.hash !== hash)
      findings.report(
        'K9',
        `the hash at revision ${revision}, compacted at ${compactRevision}, is ${hash} by ${who} and ${other.hash} by ${other.who}`,
      );
  };
  for (const fact of history.facts)
    if (fact.type === 'hash') take(fact.revision, fact.compactRevision, fact.hash, fact.member);
  for (const { outcome, member = 'a member', id } of history.operations) {
    if (outcome.kind !== 'ok' || outcome.response.kind !== 'hashKv') continue;
    const { hashRevision, compactRevision, hash } = outcome.response;
    take(hashRevision, compactRevision, hash, `${member} (#${id})`);
  }
}

/** What members applied must be what the answers say, and the same on all. */
export function checkApplied(history: History, replay: Replay, findings: Findings): void {
  const { space } = replay;
  for (const fact of history.facts) {
    if (fact.type !== 'applied' || fact.revision <= space.base || fact.revision > space.revision) continue;
    findings.count('applied revisions');
    const truth = space.eventsAt(fact.revision);
    const same =
      truth.length === fact.events.length &&
      truth.every((event, index) => sameChange(event, fact.events[index]));
    if (!same)
      findings.report(
        'K3',
        `member ${fact.member ?? '(one)'} applied revision ${fact.revision} as ${textOf(fact.events)}, expected ${textOf(truth)}`,
        () => replay.around(fact.revision - 1, fact.revision, fact.revision + 1),
      );
  }
}

function textOf(events: readonly WatchEvent[]): string {
  return events.length === 0 ? 'nothing' : events.slice(0, 4).map(eventText).join('; ');
}

function sameChange(a: WatchEvent, b: WatchEvent): boolean {
  return a.kind === b.kind && a.kv.key === b.kv.key && (a.kind === 'delete' || sameKv(a.kv, b.kv));
}

const FOR_LEARNERS_NOT = 'etcdserver: rpc not supported for learner';

/**
 * What tells that a member which only learns knows it, in the life it has then. Before it has applied its own addition it cannot:
 * what it is asked until then it asks the leader, and answers once it has caught up, as etcd does.
 */
class Learning {
  /** By member: places of starts, and of signs that it knew. */
  private readonly starts = new Map<string, number[]>();
  private readonly signs = new Map<string, number[]>();

  constructor(history: History) {
    for (const fact of history.facts)
      if (fact.type === 'start') add(this.starts, fact.member, fact.seq);
      else if (fact.type === 'learns') add(this.signs, fact.member, fact.seq);
    for (const { outcome, member, returned } of history.operations)
      if (outcome.kind === 'refused' && outcome.text === FOR_LEARNERS_NOT && member !== undefined)
        add(this.signs, member, returned ?? Infinity);
  }

  /** Whether the member knew at `place` that it learns. */
  knew(member: string, place: number): boolean {
    const born = Math.max(-1, ...(this.starts.get(member) ?? []).filter((start) => start < place));
    return (this.signs.get(member) ?? []).some((sign) => born < sign && sign < place);
  }
}

function add(places: Map<string, number[]>, member: string, place: number): void {
  const known = places.get(member);
  if (known === undefined) places.set(member, [place]);
  else known.push(place);
}

export function checkMembership(history: History, findings: Findings): void {
  const learning = new Learning(history);
  const removed = new Map<string, Operation>();
  const learners = new Map<string, { readonly added: Operation; promoteAsked: number }>();
  for (const operation of history.operations) {
    const { request, outcome } = operation;
    if (request.kind === 'memberRemove' && outcome.kind === 'ok') removed.set(request.member, operation);
    // Added again under its name, it is another.
    if (request.kind === 'memberAdd' && outcome.kind !== 'refused') removed.delete(request.member);
    if (request.kind === 'memberAdd' && request.learner === true && outcome.kind === 'ok')
      learners.set(request.member, { added: operation, promoteAsked: Infinity });
    if (request.kind === 'memberPromote' && outcome.kind !== 'refused') {
      const learner = learners.get(request.member);
      if (learner !== undefined) learner.promoteAsked = Math.min(learner.promoteAsked, operation.called);
    }
  }
  for (const operation of history.operations) {
    const { request, outcome, member, called, returned = Infinity } = operation;
    if (outcome.kind !== 'ok' || member === undefined || !isOrdered(request)) continue;
    const removal = removed.get(member);
    if (removal !== undefined && called > (removal.returned ?? Infinity))
      findings.report('M2', `member ${member} had been removed, and answered for the cluster`, () => [
        operationText(removal),
        operationText(operation),
      ]);
    const learner = learners.get(member);
    if (
      learner !== undefined &&
      called > (learner.added.returned ?? Infinity) &&
      returned < learner.promoteAsked &&
      learning.knew(member, called)
    )
      findings.report('M3', `member ${member} only learns, and answered for the cluster`, () => [
        operationText(learner.added),
        operationText(operation),
      ]);
  }
}

/** After a fault that promises it, a write is acknowledged in time. */
export function checkAvailability(history: History, findings: Findings): void {
  const promises = history.facts.filter((fact) => fact.type === 'fault' && fact.writesWithinMs !== undefined);
  if (promises.length === 0) return;
  const acknowledged = history.operations
    .filter(
      ({ outcome }) => outcome.kind === 'ok' && isKeyResponse(outcome.response) && changed(outcome.response),
    )
    .toSorted((a, b) => (a.returned ?? 0) - (b.returned ?? 0));
  let endMs = 0;
  for (const { callMs, returnMs = 0 } of history.operations) endMs = Math.max(endMs, callMs, returnMs);
  for (const fact of promises) {
    if (fact.type !== 'fault' || fact.writesWithinMs === undefined) continue;
    const first = acknowledged.find(({ called }) => called > fact.seq);
    const tookMs = (first?.returnMs ?? endMs) - fact.ms;
    findings.count('promises of writes');
    // A history that ends before the time is over has not broken it.
    if (tookMs > fact.writesWithinMs)
      findings.report(
        'L1',
        `no write was acknowledged within ${fact.writesWithinMs} ms of ${fact.name}; the first took ${first === undefined ? 'for ever' : `${tookMs.toFixed(0)} ms`}`,
        () => (first === undefined ? [] : [operationText(first)]),
      );
  }
}
