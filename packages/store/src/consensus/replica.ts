/**
 * A member as its API handlers see it: propose a command, wait for a linearizable moment, read the state,
 * ask who leads. It joins proposals, reads and leases over the driver and adds only the rules of time:
 * how long a request may take, and which of etcd's texts says why it took too long.
 */
import { Role, type SoftState } from '@keelson/raft';
import { etcdserverpb } from '@keelson/proto';
import { AlarmType } from '../alarm/alarms.ts';
import { CommandKind } from '../apply/command.ts';
import type { ApplyResult } from '../apply/results.ts';
import type { StateMachine } from '../apply/state-machine.ts';
import type { Identity } from '../auth/identity.ts';
import { StoreError } from '../errors.ts';
import type { Compactor } from './compactor.ts';
import type { WatchHub } from '../watch/hub.ts';
import type { Driver } from './driver.ts';
import type { Leases } from './leases.ts';
import type { Proposals } from './proposals.ts';
import type { Reads } from './reads.ts';

/** What the transport knows about connections, for telling timeouts apart. */
export interface Connections {
  /** Monotonic time since when a member has been reachable; undefined while it is not. */
  activeSince(id: bigint): number | undefined;
}

export interface ReplicaOptions {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly monotonicMs: () => number;
  /** Uniform 64-bit values, for lease ids. */
  readonly random64: () => bigint;
  readonly requestTimeoutMs: number;
  readonly electionTimeoutMs: number;
  /** Largest command as the log keeps it. */
  readonly requestBytesMax: number;
  /** Committed entries waiting to be applied beyond which writes are refused. */
  readonly applyGapMax: number;
  /** The same for ending leases, which sheds load (gate PriorityRequest). */
  readonly revokeGapMax: number;
  /** Told of each command that goes its way, and of what will become of it. */
  readonly onPropose?: ((result: Promise<ApplyResult>) => void) | undefined;
}

/** Raising and judging the alarm of a full backend. */
export interface SpaceCheck {
  hasRoom(costBytes: number): boolean;
}

export class Replica {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly state: StateMachine;
  readonly leases: Leases;
  readonly compactor: Compactor;
  readonly hub: WatchHub;
  /** Some watcher can go on: its client takes events again, or it has history to catch up with. */
  readonly wakeWatchers: () => void;
  private readonly driver: Driver;
  private readonly proposals: Proposals;
  private readonly reads: Reads;
  private readonly connections: Connections;
  private readonly space: SpaceCheck;
  private readonly options: ReplicaOptions;
  private raising: Promise<void> | undefined;
  private leaderElectedMs = -Infinity;
  private stopped = false;

  constructor(
    state: StateMachine,
    driver: Driver,
    proposals: Proposals,
    reads: Reads,
    leases: (replica: Replica) => Leases,
    compactor: Compactor,
    watch: { readonly hub: WatchHub; readonly wake: () => void },
    connections: Connections,
    space: SpaceCheck,
    options: ReplicaOptions,
  ) {
    this.memberId = options.memberId;
    this.clusterId = options.clusterId;
    this.state = state;
    this.driver = driver;
    this.proposals = proposals;
    this.reads = reads;
    this.connections = connections;
    this.space = space;
    this.options = options;
    this.compactor = compactor;
    this.hub = watch.hub;
    this.wakeWatchers = watch.wake;
    this.leases = leases(this);
  }

  get term(): number {
    return this.driver.term;
  }

  get leaderId(): bigint {
    return this.driver.leaderId;
  }

  /** Whether this member is one that only listens. */
  get isLearner(): boolean {
    return this.state.membership.get(this.memberId)?.isLearner === true;
  }

  get isLeader(): boolean {
    return this.driver.role === Role.Leader;
  }

  get appliedIndex(): number {
    return this.driver.appliedIndex;
  }

  get commitIndex(): number {
    return this.driver.commitIndex;
  }

  get lessor(): StateMachine['lessor'] {
    return this.state.lessor;
  }

  /**
   * Replicates a command and gives the state machine's answer. Not async: the promise is the waiter's own.
   * @param body the request's protobuf bytes, kept unchanged
   * @param identity in whose name; decided when it is applied
   * @throws StoreError: definite ones before logging or from apply; unknown outcome only as one of the
   *   timeouts or STOPPED
   */
  propose(kind: CommandKind, body: Buffer, identity?: Identity): Promise<ApplyResult> {
    if (this.stopped) return Promise.reject(new StoreError('STOPPED'));
    const { applyGapMax, revokeGapMax } = this.options;
    const gapMax = kind === CommandKind.LeaseRevoke ? revokeGapMax : applyGapMax;
    if (this.driver.commitIndex - this.driver.appliedIndex > gapMax)
      return Promise.reject(new StoreError('TOO_MANY_REQUESTS'));
    const { requestBytesMax, monotonicMs } = this.options;
    const waiting = this.proposals.add(kind, body, monotonicMs(), requestBytesMax, identity);
    this.options.onPropose?.(waiting);
    this.driver.wake();
    return waiting;
  }

