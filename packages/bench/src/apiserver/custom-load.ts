/**
 * Many definitions of custom resources, loaded as an installer loads them: what each adds to memory, what the load costs in
 * CPU, what discovery and OpenAPI cost after it, and what goes when the definitions go. Figures are the server's own CPU time
 * and memory, so that other programs on the machine do not spoil them.
 */
import { single, type Measured } from '../measured.ts';
import type { Progress } from '../progress.ts';
import type { ApiClient, Asked } from './api-client.ts';
import type { ApiCluster } from './api-cluster.ts';
import { customDefinition, customKind, DEFINITIONS_PATH, type CustomKind } from './custom-kinds.ts';

/** Installers apply one after another; several at once show a storm, where there is one. */
const WORKERS = 4;
/** Loaded before anything is measured: with the first ones code is compiled and the young generation takes its full size. */
const WARM_UP = 100;
const WARM_UP_INDEX = 100_000;
const MIB = 2 ** 20;
/** The engine keeps pages that it emptied for the next burst and gives them back when it was idle for 8 s. */
const SETTLED_MS = 12_000;
const READY_LIMIT_MS = 60_000;
const APIS = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

export interface DefinitionsLoad {
  readonly cluster: ApiCluster;
  readonly client: ApiClient;
  readonly progress: Progress;
  readonly count: number;
  /** Of each definition's JSON. */
  readonly bytes: number;
  /** Of the first one; nobody uses those behind it. */
  readonly from: number;
}

/** Bytes. */
interface Held {
  readonly heap: number;
  readonly resident: number;
  /** Before the pages that the last collections emptied went back to the system. */
  readonly residentAtOnce: number;
}

/** @returns figures under names that begin with `prefix` */
export async function measureDefinitions(load: DefinitionsLoad, prefix: string): Promise<Measured> {
  const { cluster, client, progress, count, bytes, from } = load;
  const kinds = Array.from({ length: count }, (_, at) => customKind(from + at));
  const warmUp = Array.from({ length: WARM_UP }, (_, at) => customKind(WARM_UP_INDEX + from + at));
  const beganMs = performance.now();
  await define(client, warmUp, bytes);
  await watched(client, WARM_UP);
  await readDocuments(cluster, client, warmUp);
  const before = await held(cluster);
  const watchedBefore = await monitors(client);

  let done = 0;
  progress.follow(() => ({ fraction: done / count, text: `${done} definitions` }));
  const cpu = (): number => cluster.server.usage()[0]?.cpuSeconds ?? 0;
  const cpuBefore = cpu();
  const loadBeganMs = performance.now();
  await cluster.server.watchLoop();
  const size = await define(client, kinds, bytes, () => (done += 1));
  await watched(client, (watchedBefore ?? 0) + count);
  const loop = await cluster.server.loop();
  const loadSeconds = (performance.now() - loadBeganMs) / 1_000;
  const loadCpu = cpu() - cpuBefore;

  const after = await held(cluster);
  const documents = await readDocuments(cluster, client, kinds);
  const read = await held(cluster);
  const json = size / count;
  const figures = {
    Definitions: count,
    JsonBytes: json,
    LoadSeconds: loadSeconds,
    LoadCpuMsEach: (loadCpu * 1_000) / count,
    LoopP99Ms: loop.heldP99Ms,
    LoopWorkedMaxMs: loop.workedMaxMs,
    ResidentMbEach: (after.resident - before.resident) / count / MIB,
    ResidentAtOnceMbEach: (after.residentAtOnce - before.residentAtOnce) / count / MIB,
    HeapMbEach: (after.heap - before.heap) / count / MIB,
    HeapTimesJson: (after.heap - before.heap) / size,
    ResidentTimesJson: (after.resident - before.resident) / size,
    ReadHeapMbEach: (read.heap - before.heap) / count / MIB,
    ReadResidentMbEach: (read.resident - before.resident) / count / MIB,
    ...documents,
  };
  const named = Object.entries(figures).map(([name, value]) => [`${prefix}${name}`, value]);
  return single(cluster, (performance.now() - beganMs) / 1_000, Object.fromEntries(named));
}

