/**
 * What a client library's users do (@kubernetes/client-node), against a control plane in this process and against
 * bin/kube-apiserver started as Go's envtest starts it: create, read, change, delete, watch, informers that connect again,
 * server-side apply, one leader of two, and a small operator.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { CoreV1Api, Watch, type V1ConfigMap } from '@kubernetes/client-node';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startControlPlane } from '../src/index.ts';
import { APISERVER, asEnvtest, built, embedded, load, until, type Cluster } from './envtest.ts';
import { changed, codeOf, deploymentsOf, SITE_LABEL, SiteOperator } from './site-operator.ts';

const namespace = 'default';

function clientCases(start: () => Promise<Cluster>): void {
  let cluster: Cluster;
  let core: CoreV1Api;

  beforeAll(async () => {
    cluster = await start();
    core = cluster.config.makeApiClient(CoreV1Api);
    await until(async () => {
      const { items } = await core.listNamespace();
      return items.some(({ metadata }) => metadata?.name === namespace) ? true : undefined;
    });
  });

  afterAll(async () => {
    await cluster?.stop();
  });

  test('create, read, replace, list by label, delete; what is wrong has its code', async () => {
    const made = await core.createNamespacedConfigMap({
      namespace,
      body: { metadata: { name: 'crud', labels: { a: 'b' } }, data: { k: '1' } },
    });
    expect(made.metadata?.uid).toMatch(/^[0-9a-f-]{36}$/);
    expect(made.metadata?.creationTimestamp).toBeInstanceOf(Date);
    await expect(
      core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'crud' } } }),
    ).rejects.toMatchObject({ code: 409 });
    const replaced = await core.replaceNamespacedConfigMap({
      namespace,
      name: 'crud',
      body: changed(made, { data: { k: '2' } }),
    });
    expect(replaced.data).toEqual({ k: '2' });
    // A version that is no longer the newest.
    await expect(
      core.replaceNamespacedConfigMap({ namespace, name: 'crud', body: changed(made, { data: { k: '3' } }) }),
    ).rejects.toMatchObject({ code: 409 });
    const { items } = await core.listNamespacedConfigMap({ namespace, labelSelector: 'a=b' });
    expect(items.map(({ metadata }) => metadata?.name)).toEqual(['crud']);
    await core.deleteNamespacedConfigMap({ namespace, name: 'crud' });
    const gone = await core
      .readNamespacedConfigMap({ namespace, name: 'crud' })
      .catch((error: unknown) => error);
    expect(codeOf(gone)).toBe(404);
  });

  test('a watch tells each change once, in order, and ends when it is told to', async () => {
    const list = await core.listNamespacedConfigMap({ namespace });
    const seen: string[] = [];
    let finish = (): void => {};
    const done = new Promise<void>((resolve) => (finish = resolve));
    let end = (): void => {};
    const over = new Promise<void>((resolve) => (end = resolve));
    const controller = await new Watch(cluster.config).watch(
      `/api/v1/namespaces/${namespace}/configmaps`,
      { resourceVersion: list.metadata?.resourceVersion, labelSelector: 'watched' },
      (phase, object: V1ConfigMap) => {
        seen.push(`${phase} ${object.data?.['k'] ?? ''}`);
        if (phase === 'DELETED') finish();
      },
      () => end(),
    );
    const labels = { watched: '' };
    const made = await core.createNamespacedConfigMap({
      namespace,
      body: { metadata: { name: 'watched', labels }, data: { k: '1' } },
    });
    await core.replaceNamespacedConfigMap({
      namespace,
      name: 'watched',
      body: changed(made, { data: { k: '2' } }),
    });
    await core.deleteNamespacedConfigMap({ namespace, name: 'watched' });
    await done;
    controller.abort();
    await over;
    expect(seen).toEqual(['ADDED 1', 'MODIFIED 2', 'DELETED 2']);
  });

  test('of two operators one leads; it makes what sites are made of and follows them', async () => {
    const first = new SiteOperator(cluster.config, 'first', namespace);
    const second = new SiteOperator(cluster.config, 'second', namespace);
    const lead = await Promise.all([first.campaign(), second.campaign()]);
    expect(lead.filter(Boolean)).toHaveLength(1);
    const [leader, other] = lead[0] ? [first, second] : [second, first];
    expect(await other.campaign()).toBe(false);
    await leader.start();
    const labels = { [SITE_LABEL]: '' };
    const site = await core.createNamespacedConfigMap({
      namespace,
      body: { metadata: { name: 'shop', labels }, data: { image: 'nginx:1' } },
    });
    const apps = deploymentsOf(cluster.config);
    const image = (wanted: string): Promise<true> =>
      until(async () => {
        const found = await apps
          .readNamespacedDeployment({ namespace, name: 'shop' })
          .catch((error: unknown) => {
            if (codeOf(error) === 404) return undefined;
            throw error;
          });
        return found?.spec?.template.spec?.containers[0]?.image === wanted ? true : undefined;
      });
    await image('nginx:1');
    await core.replaceNamespacedConfigMap({
      namespace,
      name: 'shop',
      body: changed(site, { data: { image: 'nginx:2' } }),
    });
    await image('nginx:2');
    const { metadata } = await apps.readNamespacedDeployment({ namespace, name: 'shop' });
    expect(metadata?.generation).toBe(2);
    expect(metadata?.managedFields?.filter(({ operation }) => operation === 'Apply')).toMatchObject([
      { manager: 'site-operator', apiVersion: 'apps/v1', operation: 'Apply' },
    ]);
    await leader.stop();
    await leader.resign();
    expect(await other.campaign()).toBe(true);
    expect([leader.errors, other.errors]).toEqual([[], []]);
  });
}

describe('in this process', () => clientCases(embedded));

if (built) describe('bin/kube-apiserver, started as envtest does', () => clientCases(asEnvtest));
else test.skip('bin/kube-apiserver as envtest starts it (skipped: not built)', () => {});

(built ? test : test.skip)('what envtest asks of --help (skipped where it is not built)', () => {
  const help = spawnSync(APISERVER, ['--help'], { encoding: 'utf8' });
  expect(help.status).toBe(0);
  expect(help.stdout).toContain('--cert-dir');
  expect(help.stdout).not.toContain('insecure-port');
  const unknown = spawnSync(APISERVER, ['--insecure-port=8080'], { encoding: 'utf8' });
  expect([unknown.status, unknown.stderr.endsWith('Error: unknown flag: --insecure-port\n')]).toEqual([
    1,
    true,
  ]);
});

test('an informer connects again after the server was away, and misses nothing', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'keelson-informer-'));
  const begin = (port: number): ReturnType<typeof startControlPlane> =>
    startControlPlane({ disk: { path: folder }, port, controllers: [], readyTimeoutMs: 150_000 });
  let plane = await begin(0);
  const config = load(plane.kubeConfig());
  const { port } = new URL(plane.url);
  const core = config.makeApiClient(CoreV1Api);
  const operator = new SiteOperator(config, 'one', namespace);
  try {
    await operator.start();
    await until(async () => (operator.connections > 0 ? true : undefined));
    await plane.stop();
    plane = await begin(Number(port));
    const labels = { [SITE_LABEL]: '' };
    await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'late', labels } } });
    await until(async () => {
      // An informer that has been told of a failure is started again by whoever owns it.
      if (operator.errors.splice(0).length > 0)
        await operator.start().catch((error: unknown) => operator.errors.push(error));
      const { items } = await deploymentsOf(config).listNamespacedDeployment({ namespace });
      return items.some(({ metadata }) => metadata?.name === 'late') ? true : undefined;
    });
  } finally {
    await operator.stop();
    await plane.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
