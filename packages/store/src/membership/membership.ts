/**
 * Who is in the cluster: members with their URLs, ids that may never return, the cluster version.
 * Replicated state, changed only by applied entries; it decides nothing about quorums (raft does) and
 * dials nobody (the peer transport does, told through `onChange`).
 *
 * Kept in the backend as etcd keeps it: JSON in buckets members, members_removed and cluster.
 */
import { hexId } from '@keelson/base';
import { StoreError } from '../errors.ts';
import { decodeDowngrade, encodeDowngrade, NO_DOWNGRADE, type Downgrade } from './downgrade.ts';
import { decodeMember, encodeMember, type Member } from './member.ts';

/** Where members are kept; the write buffer in production. */
export interface MembershipStore {
  putMember(key: string, value: Buffer): void;
  deleteMember(key: string): void;
  putRemoved(key: string, value: Buffer): void;
  putClusterVersion(value: Buffer): void;
  putDowngrade(value: Buffer): void;
}

/** What changed, for the transport: URLs to dial anew or a peer to drop. */
export type MembershipChange =
  | { readonly kind: 'added' | 'updated'; readonly member: Member }
  | { readonly kind: 'removed'; readonly id: bigint };

export interface MembershipOptions {
  /** Learners there may be at a time (--max-learners); must be the same on every member. */
  readonly learnersMax: number;
}

const REMOVED = Buffer.from('removed');

export class Membership {
  private byId = new Map<bigint, Member>();
  private removedIds = new Set<bigint>();
  private version = '';
  private underway = NO_DOWNGRADE;
  private readonly store: MembershipStore;
  private readonly onChange: (change: MembershipChange) => void;
  private readonly options: MembershipOptions;

  constructor(
    store: MembershipStore,
    onChange: (change: MembershipChange) => void,
    options: MembershipOptions,
  ) {
    this.store = store;
    this.onChange = onChange;
    this.options = options;
  }

  /** Members by ascending id. */
  list(): Member[] {
    return [...this.byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  get(id: bigint): Member | undefined {
    return this.byId.get(id);
  }

  get size(): number {
    return this.byId.size;
  }

  isRemoved(id: bigint): boolean {
    return this.removedIds.has(id);
  }

  removed(): bigint[] {
    return [...this.removedIds].sort((a, b) => (a < b ? -1 : 1));
  }

  /** For example "3.7.0"; empty until decided. */
  get clusterVersion(): string {
    return this.version;
  }

  /** The downgrade that operators have asked for, if any. */
  get downgrade(): Downgrade {
    return this.underway;
  }

  /**
   * Replaces everything by what a backend or snapshot holds, telling `onChange` the difference.
   * @param downgrade as putDowngrade kept it; undefined when there never was one
   */
  restore(
    members: readonly Buffer[],
    removed: readonly string[],
    clusterVersion: string,
    downgrade?: Buffer,
  ): void {
    const before = this.byId;
    this.byId = new Map();
    for (const bytes of members) {
      const member = decodeMember(bytes);
      this.byId.set(member.id, member);
    }
    this.removedIds = new Set(removed.map((hex) => BigInt(`0x${hex}`)));
    this.version = clusterVersion;
    this.underway = downgrade === undefined ? NO_DOWNGRADE : decodeDowngrade(downgrade);
    for (const id of before.keys()) if (!this.byId.has(id)) this.onChange({ kind: 'removed', id });
    for (const member of this.byId.values()) {
      const known = before.get(member.id);
      if (known === undefined) this.onChange({ kind: 'added', member });
      else if (known.peerUrls.join() !== member.peerUrls.join()) this.onChange({ kind: 'updated', member });
    }
  }

  /**
   * Whether a change may be applied (etcd: membership.ValidateConfigurationChange). Deterministic: every
   * member refuses the same entries.
   */
  validateAdd(member: Member): StoreError | undefined {
    if (this.removedIds.has(member.id)) return new StoreError('MEMBER_NOT_FOUND');
    if (this.byId.has(member.id)) return new StoreError('MEMBER_EXISTS');
    const taken = this.validateUrls(member);
    if (taken !== undefined || !member.isLearner) return taken;
    let learners = 0;
    for (const other of this.byId.values()) if (other.isLearner) learners++;
    return learners >= this.options.learnersMax ? new StoreError('TOO_MANY_LEARNERS') : undefined;
  }

  validatePromote(id: bigint): StoreError | undefined {
    const known = this.byId.get(id);
    if (known === undefined) return new StoreError('MEMBER_NOT_FOUND');
    return known.isLearner ? undefined : new StoreError('MEMBER_NOT_LEARNER');
  }

  validateRemove(id: bigint): StoreError | undefined {
    return this.byId.has(id) ? undefined : new StoreError('MEMBER_NOT_FOUND');
  }

  validateUpdate(member: Member): StoreError | undefined {
    return this.byId.has(member.id) ? this.validateUrls(member) : new StoreError('MEMBER_NOT_FOUND');
  }

  private validateUrls(member: Member): StoreError | undefined {
    for (const other of this.byId.values()) {
      if (other.id !== member.id && other.peerUrls.some((url) => member.peerUrls.includes(url)))
        return new StoreError('PEER_URL_EXISTS');
    }
    return undefined;
  }

  add(member: Member): void {
    this.put(member);
    this.onChange({ kind: 'added', member });
  }

  promote(id: bigint): void {
    const known = this.byId.get(id);
    if (known !== undefined) this.put({ ...known, isLearner: false });
  }

  /** Changes peer URLs only: an update never promotes. */
  updatePeerUrls(id: bigint, peerUrls: readonly string[]): void {
    const known = this.byId.get(id);
    if (known === undefined) return;
    const member = { ...known, peerUrls };
    this.put(member);
    this.onChange({ kind: 'updated', member });
  }

  /** A member's own word about itself, published through the log when it starts. */
  setAttributes(id: bigint, name: string, clientUrls: readonly string[]): void {
    const known = this.byId.get(id);
    if (known !== undefined) this.put({ ...known, name, clientUrls });
  }

  remove(id: bigint): void {
    if (!this.byId.delete(id)) return;
    this.removedIds.add(id);
    this.store.deleteMember(hexId(id));
    this.store.putRemoved(hexId(id), REMOVED);
    this.onChange({ kind: 'removed', id });
  }

  setClusterVersion(version: string): void {
    this.version = version;
    this.store.putClusterVersion(Buffer.from(version));
  }

  setDowngrade(downgrade: Downgrade): void {
    this.underway = downgrade;
    this.store.putDowngrade(encodeDowngrade(downgrade));
  }

  private put(member: Member): void {
    this.byId.set(member.id, member);
    this.store.putMember(hexId(member.id), encodeMember(member));
  }
}
