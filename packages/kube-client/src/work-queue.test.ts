import { describe, expect, test } from '@jest/globals';
import { silentLogger } from '@keelson/base';

import { HandClock, settled } from '../test/hand-clock.ts';
import { KubeError } from './kube-error.ts';
import { MetricSet } from './metrics.ts';
import { WorkQueue, type Outcome } from './work-queue.ts';

interface Rig {
  readonly clock: HandClock;
  readonly metrics: MetricSet;
  readonly queue: WorkQueue<string>;
  /** Items in the order in which their work began. */
  readonly begun: string[];
  /** Ends the work on an item. */
  readonly end: (item: string, outcome?: Outcome | Error) => Promise<void>;
  refills: number;
}

function rig(options: { concurrency?: number; depthMax?: number } = {}): Rig {
  const clock = new HandClock();
  const metrics = new MetricSet();
  const begun: string[] = [];
  const ends = new Map<string, (outcome: Outcome | Error) => void>();
  const made: Rig = {
    clock,
    metrics,
    begun,
    refills: 0,
    async end(item, outcome = 'done') {
      ends.get(item)?.(outcome);
      await settled();
    },
    queue: new WorkQueue<string>({
      name: 'test',
      clock,
      logger: silentLogger,
      metrics,
      concurrency: options.concurrency ?? 1,
      ...(options.depthMax === undefined ? {} : { depthMax: options.depthMax }),
      work: (item) => {
        begun.push(item);
        return new Promise((resolve, reject) =>
          ends.set(item, (outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome))),
        );
      },
      refill: () => {
        made.refills += 1;
      },
    }),
  };
  return made;
}

describe('a work queue', () => {
  test('keeps an item once, however often it is added', async () => {
    const { queue, begun, end } = rig();
    for (const item of ['a', 'b', 'a', 'a']) queue.add(item);
    expect(queue.depth).toBe(2);
    queue.start();
    await end('a');
    await end('b');
    expect(begun).toEqual(['a', 'b']);
    expect(queue.quiet).toBe(true);
  });

  test('never works on an item twice at the same time; what was added meanwhile comes after', async () => {
    const { queue, begun, end } = rig({ concurrency: 4 });
    queue.start();
    queue.add('a');
    queue.add('a');
    await settled();
    expect(begun).toEqual(['a']);
    await end('a');
    expect(begun).toEqual(['a', 'a']);
    await end('a');
    expect(queue.quiet).toBe(true);
  });

  test('works on as many items at a time as it may', async () => {
    const { queue, begun, end } = rig({ concurrency: 2 });
    queue.start();
    for (const item of ['a', 'b', 'c']) queue.add(item);
    await settled();
    expect(begun).toEqual(['a', 'b']);
    await end('b');
    expect(begun).toEqual(['a', 'b', 'c']);
  });

  test('an item that fails comes again after 5, 10, 20 ms, and after 5 ms again once it succeeded', async () => {
    const { queue, clock, begun, end } = rig();
    queue.start();
    queue.add('a');
    await settled();
    const attempt = async (delayMs: number): Promise<void> => {
      const before = begun.length;
      await clock.advance(delayMs - 1);
      expect(begun.length).toBe(before);
      await clock.advance(1);
      expect(begun.length).toBe(before + 1);
    };
    await end('a', 'retry');
    await attempt(5);
    await end('a', new KubeError('TRANSPORT', 'reset'));
    await attempt(10);
    await end('a', new Error('a bug'));
    await attempt(20);
    expect(queue.failuresOf('a')).toBe(3);
    await end('a');
    expect(queue.failuresOf('a')).toBe(0);
    queue.add('a');
    await settled();
    await end('a', 'retry');
    await attempt(5);
  });

  test('all items together retry ten times a second after a hundred at once', async () => {
    const { queue, clock, begun } = rig({ concurrency: 1 });
    for (let i = 0; i < 120; i += 1) queue.addLimited(`item ${i}`);
    await clock.advance(5);
    expect(queue.depth).toBe(100);
    await clock.advance(1_000);
    expect(queue.depth).toBe(110);
    expect(begun).toEqual([]);
  });

  test('an item that is due later comes at the earliest of its times', async () => {
    const { queue, clock, begun, end } = rig();
    queue.start();
    queue.addAfter('a', 100);
    queue.addAfter('a', 50);
    queue.addAfter('a', 200);
    await clock.advance(49);
    expect(begun).toEqual([]);
    await clock.advance(1);
    expect(begun).toEqual(['a']);
    await end('a', { afterMs: 30 });
    await clock.advance(29);
    expect(begun).toEqual(['a']);
    await clock.advance(1);
    expect(begun).toEqual(['a', 'a']);
    await clock.advance(1_000);
    expect(begun).toEqual(['a', 'a']);
  });

  test('a full queue keeps no more and asks for all when half of it is done', async () => {
    const made = rig({ depthMax: 4 });
    const { queue, end } = made;
    for (const item of ['a', 'b', 'c', 'd', 'e', 'f']) queue.add(item);
    expect(queue.depth).toBe(4);
    expect(made.metrics.text()).toContain('workqueue_overflows_total{name="test"} 2');
    queue.start();
    await settled();
    await end('a');
    expect([queue.depth, made.refills]).toEqual([2, 0]);
    await end('b');
    expect([queue.depth, made.refills]).toEqual([1, 1]);
    await end('c');
    expect(made.refills).toBe(1);
  });

  test('many items do not keep timers and sockets from their turn', async () => {
    const clock = new HandClock();
    const done: string[] = [];
    const queue = new WorkQueue<string>({
      name: 'test',
      clock,
      logger: silentLogger,
      metrics: new MetricSet(),
      concurrency: 5,
      work: (item) => {
        done.push(item);
        return Promise.resolve('done');
      },
      refill: () => undefined,
    });
    for (let i = 0; i < 50; i += 1) queue.add(`item ${i}`);
    queue.start();
    await settled();
    expect(done.length).toBe(20);
    await clock.advance(1);
    expect(done.length).toBe(50);
  });

  test('stopping waits for what runs, and nothing runs afterwards', async () => {
    const { queue, clock, begun, end } = rig();
    queue.start();
    queue.add('a');
    queue.add('b');
    queue.addAfter('c', 10);
    await settled();
    let stopped = false;
    const stopping = queue.stop().then(() => (stopped = true));
    await settled();
    expect(stopped).toBe(false);
    await end('a');
    await stopping;
    await clock.advance(100);
    queue.add('d');
    expect(begun).toEqual(['a']);
    expect(clock.timers).toBe(0);
  });

  test('says how deep it is and how long work takes', async () => {
    const { queue, clock, metrics, end } = rig();
    queue.start();
    queue.add('a');
    queue.add('b');
    await clock.advance(2_000);
    expect(metrics.text()).toContain('workqueue_depth{name="test"} 1\n');
    expect(metrics.text()).toContain('workqueue_unfinished_work_seconds{name="test"} 2\n');
    await end('a');
    expect(metrics.text()).toContain('workqueue_work_duration_seconds_bucket{name="test",le="10"} 1\n');
    expect(metrics.text()).toContain('workqueue_work_duration_seconds_bucket{name="test",le="1"} 0\n');
    expect(metrics.text()).toContain('workqueue_queue_duration_seconds_sum{name="test"} 2\n');
    expect(metrics.text()).toContain('workqueue_adds_total{name="test"} 2\n');
  });
});
