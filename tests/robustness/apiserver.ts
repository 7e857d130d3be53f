/**
 * API servers killed under load, again and again, with informers attached: what each informer was told is compared with the
 * history of the store. No event may be missed, none may come twice, and servers may be changed in between.
 *
 *   node tests/robustness/apiserver.ts --minutes M [--kills 10] [--servers 2] [--writers 4] [--seed N] [--graceful|--turns]
 *
 * One member of the store lives through all of it; API servers come and go before it. Informers of @keelson/kube-client follow
 * all objects, some of them, and metadata alone; one of @kubernetes/client-node follows them as well. --graceful stops servers
 * by SIGTERM instead of kill -9, --turns does both in turns.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Prng, silentLogger, systemClock } from '@keelson/base';
import { createClient, type Client } from '@keelson/client';
import {
  HttpsTransport,
  KubeError,
  MetricSet,
  Reflector,
  RestClient,
  type CallAnswer,
  type CallOptions,
  type KubeObject,
  type Resource,
  type Transport,
} from '@keelson/kube-client';
import { mvccpb } from '@keelson/proto';
import { freePorts } from '../../packages/base/test/free-ports.ts';
import { logInformer } from '../../packages/embed/test/informer-log.ts';
import { ApiServerProcess, type AdminCredentials } from '../harness/apiserver-process.ts';
import { ProcessCluster } from '../harness/process-cluster.ts';
import { main, type Say } from '../harness/script.ts';
import { pause, waitUntil } from '../harness/waiting.ts';
import { judgeCache, judgeWatch, type Observation, type TruthEvent } from '../harness/watch-truth.ts';

export interface KillOptions {
  /** Of the store. */
  readonly binary: string;
  readonly kills: number;
  readonly minutes: number;
  /** API servers on the one store; clients spread over them. */
  readonly servers: number;
  readonly writers: number;
  readonly seed: number;
  /** How servers are ended: by kill -9, by SIGTERM, or in turns. */
  readonly by: 'kill' | 'term' | 'turns';
  readonly flags?: readonly string[];
}

export interface KillReport {
  readonly broken: readonly string[];
  readonly kills: number;
  readonly events: number;
  readonly written: number;
  /** Times an informer of ours had to list again. */
  readonly relists: number;
  readonly lines: string[];
}

const BY: Readonly<Record<KillOptions['by'], string>> = {
  kill: 'kill -9',
  term: 'SIGTERM',
  turns: 'kill -9 and SIGTERM in turns',
};
const NAMESPACE = 'history';
const CONFIG_MAPS: Resource = { group: '', version: 'v1', resource: 'configmaps' };
const NAMESPACES: Resource = { group: '', version: 'v1', resource: 'namespaces' };
const NAMES = 60;
const COLORS = ['red', 'green', 'blue'];

/** @throws Error when servers do not start or informers do not catch up */
export async function killApiServers(options: KillOptions, say: Say): Promise<KillReport> {
  await using cluster = await ProcessCluster.start({ binary: options.binary, size: 1 });
  const home = mkdtempSync(path.join(tmpdir(), 'keelson-apiservers-'));
  const [member] = cluster.members;
  const ports = await freePorts(options.servers);
  const servers = ports.map(
    (port, index) =>
      new ApiServerProcess({
        name: `api${index + 1}`,
        port,
        store: member.clientUrl,
        certificates: path.join(home, 'certificates'),
        home,
        flags: [
          // What the store says of an object is then readable.
          '--storage-media-type=application/json',
          `--advertise-address=10.9.8.${index + 1}`,
          ...(options.flags ?? []),
        ],
      }),
  );
  const store = createClient({ endpoints: [member.address] });
  try {
    // The first makes the certificates that all show.
    for (const server of servers) {
      server.start();
      await server.ready();
    }
    return await history(options, servers, store, say);
  } finally {
    store.close();
    await Promise.all(servers.map((server) => server.kill()));
    rmSync(home, { recursive: true, force: true });
  }
}

