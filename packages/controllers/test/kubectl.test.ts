/**
 * kubectl as it is, against a whole server with its loops: what is deleted is deleted with what belongs to it, in each
 * of the three ways, and namespaces go. Skipped where kubectl is not installed.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { kubectlStarts, run, type Run } from '../../apiserver/test/kubectl-program.ts';
import { cluster, ownedBy, until, type Cluster } from './cluster.ts';

const installed = await kubectlStarts();
const withKubectl = installed ? describe : describe.skip;

const WEB = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: c, image: i }] }
`;

withKubectl('what people delete (needs kubectl on the path)', () => {
  let running: Cluster;
  let home: string;
  let server: string;

  const kubectl = (...args: string[]): Promise<Run> =>
    run(
      'kubectl',
      [`--server=${server}`, '--request-timeout=90s', ...args],
      { HOME: home, KUBECONFIG: path.join(home, 'none') },
      120_000,
    );

  beforeAll(async () => {
    home = mkdtempSync(path.join(tmpdir(), 'keelson-loops-'));
    running = await cluster({ rootCertificate: 'certificate' });
    const { port } = await running.small.server.listen(0, '127.0.0.1');
    server = `http://127.0.0.1:${port}`;
    writeFileSync(path.join(home, 'web.yaml'), WEB);
  });

  afterAll(async () => {
    await running.stop();
    rmSync(home, { recursive: true, force: true });
  });

  const REPLICA_SETS = '/apis/apps/v1/namespaces/shop/replicasets';

  /** A Deployment with a ReplicaSet and a Pod below it, as the loops of apps/ would have made them. */
  async function deploy(): Promise<void> {
    const applied = await kubectl('apply', '--validate=false', '-f', path.join(home, 'web.yaml'));
    expect(applied).toEqual({ code: 0, out: 'deployment.apps/web created\n', err: '' });
    const deployment = await running.get('/apis/apps/v1/namespaces/shop/deployments/web');
    const template = {
      metadata: { labels: { app: 'web' } },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    };
    const blocking = { controller: true, blockOwnerDeletion: true };
    const replicaSet = await running.create(REPLICA_SETS, {
      metadata: { name: 'web-1', labels: { app: 'web' }, ownerReferences: [ownedBy(deployment!, blocking)] },
      spec: { selector: { matchLabels: { app: 'web' } }, template },
    });
    await running.create('/api/v1/namespaces/shop/pods', {
      ...template,
      metadata: { name: 'web-1-a', labels: { app: 'web' }, ownerReferences: [ownedBy(replicaSet, blocking)] },
    });
    // The graph hears of them before the owner goes: orphaning lets go of those it knows.
    await until(
      () => /garbagecollector_controller_graph_nodes [1-9]/.test(running.controllers.metrics.text()),
      'the graph has nodes',
    );
    await running.calm();
  }

  const left = async (): Promise<string> =>
    (await kubectl('-n', 'shop', 'get', 'deployments,replicasets,pods', '-o', 'name')).out;

  test('with everything below it, or not', async () => {
    expect((await kubectl('create', 'namespace', 'shop')).code).toBe(0);

    await deploy();
    const background = await kubectl('-n', 'shop', 'delete', 'deployment', 'web', '--cascade=background');
    expect(background.out).toMatch(/^deployment.apps "web" deleted/);
    await until(async () => (await left()) === '', 'nothing is left');

    await deploy();
    const foreground = await kubectl('-n', 'shop', 'delete', 'deployment', 'web', '--cascade=foreground');
    expect(foreground.code).toBe(0);
    // kubectl waited for the owner, which waited for its dependents.
    expect(await left()).toBe('');

    await deploy();
    const orphan = await kubectl('-n', 'shop', 'delete', 'deployment', 'web', '--cascade=orphan');
    expect(orphan.code).toBe(0);
    expect(await left()).toBe('replicaset.apps/web-1\npod/web-1-a\n');
    expect((await running.get(`${REPLICA_SETS}/web-1`))?.metadata.ownerReferences).toBeUndefined();
    expect(
      (await running.get('/api/v1/namespaces/shop/pods/web-1-a'))?.metadata.ownerReferences?.length,
    ).toBe(1);

    const accounts = await kubectl('-n', 'shop', 'get', 'serviceaccounts,configmaps', '-o', 'name');
    expect(accounts.out).toBe('serviceaccount/default\nconfigmap/kube-root-ca.crt\n');
    const namespace = await kubectl('delete', 'namespace', 'shop', '--timeout=90s');
    expect(namespace).toEqual({ code: 0, out: 'namespace "shop" deleted\n', err: '' });
    expect((await kubectl('get', 'namespace', 'shop')).err).toBe(
      'Error from server (NotFound): namespaces "shop" not found\n',
    );
  }, 300_000);
});
