import { describe, expect, test } from '@jest/globals';
import { RpcError, StatusCode } from '@keelson/rpc';
import { Load, intendedOffsetMs, type Call, type LoadPlan, type Pace } from './load.ts';

/** Virtual time: sleepers wake in order of their time, once nothing else is left to do. */
class VirtualPace implements Pace {
  private now = 1000;
  private readonly sleepers: { at: number; wake: () => void }[] = [];
  private scheduled = false;

  nowMs(): number {
    return this.now;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.sleepers.push({ at: this.now + ms, wake: resolve });
      this.schedule();
    });
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.sleepers.sort((a, b) => a.at - b.at);
      const next = this.sleepers.shift();
      if (next === undefined) return;
      this.now = Math.max(this.now, next.at);
      next.wake();
      this.schedule();
    });
  }
}

const PLAN: LoadPlan = { clients: 1, ratePerSecond: 0, warmupMs: 0, durationMs: 1000, total: Infinity };

test.each<[number, number, number]>([
  [0, 100, 0],
  [1, 100, 10],
  [250, 1000, 250],
  [3, 0.5, 6000],
])('call %d at %d a second starts %d ms after the first', (sequence, rate, ms) => {
  expect(intendedOffsetMs(sequence, rate)).toBeCloseTo(ms, 9);
});

describe('closed loop', () => {
  test('clients call back to back; the rate is what they manage', async () => {
    const pace = new VirtualPace();
    const result = await new Load({ ...PLAN, clients: 4 }, () => pace.sleep(10), {}, pace).run();
    expect(result.seconds).toBeCloseTo(1, 6);
    expect(result.completed).toBeGreaterThanOrEqual(4 * 99);
    expect(result.completed).toBeLessThanOrEqual(4 * 100);
    expect(result.latency.p50).toBeCloseTo(10, 1);
    expect(result.service.max).toBeCloseTo(result.latency.max, 9);
  });

  test('warm-up leaves no latency behind', async () => {
    const pace = new VirtualPace();
    const events: string[] = [];
    const call: Call = () => pace.sleep(pace.nowMs() < 1500 ? 50 : 5);
    const observer = {
      windowOpened: () => events.push(`open ${pace.nowMs()}`),
      windowClosed: () => events.push(`close ${pace.nowMs()}`),
    };
    const result = await new Load({ ...PLAN, warmupMs: 500, durationMs: 100 }, call, observer, pace).run();
    expect(events).toEqual(['open 1500', 'close 1600']);
    expect(result.latency.max).toBeCloseTo(5, 1);
    expect(result.seconds).toBeCloseTo(0.1, 9);
  });

  test('a call slower than the window still counts for its rate', async () => {
    const pace = new VirtualPace();
    const plan = { ...PLAN, clients: 10, warmupMs: 100, durationMs: 500 };
    const result = await new Load(plan, () => pace.sleep(400), {}, pace).run();
    expect(result.completed / result.seconds).toBeCloseTo(25, 6);
  });

  test('total calls are measured, no more and no fewer', async () => {
    const pace = new VirtualPace();
    let made = 0;
    const call: Call = () => {
      made++;
      return pace.sleep(1);
    };
    const plan = { ...PLAN, clients: 7, durationMs: Infinity, total: 100 };
    const result = await new Load(plan, call, {}, pace).run();
    expect([made, result.completed, result.latency.count]).toEqual([100, 100, 100]);
  });
});

describe('open loop', () => {
  test('calls start at the rate, however fast the answers', async () => {
    const pace = new VirtualPace();
    const plan = { ...PLAN, clients: 5, ratePerSecond: 100 };
    const result = await new Load(plan, () => pace.sleep(1), {}, pace).run();
    expect(result.completed).toBe(100);
    expect(result.latency.max).toBeLessThan(2);
  });

  test('a stall is paid for by every call that had to wait behind it', async () => {
    const pace = new VirtualPace();
    // The first call takes 500 ms; at 100 a second, 49 more were meant to start meanwhile.
    const call: Call = (_client, sequence) => pace.sleep(sequence === 0 ? 500 : 1);
    const plan = { ...PLAN, clients: 1, ratePerSecond: 100 };
    const { latency, service } = await new Load(plan, call, {}, pace).run();
    expect(latency.count).toBe(100);
    // From the intended start half of all calls were late; from the real start only one was slow.
    expect(latency.p50).toBeGreaterThan(10);
    expect(service.p90).toBeLessThan(2);
    expect(latency.max).toBeCloseTo(500, -1);
  });
});

describe('failures', () => {
  test('are counted under their status, and not repeated', async () => {
    const pace = new VirtualPace();
    const seen: number[] = [];
    const call: Call = async (_client, sequence) => {
      seen.push(sequence);
      await pace.sleep(1);
      if (sequence % 10 === 0) throw new RpcError(StatusCode.Unavailable, 'gone');
    };
    const result = await new Load({ ...PLAN, durationMs: Infinity, total: 100 }, call, {}, pace).run();
    expect(result.errors).toEqual({ Unavailable: 10 });
    expect(result.completed).toBe(90);
    expect(result.latency.count).toBe(90);
    expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  test('a programming error ends the load', async () => {
    const call: Call = () => Promise.reject(new TypeError('broken'));
    await expect(new Load(PLAN, call, {}, new VirtualPace()).run()).rejects.toThrow('broken');
  });
});
