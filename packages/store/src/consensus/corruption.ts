/**
 * Whether the members' data is still the same: hashes are compared with the peers', at the start, every so
 * often, and for what compactions hashed on their way. A mismatch raises the CORRUPT alarm, after which
 * nothing is served. Modelled on etcd's corrupt.go (3.6), its log lines included. It reads and asks; the
 * alarm goes through the log like any other.
 */
import { hexId, toError, type Logger } from '@keelson/base';
import { formatGoDuration } from '../config/go-values.ts';
import { FatalError } from '../errors.ts';
import type { HashResult } from '../mvcc/hash.ts';
import type { Schedule } from './schedule.ts';

/** Why a peer gave no hash. */
export type PeerHashFailure = 'COMPACTED' | 'FUTURE' | 'CLUSTER_ID' | 'UNKNOWN';

export interface PeerHash {
  readonly id: bigint;
  readonly endpoints: readonly string[];
  /** Undefined when no URL of the peer gave one. */
  readonly answer: PeerHashAnswer | undefined;
  readonly failure?: PeerHashFailure;
}

export interface PeerHashAnswer {
  readonly hash: number;
  readonly compactRevision: number;
  /** The peer's own revision when it answered. */
  readonly currentRevision: number;
}

/** The member under check and its surroundings. */
export interface Checked {
  readonly memberId: bigint;
  readonly isLeader: boolean;
  readonly requestTimeoutMs: number;
  /** @throws when the data cannot be read */
  hash(revision: number): Promise<HashResult>;
  compactionHashes(): readonly HashResult[];
  /** Every other member's, in any order; never rejects. */
  peerHashes(revision: number): Promise<readonly PeerHash[]>;
  linearizable(): Promise<void>;
  /** @param memberId 0 when nobody knows who is wrong */
  raiseCorrupt(memberId: bigint): void;
}

export class CorruptionChecks {
  private readonly member: Checked;
  private readonly schedule: Schedule;
  private readonly logger: Logger;
  /** Newest compaction every member was found equal at. */
  private checkedRevision = 0;

  constructor(member: Checked, schedule: Schedule, logger: Logger) {
    this.member = member;
    this.schedule = schedule;
    this.logger = logger;
  }

  /**
   * Before anything is served: our data against each peer that answers.
   * @throws FatalError when a peer at the same compaction has another hash
   */
  async initial(): Promise<void> {
    const { member, logger } = this;
    const self = hexId(member.memberId);
    logger.info('starting initial corruption check', {
      'local-member-id': self,
      timeout: formatGoDuration(member.requestTimeoutMs),
    });
    const local = await member.hash(0);
    let mismatches = 0;
    for (const peer of await member.peerHashes(local.hashRevision)) {
      const fields = {
        'local-member-id': self,
        'local-member-revision': local.hashRevision,
        'local-member-compact-revision': local.compactRevision,
        'local-member-hash': local.hash,
        'remote-peer-id': hexId(peer.id),
        'remote-peer-endpoints': peer.endpoints,
      };
      const { answer } = peer;
      if (answer === undefined) {
        const text = peer.failure === undefined ? undefined : FAILURE_TEXTS[peer.failure];
        if (text !== undefined) logger.warn(text, fields);
      } else if (answer.hash !== local.hash) {
        const same = answer.compactRevision === local.compactRevision;
        if (same) mismatches++;
        logger.warn(`found different ${same ? 'hash' : 'compact revision'} values from remote peer`, {
          ...fields,
          'remote-peer-revision': answer.currentRevision,
          'remote-peer-compact-revision': answer.compactRevision,
          'remote-peer-hash': answer.hash,
        });
      }
    }
    if (mismatches > 0) throw new FatalError(`${self} found data inconsistency with peers`);
    logger.info('initial corruption checking passed; no corruption', { 'local-member-id': self });
  }

  /** The leader's comparison of current data, every `intervalMs` until the schedule stops. Never rejects. */
  async runPeriodic(intervalMs: number): Promise<void> {
    this.logger.info('enabled corruption checking', {
      'local-member-id': hexId(this.member.memberId),
      interval: formatGoDuration(intervalMs),
    });
    await this.repeat(intervalMs, 'failed to check hash KV', () => this.periodic());
  }

  /** The leader's comparison of what compactions hashed, every `intervalMs`. Never rejects. */
  async runCompactHash(intervalMs: number): Promise<void> {
    this.logger.info('enabled compact hash checking', {
      'local-member-id': hexId(this.member.memberId),
      interval: formatGoDuration(intervalMs),
    });
    await this.repeat(intervalMs, 'failed to check compact hash', () => this.compactHash());
  }

  private async repeat(intervalMs: number, failure: string, check: () => Promise<void>): Promise<void> {
    while (!this.schedule.stopped) {
      await this.schedule.delay(intervalMs);
      if (this.schedule.stopped || !this.member.isLeader) continue;
      try {
        await check();
      } catch (error) {
        this.logger.warn(failure, { error: toError(error).message });
      }
    }
  }

