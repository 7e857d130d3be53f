/**
 * The replicated state of one member: keys through time, leases, members, alarms, users, and up to which entry
 * they reach. It joins the rooms below it and adds no rule of its own; commands change it only through
 * the applier. A snapshot from the leader replaces its content in place, under the watchers.
 */
import { EMPTY, writeU64BE } from '@keelson/base';
import { etcdserverpb, leasepb } from '@keelson/proto';
import { Alarms, type Alarm } from '../alarm/alarms.ts';
import { AuthStore, type AuthContent } from '../auth/auth-store.ts';
import { SimpleTokens } from '../auth/simple-tokens.ts';
import type { Backend } from '../backend/backend.ts';
import { Buckets, type Bucket } from '../backend/buckets.ts';
import type { WriteBuffer } from '../backend/write-buffer.ts';
import { FatalError, StoreError } from '../errors.ts';
import { Lessor, type Lease } from '../lease/lessor.ts';
import { AUTH_TOKEN_TTL_SECONDS_DEFAULT } from '../limits.ts';
import { isLower } from '../membership/downgrade.ts';
import { Membership, type MembershipChange } from '../membership/membership.ts';
import type { WatchEvent } from '../mvcc/event.ts';
import { MvccStore, type MvccOptions } from '../mvcc/store.ts';
import type { WriteResult } from '../mvcc/write-txn.ts';
import { store, type Writer } from './kv.ts';

/** Who is told of changes; watch/hub.ts. */
export interface ChangeListener {
  /** All changes of one applied batch, in order. */
  notify(events: readonly WatchEvent[]): void;
  /** Everything was replaced by a snapshot; `store` takes the place of the one before. */
  replaceStore(store: MvccStore): void;
}

export interface StateMachineOptions {
  /** Grants below it are raised to it. */
  readonly leaseTtlSecondsMin: number;
  /** --max-learners. */
  readonly learnersMax: number;
  readonly mvcc: Omit<MvccOptions, 'onLease'>;
  readonly leaseCheckpoints?: LeaseCheckpointOptions;
  readonly auth?: AuthOptions;
  readonly onMembershipChange: (change: MembershipChange) => void;
  /** Compaction work is waiting to be run. */
  readonly onCompaction: () => void;
}

export interface LeaseCheckpointOptions {
  /** Between two of a lease; Infinity: this member tells none. */
  readonly intervalMs: number;
  /** Kept beyond a restart in a cluster of any version; from 3.6 on they are whatever is said here (etcd). */
  readonly persistent: boolean;
}

export interface AuthOptions {
  readonly tokenTtlSeconds: number;
  /** See AuthStore. */
  readonly hashPlain: (password: string) => Buffer;
  /** Whatever a decision may depend on has changed: watches are to be looked at again. */
  readonly onChange: () => void;
  /** What was signed for this user before is void. */
  readonly onUserInvalidated: (name: string) => void;
}

const AUTH_ALONE: AuthOptions = {
  tokenTtlSeconds: AUTH_TOKEN_TTL_SECONDS_DEFAULT,
  hashPlain: () => {
    throw new FatalError(
      'the log holds a password of an etcd before 3.5, and there is nothing to hash it with',
    );
  },
  onChange: () => {},
  onUserInvalidated: () => {},
};

/** See StateMachine.sizes. */
export interface BackendSizes {
  readonly totalBytes: number;
  readonly inUseBytes: number;
}

/** A lease on disk: its key and three small numbers. */
const LEASE_BYTES = 24;
/** Below it a backend is mostly its own bookkeeping, which says nothing about how tight it packs. */
const PACKING_BYTES_MIN = 1024 * 1024;

const CLUSTER_VERSION_KEY = 'clusterVersion';
const DOWNGRADE_KEY = 'downgrade';
const AUTH_ENABLED_KEY = 'authEnabled';
const AUTH_REVISION_KEY = 'authRevision';

/** What one backend holds, opened together. */
export interface OpenedState {
  readonly backend: Backend;
  readonly buffer: WriteBuffer;
}

