/**
 * The bounded worlds that are explored, each with the mistakes it is aimed at. Bounds are counts over a whole
 * history; what has no bound in the table does not happen. Numbers were chosen so that the aim lies well
 * within the first few hundred thousand states.
 */
import {
  ConfChangeTransition,
  ConfChangeType,
  type ConfChangeV2,
  type ConfState,
  EMPTY_CONF_STATE,
} from '../../src/index.ts';
import type { Driving } from './member.ts';

/** How often each may happen in one history. */
export interface Budget {
  readonly campaigns: number;
  readonly proposals: number;
  readonly changes: number;
  readonly reads: number;
  readonly beats: number;
  readonly crashes: number;
  readonly drops: number;
  readonly duplicates: number;
  readonly compactions: number;
  readonly transfers: number;
  readonly snapshotFailures: number;
}

export interface Configuration {
  readonly name: string;
  readonly aim: string;
  readonly members: number;
  /** Membership that all members are founded with; others are founded outside it. */
  readonly confState: ConfState;
  readonly driving: Driving;
  /**
   * 'bag': a message is delivered once, in any order; it may be dropped or delivered twice as the budget says.
   * 'soup': whatever was sent may be delivered any number of times, in any order, or never.
   */
  readonly network: 'bag' | 'soup';
  /** Nobody campaigns from this term on; members are founded in term 1. */
  readonly termMax: number;
  /** Who may campaign. All voters are alike at the start, so the first one may be chosen. */
  readonly campaigners: readonly number[];
  readonly first: number;
  readonly budget: Budget;
  readonly changes: readonly ConfChangeV2[];
  /** Events before the search begins, each by the start of its text. */
  readonly prefix: readonly string[];
}

const NOTHING: Budget = {
  campaigns: 0,
  proposals: 0,
  changes: 0,
  reads: 0,
  beats: 0,
  crashes: 0,
  drops: 0,
  duplicates: 0,
  compactions: 0,
  transfers: 0,
  snapshotFailures: 0,
};

const QUEUED: Driving = {
  disk: 'queued',
  apply: 'done',
  preVote: false,
  maxSizePerMsg: Infinity,
  stepDownOnRemoval: false,
};
const DONE: Driving = { ...QUEUED, disk: 'done' };
/** A byte is less than any entry: each append carries one, and each is applied alone. */
const ONE_EACH = 1;

const single = (type: ConfChangeType, nodeId: bigint): ConfChangeV2 => ({
  transition: ConfChangeTransition.Auto,
  changes: [{ type, nodeId }],
  context: Buffer.alloc(0),
});

const voters = (...ids: bigint[]): ConfState => ({ ...EMPTY_CONF_STATE, voters: ids });
const update = (id: bigint): ConfChangeV2 => single(ConfChangeType.UpdateNode, id);
const remove = (id: bigint): ConfChangeV2 => single(ConfChangeType.RemoveNode, id);
const add = (id: bigint): ConfChangeV2 => single(ConfChangeType.AddNode, id);
const learn = (id: bigint): ConfChangeV2 => single(ConfChangeType.AddLearnerNode, id);

/** Replaces voter `out` by `joins` in one joint change. */
const swap = (out: bigint, joins: bigint, transition: ConfChangeTransition): ConfChangeV2 => ({
  transition,
  changes: [
    { type: ConfChangeType.RemoveNode, nodeId: out },
    { type: ConfChangeType.AddNode, nodeId: joins },
  ],
  context: Buffer.alloc(0),
});
const LEAVE: ConfChangeV2 = { transition: ConfChangeTransition.Auto, changes: [], context: Buffer.alloc(0) };

const BASE = {
  members: 3,
  confState: voters(1n, 2n, 3n),
  driving: QUEUED,
  network: 'bag',
  termMax: 3,
  campaigners: [1, 2, 3],
  first: 1,
  changes: [],
  prefix: [],
} as const;

/** Member 1 is elected by member 2 in term 2, disks being fast; the empty entry is with nobody else yet. */
const ELECTED = ['1 campaigns', '2 takes 1->2 MsgVote', '1 takes 2->1 MsgVoteResp'];

/** The same with slow disks; the leader's first entry is handed to its disk and not written. */
const ELECTED_SLOWLY = [
  '1 campaigns',
  "1's disk",
  '2 takes 1->2 MsgVote',
  "2's disk",
  '1 takes 2->1 MsgVoteResp',
];

/** And its first entry is committed, as far as the leader knows. */
const LEADING = [...ELECTED, '2 takes 1->2 MsgApp', '1 takes 2->1 MsgAppResp'];

