/**
 * The whole list. It covers rows 1 to 30 of the checklist of classic Raft bugs but for those which the core
 * cannot have:
 *
 *   19  a forwarded proposal is executed later: proposals carry no term by design; what makes a late one
 *       harmless (a revoke of a stale term) is the store's.
 *
 * Of three rows the core has only a part. 13: that a lagging learner is not promoted is the store's check;
 * here an update must not promote. 14: that ids are not given twice is the store's; here a returning id
 * must start from nothing. 28: here as far as MemoryStorage makes snapshots.
 */
import { ELECTIONS } from './elections.ts';
import { FLOW } from './flow.ts';
import { LOGS } from './logs.ts';
import { MEMBERSHIPS } from './memberships.ts';
import type { Mutant } from './mutant.ts';
import { PROMISES } from './promises.ts';
import { READS } from './reads.ts';

export const MUTANTS: readonly Mutant[] = [
  ...PROMISES,
  ...ELECTIONS,
  ...LOGS,
  ...MEMBERSHIPS,
  ...READS,
  ...FLOW,
];
