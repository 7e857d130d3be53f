/** Histories that look wrong and are not: what a checker once called broken stays here. */
import { expect, test } from '@jest/globals';
import { checkHistory } from '../../src/checker/check-history.ts';
import { verdictText } from '../../src/checker/verdict.ts';
import type { History } from '../../src/history/record.ts';
import { HistoryRecorder } from '../../src/history/recorder.ts';
import type { Response } from '../../src/history/request.ts';

const READ = { kind: 'range', key: 'k' } as const;
const NOTHING: Response = { kind: 'range', revision: 1 };

function recorded(write: (recorder: HistoryRecorder) => void): History {
  let ms = 0;
  const recorder = new HistoryRecorder({ nowMs: () => ms++ });
  write(recorder);
  return recorder.finish();
}

/** A learner is added, starts, and is read from; `learns` says where it comes to know what it is. */
function learner(learns: 'before the read' | 'by a refusal' | 'in the read' | 'in an earlier life'): History {
  return recorded((recorder) => {
    recorder.call({ client: 1 }, { kind: 'memberAdd', member: 'd', learner: true }).ok({ kind: 'memberAdd' });
    recorder.fact({ type: 'start', member: 'd' });
    const asker = { client: 1, member: 'd' };
    if (learns === 'by a refusal')
      recorder
        .call(asker, READ)
        .failed('FailedPrecondition', 'etcdserver: rpc not supported for learner');
    if (learns === 'before the read' || learns === 'in an earlier life')
      recorder.fact({ type: 'learns', member: 'd' });
    if (learns === 'in an earlier life') {
      recorder.fact({ type: 'crash', member: 'd' });
      recorder.fact({ type: 'start', member: 'd' });
    }
    const read = recorder.call(asker, READ);
    if (learns === 'in the read') recorder.fact({ type: 'learns', member: 'd' });
    read.ok(NOTHING);
  });
}

test.each([
  ['before the read', /^broken: .*M3/],
  ['by a refusal', /^broken: .*M3/],
  ['in the read', /^ok: /],
  ['in an earlier life', /^ok: /],
] as const)('a learner answers a read, and knows what it is: %s', (learns, says) => {
  expect(verdictText(checkHistory(learner(learns)))).toMatch(says);
});
