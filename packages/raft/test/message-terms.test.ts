/**
 * Every message at a lower, at the same and at a higher term, in every role: what a node answers and what
 * becomes of it (Raft §5.1; the rules are those of Step in etcd-io/raft). Node 1 of three is real and in
 * term 5; it follows, has deposed, or leads by the vote of, node 2. The message comes from 3.
 */
import { Prng, silentLogger } from '@keelson/base';
import { describe, expect, test } from '@jest/globals';
import {
  EMPTY_CONF_STATE,
  Entry,
  EntryType,
  MemoryStorage,
  Message,
  type MessageFields,
  MessageType,
  NONE,
  RawNode,
  Role,
  Snapshot,
} from '../src/index.ts';

const ROLES = ['follower', 'candidate', 'leader', 'pre-candidate'] as const;
const TERM = 5;
const NAMES = Object.keys(MessageType);

interface Options {
  readonly checkQuorum?: boolean;
  readonly preVote?: boolean;
}

class Subject {
  readonly storage = new MemoryStorage();
  readonly node: RawNode;

  constructor(role: string, options: Options) {
    this.storage.applySnapshot(new Snapshot(10, 1, { ...EMPTY_CONF_STATE, voters: [1n, 2n, 3n] }));
    this.storage.append([new Entry(4, 11)]);
    this.storage.setHardState({ term: TERM - 1, vote: 0n, commit: 11 });
    this.node = new RawNode({
      id: 1n,
      electionTick: 10,
      heartbeatTick: 1,
      storage: this.storage,
      applied: 11,
      prng: new Prng(1),
      logger: silentLogger,
      ...options,
    });
    this.become(role);
  }

  private become(role: string): void {
    const { node } = this;
    const hear = (type: MessageType, fields: MessageFields = {}): void => {
      node.step(new Message(type, { from: 2n, to: 1n, term: TERM, ...fields }));
      this.flush();
    };
    if (role === 'candidate' || role === 'leader') {
      node.campaign();
      this.flush();
      if (role === 'candidate' && node.basicStatus().role === Role.PreCandidate)
        hear(MessageType.PreVoteResp);
      if (role === 'candidate') return;
      if (node.basicStatus().role === Role.PreCandidate) hear(MessageType.PreVoteResp);
      hear(MessageType.VoteResp);
      hear(MessageType.AppResp, { index: 12 });
    } else {
      hear(MessageType.Vote, { index: 11, logTerm: 4 });
      hear(MessageType.Heartbeat);
      if (role === 'pre-candidate') node.campaign();
      this.flush();
    }
  }

  /** Does all work at once; what is said to others meanwhile. */
  flush(): string[] {
    const sent: Message[] = [];
    const reads: string[] = [];
    while (this.node.hasReady()) {
      const { append, apply, messages, readStates } = this.node.ready();
      sent.push(...messages);
      for (const read of readStates) reads.push(`read ${read.index}`);
      if (append !== undefined) {
        if (append.hardState !== undefined) this.storage.setHardState(append.hardState);
        if (append.snapshot !== undefined) this.storage.applySnapshot(append.snapshot);
        this.storage.append(append.entries);
        for (const response of append.responses) {
          if (response.to === 1n) this.node.step(response);
          else sent.push(response);
        }
      }
      for (const response of apply?.responses ?? []) this.node.step(response);
    }
    return [...sent.map(short), ...reads];
  }

  state(): string {
    const { role, term, lead, vote } = this.node.basicStatus();
    return `${ROLES[role]} ${term}${lead === NONE ? '' : ` of ${lead}`}${vote === NONE ? '' : ` voted ${vote}`}`;
  }
}

/** AppResp/5>3 12 no: type, term, to whom, index, rejecting; what is 0 is left out. */
function short(message: Message): string {
  const index = message.index === 0 ? '' : ` ${message.index}`;
  const term = message.term === 0 ? '' : `/${message.term}`;
  return `${NAMES[message.type]}${term}>${message.to}${index}${message.reject ? ' no' : ''}`;
}

const READ = [new Entry(0, 0, EntryType.Normal, Buffer.from('r'))];
const MEMBERS = { ...EMPTY_CONF_STATE, voters: [1n, 2n, 3n] };

