/**
 * How long one turn of the event loop works, for each thing that clients ask an embedded API server: what kubectl asks
 * before it does anything, documents, lists in all forms. In CPU time of the thread, so that other programs do not count, and
 * without the collector's pauses. Tells its parent the longest turn of each.
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { startControlPlane, type ControlPlane } from '@keelson/embed';
import type { TurnFigures } from '../turns.ts';

const OBJECTS = 2_000;
const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
const PROTOBUF = 'application/vnd.kubernetes.protobuf';
const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
const MAPS = '/api/v1/namespaces/default/configmaps';

/** Looks at each turn: an immediate runs once in it. */
class Turns {
  private running = true;
  private cpuMs = threadMs();
  private fromMs = performance.now();
  private longestMs = 0;
  private pausedMs = 0;
  private readonly observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) this.pausedMs += duration;
  });

  constructor() {
    this.observer.observe({ entryTypes: ['gc'] });
    setImmediate(this.look);
  }

  /** The longest turn of what is done, ms. */
  async of(act: () => Promise<unknown>): Promise<number> {
    await new Promise((resolve) => setTimeout(resolve, 20));
    this.longestMs = 0;
    await act();
    await new Promise((resolve) => setTimeout(resolve, 20));
    return this.longestMs;
  }

  stop(): void {
    this.running = false;
    this.observer.disconnect();
  }

  private readonly look = (): void => {
    for (const { duration } of this.observer.takeRecords()) this.pausedMs += duration;
    const cpuMs = threadMs();
    const nowMs = performance.now();
    const worked = Math.min(cpuMs - this.cpuMs, nowMs - this.fromMs) - this.pausedMs;
    this.longestMs = Math.max(this.longestMs, worked);
    this.cpuMs = cpuMs;
    this.fromMs = nowMs;
    this.pausedMs = 0;
    if (this.running) setImmediate(this.look);
  };
}

function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

async function get(plane: ControlPlane, path: string, accept = 'application/json'): Promise<Buffer> {
  const answer = await plane.call(path, { headers: { accept } });
  const bytes = await answer.bytes();
  if (answer.code !== 200) throw new Error(`${path} answered ${answer.code}`);
  return bytes;
}

async function make(plane: ControlPlane): Promise<void> {
  for (let at = 0; at < OBJECTS; at++) {
    const object = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: `c-${at}` },
      data: { value: 'x'.repeat(3_000) },
    };
    const headers = { 'content-type': 'application/json' };
    const body = Buffer.from(JSON.stringify(object));
    await (await plane.call(MAPS, { method: 'POST', headers, body })).bytes();
  }
}

async function run(): Promise<void> {
  const turns = new Turns();
  let plane: ControlPlane | undefined;
  const start = await turns.of(async () => {
    plane = await startControlPlane();
  });
  if (plane === undefined) throw new Error('the control plane did not start');
  const server = plane;
  const all = async (paths: readonly string[], accept?: string): Promise<number> => {
    let longest = 0;
    for (const path of paths) longest = Math.max(longest, await turns.of(() => get(server, path, accept)));
    return longest;
  };
  const discovery = await all(['/api', '/apis', '/api/v1', '/apis/apps/v1', '/version']);
  const aggregated = await all(['/api', '/apis'], AGGREGATED);
  const openApi2 = await all(['/openapi/v2']);
  const index: unknown = JSON.parse((await get(server, '/openapi/v3')).toString());
  const documents = Object.keys(isIndex(index) ? index.paths : {}).map((path) => `/openapi/v3/${path}`);
  const openApi3 = await all(documents);
  const metrics = await all(['/metrics']);
  const create = await turns.of(() => make(server));
  const lists = [MAPS, `${MAPS}?resourceVersion=0`, `${MAPS}?limit=500`, `${MAPS}?labelSelector=a%3Db`];
  const figures: TurnFigures = {
    start,
    discovery: Math.max(discovery, aggregated),
    openApi2,
    openApi3,
    metrics,
    create,
    list: await all(lists),
    table: await all(lists, TABLE),
    protobuf: await all(lists, PROTOBUF),
  };
  turns.stop();
  await server.stop();
  process.send?.(figures);
}

function isIndex(value: unknown): value is { readonly paths: object } {
  return typeof value === 'object' && value !== null && 'paths' in value;
}

await run();
process.disconnect?.();
