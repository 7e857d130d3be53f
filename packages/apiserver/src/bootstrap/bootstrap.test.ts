import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { silentLogger, systemClock, type Clock } from '@keelson/base';

import { until } from '../../../base/test/until.ts';
import { CertificateAuthority } from '../pki/authority.ts';
import { part, parts, text, textMap, texts } from '../validation/value.ts';
import { smallServer, type SmallServer } from '../../test/small-server.ts';
import { Access } from './access.ts';
import { Bootstrap, type BootstrapOptions } from './bootstrap.ts';
import { lookUp, storeOf } from './ensure.ts';
import { apiServerId } from './identity-lease.ts';
import { atMost } from './at-most.ts';

const WRITE = { dryRun: false };
const CA = CertificateAuthority.create('kubernetes-ca', Date.now()).certificate;

let small: SmallServer;
let running: { stop(): Promise<void> }[];

function bootstrap(options: Partial<BootstrapOptions> = {}): Bootstrap {
  const made = new Bootstrap({
    clock: systemClock,
    logger: silentLogger,
    serviceRanges: ['10.0.0.0/24'],
    advertised: () => ({ address: '10.9.8.7', port: 6443 }),
    hostname: 'host-1',
    instance: '7f9c3c5e-0000-4000-8000-000000000000',
    authentication: {
      clientCA: CA,
      requestHeader: {
        clientCA: CA,
        allowedNames: ['front-proxy-client'],
        usernameHeaders: ['X-Remote-User'],
        uidHeaders: ['X-Remote-Uid'],
        groupHeaders: ['X-Remote-Group'],
        extraHeaderPrefixes: ['X-Remote-Extra-'],
      },
    },
    ...options,
  });
  running.push(made);
  made.start(small.server.scheme, small.backend);
  return made;
}

beforeEach(() => {
  small = smallServer({ resources: 'built-in' });
  running = [];
});

afterEach(async () => {
  for (const one of running) await one.stop();
  await small.stop();
});

async function names(group: string, resource: string): Promise<string[]> {
  const list = await storeOf(small.server.scheme, { group, resource }).list('');
  return list.map(({ metadata }) => metadata.name ?? '').toSorted();
}

