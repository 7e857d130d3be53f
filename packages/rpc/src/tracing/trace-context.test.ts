/** What a caller's headers say, and which of it is believed. */
import { describe, expect, test } from '@jest/globals';
import { Metadata } from '../metadata.ts';
import { Sampler } from './sampler.ts';
import { remoteParent } from './trace-context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

describe('traceparent', () => {
  test.each<[string, string, boolean | undefined]>([
    ['sampled', `00-${TRACE}-${SPAN}-01`, true],
    ['not sampled', `00-${TRACE}-${SPAN}-00`, false],
    ['the random flag', `00-${TRACE}-${SPAN}-02`, false],
    ['flags that version 00 has not', `00-${TRACE}-${SPAN}-04`, undefined],
    ['a later version, with more behind it', `cc-${TRACE}-${SPAN}-09-what-comes`, true],
    ['version 00 with more behind it', `00-${TRACE}-${SPAN}-01-more`, undefined],
    ['the version that is none', `ff-${TRACE}-${SPAN}-01`, undefined],
    ['capitals', `00-${TRACE.toUpperCase()}-${SPAN}-01`, undefined],
    ['no trace', `00-${'0'.repeat(32)}-${SPAN}-01`, undefined],
    ['no span', `00-${TRACE}-${'0'.repeat(16)}-01`, undefined],
    ['cut short', `00-${TRACE}-${SPAN}`, undefined],
    ['empty', '', undefined],
  ])('%s', (_name, traceparent, sampled) => {
    const parent = remoteParent(Metadata.of({ traceparent }));
    expect(parent?.sampled).toBe(sampled);
    if (sampled !== undefined) expect(parent).toMatchObject({ traceId: TRACE, spanId: SPAN, state: '' });
  });

  test('goes with the state, unless that is too long; alone the state says nothing', () => {
    const metadata = Metadata.of({ traceparent: `00-${TRACE}-${SPAN}-01` });
    metadata.add('tracestate', 'a=1');
    metadata.add('tracestate', 'b=2');
    expect(remoteParent(metadata)?.state).toBe('a=1,b=2');
    metadata.add('tracestate', `c=${'x'.repeat(512)}`);
    expect(remoteParent(metadata)?.state).toBe('');
    expect(remoteParent(Metadata.of({ tracestate: 'a=1' }))).toBeUndefined();
  });
});

describe('the sampler', () => {
  const low = `${'f'.repeat(16)}0000000000000000`;
  const middle = `${'0'.repeat(16)}8000000000000000`;
  const high = 'f'.repeat(32);

  test.each<[number, boolean[]]>([
    [0, [false, false, false]],
    [1, [true, false, false]],
    [500_000, [true, false, false]],
    [500_001, [true, true, false]],
    [1_000_000, [true, true, true]],
  ])('%d in a million', (rate, want) => {
    const sampler = new Sampler(rate);
    expect([low, middle, high].map((id) => sampler.sampled(undefined, id))).toEqual(want);
  });

  test.each([0, 1_000_000])('does as its caller at %d in a million', (rate) => {
    const sampler = new Sampler(rate);
    for (const sampled of [true, false])
      expect(sampler.sampled({ traceId: TRACE, spanId: SPAN, sampled, state: '' }, TRACE)).toBe(sampled);
  });
});
