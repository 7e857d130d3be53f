// The operator against a control plane of its own, in the process of the test: no cluster, no container, no port to choose.
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  CoreV1Api,
  CustomObjectsApi,
  KubeConfig,
  KubernetesObjectApi,
  loadYaml,
  PatchStrategy,
  setHeaderOptions,
} from '@kubernetes/client-node';
import { useControlPlane } from '@keelson/embed';
import { GREETINGS, startOperator } from './operator.mjs';

const at = { ...GREETINGS, namespace: 'default' };
const errors = [];
let core, custom, operator;

// Before useControlPlane: jest ends things in the order in which they are written, and the operator ends first.
afterAll(async () => {
  await operator?.stop();
  expect(errors).toEqual([]);
});
const plane = useControlPlane({ beforeAll, afterAll });

beforeAll(async () => {
  const config = new KubeConfig();
  config.loadFromString(JSON.stringify(plane().kubeConfig()));
  core = config.makeApiClient(CoreV1Api);
  custom = config.makeApiClient(CustomObjectsApi);
  const definition = await readFile(new URL('greetings.yaml', import.meta.url), 'utf8');
  await KubernetesObjectApi.makeApiClient(config).create(loadYaml(definition));
  // The definition is served a moment later.
  await until(() => custom.listNamespacedCustomObject(at));
  operator = await startOperator(config, (error) => errors.push(error));
}, 60_000);

const greeting = (name, spec) => ({
  ...at,
  body: { apiVersion: 'example.com/v1', kind: 'Greeting', metadata: { name }, spec },
});

test('a Greeting gets its ConfigMap and its status', async () => {
  await custom.createNamespacedCustomObject(greeting('a', { to: 'world' }));
  const { status } = await until(async () => {
    const found = await custom.getNamespacedCustomObject({ ...at, name: 'a' });
    return found.status && found;
  });
  expect(status).toEqual({ observedGeneration: 1, said: 'hello, world' });
  const { data } = await core.readNamespacedConfigMap({ namespace: 'default', name: 'a' });
  expect(data).toEqual({ said: 'hello, world' });
});

test('a change is followed', async () => {
  await custom.createNamespacedCustomObject(greeting('b', { to: 'you' }));
  await custom.patchNamespacedCustomObject(
    { ...at, name: 'b', body: { spec: { word: 'good day' } } },
    setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
  );
  await until(async () => {
    const { status } = await custom.getNamespacedCustomObject({ ...at, name: 'b' });
    return status?.said === 'good day, you';
  });
});

test('what the rule forbids is refused', async () => {
  const refused = custom.createNamespacedCustomObject(greeting('c', { to: 'nobody' }));
  await expect(refused).rejects.toMatchObject({
    code: 422,
    body: expect.stringContaining('a greeting is for somebody'),
  });
});

test('the ConfigMap goes with its Greeting', async () => {
  await custom.createNamespacedCustomObject(greeting('d', { to: 'them' }));
  await until(() => core.readNamespacedConfigMap({ namespace: 'default', name: 'd' }));
  await custom.deleteNamespacedCustomObject({ ...at, name: 'd' });
  await until(async () => {
    const { items } = await core.listNamespacedConfigMap({ namespace: 'default' });
    return !items.some(({ metadata }) => metadata.name === 'd');
  });
});

/** What `look` gives, once it gives something; a 404 is nothing yet. The limit is the test's own. */
async function until(look) {
  for (;;) {
    const found = await look().catch((error) => {
      if (error.code !== 404) throw error;
    });
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
