/**
 * An operator of its own kind with @kubernetes/client-node, against a control plane in this process and against
 * bin/kube-apiserver started as envtest does: its definition installed and waited for, objects made, refused, followed, held
 * by a finalizer, applied and given a status; the server started again; the definition taken away with all its objects.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { CoreV1Api, CustomObjectsApi, PatchStrategy, setHeaderOptions } from '@kubernetes/client-node';
import { asEnvtest, built, embedded, until, type Cluster } from './envtest.ts';
import { GardenOperator, GROUP, PLURAL, type Bed } from './garden-operator.ts';
import { codeOf } from './site-operator.ts';

const namespace = 'default';
const at = { group: GROUP, version: 'v1', namespace, plural: PLURAL };

function bed(name: string, spec: object): Bed {
  return { apiVersion: `${GROUP}/v1`, kind: 'Bed', metadata: { name }, spec } as Bed;
}

function customCases(start: () => Promise<Cluster>): void {
  let cluster: Cluster;
  let core: CoreV1Api;
  let custom: CustomObjectsApi;
  let operator: GardenOperator;

  beforeAll(async () => {
    cluster = await start();
    core = cluster.config.makeApiClient(CoreV1Api);
    custom = cluster.config.makeApiClient(CustomObjectsApi);
    operator = new GardenOperator(cluster.config, namespace);
    await until(async () => {
      const { items } = await core.listNamespace();
      return items.some(({ metadata }) => metadata?.name === namespace) ? true : undefined;
    });
  });

  afterAll(async () => {
    await operator?.stop();
    await cluster?.stop();
  });

  const read = async (name: string): Promise<Bed> =>
    (await custom.getNamespacedCustomObject({ ...at, name })) as Bed;
  const planted = (name: string, generation: number): Promise<Bed> =>
    until(async () => {
      const found = await read(name);
      return found.status?.observedGeneration === generation ? found : undefined;
    });
  const planOf = async (name: string): Promise<string | undefined> =>
    (await core.readNamespacedConfigMap({ namespace, name })).data?.['plan'];

  test('its definition is installed, twice without harm, and served', async () => {
    expect(await operator.isServed()).toBe(false);
    await operator.install();
    await until(async () => ((await operator.isServed()) ? true : undefined));
    await operator.install();
    await operator.start();
  });

  test('objects are held to its rules, filled in, followed and given a status', async () => {
    const refused = await custom
      .createNamespacedCustomObject({ ...at, body: bed('none', { plants: [] }) })
      .catch((error: unknown) => error);
    expect(codeOf(refused)).toBe(422);
    expect(JSON.stringify(refused)).toContain('a bed is for plants');
    await custom.createNamespacedCustomObject({ ...at, body: bed('roses', { plants: ['rose'] }) });
    const found = await planted('roses', 1);
    expect([found.spec, found.status?.phase]).toEqual([{ plants: ['rose'], rows: 1 }, 'Planted']);
    expect(await planOf('roses')).toBe('1 x rose');
    await custom.patchNamespacedCustomObject(
      { ...at, name: 'roses', body: { spec: { rows: 3 } } },
      setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
    );
    await planted('roses', 2);
    expect(await planOf('roses')).toBe('3 x rose');
  });

  test('a server that starts again serves what was defined, and an informer goes on', async () => {
    if (cluster.restart === undefined) return;
    await cluster.restart();
    await until(async () => ((await operator.isServed()) ? true : undefined));
    await custom.createNamespacedCustomObject({ ...at, body: bed('tulips', { plants: ['tulip'], rows: 2 }) });
    await until(async () => {
      if (operator.errors.length > 0)
        await operator.again().catch((error: unknown) => operator.errors.push(error));
      const found = await read('tulips');
      return found.status?.phase === 'Planted' ? true : undefined;
    });
    expect(await planOf('tulips')).toBe('2 x tulip');
  });

  test('a definition goes with its objects, when their finalizers let them', async () => {
    await operator.uninstall();
    await until(async () => ((await operator.isInstalled()) ? undefined : true));
    await until(async () => ((await operator.isServed()) ? undefined : true));
    const gone = await core
      .readNamespacedConfigMap({ namespace, name: 'roses' })
      .catch((error: unknown) => error);
    expect(codeOf(gone)).toBe(404);
    // What was taken away can come again, with nothing in it.
    await operator.install();
    await until(async () => ((await operator.isServed()) ? true : undefined));
    const { items } = (await custom.listNamespacedCustomObject(at)) as { items: Bed[] };
    expect(items).toEqual([]);
    await operator.uninstall();
    await until(async () => ((await operator.isInstalled()) ? undefined : true));
  });
}

describe('in this process', () => customCases(embedded));

if (built) describe('bin/kube-apiserver, started as envtest does', () => customCases(asEnvtest));
else test.skip('bin/kube-apiserver as envtest starts it (skipped: not built)', () => {});