describe('a fresh server', () => {
  test('has what kube-apiserver makes by itself', async () => {
    await bootstrap().whenDone();
    const { scheme } = small.server;
    expect(await names('', 'namespaces')).toEqual([
      'default',
      'kube-node-lease',
      'kube-public',
      'kube-system',
    ]);
    expect(await names('scheduling.k8s.io', 'priorityclasses')).toEqual([
      'system-cluster-critical',
      'system-node-critical',
    ]);
    expect(await names('flowcontrol.apiserver.k8s.io', 'prioritylevelconfigurations')).toEqual([
      'catch-all',
      'exempt',
      'global-default',
      'leader-election',
      'node-high',
      'system',
      'workload-high',
      'workload-low',
    ]);
    expect(await names('flowcontrol.apiserver.k8s.io', 'flowschemas')).toHaveLength(11);
    expect(await names('', 'configmaps')).toEqual([
      'extension-apiserver-authentication',
      'kube-apiserver-legacy-service-account-token-tracking',
    ]);
    expect(await names('rbac.authorization.k8s.io', 'clusterroles')).toEqual(
      expect.arrayContaining(['admin', 'cluster-admin', 'edit', 'system:node', 'view']),
    );
    expect(await names('rbac.authorization.k8s.io', 'clusterrolebindings')).toContain('cluster-admin');
    expect(await names('rbac.authorization.k8s.io', 'rolebindings')).toContain(
      'system::extension-apiserver-authentication-reader',
    );
    const service = await storeOf(scheme, { group: '', resource: 'services' }).get('default', 'kubernetes');
    expect(service).toMatchObject({
      metadata: { labels: { component: 'apiserver', provider: 'kubernetes' } },
      spec: {
        clusterIP: '10.0.0.1',
        clusterIPs: ['10.0.0.1'],
        ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: 6443 }],
        type: 'ClusterIP',
      },
    });
    const endpoints = await storeOf(scheme, { group: '', resource: 'endpoints' }).get(
      'default',
      'kubernetes',
    );
    expect(endpoints['subsets']).toEqual([
      { addresses: [{ ip: '10.9.8.7' }], ports: [{ name: 'https', port: 6443, protocol: 'TCP' }] },
    ]);
    const slice = await storeOf(scheme, { group: 'discovery.k8s.io', resource: 'endpointslices' }).get(
      'default',
      'kubernetes',
    );
    expect(slice).toMatchObject({
      addressType: 'IPv4',
      endpoints: [{ addresses: ['10.9.8.7'], conditions: { ready: true } }],
    });
    const lease = await storeOf(scheme, { group: 'coordination.k8s.io', resource: 'leases' }).get(
      'kube-system',
      apiServerId('host-1'),
    );
    expect(lease.metadata.labels).toEqual({
      'apiserver.kubernetes.io/identity': 'kube-apiserver',
      'kubernetes.io/hostname': 'host-1',
    });
    expect(part(lease, 'spec')['leaseDurationSeconds']).toBe(3600);
    const cidr = await storeOf(scheme, { group: 'networking.k8s.io', resource: 'servicecidrs' }).get(
      '',
      'kubernetes',
    );
    expect(texts(part(cidr, 'spec'), 'cidrs')).toEqual(['10.0.0.0/24']);
    expect(parts(part(cidr, 'status'), 'conditions')[0]).toMatchObject({ type: 'Ready', status: 'True' });
  });

  test('a second start writes none of it again', async () => {
    await bootstrap().whenDone();
    const before = await small.backend
      .storage({ ...storageResource(), prefix: '/clusterroles' })
      .list('/clusterroles');
    await bootstrap({ instance: '7f9c3c5e-0000-4000-8000-000000000001' }).whenDone();
    const after = await small.backend
      .storage({ ...storageResource(), prefix: '/clusterroles' })
      .list('/clusterroles');
    expect(after.objects.map(({ revision }) => revision)).toEqual(
      before.objects.map(({ revision }) => revision),
    );
  });

  test('tells others by whom it knows its clients', async () => {
    await bootstrap().whenDone();
    const map = await storeOf(small.server.scheme, { group: '', resource: 'configmaps' }).get(
      'kube-system',
      'extension-apiserver-authentication',
    );
    expect(textMap(map, 'data')).toEqual({
      'client-ca-file': CA,
      'requestheader-allowed-names': '["front-proxy-client"]',
      'requestheader-client-ca-file': CA,
      'requestheader-extra-headers-prefix': '["X-Remote-Extra-"]',
      'requestheader-group-headers': '["X-Remote-Group"]',
      'requestheader-uid-headers': '["X-Remote-Uid"]',
      'requestheader-username-headers': '["X-Remote-User"]',
    });
  });

  test('has checks that are red until each step has succeeded', async () => {
    let open = false;
    const made = bootstrap({ advertised: () => (open ? { address: '10.9.8.7', port: 6443 } : undefined) });
    const check = made.checks.find(({ name }) => name === 'poststarthook/bootstrap-controller');
    expect(await check?.check(new AbortController().signal)).toBe('not finished');
    open = true;
    await made.whenDone();
    for (const one of made.checks) expect(await one.check(new AbortController().signal)).toBeUndefined();
    expect(made.checks.map(({ name }) => name)).toEqual([
      'poststarthook/start-system-namespaces-controller',
      'poststarthook/start-cluster-authentication-info-controller',
      'poststarthook/start-kube-apiserver-identity-lease-controller',
      'poststarthook/start-kube-apiserver-identity-lease-garbage-collector',
      'poststarthook/start-legacy-token-tracking-controller',
      'poststarthook/rbac/bootstrap-roles',
      'poststarthook/scheduling/bootstrap-system-priority-classes',
      'poststarthook/priority-and-fairness-config-producer',
      'poststarthook/bootstrap-controller',
      'poststarthook/start-kubernetes-service-cidr-controller',
      'poststarthook/start-service-ip-repair-controllers',
    ]);
  });
});

