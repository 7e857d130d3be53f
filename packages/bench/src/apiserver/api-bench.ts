/**
 * The benchmark of the API server: which steps there are, with which numbers, and what each runs against. Two sides take
 * turns where there is a peer, the API server and the echo behind the same port's code; what is no rate stands alone.
 * Whatever happens, no server outlives it.
 */
import { tmpdir } from 'node:os';
import type { Sample } from '../compare.ts';
import type { Measured } from '../measured.ts';
import { OptionError, type BenchOptions, type Settings } from '../options.ts';
import { saveProcessProfile } from '../profiling/profiling.ts';
import { programOf } from '../program.ts';
import type { Progress } from '../progress.ts';
import { describeMeasured } from '../text.ts';
import { isBuilt, ROOT, type ApiProcess } from './api-process.ts';
import type { ApiClient } from './api-client.ts';
import { ApiCluster, Echo, NAMESPACE } from './api-cluster.ts';
import { measureBesideBuiltIn } from './beside-built-in.ts';
import { measureDefinitions } from './custom-load.ts';
import { measureFanOut } from './fan-out.ts';
import { measureLongList } from './long-list.ts';
import {
  makePresent,
  measureCreate,
  measureEcho,
  measureGet,
  measureShortList,
  measureUpdate,
  presentName,
  type ObjectLoad,
} from './object-load.ts';
import { configMaps, pods, type ObjectMaker } from './objects.ts';
import { measurePlanes } from './planes.ts';
import { measureEmbedded, measureIdle, measurePerObject, measureProcessStart } from './start.ts';
import { measureTurns } from './turns.ts';

/** Of the promise. */
const CLIENTS = 100;
const CONNECTIONS = 10;
const WINDOW_MS = 4_000;
/** Of creations, unless said: the longest way through the server is compiled the latest. */
const CREATE_WARM_UP_MS = 5_000;
/** Changes in flight of a fan-out: enough to keep the server busy. */
const CHANGES = 16;
const WATCHERS = 1_000;
/** Objects of a short list, and pods of the long one. */
const HUNDRED = 100;
const TEN_THOUSAND = 10_000;
/** Of the promise: definitions, and the JSON of each; few that are larger, as the largest operators have. */
const DEFINITIONS = 500;
const DEFINITION_BYTES = 20_000;
const LARGE_DEFINITIONS = 60;
const LARGE_DEFINITION_BYTES = 240_000;
/** Of an open loop: a share of what a closed one does, so that the latency is not the queue's. */
const OPEN_RATE = 500;

/** Up while the loads run. */
interface Stage {
  readonly cluster: ApiCluster;
  readonly echo: Echo;
  readonly client: ApiClient;
  readonly echoClient: ApiClient;
  readonly progress: Progress;
}

interface ApiStep {
  readonly id: string;
  readonly title: string;
  readonly settings: Settings;
  readonly run: (stage: Stage, settings: Settings, round: number) => Promise<Measured>;
  /** The same bytes against the echo. */
  readonly peer?: (stage: Stage, settings: Settings) => Promise<Measured>;
}

export class ApiBench {
  private readonly options: BenchOptions;
  private readonly progress: Progress;
  private readonly env: Readonly<Record<string, string | undefined>>;
  private readonly owned = new Set<{ dispose(): Promise<void> }>();
  private readonly samples: Sample[] = [];

  constructor(options: BenchOptions, progress: Progress, env: Readonly<Record<string, string | undefined>>) {
    this.options = options;
    this.progress = progress;
    this.env = env;
  }

