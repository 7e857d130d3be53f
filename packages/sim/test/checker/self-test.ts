/**
 * The checker's own test, of any size: small histories, true and false ones, judged by brute force and by both judges; and lies in
 * good histories, each of which must be found or be no lie.
 */
import { Prng } from '@keelson/base';
import type { History } from '../../src/history/record.ts';
import { checkHistory } from '../../src/checker/check-history.ts';
import { searchOrder } from '../../src/checker/search.ts';
import { verdictText } from '../../src/checker/verdict.ts';
import { explains } from './brute-force.ts';
import { goodHistory } from './good-history.ts';
import { KEY_CHANGES, mutate, WATCH_CHANGES } from './mutate.ts';

export interface AgreementReport {
  histories: number;
  legal: number;
  /** Texts of disagreements. */
  readonly wrong: string[];
}

/** Random histories of at most eight operations on two keys, most with a lie or two. */
export function agreement(seed: number, histories: number): AgreementReport {
  const report: AgreementReport = { histories: 0, legal: 0, wrong: [] };
  const prng = new Prng(seed);
  while (report.histories < histories) {
    const history = smallHistory(prng);
    report.histories++;
    const legal = explains(history);
    if (legal) report.legal++;
    const verdict = checkHistory(history);
    if ((verdict.kind === 'ok') !== legal || verdict.kind === 'unknown')
      report.wrong.push(
        `tier 1 says ${verdict.kind}, brute force ${legal}:\n${describe(history)}\n${verdictText(verdict)}`,
      );
    const searched = searchOrder(history.operations, {
      base: 1,
      kvs: [],
      masked: false,
      statesMax: 1_000_000,
    });
    if ((searched === 'ok') !== legal)
      report.wrong.push(`tier 2 says ${searched}, brute force ${legal}:\n${describe(history)}`);
  }
  return report;
}

function smallHistory(prng: Prng): History {
  let history = goodHistory({
    seed: prng.uint32(),
    operations: prng.between(3, 8),
    clients: prng.between(2, 4),
    keys: 2,
    unknownPercent: prng.pick([0, 20, 40]),
    watches: 0,
    leases: false,
    compactions: false,
    wide: prng.chance(1, 2),
  });
  // A member's going back is not a matter of order; without names nobody can tell.
  history = nameless(history);
  for (let lies = prng.below(5); lies > 0; lies--) {
    if (!history.operations.some(({ outcome }) => outcome.kind === 'ok')) break;
    history = mutate(history, prng, KEY_CHANGES)?.history ?? history;
  }
  return history;
}

/** Nobody knows which member answered. */
function nameless(history: History): History {
  const operations = history.operations.map((operation) => {
    const { member, ...rest } = operation;
    return member === undefined ? operation : rest;
  });
  return { ...history, operations };
}

function describe(history: History): string {
  return history.operations.map((operation) => JSON.stringify(operation)).join('\n');
}

export interface MutationReport {
  mutations: number;
  /** Accepted, and proven to be no lie. */
  equivalent: number;
  readonly byKind: Map<string, number>;
  readonly missed: string[];
}

/**
 * Lies in histories of some twenty operations.
 * A lie that is accepted must leave a history that is right: brute force says so for keys where it can. Of watches, a
 * duplicate or a gap in a history cannot be right, but what was before may be left out once it may have been compacted.
 */
export function mutations(seed: number, count: number): MutationReport {
  const report: MutationReport = { mutations: 0, equivalent: 0, byKind: new Map(), missed: [] };
  const prng = new Prng(seed);
  while (report.mutations < count) {
    const watches = prng.chance(1, 2);
    const good = watches
      ? goodHistory({
          seed: prng.uint32(),
          operations: 25,
          watches: 3,
          unknownPercent: 0,
          leases: false,
          compactions: prng.chance(1, 4),
        })
      : goodHistory({
          seed: prng.uint32(),
          operations: 8,
          clients: 3,
          keys: 2,
          watches: 0,
          leases: false,
          compactions: false,
          unknownPercent: 10,
        });
    const history = watches ? good : nameless(good);
    if (!history.operations.some(({ outcome }) => outcome.kind === 'ok')) continue;
    const mutation = mutate(history, prng, watches ? WATCH_CHANGES : KEY_CHANGES);
    if (mutation === undefined) continue;
    report.mutations++;
    const verdict = checkHistory(mutation.history);
    if (verdict.kind === 'broken') {
      for (const law of verdict.broken.keys()) report.byKind.set(law, (report.byKind.get(law) ?? 0) + 1);
      continue;
    }
    if (!watches && explains(mutation.history)) report.equivalent++;
    else
      report.missed.push(
        `${mutation.what}: ${verdict.kind}\n${describe(mutation.history)}\n${mutation.history.watches.map((record) => JSON.stringify(record)).join('\n')}`,
      );
  }
  return report;
}
