/**
 * From nothing to ready, as a process and inside one; what lies idle in memory ten seconds later with all control loops
 * on; what each object adds.
 */
import path from 'node:path';
import { median } from '../compare.ts';
import { single, type Measured } from '../measured.ts';
import { ApiProcess } from './api-process.ts';
import type { ApiCluster } from './api-cluster.ts';
import { makePresent } from './object-load.ts';
import type { ObjectMaker } from './objects.ts';
import type { ApiClient } from './api-client.ts';
import type { Progress } from '../progress.ts';

const STARTS = 3;
const IDLE_MS = 10_000;
const MIB = 2 ** 20;

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Its store is up. The first start makes keys and the objects of a fresh cluster, the others find them. */
export async function measureProcessStart(cluster: ApiCluster): Promise<Measured> {
  const beganMs = performance.now();
  const first = cluster.readyMs;
  const again: number[] = [];
  for (let i = 0; i < STARTS; i++) {
    await cluster.stopServer();
    await cluster.startServer();
    again.push(cluster.readyMs);
  }
  return single(cluster, (performance.now() - beganMs) / 1000, {
    processFirstReadyMs: first,
    processReadyMs: median(again),
  });
}

/** A store and an API server with all loops in one process, each time a new one. */
export async function measureEmbedded(
  home: string,
  cluster: ApiCluster,
  began: (process: ApiProcess) => void,
): Promise<Measured> {
  const beganMs = performance.now();
  const loads: number[] = [];
  const starts: number[] = [];
  let rssMb = 0;
  for (let i = 0; i < STARTS; i++) {
    const log = path.join(home, 'embedded.log');
    const embedded = new ApiProcess({ name: 'embedded', program: { own: 'embedded' }, args: [], log });
    began(embedded);
    const { loadMs, readyMs } = await embedded.started();
    loads.push(loadMs);
    starts.push(readyMs);
    if (i === STARTS - 1) {
      await sleep(IDLE_MS);
      rssMb = rssOf(embedded);
    }
    await embedded.stop();
  }
  return single(cluster, (performance.now() - beganMs) / 1000, {
    embeddedReadyMs: median(starts),
    embeddedLoadMs: median(loads),
    embeddedIdleMb: rssMb,
  });
}

function rssOf(one: ApiProcess): number {
  return (one.usage()[0]?.memory.rssBytes ?? 0) / MIB;
}

/** @param cluster was started with its loops, and nobody asked it anything yet */
export async function measureIdle(cluster: ApiCluster): Promise<Measured> {
  await sleep(IDLE_MS);
  const rssMb = rssOf(cluster.server);
  const storeMb = cluster.storeMember.usage().reduce((sum, { memory }) => sum + memory.rssBytes, 0) / MIB;
  return single(cluster, IDLE_MS / 1000, { idleMb: rssMb, storeIdleMb: storeMb });
}

/** What `count` objects add, heap after a collection and resident, by the object. */
export async function measurePerObject(
  cluster: ApiCluster,
  client: ApiClient,
  maker: ObjectMaker,
  namespace: string,
  count: number,
  progress: Progress,
): Promise<Measured> {
  const beganMs = performance.now();
  const before = await cluster.server.heap();
  await makePresent({ subject: cluster, client, maker, namespace, progress }, count);
  const after = await cluster.server.heap();
  const { bytes } = await client.timed(0, {
    method: 'GET',
    path: `${maker.collection(namespace)}?resourceVersion=0`,
  });
  const settled = await cluster.server.heap();
  const held = (one: typeof before): number => one.heapBytes + one.externalBytes;
  return single(cluster, (performance.now() - beganMs) / 1000, {
    objects: count,
    jsonBytesPerObject: bytes / count,
    heldBytesPerObject: (held(settled) - held(before)) / count,
    heldTimesJson: (held(settled) - held(before)) / bytes,
    residentBytesPerObject: (after.rssBytes - before.rssBytes) / count,
  });
}
