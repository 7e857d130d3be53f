/** What comparing leaves out of an output, where leaving out too much would hide a line. */
import { expect, test } from '@jest/globals';
import { normalize } from './normalize.ts';

const BAR = '\r 59 / 60   98.33% 00m01s\r 59 / 60   98.33%';
const LAST = '\r 60 / 60  100.00% 1m0s\n';
const SAID = ['Compacting with revision 7', 'Compacted with revision 7', ''];

test.each([
  ['before the next line', `${BAR}${LAST}Compacting with revision 7\nCompacted with revision 7\n`],
  ['around the next line', `${BAR}Compacting with revision 7\n${LAST}Compacted with revision 7\n`],
  ['after both lines', `${BAR}Compacting with revision 7\nCompacted with revision 7\n${LAST}`],
])('the last frame of the moving line may come %s', (_where, output) => {
  expect(normalize(output, [])).toEqual(SAID);
});

test('an id that etcdctl pads, for it has fewer than 16 digits, is as any other', () => {
  const words: [string, string][] = [
    ['abc', '<member learner hex>'],
    ['def', '<cluster hex>'],
  ];
  expect(normalize('Member   abc updated in cluster  def', words)).toEqual(
    normalize('Member abc updated in cluster def', words),
  );
});
