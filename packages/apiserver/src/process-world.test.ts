/** A program that makes credentials, as the process runs it. */

import { expect, test } from '@jest/globals';

import { runProgram } from './process-world.ts';

const shell = (script: string, env: Record<string, string> = {}): ReturnType<typeof runProgram> =>
  runProgram('sh', ['-c', script], env);

test('what it prints, with what it is told and nothing to read', async () => {
  const end = await shell('cat; printf %s "$REALM in $HOME"', { REALM: 'x' });
  expect(end).toEqual({ kind: 'ended', code: 0, stdout: `x in ${process.env['HOME'] ?? ''}` });
});

test('how it ended', async () => {
  expect(await shell('exit 3')).toEqual({ kind: 'ended', code: 3, stdout: '' });
  expect(await shell('kill -TERM $$')).toEqual({ kind: 'failed', why: 'signal: SIGTERM' });
  expect(await runProgram('/nowhere/at/all', [], {})).toEqual({ kind: 'missing' });
});

test.each([
  ['itself', 'exec yes'],
  ['by a program that it started', 'yes; true'],
])('one that prints without end, %s, is ended', async (_who, script) => {
  expect(await shell(script)).toEqual({ kind: 'failed', why: 'signal: SIGKILL' });
});
