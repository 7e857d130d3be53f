/**
 * Which faults a round brings, and when: all of it follows from the seed and the number of the round, before anything
 * starts, so that a seed repeats the schedule (what happens in it depends on the machine's timing, and does not repeat).
 */
import { Prng } from '@keelson/base';

export const FAULT_KINDS = [
  'killOne',
  'killMajority',
  'killAll',
  'pause',
  'isolate',
  'cutOneWay',
  'bridge',
  'flap',
  'cutClients',
  'fullDisk',
  'slowSync',
  'failSync',
  'rot',
  'clockStep',
  'replace',
  'rollingRestart',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface FaultPlan {
  readonly kind: FaultKind;
  /** Whom it meets: the leader of that moment, or whoever the dice say. */
  readonly leader: boolean;
  readonly dice: number;
  /** How long it lasts, where that is the plan's to say. */
  readonly forMs: number;
}

export interface Episode {
  /** Faults over, until the next begin. */
  readonly afterMs: number;
  /** One, or two at once. */
  readonly faults: readonly FaultPlan[];
}

export interface RoundPlan {
  readonly seed: number;
  readonly round: number;
  readonly forMs: number;
  readonly episodes: readonly Episode[];
  readonly clients: number;
  readonly paceMs: number;
  readonly streams: number;
  readonly auth: boolean;
  readonly snapshotCount: number;
  readonly compactionBatch: number;
  readonly electionMs: number;
}

/** Those that end in a member on an empty disk need the others whole: nothing comes beside them. */
const ALONE: ReadonlySet<FaultKind> = new Set(['rot', 'replace']);
/** More than a round has room for: it ends when its time is over. */
const EPISODES = 16;

export function planRound(
  seed: number,
  round: number,
  kinds: readonly FaultKind[],
  seconds: number | undefined,
): RoundPlan {
  const prng = new Prng((seed * 7919 + round * 104_729) >>> 0);
  const pairs = prng.chance(1, 2);
  const forMs = (seconds ?? prng.between(30, 60)) * 1000;
  const episodes = Array.from({ length: EPISODES }, () => {
    const first = prng.pick(kinds);
    const others = kinds.filter((kind) => kind !== first && !ALONE.has(kind));
    const second = prng.pick(others.length === 0 ? kinds : others);
    const paired = pairs && !ALONE.has(first) && others.length > 0;
    const afterMs = prng.between(500, 3000);
    return { afterMs, faults: [fault(first, prng), ...(paired ? [fault(second, prng)] : [])] };
  });
  return {
    seed,
    round,
    forMs,
    episodes,
    clients: prng.between(8, 16),
    paceMs: prng.between(20, 60),
    streams: prng.between(4, 8),
    auth: prng.chance(1, 3),
    snapshotCount: prng.pick([50, 100, 300, 1000]),
    compactionBatch: prng.pick([10, 50, 1000]),
    electionMs: prng.pick([500, 1000, 1000, 2000]),
  };
}

function fault(kind: FaultKind, prng: Prng): FaultPlan {
  // Most are short, a few last: both a blink and a long absence have their bugs.
  const forMs = prng.chance(1, 4) ? prng.between(5000, 12_000) : prng.between(200, 4000);
  return { kind, leader: prng.chance(3, 5), dice: prng.uint32(), forMs };
}

export function describePlan(plan: RoundPlan): string {
  const { clients, paceMs, streams, auth, snapshotCount, compactionBatch, electionMs } = plan;
  return `${clients} clients every ${paceMs} ms, ${streams} streams${auth ? ', users and roles' : ''}; snapshot every ${snapshotCount}, compaction by ${compactionBatch}, election ${electionMs} ms`;
}