/** A store that looks at revisions alone. */
function storageResource(): Parameters<SmallServer['backend']['storage']>[0] {
  return {
    resource: { group: 'rbac.authorization.k8s.io', resource: 'clusterroles' },
    prefix: '/clusterroles',
    codec: {
      encode: () => Buffer.alloc(0),
      decode: () => ({ apiVersion: 'v1', kind: 'X', metadata: {} }),
    },
    fieldsOf: () => ({}),
  };
}

describe('the service kubernetes', () => {
  test('names all servers that run, and no more the one that stopped', async () => {
    const endpoints = storeOf(small.server.scheme, { group: '', resource: 'endpoints' });
    const addresses = async (): Promise<unknown> =>
      parts(parts(await endpoints.get('default', 'kubernetes'), 'subsets')[0], 'addresses');
    await bootstrap().whenDone();
    const second = bootstrap({ hostname: 'host-2', advertised: () => ({ address: '10.9.8.8', port: 6443 }) });
    await second.whenDone();
    expect(await addresses()).toEqual([{ ip: '10.9.8.7' }, { ip: '10.9.8.8' }]);
    await second.stop();
    expect(await addresses()).toEqual([{ ip: '10.9.8.7' }]);
  });

  test('no more names one that was killed, once its lease is over', async () => {
    // A hundred times as fast as the world's: fifteen seconds are a moment.
    const fast: Clock = {
      nowMs: () => systemClock.nowMs(),
      monotonicMs: () => systemClock.monotonicMs() * 100,
      setTimer: (delayMs, task) => systemClock.setTimer(delayMs / 100, task),
    };
    const world = smallServer({ resources: 'built-in', clock: fast });
    const start = (hostname: string, address: () => string | undefined): void => {
      const made = new Bootstrap({
        clock: fast,
        logger: silentLogger,
        serviceRanges: ['10.0.0.0/24'],
        advertised: () => {
          const own = address();
          return own === undefined ? undefined : { address: own, port: 6443 };
        },
        hostname,
        instance: hostname,
        authentication: {},
      });
      running.push(made);
      made.start(world.server.scheme, world.backend);
    };
    let alive = true;
    start('host-1', () => '10.9.8.7');
    start('host-2', () => (alive ? '10.9.8.8' : undefined));
    const told = async (): Promise<string> => {
      const stores = world.server.scheme;
      const endpoints = await lookUp(
        storeOf(stores, { group: '', resource: 'endpoints' }),
        'default',
        'kubernetes',
      );
      const slice = await lookUp(
        storeOf(stores, { group: 'discovery.k8s.io', resource: 'endpointslices' }),
        'default',
        'kubernetes',
      );
      const old = parts(endpoints ?? {}, 'subsets').flatMap((subset) => parts(subset, 'addresses'));
      const sliced = parts(slice ?? {}, 'endpoints').flatMap((endpoint) => texts(endpoint, 'addresses'));
      return `${old.map((address) => text(address, 'ip')).join(' ')} | ${sliced.join(' ')}`;
    };
    await until(async () => (await told()) === '10.9.8.7 10.9.8.8 | 10.9.8.7 10.9.8.8');
    alive = false;
    await until(async () => (await told()) === '10.9.8.7 | 10.9.8.7');
    await Promise.all(running.splice(0).map((one) => one.stop()));
    await world.stop();
  });

  test('a server that only its own machine reaches has no endpoints', async () => {
    await bootstrap({ advertised: () => ({ address: '127.0.0.1', port: 6443 }) }).whenDone();
    const endpoints = storeOf(small.server.scheme, { group: '', resource: 'endpoints' });
    expect(await lookUp(endpoints, 'default', 'kubernetes')).toBeUndefined();
    expect(await names('', 'services')).toEqual(['kubernetes']);
  });
});

test('what does not end is waited for no longer than was said', async () => {
  const soon = {
    ...systemClock,
    setTimer: (_delayMs: number, task: () => void) => systemClock.setTimer(0, task),
  };
  await atMost(soon, 60_000, new Promise(() => undefined));
  await atMost(systemClock, 60_000, Promise.resolve());
});

