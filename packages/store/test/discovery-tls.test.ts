/** Founders who find each other in another etcd that speaks TLS: a real one, and one of ours. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { silentLogger } from '@keelson/base';
import { createClient, type Client } from '@keelson/client';
import { HAS_ETCD, startEtcd } from '../../base/test/etcd-process.ts';
import { defaultServerConfig, parseServerConfig } from '../src/config/config.ts';
import type { ServerConfig } from '../src/config/flag-table.ts';
import { RegistryClient } from '../src/discovery/registry-client.ts';
import { StoreServer } from '../src/server.ts';
import { realWorld } from '../src/world.ts';
import { MemberCluster } from './members.ts';
import { TestAuthority, type Issued } from './tls-fixtures.ts';

let authority: TestAuthority;
let service: Issued;
let founder: Issued;
const open: (() => Promise<unknown>)[] = [];

beforeAll(() => {
  authority = new TestAuthority();
  service = authority.issue('service');
  founder = authority.issue('founder');
});
afterAll(() => authority.dispose());
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** Flags of a service that asks for certificates. */
function serviceFlags(): string[] {
  return [
    `--cert-file=${service.certFile}`,
    `--key-file=${service.keyFile}`,
    `--trusted-ca-file=${authority.caFile}`,
  ];
}

/** @returns "127.0.0.1:port" */
async function real(): Promise<string> {
  const etcd = await startEtcd({ tls: [...serviceFlags(), '--client-cert-auth'] });
  open.push(() => etcd.stop());
  return etcd.endpoint;
}

async function ours(): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'keelson-registry-'));
  const parsed = parseServerConfig(
    [
      `--data-dir=${join(directory, 'data')}`,
      '--listen-client-urls=https://127.0.0.1:0',
      '--advertise-client-urls=https://127.0.0.1:0',
      '--listen-peer-urls=http://127.0.0.1:0',
      '--heartbeat-interval=20',
      '--election-timeout=200',
      ...serviceFlags(),
    ],
    {},
    () => '',
  );
  if (parsed.kind !== 'config') throw new Error(JSON.stringify(parsed));
  const server = await StoreServer.start(parsed.config, realWorld(parsed.config, silentLogger));
  open.push(async () => {
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  await server.ready();
  return `127.0.0.1:${server.clientPorts[0].port}`;
}

function clientOf(endpoint: string): Client {
  const { certificate: cert, key } = founder;
  const client = createClient({
    endpoints: [endpoint],
    requestTimeoutMs: 30_000,
    tls: () => ({ ca: [authority.certified.certificate], cert: Buffer.from(cert), key: Buffer.from(key) }),
  });
  open.push(() => Promise.resolve(client.close()));
  return client;
}

/** What founders say of themselves. */
function secured(): Partial<ServerConfig> {
  return {
    discoveryInsecureTransport: false,
    discoveryCert: founder.certFile,
    discoveryKey: founder.keyFile,
    discoveryCacert: authority.caFile,
  };
}

/** Three members, by the service at this endpoint. */
async function found(endpoint: string, config: Partial<ServerConfig>): Promise<void> {
  const cluster = await MemberCluster.start({
    members: 3,
    config: {
      initialCluster: '',
      discoveryToken: 'TOKEN',
      discoveryEndpoints: ['127.0.0.1:1', endpoint],
      ...config,
    },
  });
  open.push(() => cluster.stop());
  await cluster.client().kv.put('k', 'v');
  const { members } = await cluster.client().cluster.memberList();
  expect(members.map(({ name }) => name).sort()).toEqual(['m1', 'm2', 'm3']);
}

const SIZE = '/_etcd/registry/TOKEN/_config/size';
const withEtcd = HAS_ETCD ? test : test.skip;
const needs = HAS_ETCD ? '' : ' (needs etcd on the PATH)';

describe('three members find each other', () => {
  withEtcd(`in a real etcd, with certificates on both sides${needs}`, async () => {
    const endpoint = await real();
    await clientOf(endpoint).kv.put(SIZE, '3');
    await found(endpoint, secured());
    const { kvs } = await clientOf(endpoint).kv.get('/_etcd/registry/TOKEN/members/', { prefix: true });
    expect(kvs.map(({ value }) => value.toString().split('=')[0]).sort()).toEqual(['m1', 'm2', 'm3']);
  });

  test('in one of ours, which also wants a password', async () => {
    const endpoint = await ours();
    const client = clientOf(endpoint);
    await client.kv.put(SIZE, '3');
    await client.auth.userAdd('root', 'secret');
    await client.auth.userGrantRole('root', 'root');
    await client.auth.enable();
    await found(`https://${endpoint}`, { ...secured(), discoveryUser: 'root', discoveryPassword: 'secret' });
  });
});

describe('who is believed', () => {
  const ask = async (endpoint: string, config: Partial<ServerConfig>): Promise<number | string> => {
    const client = new RegistryClient({
      ...defaultServerConfig(),
      discoveryEndpoints: [endpoint],
      discoveryToken: 'TOKEN',
      discoveryDialTimeoutMs: 10_000,
      ...config,
    });
    try {
      return (await client.list(SIZE)).length;
    } catch (error) {
      return String(error);
    } finally {
      client.close();
    }
  };

  test('a service whose authority is known, or anybody', async () => {
    const endpoint = await ours();
    await clientOf(endpoint).kv.put(SIZE, '1');
    const stranger = new TestAuthority('stranger');
    open.push(() => Promise.resolve(stranger.dispose()));
    expect(await ask(endpoint, secured())).toBe(1);
    // TLS only because a scheme says so.
    expect(await ask(`https://${endpoint}`, { ...secured(), discoveryInsecureTransport: true })).toBe(1);
    // None because a scheme says so.
    expect(await ask(`http://${endpoint}`, secured())).not.toBe(1);
    const astray = { ...secured(), discoveryCacert: stranger.caFile };
    expect(await ask(endpoint, astray)).toContain('certificate signed by unknown authority');
    expect(await ask(endpoint, { ...astray, discoveryInsecureSkipTlsVerify: true })).toBe(1);
    const nobody = { ...secured(), discoveryCert: '', discoveryKey: '' };
    expect(await ask(endpoint, nobody)).not.toBe(1);
  });

  test.each<[string, () => Partial<ServerConfig>, string]>([
    [
      'half a pair',
      () => ({ discoveryCert: 'c' }),
      'KeyFile and CertFile must both be present[key: , cert: c]',
    ],
    [
      'a pair that is not there',
      () => ({ discoveryCert: '/c', discoveryKey: '/k' }),
      'open /c: no such file',
    ],
    ['an authority that is not there', () => ({ discoveryCacert: '/ca' }), 'open /ca: no such file'],
  ])('%s ends the start', (_name, config, text) => {
    expect(() => new RegistryClient({ ...defaultServerConfig(), ...config() })).toThrow(text);
  });
});