export class StateMachine {
  /** Quorum membership after the last applied entry, as JSON. */
  confState = '';
  readonly lessor: Lessor;
  readonly membership: Membership;
  readonly alarms: Alarms;
  readonly auth: AuthStore;
  readonly tokens: SimpleTokens;
  private opened: OpenedState;
  private store: MvccStore;
  private readonly options: StateMachineOptions;
  private index = 0;
  private termOfIndex = 0;
  private listener: ChangeListener | undefined;
  /** Bytes on disk for a byte stored, when the backend was last defragmented. */
  private packing = 1;
  /** Changes of the batch being applied, in order. */
  private changed: WatchEvent[] = [];

  private constructor(opened: OpenedState, store: MvccStore, options: StateMachineOptions) {
    this.opened = opened;
    this.store = store;
    this.options = options;
    const put = (bucket: Bucket, key: string, value: Buffer): void =>
      this.opened.buffer.put(bucket, key, value);
    const remove = (bucket: Bucket, key: string): void => this.opened.buffer.delete(bucket, key);
    this.lessor = new Lessor(
      {
        put: (lease) => put(Buckets.lease, idKey(lease.id), encodeLease(lease)),
        delete: (id) => remove(Buckets.lease, idKey(id)),
      },
      options.leaseTtlSecondsMin,
      {
        intervalMs: options.leaseCheckpoints?.intervalMs ?? Infinity,
        persistent: () =>
          options.leaseCheckpoints?.persistent === true || keepsCheckpoints(this.membership.clusterVersion),
      },
    );
    this.membership = new Membership(
      {
        putMember: (key, value) => put(Buckets.members, key, value),
        deleteMember: (key) => remove(Buckets.members, key),
        putRemoved: (key, value) => put(Buckets.membersRemoved, key, value),
        putClusterVersion: (value) => put(Buckets.cluster, CLUSTER_VERSION_KEY, value),
        putDowngrade: (value) => put(Buckets.cluster, DOWNGRADE_KEY, value),
      },
      options.onMembershipChange,
      { learnersMax: options.learnersMax },
    );
    this.alarms = new Alarms({
      put: (alarm) => put(Buckets.alarm, alarmKey(alarm.memberId, alarm.type), EMPTY),
      delete: (alarm) => remove(Buckets.alarm, alarmKey(alarm.memberId, alarm.type)),
    });
    const authOptions = options.auth ?? AUTH_ALONE;
    this.tokens = new SimpleTokens(authOptions.tokenTtlSeconds);
    this.auth = new AuthStore(
      {
        putEnabled: (enabled) => put(Buckets.auth, AUTH_ENABLED_KEY, Buffer.from([enabled ? 1 : 0])),
        putRevision: (revision) => put(Buckets.auth, AUTH_REVISION_KEY, u64(revision)),
        putUser: (name, user) => put(Buckets.authUsers, nameKey(name), user),
        deleteUser: (name) => remove(Buckets.authUsers, nameKey(name)),
        putRole: (name, role) => put(Buckets.authRoles, nameKey(name), role),
        deleteRole: (name) => remove(Buckets.authRoles, nameKey(name)),
      },
      authOptions.hashPlain,
    );
    this.auth.setListener({
      changed: authOptions.onChange,
      userInvalidated: (name) => {
        this.tokens.forgetUser(name);
        authOptions.onUserInvalidated(name);
      },
      tokensInvalidated: () => this.tokens.forgetAll(),
    });
  }

  /**
   * Reads the whole state from a backend whose buffer has nothing unwritten.
   * @throws FatalError when what is there is not whole
   */
  static async load(opened: OpenedState, options: StateMachineOptions): Promise<StateMachine> {
    const content = await readContent(opened, options);
    const state = new StateMachine(opened, content.store, options);
    state.adopt(content);
    return state;
  }

  /**
   * Replaces everything by what another backend holds, in one step: readers and watchers see the old state
   * or the new one. Until this resolves the old backend is read; then it is the caller's to close.
   */
  async replace(opened: OpenedState): Promise<void> {
    const content = await readContent(opened, this.options);
    this.opened = opened;
    this.adopt(content);
    this.listener?.replaceStore(content.store);
  }

