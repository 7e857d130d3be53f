/**
 * The package as others get it (packages/embed/pack.mjs), in an empty folder beside none of ours: required and imported by
 * node:test, by a bare jest project without flags, by jest with ES modules, and by vitest. Nothing of it is left running: each
 * of them must end by itself.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const built = existsSync(path.join(ROOT, 'packages/embed/dist/index.js'));
const folder = mkdtempSync(path.join(tmpdir(), 'keelson-packed-'));
const modules = path.join(folder, 'node_modules');
const LIMIT_MS = 120_000;

/** Where a package of the repository finds another, as node does. */
function installed(from: string, name: string): string {
  const paths = createRequire(path.join(ROOT, from, 'package.json')).resolve.paths(name) ?? [];
  const found = paths.map((each) => path.join(each, name)).find((each) => existsSync(each));
  if (found === undefined) throw new Error(`${name} is not installed`);
  return realpathSync(found);
}

function link(name: string, to: string): void {
  mkdirSync(path.dirname(path.join(modules, name)), { recursive: true });
  symlinkSync(to, path.join(modules, name));
}

function write(name: string, text: string): void {
  writeFileSync(path.join(folder, name), text);
}

interface Ended {
  readonly code: number | null;
  readonly said: string;
}

function run(...args: string[]): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: folder,
    encoding: 'utf8',
    timeout: LIMIT_MS,
    // Nothing of the project that runs these tests.
    env: { PATH: process.env['PATH'] ?? '' },
  });
  return { code: status, said: `${stdout}${stderr}` };
}

const BODY = `
  const answer = await plane().call('/api/v1/namespaces/default');
  const object = JSON.parse((await answer.bytes()).toString());
  if (answer.code !== 200 || object.metadata.name !== 'default') throw new Error(String(answer.code));
  if (plane().kubeConfig().clusters[0].cluster.server !== plane().url) throw new Error('another server');
  // Long enough to be read on a thread, whose program has to be found.
  const lines = Array.from({ length: 1000 }, (_, at) => '  key-' + at + ': some text');
  const yaml = ['apiVersion: v1', 'kind: ConfigMap', 'metadata:', '  name: long', 'data:', ...lines].join('\\n');
  const made = await plane().call('/api/v1/namespaces/default/configmaps', {
    method: 'POST',
    headers: { 'content-type': 'application/yaml' },
    body: Buffer.from(yaml),
  });
  if (made.code !== 201) throw new Error((await made.bytes()).toString());
  await made.bytes();
`;