/** Of two voters with slow disks, the leader has taken in a third and begins its log after that. */
const JOINING = [
  ...ELECTED_SLOWLY,
  "1's disk",
  '2 takes 1->2 MsgApp',
  "2's disk",
  '1 takes 2->1 MsgAppResp',
  "1's disk",
  '1 is given conf change 0',
  "1's disk",
  '2 takes 1->2 MsgApp Term:2 Log:2/2 Commit:2 Entries',
  "2's disk",
  '1 takes 2->1 MsgAppResp Term:2 Log:0/3',
  "1's disk",
  '1 makes a snapshot',
];

export const CONFIGURATIONS: readonly Configuration[] = [
  {
    ...BASE,
    name: 'tiny',
    aim: 'one election, one proposal, one crash between two members: exhausted within a second',
    members: 2,
    confState: voters(1n, 2n),
    termMax: 2,
    campaigners: [1, 2],
    budget: { ...NOTHING, campaigns: 1, proposals: 1, crashes: 1 },
  },
  {
    ...BASE,
    name: 'election',
    aim: 'candidates of two terms, slow disks, a crash, a message lost and one repeated: R1, R6',
    budget: { ...NOTHING, campaigns: 3, crashes: 1, duplicates: 1, drops: 1 },
  },
  {
    ...BASE,
    name: 'pre-vote',
    aim: 'the same with pre-votes, over a network that repeats, loses and reorders at will',
    driving: { ...DONE, preVote: true },
    network: 'soup',
    budget: { ...NOTHING, campaigns: 3, proposals: 1, crashes: 1 },
  },
  {
    ...BASE,
    name: 'replication',
    aim: 'two entries, two leaders, slow disks, a crash: what is acknowledged, counted and committed (R2 to R8)',
    budget: { ...NOTHING, campaigns: 2, proposals: 2, crashes: 1 },
  },
  {
    ...BASE,
    name: 'synchronous',
    aim: 'the same through Ready and advance',
    driving: { ...QUEUED, disk: 'sync' },
    budget: { ...NOTHING, campaigns: 2, proposals: 2, crashes: 1, duplicates: 1 },
  },
  {
    ...BASE,
    name: 'two-leaders',
    aim: 'two entries and heartbeats of two leaders over a network that repeats, loses and reorders at will',
    driving: DONE,
    network: 'soup',
    budget: { ...NOTHING, campaigns: 3, proposals: 2, beats: 1 },
  },
  {
    ...BASE,
    name: 'older-term',
    aim: 'Raft figure 8: an entry of an older term reaches a quorum under a later leader (R4)',
    driving: { ...DONE, maxSizePerMsg: ONE_EACH },
    network: 'soup',
    termMax: 5,
    campaigners: [1, 3],
    prefix: [
      ...ELECTED,
      '3 campaigns',
      '3 campaigns',
      '2 takes 3->2 MsgVote Term:3',
      '3 takes 2->3 MsgVoteResp Term:3',
    ],
    budget: { ...NOTHING, campaigns: 7, crashes: 1 },
  },
  {
    ...BASE,
    name: 'rewrite',
    aim: 'entries are replaced while the disk is still writing them (R3, R6)',
    prefix: [
      ...ELECTED_SLOWLY,
      '3 campaigns',
      '3 campaigns',
      "3's disk",
      "3's disk",
      '2 takes 3->2 MsgVote Term:3',
      "2's disk",
      '3 takes 2->3 MsgVoteResp Term:3',
    ],
    budget: { ...NOTHING, campaigns: 3, crashes: 1 },
  },
  {
    ...BASE,
    name: 'rewrite-tail',
    aim: 'the same for the second of two entries, the first of which all members have',
    prefix: [
      ...ELECTED_SLOWLY,
      '1 is given a proposal',
      '2 takes 1->2 MsgApp',
      "2's disk",
      '3 takes 1->3 MsgApp',
      "3's disk",
      '3 campaigns',
      "3's disk",
      '2 takes 3->2 MsgVote Term:3',
      "2's disk",
      '3 takes 2->3 MsgVoteResp Term:3',
    ],
    budget: { ...NOTHING, campaigns: 2, proposals: 1, crashes: 1 },
  },
  {
    ...BASE,
    name: 'return',
    aim: 'a leader that lost its unwritten entry comes back while an acknowledgement of it is on its way (R7)',
    prefix: [...ELECTED_SLOWLY, '2 takes 1->2 MsgApp', "2's disk", '1 crashes'],
    budget: { ...NOTHING, campaigns: 2, crashes: 1 },
  },
  {
    ...BASE,
    name: 'read',
    aim: 'reads at old and new leaders, and answers that come late: R10',
    driving: DONE,
    network: 'soup',
    prefix: [...LEADING, '1 is asked for read 0', '2 takes 1->2 MsgHeartbeat'],
    budget: { ...NOTHING, campaigns: 2, reads: 2 },
  },
  {
    ...BASE,
    name: 'read-again',
    aim: 'a deposed leader, asked for a read before it knew, leads again: R10',
    driving: DONE,
    network: 'soup',
    termMax: 4,
    prefix: [
      ...LEADING,
      '2 campaigns',
      '3 takes 2->3 MsgVote',
      '2 takes 3->2 MsgVoteResp',
      '3 takes 2->3 MsgApp',
      '2 takes 3->2 MsgAppResp',
      '3 takes 2->3 MsgApp Term:3 Log:1/1',
      '2 takes 3->2 MsgAppResp Term:3 Log:0/3',
      '1 is asked for read 0',
      '1 takes 2->1 MsgApp',
    ],
    budget: { ...NOTHING, campaigns: 3, reads: 2, beats: 1 },
  },
  {
    ...BASE,
    name: 'remove',
    aim: 'a voter leaves, perhaps the leader itself; the state machine is slow (R9)',
    driving: { ...DONE, apply: 'queued' },
    changes: [remove(3n), remove(1n)],
    budget: { ...NOTHING, campaigns: 2, changes: 2, crashes: 1 },
  },
  {
    ...BASE,
    name: 'removed-leader',
    aim: 'a leader that is out of a membership of two: what it may still take, and whom it must ask (R9, R10)',
    members: 2,
    confState: voters(1n, 2n),
    driving: DONE,
    network: 'soup',
    campaigners: [1, 2],
    changes: [remove(1n)],
    prefix: LEADING,
    budget: { ...NOTHING, campaigns: 3, changes: 1, proposals: 1, reads: 1, beats: 1 },
  },
  {
    ...BASE,
    name: 'step-down',
    aim: 'the same with step-down on removal and slow state machines, by pages of one entry',
    driving: { ...DONE, apply: 'queued', maxSizePerMsg: ONE_EACH, stepDownOnRemoval: true },
    changes: [remove(1n), learn(1n)],
    prefix: ELECTED,
    budget: { ...NOTHING, campaigns: 2, changes: 1, proposals: 1 },
  },
  {
    ...BASE,
    name: 'single',
    aim: 'one voter with a slow disk, and a second one that joins',
    members: 2,
    confState: voters(1n),
    campaigners: [1, 2],
    changes: [add(2n), learn(2n)],
    budget: { ...NOTHING, campaigns: 2, proposals: 1, changes: 2, crashes: 1, reads: 1 },
  },
  {
    ...BASE,
    name: 'add',
    aim: 'a member joins two, as a voter or as a learner first',
    confState: voters(1n, 2n),
    driving: { ...DONE, apply: 'queued' },
    changes: [add(3n), learn(3n)],
    prefix: LEADING,
    budget: { ...NOTHING, campaigns: 3, changes: 2 },
  },
  {
    ...BASE,
    name: 'learner',
    aim: 'a learner acknowledges and votes, and counts for nothing; an update promotes nobody',
    confState: { ...voters(1n, 2n), learners: [3n] },
    driving: DONE,
    network: 'soup',
    changes: [add(3n), learn(2n), update(3n)],
    budget: { ...NOTHING, campaigns: 2, proposals: 1, changes: 1 },
  },
  {
    ...BASE,
    name: 'joint',
    aim: 'one voter replaced by another through a joint membership, left by itself or on demand',
    confState: voters(1n, 2n),
    driving: { ...DONE, apply: 'queued' },
    changes: [
      swap(2n, 3n, ConfChangeTransition.Auto),
      swap(1n, 3n, ConfChangeTransition.JointExplicit),
      LEAVE,
    ],
    prefix: LEADING,
    budget: { ...NOTHING, campaigns: 2, changes: 2 },
  },
  {
    ...BASE,
    name: 'join-by-snapshot',
    aim: 'a voter that joins gets a snapshot with the membership in it, over slow disks',
    confState: voters(1n, 2n),
    changes: [add(3n)],
    prefix: JOINING,
    budget: { ...NOTHING, campaigns: 2, changes: 1, compactions: 2, proposals: 1, beats: 1, duplicates: 1 },
  },
  {
    ...BASE,
    name: 'snapshot',
    aim: 'logs that begin with a snapshot; snapshots sent, lost and repeated, under two leaders',
    driving: DONE,
    network: 'soup',
    prefix: LEADING,
    budget: { ...NOTHING, campaigns: 2, proposals: 1, compactions: 2, crashes: 1, beats: 2 },
  },
  {
    ...BASE,
    name: 'two-snapshots',
    aim: 'a second snapshot comes while the disk is still writing the first (R6, R9)',
    confState: voters(1n, 2n),
    changes: [add(3n)],
    prefix: [
      ...JOINING,
      '3 takes 1->3 MsgApp',
      "3's disk",
      '1 takes 3->1 MsgAppResp',
      '3 takes 1->3 MsgSnap',
      '1 is given a proposal',
      "1's disk",
      '2 takes 1->2 MsgApp Term:2 Log:2/3 Commit:3 Entries',
      "2's disk",
      '1 takes 2->1 MsgAppResp Term:2 Log:0/4',
      "1's disk",
      '1 makes a snapshot',
      '1 is told that its snapshot for 3 failed',
      '1 sends heartbeats',
      '3 takes 1->3 MsgHeartbeat',
      '1 takes 3->1 MsgHeartbeatResp',
    ],
    budget: {
      ...NOTHING,
      campaigns: 2,
      changes: 1,
      compactions: 2,
      proposals: 1,
      beats: 2,
      crashes: 1,
      snapshotFailures: 1,
    },
  },
  {
    ...BASE,
    name: 'snapshot-under-change',
    aim: 'a snapshot comes while the state machine is still putting a joint membership in force (R9)',
    driving: { ...QUEUED, apply: 'queued' },
    changes: [
      {
        transition: ConfChangeTransition.JointExplicit,
        changes: [{ type: ConfChangeType.RemoveNode, nodeId: 3n }],
        context: Buffer.alloc(0),
      },
      LEAVE,
    ],
    prefix: [
      ...ELECTED_SLOWLY,
      "1's disk",
      '3 takes 1->3 MsgApp',
      "3's disk",
      '1 takes 3->1 MsgAppResp',
      "1's disk",
      "1's state machine",
      '1 is given conf change 0',
      "1's disk",
      '3 takes 1->3 MsgApp Term:2 Log:2/2 Commit:2 Entries',
      "3's disk",
      '1 takes 3->1 MsgAppResp Term:2 Log:0/3',
      "1's disk",
      '3 takes 1->3 MsgApp Term:2 Log:2/3 Commit:3',
      "3's disk",
      "1's state machine",
      '1 is given a proposal',
      "1's disk",
      '2 takes 1->2 MsgApp',
      "2's disk",
      '1 takes 2->1 MsgAppResp',
      '2 takes 1->2 MsgApp Term:2 Log:2/2',
      "2's disk",
      '1 takes 2->1 MsgAppResp',
      "1's disk",
      "1's state machine",
      '1 makes a snapshot',
      '1 sends heartbeats',
      '3 takes 1->3 MsgHeartbeat',
      '1 takes 3->1 MsgHeartbeatResp',
      '3 takes 1->3 MsgApp Term:2 Log:2/4',
      "3's disk",
      '1 takes 3->1 MsgAppResp Term:2 Log:2/4 Rejected',
    ],
    budget: { ...NOTHING, campaigns: 2, changes: 2, compactions: 1, proposals: 1, beats: 1 },
  },
  {
    ...BASE,
    name: 'late-snapshot',
    aim: 'a snapshot of what a follower has as entries, and an old one again (R6, R7)',
    driving: DONE,
    network: 'soup',
    prefix: [
      ...ELECTED,
      '1 is given a proposal',
      '1 sends heartbeats',
      '3 takes 1->3 MsgHeartbeat',
      '1 takes 3->1 MsgHeartbeatResp',
      '3 takes 1->3 MsgApp Term:2 Log:1/1 Commit:1 Entries:[ 2/2 EntryNormal "" 2/3',
      '2 takes 1->2 MsgApp',
      '1 takes 2->1 MsgAppResp',
      '1 makes a snapshot',
    ],
    budget: { ...NOTHING, campaigns: 2, proposals: 1, compactions: 2, beats: 2, crashes: 1 },
  },
  {
    ...BASE,
    name: 'transfer',
    aim: 'leadership handed over, with pre-votes on',
    driving: { ...DONE, preVote: true },
    network: 'soup',
    budget: { ...NOTHING, campaigns: 1, proposals: 1, transfers: 1, crashes: 1 },
  },
];