  /** @throws when our own data cannot be read or leadership cannot be confirmed: nothing was found out */
  async periodic(): Promise<void> {
    const { member, logger } = this;
    const before = await member.hash(0);
    const peers = await member.peerHashes(before.hashRevision);
    await member.linearizable();
    const after = await member.hash(0);
    let alarmed = false;
    const mismatch = (id: bigint): void => {
      if (!alarmed) member.raiseCorrupt(id);
      alarmed = true;
    };
    const untouched =
      after.hashRevision === before.hashRevision && after.compactRevision === before.compactRevision;
    if (untouched && after.hash !== before.hash) {
      logger.warn('found hash mismatch', {
        'revision-1': before.hashRevision,
        'compact-revision-1': before.compactRevision,
        'hash-1': before.hash,
        'revision-2': after.hashRevision,
        'compact-revision-2': after.compactRevision,
        'hash-2': after.hash,
      });
      mismatch(member.memberId);
    }
    let checked = 0;
    for (const { id, answer } of peers) {
      if (answer === undefined) continue;
      checked++;
      const peer = { 'follower-peer-id': hexId(id) };
      if (answer.currentRevision > after.currentRevision) {
        logger.warn("revision from follower must be less than or equal to leader's", {
          'leader-revision': after.currentRevision,
          'follower-revision': answer.currentRevision,
          ...peer,
        });
        mismatch(id);
      }
      if (answer.compactRevision > after.compactRevision) {
        logger.warn("compact revision from follower must be less than or equal to leader's", {
          'leader-compact-revision': after.compactRevision,
          'follower-compact-revision': answer.compactRevision,
          ...peer,
        });
        mismatch(id);
      }
      if (answer.compactRevision === before.compactRevision && answer.hash !== before.hash) {
        logger.warn('same compact revision then hashes must match', {
          'leader-compact-revision': after.compactRevision,
          'leader-hash': before.hash,
          'follower-compact-revision': answer.compactRevision,
          'follower-hash': answer.hash,
          ...peer,
        });
        mismatch(id);
      }
    }
    logger.info('finished peer corruption check', { 'number-of-peers-checked': checked });
  }

  /** Newest compaction first, until one is found that every member has a hash of, or one that differs. */
  async compactHash(): Promise<void> {
    const { member, logger } = this;
    const unchecked = member
      .compactionHashes()
      .filter(({ hashRevision }) => hashRevision > this.checkedRevision)
      .toReversed();
    logger.info('starting compact hash check', {
      'local-member-id': hexId(member.memberId),
      timeout: formatGoDuration(member.requestTimeoutMs),
    });
    let asked = 0;
    for (const hash of unchecked) {
      asked++;
      const peers = await member.peerHashes(hash.hashRevision);
      if (peers.length > 0 && this.settles(hash, peers)) break;
    }
    logger.info('finished compaction hash check', { 'number-of-hashes-checked': asked });
  }

  /** Whether older compactions need no look: all members are equal here, or an alarm was raised. */
  private settles(own: HashResult, peers: readonly PeerHash[]): boolean {
    const { member, logger } = this;
    const leader = hexId(member.memberId);
    const holders = new Map<number, bigint[]>([[own.hash, [member.memberId]]]);
    let checked = 0;
    for (const { id, answer } of peers) {
      if (answer === undefined || answer.compactRevision !== own.compactRevision) {
        logger.warn("Skipped peer's hash", {
          'number-of-peers': peers.length,
          'leader-id': leader,
          'peer-id': hexId(id),
          reason:
            answer === undefined
              ? 'no response'
              : `the peer's CompactRevision ${answer.compactRevision} doesn't match leader's CompactRevision ${own.compactRevision}`,
        });
        continue;
      }
      checked++;
      holders.set(answer.hash, [...(holders.get(answer.hash) ?? []), id]);
    }
    const at = {
      'leader-revision': own.hashRevision,
      'leader-compact-revision': own.compactRevision,
      'leader-hash': own.hash,
    };
    if (holders.size === 1) {
      if (checked === peers.length) {
        logger.info('successfully checked hash on whole cluster', {
          'number-of-peers-checked': checked,
          revision: own.hashRevision,
        });
        this.checkedRevision = Math.max(this.checkedRevision, own.hashRevision);
        return true;
      }
      logger.warn('checked hash in peers but not in whole cluster', {
        'number-of-peers-checked': checked,
        'number-of-peers': peers.length,
        revision: own.hashRevision,
      });
      return false;
    }
    // With a majority that agrees the others are wrong; without one nobody can tell.
    const quorum = Math.floor((peers.length + 1) / 2) + 1;
    const right = [...holders].find(([, ids]) => ids.length >= quorum);
    if (right === undefined) {
      logger.error(
        'Detected compaction hash mismatch but cannot identify the corrupted members, so intentionally set the memberID as 0',
        { 'leader-id': leader, ...at },
      );
      member.raiseCorrupt(0n);
    } else holders.delete(right[0]);
    for (const [hash, ids] of holders) {
      if (right !== undefined) for (const id of ids) member.raiseCorrupt(id);
      logger.error('Detected compaction hash mismatch', {
        'leader-id': leader,
        ...at,
        'peer-ids': ids.map(hexId),
        'peer-hash': hash,
        'quorum-exist': right !== undefined,
      });
    }
    return true;
  }
}

const FAILURE_TEXTS: Readonly<Record<PeerHashFailure, string | undefined>> = {
  FUTURE: 'cannot fetch hash from slow remote peer',
  COMPACTED: 'cannot fetch hash from remote peer; local member is behind',
  CLUSTER_ID: 'cluster ID mismatch',
  UNKNOWN: undefined,
};
