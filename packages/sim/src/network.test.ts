import { describe, expect, test } from '@jest/globals';
import { Prng } from '@keelson/base';
import { Network, type NetworkConstants, type NetworkFault } from './network.ts';
import { Scheduler } from './scheduler.ts';

const CONSTANTS: NetworkConstants = {
  dropPercent: 30,
  duplicatePercent: 50,
  delayMax: 100,
  stalePermille: 200,
};

class Bench {
  readonly scheduler: Scheduler;
  readonly network: Network<number, string>;
  readonly faults: Set<NetworkFault>;
  readonly arrived: { text: string; at: number; copy: number }[] = [];
  readonly lost: string[] = [];
  readonly happened = new Map<string, number>();

  constructor(seed: number, ...faults: NetworkFault[]) {
    this.scheduler = new Scheduler(seed);
    this.faults = new Set(faults);
    this.network = new Network(this.scheduler, new Prng(seed), CONSTANTS, {
      on: (fault) => this.faults.has(fault),
      happened: (fault, detail) => {
        for (const name of [fault, detail]) this.happened.set(name, (this.happened.get(name) ?? 0) + 1);
      },
      deliver: (from, to, text, copy) => {
        this.arrived.push({ text: `${from}>${to} ${text}`, at: this.scheduler.now, copy });
      },
      lost: (from, to, text) => this.lost.push(`${from}>${to} ${text}`),
      place: (node) => node,
    });
  }

  send(count: number, from = 1, to = 2): this {
    for (let i = 0; i < count; i++) this.network.send(from, to, `m${i}`);
    return this;
  }

  drain(): this {
    for (;;) {
      try {
        this.scheduler.next();
      } catch {
        return this;
      }
    }
  }
}

describe('Network', () => {
  test('on a good day everything arrives once, soon', () => {
    const bench = new Bench(1).send(200).drain();
    expect(new Set(bench.arrived.map(({ text }) => text)).size).toBe(200);
    expect(bench.arrived).toHaveLength(200);
    expect(Math.max(...bench.arrived.map(({ at }) => at))).toBeLessThanOrEqual(3);
    expect([...bench.happened]).toEqual([]);
  });

  test('dropped messages are told as lost, and nothing else is', () => {
    const bench = new Bench(2, 'drop').send(1000).drain();
    expect(bench.arrived.length + bench.lost.length).toBe(1000);
    expect(bench.lost.length).toBe(bench.happened.get('drop'));
    expect(bench.lost.length).toBeGreaterThan(220);
    expect(bench.lost.length).toBeLessThan(380);
  });

  test('duplicates arrive as further copies', () => {
    const bench = new Bench(3, 'duplicate').send(400).drain();
    const copies = bench.arrived.filter(({ copy }) => copy === 1).length;
    expect(bench.arrived).toHaveLength(400 + copies);
    expect(copies).toBe(bench.happened.get('duplicate'));
    expect(copies).toBeGreaterThan(140);
  });

  test('delays reorder', () => {
    const bench = new Bench(4, 'delay').send(50).drain();
    const order = bench.arrived.map(({ text }) => text);
    expect(order).not.toEqual([...order].sort((a, b) => Number(a.slice(5)) - Number(b.slice(5))));
    expect(Math.max(...bench.arrived.map(({ at }) => at))).toBeGreaterThan(50);
  });

  test('a cut link loses what is sent over it, in its direction only, until it is mended', () => {
    const bench = new Bench(5);
    bench.network.cut(1, 2);
    bench.send(3).send(3, 2, 1);
    expect(bench.lost).toEqual(['1>2 m0', '1>2 m1', '1>2 m2']);
    bench.network.mend();
    bench.send(2).drain();
    expect(bench.arrived.map(({ text }) => text).sort()).toEqual([
      '1>2 m0',
      '1>2 m1',
      '2>1 m0',
      '2>1 m1',
      '2>1 m2',
    ]);
  });

  test('a clogged link holds back and then releases all at once', () => {
    const bench = new Bench(6);
    bench.network.clog(1, 2, 70);
    bench.send(20).drain();
    expect(bench.arrived).toHaveLength(20);
    for (const { at } of bench.arrived) expect([70, 71]).toContain(at);
    expect(bench.happened.get('clog')).toBe(20);
  });

  test('an old connection delivers a copy very late, and nothing any more once the fault is over', () => {
    const late = new Bench(7, 'stale').send(500).drain();
    const copies = late.arrived.filter(({ copy }) => copy === 2);
    expect(copies.length).toBeGreaterThan(50);
    for (const { at } of copies) expect(at).toBeGreaterThanOrEqual(100);
    const over = new Bench(7, 'stale').send(500);
    over.faults.clear();
    expect(over.drain().arrived).toHaveLength(500);
  });

  test.each(['symmetric', 'one way', 'bridge', 'isolated'])('partition: %s', (form) => {
    const nodes = [1, 2, 3, 4, 5];
    for (let seed = 1; seed < 200; seed++) {
      const bench = new Bench(seed, 'partition');
      bench.network.partition(nodes);
      if (!bench.happened.has(form)) continue;
      const passes = new Set<string>();
      for (const a of nodes) for (const b of nodes) if (a !== b) bench.send(1, a, b);
      for (const { text } of bench.drain().arrived) passes.add(text.slice(0, 3));
      if (passes.size === 20) continue;
      const oneWay = [...passes].filter((link) => !passes.has(`${link[2]}>${link[0]}`));
      expect(oneWay.length > 0).toBe(form === 'one way');
      const whole = nodes.filter((a) => nodes.every((b) => a === b || passes.has(`${a}>${b}`)));
      if (form === 'bridge') expect(whole.length).toBeGreaterThan(0);
      if (form === 'isolated') expect(passes.size).toBe(12);
      return;
    }
    throw new Error(`no seed gives a partition that is ${form}`);
  });
});
