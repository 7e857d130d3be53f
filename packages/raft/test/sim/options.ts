/**
 * What one seed decides before it runs: a random subset of the faults, and constants at their edges. One
 * unit of time stands for 10 ms and a tick is 10 units, so a tick is etcd's 100 ms heartbeat.
 */
import { Prng } from '@keelson/base';
import { edgy, NETWORK_FAULTS, type NetworkConstants, type Plan, swarm } from '@keelson/sim';

export const UNIT_MS = 10;
/** Units of a tick on a clock that is right. */
export const TICK_UNITS = 10;

export const FAULTS = [
  ...NETWORK_FAULTS,
  'crash',
  'crashBetweenEffects',
  'crashInRecovery',
  'lostWrite',
  'pause',
  'slowDisk',
  'skew',
  'snapshotReport',
] as const;
export type Fault = (typeof FAULTS)[number];

const ALONE: readonly Fault[] = ['drop', 'duplicate', 'delay', 'crash', 'pause', 'slowDisk', 'skew'];

/** A seed needs so many kinds that really happened. */
export const KINDS_MIN = 3;

export interface SimOptions extends NetworkConstants {
  readonly seed: number;
  readonly events: number;
  /** A whole seed: goes on until it has had enough faults, changes and snapshots. */
  readonly whole: boolean;
  readonly voters: number;
  readonly faults: ReadonlySet<Fault>;
  readonly async: boolean;
  readonly preVote: boolean;
  readonly checkQuorum: boolean;
  readonly stepDownOnRemoval: boolean;
  readonly disableProposalForwarding: boolean;
  readonly electionTick: number;
  readonly maxSizePerMsg: number;
  readonly maxCommittedSizePerReady: number;
  readonly maxUncommittedEntriesSize: number;
  readonly maxInflightMsgs: number;
  readonly maxInflightBytes: number;
  /** A snapshot every so many applied entries, and how many entries stay behind it. */
  readonly snapshotEvery: number;
  readonly catchUp: number;
  /** Whether the state machine keeps its own state over a crash, as etcd's backend does. */
  readonly durableState: boolean;
  /** Units from one client's act to the next, at most. */
  readonly clientMax: number;
  /** Units an append may take on a healthy disk, less one. */
  readonly appendMax: number;
  readonly applyMax: number;
}

type Constants = Omit<SimOptions, 'seed' | 'events' | 'whole' | 'voters' | 'faults'>;

/** The values of a quiet cluster, which shrinking puts in the place of the seed's. */
const PLAIN: Constants = {
  async: true,
  preVote: false,
  checkQuorum: false,
  stepDownOnRemoval: false,
  disableProposalForwarding: false,
  electionTick: 10,
  maxSizePerMsg: Infinity,
  maxCommittedSizePerReady: Infinity,
  maxUncommittedEntriesSize: Infinity,
  maxInflightMsgs: 256,
  maxInflightBytes: Infinity,
  snapshotEvery: 20,
  catchUp: 5,
  durableState: false,
  clientMax: 15,
  appendMax: 4,
  applyMax: 6,
  dropPercent: 5,
  duplicatePercent: 5,
  delayMax: 20,
  stalePermille: 5,
};
export const CONSTANTS = Object.keys(PLAIN) as readonly (keyof Constants)[];

/** The same seed gives the same options; what a plan takes away changes nothing else. */
export function optionsOf(plan: Plan): SimOptions {
  const prng = new Prng(plan.seed);
  const half = (): boolean => prng.chance(1, 2);
  const without = FAULTS.filter((fault) => plan.without.includes(fault));
  const faults = swarm(prng, FAULTS, KINDS_MIN);
  // Some kinds happen only beside another; of those that happen by themselves there are enough.
  while (ALONE.filter((fault) => faults.has(fault)).length < KINDS_MIN) faults.add(prng.pick(ALONE));
  for (const fault of without) faults.delete(fault);
  const voters = prng.between(1, 7);
  const maxSizePerMsg = prng.pick([0, 32, 128, 1024, Infinity]);
  const chosen: Constants = {
    async: prng.chance(3, 4),
    preVote: half(),
    checkQuorum: half(),
    stepDownOnRemoval: half(),
    disableProposalForwarding: prng.chance(1, 5),
    electionTick: edgy(prng, 3, 15),
    maxSizePerMsg,
    maxCommittedSizePerReady: prng.pick([1, 64, 512, Infinity]),
    maxUncommittedEntriesSize: prng.pick([16, 256, Infinity, Infinity]),
    maxInflightMsgs: prng.pick([1, 2, 4, 256]),
    maxInflightBytes:
      maxSizePerMsg === Infinity ? Infinity : prng.pick([Math.max(maxSizePerMsg, 32), Infinity]),
    snapshotEvery: edgy(prng, 1, 50),
    catchUp: edgy(prng, 0, 20),
    durableState: half(),
    clientMax: prng.pick([3, 15, 15, 60]),
    appendMax: prng.pick([1, 4, 12]),
    applyMax: prng.pick([1, 6, 40]),
    dropPercent: edgy(prng, 1, 30),
    duplicatePercent: edgy(prng, 1, 50),
    delayMax: prng.pick([5, 20, 100]),
    stalePermille: edgy(prng, 1, 20),
  };
  const constants: Record<string, unknown> = { ...chosen };
  for (const name of CONSTANTS) if (plan.plain.includes(name)) constants[name] = PLAIN[name];
  const settled = constants as unknown as Constants;
  return {
    ...settled,
    // A round of votes must fit well into an election timeout, or nobody is ever elected.
    appendMax: Math.min(settled.appendMax, settled.electionTick),
    // What is in flight must have room for one message.
    maxInflightBytes: Math.max(settled.maxInflightBytes, settled.maxSizePerMsg),
    seed: plan.seed,
    events: plan.events,
    whole: plan.events >= 20_000 && plan.without.length === 0 && plan.plain.length === 0,
    voters,
    faults,
  };
}
