/** The debug socket as a program of the same machine finds it: open, found again after a kill, and no reason to end. */

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { JsonLogger, systemClock } from '@keelson/base';

import { plainText } from '../api/plain-text.ts';
import { ObjectCodec } from '../codec/object-codec.ts';
import { TypeTable } from '../schema/type-table.ts';
import { DebugSocket } from './debug-socket.ts';

const codec = new ObjectCodec(new TypeTable());
let folder = '';
let lines: string[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'debug-socket-'));
  lines = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

function socketAt(path: string): DebugSocket {
  return new DebugSocket({
    path,
    pages: new Map([['/debug/flags', () => Promise.resolve(plainText(200, 'flags'))]]),
    removeFile: (file) => rmSync(file, { force: true }),
    codec,
    clock: systemClock,
    logger: new JsonLogger(
      (line) => void lines.push(line),
      () => 0,
    ),
  });
}

function ask(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => (text += chunk));
      answer.on('end', () => resolve(`${answer.statusCode} ${text.trim()}`));
    });
    asked.on('error', reject).end();
  });
}

test('answers its pages and no others, and leaves no file', async () => {
  const path = join(folder, 'debug.sock');
  const socket = socketAt(path);
  await socket.start();
  expect(await ask(path, '/debug/flags')).toBe('200 flags');
  expect(await ask(path, '/api/v1/pods')).toBe('404 404 page not found');
  await socket.stop();
  expect(existsSync(path)).toBe(false);
  expect(lines).toEqual([]);
});

test('takes the place of a socket that somebody left behind', async () => {
  const path = join(folder, 'debug.sock');
  const former = createServer();
  await new Promise<void>((resolve) => {
    former.listen({ path }, resolve);
  });
  const socket = socketAt(path);
  await socket.start();
  expect(await ask(path, '/debug/flags')).toBe('200 flags');
  await socket.stop();
  await new Promise((resolve) => {
    former.close(resolve);
  });
});

test('a socket that cannot be opened is told, and is no reason to end', async () => {
  const path = join(folder, 'absent', 'debug.sock');
  const socket = socketAt(path);
  await socket.start();
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('the debug socket could not be opened');
  await socket.stop();
});
