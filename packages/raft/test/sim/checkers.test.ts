/**
 * Each law can be broken: histories made by hand that no right core could leave, and a cluster whose healing
 * is spoilt. A checker that accepts one of them checks nothing.
 */
import { expect, test } from '@jest/globals';
import { Prng, silentLogger } from '@keelson/base';
import { LawBroken } from '@keelson/sim';
import {
  type ConfState,
  Entry,
  EntryType,
  MemoryStorage,
  Message,
  MessageType,
  type NodeId,
  Role,
  Snapshot,
} from '../../src/index.ts';
import { createState } from '../../src/raft.ts';
import type { RaftState } from '../../src/state.ts';
import { Oracle } from './checkers.ts';
import { Cluster } from './cluster.ts';
import { planOf } from './main.ts';
import { quorumsMeet } from './membership-laws.ts';
import { SimNode } from './node.ts';
import { optionsOf } from './options.ts';
import type { Observed } from './surroundings.ts';

const START = 3;

function confState(voters: readonly NodeId[], learners: readonly NodeId[] = []): ConfState {
  return { voters, learners, votersOutgoing: [], learnersNext: [], autoLeave: false };
}

const THREE = confState([1n, 2n, 3n]);

interface Fabricated extends Observed {
  readonly core: RaftState;
  readonly storage: MemoryStorage;
}

interface Shape {
  readonly entries?: readonly Entry[];
  readonly term?: number;
  readonly vote?: NodeId;
  readonly checkQuorum?: boolean;
  readonly preVote?: boolean;
}

/** A node that starts from the snapshot every one starts from, with `entries` durable. */
function fabricate(oracle: Oracle, id: NodeId, shape: Shape = {}): Fabricated {
  const storage = new MemoryStorage();
  storage.applySnapshot(new Snapshot(START, 1, THREE));
  storage.append(shape.entries ?? []);
  storage.setHardState({ term: shape.term ?? 1, vote: shape.vote ?? 0n, commit: START });
  const core = createState({
    id,
    electionTick: 10,
    heartbeatTick: 1,
    storage,
    applied: START,
    checkQuorum: shape.checkQuorum ?? false,
    preVote: shape.preVote ?? false,
    prng: new Prng(1),
    logger: silentLogger,
  });
  const node = {
    id,
    core,
    storage,
    get durable() {
      return storage.initialState().hardState;
    },
  };
  oracle.born(node);
  return node;
}

/** Makes it lead `term`, with the votes of `voters`. */
function elect(oracle: Oracle, node: Fabricated, term: number, voters: readonly NodeId[]): void {
  for (const voter of voters) oracle.vote(voter, term, node.id);
  node.core.term = term;
  node.core.role = Role.Leader;
  oracle.look(node);
}

function commit(oracle: Oracle, node: Fabricated, index: number): void {
  node.core.log.committed = index;
  oracle.look(node);
}

const first = new Entry(1, START + 1, EntryType.Normal, Buffer.from('a'));
const change = (index: number): Entry => new Entry(1, index, EntryType.ConfChangeV2);