describe('what administrators changed', () => {
  test('a role of theirs keeps its own rules and gets back the default ones', async () => {
    await bootstrap().whenDone();
    const roles = storeOf(small.server.scheme, {
      group: 'rbac.authorization.k8s.io',
      resource: 'clusterroles',
    });
    const extra = { apiGroups: ['x.io'], resources: ['things'], verbs: ['get'] };
    await roles.change('', 'system:kube-dns', (role) => ({ ...role, rules: [extra] }), WRITE);
    await roles.change(
      '',
      'system:heapster',
      (role) => ({
        ...role,
        metadata: {
          ...role.metadata,
          annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'false' },
        },
        rules: [extra],
      }),
      WRITE,
    );
    await roles.delete('', 'system:node-proxier', WRITE);
    await bootstrap({ hostname: 'host-2' }).whenDone();
    expect((await roles.get('', 'system:kube-dns'))['rules']).toEqual([
      extra,
      ...['endpoints', 'services'].flatMap((resource) =>
        ['list', 'watch'].map((verb) => ({ apiGroups: [''], resources: [resource], verbs: [verb] })),
      ),
    ]);
    expect((await roles.get('', 'system:heapster'))['rules']).toEqual([extra]);
    expect(await names('rbac.authorization.k8s.io', 'clusterroles')).toContain('system:node-proxier');
  });

  test('a flow schema they took over stays theirs, a mandatory one does not', async () => {
    await bootstrap().whenDone();
    const schemas = storeOf(small.server.scheme, {
      group: 'flowcontrol.apiserver.k8s.io',
      resource: 'flowschemas',
    });
    const own = (name: string, mark: string): Promise<unknown> =>
      schemas.change(
        '',
        name,
        (schema) => ({
          ...schema,
          metadata: {
            ...schema.metadata,
            annotations: { 'apf.kubernetes.io/autoupdate-spec': mark },
          },
          spec: { ...part(schema, 'spec'), matchingPrecedence: 777 },
        }),
        WRITE,
      );
    await own('global-default', 'false');
    await own('service-accounts', 'true');
    await own('catch-all', 'false');
    await schemas.create(
      '',
      {
        apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
        kind: 'FlowSchema',
        metadata: {
          name: 'endpoint-controller',
          annotations: { 'apf.kubernetes.io/autoupdate-spec': 'true' },
        },
        spec: { priorityLevelConfiguration: { name: 'workload-high' }, matchingPrecedence: 150 },
      },
      WRITE,
    );
    await bootstrap({ hostname: 'host-2' }).whenDone();
    const precedence = async (name: string): Promise<unknown> =>
      part(await schemas.get('', name), 'spec')['matchingPrecedence'];
    expect(await precedence('global-default')).toBe(777);
    expect(await precedence('service-accounts')).toBe(9_000);
    expect(await precedence('catch-all')).toBe(10_000);
    expect(await lookUp(schemas, '', 'endpoint-controller')).toBeUndefined();
  });
});

test('admin, edit and view have the rules of the roles they gather', async () => {
  const access = new Access({ modes: ['Node', 'RBAC'], clock: systemClock, logger: silentLogger });
  running.push(access);
  access.start(small.server.scheme);
  await access.informers.whenSynced();
  await bootstrap().whenDone();
  const roles = storeOf(small.server.scheme, {
    group: 'rbac.authorization.k8s.io',
    resource: 'clusterroles',
  });
  const jane = { name: 'jane', uid: '', groups: ['system:authenticated'], extra: {} };
  await storeOf(small.server.scheme, { group: 'rbac.authorization.k8s.io', resource: 'rolebindings' }).create(
    'red',
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'jane', namespace: 'red' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
      subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'jane' }],
    },
    WRITE,
  );
  const may = async (resource: string): Promise<string> =>
    (
      await access.authorizer.authorize({
        user: jane,
        verb: 'list',
        isResource: true,
        group: '',
        version: 'v1',
        resource,
        subresource: '',
        namespace: 'red',
        name: '',
        path: '',
      })
    ).kind;
  await until(async () => (await may('pods')) === 'allow');
  expect(await may('secrets')).toBe('no-opinion');
  // What admin gathers is gathered itself.
  await until(async () => {
    const rules = parts(await roles.get('', 'admin'), 'rules');
    const of = (resource: string): boolean =>
      rules.some((rule) => texts(rule, 'resources').includes(resource));
    return of('rolebindings') && of('pods/exec') && of('pods/log');
  });
});
