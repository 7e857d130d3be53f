import { describe, expect, test } from '@jest/globals';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { Prng, silentLogger } from '@keelson/base';

import { until } from '../../base/test/until.ts';
import { HandClock, settled } from '../test/hand-clock.ts';
import { failure, isList, isWatch, ScriptedTransport, TestStream } from '../test/scripted-transport.ts';
import { MetricSet } from './metrics.ts';
import type { KubeObject } from './objects.ts';
import { Reflector, type ReflectorTarget } from './reflector.ts';
import { RestClient } from './rest-client.ts';

const PODS = { group: '', version: 'v1', resource: 'pods' };

function pod(name: string, resourceVersion: string): KubeObject {
  return { metadata: { name, namespace: 'n', resourceVersion } };
}

function bookmark(resourceVersion: string, end = false): KubeObject {
  return {
    metadata: { resourceVersion, ...(end ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}) },
  };
}

interface Rig {
  readonly clock: HandClock;
  readonly transport: ScriptedTransport;
  readonly reflector: Reflector;
  /** `= a b` for a state, `+ a`, `~ a`, `- a` for changes. */
  readonly told: string[];
}

function rig(target: Partial<ReflectorTarget> = {}): Rig {
  const clock = new HandClock();
  const transport = new ScriptedTransport();
  transport.otherwise = { broken: 'nobody is there' };
  const told: string[] = [];
  const signs = { ADDED: '+', MODIFIED: '~', DELETED: '-' };
  const reflector = new Reflector({
    client: new RestClient({ transport, clock, metrics: new MetricSet(), userAgent: 'test/1' }),
    resource: PODS,
    clock,
    prng: new Prng(1),
    logger: silentLogger,
    target: {
      replace: (objects) => told.push(`= ${objects.map(({ metadata }) => metadata.name).join(' ')}`),
      change: (type, { metadata }) => told.push(`${signs[type]} ${metadata.name}`),
      ...target,
    },
  });
  return { clock, transport, reflector, told };
}