const BROKEN: [law: string, name: string, play: (oracle: Oracle) => void][] = [
  [
    'R1',
    'two leaders of a term',
    (oracle) => {
      elect(oracle, fabricate(oracle, 1n), 2, [1n, 3n]);
      elect(oracle, fabricate(oracle, 2n), 2, []);
    },
  ],
  ['R1', 'a leader by its own vote', (oracle) => elect(oracle, fabricate(oracle, 1n), 2, [1n])],
  [
    'R1',
    "a learner's vote does not count",
    (oracle) => elect(oracle, fabricate(oracle, 1n), 2, [1n, 4n, 5n]),
  ],
  [
    'R2',
    'a leader takes an entry back',
    (oracle) => {
      const node = fabricate(oracle, 1n);
      elect(oracle, node, 2, [1n, 2n]);
      node.core.log.append([new Entry(2, START + 1)]);
      oracle.look(node);
      node.core.log.unstable.entries = [];
      oracle.look(node);
    },
  ],
  [
    'R2',
    'a leader overwrites an entry',
    (oracle) => {
      const node = fabricate(oracle, 1n, { entries: [first] });
      elect(oracle, node, 2, [1n, 2n]);
      node.storage.append([new Entry(2, START + 1)]);
      oracle.look(node);
    },
  ],
  [
    'R3',
    'one name for two entries',
    (oracle) => {
      fabricate(oracle, 1n, { entries: [first] });
      fabricate(oracle, 2n, { entries: [new Entry(1, START + 1, EntryType.Normal, Buffer.from('b'))] });
    },
  ],
  [
    'R3',
    'equal entries after different ones',
    (oracle) => {
      const last = new Entry(3, START + 2);
      fabricate(oracle, 1n, { term: 3, entries: [first, last] });
      fabricate(oracle, 2n, { term: 3, entries: [new Entry(2, START + 1), last] });
    },
  ],
  [
    'R4',
    'a later leader lacks what is committed',
    (oracle) => {
      const node = fabricate(oracle, 1n, { entries: [first] });
      fabricate(oracle, 2n, { entries: [first] });
      commit(oracle, node, START + 1);
      elect(oracle, fabricate(oracle, 3n), 2, [2n, 3n]);
    },
  ],
  [
    'R4',
    'a leader of a later term lacks what is committed after its election',
    (oracle) => {
      elect(oracle, fabricate(oracle, 3n), 2, [2n, 3n]);
      fabricate(oracle, 2n, { entries: [first] });
      commit(oracle, fabricate(oracle, 1n, { entries: [first] }), START + 1);
    },
  ],
  [
    'R5',
    'another entry is committed at the same index',
    (oracle) => {
      fabricate(oracle, 2n, { entries: [first] });
      commit(oracle, fabricate(oracle, 1n, { entries: [first] }), START + 1);
      commit(oracle, fabricate(oracle, 3n, { term: 2, entries: [new Entry(2, START + 1)] }), START + 1);
    },
  ],
  [
    'R5',
    'another state at the same index',
    (oracle) => {
      const node = fabricate(oracle, 1n, { entries: [first] });
      fabricate(oracle, 2n, { entries: [first] });
      commit(oracle, node, START + 1);
      oracle.applies(node, first, 'one');
      oracle.applies(node, first, 'other');
    },
  ],
  [
    'R6',
    'two votes in a term',
    (oracle) => {
      oracle.vote(1n, 2, 1n);
      oracle.vote(1n, 2, 2n);
    },
  ],
  [
    'R6',
    'a vote leaves before it is durable',
    (oracle) => oracle.leaves(fabricate(oracle, 1n), new Message(MessageType.VoteResp, { to: 2n, term: 2 })),
  ],
  [
    'R6',
    'an acknowledgement leaves before its entries are durable',
    (oracle) =>
      oracle.leaves(
        fabricate(oracle, 1n),
        new Message(MessageType.AppResp, { to: 2n, term: 1, index: START + 1 }),
      ),
  ],
  [
    'R6',
    'another entry is acknowledged than the leader has',
    (oracle) => {
      const leader = fabricate(oracle, 2n, { term: 2, vote: 2n, entries: [new Entry(2, START + 1)] });
      elect(oracle, leader, 2, [2n, 3n]);
      const follower = fabricate(oracle, 1n, { term: 2, entries: [first] });
      oracle.leaves(follower, new Message(MessageType.AppResp, { to: 2n, term: 2, index: START + 1 }));
    },
  ],
  [
    'R6',
    'what was acknowledged is gone after a crash',
    (oracle) => {
      const node = fabricate(oracle, 1n, { entries: [first] });
      oracle.leaves(node, new Message(MessageType.AppResp, { to: 2n, term: 1, index: START + 1 }));
      fabricate(oracle, 1n);
    },
  ],
  [
    'R6',
    'a vote is forgotten by a crash',
    (oracle) => {
      const node = fabricate(oracle, 1n, { term: 2, vote: 2n });
      oracle.leaves(node, new Message(MessageType.VoteResp, { to: 2n, term: 2 }));
      fabricate(oracle, 1n, { term: 2 });
    },
  ],
  [
    'R6',
    'a term falls',
    (oracle) => {
      const node = fabricate(oracle, 1n, { term: 4 });
      node.core.term = 3;
      oracle.look(node);
    },
  ],
  [
    'R7',
    'announced with one copy of three',
    (oracle) => commit(oracle, fabricate(oracle, 1n, { entries: [first] }), START + 1),
  ],
  [
    'R7',
    'announced again when a copy is gone',
    (oracle) => {
      const node = fabricate(oracle, 1n, { entries: [first] });
      fabricate(oracle, 2n, { entries: [first] });
      commit(oracle, node, START + 1);
      fabricate(oracle, 2n);
      fabricate(oracle, 1n);
      const late = fabricate(oracle, 3n, { entries: [first] });
      commit(oracle, late, START + 1);
    },
  ],
  [
    'R7',
    'a commit index falls',
    (oracle) => {
      const node = fabricate(oracle, 1n, { entries: [first] });
      fabricate(oracle, 2n, { entries: [first] });
      commit(oracle, node, START + 1);
      commit(oracle, node, START);
    },
  ],
  [
    'R8',
    'applied beyond the commit index',
    (oracle) => {
      const node = fabricate(oracle, 1n, { entries: [first] });
      node.core.log.applied = START + 1;
      oracle.look(node);
    },
  ],
  [
    'R8',
    'an uncommitted entry is applied',
    (oracle) => oracle.applies(fabricate(oracle, 1n, { entries: [first] }), first, 'state'),
  ],
  [
    'R9',
    'a second change while one is unapplied',
    (oracle) => {
      const node = fabricate(oracle, 1n, { entries: [change(START + 1)] });
      elect(oracle, node, 1, [1n, 2n]);
      node.core.log.append([change(START + 2)]);
      oracle.look(node);
    },
  ],
  [
    'R9',
    'quorums that need not meet',
    (oracle) => oracle.configured(fabricate(oracle, 1n), START + 1, confState([3n, 4n, 5n])),
  ],
  [
    'R9',
    'two memberships from one entry',
    (oracle) => {
      const node = fabricate(oracle, 1n);
      oracle.configured(node, START + 1, confState([1n, 2n, 3n, 4n]));
      oracle.configured(node, START + 1, confState([1n, 2n, 3n]));
    },
  ],
  [
    'R9',
    'an id comes back',
    (oracle) => {
      const node = fabricate(oracle, 1n);
      oracle.configured(node, START + 1, confState([1n, 2n]));
      oracle.configured(node, START + 2, confState([1n, 2n, 3n]));
    },
  ],
  [
    'R9',
    'a node that is no member campaigns',
    (oracle) => {
      const node = fabricate(oracle, 9n);
      node.core.role = Role.PreCandidate;
      oracle.look(node);
    },
  ],
  [
    'R9',
    'a node campaigns with a committed change unapplied',
    (oracle) => {
      const node = fabricate(oracle, 1n, { entries: [change(START + 1)] });
      fabricate(oracle, 2n, { entries: [change(START + 1)] });
      commit(oracle, node, START + 1);
      node.core.term = 2;
      node.core.role = Role.Candidate;
      oracle.look(node);
    },
  ],
  [
    'R10',
    'a context is used twice',
    (oracle) => {
      oracle.asked('r1');
      oracle.asked('r1');
    },
  ],
  ['R10', 'an answer that nobody asked for', (oracle) => oracle.answered(1n, 'r1', START)],
  [
    'R10',
    'an answer older than the question',
    (oracle) => {
      oracle.asked('r1');
      oracle.answered(1n, 'r1', START - 1);
    },
  ],
  [
    'R10',
    'an answer before the first commit of the term',
    (oracle) => {
      const node = fabricate(oracle, 1n);
      elect(oracle, node, 2, [1n, 2n]);
      oracle.leaves(node, new Message(MessageType.ReadIndexResp, { to: 2n, term: 2, index: START }));
    },
  ],
  [
    'R10',
    'reads survive their leader',
    (oracle) => {
      const node = fabricate(oracle, 1n);
      elect(oracle, node, 2, [1n, 2n]);
      node.core.earlyReads.push(new Message(MessageType.ReadIndex));
      node.core.role = Role.Follower;
      oracle.look(node);
    },
  ],
  [
    'R11',
    'a request for a vote is heard under a lease',
    (oracle) => {
      const node = fabricate(oracle, 1n, { checkQuorum: true });
      node.core.lead = 2n;
      oracle.step(node, new Message(MessageType.Vote, { from: 3n, term: 7 }), () => {
        node.core.term = 7;
      });
    },
  ],
  [
    'R11',
    'a term is raised without pre-votes',
    (oracle) => {
      const node = fabricate(oracle, 1n, { preVote: true });
      node.core.term = 2;
      node.core.role = Role.Candidate;
      oracle.look(node);
    },
  ],
  [
    'R11',
    'a leader that nobody answers goes on',
    (oracle) => {
      const node = fabricate(oracle, 1n, { checkQuorum: true });
      elect(oracle, node, 2, [1n, 2n]);
      for (let i = 0; i < 22; i++) oracle.leadership.ticked(node);
    },
  ],
];

