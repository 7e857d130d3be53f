import { expect, test } from '@jest/globals';
import fc from 'fast-check';

import { KubeError } from './kube-error.ts';
import { WatchFrames } from './watch-frames.ts';

const event = (name: string): string => JSON.stringify({ type: 'ADDED', object: { metadata: { name } } });

test('events are the same however the network cuts them', () => {
  const names = ['a', 'täglich', '日本', 'b\nc'];
  const bytes = Buffer.from(`${names.map((name) => event(name)).join('\n')}\n\n`);
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length), { maxLength: 8 }), (cuts) => {
      const frames = new WatchFrames();
      const edges = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
      const events = edges.slice(1).flatMap((end, i) => frames.push(bytes.subarray(edges[i], end)));
      expect(events.map(({ object }) => object.metadata.name)).toEqual(names);
    }),
    { seed: 11 },
  );
});

test('a Status needs no metadata', () => {
  const [found] = new WatchFrames().push(Buffer.from('{"type":"ERROR","object":{"code":410}}\n'));
  expect(found).toEqual({ type: 'ERROR', object: { code: 410, metadata: {} } });
});

test.each([
  ['no JSON', 'hello'],
  ['no event', '{"kind":"Pod"}'],
  ['an unknown type', '{"type":"GONE","object":{"metadata":{}}}'],
  ['no object', '{"type":"ADDED"}'],
])('%s ends the watch', (_name, line) => {
  expect(() => new WatchFrames().push(Buffer.from(`${line}\n`))).toThrow(KubeError);
});

test('a line without an end is not kept for ever', () => {
  const frames = new WatchFrames();
  const chunk = Buffer.alloc(1 << 20, 'x');
  expect(() => {
    for (let i = 0; i < 17; i += 1) frames.push(chunk);
  }).toThrow('too large');
});