/** What is heard, given its term and where the hearer's log ends. */
const HEARD: Readonly<Record<string, (term: number, index: number, logTerm: number) => MessageFields>> = {
  Prop: () => ({ entries: READ }),
  App: (term, index, logTerm) => ({ index, logTerm, entries: [new Entry(term, index + 1)], commit: index }),
  'App after a gap': (_term, index, logTerm) => ({ index: index + 5, logTerm }),
  AppResp: (_term, index) => ({ index }),
  'AppResp no': (_term, index) => ({ index, reject: true, rejectHint: index - 1 }),
  Vote: (_term, index) => ({ index: index + 9, logTerm: 9 }),
  'Vote for an old log': () => ({ index: 1, logTerm: 1 }),
  'Vote in a transfer': (_term, index) => ({ index, logTerm: 9, context: Buffer.from('CampaignTransfer') }),
  VoteResp: () => ({}),
  'VoteResp no': () => ({ reject: true }),
  Snap: (term) => ({ snapshot: new Snapshot(20, term, MEMBERS) }),
  Heartbeat: (_term, index) => ({ commit: index }),
  HeartbeatResp: () => ({}),
  TransferLeader: () => ({}),
  TimeoutNow: () => ({}),
  ReadIndex: () => ({ entries: READ }),
  ReadIndexResp: () => ({ index: 11, entries: READ }),
  PreVote: (_term, index) => ({ index: index + 9, logTerm: 9 }),
  'PreVote for an old log': () => ({ index: 1, logTerm: 1 }),
  PreVoteResp: () => ({}),
  'PreVoteResp no': () => ({ reject: true }),
  ForgetLeader: () => ({}),
};

function typeOf(heard: string): MessageType {
  return NAMES.indexOf(heard.split(' ')[0] ?? '') as MessageType;
}

/** What becomes of the node, what it answers, and what it says and reads; '-' for nothing at all. */
function hear(role: string, options: Options, heard: string, term: number): string {
  const subject = new Subject(role, options);
  const before = subject.state();
  const index = subject.storage.lastIndex();
  const fields = HEARD[heard]?.(term, index, Number(subject.storage.term(index)));
  const outcome = subject.node.step(new Message(typeOf(heard), { from: 3n, to: 1n, term, ...fields }));
  const said = subject.flush();
  const after = subject.state();
  return (
    [after === before ? '' : after, outcome === 'ok' ? '' : outcome, ...said].filter(Boolean).join('; ') ||
    '-'
  );
}

