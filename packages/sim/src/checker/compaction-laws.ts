/**
 * What compaction promises (K6), and refusals that need a reason (K5, K6, K8): a read below an answered compaction must fail, one
 * refused as compacted needs a compaction that can have done it, one refused as of the future a state that is older.
 */
import type { History, Operation } from '../history/record.ts';
import type { TxnOp } from '../history/request.ts';
import { operationText } from './describe.ts';
import { isKeyRequest, isLocal } from './filing.ts';
import type { Told } from './order-laws.ts';
import type { Findings } from './verdict.ts';

export class Compactions {
  /** Those that were not refused, by their calls. */
  private readonly asked: readonly Operation[];
  /** Of the answered ones: by the place of the answer, the greatest revision so far. */
  private readonly done: { readonly place: number; readonly revision: number }[] = [];
  private readonly beginning: number;

  constructor(history: History) {
    const isCompaction = ({ request }: Operation): boolean => request.kind === 'compact';
    this.beginning = history.beginning.compactRevision ?? -1;
    this.asked = history.operations.filter((each) => isCompaction(each) && each.outcome.kind !== 'refused');
    const answered = this.asked.filter(({ outcome }) => outcome.kind === 'ok');
    let greatest = this.beginning;
    for (const operation of answered.toSorted((a, b) => (a.returned ?? 0) - (b.returned ?? 0))) {
      greatest = Math.max(greatest, revisionOf(operation));
      this.done.push({ place: operation.returned ?? Infinity, revision: greatest });
    }
  }

  get all(): readonly Operation[] {
    return this.asked;
  }

  /** The store is compacted at least this far at `place`; -1: not at all. */
  certainBefore(place: number): number {
    let low = 0;
    let high = this.done.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.done[middle].place < place) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? this.beginning : this.done[low - 1].revision;
  }

  /** Whether a compaction that was asked for before `place` can have compacted below `revision`, or exactly there. */
  possible(revision: number, place: number): boolean {
    return (
      this.beginning > revision ||
      this.asked.some((each) => each.called < place && revisionOf(each) > revision)
    );
  }

  /** Whether one was asked for before `place` at just this revision. */
  askedAt(revision: number, place: number): boolean {
    return (
      this.beginning === revision ||
      this.asked.some((each) => each.called < place && revisionOf(each) === revision)
    );
  }
}

function revisionOf({ request }: Operation): number {
  return request.kind === 'compact' ? request.revision : -1;
}

/** Revisions that ranges of a request ask for, in all its branches. */
function* revisionsAsked(request: TxnOp): Generator<number> {
  if (request.kind === 'range' && (request.revision ?? 0) > 0) yield request.revision ?? 0;
  if (request.kind === 'txn')
    for (const op of [...(request.then ?? []), ...(request.else ?? [])]) yield* revisionsAsked(op);
}

export function checkCompactions(
  history: History,
  compactions: Compactions,
  told: Told,
  findings: Findings,
): void {
  for (const operation of history.operations) {
    const { request, outcome, called, returned = Infinity } = operation;
    if (request.kind === 'compact') checkCompaction(operation, compactions, findings);
    if (!isKeyRequest(request)) continue;
    const asked = [...revisionsAsked(request)];
    if (asked.length === 0) continue;
    if (outcome.kind === 'ok') {
      // A local read may be of a member that has not compacted yet; in a transaction the branch not taken asks nothing.
      const certain = compactions.certainBefore(called);
      if (request.kind === 'range' && !isLocal(request) && asked[0] < certain)
        findings.report(
          'K6',
          `#${operation.id} read revision ${asked[0]}, which had been compacted at ${certain} before it was called`,
          () => [operationText(operation)],
        );
    } else if (outcome.kind === 'refused' && outcome.text.includes('has been compacted')) {
      if (!asked.some((revision) => compactions.possible(revision, returned)))
        findings.report(
          'K6',
          `#${operation.id} was refused as compacted, and nobody had compacted above ${Math.min(...asked)}`,
          () => [operationText(operation)],
        );
    } else if (
      outcome.kind === 'refused' &&
      outcome.text.includes('is a future revision') &&
      !isLocal(request)
    ) {
      const known = told.before(called);
      if (!asked.some((revision) => revision > known))
        findings.report(
          'K5',
          `#${operation.id} was refused as of the future, and revision ${known} was told before it was called`,
          () => [operationText(operation), told.witness(known)],
        );
    }
  }
}

function checkCompaction(operation: Operation, compactions: Compactions, findings: Findings): void {
  const { outcome, called } = operation;
  const revision = revisionOf(operation);
  if (outcome.kind !== 'ok') return;
  const certain = compactions.certainBefore(called);
  if (revision <= certain)
    findings.report(
      'K6',
      `#${operation.id} compacted at ${revision}, where ${certain} was compacted before`,
      () => [operationText(operation)],
    );
}
