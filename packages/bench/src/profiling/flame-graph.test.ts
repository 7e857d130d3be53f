import { expect, test } from '@jest/globals';
import { flameGraph } from './flame-graph.ts';
import { busyOnly, mergeStacks, placeOf, type CpuProfile, type Frame } from './stacks.ts';

const at = (functionName: string, url = '', lineNumber = -1): CpuProfile['nodes'][number]['callFrame'] => ({
  functionName,
  url,
  lineNumber,
});

/** root ─ a ─ b, root ─ c ─ a ─ b, and the same a once more by another node; GC and idle beside. */
const profile: CpuProfile = {
  startTime: 1000,
  endTime: 1000 + 60,
  nodes: [
    { id: 1, callFrame: at('(root)'), children: [2, 4, 7, 8, 9] },
    { id: 2, callFrame: at('a', 'file:///x/packages/rpc/dist/a.js', 9), children: [3] },
    { id: 3, callFrame: at('', 'file:///x/packages/raft/src/b.ts', 0) },
    { id: 4, callFrame: at('c', 'node:net', 5), children: [5] },
    { id: 5, callFrame: at('a', 'file:///x/packages/rpc/dist/a.js', 9) },
    { id: 7, callFrame: at('(garbage collector)') },
    { id: 8, callFrame: at('(idle)') },
    { id: 9, callFrame: at('a', 'file:///x/packages/rpc/dist/a.js', 9) },
  ],
  samples: [2, 3, 5, 7, 8, 9],
  timeDeltas: [10, 10, 10, 10, 10, 10],
};

const tree = (frame: Frame): unknown => [
  `${frame.name} ${frame.total}`,
  ...Array.from(frame.children.values(), tree),
];

test('equal calls on equal callers are one frame; a caller has the time of what it called', () => {
  expect(tree(mergeStacks(profile))).toEqual([
    'all 60',
    ['a 30', ['(anonymous) 10']],
    ['c 10', ['a 10']],
    ['(garbage collector) 10'],
    ['(idle) 10'],
  ]);
});

test('only samples of the span count', () => {
  expect(tree(mergeStacks(profile, [1015, 1035]))).toEqual([
    'all 20',
    ['a 10', ['(anonymous) 10']],
    ['c 10', ['a 10']],
  ]);
});

test('a sample of an unknown node is no profile', () => {
  expect(() => mergeStacks({ ...profile, samples: [77, 2, 2, 2, 2, 2] })).toThrow(/names node 77/);
});

test('idle time is taken out and told', () => {
  const { root, busyShare } = busyOnly(mergeStacks(profile));
  expect(root.total).toBe(50);
  expect([...root.children.values()].map(({ name }) => name)).not.toContain('(idle)');
  expect(busyShare).toBeCloseTo(5 / 6, 9);
});

test.each<[string, number, string]>([
  ['', -1, ''],
  ['node:internal/timers', 12, 'node:internal/timers:13'],
  ['file:///home/x/packages/store/dist/mvcc/store.js', 0, 'store/mvcc/store.js:1'],
  ['file:///home/x/proto/gen/kv.ts', 4, 'proto/kv.ts:5'],
  ['file:///home/x/node_modules/level/index.js', 1, 'level/index.js:2'],
])('place of %s', (url, lineNumber, want) => {
  expect(placeOf({ functionName: 'f', url, lineNumber })).toBe(want);
});

test('widths are shares of time; titles are whole, labels cut to fit, markup escaped', () => {
  const child = (name: string, total: number): Frame => ({
    name,
    place: 'rpc/x.js:1',
    total,
    children: new Map(),
  });
  const children = new Map([
    ['wide', child('a<b>', 750)],
    ['narrow', child('aVeryLongNameThatDoesNotFit', 40)],
    ['dust', child('dust', 0.1)],
  ]);
  const svg = flameGraph({
    title: 'T',
    subtitle: 'S',
    root: { name: 'busy', place: '', total: 1000, children },
  });
  expect(svg).toContain('<title>a&lt;b&gt; (rpc/x.js:1): 75.0 %, 0.750 ms</title>');
  expect(svg).toContain('>aVery…<');
  expect(svg).not.toContain('dust');
  const widths = [...svg.matchAll(/class="c3" x="([\d.]+)" y="-17" width="([\d.]+)"/g)].map((m) =>
    m.slice(1).map(Number),
  );
  expect(widths).toEqual([
    [10, 884.5],
    [895, 46.7],
  ]);
  expect(svg).not.toMatch(/<script|NaN|undefined/);
});

test('a profile without samples is an empty picture', () => {
  const svg = flameGraph({
    title: 'T',
    subtitle: '',
    root: mergeStacks({ ...profile, samples: [], timeDeltas: [] }),
  });
  expect(svg).toContain('</svg>');
  expect(svg).not.toMatch(/NaN|Infinity/);
});
