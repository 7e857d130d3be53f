/**
 * Every kind of operation of a member's disk fails once, with EIO and with ENOSPC: whatever the member does then, a start
 * on what the disk has left finds all that was acknowledged. A failed sync or write of data ends the member.
 */
import { describe, expect, test } from '@jest/globals';
import { crashAtEnd } from './campaign.ts';
import { Reference } from './reference.ts';
import { MANY_SEGMENTS, recordFaulty, type Shape } from './scripts.ts';

/** Before the script turns users on. */
const OPERATIONS = 41;
const SHAPE: Shape = { ...MANY_SEGMENTS, config: { ...MANY_SEGMENTS.config, snapshotCount: 15 } };

/** "sync …/0000000000000003-0000000000000012.wal" and the like, without what differs. */
function kindOf(what: string): string {
  return what.replaceAll(/[0-9a-f]{16}/g, '#').replaceAll(/\d+/g, 'n');
}

/** Of no data that was promised: the zeros of a segment that is not used yet, what is no longer needed. */
const SPARE = /^(write|sync|create) .*\/n\.tmp$|^remove|index\.checkpoint/;

const whole = await recordFaulty(OPERATIONS, SHAPE, () => undefined);
const kinds = [...new Set(whole.asked.map(kindOf))];

test('the script asks for everything', () => {
  expect(whole.failure).toBeUndefined();
  for (const kind of [
    'sync /mn/member/wal/n.tmp',
    'syncDirectory /mn/member/wal',
    'rename /mn/member/snap/#-#.snap',
    'batch backend n',
    'truncate /mn/member/wal/n.tmp',
  ])
    expect(kinds).toContain(kind);
});

describe.each(kinds)('%s', (kind) => {
  test.each(['EIO', 'ENOSPC'])('%s', async (code) => {
    const places = whole.asked.flatMap((what, number) => (kindOf(what) === kind ? [number] : []));
    for (const nth of new Set([0, Math.floor(places.length / 2)])) {
      let met = 0;
      let hit = false;
      const faulty = await recordFaulty(OPERATIONS, SHAPE, (_number, what) => {
        if (kindOf(what) !== kind || met++ !== nth) return undefined;
        hit = true;
        return code;
      });
      // How many of them there are depends on the clock.
      if (hit && !SPARE.test(kind)) expect(faulty.failure?.message).toContain(code);
      // The member that never began writes what the whole one wrote first.
      const reference = await Reference.of([whole.recorder.recorded, faulty.recorder.recorded]);
      expect(await crashAtEnd(faulty, reference)).toEqual([]);
    }
  });
});
