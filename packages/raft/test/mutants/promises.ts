/**
 * Seeded bugs of what must be durable before it is said: votes, acknowledgements, the leader's own copy.
 * The driver only does what a Ready says, so here the Ready says it wrongly.
 */
import { ALL, type Mutant } from './mutant.ts';

export const PROMISES: readonly Mutant[] = [
  {
    name: 'vote-leaves-before-it-is-durable',
    rows: [1],
    law: 'R6',
    file: 'state.ts',
    find: '        this.afterAppend.push(message);',
    replace: `        if (message.type === MessageType.VoteResp && message.to !== this.id) this.messages.push(message);
        else this.afterAppend.push(message);`,
    suites: ALL,
  },
  {
    name: 'own-vote-counts-before-it-is-durable',
    rows: [1],
    law: 'R6',
    file: 'election.ts',
    find: '      state.send(new Message(voteResponseType(type), { to: id, term }));',
    replace: `      state.tracker.recordVote(id, true);
      state.send(new Message(voteResponseType(type), { to: id, term }));`,
    suites: ALL,
  },
  {
    name: 'vote-forgotten-within-its-term',
    rows: [1],
    law: 'R6',
    file: 'state.ts',
    find: `    if (this.term !== term) {
      this.term = term;`,
    replace: `    {
      this.term = term;`,
    suites: ALL,
  },
  {
    name: 'vote-alone-is-not-written',
    rows: [1],
    law: 'R6',
    file: 'raw-node.ts',
    find: `      hardState.term !== state.term ||
      hardState.vote !== state.vote
`,
    replace: `      hardState.term !== state.term
`,
    suites: ALL,
  },
  {
    name: 'vote-alone-needs-no-sync',
    rows: [1],
    law: 'R6',
    file: 'raw-node.ts',
    find: `      (hardState !== undefined &&
        (hardState.term !== this.hardState.term || hardState.vote !== this.hardState.vote));`,
    replace: '      (hardState !== undefined && hardState.term !== this.hardState.term);',
    suites: ALL,
  },
  {
    name: 'acknowledgement-leaves-before-it-is-durable',
    rows: [2],
    law: 'R6',
    file: 'state.ts',
    find: '        this.afterAppend.push(message);',
    replace: `        if (message.type === MessageType.AppResp && message.to !== this.id) this.messages.push(message);
        else this.afterAppend.push(message);`,
    suites: ALL,
  },
  {
    name: 'entries-need-no-sync',
    rows: [2],
    law: 'R6',
    file: 'raw-node.ts',
    find: `      entries.length > 0 ||
      (hardState !== undefined &&`,
    replace: `      (hardState !== undefined &&`,
    suites: ALL,
  },
  {
    name: 'promise-joins-a-write-in-flight',
    rows: [2],
    law: 'R6',
    file: 'raw-node.ts',
    find: `        state.afterAppend = [];
        append = {`,
    replace: `        if (responses.length > 0) state.afterAppend = [];
        append = {`,
    suites: ALL,
  },
  {
    name: 'write-of-replaced-entries-counts',
    rows: [2],
    law: 'R6',
    file: 'unstable.ts',
    find: '    if (ours !== term) {',
    replace: '    if (ours < term) {',
    suites: ALL,
  },
  {
    name: 'write-of-an-earlier-term-counts',
    rows: [2],
    law: 'R6',
    file: 'raft.ts',
    find: `    if (message.index !== 0) {
      // A later leader`,
    replace: `    if (message.index !== 0) {
      state.log.stableTo(message.index, message.logTerm);
      // A later leader`,
    suites: ALL,
  },
  {
    name: 'replacing-entries-are-never-written',
    rows: [2],
    law: 'R6',
    file: 'unstable.ts',
    find: '      if (this.offsetInProgress > first) this.offsetInProgress = first;\n',
    replace: '',
    suites: ALL,
  },
  {
    name: 'leader-counts-its-own-unwritten-copy',
    rows: [3],
    law: 'R7',
    file: 'replication.ts',
    find: '  const committed = state.tracker.committed();\n',
    replace: `  const own = state.tracker.get(state.id);
  const match = own?.match ?? 0;
  if (own !== undefined) own.match = state.log.lastIndex();
  const committed = state.tracker.committed();
  if (own !== undefined) own.match = match;
`,
    suites: ALL,
  },
  {
    name: 'single-voter-commits-before-its-write',
    rows: [3],
    law: 'R7',
    file: 'state.ts',
    find: '    const last = this.log.append(entries);\n',
    replace: `    const last = this.log.append(entries);
    if (this.tracker.isSingleton(this.id)) this.log.commitTo(last);
`,
    suites: ALL,
  },
  {
    name: 'entries-are-applied-before-their-write',
    rows: [3],
    law: 'R8',
    file: 'log.ts',
    find: '    return stable < this.committed ? stable : this.committed;',
    replace: '    return stable < 0 ? stable : this.committed;',
    suites: ALL,
  },
];
