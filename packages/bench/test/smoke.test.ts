import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { runBench } from '../src/bench.ts';
import { programOf } from '../src/servers.ts';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const built = existsSync(path.join(root, 'packages', 'store', 'dist', 'main.js'));
const withServer = built ? test : test.skip;

async function bench(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const [out, err]: string[][] = [[], []];
  const code = await runBench(argv, {
    env: process.env,
    terminal: false,
    columns: () => 80,
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    onStop: () => () => undefined,
  });
  return { code, out: out.join(''), err: err.join('') };
}

const SMALL = ['--members=1', '--clients=10', '--conns=2', '--key-space-size=200', '--warmup=100ms'];

withServer.each([
  ['put', ['put', '--duration=1s']],
  ['a total of gets', ['range', '--total=300']],
  ['transactions at a rate', ['txn', '--rate=200', '--duration=500ms']],
  ['deletes', ['delete', '--total=200']],
  ['watch', ['watch', '--watchers=5', '--duration=500ms']],
  ['keep-alives', ['lease-keepalive', '--duration=300ms']],
])('%s against a member of its own (skipped when the store is not built)', async (name, argv) => {
  const { code, out, err } = await bench(...argv, ...SMALL);
  expect([name, code, err]).toEqual([name, 0, expect.stringMatching(/\/s · mean .* generator/)]);
  expect(out).toMatch(/Every run/);
  // The last column: no call failed.
  expect(out).toMatch(/\| keelson \| 1 \|.*\| – \|\n/);
});

test.each<[string, string[], number, RegExp]>([
  ['help', ['--help'], 0, /^$/],
  ['a mistake', ['nonsense'], 1, /unknown workload nonsense.*\nTry --help\.\n$/],
  ['nobody at the other end', ['put', '--endpoints=127.0.0.1:1'], 1, /^keelson bench: /],
])('%s', async (_name, argv, code, err) => {
  const result = await bench(...argv);
  expect(result.code).toBe(code);
  expect(result.err).toMatch(err);
});

test('no etcd to compare with is said in one line', () => {
  expect(() => programOf('etcd', { PATH: '' })).toThrow(/no etcd on the PATH/);
});