/** @returns bytes of all their JSON; resolves when each is served */
async function define(
  client: ApiClient,
  kinds: readonly CustomKind[],
  bytes: number,
  told: () => void = () => {},
): Promise<number> {
  let next = 0;
  let size = 0;
  const worker = async (number: number): Promise<void> => {
    for (let kind = kinds.at(next++); kind !== undefined; kind = kinds.at(next++)) {
      const body = customDefinition(kind, bytes);
      size += body.length;
      await client.call(number, { method: 'POST', path: DEFINITIONS_PATH, body });
      const path = `/apis/${kind.group}/v1/${kind.plural}?limit=1`;
      const deadline = performance.now() + READY_LIMIT_MS;
      while ((await client.ask(number, { method: 'GET', path })).status !== 200) {
        if (performance.now() > deadline) throw new Error(`${kind.plural} is not served`);
        await pause(5);
      }
      told();
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, (_, number) => worker(number)));
  return size;
}

/** Resolves when garbage collection watches so many; at once where there is none. */
async function watched(client: ApiClient, count: number): Promise<void> {
  const deadline = performance.now() + READY_LIMIT_MS;
  for (;;) {
    const now = await monitors(client);
    if (now === undefined || now >= count) return;
    if (performance.now() > deadline)
      throw new Error(`garbage collection watches ${now} resources, not ${count}`);
    await pause(250);
  }
}

async function monitors(client: ApiClient): Promise<number | undefined> {
  const { body } = await client.call(0, { method: 'GET', path: '/metrics' });
  const found = /^garbagecollector_controller_monitors(?:\{[^}]*\})? (\d+)/m.exec(body.toString('utf8'));
  return found === null ? undefined : Number(found[1]);
}

async function held({ server }: ApiCluster): Promise<Held> {
  await pause(1_000);
  await server.heap();
  await pause(1_000);
  const { rssBytes } = await server.heap();
  await pause(SETTLED_MS);
  const settled = await server.heap();
  return {
    heap: settled.heapBytes + settled.externalBytes,
    resident: settled.rssBytes,
    residentAtOnce: rssBytes,
  };
}

/** What clients read after an installation, each by the server's CPU time. */
async function readDocuments(
  cluster: ApiCluster,
  client: ApiClient,
  kinds: readonly CustomKind[],
): Promise<Readonly<Record<string, number>>> {
  const cpu = (): number => cluster.server.usage()[0]?.cpuSeconds ?? 0;
  const cost = async (asked: readonly Asked[]): Promise<number> => {
    const before = cpu();
    for (const one of asked) await client.call(0, one);
    return ((cpu() - before) * 1_000) / asked.length;
  };
  const get = (path: string, headers: Readonly<Record<string, string>> = {}): Asked => ({
    method: 'GET',
    path,
    headers,
  });
  const groups = [...new Set(kinds.map(({ group }) => group))].slice(0, 10);
  const discovery = await cost([get('/apis', { accept: APIS })]);
  const discoveryAgain = await cost(Array.from({ length: 10 }, () => get('/apis', { accept: APIS })));
  const index = await cost([get('/openapi/v3')]);
  const indexAgain = await cost(Array.from({ length: 10 }, () => get('/openapi/v3')));
  const group = await cost(groups.map((name) => get(`/openapi/v3/apis/${name}/v1`)));
  const version2 = await cost([get('/openapi/v2')]);
  return {
    DiscoveryCpuMs: discovery,
    DiscoveryAgainCpuMs: discoveryAgain,
    OpenApiIndexCpuMs: index,
    OpenApiIndexAgainCpuMs: indexAgain,
    OpenApiGroupCpuMs: group,
    OpenApiV2CpuMs: version2,
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