  private adopt(content: Content): void {
    const mark = content.store.restoredMark;
    this.store = content.store;
    this.store.census?.live();
    this.changed = [];
    this.index = mark?.consistentIndex ?? 0;
    this.termOfIndex = mark?.term ?? 0;
    this.confState = mark?.confState ?? '';
    this.lessor.reset();
    for (const lease of content.leases) this.lessor.restore(lease.ID, lease.TTL, lease.RemainingTTL);
    for (const [lease, key] of content.attachments)
      if (this.lessor.lookup(lease) !== undefined) this.lessor.attach(key, lease);
    this.membership.restore(content.members, content.removed, content.clusterVersion, content.downgrade);
    this.alarms.restore(content.alarms);
    this.auth.restore(content.auth);
    if (this.store.compactionPending) this.options.onCompaction();
  }

  get mvcc(): MvccStore {
    return this.store;
  }

  get buffer(): WriteBuffer {
    return this.opened.buffer;
  }

  get backend(): Backend {
    return this.opened.backend;
  }

  /** Index of the last applied entry. */
  get consistentIndex(): number {
    return this.index;
  }

  /** Term of the last applied entry. */
  get consistentTerm(): number {
    return this.termOfIndex;
  }

  sizeBytes(): Promise<number> {
    return this.opened.backend.sizeBytes();
  }

  /**
   * What the backend takes, and what of it would stay if it were defragmented. The latter is what is stored, as
   * tight as the backend packed it the last time it was defragmented by this process, or else unpacked.
   */
  async sizes(): Promise<BackendSizes> {
    const totalBytes = await this.sizeBytes();
    return { totalBytes, inUseBytes: Math.min(totalBytes, Math.round(this.storedBytes * this.packing)) };
  }

  private get storedBytes(): number {
    return this.store.storedBytes + this.lessor.size * LEASE_BYTES;
  }

  /** Rewrites the backend, so that what was removed gives its space back. */
  async defragment(): Promise<void> {
    const { backend, buffer } = this.opened;
    await buffer.commit();
    await backend.compact('', '\xff');
    const { storedBytes } = this;
    const totalBytes = await backend.sizeBytes();
    if (storedBytes >= PACKING_BYTES_MIN) this.packing = Math.min(1, totalBytes / storedBytes);
  }

  setListener(listener: ChangeListener): void {
    this.listener = listener;
  }

  /** Says up to which entry the state reaches; the next backend batch carries it (decision 8). */
  mark(index: number, term: number): void {
    this.index = index;
    this.termOfIndex = term;
    this.opened.buffer.mark({
      consistentIndex: index,
      term,
      newestRevision: this.store.newestRevision,
      confState: this.confState,
    });
  }

  /** Runs a change inside one write transaction: one revision if anything changed, none otherwise. */
  write<T>(change: (writer: Writer) => T): T {
    const txn = this.store.beginWrite();
    let outcome: T;
    try {
      outcome = change(txn);
    } catch (error) {
      // Everything is checked before the first write: a failure here would leave half of it.
      throw new FatalError('a checked command failed while it was executed', { cause: error });
    }
    this.ended(txn.end());
    return outcome;
  }

  /** One put that has been checked, as a transaction of its own: write() without what only others need. */
  put(key: string, value: Buffer, lease: bigint, from = 0, to: number = value.length): void {
    const txn = this.store.beginWrite();
    try {
      store(this, txn, key, value, lease, from, to);
    } catch (error) {
      throw new FatalError('a checked command failed while it was executed', { cause: error });
    }
    this.ended(txn.end());
  }

  /** One key's delete, as put(). @returns whether it existed */
  delete(key: string): boolean {
    const txn = this.store.beginWrite();
    let existed: boolean;
    try {
      existed = txn.delete(key);
      if (existed) this.lessor.detach(key);
    } catch (error) {
      throw new FatalError('a checked command failed while it was executed', { cause: error });
    }
    this.ended(txn.end());
    return existed;
  }

  private ended({ events }: WriteResult): void {
    for (const event of events) this.changed.push(event);
  }

  /** Tells the watchers what was applied since the last call. */
  notifyWatchers(): void {
    if (this.changed.length === 0) return;
    const changed = this.changed;
    this.changed = [];
    this.listener?.notify(changed);
  }

