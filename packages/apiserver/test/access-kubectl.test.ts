/**
 * The commands by which people look at and change who may do what, typed into kubectl as it is, over TLS as four
 * users. Skipped where kubectl is not installed.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { until } from '../../base/test/until.ts';
import { CertificateAuthority } from '../src/pki/authority.ts';
import { accessServer, type AccessServer } from './access-server.ts';
import { kubectlStarts, run, type Run } from './kubectl-program.ts';

const installed = await kubectlStarts();
const withKubectl = installed ? describe : describe.skip;

withKubectl('kubectl (needs it on the path)', () => {
  let world: AccessServer;
  let home: string;
  let port: number;

  const as = (user: string, ...args: string[]): Promise<Run> =>
    run(
      'kubectl',
      [
        `--server=https://127.0.0.1:${port}`,
        `--certificate-authority=${path.join(home, 'ca.crt')}`,
        `--token=${user.includes('.') ? user : `${user}-token`}`,
        '--request-timeout=30s',
        ...args,
      ],
      { HOME: home, KUBECONFIG: path.join(home, 'none') },
    );

  const file = (name: string, text: string): string => {
    const at = path.join(home, name);
    writeFileSync(at, text);
    return at;
  };

  beforeAll(async () => {
    home = mkdtempSync(path.join(tmpdir(), 'keelson-access-'));
    world = accessServer();
    const ca = CertificateAuthority.create('kubernetes-ca', Date.now());
    file('ca.crt', ca.certificate);
    const { certificate, key } = ca.server('kube-apiserver', ['127.0.0.1'], Date.now());
    ({ port } = await world.server.listen(0, '127.0.0.1', { cert: certificate, key }));
    await world.ready();
  });

  afterAll(async () => {
    await world.stop();
    rmSync(home, { recursive: true, force: true });
  });

  test('makes namespaces and bindings; four users see what is theirs', async () => {
    expect((await as('admin', 'create', 'namespace', 'red')).out).toBe('namespace/red created\n');
    for (const [name, role, user] of [
      ['editor', 'edit', 'editor'],
      ['viewer', 'view', 'viewer'],
    ]) {
      const made = await as(
        'admin',
        '-n',
        'red',
        'create',
        'rolebinding',
        name,
        `--clusterrole=${role}`,
        `--user=${user}`,
      );
      expect(made).toEqual({
        code: 0,
        out: `rolebinding.rbac.authorization.k8s.io/${name} created\n`,
        err: '',
      });
    }
    await until(async () => (await world.ask('viewer', 'GET', '/api/v1/namespaces/red/pods')).code === 200);
    const can = async (user: string, ...what: string[]): Promise<string> =>
      (await as(user, '-n', 'red', 'auth', 'can-i', ...what)).out.trim();
    expect([
      await can('admin', '*', '*'),
      await can('editor', 'create', 'deployments.apps'),
      await can('viewer', 'create', 'deployments.apps'),
      await can('viewer', 'get', 'pods', '--subresource=log'),
      await can('nobody', 'list', 'pods'),
    ]).toEqual(['yes', 'yes', 'no', 'yes', 'no']);
    const made = await as('editor', '-n', 'red', 'create', 'configmap', 'a', '--from-literal=x=1');
    expect(made).toEqual({ code: 0, out: 'configmap/a created\n', err: '' });
    expect(await as('viewer', '-n', 'red', 'delete', 'configmap', 'a')).toEqual({
      code: 1,
      out: '',
      err: 'Error from server (Forbidden): configmaps "a" is forbidden: User "viewer" cannot delete resource "configmaps" in API group "" in the namespace "red"\n',
    });
    expect((await as('viewer', '-n', 'red', 'get', 'configmap', 'a', '-o', 'name')).out).toBe(
      'configmap/a\n',
    );
    expect((await as('nobody', '-n', 'red', 'get', 'configmap', 'a')).err).toBe(
      'Error from server (Forbidden): configmaps "a" is forbidden: User "nobody" cannot get resource "configmaps" in API group "" in the namespace "red"\n',
    );
  });

  test('auth can-i --list, auth whoami, impersonation', async () => {
    const list = await as('viewer', '-n', 'red', 'auth', 'can-i', '--list', '--no-headers');
    expect(list.code).toBe(0);
    const lines = list.out.split('\n').map((line) => line.trim().split(/ {2,}/));
    expect(lines).toEqual(
      expect.arrayContaining([
        ['selfsubjectreviews.authentication.k8s.io', '[]', '[]', '[create]'],
        ['configmaps', '[]', '[]', '[get list watch]'],
      ]),
    );
    expect(list.err).toBe('');
    const who = await as('editor', 'auth', 'whoami');
    expect(who.out.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['ATTRIBUTE', 'VALUE'],
      ['Username', 'editor'],
      ['UID', '2'],
      ['Groups', '[team system:authenticated]'],
      [''],
    ]);
    const another = await as('admin', '--as=viewer', '-n', 'red', 'auth', 'can-i', 'list', 'secrets');
    expect([another.out, another.code]).toEqual(['no\n', 1]);
    const refused = await as('editor', '--as=admin', 'get', 'nodes');
    expect(refused.err).toBe(
      'Error from server (Forbidden): nodes is forbidden: User "editor" cannot impersonate-on:user-info:list resource "nodes" in API group "" at the cluster scope\n',
    );
  });

  test('create token: it lets its account in', async () => {
    expect((await as('admin', '-n', 'red', 'create', 'serviceaccount', 'robot')).code).toBe(0);
    const made = await as('admin', '-n', 'red', 'create', 'token', 'robot', '--duration=20m');
    expect(made.err).toBe('');
    const who = await as(made.out.trim(), 'auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}');
    expect(who.out).toBe('system:serviceaccount:red:robot');
    const short = await as('admin', '-n', 'red', 'create', 'token', 'robot', '--duration=1m');
    expect(short.err).toContain('may not specify a duration less than 10 minutes');
  });

  test('auth reconcile', async () => {
    const manifest = file(
      'roles.yaml',
      [
        'apiVersion: rbac.authorization.k8s.io/v1',
        'kind: Role',
        'metadata: {name: reads, namespace: red}',
        'rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]',
        '---',
        'apiVersion: rbac.authorization.k8s.io/v1',
        'kind: RoleBinding',
        'metadata: {name: reads, namespace: red}',
        'roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reads}',
        'subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: nobody}]',
        '',
      ].join('\n'),
    );
    const first = await as('admin', 'auth', 'reconcile', '-f', manifest);
    expect(first.code).toBe(0);
    expect(first.out).toBe(
      'role.rbac.authorization.k8s.io/reads reconciled\nrolebinding.rbac.authorization.k8s.io/reads reconciled\n',
    );
    file(
      'roles.yaml',
      [
        'apiVersion: rbac.authorization.k8s.io/v1',
        'kind: Role',
        'metadata: {name: reads, namespace: red}',
        'rules: [{apiGroups: [""], resources: [pods], verbs: [list]}]',
        '',
      ].join('\n'),
    );
    expect((await as('admin', 'auth', 'reconcile', '-f', manifest)).code).toBe(0);
    const role = await as(
      'admin',
      '-n',
      'red',
      'get',
      'role',
      'reads',
      '-o',
      'jsonpath={.rules[*].verbs[*]}',
    );
    expect(role.out.split(' ').toSorted()).toEqual(['get', 'list']);
    const escalated = await as(
      'editor',
      '-n',
      'red',
      'create',
      'role',
      'x',
      '--verb=get',
      '--resource=nodes',
    );
    expect([escalated.code, escalated.err.includes('cannot create resource "roles"')]).toEqual([1, true]);
  });
});
