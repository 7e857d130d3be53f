/** When batches leave, how many spans may wait, and what a collector that fails costs. */
import { expect, test } from '@jest/globals';
import { Deferred, silentLogger, type Logger } from '@keelson/base';
import type { Channel } from '../channel.ts';
import { HandClock } from '../../../store/test/hand-clock.ts';
import { Exporter } from './exporter.ts';
import { EXPORT, type Batch, type ExportAnswer } from './otlp.ts';
import { Span, SpanKind } from './span.ts';

class FakeCollector {
  readonly batches: { readonly spans: number; readonly answer: Deferred<ExportAnswer> }[] = [];
  closed = false;

  get channel(): Channel {
    const unary = (_descriptor: unknown, request: unknown): Promise<unknown> => {
      const answer = new Deferred<ExportAnswer>();
      this.batches.push({ spans: spansOf(request), answer });
      return answer.promise;
    };
    const close = (): void => {
      this.closed = true;
      for (const { answer } of this.batches) answer.reject(new Error('closed'));
    };
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- of a channel, what an exporter uses
    return { address: 'collector:4317', unary, close } as unknown as Channel;
  }
}

function spansOf(request: unknown): number {
  if (
    typeof request !== 'object' ||
    request === null ||
    !('spans' in request) ||
    !Array.isArray(request.spans)
  )
    throw new Error('no batch');
  return request.spans.length;
}

function span(): Span {
  return new Span({
    traceId: '1'.padStart(32, '0'),
    spanId: '1'.padStart(16, '0'),
    parentId: '',
    remote: false,
    state: '',
    name: 'put',
    kind: SpanKind.Internal,
    epochMs: 0,
    startMs: 0,
  });
}

function made(logger: Logger = silentLogger): {
  readonly exporter: Exporter;
  readonly collector: FakeCollector;
  readonly clock: HandClock;
  readonly add: (count: number) => void;
} {
  const collector = new FakeCollector();
  const clock = new HandClock();
  const resource = { serviceName: 'etcd', instanceId: '', scope: 's', scopeVersion: '1' };
  const exporter = new Exporter(collector.channel, resource, clock, logger);
  const add = (count: number): void => {
    for (let i = 0; i < count; i++) exporter.add(span());
  };
  return { exporter, collector, clock, add };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a few leave after five seconds, a batch at once, one batch at a time', async () => {
  const { exporter, collector, clock, add } = made();
  add(3);
  await clock.pass(4_999);
  expect(collector.batches).toHaveLength(0);
  await clock.pass(1);
  expect(collector.batches.map(({ spans }) => spans)).toEqual([3]);
  add(700);
  expect(collector.batches).toHaveLength(1);
  collector.batches[0].answer.resolve({ rejectedSpans: 0 });
  await settled();
  expect(collector.batches.map(({ spans }) => spans)).toEqual([3, 512]);
  collector.batches[1].answer.resolve({ rejectedSpans: 12 });
  await settled();
  expect(exporter.counters).toEqual({ exported: 503, droppedFull: 0, droppedFailed: 12 });
  await clock.pass(5_000);
  expect(collector.batches.map(({ spans }) => spans)).toEqual([3, 512, 188]);
});

test('so many wait, the rest is dropped and counted; a collector that fails is asked at its time', async () => {
  const told: string[] = [];
  const note = (message: string): void => void told.push(message);
  const { exporter, collector, clock, add } = made({ ...silentLogger, warn: note, info: note });
  add(512 + 2_048 + 10);
  expect(exporter.queued).toBe(2_048);
  expect(exporter.counters.droppedFull).toBe(10);
  collector.batches[0].answer.reject(new Error('gone'));
  await settled();
  expect(collector.batches).toHaveLength(1);
  await clock.pass(5_000);
  collector.batches[1].answer.reject(new Error('gone'));
  await settled();
  expect(told).toEqual(['spans do not reach the collector; they are dropped until they do']);
  await clock.pass(5_000);
  collector.batches[2].answer.resolve({ rejectedSpans: 0 });
  await settled();
  expect(told[1]).toBe('spans reach the collector again');
  expect(exporter.counters).toEqual({ exported: 512, droppedFull: 10, droppedFailed: 1_024 });
  // It goes on with the whole batches that wait.
  expect(collector.batches).toHaveLength(4);
});

test('the end sends what is left, and gives up with the first that fails', async () => {
  const { exporter, collector, add } = made();
  add(3);
  const closed = exporter.close();
  await settled();
  expect(collector.batches.map(({ spans }) => spans)).toEqual([3]);
  exporter.add(span());
  collector.batches[0].answer.reject(new Error('gone'));
  await closed;
  expect(collector.closed).toBe(true);
  expect(exporter.counters).toEqual({ exported: 0, droppedFull: 1, droppedFailed: 3 });
});

test('a collector that does not answer holds up the end for three seconds, whatever waits', async () => {
  const { exporter, collector, clock, add } = made();
  add(512 + 1_500);
  let closed = false;
  void exporter.close().then(() => (closed = true));
  await clock.pass(2_999);
  expect(closed).toBe(false);
  await clock.pass(1);
  expect(closed).toBe(true);
  expect(collector.batches).toHaveLength(1);
  expect(exporter.counters).toEqual({ exported: 0, droppedFull: 0, droppedFailed: 2_012 });
});

test('only a collector reads batches', () => {
  expect(() => EXPORT.request.decode(Buffer.alloc(0))).toThrow(TypeError);
  const batch: Batch = {
    resource: { serviceName: 'e', instanceId: '', scope: '', scopeVersion: '' },
    spans: [],
  };
  expect(EXPORT.request.encode(batch).length).toBeGreaterThan(0);
  // partial_success { rejected_spans: 300, error_message: "no" }
  const answer = Buffer.from('0a0708ac0212026e6f', 'hex');
  expect(EXPORT.response.decode(answer)).toEqual({ rejectedSpans: 300 });
  expect(EXPORT.response.decode(Buffer.alloc(0))).toEqual({ rejectedSpans: 0 });
});
