/**
 * What a node is told at birth: its id, its clock in ticks, its bounds. Options and their checks are
 * etcd-io/raft's; every default says why. This file never reads the environment.
 */
import type { LogStorage } from './log-storage.ts';
import { APPEND_THREAD, APPLY_THREAD, NONE, type NodeId } from './types.ts';

export type RaftLogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** Where log lines go. The core asks `enabled` first, so a silent level costs no formatting. */
export interface RaftLogger {
  enabled(level: RaftLogLevel): boolean;
  log(level: RaftLogLevel, message: string): void;
}

/** The one use of randomness: election timeouts. packages/base's Prng fits. */
export interface RandomSource {
  /** Uniform integer in [0, bound). */
  below(bound: number): number;
}

export const ReadOnlyOption = {
  /** A quorum confirms the leader for every batch of reads: safe under any clock. */
  Safe: 'safe',
  /** The leader trusts its lease: wrong when clocks drift or the process pauses. Needs checkQuorum. */
  LeaseBased: 'lease-based',
} as const;
export type ReadOnlyOption = (typeof ReadOnlyOption)[keyof typeof ReadOnlyOption];

/** Sizes are bytes; `Infinity` is "no limit"; ticks are calls of RawNode.tick(). */
export interface RaftConfig {
  /** Neither NONE nor a storage thread's pseudo id. */
  readonly id: NodeId;
  /** A follower campaigns after hearing nothing for a random time in [electionTick, 2·electionTick). */
  readonly electionTick: number;
  /** A leader's heartbeat interval; below electionTick, as a rule a tenth of it. */
  readonly heartbeatTick: number;
  readonly storage: LogStorage;
  /** Last index the state machine has already applied; never applied again. Default 0. */
  readonly applied?: number;
  /**
   * Default true: a Ready carries append and apply work whose responses are stepped when the work is
   * done. False: entries and committed entries are done by the time of advance().
   */
  readonly asyncStorageWrites?: boolean;
  /** Encoded entries a MsgApp carries at most; 0 means one entry each. Default unlimited. */
  readonly maxSizePerMsg?: number;
  /** Encoded committed entries being applied at a time. 0 or absent: maxSizePerMsg; and should that be 0, one entry. */
  readonly maxCommittedSizePerReady?: number;
  /** Payload proposed and not yet applied; beyond it proposals are dropped. 0 or absent: unlimited. */
  readonly maxUncommittedEntriesSize?: number;
  /** MsgApps in flight to one follower. Default 512, etcd's. */
  readonly maxInflightMsgs?: number;
  /** Bytes in flight to one follower, at least maxSizePerMsg. 0 or absent: unlimited. */
  readonly maxInflightBytes?: number;
  /** A leader that hears from no quorum for an election timeout steps down. */
  readonly checkQuorum?: boolean;
  /** Ask whether an election could be won before raising the term (thesis §9.6). */
  readonly preVote?: boolean;
  readonly readOnlyOption?: ReadOnlyOption;
  /** A follower drops proposals instead of passing them to the leader. */
  readonly disableProposalForwarding?: boolean;
  /** Let conf changes into the log that look invalid now; whoever applies them must then judge. */
  readonly disableConfChangeValidation?: boolean;
  /** A leader that is removed or demoted becomes a follower at once. */
  readonly stepDownOnRemoval?: boolean;
  readonly prng: RandomSource;
  readonly logger: RaftLogger;
}

/** Every option settled: what the core works with. */
export type SettledConfig = Required<RaftConfig>;

/** The configuration cannot work; the message names the option in etcd's words. */
export class RaftConfigError extends Error {
  override readonly name = 'RaftConfigError';
}

/** 512 messages, etcd's value: a 1 Gb/s link at 100 ms with 64 kB messages stays filled. */
const INFLIGHT_MESSAGES = 512;

/**
 * Fills in defaults and checks the whole.
 *
 * @throws RaftConfigError naming the first option that cannot work
 */
export function settleConfig(config: RaftConfig): SettledConfig {
  const maxSizePerMsg = config.maxSizePerMsg ?? Infinity;
  const settled: SettledConfig = {
    id: config.id,
    electionTick: config.electionTick,
    heartbeatTick: config.heartbeatTick,
    storage: config.storage,
    applied: config.applied ?? 0,
    asyncStorageWrites: config.asyncStorageWrites ?? true,
    maxSizePerMsg,
    // The bound is soft, it lets one entry through whatever its size; a bound of 0 would let none.
    maxCommittedSizePerReady: orWhenZero(config.maxCommittedSizePerReady, orWhenZero(maxSizePerMsg, 1)),
    maxUncommittedEntriesSize: orWhenZero(config.maxUncommittedEntriesSize, Infinity),
    maxInflightMsgs: config.maxInflightMsgs ?? INFLIGHT_MESSAGES,
    maxInflightBytes: orWhenZero(config.maxInflightBytes, Infinity),
    checkQuorum: config.checkQuorum ?? false,
    preVote: config.preVote ?? false,
    readOnlyOption: config.readOnlyOption ?? ReadOnlyOption.Safe,
    disableProposalForwarding: config.disableProposalForwarding ?? false,
    disableConfChangeValidation: config.disableConfChangeValidation ?? false,
    stepDownOnRemoval: config.stepDownOnRemoval ?? false,
    prng: config.prng,
    logger: config.logger,
  };
  validate(settled);
  return settled;
}

function orWhenZero(value: number | undefined, otherwise: number): number {
  return value === undefined || value === 0 ? otherwise : value;
}

function validate(config: SettledConfig): void {
  const refuse = (message: string): never => {
    throw new RaftConfigError(message);
  };
  if (config.id === NONE) refuse('cannot use none as id');
  if (config.id === APPEND_THREAD || config.id === APPLY_THREAD) refuse('cannot use local target as id');
  if (config.heartbeatTick <= 0) refuse('heartbeat tick must be greater than 0');
  if (config.electionTick <= config.heartbeatTick)
    refuse('election tick must be greater than heartbeat tick');
  if (config.maxInflightMsgs <= 0) refuse('max inflight messages must be greater than 0');
  if (config.maxInflightBytes < config.maxSizePerMsg && config.maxInflightBytes !== Infinity) {
    refuse('max inflight bytes must be >= max message size');
  }
  if (config.readOnlyOption === ReadOnlyOption.LeaseBased && !config.checkQuorum) {
    refuse('CheckQuorum must be enabled when ReadOnlyOption is ReadOnlyLeaseBased');
  }
}
