/**
 * The one door of the checker: a history in, a verdict out. It sorts, replays, and then asks each law.
 */
import type { History } from '../history/record.ts';
import { checkAuth, type AuthOptions } from './auth-laws.ts';
import { checkCompactions, Compactions } from './compaction-laws.ts';
import { Filing } from './filing.ts';
import { checkLeases } from './lease-laws.ts';
import { LeaseBook } from './lease-book.ts';
import { checkApplied, checkAvailability, checkHashes, checkMembership } from './member-laws.ts';
import { checkOrder, Told } from './order-laws.ts';
import { Replay, type ReplayLimits } from './replay.ts';
import { checkUnplaced } from './search.ts';
import { Findings, type Verdict } from './verdict.ts';
import { checkWatches } from './watch-laws.ts';
import { WatchWitness } from './watch-witness.ts';

export interface CheckOptions extends AuthOptions {
  /** Ways of explaining what nobody was answered for that are tried in all; beyond it the verdict is unknown. */
  readonly choicesMax?: number;
  /** Revisions replayed for such tries, in all. */
  readonly stepsMax?: number;
}

/** As many states as etcd's own tests allow at a time; here over all. */
const CHOICES_MAX = 4096;
/** About ten seconds. */
const STEPS_MAX = 5_000_000;

/**
 * Whether a history is one that a single store, doing one thing at a time, can have had, with etcd's promises about watches,
 * leases, members and permissions. Never throws on a wrong history: what is wrong is in the verdict.
 */
export function checkHistory(history: History, options: CheckOptions = {}): Verdict {
  const findings = new Findings();
  const missing = history.operations.findIndex((operation, index) => operation?.id !== index);
  if (missing >= 0) findings.notes.push(`operation ${missing} is missing: the history is not whole`);
  const filing = new Filing(history, findings);
  const leases = new LeaseBook(history);
  const { choicesMax = CHOICES_MAX, stepsMax = STEPS_MAX } = options;
  const { replay, openEnded } = replayed(filing, leases, findings, { choicesMax, stepsMax });
  const told = new Told(history);
  const compactions = new Compactions(history);
  checkOrder(filing, told, findings);
  checkCompactions(history, compactions, told, findings);
  checkWatches(history, replay, compactions, findings);
  checkLeases(filing, leases, replay, findings);
  checkApplied(history, replay, findings);
  checkHashes(history, findings);
  checkMembership(history, findings);
  checkAvailability(history, findings);
  checkAuth(filing, options, findings);
  const unplaced = checkUnplaced(filing, findings);
  // Without a violation there is an explanation, however it was found.
  const gaveUp = openEnded && findings.violations.length > 0;
  return findings.verdict(gaveUp || missing >= 0 || !unplaced);
}

/**
 * The replay that explains the history, leases' times and watches included; if there is none, the one without them, so that
 * what is wrong is told by the law it breaks.
 */
function replayed(
  filing: Filing,
  leases: LeaseBook,
  findings: Findings,
  limits: ReplayLimits,
): { readonly replay: Replay; readonly openEnded: boolean } {
  let openEnded = false;
  if (filing.hasGaps) {
    const found = new Findings();
    const strict = new Replay(filing, leases, found, limits, new WatchWitness(filing));
    if (strict.run()) {
      findings.takeCounts(found);
      return { replay: strict, openEnded };
    }
    openEnded = strict.gaveUp;
    findings.notes.push(...found.notes);
  }
  const replay = new Replay(filing, leases, findings, limits, undefined);
  replay.run();
  return { replay, openEnded: openEnded || replay.gaveUp };
}