  /** @throws OptionError for a step that is none; Error with the reason when one fails */
  async run(): Promise<readonly Sample[]> {
    const { steps: wanted } = this.options;
    const loads = loadSteps(this.options);
    const known = [...loads.map(({ id }) => id), ...LONE_STEPS];
    const unknown = wanted.find((id) => !known.includes(id));
    if (unknown !== undefined) throw new OptionError(`no step ${unknown}; there are ${known.join(', ')}`);
    if (!isBuilt()) {
      throw new RangeError(`Keelson is not built: run 'node scripts/bootstrap.mjs ensure' in ${ROOT}`);
    }
    const asked = (id: string): boolean => wanted.length === 0 || wanted.includes(id);
    const chosen = loads.filter(({ id }) => asked(id));
    const onLoaded = chosen.length > 0 || ['list-10000', 'per-object'].some(asked);
    if (onLoaded || ['start', 'embedded', 'planes', 'turns'].some(asked)) await this.loads(chosen, asked);
    if (asked('idle')) await this.idle();
    if (asked('definitions')) await this.definitions();
    if (asked('custom-beside')) await this.besideBuiltIn();
    return this.samples;
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.owned].map((one) => one.dispose()));
    this.owned.clear();
  }

  private async loads(steps: readonly ApiStep[], asked: (id: string) => boolean): Promise<void> {
    const { connections } = connectionsOf(this.options);
    this.progress.phase('starting');
    const cluster = await this.cluster(false);
    const echo = await Echo.start(cluster.home, (one) => this.owned.add(one));
    if (asked('start')) await this.lone('start', () => measureProcessStart(cluster));
    const began = (one: ApiProcess): void => {
      this.owned.add({ dispose: () => one.stop('SIGKILL') });
    };
    if (asked('embedded')) await this.lone('embedded', () => measureEmbedded(cluster.home, cluster, began));
    if (asked('turns')) await this.lone('turns', () => measureTurns(cluster.home, cluster, began));
    if (asked('planes')) await this.lone('planes', () => measurePlanes(cluster.home, cluster, began));
    const client = await cluster.client(connections);
    const echoClient = await echo.client(connections);
    try {
      await cluster.makeNamespace(client, NAMESPACE);
      const stage: Stage = { cluster, echo, client, echoClient, progress: this.progress };
      for (const step of steps) await this.turns(step, stage);
      if (asked('per-object')) await this.perObject(stage);
      if (asked('list-10000')) await this.longList(stage);
    } finally {
      client.close();
      echoClient.close();
    }
    await this.saveProfiles(cluster);
    await cluster.dispose();
    await echo.dispose();
  }

  private async turns(step: ApiStep, stage: Stage): Promise<void> {
    const { id, title, settings, peer } = step;
    const rounds = peer === undefined ? 1 : this.options.rounds;
    for (let round = 1; round <= rounds; round++) {
      const sides: [string, () => Promise<Measured>][] = [
        ['keelson', () => step.run(stage, settings, round)],
      ];
      if (peer !== undefined) sides.push(['echo', () => peer(stage, settings)]);
      for (const [side, run] of sides) {
        const label = rounds > 1 ? `${id} ${side}, round ${round}` : `${id} ${side}`;
        await this.sample(label, { step: id, title, side, round }, run);
      }
    }
  }

  private async perObject(stage: Stage): Promise<void> {
    const { cluster, client } = stage;
    for (const maker of [configMaps(this.options.settings), pods()]) {
      const namespace = `${NAMESPACE}-${maker.kind}`;
      await cluster.makeNamespace(client, namespace);
      const count = this.many();
      const run = (): Promise<Measured> =>
        measurePerObject(cluster, client, maker, namespace, count, this.progress);
      await this.lone('per-object', run, `per-object (${maker.kind})`);
    }
  }

  private async longList(stage: Stage): Promise<void> {
    const { cluster, client } = stage;
    const maker = pods();
    const namespace = `${NAMESPACE}-${maker.kind}`;
    await cluster.makeNamespace(client, namespace);
    this.progress.phase('list-10000: making pods');
    const other = await cluster.client(1);
    try {
      await makePresent({ subject: cluster, client, maker, namespace, progress: this.progress }, this.many());
      await this.lone('list-10000', () => measureLongList(cluster, client, other, maker, namespace));
    } finally {
      other.close();
    }
  }

  private many(): number {
    const { given, settings } = this.options;
    return given.has('keys') ? settings.keys : TEN_THOUSAND;
  }

  private async idle(): Promise<void> {
    const cluster = await this.cluster(true);
    await this.lone('idle', () => measureIdle(cluster));
    await cluster.dispose();
  }

  /** With garbage collection, which watches each kind. */
  private async definitions(): Promise<void> {
    const { given, settings } = this.options;
    const cluster = await this.cluster(true);
    const client = await cluster.client(1);
    const { progress } = this;
    try {
      const count = given.has('keys') ? settings.keys : DEFINITIONS;
      const usual = { cluster, client, progress, count, bytes: DEFINITION_BYTES, from: 0 };
      const large = { ...usual, count: LARGE_DEFINITIONS, bytes: LARGE_DEFINITION_BYTES, from: 500_000 };
      await this.lone('definitions', () => measureDefinitions(usual, 'definitions'));
      await this.lone('definitions', () => measureDefinitions(large, 'large'), 'definitions (large)');
    } finally {
      client.close();
    }
    await cluster.dispose();
  }

  private async besideBuiltIn(): Promise<void> {
    const cluster = await this.cluster(false);
    const client = await cluster.client(connectionsOf(this.options).connections);
    const settings: Settings = { ...this.options.settings, ...connectionsOf(this.options) };
    try {
      await this.lone('custom-beside', () =>
        measureBesideBuiltIn(cluster, client, settings, this.progress, DEFINITION_BYTES),
      );
    } finally {
      client.close();
    }
    await cluster.dispose();
  }

  private async lone(id: string, run: () => Promise<Measured>, title = id): Promise<void> {
    await this.sample(title, { step: id, title, side: 'keelson', round: 1 }, run);
  }

  private async sample(
    label: string,
    sample: Omit<Sample, 'measured'>,
    run: () => Promise<Measured>,
  ): Promise<void> {
    this.progress.phase(label);
    const measured = await run();
    this.progress.done(describeMeasured(measured));
    this.samples.push({ ...sample, measured });
  }

  private cluster(loops: boolean): Promise<ApiCluster> {
    const { directory, keelsonFlags, profile } = this.options;
    return ApiCluster.start(
      {
        directory: directory ?? tmpdir(),
        program: programOf('keelson', this.env),
        loops,
        flags: keelsonFlags,
        profiled: profile !== undefined && !loops,
      },
      (one) => this.owned.add(one),
    );
  }

  /** Ends the server; its profile, cut to each step's window, becomes a flame graph. */
  private async saveProfiles(cluster: ApiCluster): Promise<void> {
    const { profile } = this.options;
    if (profile === undefined) return;
    await cluster.stopServer();
    const windows = this.samples.flatMap(({ step, side, measured: { windowUs } }) =>
      windowUs === undefined || side !== 'keelson' ? [] : [{ step, windowUs }],
    );
    for (const file of saveProcessProfile('kube-apiserver', cluster.profiles, windows, profile)) {
      this.progress.phase('profile');
      this.progress.done(file);
    }
  }
}

