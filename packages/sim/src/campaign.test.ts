import { describe, expect, jest, test } from '@jest/globals';
import { Prng } from '@keelson/base';
import { ledgerLine, missed, runPlan, story, summary } from './campaign.ts';
import { campaign } from './host.ts';
import { commandOf, shrink } from './shrink.ts';
import { failureOf, law, LawBroken, type Outcome, type Plan, type Simulation } from './simulation.ts';
import { edgy, swarm } from './swarm.ts';
import { Tally } from './tally.ts';

const PLAN: Plan = { seed: 5, events: 1000, without: [], plain: [] };

/** Breaks law X at event 700 when 'rain' is on and 'size' is the seed's; law Y when only 'wind' is left. */
function outcomeOf(plan: Plan): Outcome {
  const rain = !plan.without.includes('rain');
  const wind = !plan.without.includes('wind');
  const broken =
    plan.events >= 700 && rain && !plan.plain.includes('size')
      ? 'X'
      : plan.events >= 10 && wind && !rain
        ? 'Y'
        : undefined;
  return {
    failure:
      broken === undefined
        ? undefined
        : { law: broken, message: `${broken}: broken`, events: broken === 'X' ? 700 : 10 },
    trace: `trace ${plan.seed}`,
    counts: new Map([
      ['units', 360_000],
      ['events', plan.events],
      ['elections', 2],
      ['fault:rain', 3],
    ]),
    goals: new Set(plan.seed % 2 === 0 ? ['even'] : []),
  };
}

const WEATHER: Simulation = {
  command: 'node weather.ts',
  events: 1000,
  faults: ['rain', 'wind', 'sun'],
  constants: ['size', 'colour'],
  goals: ['even', 'never'],
  unitMs: 10,
  run: outcomeOf,
};
const CLEAN: Simulation = { ...WEATHER, run: (plan) => ({ ...outcomeOf(plan), failure: undefined }) };

describe('shrink', () => {
  test('keeps what the same law needs, and follows no other', () => {
    const failure = { law: 'X', message: 'X: broken', events: 700 };
    const { plan, failure: last } = shrink(WEATHER, PLAN, failure);
    expect(plan.without).toEqual(['wind', 'sun']);
    expect(plan.plain).toEqual(['colour']);
    expect(plan.events).toBe(700);
    expect(last.law).toBe('X');
    expect(commandOf(WEATHER, plan)).toBe(
      'node weather.ts --seed 5 --events 700 --without wind,sun --plain colour',
    );
    expect(commandOf(WEATHER, PLAN)).toBe('node weather.ts --seed 5');
  });

  test('it stops when there is no patience left, with what it has', () => {
    let runs = 0;
    const failure = { law: 'X', message: 'X: broken', events: 700 };
    const shrunk = shrink(WEATHER, PLAN, failure, () => runs++ < 1);
    expect(shrunk.runs).toBe(1);
    expect(shrunk.failure.law).toBe('X');
    expect(shrink(WEATHER, PLAN, failure, () => false)).toEqual({ plan: PLAN, failure, runs: 0 });
  });

  test('the story names the law and the command', () => {
    const lines = story(WEATHER, PLAN, { law: 'X', message: 'X: broken', events: 700 }, false);
    expect(lines[0]).toBe('seed 5 after 700 events: X: broken');
    expect(lines.at(-1)).toContain('--seed 5 --events 700 --without wind,sun');
  });
});

describe('runPlan', () => {
  test('a second run with another trace is a failure', () => {
    let runs = 0;
    const fickle: Simulation = {
      ...CLEAN,
      run: (plan) => ({ ...outcomeOf(plan), failure: undefined, trace: String(runs++) }),
    };
    expect(runPlan(fickle, PLAN, false)).toBeUndefined();
    expect(runPlan(fickle, PLAN, true)?.law).toBe('trace');
    const tally = new Tally();
    expect(runPlan(CLEAN, PLAN, true, tally)).toBeUndefined();
    expect(tally.get('reruns')).toBe(1);
    expect(tally.get('seeds')).toBe(1);
  });

  test('failureOf tells laws from crashes', () => {
    expect(failureOf(new LawBroken('R3', 'text'), 7)).toEqual({ law: 'R3', message: 'R3: text', events: 7 });
    expect(failureOf(new TypeError('oops at 17'), 7).law).toBe('crash TypeError: oops at #');
    expect(() => law('R1', false, () => 'why')).toThrow('R1: why');
    law('R1', true, () => 'why');
  });
});

describe('Tally', () => {
  test('sums, first seeds and goals add up over processes', () => {
    const total = new Tally();
    for (const seeds of [
      [4, 5],
      [2, 3],
    ]) {
      const share = new Tally();
      for (const seed of seeds) runPlan(CLEAN, { ...PLAN, seed }, false, share);
      total.merge(JSON.parse(JSON.stringify(share)) as ReturnType<Tally['toJSON']>);
    }
    expect(total.get('seeds')).toBe(4);
    expect(total.get('events')).toBe(4000);
    expect(total.reachedBy('even')).toBe(2);
    expect(missed(CLEAN, total)).toEqual(['never']);
    expect(total.under('fault:')).toEqual([['rain', 12]]);
    expect(summary(CLEAN, total).join('\n')).toContain('goals missed: never');
    // Four seeds of 360,000 units of 10 ms are four hours.
    expect(ledgerLine(CLEAN, total, 'abc123', [])).toBe(
      '| abc123 | 4 | 4.0 | 4000 | rain 12 | 8 | 0 | 0 taken, 0 installed | none |',
    );
  });
});

describe('campaign', () => {
  test.each<[string, Simulation, string[], number]>([
    ['clean seeds', CLEAN, ['--seeds', '5', '--ledger'], 0],
    ['a failing seed', WEATHER, ['--seed', '5'], 1],
    ['a failing seed without its fault', WEATHER, ['--seed', '5', '--without', 'rain,wind'], 0],
    ['a thousand seeds that miss a goal', CLEAN, ['--seeds', '1000'], 1],
  ])('%s', async (_name, simulation, args, code) => {
    const lines: string[] = [];
    const write = jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
      lines.push(String(text));
      return true;
    });
    try {
      expect(await campaign(simulation, 'none', args)).toBe(code);
    } finally {
      write.mockRestore();
    }
    expect(lines.join('')).toContain('simulated hours');
    expect(lines.join('').includes('X: broken')).toBe(simulation === WEATHER && code === 1);
  });
});

describe('swarm', () => {
  test('enough kinds, every kind now and then, and none that is left out', () => {
    const kinds = ['a', 'b', 'c', 'd', 'e'];
    const met = new Set<string>();
    for (let seed = 0; seed < 50; seed++) {
      const all = swarm(new Prng(seed), kinds, 2);
      expect(all.size).toBeGreaterThanOrEqual(2);
      for (const kind of all) met.add(kind);
      const less = swarm(new Prng(seed), kinds, 2, ['a']);
      expect([...less]).toEqual([...all].filter((kind) => kind !== 'a'));
    }
    expect(met.size).toBe(kinds.length);
  });

  test('edgy is at its ends half of the time', () => {
    const prng = new Prng(1);
    const values = Array.from({ length: 1000 }, () => edgy(prng, 10, 30));
    expect(values.every((value) => value >= 10 && value <= 30)).toBe(true);
    const ends = values.filter((value) => value === 10 || value === 30).length;
    expect(ends).toBeGreaterThan(450);
    expect(new Set(values).size).toBe(21);
  });
});