/** Rows: what is heard | at term 4 | at term 5, the node's own | at term 6. */
const TABLE: Readonly<Record<string, string>> = {
  follower: `
    Prop                   | -                  | Prop>2                                        | follower 6; dropped
    App                    | -                  | follower 5 of 3 voted 2; AppResp/5>3 12       | follower 6 of 3; AppResp/6>3 12
    App after a gap        | -                  | follower 5 of 3 voted 2; AppResp/5>3 16 no    | follower 6 of 3; AppResp/6>3 16 no
    AppResp                | -                  | -                                             | follower 6
    AppResp no             | -                  | -                                             | follower 6
    Vote                   | -                  | VoteResp/5>3 no                               | follower 6 voted 3; VoteResp/6>3
    Vote for an old log    | -                  | VoteResp/5>3 no                               | follower 6; VoteResp/6>3 no
    Vote in a transfer     | -                  | VoteResp/5>3 no                               | follower 6 voted 3; VoteResp/6>3
    VoteResp               | -                  | -                                             | follower 6
    VoteResp no            | -                  | -                                             | follower 6
    Snap                   | -                  | follower 5 of 3 voted 2; AppResp/5>3 20       | follower 6 of 3; AppResp/6>3 20
    Heartbeat              | -                  | follower 5 of 3 voted 2; HeartbeatResp/5>3    | follower 6 of 3; HeartbeatResp/6>3
    HeartbeatResp          | -                  | -                                             | follower 6
    TransferLeader         | -                  | TransferLeader/5>2                            | follower 6
    TimeoutNow             | -                  | candidate 6 voted 1; Vote/6>2 11; Vote/6>3 11 | candidate 7 voted 1; Vote/7>2 11; Vote/7>3 11
    ReadIndex              | -                  | ReadIndex>2                                   | follower 6
    ReadIndexResp          | -                  | read 11                                       | follower 6; read 11
    PreVote                | PreVoteResp/5>3 no | PreVoteResp/5>3 no                            | PreVoteResp/6>3
    PreVote for an old log | PreVoteResp/5>3 no | PreVoteResp/5>3 no                            | PreVoteResp/5>3 no
    PreVoteResp            | -                  | -                                             | -
    PreVoteResp no         | -                  | -                                             | follower 6
    ForgetLeader           | -                  | follower 5 voted 2                            | follower 6`,
  candidate: `
    Prop                   | -                  | dropped                                       | follower 6; dropped
    App                    | -                  | follower 5 of 3 voted 1; AppResp/5>3 12       | follower 6 of 3; AppResp/6>3 12
    App after a gap        | -                  | follower 5 of 3 voted 1; AppResp/5>3 16 no    | follower 6 of 3; AppResp/6>3 16 no
    AppResp                | -                  | -                                             | follower 6
    AppResp no             | -                  | -                                             | follower 6
    Vote                   | -                  | VoteResp/5>3 no                               | follower 6 voted 3; VoteResp/6>3
    Vote for an old log    | -                  | VoteResp/5>3 no                               | follower 6; VoteResp/6>3 no
    Vote in a transfer     | -                  | VoteResp/5>3 no                               | follower 6 voted 3; VoteResp/6>3
    VoteResp               | -                  | leader 5 of 1 voted 1; App/5>2 11; App/5>3 11 | follower 6
    VoteResp no            | -                  | -                                             | follower 6
    Snap                   | -                  | follower 5 of 3 voted 1; AppResp/5>3 20       | follower 6 of 3; AppResp/6>3 20
    Heartbeat              | -                  | follower 5 of 3 voted 1; HeartbeatResp/5>3    | follower 6 of 3; HeartbeatResp/6>3
    HeartbeatResp          | -                  | -                                             | follower 6
    TransferLeader         | -                  | -                                             | follower 6
    TimeoutNow             | -                  | -                                             | candidate 7 voted 1; Vote/7>2 11; Vote/7>3 11
    ReadIndex              | -                  | -                                             | follower 6
    ReadIndexResp          | -                  | -                                             | follower 6; read 11
    PreVote                | PreVoteResp/5>3 no | PreVoteResp/5>3 no                            | PreVoteResp/6>3
    PreVote for an old log | PreVoteResp/5>3 no | PreVoteResp/5>3 no                            | PreVoteResp/5>3 no
    PreVoteResp            | -                  | -                                             | -
    PreVoteResp no         | -                  | -                                             | follower 6
    ForgetLeader           | -                  | -                                             | follower 6`,
  leader: `
    Prop                   | -                  | App/5>2 12                                    | follower 6; dropped
    App                    | -                  | -                                             | follower 6 of 3; AppResp/6>3 13
    App after a gap        | -                  | -                                             | follower 6 of 3; AppResp/6>3 17 no
    AppResp                | -                  | App/5>3 12                                    | follower 6
    AppResp no             | -                  | -                                             | follower 6
    Vote                   | -                  | VoteResp/5>3 no                               | follower 6 voted 3; VoteResp/6>3
    Vote for an old log    | -                  | VoteResp/5>3 no                               | follower 6; VoteResp/6>3 no
    Vote in a transfer     | -                  | VoteResp/5>3 no                               | follower 6 voted 3; VoteResp/6>3
    VoteResp               | -                  | -                                             | follower 6
    VoteResp no            | -                  | -                                             | follower 6
    Snap                   | -                  | -                                             | follower 6 of 3; AppResp/6>3 20
    Heartbeat              | -                  | -                                             | follower 6 of 3; HeartbeatResp/6>3
    HeartbeatResp          | -                  | App/5>3 11                                    | follower 6
    TransferLeader         | -                  | -                                             | follower 6
    TimeoutNow             | -                  | -                                             | candidate 7 voted 1; Vote/7>2 12; Vote/7>3 12
    ReadIndex              | -                  | Heartbeat/5>2; Heartbeat/5>3                  | follower 6
    ReadIndexResp          | -                  | -                                             | follower 6; read 11
    PreVote                | PreVoteResp/5>3 no | PreVoteResp/5>3 no                            | PreVoteResp/6>3
    PreVote for an old log | PreVoteResp/5>3 no | PreVoteResp/5>3 no                            | PreVoteResp/5>3 no
    PreVoteResp            | -                  | -                                             | -
    PreVoteResp no         | -                  | -                                             | follower 6
    ForgetLeader           | -                  | -                                             | follower 6`,
  'pre-candidate': `
    Prop                   | -                  | dropped                                       | follower 6; dropped
    App                    | -                  | follower 5 of 3 voted 2; AppResp/5>3 12       | follower 6 of 3; AppResp/6>3 12
    App after a gap        | -                  | follower 5 of 3 voted 2; AppResp/5>3 16 no    | follower 6 of 3; AppResp/6>3 16 no
    AppResp                | -                  | -                                             | follower 6
    AppResp no             | -                  | -                                             | follower 6
    Vote                   | -                  | VoteResp/5>3 no                               | follower 6 voted 3; VoteResp/6>3
    Vote for an old log    | -                  | VoteResp/5>3 no                               | follower 6; VoteResp/6>3 no
    Vote in a transfer     | -                  | VoteResp/5>3 no                               | follower 6 voted 3; VoteResp/6>3
    VoteResp               | -                  | -                                             | follower 6
    VoteResp no            | -                  | -                                             | follower 6
    Snap                   | -                  | follower 5 of 3 voted 2; AppResp/5>3 20       | follower 6 of 3; AppResp/6>3 20
    Heartbeat              | -                  | follower 5 of 3 voted 2; HeartbeatResp/5>3    | follower 6 of 3; HeartbeatResp/6>3
    HeartbeatResp          | -                  | -                                             | follower 6
    TransferLeader         | -                  | -                                             | follower 6
    TimeoutNow             | -                  | -                                             | candidate 7 voted 1; Vote/7>2 11; Vote/7>3 11
    ReadIndex              | -                  | -                                             | follower 6
    ReadIndexResp          | -                  | -                                             | follower 6; read 11
    PreVote                | PreVoteResp/5>3 no | PreVoteResp/5>3 no                            | PreVoteResp/6>3
    PreVote for an old log | PreVoteResp/5>3 no | PreVoteResp/5>3 no                            | PreVoteResp/5>3 no
    PreVoteResp            | -                  | candidate 6 voted 1; Vote/6>2 11; Vote/6>3 11 | candidate 6 voted 1; Vote/6>2 11; Vote/6>3 11
    PreVoteResp no         | -                  | -                                             | follower 6
    ForgetLeader           | -                  | -                                             | follower 6`,
};

