/** The program itself with failpoints: it dies where it is told to, and what it acknowledged is there again. */
import { afterEach, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createClient } from '@keelson/client';
import { freePorts } from '../../base/test/free-ports.ts';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'keelson-failpoints-'));
const children: ChildProcess[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
  rmSync(folder, { recursive: true });
});

test('a member dies before it saves; what it said was written is there, and no more', async () => {
  const [client, peer, control] = await freePorts(3);
  const peerUrl = `http://127.0.0.1:${peer}`;
  const flags = [
    `--data-dir=${join(folder, 'data')}`,
    `--listen-client-urls=http://127.0.0.1:${client}`,
    `--advertise-client-urls=http://127.0.0.1:${client}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=default=${peerUrl}`,
  ];
  const lines: string[] = [];
  const start = async (env: Readonly<Record<string, string>>): Promise<ChildProcess> => {
    const child = spawn(process.execPath, [MAIN, ...flags], { env, stdio: ['ignore', 'ignore', 'pipe'] });
    children.push(child);
    const ready = new Promise<void>((resolve, reject) => {
      child.once('exit', () => reject(new Error(`it ended:\n${lines.join('\n')}`)));
      createInterface({ input: child.stderr }).on('line', (line) => {
        lines.push(line);
        if (line.includes('ready to serve client requests')) resolve();
      });
    });
    await ready;
    return child;
  };
  const points = `http://127.0.0.1:${control}`;

  const child = await start({
    GOFAIL_HTTP: `127.0.0.1:${control}`,
    GOFAIL_FAILPOINTS: 'beforeCommit=sleep(1)',
  });
  const etcd = createClient({ endpoints: [`127.0.0.1:${client}`] });
  try {
    await etcd.kv.put('acknowledged', 'v');
    expect(await (await fetch(points)).text()).toContain('beforeCommit=sleep(1)\n');
    expect((await fetch(`${points}/raftBeforeSave`, { method: 'PUT', body: 'panic' })).status).toBe(204);
    const gone = once(child, 'exit');
    const lost = etcd.kv.put('lost', 'v').then(
      () => 'acknowledged',
      () => 'failed',
    );
    expect(await gone).toEqual([null, 'SIGKILL']);
    expect(lines.some((line) => line.includes('"failpoint panic: raftBeforeSave"'))).toBe(true);
    expect(await lost).toBe('failed');

    await start({});
    await expect(fetch(points)).rejects.toThrow();
    expect((await etcd.kv.get('acknowledged')).count).toBe(1);
    expect((await etcd.kv.get('lost')).count).toBe(0);
  } finally {
    etcd.close();
  }
});