beforeAll(() => {
  if (!built) return;
  const packed = path.join(modules, '@keelson/embed');
  mkdirSync(path.dirname(packed), { recursive: true });
  const pack = path.join(ROOT, 'packages/embed/pack.mjs');
  const made = spawnSync(process.execPath, [pack, '--tarball', folder], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(made.stderr);
  // As npm install unpacks it.
  const [tarball = ''] = made.stdout.split('\n');
  mkdirSync(packed);
  const unpacked = spawnSync('tar', ['xzf', tarball, '-C', packed, '--strip-components=1'], {
    encoding: 'utf8',
  });
  if (unpacked.status !== 0) throw new Error(unpacked.stderr);
  const { dependencies } = JSON.parse(readFileSync(path.join(packed, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const owners = [
    'packages/store',
    'packages/rpc',
    'packages/base',
    'packages/apiserver',
    'packages/kube-client',
  ];
  for (const name of Object.keys(dependencies)) {
    const owner = owners.find((each) => existsSync(path.join(ROOT, each, 'node_modules', name)));
    link(name, installed(owner ?? '.', name));
  }
  write('package.json', '{ "private": true }\n');
  write(
    'required.test.js',
    `const { useControlPlane } = require('@keelson/embed');
const plane = useControlPlane({ beforeAll, afterAll }, { controllers: [] });
test('is there', async () => {${BODY}});
`,
  );
  write(
    'required.cjs',
    `const { before, after, test } = require('node:test');
const { useControlPlane } = require('@keelson/embed');
const plane = useControlPlane({ before, after });
test('is there', async () => {${BODY}});
`,
  );
  write(
    'imported.mjs',
    `import { before, after, test } from 'node:test';
import { useControlPlane } from '@keelson/embed';
const plane = useControlPlane({ before, after });
test('is there', async () => {${BODY}});
`,
  );
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

(built ? describe : describe.skip)('packed (skipped where it is not built)', () => {
  test.each(['required.cjs', 'imported.mjs'])('node --test %s', (file) => {
    const { code, said } = run('--test', file);
    expect([code, said]).toEqual([0, expect.stringMatching(/pass 1\b/)]);
  });

  test.each(['required.cjs', 'imported.mjs'])('%s with a Node that is too old is told so', (file) => {
    write(
      'older.cjs',
      `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '22.14.0' } });\n`,
    );
    const { code, said } = run('--require', './older.cjs', file);
    expect([code, said]).toEqual([
      1,
      expect.stringContaining('Error: @keelson/embed needs Node 22.15 or newer; this is 22.14.0'),
    ]);
  });

  test('the client of etcd alone, for import and for require', () => {
    const client = path.join(modules, '@keelson/client');
    const made = spawnSync(process.execPath, [path.join(ROOT, 'packages/embed/pack.mjs'), client, 'client'], {
      encoding: 'utf8',
    });
    expect([made.status, made.stderr]).toEqual([0, '']);
    const program = `const client = createClient({ endpoints: ['127.0.0.1:1'] });
client.kv.get('k', { timeoutMs: 100 }).catch((error) => console.log(error.name)).finally(() => client.close());
`;
    write('client.cjs', `const { createClient } = require('@keelson/client');\n${program}`);
    write('client.mjs', `import { createClient } from '@keelson/client';\n${program}`);
    for (const file of ['client.cjs', 'client.mjs'])
      expect(run(file)).toEqual({ code: 0, said: 'EtcdError\n' });
    expect(existsSync(path.join(client, 'types/client/index.d.ts'))).toBe(true);
  });

  test('jest, plain CommonJS and without flags', () => {
    const jest = path.join(installed('.', 'jest'), 'bin/jest.js');
    const { code, said } = run(jest, '--rootDir', folder, '--testTimeout=100000', '--forceExit=false');
    expect([code, said]).toEqual([0, expect.stringContaining('1 passed, 1 total')]);
    expect(said).not.toContain('did not exit');
  });

  test('jest as ES modules', () => {
    const jest = path.join(installed('.', 'jest'), 'bin/jest.js');
    write(
      'imported.test.mjs',
      `import { afterAll, beforeAll, test } from '@jest/globals';
import { useControlPlane } from '@keelson/embed';
const plane = useControlPlane({ beforeAll, afterAll }, { controllers: [] });
test('is there', async () => {${BODY}});
`,
    );
    const { code, said } = run(
      '--experimental-vm-modules',
      '--no-warnings',
      jest,
      '--rootDir',
      folder,
      '--testTimeout=100000',
      '--testMatch=**/imported.test.mjs',
    );
    expect([code, said]).toEqual([0, expect.stringContaining('1 passed, 1 total')]);
  });

  test('vitest', () => {
    link('vitest', installed('packages/embed', 'vitest'));
    const vitest = path.join(modules, 'vitest/vitest.mjs');
    write(
      'imported.spec.mjs',
      `import { afterAll, beforeAll, test } from 'vitest';
import { useControlPlane } from '@keelson/embed';
const plane = useControlPlane({ beforeAll, afterAll }, { controllers: [] });
test('is there', async () => {${BODY}});
`,
    );
    const { code, said } = run(vitest, 'run', '--root', folder, '--testTimeout=100000', 'imported.spec');
    expect([code, said]).toEqual([0, expect.stringContaining('1 passed')]);
  });
});
