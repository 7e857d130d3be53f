import { expect, test } from '@jest/globals';
import { compare } from '@keelson/client';
import { CtlError } from '../ctl-error.ts';
import { wordsOf } from '../words.ts';
import { parseCompare } from './txn.ts';

test.each([
  ['val("k") = "v"', compare.value('k', '=', 'v')],
  ['value("k")!="v"', undefined],
  ['value("k") != "a b"', compare.value('k', '!=', 'a b')],
  ['ver("k") > "1"', compare.version('k', '>', 1)],
  ['version("k") > "1"', compare.version('k', '>', 1)],
  ['c("k") < "7"', compare.createRevision('k', '<', 7)],
  ['create("k") < "7"', compare.createRevision('k', '<', 7)],
  ['m("k") = "0"', compare.modRevision('k', '=', 0)],
  ['mod("k") = "99999999999999999"', compare.modRevision('k', '=', Number.MAX_SAFE_INTEGER)],
  ['lease("k") = "694da1fc4a7cd10c"', compare.lease('k', '=', 0x694da1fc4a7cd10cn)],
  [String.raw`val("\xff\x00") = "\xe4"`, compare.value(Buffer.from([255, 0]), '=', Buffer.from([0xe4]))],
  ['mod("k") ~ "0"', undefined],
  ['mod("k") = "x"', undefined],
  ['mod("k"', undefined],
  ['mod', undefined],
])('parseCompare: %s', (line, want) => {
  if (want === undefined) expect(() => parseCompare(line)).toThrow(CtlError);
  else expect(parseCompare(line)).toEqual(want);
});

test.each<[string, string[]]>([
  ['put k v', ['put', 'k', 'v']],
  ['put "a b" \'c "d"\'', ['put', 'a b', 'c "d"']],
  [String.raw`put "\u4e2d\n" x`, ['put', '中\n', 'x']],
  ['', []],
  ['  ', []],
])('wordsOf(%j)', (line, want) => {
  expect(wordsOf(line)).toEqual(want);
});

test('a word that Go cannot read is an error', () => {
  expect(() => wordsOf(String.raw`put "\q"`)).toThrow(CtlError);
});
