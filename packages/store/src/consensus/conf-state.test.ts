import { describe, expect, test } from '@jest/globals';
import { decodeConfState, encodeConfState } from './conf-state.ts';

const BIG = 0xffff_ffff_ffff_fffen;

// The first three are what etcd 3.5 (gogo) writes, the last what 3.7 (pointers) may.
test.each<[string, string, ReturnType<typeof decodeConfState>]>([
  [
    'voters',
    '{"voters":[1,18446744073709551614],"auto_leave":false}',
    { voters: [1n, BIG], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false },
  ],
  [
    'learners',
    '{"voters":[1],"learners":[2],"auto_leave":false}',
    { voters: [1n], learners: [2n], votersOutgoing: [], learnersNext: [], autoLeave: false },
  ],
  [
    'joint',
    '{"voters":[1],"voters_outgoing":[2,3],"learners_next":[4],"auto_leave":true}',
    { voters: [1n], learners: [], votersOutgoing: [2n, 3n], learnersNext: [4n], autoLeave: true },
  ],
  ['nothing', '{}', { voters: [], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false }],
])('Go’s form of %s', (_name, text, confState) => {
  expect(decodeConfState(text)).toEqual(confState);
  expect(decodeConfState(encodeConfState(confState))).toEqual(confState);
  if (text !== '{}') expect(encodeConfState(confState)).toBe(text);
});

describe('refused', () => {
  test.each([
    ['null', 'null'],
    ['a list', '[]x'],
    ['text in the list', '{"voters":["1"]}'],
    ['no list', '{"learners":1}'],
    ['cut', '{"voters":[1'],
  ])('%s', (_name, text) => {
    expect(() => decodeConfState(text)).toThrow();
  });
});
