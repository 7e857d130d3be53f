/**
 * Several API servers on one store, in one process: both are told to clients, what one wrote the other shows, a watch goes on
 * at either, and one that is stopped in order loses nobody an event.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import {
  CredentialMemory,
  gatherCredentials,
  KubeApiServer,
  parseConfig,
  processWorld,
  readFile,
  servingNames,
  type ServerCredentials,
} from '@keelson/apiserver';
import { silentLogger, systemClock } from '@keelson/base';
import {
  HttpsTransport,
  MetricSet,
  RestClient,
  type KubeObject,
  type Resource,
  type Transport,
} from '@keelson/kube-client';
import { until } from '../../base/test/until.ts';
import { StoreMember } from '../src/store-member.ts';

const MAPS: Resource = { group: '', version: 'v1', resource: 'configmaps' };
const START_MS = 120_000;

interface Server {
  readonly api: KubeApiServer;
  readonly credentials: ServerCredentials;
}

let member: StoreMember | undefined;
let store = new CredentialMemory();
const open: { close(): void }[] = [];
const running: KubeApiServer[] = [];

afterEach(async () => {
  for (const one of open.splice(0)) one.close();
  await Promise.all(running.splice(0).map((server) => server.stop(true)));
  await member?.stop();
  member = undefined;
});

async function servers(...flags: readonly (readonly string[])[]): Promise<Server[]> {
  member = await StoreMember.start({ folder: undefined, clock: systemClock, logger: silentLogger });
  store = new CredentialMemory();
  const made: Server[] = [];
  for (const [index, own] of flags.entries()) {
    const parsed = parseConfig(
      [
        '--etcd-servers=http://in-process',
        '--bind-address=127.0.0.1',
        '--secure-port=0',
        '--authorization-mode=RBAC',
        `--advertise-address=10.9.8.${index + 1}`,
        ...own,
      ],
      'test',
    );
    if (parsed.kind !== 'config') throw new Error(JSON.stringify(parsed));
    const { config } = parsed;
    const machine = { hostname: `host${index}`, addresses: [] };
    const credentials = gatherCredentials({
      config,
      store,
      readFile,
      names: servingNames(config, machine, ''),
      nowMs: Date.now(),
    });
    const api = new KubeApiServer({
      config,
      credentials,
      client: member.client,
      clock: systemClock,
      logger: silentLogger,
      ...processWorld(systemClock),
      machine,
    });
    running.push(api);
    await api.start();
    await api.untilReady(AbortSignal.timeout(START_MS));
    made.push({ api, credentials });
  }
  return made;
}

/** Over its port, as the administrator. */
function overTls({ api, credentials }: Server): RestClient {
  const { admin, rootCertificate: ca } = credentials;
  if (admin === undefined) throw new Error('no administrator');
  const transport = new HttpsTransport({
    server: `https://127.0.0.1:${api.securePort}`,
    clock: systemClock,
    tls: { ca, cert: admin.certificate, key: admin.key },
  });
  open.push(transport);
  return clientOf(transport);
}

function clientOf(transport: Transport): RestClient {
  return new RestClient({ transport, clock: systemClock, metrics: new MetricSet(), userAgent: 'test' });
}

const map = (name: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default' },
});

/** Names of what a watch shows until it ends. */
async function follow(client: RestClient, resourceVersion: string, seen: string[]): Promise<string> {
  let last = resourceVersion;
  for await (const batch of client.watch(MAPS, 'default', { resourceVersion, timeoutSeconds: 600 })) {
    for (const { type, object } of batch) {
      if (object.metadata.resourceVersion !== undefined) last = object.metadata.resourceVersion;
      if (type !== 'BOOKMARK') seen.push(`${type} ${object.metadata.name}`);
    }
  }
  return last;
}