/** Steps that are no load, in their order. */
const LONE_STEPS: readonly string[] = [
  'start',
  'embedded',
  'turns',
  'planes',
  'per-object',
  'list-10000',
  'idle',
  'definitions',
  'custom-beside',
];

function connectionsOf({ given, settings }: BenchOptions): { clients: number; connections: number } {
  const clients = given.has('clients') ? settings.clients : CLIENTS;
  const connections = given.has('conns') ? settings.connections : CONNECTIONS;
  return { clients, connections: Math.min(connections, clients) };
}

function loadSteps(options: BenchOptions): ApiStep[] {
  const { given } = options;
  const base: Settings = {
    ...options.settings,
    ...connectionsOf(options),
    ...(given.has('duration') || given.has('total') ? {} : { durationMs: WINDOW_MS }),
  };
  const fanOut: Settings = {
    ...base,
    clients: given.has('clients') ? base.clients : CHANGES,
    watchersPerKey: given.has('watchers') ? base.watchersPerKey : WATCHERS,
  };
  const open: Settings = { ...base, ratePerSecond: given.has('rate') ? base.ratePerSecond : OPEN_RATE };
  const creating = given.has('warmup') ? base : { ...base, warmupMs: CREATE_WARM_UP_MS };
  const makers = { configmap: configMaps(options.settings), pod: pods() };
  return [
    ...Object.entries(makers).flatMap(([name, maker]) => kindSteps(name, maker, base, creating)),
    {
      id: 'get-open',
      title: `get-open: ${open.ratePerSecond} gets of pods a second`,
      settings: open,
      run: async (stage, settings) => {
        await makePresent(loadOf(stage, makers.pod, settings));
        return measureGet(loadOf(stage, makers.pod, settings));
      },
    },
    {
      id: 'create-open',
      title: `create-open: ${open.ratePerSecond} creations of ConfigMaps a second`,
      settings: open,
      run: (stage, settings) => measureCreate(loadOf(stage, makers.configmap, settings), 'open'),
    },
    ...Object.entries(makers).map(([name, maker]): ApiStep => {
      const watchers = fanOut.watchersPerKey;
      return {
        id: `watch-${name}`,
        title: `watch-${name}: ${watchers} watchers of ${fanOut.clients} objects`,
        settings: fanOut,
        run: async (stage, settings) => {
          const namespace = `${NAMESPACE}-watched`;
          await stage.cluster.makeNamespace(stage.client, namespace);
          return measureFanOut({ ...loadOf(stage, maker, settings), namespace }, stage.client);
        },
      };
    }),
  ];
}

