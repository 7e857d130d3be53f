/**
 * What `kubectl get` shows of the kinds people use daily, with kubectl as it is: columns, wide ones, labels, order,
 * all namespaces, several kinds at once, and a watch. Skipped where kubectl is not installed.
 */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { systemClock } from '@keelson/base';

import { kubectlStarts, run } from './kubectl-program.ts';
import { smallServer, type SmallServer } from './small-server.ts';

const installed = await kubectlStarts();
const withKubectl = installed ? describe : describe.skip;

const MADE_MS = Date.UTC(2026, 0, 10, 11);
const HOUR_MS = 3_600_000;

const containers = [{ name: 'app', image: 'nginx:1.27' }];
const template = { metadata: { labels: { app: 'web' } }, spec: { containers } };
const selector = { matchLabels: { app: 'web' } };

/** Where an object is made, what it is, and the status that is written to it afterwards. */
const OBJECTS: readonly (readonly [collection: string, object: Record<string, unknown>, status?: object])[] =
  [
    ['/api/v1/namespaces', { metadata: { name: 'shop', labels: { team: 'a' } } }],
    [
      '/api/v1/nodes',
      { metadata: { name: 'n1', labels: { 'node-role.kubernetes.io/control-plane': '' } } },
      {
        conditions: [{ type: 'Ready', status: 'True' }],
        addresses: [{ type: 'InternalIP', address: '192.0.2.10' }],
        nodeInfo: {
          architecture: 'amd64',
          bootID: '1',
          containerRuntimeVersion: 'containerd://2.1.0',
          kernelVersion: '6.12.0',
          kubeProxyVersion: '',
          kubeletVersion: 'v1.36.0',
          machineID: '1',
          operatingSystem: 'linux',
          osImage: 'Debian GNU/Linux 13',
          systemUUID: '1',
        },
      },
    ],
    [
      '/api/v1/namespaces/shop/pods',
      {
        metadata: { name: 'web-0', labels: { app: 'web', tier: 'b' } },
        spec: { containers, nodeName: 'n1' },
      },
      {
        phase: 'Running',
        podIP: '10.1.0.7',
        podIPs: [{ ip: '10.1.0.7' }],
        conditions: [{ type: 'Ready', status: 'True' }],
        containerStatuses: [
          {
            name: 'app',
            image: 'nginx:1.27',
            imageID: '',
            ready: true,
            restartCount: 2,
            state: { running: { startedAt: '2026-01-10T11:55:00Z' } },
            lastState: { terminated: { exitCode: 1, reason: 'Error', finishedAt: '2026-01-10T11:55:00Z' } },
          },
        ],
      },
    ],
    [
      '/api/v1/namespaces/shop/pods',
      { metadata: { name: 'aged', labels: { app: 'old' } }, spec: { containers } },
      { phase: 'Pending' },
    ],
    [
      '/apis/apps/v1/namespaces/shop/deployments',
      { metadata: { name: 'web' }, spec: { replicas: 3, selector, template } },
      { replicas: 3, readyReplicas: 2, updatedReplicas: 3, availableReplicas: 1 },
    ],
    [
      '/apis/apps/v1/namespaces/shop/replicasets',
      { metadata: { name: 'web-6d4' }, spec: { replicas: 3, selector, template } },
      { replicas: 3, readyReplicas: 2 },
    ],
    [
      '/apis/apps/v1/namespaces/shop/statefulsets',
      { metadata: { name: 'db' }, spec: { replicas: 2, serviceName: 'db', selector, template } },
      { replicas: 2, readyReplicas: 1 },
    ],
    [
      '/apis/apps/v1/namespaces/shop/daemonsets',
      { metadata: { name: 'log' }, spec: { selector, template } },
      {
        desiredNumberScheduled: 3,
        currentNumberScheduled: 3,
        numberReady: 2,
        updatedNumberScheduled: 3,
        numberAvailable: 2,
        numberMisscheduled: 0,
      },
    ],
    [
      '/apis/batch/v1/namespaces/shop/jobs',
      {
        metadata: { name: 'once' },
        spec: { completions: 2, template: { spec: { restartPolicy: 'Never', containers } } },
      },
      { startTime: '2026-01-10T11:00:00Z', active: 1, succeeded: 1, ready: 1 },
    ],
    [
      '/apis/batch/v1/namespaces/shop/cronjobs',
      {
        metadata: { name: 'nightly' },
        spec: {
          schedule: '0 3 * * *',
          jobTemplate: { spec: { template: { spec: { restartPolicy: 'Never', containers } } } },
        },
      },
    ],
    [
      '/api/v1/namespaces/shop/services',
      {
        metadata: { name: 'web' },
        spec: {
          type: 'NodePort',
          clusterIP: '10.0.0.9',
          selector: { app: 'web' },
          ports: [{ port: 80, nodePort: 30080 }],
        },
      },
    ],
    [
      '/apis/networking.k8s.io/v1/namespaces/shop/ingresses',
      {
        metadata: { name: 'web' },
        spec: {
          ingressClassName: 'nginx',
          rules: [
            {
              host: 'a.example.com',
              http: {
                paths: [
                  {
                    path: '/',
                    pathType: 'Prefix',
                    backend: { service: { name: 'web', port: { number: 80 } } },
                  },
                ],
              },
            },
          ],
        },
      },
    ],
    ['/api/v1/namespaces/shop/configmaps', { metadata: { name: 'conf' }, data: { a: '1', b: '2' } }],
    ['/api/v1/namespaces/shop/secrets', { metadata: { name: 'pass' }, data: { a: 'YQ==' } }],
    [
      '/api/v1/namespaces/shop/persistentvolumeclaims',
      {
        metadata: { name: 'data' },
        spec: {
          accessModes: ['ReadWriteOnce'],
          resources: { requests: { storage: '5Gi' } },
          storageClassName: 'fast',
        },
      },
    ],
    [
      '/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers',
      {
        metadata: { name: 'web' },
        spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }, maxReplicas: 5 },
      },
    ],
    ['/apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles', { metadata: { name: 'reader' }, rules: [] }],
  ];