/** The table's cell, but for what check-quorum and pre-vote change in it. */
function expected(role: string, options: Options, heard: string, term: number, cell: string): string {
  const { checkQuorum, preVote } = options;
  // A leader of a lower term is told that its time has passed.
  const fromLeader = heard.startsWith('App') && !heard.startsWith('AppResp');
  const told = fromLeader || heard === 'Heartbeat';
  if (term < TERM && told && (checkQuorum === true || preVote === true)) return 'AppResp/5>3';
  // Whoever hears from a leader, or is one, does not let himself be asked; only a transfer may.
  const asked = typeOf(heard) === MessageType.Vote || typeOf(heard) === MessageType.PreVote;
  const leased = checkQuorum === true && (role === 'follower' || role === 'leader');
  return term > TERM && asked && leased && heard !== 'Vote in a transfer' ? '-' : cell;
}

describe.each<[string, Options]>([
  ['follower', {}],
  ['follower', { checkQuorum: true }],
  ['follower', { preVote: true }],
  ['candidate', {}],
  ['candidate', { checkQuorum: true }],
  ['candidate', { preVote: true }],
  ['leader', {}],
  ['leader', { checkQuorum: true }],
  ['leader', { preVote: true }],
  ['pre-candidate', { preVote: true }],
  ['pre-candidate', { preVote: true, checkQuorum: true }],
])('%s with %j', (role, options) => {
  const rows = (TABLE[role] ?? '')
    .trim()
    .split('\n')
    .map((row) => row.split('|').map((cell) => cell.trim()));

  test('the table has every message', () => {
    expect(rows.map(([heard]) => heard)).toEqual(Object.keys(HEARD));
  });

  test.each(rows)('hears %s', (heard = '', ...cells) => {
    const terms = [TERM - 1, TERM, TERM + 1];
    expect(terms.map((term) => hear(role, options, heard, term))).toEqual(
      terms.map((term, i) => expected(role, options, heard, term, cells[i] ?? '')),
    );
  });
});

const HEARD_TYPES = new Set(Object.keys(HEARD).map(typeOf));
/** All that the table leaves out is what a node tells only itself. */
const LOCAL_TYPES = Object.values(MessageType).filter((type) => !HEARD_TYPES.has(type));

test.each(LOCAL_TYPES.map((type) => [NAMES[type] ?? '', type] as const))(
  '%s does not come from the network',
  (_name, type) => {
    for (const role of ['follower', 'candidate', 'leader']) {
      for (const term of [0, TERM - 1, TERM, TERM + 1]) {
        const subject = new Subject(role, {});
        const before = subject.state();
        expect(subject.node.step(new Message(type, { from: 3n, to: 1n, term }))).toBe('local-message');
        expect([subject.state(), subject.flush()]).toEqual([before, []]);
      }
    }
  },
);

test.each(['AppResp', 'VoteResp', 'HeartbeatResp', 'ReadIndexResp', 'PreVoteResp'])(
  '%s of a stranger is refused, whatever its term',
  (heard) => {
    for (const term of [TERM - 1, TERM, TERM + 1]) {
      const subject = new Subject('leader', {});
      const before = subject.state();
      const message = new Message(typeOf(heard), { from: 9n, to: 1n, term });
      expect(subject.node.step(message)).toBe('peer-not-found');
      expect([subject.state(), subject.flush()]).toEqual([before, []]);
    }
  },
);