test.each(BROKEN)('%s is seen broken: %s', (law, _name, play) => {
  const oracle = new Oracle(START, 1, 'state', THREE);
  let seen: unknown;
  try {
    play(oracle);
  } catch (error) {
    seen = error;
  }
  expect(seen).toBeInstanceOf(LawBroken);
  expect((seen as LawBroken).law).toBe(law);
});

test('R6: an acknowledged entry may be gone when a later leader has begun to replace it', () => {
  const oracle = new Oracle(START, 1, 'state', THREE);
  const node = fabricate(oracle, 1n, { entries: [first, new Entry(1, START + 2)] });
  oracle.leaves(node, new Message(MessageType.AppResp, { to: 2n, term: 1, index: START + 2 }));
  // Of that leader's write the disk kept the entry; the hard state with its term was lost.
  const later = fabricate(oracle, 1n, { entries: [new Entry(4, START + 1)] });
  expect(later.durable.term).toBe(1);
  // What it acknowledges from then on binds it again.
  oracle.leaves(later, new Message(MessageType.AppResp, { to: 2n, term: 1, index: START + 1 }));
  expect(() => fabricate(oracle, 1n)).toThrow('R6: 1 comes back with 3 and acknowledged 4');
});

test('a leader with answers from a quorum every other timeout keeps R11', () => {
  const oracle = new Oracle(START, 1, 'state', THREE);
  const node = fabricate(oracle, 1n, { checkQuorum: true });
  elect(oracle, node, 2, [1n, 2n]);
  for (let i = 0; i < 100; i++) {
    if (i % 19 === 0)
      oracle.leadership.steps(node, new Message(MessageType.HeartbeatResp, { from: 2n, term: 2 }));
    oracle.leadership.ticked(node);
  }
  expect(oracle.elections).toBe(1);
});

