/**
 * What one seed decides before it runs: a random subset of the faults, and constants at their edges ("buggify", 3a of
 * the plan of tests). One unit of time is a millisecond.
 */
import { Prng } from '@keelson/base';
import { edgy, NETWORK_FAULTS, type NetworkConstants, type Plan, swarm } from '@keelson/sim';

export const FAULTS = [
  ...NETWORK_FAULTS,
  'snapshotCut',
  'crash',
  'powerLoss',
  'crashBetweenEffects',
  'crashInRecovery',
  'blackout',
  'pause',
  'skew',
  'clockStep',
  'slowDisk',
  'syncError',
  'readError',
  'writeError',
  'diskFull',
  'bitRot',
  'misdirected',
  'backendRot',
  'wipe',
  'clientReset',
  'slowClient',
  'clientPartition',
] as const;
export type Fault = (typeof FAULTS)[number];

/** Who may do everything, where there are users. */
export const ROOT = 'root';

/** A seed needs so many kinds. */
export const KINDS_MIN = 3;

export interface SimOptions extends NetworkConstants {
  readonly seed: number;
  /** Simulated ms with faults. */
  readonly durationMs: number;
  readonly members: number;
  readonly faults: ReadonlySet<Fault>;
  /** Messages between members pass through the codec. */
  readonly throughCodec: boolean;
  readonly heartbeatMs: number;
  /** Of an election timeout. */
  readonly electionTicks: number;
  readonly preVote: boolean;
  /** A snapshot every so many applied entries, and how many entries stay behind it. */
  readonly snapshotEvery: number;
  readonly catchUp: number;
  readonly snapshotPieceBytes: number;
  readonly walSegmentBytes: number;
  readonly keepSegments: number;
  readonly messageBytes: number;
  readonly inflight: number;
  readonly applyGap: number;
  readonly backendBatchMs: number;
  readonly backendBatchOps: number;
  readonly compactionBatch: number;
  readonly watchWatchers: number;
  readonly watchRevisions: number;
  /** Of a hundred values so many are as large as may be. */
  readonly largePercent: number;
  readonly watchBytes: number;
  readonly watchFragmentBytes: number;
  readonly progressMs: number;
  readonly leaseBatch: number;
  readonly leaseCheckpointMs: number;
  /** Whether the leader tells the others what long leases have left, and whether that outlives it. */
  readonly leaseCheckpoints: 'off' | 'on' | 'persist';
  readonly quotaBytes: number;
  readonly txnOpsMax: number;
  readonly requestBytesMax: number;
  /** Longest of a sync on a healthy disk, ms. */
  readonly syncMax: number;
  /** Longest pause of a client between two requests, ms. */
  readonly thinkMax: number;
  readonly clients: number;
  readonly keys: number;
  readonly auth: boolean;
  /** Clocks that drift may be fast as well as slow: then a lease may end as much early. */
  readonly fastClocks: boolean;
  /** Mean ms between two faults of a machine. */
  readonly faultEvery: number;
}

type Constants = Omit<SimOptions, 'seed' | 'durationMs' | 'faults'>;

/** The values of a quiet cluster, which shrinking puts in the place of the seed's. */
const PLAIN: Constants = {
  members: 3,
  throughCodec: true,
  heartbeatMs: 100,
  electionTicks: 10,
  preVote: true,
  snapshotEvery: 1000,
  catchUp: 500,
  snapshotPieceBytes: 65_536,
  walSegmentBytes: 64 * 1024,
  keepSegments: 5,
  messageBytes: 1024 * 1024,
  inflight: 512,
  applyGap: 5000,
  backendBatchMs: 100,
  backendBatchOps: 10_000,
  compactionBatch: 1000,
  watchWatchers: 512,
  watchRevisions: 1000,
  largePercent: 1,
  watchBytes: 4 * 1024 * 1024,
  watchFragmentBytes: 2 * 1024 * 1024,
  progressMs: 10_000,
  leaseBatch: 500,
  leaseCheckpointMs: 300_000,
  leaseCheckpoints: 'off',
  quotaBytes: 0,
  txnOpsMax: 128,
  requestBytesMax: 1_572_864,
  syncMax: 4,
  thinkMax: 200,
  clients: 16,
  keys: 12,
  auth: false,
  fastClocks: false,
  faultEvery: 4000,
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
  const faults = swarm(prng, FAULTS, KINDS_MIN, without);
  const chosen: Constants = {
    members: prng.pick([1, 2, 3, 3, 3, 3, 4, 5]),
    throughCodec: prng.chance(1, 3),
    heartbeatMs: prng.pick([50, 100, 100, 200]),
    electionTicks: edgy(prng, 5, 15),
    preVote: prng.chance(3, 4),
    snapshotEvery: half() ? edgy(prng, 1, 50) : prng.between(50, 1000),
    catchUp: edgy(prng, 0, 20),
    snapshotPieceBytes: prng.pick([512, 4096, 65_536]),
    walSegmentBytes: edgy(prng, 4 * 1024, 64 * 1024),
    keepSegments: edgy(prng, 1, 5),
    messageBytes: prng.pick([64, 1024, 64 * 1024, 1024 * 1024]),
    inflight: prng.pick([1, 2, 4, 512]),
    applyGap: prng.pick([4, 100, 5000, 5000]),
    backendBatchMs: prng.pick([1, 20, 100, 1000]),
    backendBatchOps: prng.pick([1, 10, 10_000]),
    compactionBatch: prng.pick([1, 3, 10, 1000]),
    watchWatchers: prng.pick([1, 3, 512]),
    watchRevisions: prng.chance(1, 4) ? 1000 : edgy(prng, 1, 5),
    largePercent: prng.pick([1, 1, 1, 1, 1, 1, 1, 15]),
    watchBytes: prng.pick([1, 500, 4 * 1024 * 1024]),
    watchFragmentBytes: prng.pick([1, 300, 2 * 1024 * 1024]),
    progressMs: prng.pick([100, 1000, 10_000]),
    leaseBatch: prng.pick([1, 4, 500]),
    leaseCheckpointMs: prng.pick([1000, 5000, 300_000]),
    leaseCheckpoints: prng.pick(['off', 'on', 'persist'] as const),
    quotaBytes: prng.pick([0, 0, 64 * 1024, 256 * 1024]),
    txnOpsMax: prng.pick([4, 16, 128]),
    requestBytesMax: prng.pick([2048, 65_536, 1_572_864]),
    syncMax: prng.pick([1, 4, 12]),
    thinkMax: prng.pick([50, 200, 200, 1000]),
    clients: prng.pick([4, 8, 16]),
    keys: prng.pick([3, 12, 40]),
    auth: prng.chance(1, 3),
    fastClocks: prng.chance(1, 3),
    faultEvery: prng.pick([1000, 3000, 8000]),
    dropPercent: edgy(prng, 1, 30),
    duplicatePercent: edgy(prng, 1, 50),
    delayMax: prng.pick([20, 100, 300]),
    stalePermille: edgy(prng, 1, 20),
  };
  const constants: Record<string, unknown> = { ...chosen };
  for (const name of CONSTANTS) if (plan.plain.includes(name)) constants[name] = PLAIN[name];
  return {
    ...(constants as unknown as Constants),
    seed: plan.seed,
    durationMs: plan.events,
    faults,
  };
}
