import { describe, expect, test } from '@jest/globals';
import { silentLogger } from '@keelson/base';

import { HandClock, settled } from '../test/hand-clock.ts';
import { failure, ScriptedTransport, type Asked } from '../test/scripted-transport.ts';
import { EventRecorder } from './event-recorder.ts';
import { MetricSet } from './metrics.ts';
import { RestClient } from './rest-client.ts';

const POD = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'n', uid: 'u', resourceVersion: '5' },
};

function rig() {
  const clock = new HandClock();
  const transport = new ScriptedTransport();
  const metrics = new MetricSet();
  transport.otherwise = ({ body }) => ({ json: { metadata: {}, ...(body as object) } });
  const recorder = new EventRecorder({
    client: new RestClient({ transport, clock, metrics, userAgent: 'test/1' }),
    clock,
    logger: silentLogger,
    metrics,
    component: 'tester',
  });
  return { clock, transport, metrics, recorder };
}

const bodyOf = ({ body }: Asked): Record<string, unknown> => body as Record<string, unknown>;

describe('an event', () => {
  test('says who, about what, why and when', async () => {
    const { transport, recorder } = rig();
    recorder.event(POD, 'Warning', 'Broken', 'it broke');
    await recorder.stop();
    const [asked] = transport.asked;
    expect([asked.method, asked.path]).toEqual(['POST', '/api/v1/namespaces/n/events']);
    expect(bodyOf(asked)).toMatchObject({
      kind: 'Event',
      involvedObject: {
        ...{ apiVersion: 'v1', kind: 'Pod', name: 'p', namespace: 'n', uid: 'u', resourceVersion: '5' },
      },
      type: 'Warning',
      reason: 'Broken',
      message: 'it broke',
      count: 1,
      firstTimestamp: '2023-11-14T22:13:20Z',
      lastTimestamp: '2023-11-14T22:13:20Z',
      source: { component: 'tester' },
      reportingComponent: 'tester',
    });
    expect((bodyOf(asked)['metadata'] as { name: string }).name).toMatch(/^p\.[0-9a-f]{16}$/);
  });

  test('of what lies in no namespace lies in default', async () => {
    const { transport, recorder } = rig();
    recorder.event({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'm' } }, 'Normal', 'Up', 'up');
    await recorder.stop();
    expect(transport.asked[0].path).toBe('/api/v1/namespaces/default/events');
    expect(bodyOf(transport.asked[0])['involvedObject']).toEqual({
      apiVersion: 'v1',
      kind: 'Node',
      name: 'm',
    });
  });

  test('that is said again raises the count', async () => {
    const { clock, transport, recorder } = rig();
    recorder.event(POD, 'Normal', 'Pulled', 'pulled');
    await clock.advance(60_000);
    recorder.event(POD, 'Normal', 'Pulled', 'pulled');
    recorder.event(POD, 'Normal', 'Pulled', 'pulled');
    await recorder.stop();
    expect(transport.asked.map(({ method }) => method)).toEqual(['POST', 'PATCH', 'PATCH']);
    expect(bodyOf(transport.asked[2])).toEqual({
      count: 3,
      lastTimestamp: '2023-11-14T22:14:20Z',
      message: 'pulled',
    });
  });

  test('that is said again after its first one has gone is written anew, with its count', async () => {
    const { transport, recorder } = rig();
    recorder.event(POD, 'Normal', 'Pulled', 'pulled');
    await settled();
    transport.once(({ method }) => method === 'PATCH', { code: 404, json: failure(404, 'NotFound', 'gone') });
    recorder.event(POD, 'Normal', 'Pulled', 'pulled');
    await recorder.stop();
    expect(transport.asked.map(({ method }) => method)).toEqual(['POST', 'PATCH', 'POST']);
    expect(bodyOf(transport.asked[2])['count']).toBe(2);
  });

  test('like ten others in all but its words is one with those that follow', async () => {
    const { transport, recorder } = rig();
    for (let i = 0; i < 13; i += 1) recorder.event(POD, 'Warning', 'Failed', `failed ${i}`);
    await recorder.stop();
    expect(transport.asked.map(({ method }) => method)).toEqual([
      ...Array<string>(11).fill('POST'),
      'PATCH',
      'PATCH',
    ]);
    expect(bodyOf(transport.asked[12])).toMatchObject({
      count: 3,
      message: '(combined from similar events): failed 12',
    });
  });

  test('of an object that is talked about too much is not sent', async () => {
    const { clock, transport, recorder, metrics } = rig();
    for (let i = 0; i < 40; i += 1) recorder.event(POD, 'Normal', `Reason${i}`, 'again');
    recorder.event({ ...POD, metadata: { ...POD.metadata, name: 'q' } }, 'Normal', 'Other', 'other');
    await settled();
    expect(transport.asked.length).toBe(26);
    expect(metrics.text()).toContain('event_recorder_dropped_total{component="tester"} 15\n');
    await clock.advance(300_000);
    recorder.event(POD, 'Normal', 'Later', 'later');
    recorder.event(POD, 'Normal', 'Later', 'later');
    await recorder.stop();
    expect(transport.asked.length).toBe(27);
  });

  test('that cannot be written holds up nothing', async () => {
    const { transport, recorder } = rig();
    transport.once(() => true, { code: 403, json: failure(403, 'Forbidden', 'no') });
    recorder.event(POD, 'Normal', 'A', 'a');
    recorder.event(POD, 'Normal', 'B', 'b');
    await recorder.stop();
    expect(transport.asked.length).toBe(2);
    recorder.event(POD, 'Normal', 'C', 'c');
    expect(transport.asked.length).toBe(2);
  });
});
