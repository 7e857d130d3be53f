/**
 * kubectl as it is, against the whole server on a real port: what people type works. Skipped where kubectl is not
 * installed.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { kubectlStarts, run, type Run } from './kubectl-program.ts';
import { smallServer, type SmallServer } from './small-server.ts';

const installed = await kubectlStarts();

const withKubectl = installed ? describe : describe.skip;

withKubectl('what people type (needs kubectl on the path)', () => {
  let small: SmallServer;
  let home: string;
  let server: string;

  const kubectl = (...args: string[]): Promise<Run> =>
    run('kubectl', [`--server=${server}`, '--request-timeout=30s', ...args], {
      HOME: home,
      KUBECONFIG: path.join(home, 'none'),
    });

  const file = (name: string, text: string): string => {
    const at = path.join(home, name);
    writeFileSync(at, text);
    return at;
  };

  beforeAll(async () => {
    home = mkdtempSync(path.join(tmpdir(), 'keelson-kubectl-'));
    small = smallServer();
    const { port } = await small.server.listen(0, '127.0.0.1');
    server = `http://127.0.0.1:${port}`;
  });

  afterAll(async () => {
    await small.stop();
    rmSync(home, { recursive: true, force: true });
  });

  test('creates, gets, patches, applies and deletes', async () => {
    expect(await kubectl('create', 'namespace', 'shop')).toEqual({
      code: 0,
      out: 'namespace/shop created\n',
      err: '',
    });
    const created = await kubectl('-n', 'shop', 'create', 'configmap', 'web', '--from-literal=color=red');
    expect(created).toEqual({ code: 0, out: 'configmap/web created\n', err: '' });

    const table = await kubectl('-n', 'shop', 'get', 'cm');
    // This server's kinds are the least a kind may say, so they have no columns of their own.
    expect(table.out.split('\n')[0].split(/ +/)).toEqual(['NAME', 'CREATED', 'AT']);
    expect(table.out.split('\n')[1]).toMatch(/^web /);

    const patched = await kubectl(
      '-n',
      'shop',
      'patch',
      'cm',
      'web',
      '--type=merge',
      '-p',
      '{"data":{"color":"blue"}}',
    );
    expect(patched).toEqual({ code: 0, out: 'configmap/web patched\n', err: '' });
    const value = await kubectl('-n', 'shop', 'get', 'cm', 'web', '-o', 'jsonpath={.data.color}');
    expect(value.out).toBe('blue');

    const manifest = file(
      'web.yaml',
      'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: api\n  namespace: shop\ndata:\n  size: small\n',
    );
    const applied = await kubectl('apply', '--validate=false', '-f', manifest);
    expect(applied).toEqual({ code: 0, out: 'configmap/api created\n', err: '' });
    const unchanged = await kubectl('apply', '--validate=false', '-f', manifest);
    expect(unchanged.out).toBe('configmap/api unchanged\n');
    file(
      'web.yaml',
      'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: api\n  namespace: shop\ndata:\n  size: large\n',
    );
    expect((await kubectl('apply', '--validate=false', '-f', manifest)).out).toBe(
      'configmap/api configured\n',
    );
    const serverSide = await kubectl('apply', '--server-side', '--validate=false', '-f', manifest);
    expect([serverSide.code, serverSide.out]).toEqual([0, 'configmap/api serverside-applied\n']);

    const missing = await kubectl('-n', 'shop', 'get', 'cm', 'none');
    expect([missing.code, missing.err]).toEqual([
      1,
      'Error from server (NotFound): configmaps "none" not found\n',
    ]);
    const deleted = await kubectl('-n', 'shop', 'delete', 'cm', 'web');
    expect(deleted.out).toMatch(/^configmap "web" deleted/);
    expect((await kubectl('-n', 'shop', 'get', 'cm', '-o', 'name')).out).toBe('configmap/api\n');
    const all = await kubectl('-n', 'shop', 'delete', 'cm', '--all');
    expect(all.code).toBe(0);

    const namespace = await kubectl('delete', 'namespace', 'shop', '--wait=false');
    expect(namespace.out).toBe('namespace "shop" deleted\n');
    const phase = await kubectl('get', 'namespace', 'shop', '-o', 'jsonpath={.status.phase}');
    expect(phase.out).toBe('Terminating');
  }, 180_000);

  test('knows what is served', async () => {
    const resources = await kubectl('api-resources', '--no-headers=true');
    expect(resources.code).toBe(0);
    const names = resources.out
      .trim()
      .split('\n')
      .map((line) => line.split(/ +/)[0]);
    expect(names.toSorted()).toEqual(['configmaps', 'deployments', 'leases', 'namespaces', 'pods']);
    const version = await kubectl('version', '-o', 'json');
    expect((JSON.parse(version.out) as { serverVersion: { major: string } }).serverVersion.major).toBe('1');
  });
});
