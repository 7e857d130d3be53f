/**
 * Real time against revisions, in one sweep: what was told before a call must be covered by its answer (K1), no write may take a
 * revision that was known before it was asked for (K3), nothing may be told before it was asked for (W12), and no member goes
 * back while it lives (K3). Headers of compactions, keep-alives and the like are not of the moment: they tell, and are
 * not asked.
 */
import type { History, Operation } from '../history/record.ts';
import { operationText } from './describe.ts';
import { headerOf, isKeyRequest, isOrdered, type Filing } from './filing.ts';
import type { Findings } from './verdict.ts';

/** The greatest revision told before each place of a history. */
export class Told {
  private readonly history: History;
  private readonly greatest: Float64Array;

  constructor(history: History) {
    this.history = history;
    let places = 0;
    for (const { called, returned = 0 } of history.operations) places = Math.max(places, called, returned);
    for (const record of history.watches)
      places = Math.max(places, record.type === 'watch' ? record.called : record.seq);
    for (const { seq } of history.facts) places = Math.max(places, seq);
    this.greatest = new Float64Array(places + 2);
    for (const operation of history.operations) this.tell(operation.returned, headerOf(operation));
    for (const record of history.watches)
      if (record.type === 'watchResponse') this.tell(record.seq, record.revision);
    for (let place = 1; place < this.greatest.length; place++)
      this.greatest[place] = Math.max(this.greatest[place], this.greatest[place - 1]);
  }

  /** By anything that came before `place`. */
  before(place: number): number {
    return this.greatest[Math.min(place, this.greatest.length - 1)];
  }

  /** Who told a revision, or a later one, first; for reports. */
  witness(revision: number): string {
    let place = Infinity;
    let text = 'nobody';
    for (const operation of this.history.operations)
      if (headerOf(operation) >= revision && (operation.returned ?? Infinity) < place) {
        place = operation.returned ?? Infinity;
        text = operationText(operation);
      }
    for (const record of this.history.watches)
      if (record.type === 'watchResponse' && record.revision >= revision && record.seq < place) {
        place = record.seq;
        text = `watch ${record.watch ?? '(all)'} on stream ${record.stream} was told at ${record.seq}: revision ${record.revision}, ${record.events?.length ?? 0} events`;
      }
    return text;
  }

  /** Counts from the place after it was told. */
  private tell(place: number | undefined, revision: number): void {
    if (place !== undefined) this.greatest[place + 1] = Math.max(this.greatest[place + 1], revision);
  }
}

export function checkOrder(filing: Filing, told: Told, findings: Findings): void {
  const { operations } = filing.history;
  for (const operation of operations) {
    const revision = headerOf(operation);
    if (revision === 0 || !isOrdered(operation.request)) continue;
    const known = told.before(operation.called);
    const writes = filing.writeAt(revision) === operation;
    if (revision < known) reportOld(filing, told, findings, operation, known);
    else if (writes && revision === known)
      findings.report(
        'W12',
        `revision ${revision} was told at ${filing.seenAt(revision)}, before #${operation.id} asked for it at ${operation.called}`,
        () => [told.witness(revision), operationText(operation)],
        ['K1'],
      );
  }
  checkMembers(filing.history, findings);
}

function reportOld(
  filing: Filing,
  told: Told,
  findings: Findings,
  operation: Operation,
  known: number,
): void {
  const revision = headerOf(operation);
  const writes = filing.writeAt(revision) === operation;
  const crashed = filing.history.facts.some(
    ({ type, seq }) => type === 'crash' && seq < (operation.returned ?? Infinity),
  );
  const lost = filing.writeAt(known);
  findings.report(
    writes ? 'K3' : 'K1',
    `#${operation.id} was answered ${writes ? 'that it wrote' : ''} at revision ${revision}, and revision ${known} was told before it was called at ${operation.called}: ${writes ? 'a revision is used again' : 'a stale answer'}`,
    () => [
      told.witness(known),
      ...(lost === undefined ? [] : [`revision ${known} was made by ${operationText(lost)}`]),
      operationText(operation),
    ],
    crashed ? ['D1'] : [],
  );
}

/** Answers about keys of one member never go back between its start and its crash. */
function checkMembers(history: History, findings: Findings): void {
  interface Step {
    readonly place: number;
    readonly member: string;
    readonly operation?: Operation;
    readonly ends?: boolean;
    readonly revision: number;
  }
  const steps: Step[] = [];
  for (const operation of history.operations) {
    const { member, called, returned, request } = operation;
    const revision = headerOf(operation);
    if (member === undefined || returned === undefined || revision === 0 || !isKeyRequest(request)) continue;
    steps.push({ place: called, member, operation, revision });
    steps.push({ place: returned, member, operation, ends: true, revision });
  }
  const memberOf = new Map<number, string>();
  for (const record of history.watches) {
    if (record.type === 'watch' && record.member !== undefined) memberOf.set(record.stream, record.member);
    const member = record.type === 'watchResponse' ? memberOf.get(record.stream) : undefined;
    if (record.type === 'watchResponse' && member !== undefined)
      steps.push({ place: record.seq, member, revision: record.revision });
  }
  for (const fact of history.facts)
    if (fact.type === 'crash' || fact.type === 'start')
      steps.push({ place: fact.seq, member: fact.member, revision: 0 });
  steps.sort((a, b) => a.place - b.place);
  const newest = new Map<string, number>();
  const atCall = new Map<number, number>();
  const lives = new Map<string, Set<number>>();
  for (const { member, operation, ends, revision } of steps) {
    const running = lives.get(member) ?? new Set();
    lives.set(member, running);
    if (operation !== undefined && ends !== true) {
      atCall.set(operation.id, newest.get(member) ?? 0);
      running.add(operation.id);
    } else if (revision === 0) {
      newest.delete(member);
      for (const id of running) atCall.delete(id);
      running.clear();
    } else {
      newest.set(member, Math.max(newest.get(member) ?? 0, revision));
      const known = operation === undefined ? undefined : atCall.get(operation.id);
      if (operation === undefined) continue;
      atCall.delete(operation.id);
      running.delete(operation.id);
      if (known !== undefined && revision < known)
        findings.report(
          'K3',
          `member ${member} had told revision ${known}, and then answered #${operation.id} at ${revision}: it went back`,
          () => [operationText(operation)],
        );
    }
  }
}
