/**
 * Members that meet, and are asked, at unix sockets: as paths, and as etcd's "localhost:1", which is a file in the
 * working directory. The stock etcdctl is one of those who ask.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, openSync, closeSync, readdirSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createClient } from '@keelson/client';
import { ETCDCTL, KEELSON_ETCD, missingServer } from '../harness/binaries.ts';
import { clientTlsFlags, makeClusterTls, memberTlsFlags, type ClusterTls } from '../harness/certificates.ts';
import { READY_LINE } from '../harness/member-process.ts';
import { HopelessError, waitUntil } from '../harness/waiting.ts';

const missing = missingServer();
const served = missing === undefined ? test : test.skip;
const because = missing === undefined ? '' : ` (needs a built server: ${missing})`;

/** All sockets of a test, and the working directory of everybody in it. */
let home: string;
let running: Map<string, ChildProcess>;

beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'keelson-unix-'));
  running = new Map();
});
afterEach(async () => {
  for (const name of running.keys()) await end(name, 'SIGKILL');
  rmSync(home, { recursive: true, force: true });
});

/** For a machine that has other things to do. */
const PATIENCE_MS = 30_000;

interface Urls {
  readonly client: string;
  readonly peer: string;
}

type Members = Readonly<Record<string, Urls>>;

async function start(name: string, members: Members, flags: readonly string[] = []): Promise<void> {
  const { client, peer } = members[name];
  const pairs = Object.entries(members).map(([each, urls]) => `${each}=${urls.peer}`);
  const logFile = path.join(home, `${name}.log`);
  const log = openSync(logFile, 'w');
  const child = spawn(
    KEELSON_ETCD,
    [
      `--name=${name}`,
      `--data-dir=${name}.data`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=${pairs.join()}`,
      ...flags,
    ],
    { cwd: home, stdio: ['ignore', log, log] },
  );
  closeSync(log);
  running.set(name, child);
  await waitUntil(`${name} serves`, { timeoutMs: 60_000 }, () => {
    const text = readFileSync(logFile, 'utf8');
    if (child.exitCode !== null) throw new HopelessError(text);
    return text.includes(READY_LINE) || undefined;
  });
}

async function startAll(members: Members, flags: readonly string[] = []): Promise<void> {
  await Promise.all(Object.keys(members).map((name) => start(name, members, flags)));
}

async function end(name: string, signal: NodeJS.Signals): Promise<void> {
  const child = running.get(name);
  running.delete(name);
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => void child.once('exit', resolve));
  child.kill(signal);
  await gone;
}

/** As the members' endpoints are seen from elsewhere: a file of the working directory gets its whole path. */
function endpointOf(url: string): string {
  const [, scheme = '', file = ''] = /^(unixs?):(?:\/\/)?(.*)$/.exec(url) ?? [];
  return `${scheme}:${path.resolve(home, file)}`;
}

function etcdctl(...args: string[]): { status: number | null; out: string } {
  const { status, stdout, stderr } = spawnSync(ETCDCTL!, args, {
    cwd: home,
    encoding: 'utf8',
    env: { ...process.env, ETCDCTL_API: '3' },
  });
  return { status, out: stdout + stderr };
}

function sockets(): string[] {
  return readdirSync(home, { withFileTypes: true })
    .filter((entry) => entry.isSocket())
    .map(({ name }) => name)
    .sort();
}

function get(socketPath: string, page: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path: page }, (response) => {
      let text = '';
      response.on('data', (chunk) => (text += String(chunk)));
      response.on('end', () => resolve(text));
    });
    call.on('error', reject);
    call.end();
  });
}

/** A lease kept alive through each member: those that do not lead ask the leader, beside raft. */
async function kept(members: Members, tls?: ClusterTls): Promise<void> {
  for (const { client: url } of Object.values(members)) {
    const client = createClient({
      endpoints: [endpointOf(url)],
      requestTimeoutMs: PATIENCE_MS,
      ...(tls !== undefined && { tls: tls.dial }),
    });
    const { ID } = await client.lease.grant(600);
    expect(await client.lease.keepAliveOnce(ID)).toBe(600);
    client.close();
  }
}

/** Waits until a member has a leader that is not the one who was killed. */
async function followsAnother(member: Urls, killed: bigint): Promise<void> {
  const client = createClient({ endpoints: [endpointOf(member.client)], requestTimeoutMs: PATIENCE_MS });
  try {
    await waitUntil('the survivors have a leader', { timeoutMs: PATIENCE_MS }, async () => {
      const { leader } = await client.maintenance.status();
      return (leader !== 0n && leader !== killed) || undefined;
    });
  } finally {
    client.close();
  }
}

/** The three ways to name a file. */
function urls(scheme: 'unix' | 'unixs'): Members {
  return {
    m1: { client: `${scheme}://localhost:1`, peer: `${scheme}://localhost:2` },
    m2: { client: `${scheme}://${home}/m2.client`, peer: `${scheme}://${home}/m2.peer` },
    m3: { client: `${scheme}://m3.client`, peer: `${scheme}:m3.peer` },
  };
}

describe('unix sockets', () => {
  served(`three members, one killed and started again, and a stop${because}`, async () => {
    const members = urls('unix');
    const metrics = '--listen-metrics-urls=unix://metrics';
    const http = '--listen-client-http-urls=unix:m3.http';
    await Promise.all([start('m1', members, [metrics]), start('m2', members), start('m3', members, [http])]);
    const endpoints = Object.values(members).map(({ client }) => endpointOf(client));
    const client = createClient({ endpoints, requestTimeoutMs: PATIENCE_MS });
    try {
      await client.kv.put('a', '1');
      const { header } = await client.maintenance.status({ endpoint: endpointOf(members['m2'].client) });
      const killed = header!.memberId;
      await end('m2', 'SIGKILL');
      // A put that a follower hands to a leader just killed is answered with a time-out, as etcd does it.
      for (const name of ['m1', 'm3']) await followsAnother(members[name], killed);
      expect(sockets()).toContain('m2.peer');
      await client.kv.put('b', '2');
      await start('m2', members);
      const second = createClient({
        endpoints: [endpointOf(members['m2'].client)],
        requestTimeoutMs: PATIENCE_MS,
      });
      expect((await second.kv.get('b')).kvs.map(({ value }) => value.toString())).toEqual(['2']);
      second.close();
      expect(JSON.parse(await get(path.join(home, 'metrics'), '/health'))).toMatchObject({ health: 'true' });
      // The gateway and gRPC share the socket.
      expect(await get(path.join(home, 'localhost:1'), '/version')).toContain('etcdserver');
      expect(await get(path.join(home, 'm3.http'), '/version')).toContain('etcdserver');
      await kept(members);
      if (ETCDCTL !== undefined)
        for (const { client: url } of Object.values(members)) {
          const read = etcdctl('--endpoints', url, 'get', 'a', '--print-value-only');
          expect(read).toEqual({ status: 0, out: '1\n' });
        }
    } finally {
      client.close();
    }
    expect(sockets()).toHaveLength(8);
    for (const name of Object.keys(members)) await end(name, 'SIGTERM');
    expect(sockets()).toEqual([]);
  });

  served(`with TLS on both sides${because}`, async () => {
    const tls: ClusterTls = await makeClusterTls(home);
    const { m1, m2 } = urls('unixs');
    const members = { m1, m2 };
    await startAll(members, memberTlsFlags(tls));
    await kept(members, tls);
    const stranger = createClient({
      endpoints: [endpointOf(m2.client).replace('unixs', 'unix')],
      requestTimeoutMs: 500,
    });
    await expect(stranger.kv.get('a')).rejects.toThrow();
    stranger.close();
    if (ETCDCTL === undefined) return;
    const url = m1.client;
    const put = etcdctl('--endpoints', url, ...clientTlsFlags(tls), 'put', 'a', '1');
    expect(put).toEqual({ status: 0, out: 'OK\n' });
  });

  served(`a path that is taken${because}`, async () => {
    const { m1 } = urls('unix');
    await start('m1', { m1 });
    const m2 = { client: 'unix://c', peer: m1.peer };
    await expect(start('m2', { m2 })).rejects.toThrow(
      'listen unix localhost:2: bind: address already in use',
    );
    expect(existsSync(path.join(home, 'localhost:2'))).toBe(true);
  });
});
