/**
 * Bundles of the programs (scripts/bundle.mjs): they are the programs, and the executables take one only when it is newer
 * than every build.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '..');
const built = existsSync(path.join(ROOT, 'packages/cli/dist/main.js'));
const folder = mkdtempSync(path.join(tmpdir(), 'keelson-bundle-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(program: string, ...args: string[]): { code: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  return { code: status, said: `${stdout}${stderr}` };
}

(built ? describe : describe.skip)('bundles (skipped where nothing is built)', () => {
  beforeAll(() => {
    expect(run(process.execPath, path.join(ROOT, 'scripts/bundle.mjs'), folder)).toEqual({
      code: 0,
      said: '',
    });
  });

  test.each([
    ['etcd', 'store', ['--version']],
    ['etcd', 'store', ['--no-such-flag']],
    ['kube-apiserver', 'apiserver', ['--version']],
    ['kube-apiserver', 'apiserver', ['--no-such-flag']],
    ['keelson', 'cli', ['version']],
    ['keelson', 'cli', ['etcdctl', 'no-such-command']],
  ])('%s says what packages/%s says to %j', (program, name, args) => {
    const plain = run(process.execPath, path.join(ROOT, 'packages', name, 'dist/main.js'), ...args);
    expect(plain.said).not.toBe('');
    expect(run(process.execPath, path.join(folder, program, 'main.js'), ...args)).toEqual(plain);
  });

  test('all of our modules are in it', () => {
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    expect(files.filter((file) => file.endsWith('.new'))).toEqual([]);
    expect(files.length).toBeLessThan(100);
  });
});

describe('the file that an executable starts', () => {
  const home = path.join(folder, 'home');
  const infos = [
    'packages/one/dist/.tsbuildinfo',
    'packages/two/dist/.tsbuildinfo',
    'proto/dist/.tsbuildinfo',
  ];
  const bundle = 'dist/program/main.js';

  /** Seconds of each file's time; undefined: it is not there. */
  function lay(times: Readonly<Record<string, number | undefined>>, unbundled = ''): string {
    rmSync(home, { recursive: true, force: true });
    for (const [name, seconds] of Object.entries(times)) {
      if (seconds === undefined) continue;
      const file = path.join(home, name);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, '');
      utimesSync(file, seconds, seconds);
    }
    mkdirSync(path.join(home, 'node_modules'), { recursive: true });
    writeFileSync(path.join(home, 'node_modules/.keelson-node'), `${process.execPath}\n`);
    const words = [
      `root=${home}`,
      `KEELSON_UNBUNDLED=${unbundled}`,
      `. ${path.join(ROOT, 'bin/runtime.sh')}`,
    ];
    const script = [...words, 'built program one', 'echo "$entry"'].join('; ');
    const { code, said } = run('/bin/sh', '-c', script);
    expect(code).toBe(0);
    return path.relative(home, said.trim());
  }

  test.each<[string, number | undefined, readonly number[], string]>([
    ['the bundle, newer than every build', 20, [10, 11, 12], bundle],
    ['what was built, without a bundle', undefined, [10, 11, 12], 'packages/one/dist/main.js'],
    ['what was built, after the bundle', 20, [21, 11, 12], 'packages/one/dist/main.js'],
    ['what was built, after another package was', 20, [10, 21, 12], 'packages/one/dist/main.js'],
    ['what was built, after the messages were', 20, [10, 11, 21], 'packages/one/dist/main.js'],
    ['what was built, at the same time', 20, [10, 20, 11], 'packages/one/dist/main.js'],
  ])('%s', (_name, bundled, times, entry) => {
    const laid = Object.fromEntries(infos.map((name, at) => [name, times[at]]));
    expect(lay({ ...laid, [bundle]: bundled })).toBe(entry);
  });

  test('what was built, where modules are asked for', () => {
    const laid = Object.fromEntries(infos.map((name) => [name, 10]));
    expect(lay({ ...laid, [bundle]: 20 }, '1')).toBe('packages/one/dist/main.js');
  });
});
