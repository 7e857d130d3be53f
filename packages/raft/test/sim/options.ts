/** What one seed decides before it runs: a random subset of the faults, and constants at their edges. */
import { Prng } from '@keelson/base';

export const FAULTS = [
  'drop',
  'duplicate',
  'delay',
  'partition',
  'crash',
  'pause',
  'slowDisk',
  'skew',
] as const;
export type Fault = (typeof FAULTS)[number];

export interface SimOptions {
  readonly seed: number;
  readonly events: number;
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
  readonly dropPercent: number;
  readonly duplicatePercent: number;
  readonly delayMax: number;
}

/** The same seed gives the same options; `without` takes fault kinds away and changes nothing else. */
export function optionsOf(seed: number, events: number, without: readonly Fault[] = []): SimOptions {
  const prng = new Prng(seed);
  const half = (): boolean => prng.chance(1, 2);
  const chosen = new Set<Fault>(FAULTS.filter(half));
  for (const fault of ['drop', 'crash', 'partition'] as const) if (chosen.size < 3) chosen.add(fault);
  for (const fault of without) chosen.delete(fault);
  const maxSizePerMsg = prng.pick([0, 32, 128, 1024, Infinity]);
  return {
    seed,
    events,
    voters: prng.between(1, 7),
    faults: chosen,
    async: prng.chance(3, 4),
    preVote: half(),
    checkQuorum: half(),
    stepDownOnRemoval: half(),
    disableProposalForwarding: prng.chance(1, 5),
    electionTick: prng.between(3, 15),
    maxSizePerMsg,
    maxCommittedSizePerReady: prng.pick([1, 64, 512, Infinity]),
    maxUncommittedEntriesSize: prng.pick([16, 256, Infinity, Infinity]),
    maxInflightMsgs: prng.pick([1, 2, 4, 256]),
    maxInflightBytes:
      maxSizePerMsg === Infinity ? Infinity : prng.pick([Math.max(maxSizePerMsg, 32), Infinity]),
    snapshotEvery: prng.between(1, 50),
    catchUp: prng.between(0, 20),
    dropPercent: prng.between(1, 30),
    duplicatePercent: prng.between(1, 50),
    delayMax: prng.pick([5, 20, 100]),
  };
}
