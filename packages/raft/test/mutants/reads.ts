/** Seeded bugs of reads: answered too early, at too low an index, or on someone else's confirmation. */
import { ALL, type Mutant } from './mutant.ts';

export const READS: readonly Mutant[] = [
  {
    name: 'read-before-the-first-commit-of-the-term',
    rows: [15],
    law: 'R10',
    file: 'read-index.ts',
    find: `  if (!state.committedInTerm()) {
    state.earlyReads.push(request);`,
    replace: `  if (state.log.committed === 0) {
    state.earlyReads.push(request);`,
    suites: ALL,
  },
  {
    name: 'read-at-the-applied-index',
    rows: [15],
    law: 'R10',
    file: 'read-index.ts',
    find: 'state.reads.add(context, request, state.log.committed);',
    replace: 'state.reads.add(context, request, state.log.applied);',
    suites: ALL,
  },
  {
    name: 'late-answer-confirms-a-newer-read',
    rows: [16],
    law: 'R10',
    file: 'read-index.ts',
    find: `  const read = state.reads.acknowledge(message.from, message.context);
  if (read === undefined || state.tracker.quorumOf(read.acks) !== VoteResult.Won) return;
  for (const each of state.reads.release(message.context)) answerPending(state, each);`,
    replace: `  const context = state.reads.newestContext() ?? message.context;
  const read = state.reads.acknowledge(message.from, context);
  if (read === undefined || state.tracker.quorumOf(read.acks) !== VoteResult.Won) return;
  for (const each of state.reads.release(context)) answerPending(state, each);`,
    suites: ALL,
  },
  {
    name: 'read-joins-the-one-in-flight',
    rows: [16],
    law: 'R10',
    file: 'read-queue.ts',
    find: '      if (each === key) break;\n',
    replace: '',
    suites: ALL,
  },
  {
    name: 'read-is-confirmed-by-the-first-answer',
    rows: [16],
    law: 'R10',
    file: 'read-index.ts',
    find: 'state.tracker.quorumOf(read.acks) !== VoteResult.Won) return;',
    replace: 'state.tracker.quorumOf(read.acks) === VoteResult.Lost) return;',
    suites: ALL,
  },
  {
    name: 'read-passed-on-twice-counts-old-answers',
    rows: [16],
    law: 'R10',
    file: 'read-queue.ts',
    find: 'request.from === NONE ? context : this.numbered(context)',
    replace: 'context',
    suites: ALL,
  },
  {
    name: 'read-survives-its-leaders-term',
    rows: [17],
    law: 'R10',
    file: 'state.ts',
    find: '    this.reads.clear();\n',
    replace: '',
    suites: ALL,
  },
  {
    name: 'read-trusts-the-lease',
    rows: [18],
    law: 'R10',
    file: 'read-index.ts',
    find: 'state.config.readOnlyOption === ReadOnlyOption.LeaseBased || state.tracker',
    replace: 'state.config.checkQuorum || state.tracker',
    suites: ALL,
  },
];
