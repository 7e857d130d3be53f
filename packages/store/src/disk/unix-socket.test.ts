import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { listenAt } from './unix-socket.ts';

let directory: string;
const servers: Server[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'keelson-socket-'));
});
afterEach(async () => {
  for (const server of servers.splice(0)) await closed(server);
  rmSync(directory, { recursive: true, force: true });
});

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => void server.close(() => resolve()));
}

async function listen(path: string): Promise<Server> {
  const server = createServer();
  await listenAt(server, path);
  servers.push(server);
  return server;
}

/** As a process that was killed leaves it. */
function abandon(path: string): void {
  const script = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script, path]);
  expect(statSync(path).isSocket()).toBe(true);
}

test('the socket is there while the server listens', async () => {
  const path = join(directory, 's');
  const server = await listen(path);
  expect(statSync(path).isSocket()).toBe(true);
  servers.pop();
  await closed(server);
  expect(existsSync(path)).toBe(false);
});

test('a socket that was left behind is taken over', async () => {
  const path = join(directory, 's');
  abandon(path);
  expect((await listen(path)).address()).toBe(path);
});

test('a socket that is answered at stays', async () => {
  const path = join(directory, 's');
  const first = await listen(path);
  await expect(listen(path)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  expect(first.listening).toBe(true);
  await listen(join(directory, 't'));
});

test('a file that is no socket stays', async () => {
  const path = join(directory, 's');
  writeFileSync(path, 'precious');
  await expect(listen(path)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  expect(readFileSync(path, 'utf8')).toBe('precious');
});

test('a directory that is not there is an error', async () => {
  await expect(listen(join(directory, 'none', 's'))).rejects.toMatchObject({
    code: expect.stringMatching(/^(?:EACCES|ENOENT)$/),
  });
});