async function history(
  options: KillOptions,
  servers: readonly ApiServerProcess[],
  store: Client,
  say: Say,
): Promise<KillReport> {
  const credentials = servers[0].credentials();
  const prng = new Prng(options.seed);
  const ways = [0, 1, 2, 3, 4].map((first) => new Spread(servers, first, credentials));
  const [own] = ways;
  await clientOf(own).create(NAMESPACES, '', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: NAMESPACE },
  });
  const truth = followStore(store);
  const watchers = [
    new Watcher('all', clientOf(ways[1]), {}, () => true, options.seed + 1),
    new Watcher('all, by the other', clientOf(ways[2]), {}, () => true, options.seed + 2),
    new Watcher(
      'red ones',
      clientOf(ways[3]),
      { labelSelector: 'color=red' },
      (labels) => labels['color'] === 'red',
      options.seed + 3,
    ),
    new Watcher('metadata', clientOf(ways[4]), { metadataOnly: true }, () => true, options.seed + 4),
  ];
  const informer = logInformer(kubeconfigOf(servers[servers.length - 1], credentials), NAMESPACE);
  const load = new Load(clientOf(own), options.writers, prng);
  const untilMs = performance.now() + options.minutes * 60_000;
  let kills = 0;
  try {
    for (const watcher of watchers) watcher.reflector.start();
    await waitUntil('informers have a first state', { timeoutMs: 60_000 }, () => {
      return watchers.every(({ reflector }) => reflector.synced) || undefined;
    });
    load.start();
    while (kills < options.kills && performance.now() < untilMs) {
      await load.more(40 + prng.below(80));
      await pause(prng.below(100));
      const victim = servers[kills % servers.length];
      if (options.by === 'term' || (options.by === 'turns' && kills % 2 === 1)) await victim.stop();
      else await victim.kill();
      kills += 1;
      // With several servers the others go on alone for a while.
      if (servers.length > 1) await load.more(20);
      victim.start();
      await victim.ready();
      if (kills % 10 === 0) say(`${kills} kills, ${load.written} writes, ${truth.events.length} revisions`);
    }
    await load.more(40);
    await load.stop();
    const last = await settled(truth, store);
    await waitUntil('informers have caught up', { timeoutMs: 120_000 }, () => {
      const behind = watchers.filter((watcher) => watcher.revision < (watcher.lastOf(truth.events) ?? 0));
      return behind.length === 0 || undefined;
    });
    await waitUntil("client-node's informer has caught up", { timeoutMs: 120_000 }, () => {
      return judgeCache(truth.events, [], informer.cache()).broken.length === 0 || undefined;
    });
    say(`all have seen revision ${last}`);
  } finally {
    await load.stop();
    await informer.stop();
    await Promise.all(watchers.map(({ reflector }) => reflector.stop()));
    truth.stop();
    for (const way of ways) way.close();
  }
  return report(truth.events, watchers, informer, load, kills, options);
}

function report(
  truth: readonly TruthEvent[],
  watchers: readonly Watcher[],
  informer: ReturnType<typeof logInformer>,
  load: Load,
  kills: number,
  { servers, writers, by }: KillOptions,
): KillReport {
  const judged = watchers.map((watcher) => ({
    watcher,
    ...judgeWatch(truth, watcher.observations, watcher.matches),
  }));
  const cached = judgeCache(truth, informer.heard, informer.cache());
  const relists = judged.reduce((sum, { states }) => sum + states - 1, 0);
  const events = judged.reduce((sum, one) => sum + one.events, cached.events);
  const broken = [
    ...judged.flatMap((one) => one.broken.map((text) => `${one.watcher.name}: ${text}`)),
    ...cached.broken.map((text) => `client-node: ${text}`),
    ...load.broken(truth),
  ];
  return {
    broken,
    kills,
    events,
    written: load.written,
    relists,
    lines: [
      `kills       ${kills} by ${BY[by]}, ${servers} API servers, ${writers} writers`,
      `writes      ${load.written} acknowledged, ${load.unknown} unknown; ${truth.length} changes in the store`,
      `events      ${events} seen by ${watchers.length} informers of kube-client and one of client-node (begun anew ${informer.restarts} times)`,
      `missed      0, doubled 0; ${relists} lists anew`,
    ],
  };
}

// ---- the truth ----

interface StoreHistory {
  readonly events: TruthEvent[];
  stop(): void;
}

const PREFIX = `/registry/configmaps/${NAMESPACE}/`;