test.each<[string, ConfState, ConfState, boolean]>([
  ['one more', THREE, confState([1n, 2n, 3n, 4n]), true],
  ['one less', THREE, confState([1n, 2n]), true],
  ['two more', THREE, confState([1n, 2n, 3n, 4n, 5n]), false],
  ['one exchanged', THREE, confState([1n, 2n, 4n]), false],
  ['into joint', THREE, { ...confState([4n, 5n, 6n]), votersOutgoing: [1n, 2n, 3n] }, true],
  ['out of joint', { ...confState([4n, 5n]), votersOutgoing: [1n, 2n] }, confState([4n, 5n]), true],
])('quorumsMeet: %s', (_name, a, b, want) => {
  expect(quorumsMeet(a, b)).toBe(want);
  expect(quorumsMeet(b, a)).toBe(want);
});

function brokenBy(spoil: (cluster: Cluster) => void): string | undefined {
  const cluster = new Cluster(optionsOf({ ...planOf(1, 3_000), without: ['crash'] }));
  spoil(cluster);
  try {
    cluster.run();
  } catch (error) {
    return error instanceof LawBroken ? error.law : String(error);
  }
  return undefined;
}

test('L1, L2 and L3 are seen broken when healing is spoilt', () => {
  expect(brokenBy(() => undefined)).toBeUndefined();
  const afterHealing = (cluster: Cluster, act: () => void): void => {
    const heal = cluster.network.heal.bind(cluster.network);
    cluster.network.heal = () => {
      heal();
      if (cluster.healed) act();
    };
  };
  const silence = (cluster: Cluster): void => {
    afterHealing(cluster, () => {
      cluster.network.send = () => undefined;
      for (const node of cluster.nodes.values()) if (node.up) node.crash(new Prng(1), false);
    });
  };
  expect(brokenBy(silence)).toBe('L1');
  const deaf = (cluster: Cluster): void => {
    afterHealing(cluster, () => {
      cluster.clients.answered = () => undefined;
      cluster.clients.applied = () => undefined;
    });
  };
  expect(brokenBy(deaf)).toBe('L2');
  const forgetful = (cluster: Cluster): void => {
    afterHealing(cluster, () => {
      const [node] = cluster.nodes.values();
      if (node !== undefined)
        Object.defineProperty(node, 'state', {
          get: () => ({ index: 1e9, hash: 'x' }),
          set() {},
        });
    });
  };
  expect(brokenBy(forgetful)).toMatch(/^(L3|R5)$/);
});

test('R8: entries are handed out once, in order', () => {
  const cluster = new Cluster(optionsOf(planOf(1, 100)));
  const node = new SimNode(cluster, 77n, new Snapshot(START, 1, confState([77n]), Buffer.from('0 ')));
  node.start(new Prng(1));
  node.takes(undefined, [first]);
  expect(() => node.takes(undefined, [first])).toThrow('R8: 77 is to apply 4 after 4');
  expect(() => node.takes(undefined, [new Entry(1, START + 3)])).toThrow('R8: 77 is to apply 6 after 4');
});