function kindSteps(name: string, maker: ObjectMaker, settings: Settings, creating: Settings): ApiStep[] {
  const hundred = `${NAMESPACE}-hundred`;
  return [
    {
      id: `create-${name}`,
      title: `create-${name}`,
      settings: creating,
      run: (stage, now, round) => measureCreate(loadOf(stage, maker, now), `round-${round}`),
      peer: (stage, now) => measureEcho(echoOf(stage, maker, now), 'POST', Buffer.alloc(0)),
    },
    {
      id: `get-${name}`,
      title: `get-${name}`,
      settings,
      run: async (stage, now) => {
        await makePresent(loadOf(stage, maker, now));
        return measureGet(loadOf(stage, maker, now));
      },
      peer: async (stage, now) => {
        // The echo keeps what the API server answers, so that both send the same bytes.
        const asked = { method: 'GET', path: `${maker.collection(NAMESPACE)}/${presentName(0)}` };
        const { body } = await stage.client.call(0, asked);
        await stage.echoClient.call(0, { ...asked, method: 'PUT', body });
        return measureEcho(echoOf(stage, maker, now), 'GET', body);
      },
    },
    {
      id: `update-${name}`,
      title: `update-${name}`,
      settings,
      run: async (stage, now) => {
        await makePresent(loadOf(stage, maker, now));
        return measureUpdate(loadOf(stage, maker, now));
      },
    },
    {
      id: `list-${name}`,
      title: `list-${name}: ${HUNDRED} objects`,
      settings,
      run: async (stage, now) => {
        const load = { ...loadOf(stage, maker, now), namespace: hundred };
        await stage.cluster.makeNamespace(stage.client, hundred);
        await makePresent(load, HUNDRED);
        return measureShortList(load, HUNDRED);
      },
    },
  ];
}

function loadOf({ cluster, client, progress }: Stage, maker: ObjectMaker, settings: Settings): ObjectLoad {
  return { subject: cluster, client, settings, maker, namespace: NAMESPACE, progress };
}

function echoOf({ echo, echoClient, progress }: Stage, maker: ObjectMaker, settings: Settings): ObjectLoad {
  return { subject: echo, client: echoClient, settings, maker, namespace: NAMESPACE, progress };
}
