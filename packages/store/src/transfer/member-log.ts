/**
 * What a member's log and newest .snap file say, read without opening them for writing, and the membership at
 * any index they cover, found as a member would find it: from the snapshot on, entry by entry. For data dirs
 * whose database does not say it, or not reliably.
 */
import { assert, silentLogger, type Disk } from '@keelson/base';
import { EMPTY_CONF_STATE, EntryType, RawNode, type ConfState, type Entry, type HardState, type Snapshot } from '@keelson/raft'; // prettier-ignore
import { setClusterVersion, setMemberAttributes } from '../apply/cluster.ts';
import { CommandKind, decodeCommand, V2_REQUEST } from '../apply/command.ts';
import type { Waiters } from '../apply/results.ts';
import { applyV2Request } from '../apply/v2-request.ts';
import { encodeConfState } from '../consensus/conf-state.ts';
import { ConfChanges } from '../consensus/conf-changes.ts';
import { imageMembership } from '../consensus/image-membership.ts';
import { LogTail } from '../consensus/log-storage.ts';
import type { StoragePaths } from '../consensus/member-storage.ts';
import { errorMessageOf } from '../disk/error-code.ts';
import { FatalError } from '../errors.ts';
import { Membership } from '../membership/membership.ts';
import { decodeV2Store } from '../membership/v2-store.ts';
import { SnapStore } from '../snap/snap-store.ts';
import type { ImageMembership } from '../snapshot/state-image.ts';
import { decodeMetadata, type WalMetadata } from '../wal/entry-codec.ts';
import { readWal, validSnapshotMarkers } from '../wal/wal.ts';

export interface MemberLog extends WalMetadata {
  /** The newest that reads and that the log vouches for. */
  readonly snapshot: Snapshot | undefined;
  /** After the snapshot, without gaps. */
  readonly entries: readonly Entry[];
  readonly hardState: HardState;
}

/** Nobody waits for what is only looked at. */
export const NO_WAITERS: Waiters = { isWaiting: () => false, resolve: () => {} };

/** Undefined when there is no log. @throws WalError */
export async function readMemberLog(disk: Disk, paths: StoragePaths): Promise<MemberLog | undefined> {
  if (!(await disk.exists(paths.wal))) return undefined;
  if (!(await disk.list(paths.wal)).some((name) => name.endsWith('.wal'))) return undefined;
  const markers = await validSnapshotMarkers(disk, paths.wal);
  const snapshot = await new SnapStore(disk, paths.snap, silentLogger).loadNewest((name) =>
    markers.some((marker) => marker.index === name.index && marker.term === name.term),
  );
  const { metadata, entries, hardState } = await readWal(disk, paths.wal, {
    index: snapshot?.index ?? 0,
    term: snapshot?.term ?? 0,
  });
  return { ...decodeMetadata(metadata), snapshot, entries, hardState };
}

/** A raft node that only keeps the membership: it is never ticked and sends nothing. */
export function stillNode(id: bigint, tail: LogTail, applied: number): RawNode {
  return new RawNode({
    id,
    electionTick: 10,
    heartbeatTick: 1,
    storage: tail,
    applied,
    prng: { below: () => 0 },
    logger: silentLogger,
  });
}

/** What a member that has applied exactly `index` knows of the cluster. */
export interface MembershipAt {
  /** Of the entry; 0 before the first. */
  readonly term: number;
  /** JSON; '' before the first entry. */
  readonly confState: string;
  /** Undefined when the .snap file has no members (nothing but their ids is known then). */
  readonly membership: ImageMembership | undefined;
}

/**
 * @param index from the snapshot's to the last entry's
 * @throws FatalError when an entry on the way cannot be read
 */
export function membershipAt(log: MemberLog, index: number, learnersMax: number): MembershipAt {
  const { snapshot, entries } = log;
  const first = snapshot?.index ?? 0;
  assert(index >= first && index <= first + entries.length, 'an index the log covers');
  const known = snapshot === undefined ? emptyMembership(learnersMax) : membershipOf(snapshot, learnersMax);
  const membership = known ?? idsOnly(snapshot!, learnersMax);
  const startState: ConfState = snapshot?.confState ?? EMPTY_CONF_STATE;
  const node = stillNode(
    log.memberId,
    new LogTail(snapshot, { ...log.hardState, commit: first }, entries, startState),
    first,
  );
  const confChanges = new ConfChanges({
    membership: () => membership,
    waiters: NO_WAITERS,
    applyToRaft: (change) => node.applyConfChange(change),
    idOf: () => ({ owner: 0, sequence: 0 }),
    revision: () => 0,
    removedSelf: () => {},
  });
  let confState = index === 0 ? '' : encodeConfState(startState);
  for (const entry of entries.slice(0, index - first)) {
    if (entry.type !== EntryType.Normal) confState = confChanges.apply(entry);
    else if (entry.data.length > 0) applyToMembership(membership, entry);
  }
  return {
    term: index === first ? (snapshot?.term ?? 0) : entries[index - first - 1].term,
    confState,
    membership:
      known === undefined
        ? undefined
        : imageMembership({
            members: membership.list(),
            removed: membership.removed(),
            clusterVersion: membership.clusterVersion,
          }),
  };
}

function emptyMembership(learnersMax: number): Membership {
  const store = {
    putMember() {},
    deleteMember() {},
    putRemoved() {},
    putClusterVersion() {},
    putDowngrade() {},
  };
  return new Membership(store, () => {}, { learnersMax });
}

/** As the snapshot's v2 tree has it; undefined when it has none. */
function membershipOf(snapshot: Snapshot, learnersMax: number): Membership | undefined {
  if (snapshot.data.length === 0) return undefined;
  const membership = emptyMembership(learnersMax);
  try {
    const { members, removed, clusterVersion } = imageMembership(decodeV2Store(snapshot.data));
    if (members.size === 0) return undefined;
    membership.restore([...members.values()], removed, clusterVersion);
  } catch (error) {
    throw new FatalError(
      `the members in the .snap file of index ${snapshot.index} cannot be read: ${errorMessageOf(error)}`,
      { cause: error },
    );
  }
  return membership;
}

/** Members of which only the ids are known: enough to judge the changes that follow. */
function idsOnly({ confState }: Snapshot, learnersMax: number): Membership {
  const membership = emptyMembership(learnersMax);
  for (const id of confState.voters)
    membership.add({ id, peerUrls: [], isLearner: false, name: '', clientUrls: [] });
  for (const id of [...confState.learners, ...confState.learnersNext])
    if (membership.get(id) === undefined)
      membership.add({ id, peerUrls: [], isLearner: true, name: '', clientUrls: [] });
  return membership;
}

function applyToMembership(membership: Membership, entry: Entry): void {
  try {
    const { kind, body } = decodeCommand(entry.data);
    if (kind === V2_REQUEST) applyV2Request(membership, body);
    else if (kind === CommandKind.ClusterMemberAttrSet) setMemberAttributes(membership, body);
    else if (kind === CommandKind.ClusterVersionSet) setClusterVersion(membership, body);
  } catch (error) {
    throw new FatalError(`entry ${entry.index} of term ${entry.term} cannot be read`, { cause: error });
  }
}
