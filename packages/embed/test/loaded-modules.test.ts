/**
 * What a start loads of Node's own: its client for fetch comes with an import of node:http, and nobody uses it. Asked of
 * processes that load the built packages, since the process of the tests has loaded everything.
 */
import { expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const UNUSED = 'NativeModule internal/deps/undici/undici';

const built = existsSync(path.join(ROOT, 'packages/cli/dist/main.js'));

test.each([
  ['the control plane', 'embed/dist/index.js'],
  ['the store', 'store/dist/index.js'],
  ['the client of the API', 'kube-client/dist/index.js'],
  ['the proxies', 'proxy/dist/index.js'],
])(`no client for fetch is loaded with %s${built ? '' : ' (needs the build)'}`, (_name, door) => {
  if (!built) return;
  const program = `await import(${JSON.stringify(path.join(ROOT, 'packages', door))});
console.log(JSON.stringify(process.moduleLoadList));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  const loaded: unknown = JSON.parse(stdout);
  expect(loaded).toContain('NativeModule net');
  expect(loaded).not.toContain(UNUSED);
});
