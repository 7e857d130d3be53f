/**
 * Lists, reads, writes and watches of custom resources beside the same of ConfigMaps that hold the same value: by turns, each
 * judged by the server's CPU time for one call or one event, so that a busy machine does not spoil the ratio.
 */
import { median } from '../compare.ts';
import { measureCalls, single, type Measured } from '../measured.ts';
import type { Settings } from '../options.ts';
import type { Progress } from '../progress.ts';
import type { ApiClient } from './api-client.ts';
import type { ApiCluster } from './api-cluster.ts';
import { customDefinition, customKind, customObjects, DEFINITIONS_PATH } from './custom-kinds.ts';
import { measureFanOut } from './fan-out.ts';
import {
  makePresent,
  measureCreate,
  measureGet,
  measureShortList,
  PRESENT,
  presentName,
} from './object-load.ts';
import type { ObjectLoad } from './object-load.ts';
import { configMaps, stampOf, stampPatch, type ObjectMaker } from './objects.ts';

const ROUNDS = 3;
const WINDOW_MS = 1_000;
const WARM_UP_MS = 500;
const HUNDRED = 100;
const WATCHERS = 100;
/** A definition that no other step makes. */
const INDEX = 900_000;
const READY_LIMIT_MS = 60_000;

export async function measureBesideBuiltIn(
  cluster: ApiCluster,
  client: ApiClient,
  settings: Settings,
  progress: Progress,
  definitionBytes: number,
): Promise<Measured> {
  const beganMs = performance.now();
  const kind = customKind(INDEX);
  await client.call(0, {
    method: 'POST',
    path: DEFINITIONS_PATH,
    body: customDefinition(kind, definitionBytes),
  });
  const custom = customObjects(kind, settings);
  const deadline = performance.now() + READY_LIMIT_MS;
  while ((await client.ask(0, { method: 'GET', path: custom.collection('default') })).status !== 200) {
    if (performance.now() > deadline) throw new Error('the custom resource is not served');
  }
  const sides: readonly (readonly [string, ObjectMaker])[] = [
    ['builtIn', { ...configMaps(settings), patched: true }],
    ['custom', custom],
  ];
  const short: Settings = { ...settings, durationMs: WINDOW_MS, warmupMs: WARM_UP_MS, total: Infinity };
  const fanOut: Settings = { ...short, clients: 4, watchersPerKey: WATCHERS };
  const costs = new Map<string, number[]>();
  for (let round = 1; round <= ROUNDS; round++) {
    for (const [side, maker] of sides) {
      const namespace = `beside-${maker.kind}`;
      await cluster.makeNamespace(client, namespace);
      const load: ObjectLoad = { subject: cluster, client, settings: short, maker, namespace, progress };
      await makePresent(load);
      const listed = { ...load, namespace: `${namespace}-hundred` };
      await cluster.makeNamespace(client, listed.namespace);
      await makePresent(listed, HUNDRED);
      const runs: Readonly<Record<string, () => Promise<Measured>>> = {
        get: () => measureGet(load),
        list: () => measureShortList(listed, HUNDRED),
        create: () => measureCreate(load, `round-${round}`),
        patch: () => measurePatch(load),
        watch: () => measureFanOut({ ...load, settings: fanOut }, client),
      };
      for (const [what, run] of Object.entries(runs)) {
        progress.phase(`custom-beside: ${what}, ${side}, round ${round}`);
        const { serverCpuUsPerCall = 0, errors } = await run();
        if (Object.keys(errors).length > 0) throw new Error(`${what}, ${side}: ${JSON.stringify(errors)}`);
        const key = `${what}${side === 'custom' ? 'Custom' : 'BuiltIn'}CpuUs`;
        costs.set(key, [...(costs.get(key) ?? []), serverCpuUsPerCall]);
      }
    }
  }
  const figures: Record<string, number> = {};
  for (const [key, values] of costs) figures[key] = median(values);
  for (const what of ['get', 'list', 'create', 'patch', 'watch']) {
    figures[`${what}Ratio`] = figures[`${what}CustomCpuUs`] / figures[`${what}BuiltInCpuUs`];
  }
  return single(cluster, (performance.now() - beganMs) / 1_000, figures);
}

function measurePatch({
  subject,
  client,
  settings,
  maker,
  namespace,
  progress,
}: ObjectLoad): Promise<Measured> {
  const collection = maker.collection(namespace);
  // 389 is prime to the count: as the gets.
  const path = (sequence: number): string => `${collection}/${presentName((sequence * 389) % PRESENT)}`;
  return measureCalls(
    subject,
    settings,
    async (index, sequence) => {
      await client.call(index, stampPatch(path(sequence), stampOf(sequence)));
    },
    progress,
  );
}
