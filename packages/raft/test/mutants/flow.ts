/** Seeded bugs of flow: followers that are never sent to again, proposals refused for ever, failed transfers. */
import { ALL, type Mutant } from './mutant.ts';

export const FLOW: readonly Mutant[] = [
  {
    name: 'next-stays-behind-the-match',
    rows: [24],
    law: 'L',
    file: 'progress.ts',
    find: '    if (this.next <= index) this.next = index + 1;\n',
    replace: '',
    suites: ALL,
  },
  {
    name: 'window-is-never-freed',
    rows: [24],
    law: 'L',
    file: 'leader.ts',
    find: '    progress.inflights.freeTo(message.index);\n',
    replace: '',
    suites: ALL,
  },
  {
    name: 'bytes-of-the-window-are-never-freed',
    rows: [24],
    law: 'L',
    file: 'inflights.ts',
    find: '      this.bytes -= this.sizes[this.start];\n',
    replace: '',
    suites: ALL,
  },
  {
    name: 'acknowledgement-frees-one-append-only',
    rows: [24],
    law: 'L',
    file: 'inflights.ts',
    find: '    while (this.count > 0 && this.indexes[this.start] <= index) {',
    replace: '    if (this.count > 0 && this.indexes[this.start] <= index) {',
    suites: ALL,
  },
  {
    name: 'lost-probe-is-never-repeated',
    rows: [24],
    law: 'L',
    file: 'leader.ts',
    find: `  progress.recentActive = true;
  progress.appendPaused = false;`,
    replace: '  progress.recentActive = true;',
    suites: ALL,
  },
  {
    name: 'uncommitted-size-survives-an-election',
    rows: [25],
    law: 'L',
    file: 'state.ts',
    find: '    this.uncommittedSize = 0;\n',
    replace: '',
    suites: ALL,
  },
  {
    name: 'uncommitted-size-is-never-released',
    rows: [25],
    law: 'L',
    file: 'raft.ts',
    find: '  state.releaseUncommitted(payloadsSize(entries));\n',
    replace: '',
    suites: ALL,
  },
  {
    name: 'refused-proposals-are-charged',
    rows: [25],
    law: 'L',
    file: 'state.ts',
    find: `      return false;
    }
    this.uncommittedSize += payload;`,
    replace: `      this.uncommittedSize += payload;
      return false;
    }
    this.uncommittedSize += payload;`,
    suites: ALL,
  },
  {
    name: 'transfer-never-times-out',
    rows: [26],
    law: 'L',
    file: 'raft.ts',
    find: '    state.leadTransferee = NONE;\n',
    replace: '',
    suites: ALL,
  },
  {
    name: 'transfer-to-a-removed-node-goes-on',
    rows: [26],
    law: 'L',
    file: 'membership.ts',
    find: '  if (state.leadTransferee !== NONE && !tracker.isVoter(state.leadTransferee)) state.leadTransferee = NONE;\n',
    replace: '',
    suites: ALL,
  },
  {
    name: 'transfer-does-not-wait-for-the-lagging',
    rows: [26],
    law: 'L',
    file: 'leader.ts',
    find: `  state.leadTransferee = progress.id;
  if (progress.match === state.log.lastIndex()) {`,
    replace: `  state.leadTransferee = progress.id;
  if (progress.match <= state.log.lastIndex()) {`,
    suites: ALL,
  },
  {
    name: 'transfer-to-a-learner-begins',
    rows: [12, 26],
    law: 'L',
    file: 'leader.ts',
    find: '  if (progress.isLearner) {\n',
    replace: '  if (progress.isLearner && progress.match < 0) {\n',
    suites: ALL,
  },
];