describe('two API servers on one store', () => {
  test('are both told to clients, and show each other what they wrote at once', async () => {
    const [first, second] = await servers([], []);
    const a = clientOf(first.api);
    const b = clientOf(second.api);
    const addresses = async (): Promise<string> => {
      const { subsets } = await b.get({ ...MAPS, resource: 'endpoints' }, 'default', 'kubernetes');
      return [...JSON.stringify(subsets).matchAll(/10\.9\.8\.\d/g)]
        .map(([address]) => address)
        .toSorted((one, other) => one.localeCompare(other))
        .join();
    };
    await until(async () => (await addresses()) === '10.9.8.1,10.9.8.2', 'both are endpoints');
    const slices = { group: 'discovery.k8s.io', version: 'v1', resource: 'endpointslices' };
    const slice = await a.get(slices, 'default', 'kubernetes');
    expect(JSON.stringify(slice['endpoints'])).toContain('10.9.8.2');

    for (let index = 0; index < 20; index += 1) {
      const [writer, reader] = index % 2 === 0 ? [a, b] : [b, a];
      const made = await writer.create(MAPS, 'default', map(`m${index}`));
      // A list without a version is never older than what was written before it.
      const { items } = await reader.list(MAPS, 'default');
      expect(items.find(({ metadata }) => metadata.name === `m${index}`)?.metadata.resourceVersion).toBe(
        made.metadata.resourceVersion,
      );
    }

    await first.api.stop();
    await until(async () => (await addresses()) === '10.9.8.2', 'the one that stopped is no endpoint');
  });

  test('a watch goes on at the other with the version of the one', async () => {
    const [first, second] = await servers([], []);
    const a = overTls(first);
    const b = overTls(second);
    const { metadata } = await a.list(MAPS, 'default');
    const seen: string[] = [];
    const ended = follow(a, metadata.resourceVersion ?? '', seen);
    for (const name of ['a', 'b', 'c']) await b.create(MAPS, 'default', map(name));
    await until(() => seen.length === 3, 'three are seen');
    const stopped = first.api.stop();
    const last = await ended;
    await stopped;
    await b.delete(MAPS, 'default', 'a');
    const more: string[] = [];
    void follow(b, last, more).catch(() => undefined);
    await until(() => more.length === 1, 'the fourth is seen');
    expect([seen, more]).toEqual([['ADDED a', 'ADDED b', 'ADDED c'], ['DELETED a']]);
  });
});

test('a server that is stopped in order is not ready first, serves on, and ends watches when they have all', async () => {
  const [first, second] = await servers(['--shutdown-delay-duration=4s'], []);
  const a = overTls(first);
  const b = overTls(second);
  const probe = async (path: string): Promise<[number, string]> => {
    const answer = await first.api.call(path);
    return [answer.code, (await answer.bytes()).toString()];
  };
  expect((await probe('/readyz'))[0]).toBe(200);
  const { metadata } = await a.list(MAPS, 'default');
  const seen: string[] = [];
  const ended = follow(a, metadata.resourceVersion ?? '', seen);
  await b.create(MAPS, 'default', map('before'));
  await until(() => seen.length === 1, 'the watch is open');

  let down = false;
  const stopped = first.api.stop().then(() => (down = true));
  const [code, text] = await probe('/readyz');
  expect(code).toBe(500);
  expect(text).toContain('[-]shutdown failed');
  expect((await probe('/livez'))[0]).toBe(200);
  const made: string[] = [];
  for (let index = 0; !down && index < 2_000; index += 1) {
    // Whoever still comes here is served, on the connection there is and on new ones.
    const way = index < 10 ? (index % 2 === 0 ? a : overTls(first)) : b;
    await way.create(MAPS, 'default', map(`m${index}`));
    made.push(`ADDED m${index}`);
    if (index >= 10) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const last = await ended;
  await stopped;
  const rest: string[] = [];
  void follow(b, last, rest).catch(() => undefined);
  await until(() => seen.length - 1 + rest.length >= made.length, 'all are seen');
  expect([...seen, ...rest]).toEqual(['ADDED before', ...made]);
  // The watch was told of what happened while the server was on its way out.
  expect(seen.length).toBeGreaterThan(10);
  await expect(overTls(first).list(MAPS, 'default')).rejects.toThrow();
});
