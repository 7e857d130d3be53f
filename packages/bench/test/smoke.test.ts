import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { isBuilt } from '../src/apiserver/api-process.ts';
import { runBench } from '../src/bench.ts';
import { programOf } from '../src/program.ts';
import type { SoakResult } from '../src/soak/soak.ts';

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
  ['over TLS', ['put', '--tls', '--duration=300ms']],
  ['keep-alives', ['lease-keepalive', '--duration=300ms']],
])('%s against a member of its own (skipped when the store is not built)', async (name, argv) => {
  const { code, out, err } = await bench(...argv, ...SMALL);
  expect([name, code, err]).toEqual([name, 0, expect.stringMatching(/\/s · mean .* generator/)]);
  expect(out).toMatch(/Every run/);
  // The last column: no call failed.
  expect(out).toMatch(/\| keelson \| 1 \|.*\| – \|\n/);
});

const withApi = isBuilt() ? test : test.skip;

withApi(
  'the API server beside its echo: rates, watchers, a list (skipped when it is not built)',
  async () => {
    const steps = 'create-configmap,get-pod,update-pod,watch-pod,list-10000';
    const few = [
      '--clients=4',
      '--conns=2',
      '--watchers=5',
      '--keys=20',
      '--warmup=50ms',
      '--duration=300ms',
    ];
    const { code, out, err } = await bench('apiserver', `--steps=${steps}`, '--rounds=1', ...few);
    expect([code, err]).toEqual([0, expect.stringMatching(/watch-pod keelson: .*changesPerSecond/)]);
    // The last column: no call failed.
    for (const run of ['create-configmap | keelson', 'create-configmap | echo', 'update-pod | keelson']) {
      const line = out.split('\n').find((one) => one.startsWith(`| ${run} | 1 |`));
      expect(line).toMatch(/\| – \|$/);
    }
    expect(out).toMatch(/\| list-10000 \| 10,000 pods, until the last byte \| [\d.]+ ms \|/);
  },
);

test('a step of the API server that is none is refused before anything starts', async () => {
  const { code, err } = await bench('apiserver', '--steps=put');
  expect([code, err]).toEqual([1, expect.stringMatching(/no step put; there are create-configmap, /)]);
});

/** A directory for what a run leaves, gone afterwards. */
async function inDirectory(task: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(path.join(tmpdir(), 'keelson-bench-test-'));
  try {
    await task(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

withServer('a short soak: a course, pauses, latencies by kind, and nothing left behind', async () => {
  await inDirectory(async (directory) => {
    const data = path.join(directory, 'data');
    const report = path.join(directory, 'report');
    const few = ['--duration=6s', '--sample=200ms', '--rate=50', `--data-dir=${data}`, `--report=${report}`];
    const { code, out, err } = await bench('soak', ...SMALL, ...few);
    expect([code, err]).toEqual([
      0,
      expect.stringMatching(/the maximum: .*\/s in a closed loop of 10 clients/),
    ]);
    expect(out).toMatch(/\| keelson \| m1 \| event loop p99 \|/);
    const { soaks } = JSON.parse(readFileSync(path.join(report, 'report.json'), 'utf8')) as {
      readonly soaks: readonly SoakResult[];
    };
    const [{ byKind, samples, errors, pauses, targetPerSecond }] = soaks;
    expect([errors, targetPerSecond]).toEqual([{}, 50]);
    expect(byKind.get.count).toBeGreaterThan(0);
    expect(samples.length).toBeGreaterThan(3);
    expect(samples[0].members[0].memory.rssAnonBytes).toBeGreaterThan(0);
    expect(samples[0].members[0].loopP99Ms).toBeGreaterThanOrEqual(0);
    expect(pauses).toHaveLength(1);
    expect(readdirSync(report)).toEqual(expect.arrayContaining(['index.html', 'soak-memory.png']));
    expect(readdirSync(data)).toEqual([]);
  });
});

withServer('a profiled load leaves a flame graph of its member, and no verdict', async () => {
  await inDirectory(async (directory) => {
    const { code, out } = await bench('put', ...SMALL, '--duration=500ms', `--profile=${directory}`);
    expect(code).toBe(0);
    expect(out).not.toMatch(/Targets/);
    const [file, ...others] = readdirSync(directory);
    expect([file, others]).toEqual(['keelson-put-10-m1-leader.svg', []]);
    const svg = readFileSync(path.join(directory, file), 'utf8');
    expect(svg).toContain('put-10: only member m1');
    expect(svg).toMatch(/<title>\w+ \(store\/[^)]+\): [\d.]+ %/);
  });
});

withServer('asked to stop it ends its servers and leaves no data', async () => {
  await inDirectory(async (data) => {
    let stop = (): void => undefined;
    const texts: string[] = [];
    const running = runBench(['put', ...SMALL, '--duration=10m', `--data-dir=${data}`], {
      env: process.env,
      terminal: true,
      columns: () => 80,
      out: () => undefined,
      // The bar is drawn while the load runs: then it is asked to stop.
      err: (text) => {
        texts.push(text);
        if (/\d+ calls/.test(text)) stop();
      },
      onStop: (task) => {
        stop = task;
        return () => undefined;
      },
    });
    expect(await running).toBe(130);
    expect(texts.at(-1)).toBe('keelson bench: interrupted\n');
    expect(readdirSync(data)).toEqual([]);
  });
});

test.each<[string, string[], number, RegExp]>([
  ['help', ['--help'], 0, /^$/],
  ['a mistake', ['nonsense'], 1, /unknown workload nonsense.*\nTry --help\.\n$/],
  [
    'nobody at the other end',
    ['put', '--endpoints=127.0.0.1:1'],
    1,
    /^keelson bench: no connection to 127.0.0.1:1: /,
  ],
  ['no such step', ['--steps=nonsense'], 1, /no step nonsense; there are first-put/],
])('%s', async (_name, argv, code, err) => {
  const result = await bench(...argv);
  expect(result.code).toBe(code);
  expect(result.err).toMatch(err);
});

test.each<['keelson' | 'etcd', Record<string, string>, RegExp]>([
  ['etcd', { PATH: '' }, /no etcd on the PATH.*apt-get install etcd-server.*REFERENCE_ETCD/],
  ['etcd', { REFERENCE_ETCD: '/nowhere/etcd' }, /REFERENCE_ETCD names \/nowhere\/etcd, which is not there/],
  ['keelson', { KEELSON_ETCD: '/nowhere/etcd' }, /KEELSON_ETCD names/],
])('a program of %s that is not there (%j): what to do', (side, env, message) => {
  expect(() => programOf(side, env)).toThrow(message);
});