function followStore(store: Client): StoreHistory {
  const events: TruthEvent[] = [];
  const watcher = store.watch.create(PREFIX, { prefix: true, startRevision: 1 });
  const follow = async (): Promise<void> => {
    for await (const { type, kv } of watcher.events()) {
      if (kv === undefined) continue;
      const key = `${NAMESPACE}/${Buffer.from(kv.key).toString('latin1').slice(PREFIX.length)}`;
      const labels =
        type === mvccpb.EventType.DELETE ? undefined : labelsOf(Buffer.from(kv.value).toString('utf8'));
      events.push({ revision: kv.modRevision, key, labels });
    }
  };
  void follow();
  return { events, stop: () => watcher.cancel() };
}

function labelsOf(json: string): Readonly<Record<string, string>> {
  const { metadata } = JSON.parse(json) as KubeObject;
  return metadata.labels ?? {};
}

/** Resolves when the history has everything. @returns the last revision */
async function settled(truth: StoreHistory, store: Client): Promise<number> {
  await store.kv.put('/end-of-history', '');
  const { kvs } = await store.kv.get(PREFIX, { prefix: true });
  const newest = Math.max(0, ...kvs.map(({ modRevision }) => modRevision));
  await waitUntil('the history of the store is whole', { timeoutMs: 30_000 }, () => {
    return (truth.events.at(-1)?.revision ?? 0) >= newest || undefined;
  });
  // A deletion leaves nothing to wait for: a write of ours comes behind it.
  const marker = await store.kv.put(`${PREFIX}zz-end`, endMarker());
  const revision = marker.header?.revision ?? 0;
  await waitUntil('the history of the store has the marker', { timeoutMs: 30_000 }, () => {
    return (truth.events.at(-1)?.revision ?? 0) >= revision || undefined;
  });
  return revision;
}

/** An object as a server would store it; informers see it as any other. */
function endMarker(): string {
  return JSON.stringify({
    kind: 'ConfigMap',
    apiVersion: 'v1',
    metadata: {
      name: 'zz-end',
      namespace: NAMESPACE,
      uid: '00000000-0000-4000-8000-000000000001',
      creationTimestamp: '2030-01-01T00:00:00Z',
      labels: { color: 'red' },
    },
  });
}

// ---- clients ----

/** Requests to one of several servers; another is taken when one does not answer. */
class Spread implements Transport {
  private readonly transports: readonly HttpsTransport[];
  private at: number;

  constructor(servers: readonly ApiServerProcess[], first: number, { ca, cert, key }: AdminCredentials) {
    this.transports = servers.map(
      ({ url }) => new HttpsTransport({ server: url, clock: systemClock, tls: { ca, cert, key } }),
    );
    this.at = first % servers.length;
  }

  async call(target: string, options?: CallOptions): Promise<CallAnswer> {
    const { at } = this;
    try {
      return await this.transports[at].call(target, options);
    } catch (error) {
      if (this.at === at) this.at = (at + 1) % this.transports.length;
      throw error;
    }
  }

  close(): void {
    for (const transport of this.transports) transport.close();
  }
}

function clientOf(transport: Transport): RestClient {
  return new RestClient({ transport, clock: systemClock, metrics: new MetricSet(), userAgent: 'history/1' });
}

function kubeconfigOf({ url }: ApiServerProcess, { ca, cert, key }: AdminCredentials): string {
  const data = (text: string): string => Buffer.from(text).toString('base64');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server: url, 'certificate-authority-data': data(ca) } }],
    users: [{ name: 'u', user: { 'client-certificate-data': data(cert), 'client-key-data': data(key) } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  });
}

class Watcher {
  readonly name: string;
  readonly reflector: Reflector;
  readonly observations: Observation[] = [];
  readonly matches: (labels: Readonly<Record<string, string>>) => boolean;
  /** Of the last thing it was told. */
  revision = 0;

  constructor(
    name: string,
    client: RestClient,
    select: { readonly labelSelector?: string; readonly metadataOnly?: boolean },
    matches: (labels: Readonly<Record<string, string>>) => boolean,
    seed: number,
  ) {
    this.name = name;
    this.matches = matches;
    this.reflector = new Reflector({
      client,
      resource: CONFIG_MAPS,
      namespace: NAMESPACE,
      ...select,
      clock: systemClock,
      prng: new Prng(seed),
      logger: silentLogger,
      target: {
        replace: (objects, version) => {
          this.revision = Number(version);
          const state = new Map(objects.map((object) => [keyOf(object), revisionOf(object)]));
          this.observations.push({ kind: 'state', revision: this.revision, objects: state });
        },
        change: (type, object) => {
          this.revision = revisionOf(object);
          this.observations.push({ kind: 'event', type, key: keyOf(object), revision: this.revision });
        },
      },
    });
  }