  /** Whether the backend has room for a command of this cost; else the command is to be refused. */
  hasRoom(costBytes: number): boolean {
    return costBytes === 0 || this.space.hasRoom(costBytes);
  }

  /** Tells the cluster that this member's backend is full. @throws StoreError NO_SPACE in every case */
  async refuseForSpace(): Promise<never> {
    await this.raiseNoSpace();
    throw new StoreError('NO_SPACE');
  }

  /** Raises this member's alarm through the log; calls share one attempt. Never rejects. */
  raiseNoSpace(): Promise<void> {
    const { memberId } = this;
    if (this.state.alarms.list(AlarmType.NoSpace).some((alarm) => alarm.memberId === memberId))
      return Promise.resolve();
    const { ACTIVATE } = etcdserverpb.AlarmAction;
    const request = new etcdserverpb.AlarmRequest({
      action: ACTIVATE,
      memberID: memberId,
      alarm: AlarmType.NoSpace,
    });
    this.raising ??= this.propose(CommandKind.Alarm, etcdserverpb.encodeAlarmRequest(request)).then(
      () => {
        this.raising = undefined;
      },
      () => {
        // The next command that finds no room tries again.
        this.raising = undefined;
      },
    );
    return this.raising;
  }

  /** Resolves when the local state holds everything that was committed before the call. */
  async linearizable(): Promise<void> {
    if (this.stopped) throw new StoreError('STOPPED');
    const waiting = this.reads.add(this.options.monotonicMs());
    this.driver.wake();
    await waiting;
  }

  /** A positive 63-bit id that no lease of ours has. */
  drawLeaseId(): bigint {
    for (;;) {
      const id = this.options.random64() & 0x7fff_ffff_ffff_ffffn;
      if (id !== 0n && this.state.lessor.lookup(id) === undefined) return id;
    }
  }

  /** Told by the driver's handlers. */
  leadershipChanged(soft: SoftState): void {
    if (soft.lead !== 0n) this.leaderElectedMs = this.options.monotonicMs();
  }

  /** Ends what has waited too long; called every few tens of milliseconds. */
  expireWaiters(): void {
    const nowMs = this.options.monotonicMs();
    this.proposals.expire(nowMs, this.options.requestTimeoutMs, (startedMs) => this.timeoutError(startedMs));
    this.reads.expire(nowMs, this.options.requestTimeoutMs);
    // A ReadIndex without an answer is asked again; that needs a turn even when nothing else happens.
    if (this.reads.waitingCount > 0) this.driver.wake();
  }

  /** Fails everything that waits: the member goes. */
  stop(): void {
    this.stopped = true;
    const error = new StoreError('STOPPED');
    this.proposals.failAll(error);
    this.reads.failAll(error);
  }

  /** etcd's choice among its timeout texts (server/etcdserver/v3_server.go, parseProposeCtxErr). */
  private timeoutError(startedMs: number): StoreError {
    const previousLeaderLostMs = this.leaderElectedMs - 2 * this.options.electionTimeoutMs;
    if (startedMs > previousLeaderLostMs && startedMs < this.leaderElectedMs)
      return new StoreError('TIMEOUT_LEADER_FAIL');
    const leader = this.driver.leaderId;
    if (leader === 0n) return new StoreError('TIMEOUT');
    const connected =
      leader === this.memberId
        ? this.connectedToQuorumSince(startedMs)
        : this.connectedSince(leader, startedMs);
    return new StoreError(connected ? 'TIMEOUT' : 'TIMEOUT_CONNECTION_LOST');
  }

  private connectedSince(id: bigint, sinceMs: number): boolean {
    const active = this.connections.activeSince(id);
    return active !== undefined && active <= sinceMs;
  }

  private connectedToQuorumSince(sinceMs: number): boolean {
    const members = this.state.membership.list();
    let connected = 0;
    for (const member of members)
      if (member.id === this.memberId || this.connectedSince(member.id, sinceMs)) connected++;
    return connected >= Math.floor(members.length / 2) + 1;
  }
}