  /** Marks the revision as compacted; the work behind it follows. @throws StoreError COMPACTED, FUTURE_REVISION */
  compact(request: etcdserverpb.CompactionRequest): etcdserverpb.CompactionResponse {
    const outcome = this.store.compact(request.revision);
    if (outcome === 'COMPACTED') throw new StoreError('COMPACTED');
    if (outcome === 'FUTURE') throw new StoreError('FUTURE_REVISION');
    this.options.onCompaction();
    return new etcdserverpb.CompactionResponse();
  }
}

/** Everything a backend says, read and checked, before any of it is used. */
interface Content {
  readonly store: MvccStore;
  readonly leases: readonly leasepb.Lease[];
  readonly attachments: readonly (readonly [lease: bigint, key: string])[];
  readonly members: readonly Buffer[];
  readonly removed: readonly string[];
  readonly clusterVersion: string;
  readonly downgrade: Buffer | undefined;
  readonly alarms: readonly Alarm[];
  readonly auth: AuthContent;
}

async function readContent({ buffer }: OpenedState, options: StateMachineOptions): Promise<Content> {
  const attachments: [lease: bigint, key: string][] = [];
  const store = await MvccStore.restore(buffer, {
    ...options.mvcc,
    onLease: (lease, key) => attachments.push([lease, key]),
  });
  const leases: leasepb.Lease[] = [];
  for await (const { value } of pairsOf(buffer, Buckets.lease)) leases.push(leasepb.decodeLease(value));
  const members: Buffer[] = [];
  for await (const { value } of pairsOf(buffer, Buckets.members)) members.push(value);
  const removed: string[] = [];
  for await (const { key } of pairsOf(buffer, Buckets.membersRemoved)) removed.push(key);
  const alarms: Alarm[] = [];
  for await (const { key } of pairsOf(buffer, Buckets.alarm)) {
    const alarm = etcdserverpb.decodeAlarmMember(Buffer.from(key, 'latin1'));
    alarms.push({ memberId: alarm.memberID, type: alarm.alarm });
  }
  const clusterVersion = buffer.get(Buckets.cluster, CLUSTER_VERSION_KEY)?.toString('utf8') ?? '';
  const downgrade = buffer.get(Buckets.cluster, DOWNGRADE_KEY);
  const auth = await readAuth(buffer);
  return { store, leases, attachments, members, removed, clusterVersion, downgrade, alarms, auth };
}

async function readAuth(buffer: WriteBuffer): Promise<AuthContent> {
  const users: Buffer[] = [];
  for await (const { value } of pairsOf(buffer, Buckets.authUsers)) users.push(value);
  const roles: Buffer[] = [];
  for await (const { value } of pairsOf(buffer, Buckets.authRoles)) roles.push(value);
  const revision = buffer.get(Buckets.auth, AUTH_REVISION_KEY);
  return {
    enabled: buffer.get(Buckets.auth, AUTH_ENABLED_KEY)?.[0] === 1,
    revision: revision?.length === 8 ? Number(revision.readBigUInt64BE(0)) : 0,
    users,
    roles,
  };
}

async function* pairsOf(
  buffer: WriteBuffer,
  bucket: Bucket,
): AsyncGenerator<{ readonly key: string; readonly value: Buffer }> {
  for await (const pairs of buffer.range(bucket))
    for (const pair of pairs) yield { key: pair.key.slice(1), value: pair.value };
}

function u64(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  writeU64BE(bytes, 0, value);
  return bytes;
}

/** Users and roles are kept under their names. */
function nameKey(name: string): string {
  return Buffer.from(name, 'utf8').toString('latin1');
}

/** A lease's key in its bucket: 8 bytes, big endian. */
function idKey(id: bigint): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt.asUintN(64, id));
  return bytes.toString('latin1');
}

/** Clusters of 3.6 and later keep checkpoints without being told to. */
function keepsCheckpoints(clusterVersion: string): boolean {
  return clusterVersion !== '' && !isLower(clusterVersion, '3.6');
}

function encodeLease(lease: Lease): Buffer {
  return leasepb.encodeLease(
    new leasepb.Lease({ ID: lease.id, TTL: lease.ttlSeconds, RemainingTTL: lease.remainingSeconds }),
  );
}

/** An alarm's key is the AlarmMember message itself. */
function alarmKey(memberID: bigint, alarm: number): string {
  return etcdserverpb.encodeAlarmMember(new etcdserverpb.AlarmMember({ memberID, alarm })).toString('latin1');
}