  /** The last revision that this one should be told of. */
  lastOf(truth: readonly TruthEvent[]): number | undefined {
    const matching = truth.findLast(({ labels }) => labels !== undefined && this.matches(labels));
    return matching?.revision;
  }
}

const keyOf = ({ metadata }: KubeObject): string => `${metadata.namespace ?? ''}/${metadata.name ?? ''}`;
const revisionOf = ({ metadata }: KubeObject): number => Number(metadata.resourceVersion);

// ---- load ----

/** Writers that make, change and delete a few dozen objects; what was acknowledged is remembered. */
class Load {
  written = 0;
  unknown = 0;
  private readonly client: RestClient;
  private readonly writers: number;
  private readonly prng: Prng;
  private readonly stopping = new AbortController();
  private readonly acknowledged: { readonly key: string; readonly revision: number }[] = [];
  private running: Promise<unknown> = Promise.resolve();

  constructor(client: RestClient, writers: number, prng: Prng) {
    this.client = client;
    this.writers = writers;
    this.prng = prng;
  }

  start(): void {
    this.running = Promise.all(Array.from({ length: this.writers }, (_, index) => this.write(index)));
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  /** Resolves when so many more writes were acknowledged. */
  async more(count: number): Promise<void> {
    const wanted = this.written + count;
    await waitUntil(`${count} more writes`, { timeoutMs: 120_000, everyMs: 5 }, () => {
      return this.written >= wanted || undefined;
    });
  }

  /** Acknowledged writes that the store does not know. */
  broken(truth: readonly TruthEvent[]): string[] {
    const known = new Set(truth.map(({ key, revision }) => `${key}@${revision}`));
    return this.acknowledged
      .filter(({ key, revision }) => !known.has(`${key}@${revision}`))
      .map(({ key, revision }) => `lost: ${key}, acknowledged at ${revision}`);
  }

  private async write(writer: number): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      const name = `c${writer}-${this.prng.below(NAMES / this.writers)}`;
      try {
        const made = await this.one(name);
        this.written += 1;
        if (made !== undefined) this.acknowledged.push({ key: keyOf(made), revision: revisionOf(made) });
      } catch (error) {
        if (!(error instanceof KubeError)) throw error;
        // Refused (there already, gone already), or nobody knows: the server was killed.
        if (error.code !== 'STATUS') {
          this.unknown += 1;
          await pause(10);
        }
      }
    }
  }

  private async one(name: string): Promise<KubeObject | undefined> {
    const labels = { color: COLORS[this.prng.below(COLORS.length)] };
    switch (this.prng.below(4)) {
      case 0:
        return this.client.create(CONFIG_MAPS, NAMESPACE, {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name, namespace: NAMESPACE, labels },
        });
      case 1:
        await this.client.delete(CONFIG_MAPS, NAMESPACE, name);
        return undefined;
      default: {
        const patch = { metadata: { labels }, data: { n: String(this.prng.below(1_000_000)) } };
        return this.client.patch(CONFIG_MAPS, NAMESPACE, name, 'merge', patch);
      }
    }
  }
}

if (import.meta.main) {
  const values = ['minutes', 'kills', 'servers', 'writers'];
  await main('apiserver', { values, switches: ['graceful', 'turns'] }, async (args, say) => {
    const options = {
      binary: args.binary,
      seed: args.seed,
      flags: args.flags,
      minutes: args.number('minutes', 5),
      kills: args.number('kills', args.given('minutes') ? 1_000_000 : 10),
      servers: args.number('servers', 2),
      writers: args.number('writers', 4),
      by: args.has('graceful')
        ? ('term' as const)
        : args.has('turns')
          ? ('turns' as const)
          : ('kill' as const),
    };
    const { broken, lines } = await killApiServers(options, say);
    if (broken.length > 0)
      throw new Error(`${broken.length} broken promises:\n${broken.slice(0, 20).join('\n')}`);
    return lines;
  });
}