/** Has a streaming list of `a` behind it, at version 10. */
async function streaming(): Promise<Rig & { readonly stream: TestStream }> {
  const made = rig();
  const stream = new TestStream();
  made.transport.once(isWatch, { stream });
  made.reflector.start();
  stream.event('ADDED', pod('a', '7'));
  stream.event('BOOKMARK', bookmark('10', true));
  await settled();
  expect(made.told).toEqual(['= a']);
  return { ...made, stream };
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

describe('a state that comes as a stream', () => {
  test('is not kept by the watch that goes on behind it', async () => {
    const seen: WeakRef<KubeObject>[] = [];
    const { reflector, transport } = rig({
      replace: (objects) => seen.push(...objects.map((object) => new WeakRef(object))),
    });
    const stream = new TestStream();
    transport.once(isWatch, { stream });
    reflector.start();
    stream.event('ADDED', pod('a', '5'));
    stream.event('BOOKMARK', bookmark('8', true));
    await settled();
    expect(seen.map((one) => one.deref()?.metadata.name)).toEqual(['a']);
    // A reader holds what came last.
    stream.event('MODIFIED', pod('a', '9'));
    await settled();
    await until(() => {
      collect();
      return seen.every((one) => one.deref() === undefined);
    }, 'the first state is gone');
    await reflector.stop();
  });

  test('is told when it is whole, then each change', async () => {
    const { reflector, transport, told } = rig();
    const stream = new TestStream();
    transport.once(isWatch, { stream });
    reflector.start();
    stream.event('ADDED', pod('a', '5'));
    stream.event('ADDED', pod('b', '6'));
    stream.event('DELETED', pod('a', '7'));
    await settled();
    expect([told, reflector.synced]).toEqual([[], false]);
    stream.event('BOOKMARK', bookmark('8', true));
    stream.event('ADDED', pod('c', '9'));
    stream.event('MODIFIED', pod('b', '10'));
    stream.event('DELETED', pod('b', '11'));
    stream.event('BOOKMARK', bookmark('12'));
    await settled();
    expect([told, reflector.synced, reflector.lastResourceVersion]).toEqual([
      ['= b', '+ c', '~ b', '- b'],
      true,
      '12',
    ]);
    expect(String(transport.asked[0].query)).toMatch(
      /^timeoutSeconds=\d+&watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan$/,
    );
    await reflector.stop();
    expect(stream.left).toBe(true);
  });

  test.each([400, 405, 406, 422])(
    'that the server refuses with %d is listed instead, in pages',
    async (code) => {
      const { reflector, transport, told, clock } = rig();
      transport
        .once(isWatch, { code, json: failure(code, '', 'no') })
        .once(isList, {
          json: { metadata: { resourceVersion: '4', continue: 'more' }, items: [pod('a', '1')] },
        })
        .once(isList, { json: { metadata: { resourceVersion: '4' }, items: [pod('b', '2')] } })
        .once(isWatch, { stream: new TestStream() });
      reflector.start();
      await clock.advance(0);
      expect(told).toEqual(['= a b']);
      const queries = transport.asked.map(({ query }) => String(query));
      expect(queries[1]).toBe('resourceVersion=0&limit=500');
      expect(queries[2]).toBe('limit=500&continue=more');
      expect(queries[3]).toMatch(
        /^resourceVersion=4&timeoutSeconds=\d+&watch=true&allowWatchBookmarks=true$/,
      );
      await reflector.stop();
    },
  );

  test('is had in one piece when its pages grow too old', async () => {
    const { reflector, transport, told, clock } = rig();
    transport
      .once(isWatch, { code: 422, json: failure(422, 'Invalid', 'no') })
      .once(isList, {
        json: { metadata: { resourceVersion: '4', continue: 'more' }, items: [pod('a', '1')] },
      })
      .once(isList, { code: 410, json: failure(410, 'Expired', 'too old') })
      .once(isList, { json: { metadata: { resourceVersion: '9' }, items: [pod('b', '8')] } })
      .once(isWatch, { stream: new TestStream() });
    reflector.start();
    await clock.advance(0);
    expect(told).toEqual(['= b']);
    expect(String(transport.asked[3].query)).toBe('');
    await reflector.stop();
  });
});

describe('a watch that', () => {
  test.each<[string, (stream: TestStream) => void]>([
    ['ends', (stream) => stream.end()],
    ['is cut', (stream) => stream.cut()],
    ['sends what is no event', (stream) => stream.write('nonsense\n')],
  ])('%s goes on where it was', async (_name, end) => {
    const { reflector, transport, told, clock, stream } = await streaming();
    stream.event('ADDED', pod('b', '15'));
    await settled();
    const next = new TestStream();
    transport.once(isWatch, { stream: next });
    end(stream);
    await clock.advance(2_000);
    next.event('ADDED', pod('c', '16'));
    await settled();
    expect(told).toEqual(['= a', '+ b', '+ c']);
    expect(transport.asked.at(-1)?.query.get('resourceVersion')).toBe('15');
    expect(transport.asked.at(-1)?.query.has('sendInitialEvents')).toBe(false);
    await reflector.stop();
  });

  test.each<[string, (stream: TestStream) => void]>([
    [
      'an ERROR event',
      (stream) => stream.event('ERROR', failure(410, 'Expired', 'too old resource version: 10 (50)')),
    ],
    [
      'a version that the server has not reached',
      (stream) =>
        stream.event(
          'ERROR',
          failure(504, 'Timeout', 'Too large resource version: 10, current: 3', {
            details: { causes: [{ reason: 'ResourceVersionTooLarge' }] },
          }),
        ),
    ],
  ])('cannot go on (%s) is told the newest state anew', async (_name, end) => {
    const { reflector, transport, told, clock, stream } = await streaming();
    const next = new TestStream();
    transport.once(isWatch, { stream: next });
    end(stream);
    await clock.advance(2_000);
    next.event('ADDED', pod('z', '51'));
    next.event('BOOKMARK', bookmark('60', true));
    await settled();
    expect(told).toEqual(['= a', '= z']);
    const { query } = transport.asked[1];
    expect([query.get('sendInitialEvents'), query.has('resourceVersion')]).toEqual(['true', false]);
    await reflector.stop();
  });

  test('is refused with 410 at once is listed anew', async () => {
    const { reflector, transport, told, clock, stream } = await streaming();
    const next = new TestStream();
    transport
      .once(isWatch, { code: 410, json: failure(410, 'Expired', 'too old') })
      .once(isWatch, { stream: next });
    stream.end();
    await clock.advance(5_000);
    next.event('BOOKMARK', bookmark('60', true));
    await settled();
    expect(told).toEqual(['= a', '= ']);
    await reflector.stop();
  });

  test('finds nobody waits longer and longer, half a minute at most', async () => {
    const { reflector, transport, clock } = rig();
    reflector.start();
    const times: number[] = [];
    for (let i = 0; i < 400; i += 1) {
      const before = transport.asked.length;
      await clock.advance(500);
      if (transport.asked.length > before) times.push(i * 500);
    }
    const gaps = times.slice(1).map((at, i) => at - times[i]);
    expect(gaps[0]).toBeGreaterThanOrEqual(500);
    expect(gaps[0]).toBeLessThanOrEqual(2_000);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(60_500);
    expect(gaps.at(-1)).toBeGreaterThanOrEqual(29_500);
    expect(times.length).toBeLessThan(12);
    await reflector.stop();
    expect(clock.timers).toBe(0);
  });

  test('its server does not end is left after its time', async () => {
    const { reflector, transport, clock, stream } = await streaming();
    transport.once(isWatch, { stream: new TestStream() });
    const seconds = Number(transport.asked[0].query.get('timeoutSeconds'));
    expect(seconds).toBeGreaterThanOrEqual(300);
    expect(seconds).toBeLessThan(600);
    await clock.advance(seconds * 1_000 + 29_000);
    expect(stream.left).toBe(false);
    await clock.advance(1_001);
    expect(stream.left).toBe(true);
    await clock.advance(2_000);
    expect(transport.asked.length).toBe(2);
    await reflector.stop();
  });

  test('ends at once and brings nothing is not begun again in a hurry', async () => {
    const { reflector, transport, clock, stream } = await streaming();
    transport.otherwise = () => {
      const short = new TestStream();
      short.end();
      return { stream: short };
    };
    stream.end();
    await clock.advance(10_000);
    expect(transport.asked.length).toBeLessThan(8);
    await reflector.stop();
  });
});

test('nothing is told after stop()', async () => {
  const { reflector, told, stream } = await streaming();
  const stopping = reflector.stop();
  stream.event('ADDED', pod('late', '20'));
  await stopping;
  expect(told).toEqual(['= a']);
});
