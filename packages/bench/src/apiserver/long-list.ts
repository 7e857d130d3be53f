/**
 * Lists of very many objects by one client: how long until the first byte and until the last, from the cache and
 * consistent, in each form. Meanwhile it is counted how long the server's event loop was held, and how long somebody else
 * who asks for one object has to wait.
 */
import { LatencyHistogram } from '../histogram.ts';
import { median } from '../compare.ts';
import { single, type Measured } from '../measured.ts';
import type { ApiClient, Timed } from './api-client.ts';
import type { ApiCluster } from './api-cluster.ts';
import { presentName } from './object-load.ts';
import type { ObjectMaker } from './objects.ts';

/** Of each form; the first is not counted, and the median of the others is. */
const LISTS = 8;

interface Form {
  readonly name: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string>>;
}

const FORMS: readonly Form[] = [
  { name: '', query: '?resourceVersion=0', headers: {} },
  { name: 'Consistent', query: '', headers: {} },
  { name: 'Gzip', query: '?resourceVersion=0', headers: { 'accept-encoding': 'gzip' } },
  {
    name: 'Protobuf',
    query: '?resourceVersion=0',
    headers: { accept: 'application/vnd.kubernetes.protobuf' },
  },
  {
    name: 'Table',
    query: '?resourceVersion=0',
    headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
  },
];

export async function measureLongList(
  cluster: ApiCluster,
  client: ApiClient,
  other: ApiClient,
  maker: ObjectMaker,
  namespace: string,
): Promise<Measured> {
  const startMs = performance.now();
  const collection = maker.collection(namespace);
  const figures: Record<string, number> = {};
  for (const { name, query, headers } of FORMS) {
    const path = `${collection}${query}`;
    await client.timed(0, { method: 'GET', path, headers });
    const lists: Timed[] = [];
    await cluster.server.watchLoop();
    const waits = new Waits(other, `${collection}/${presentName(0)}`);
    for (let i = 0; i < LISTS; i++) lists.push(await client.timed(0, { method: 'GET', path, headers }));
    const longestWaitMs = await waits.end();
    const { heldMaxMs, workedMaxMs, pauseMaxMs } = await cluster.server.loop();
    figures[`list${name}Ms`] = median(lists.map(({ totalMs }) => totalMs));
    figures[`list${name}FirstByteMs`] = median(lists.map(({ firstByteMs }) => firstByteMs));
    figures[`list${name}Mb`] = (lists[0]?.bytes ?? 0) / 1e6;
    figures[`list${name}LoopHeldMaxMs`] = heldMaxMs;
    figures[`list${name}WorkedMaxMs`] = workedMaxMs;
    figures[`list${name}PauseMaxMs`] = pauseMaxMs;
    figures[`list${name}OtherWaitMaxMs`] = longestWaitMs;
  }
  return single(cluster, (performance.now() - startMs) / 1000, figures);
}

/** Somebody who asks for one object again and again. */
class Waits {
  private readonly waits = new LatencyHistogram();
  private running = true;
  private readonly asking: Promise<void>;

  constructor(client: ApiClient, path: string) {
    this.asking = this.ask(client, path);
  }

  async end(): Promise<number> {
    this.running = false;
    await this.asking;
    return this.waits.quantiles().max;
  }

  private async ask(client: ApiClient, path: string): Promise<void> {
    while (this.isRunning()) {
      const { totalMs } = await client.timed(0, { method: 'GET', path });
      this.waits.record(totalMs);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** A function, because the answer changes while we wait. */
  private isRunning(): boolean {
    return this.running;
  }
}
