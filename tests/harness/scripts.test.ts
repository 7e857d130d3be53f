/** Scripts that are started by hand: each tells how it is used when asked, and does nothing for what it does not know. */
import { describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { numberOf, openingOf } from '../../packages/base/test/script.ts';

const ROOT = path.join(import.meta.dirname, '../..');

/** One of each way in which scripts read their words. */
const SCRIPTS: readonly [file: string, help: RegExp][] = [
  ['packages/raft/test/sim/main.ts', /--without a,b +fault kinds left out/],
  ['packages/store/test/sim/main.ts', /--history FILE +with --seed/],
  ['packages/raft/test/model/main.ts', /\[--states N\] \[--config NAME\]/],
  ['packages/raft/test/datadriven.ts', /^usage: datadriven\.ts DIR/],
  ['packages/sim/src/checker/main.ts', /^usage: main\.ts HISTORY/],
  ['packages/rpc/test/fuzz.ts', /\[--frames N \| --minutes M\]/],
  ['tests/fuzz/main.ts', /\[--minutes M \| --execs N\]/],
  ['tests/crash/main.ts', /`--points N` bounds/],
  ['tests/conformance/generated/main.ts', /\[--scripts N\]/],
];

function run(file: string, flag: string): { status: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(ROOT, file), flag], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 60_000,
    env: { ...process.env, NODE_OPTIONS: '', NODE_NO_WARNINGS: '1' },
  });
  return { status, out: stdout, err: stderr };
}

describe.each(SCRIPTS)('%s', (file, help) => {
  test('tells how it is used', () => {
    const { status, out, err } = run(file, '--help');
    expect([status, err]).toEqual([0, '']);
    expect(out).toMatch(help);
  });

  test('does nothing for a flag that it does not know', () => {
    const { status, out, err } = run(file, '--hlep');
    expect([status, out]).toEqual([2, '']);
    expect(err).toMatch(/--hlep|^usage: /);
  });
});

test('the help of a script is the text of its first comment', () => {
  expect(openingOf('import a;\n/**\n * One.\n *\n *   two --x\n */\nconst b = 1; /** no */')).toBe(
    'One.\n\n  two --x',
  );
  expect(openingOf('/** One line. */')).toBe('One line.');
  expect(openingOf('const a = 1;')).toBe('');
});

test('a number is a number', () => {
  expect(['0', '2.5', 'Infinity'].map((text) => numberOf('n', text))).toEqual([0, 2.5, Infinity]);
});
