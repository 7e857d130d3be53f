import { describe, expect, test } from '@jest/globals';
import { readOrders, type Flag, type Orders } from './orders.ts';
import type { Simulation } from './simulation.ts';

const WEATHER: Simulation = {
  command: 'node weather.ts',
  events: 1000,
  faults: ['rain', 'wind'],
  constants: ['size'],
  goals: [],
  unitMs: 10,
  run: () => {
    throw new Error('nothing runs while arguments are read');
  },
};
const OWN: readonly Flag[] = [{ name: 'history', value: 'FILE', text: 'keeps the history' }];

function ordersOf(...args: string[]): Orders {
  const reading = readOrders(WEATHER, args, OWN);
  if (reading.kind !== 'orders') throw new Error(JSON.stringify(reading));
  return reading.orders;
}

test('nothing said: a hundred seeds from the first, in one process', () => {
  const { plan, ...rest } = ordersOf();
  expect(rest).toEqual({
    first: 1,
    seeds: 100,
    minutes: Infinity,
    jobs: 1,
    share: undefined,
    again: false,
    small: false,
    shrinkMs: 120_000,
    ledger: false,
  });
  expect(plan(7)).toEqual({ seed: 7, events: 1000, without: [], plain: [] });
});

test('one seed runs alone and is not made smaller; time bounds instead of a number', () => {
  expect(ordersOf('--seed', '9', '--jobs', '4')).toMatchObject({ first: 9, seeds: 1, jobs: 1, small: true });
  expect(ordersOf('--minutes=0.5', '--from=3')).toMatchObject({ first: 3, seeds: Infinity, minutes: 0.5 });
  expect(ordersOf('--events', '5', '--without', 'rain,wind', '--plain', 'size').plan(2)).toEqual({
    seed: 2,
    events: 5,
    without: ['rain', 'wind'],
    plain: ['size'],
  });
});

describe('refused', () => {
  test.each<[string, string[], RegExp]>([
    ['a flag that there is not', ['--sedes', '5'], /Unknown option '--sedes'/],
    ['a word by itself', ['5'], /Unexpected argument '5'/],
    ['a flag without its value', ['--seeds'], /argument missing/],
    ['seeds that are no number', ['--seeds', 'many'], /^--seeds: many is no whole number$/],
    ['half a seed', ['--seed', '1.5'], /^--seed: 1\.5 is no whole number$/],
    ['no value', ['--events='], /^--events:  is no whole number$/],
    ['time that runs back', ['--minutes=-1'], /^--minutes: -1 is no number$/],
    ['a fault kind that there is not', ['--without', 'rain,snow'], /^--without: snow is none of rain, wind$/],
    ['a constant that there is not', ['--plain', 'colour'], /^--plain: colour is none of size$/],
  ])('%s', (_name, args, message) => {
    const reading = readOrders(WEATHER, args, OWN);
    expect(reading.kind).toBe('refused');
    expect(reading.kind === 'refused' && reading.message).toMatch(message);
  });
});

test('help says every flag, the program’s own among them, whatever else is said', () => {
  const reading = readOrders(WEATHER, ['--seeds', '5', '--help'], OWN);
  const text = reading.kind === 'help' ? reading.text : '';
  expect(text).toMatch(/^ {2}--seeds N +how many seeds \(100\)$/m);
  expect(text).toMatch(/^ {2}--history FILE +keeps the history$/m);
  expect(text).not.toContain('--share');
});
