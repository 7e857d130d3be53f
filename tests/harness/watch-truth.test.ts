import { describe, expect, test } from '@jest/globals';
import { judgeCache, judgeWatch, type Observation, type TruthEvent } from './watch-truth.ts';

const A = 'n/a';
const B = 'n/b';
const put = (revision: number, key: string, color = ''): TruthEvent => ({
  revision,
  key,
  labels: color === '' ? {} : { color },
});
const gone = (revision: number, key: string): TruthEvent => ({ revision, key, labels: undefined });
type Event = Extract<Observation, { kind: 'event' }>;
const event = (type: Event['type'], key: string, revision: number): Event => ({
  kind: 'event',
  type,
  key,
  revision,
});
const state = (revision: number, objects: Record<string, number>): Observation => ({
  kind: 'state',
  revision,
  objects: new Map(Object.entries(objects)),
});

const TRUTH = [put(2, A), put(4, B), put(5, A), gone(7, A), put(9, A)];
const ALL = [
  event('ADDED', A, 2),
  event('ADDED', B, 4),
  event('MODIFIED', A, 5),
  event('DELETED', A, 7),
  event('ADDED', A, 9),
];

describe('a watch', () => {
  test.each<[string, Observation[], string[]]>([
    ['from the beginning', [state(1, {}), ...ALL], []],
    ['from a state between', [state(6, { [A]: 5, [B]: 4 }), ...ALL.slice(3)], []],
    [
      'that was told of another state later',
      [state(1, {}), ...ALL.slice(0, 2), state(8, { [B]: 4 }), ...ALL.slice(4)],
      [],
    ],
    [
      'that missed one',
      [state(1, {}), ...ALL.slice(0, 2), ...ALL.slice(3)],
      ['1 events are missing before DELETED n/a at 7, from MODIFIED n/a at 5 on'],
    ],
    [
      'that missed the end',
      [state(1, {}), ...ALL.slice(0, 4)],
      ['1 events are missing at the end, from ADDED n/a at 9 on'],
    ],
    [
      'that saw one twice',
      [state(1, {}), ...ALL.slice(0, 2), ...ALL.slice(1)],
      ['ADDED n/b at 4 came twice'],
    ],
    [
      'that saw what did not happen',
      [state(1, {}), ...ALL.slice(0, 1), event('MODIFIED', A, 3), ...ALL.slice(1)],
      ['MODIFIED n/a at 3 never happened; ADDED n/b at 4 was next'],
    ],
    [
      'whose state is wrong',
      [state(6, { [A]: 2, c: 1 }), ...ALL.slice(3)],
      [
        'the state at 6 has n/a at 2, not at 5',
        'the state at 6 has n/b at undefined, not at 4',
        'the state at 6 has c, which was not there',
      ],
    ],
    ['without a state', [ALL[0]], ['ADDED n/a at 2 before any state', 'no state was ever told']],
  ])('%s', (_name, observations, broken) => {
    expect(judgeWatch(TRUTH, observations).broken).toEqual(broken);
  });

  test('of a selection sees objects come and go with their labels', () => {
    const truth = [put(2, A, 'red'), put(3, A, 'blue'), put(4, A, 'blue'), put(5, A, 'red'), gone(6, A)];
    const red = (labels: Readonly<Record<string, string>>): boolean => labels['color'] === 'red';
    const seen = [event('ADDED', A, 2), event('DELETED', A, 3), event('ADDED', A, 5), event('DELETED', A, 6)];
    expect(judgeWatch(truth, [state(1, {}), ...seen], red)).toEqual({ broken: [], events: 4, states: 1 });
  });
});

describe('a cache', () => {
  test.each<[string, Event[], Record<string, number>, string[]]>([
    ['that heard all', ALL, { [A]: 9, [B]: 4 }, []],
    [
      'that heard what a list told it',
      [event('ADDED', A, 5), event('ADDED', B, 4), event('MODIFIED', A, 9)],
      { [A]: 9, [B]: 4 },
      [],
    ],
    [
      'that heard one twice',
      [event('ADDED', B, 4), event('MODIFIED', B, 4), ...ALL.slice(4)],
      { [A]: 9, [B]: 4 },
      ['MODIFIED n/b at 4 after revision 4'],
    ],
    [
      'that heard an older one',
      [event('ADDED', A, 5), event('MODIFIED', A, 2), event('ADDED', B, 4)],
      { [A]: 9, [B]: 4 },
      ['MODIFIED n/a at 2 after revision 5'],
    ],
    [
      'that holds what is gone',
      ALL.slice(0, 2),
      { [A]: 2, [B]: 4 },
      [`the state at ${Number.MAX_SAFE_INTEGER} has n/a at 2, not at 9`],
    ],
  ])('%s', (_name, heard, cache, broken) => {
    expect(judgeCache(TRUTH, heard, new Map(Object.entries(cache))).broken).toEqual(broken);
  });
});