withKubectl('kubectl get (needs kubectl on the path)', () => {
  let small: SmallServer;
  let home: string;
  let server: string;
  let nowMs = MADE_MS;

  const settings = (): Record<string, string> => ({ HOME: home, KUBECONFIG: path.join(home, 'none') });
  const get = async (...args: string[]): Promise<string[][]> => {
    const { out, err, code } = await run(
      'kubectl',
      [`--server=${server}`, '--request-timeout=30s', '-n', 'shop', 'get', ...args],
      settings(),
    );
    expect([code, err]).toEqual([0, '']);
    return cellsOf(out);
  };

  /** Cells of each line; kubectl puts three spaces between columns. */
  function cellsOf(out: string): string[][] {
    return out
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.trim().split(/ {3,}/));
  }

  beforeAll(async () => {
    home = mkdtempSync(path.join(tmpdir(), 'keelson-kubectl-tables-'));
    small = smallServer({ resources: 'built-in', clock: { ...systemClock, nowMs: () => nowMs } });
    for (const [collection, object, status] of OBJECTS) {
      const made = await small.ask('POST', collection, object);
      expect([collection, made.code, made.json['message']]).toEqual([collection, 201, undefined]);
      if (status === undefined) continue;
      const name = made.json.metadata.name ?? '';
      const told = await small.ask('PATCH', `${collection}/${name}/status`, { status });
      expect([collection, told.code, told.json['message']]).toEqual([collection, 200, undefined]);
    }
    nowMs = MADE_MS + HOUR_MS;
    const { port } = await small.server.listen(0, '127.0.0.1');
    server = `http://127.0.0.1:${port}`;
  });

  afterAll(async () => {
    await small.stop();
    rmSync(home, { recursive: true, force: true });
  });

  test.each<[string, string[][]]>([
    [
      'nodes',
      [
        [
          'NAME',
          'STATUS',
          'ROLES',
          'AGE',
          'VERSION',
          'INTERNAL-IP',
          'EXTERNAL-IP',
          'OS-IMAGE',
          'KERNEL-VERSION',
          'CONTAINER-RUNTIME',
        ],
        [
          'n1',
          'Ready',
          'control-plane',
          '60m',
          'v1.36.0',
          '192.0.2.10',
          '<none>',
          'Debian GNU/Linux 13',
          '6.12.0',
          'containerd://2.1.0',
        ],
      ],
    ],
    [
      'pods',
      [
        ['NAME', 'READY', 'STATUS', 'RESTARTS', 'AGE', 'IP', 'NODE', 'NOMINATED NODE', 'READINESS GATES'],
        ['aged', '0/1', 'Pending', '0', '60m', '<none>', '<none>', '<none>', '<none>'],
        ['web-0', '1/1', 'Running', '2 (5m ago)', '60m', '10.1.0.7', 'n1', '<none>', '<none>'],
      ],
    ],
    [
      'deployments',
      [
        ['NAME', 'READY', 'UP-TO-DATE', 'AVAILABLE', 'AGE', 'CONTAINERS', 'IMAGES', 'SELECTOR'],
        ['web', '2/3', '3', '1', '60m', 'app', 'nginx:1.27', 'app=web'],
      ],
    ],
    [
      'replicasets',
      [
        ['NAME', 'DESIRED', 'CURRENT', 'READY', 'AGE', 'CONTAINERS', 'IMAGES', 'SELECTOR'],
        ['web-6d4', '3', '3', '2', '60m', 'app', 'nginx:1.27', 'app=web'],
      ],
    ],
    [
      'statefulsets',
      [
        ['NAME', 'READY', 'AGE', 'CONTAINERS', 'IMAGES'],
        ['db', '1/2', '60m', 'app', 'nginx:1.27'],
      ],
    ],
    [
      'daemonsets',
      [
        [
          'NAME',
          'DESIRED',
          'CURRENT',
          'READY',
          'UP-TO-DATE',
          'AVAILABLE',
          'NODE SELECTOR',
          'AGE',
          'CONTAINERS',
          'IMAGES',
          'SELECTOR',
        ],
        ['log', '3', '3', '2', '3', '2', '<none>', '60m', 'app', 'nginx:1.27', 'app=web'],
      ],
    ],
    [
      'cronjobs',
      [
        [
          'NAME',
          'SCHEDULE',
          'TIMEZONE',
          'SUSPEND',
          'ACTIVE',
          'LAST SCHEDULE',
          'AGE',
          'CONTAINERS',
          'IMAGES',
          'SELECTOR',
        ],
        ['nightly', '0 3 * * *', '<none>', 'False', '0', '<none>', '60m', 'app', 'nginx:1.27', '<none>'],
      ],
    ],
    [
      'services',
      [
        ['NAME', 'TYPE', 'CLUSTER-IP', 'EXTERNAL-IP', 'PORT(S)', 'AGE', 'SELECTOR'],
        ['web', 'NodePort', '10.0.0.9', '<none>', '80:30080/TCP', '60m', 'app=web'],
      ],
    ],
    [
      'ingresses',
      [
        ['NAME', 'CLASS', 'HOSTS', 'ADDRESS', 'PORTS', 'AGE'],
        ['web', 'nginx', 'a.example.com', '80', '60m'],
      ],
    ],
    [
      'configmaps',
      [
        ['NAME', 'DATA', 'AGE'],
        ['conf', '2', '60m'],
      ],
    ],
    [
      'secrets',
      [
        ['NAME', 'TYPE', 'DATA', 'AGE'],
        ['pass', 'Opaque', '1', '60m'],
      ],
    ],
    [
      'persistentvolumeclaims',
      [
        [
          'NAME',
          'STATUS',
          'VOLUME',
          'CAPACITY',
          'ACCESS MODES',
          'STORAGECLASS',
          'VOLUMEATTRIBUTESCLASS',
          'AGE',
          'VOLUMEMODE',
        ],
        ['data', 'Pending', 'fast', '<unset>', '60m', 'Filesystem'],
      ],
    ],
    [
      'horizontalpodautoscalers',
      [
        ['NAME', 'REFERENCE', 'TARGETS', 'MINPODS', 'MAXPODS', 'REPLICAS', 'AGE'],
        ['web', 'Deployment/web', 'cpu: <unknown>/80%', '1', '5', '0', '60m'],
      ],
    ],
    [
      'roles',
      [
        ['NAME', 'CREATED AT'],
        ['reader', '2026-01-10T11:00:00Z'],
      ],
    ],
    [
      'namespaces',
      [
        ['NAME', 'STATUS', 'AGE'],
        ['shop', 'Active', '60m'],
      ],
    ],
  ])('%s -o wide', async (kind, wanted) => {
    expect(await get(kind, '-o', 'wide')).toEqual(wanted);
  });

  test('a job, whose selector is its own', async () => {
    const [, [name, status, completions, duration, age, names, images, labels]] = await get(
      'jobs',
      '-o',
      'wide',
    );
    expect([name, status, completions, duration, age, names, images]).toEqual([
      'once',
      'Running',
      '1/2',
      '60m',
      '60m',
      'app',
      'nginx:1.27',
    ]);
    expect(labels).toMatch(/^batch\.kubernetes\.io\/controller-uid=/);
  });

  test('without -o wide, with labels, in another order', async () => {
    expect(await get('pods')).toEqual([
      ['NAME', 'READY', 'STATUS', 'RESTARTS', 'AGE'],
      ['aged', '0/1', 'Pending', '0', '60m'],
      ['web-0', '1/1', 'Running', '2 (5m ago)', '60m'],
    ]);
    expect(await get('pods', '--show-labels', '--sort-by=.status.phase', '--no-headers')).toEqual([
      ['aged', '0/1', 'Pending', '0', '60m', 'app=old'],
      ['web-0', '1/1', 'Running', '2 (5m ago)', '60m', 'app=web,tier=b'],
    ]);
    expect(await get('pods', '-L', 'app', '-l', 'tier=b', '--sort-by=.metadata.name')).toEqual([
      ['NAME', 'READY', 'STATUS', 'RESTARTS', 'AGE', 'APP'],
      ['web-0', '1/1', 'Running', '2 (5m ago)', '60m', 'web'],
    ]);
    const [header, ...rows] = await get('pods', '-A', '--field-selector=status.phase=Running');
    expect([header[0], rows]).toEqual([
      'NAMESPACE',
      [['shop', 'web-0', '1/1', 'Running', '2 (5m ago)', '60m']],
    ]);
    expect((await get('pods', '--chunk-size=1')).map(([name]) => name)).toEqual(['NAME', 'aged', 'web-0']);
    expect(await get('pod', 'web-0', '-o', 'custom-columns=NODE:.spec.nodeName')).toEqual([['NODE'], ['n1']]);
  });

  test('all', async () => {
    const rows = await get('all');
    const names = rows.map(([name]) => name).filter((name) => name.includes('/'));
    expect(names).toEqual([
      'pod/aged',
      'pod/web-0',
      'service/web',
      'daemonset.apps/log',
      'deployment.apps/web',
      'replicaset.apps/web-6d4',
      'statefulset.apps/db',
      'horizontalpodautoscaler.autoscaling/web',
      'cronjob.batch/nightly',
      'job.batch/once',
    ]);
  });

  test('a watch shows rows as they change', async () => {
    const args = [`--server=${server}`, '-n', 'shop', 'get', 'configmaps', '-w'];
    const child = spawn('kubectl', args, { env: { ...process.env, ...settings() } });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async (): Promise<string[]> => cellsOf(String((await lines.next()).value))[0];
    try {
      expect(await next()).toEqual(['NAME', 'DATA', 'AGE']);
      expect(await next()).toEqual(['conf', '2', '60m']);
      const made = await small.ask('POST', '/api/v1/namespaces/shop/configmaps', {
        metadata: { name: 'late' },
      });
      expect(made.code).toBe(201);
      expect(await next()).toEqual(['late', '0', '0s']);
      await small.ask('DELETE', '/api/v1/namespaces/shop/configmaps/late');
      expect(await next()).toEqual(['late', '0', '0s']);
    } finally {
      child.kill();
    }
  });
});
