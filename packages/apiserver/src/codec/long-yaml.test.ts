import { expect, test } from '@jest/globals';

import { Slices } from '../api/sliced.ts';
import { LongYaml, type LongYamlOptions } from './long-yaml.ts';
import { readYaml, YamlError } from './yaml.ts';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function options(more: Partial<LongYamlOptions> = {}): LongYamlOptions {
  const slices = (): Slices => new Slices({ monotonicMs: () => 0 }, nextTurn);
  return { signal: new AbortController().signal, slices, ...more };
}

/** Longer than what is read on the loop. */
const FILLER = Array.from({ length: 1_000 }, (_, at) => `k${at}: v${at}`).join('\n');

test.each<[string, string]>([
  ['numbers', 'i: 9007199254740993\nf: 1.5\ng: 1e-30\nh: 1.0\nz: -0.0\nu: 18446744073709551615'],
  ['words and texts', 'a: yes\nb: ~\nc: "\\u2028<&>\\0"\nd: ""\ne: |\n  x\n  y\n'],
  ['names', '__proto__: 1\n"1": a\ntrue: b\n"": c'],
  ['nothing in them', 'l: []\nm: {}\nn:'],
  ['aliases', 'x: &x {a: 1}\ny: *x\nz:\n  <<: *x\n  b: 2'],
])('a long text says what it says in one go: %s', async (_name, text) => {
  const whole = `${text}\n${FILLER}`;
  expect(await new LongYaml().read(whole, options())).toEqual(readYaml(whole));
});

test('what is refused and what is told of it is the same', async () => {
  const told: string[] = [];
  const duplicates = (text: string): void => void told.push(text);
  const repeated = `a: 1\na: 2\n${FILLER}`;
  expect(await new LongYaml().read(repeated, options({ duplicates }))).toEqual(
    readYaml(repeated, { duplicates }),
  );
  expect(told).toEqual(Array(2).fill('yaml: unmarshal errors:\n  line 2: key "a" already set in map'));

  const broken = `${FILLER}\na: b: c`;
  const words = 'yaml: line 1001: mapping values are not allowed in this context';
  expect(() => readYaml(broken)).toThrow(words);
  await expect(new LongYaml().read(broken, options())).rejects.toEqual(new YamlError(words));

  const deep = '['.repeat(50_000);
  await expect(new LongYaml().read(deep, options())).rejects.toEqual(
    new YamlError('yaml: exceeded max depth'),
  );
});

test('a text that aliases make many times as long is refused', () => {
  const text = `a: &a ${'x'.repeat(10_000)}\nb: [${Array(1_000).fill('*a').join(',')}]`;
  expect(() => readYaml(text)).toThrow(new YamlError('yaml: document contains excessive aliasing'));
});

test('others have their turns while a long text is read, and whoever waits behind it may leave', async () => {
  const long = new LongYaml();
  const text = `a: [${'1,'.repeat(40_000)}1]`;
  let running = true;
  const reading = long.read(text, options()).finally(() => (running = false));
  const left = new AbortController();
  const behind = expect(long.read(text, options({ signal: left.signal }))).rejects.toThrow('gone');
  left.abort(new Error('gone'));
  let turns = 0;
  for (; running; turns += 1) await nextTurn();
  expect(await reading).toEqual({ a: Array(40_001).fill(1) });
  await behind;
  // The thread alone takes thousands of turns to begin; read on the loop it would be one.
  expect(turns).toBeGreaterThan(20);
});

test('a text that nobody waits for any more is put away', async () => {
  const leaving = new AbortController();
  const reading = new LongYaml().read(`a: [${'1,'.repeat(1_000_000)}1]`, options({ signal: leaving.signal }));
  await nextTurn();
  leaving.abort(new Error('gone'));
  await expect(reading).rejects.toThrow('gone');
});
