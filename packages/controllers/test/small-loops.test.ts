/** The smaller loops, each alone on a whole server. */

import { afterEach, describe, expect, test } from '@jest/globals';
import { Prng, silentLogger, systemClock } from '@keelson/base';
import type { KubeObject } from '@keelson/kube-client';

import { startControllers } from '../src/start-controllers.ts';
import { cluster, shiftedClock, until, type Cluster } from './cluster.ts';

let running: Cluster | undefined;

afterEach(async () => {
  await running?.stop();
  running = undefined;
});

async function begin(options: Parameters<typeof cluster>[0]): Promise<Cluster> {
  running = await cluster(options);
  await running.create('/api/v1/namespaces', { metadata: { name: 'n' } });
  return running;
}

const SPEC = { containers: [{ name: 'c', image: 'i' }] };
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const decoded = (object: KubeObject | undefined, name: string): string => {
  const data = object?.['data'] as Record<string, string> | undefined;
  return Buffer.from(data?.[name] ?? '', 'base64').toString();
};

describe('a finished Job', () => {
  const PATH = '/apis/batch/v1/namespaces/n/jobs';

  async function finish(on: Cluster, name: string, type: string, agoMs: number): Promise<void> {
    const now = new Date(Date.now() - agoMs).toISOString().replace(/\.\d+/, '');
    const conditions =
      type === 'Complete'
        ? ['SuccessCriteriaMet', 'Complete'].map((one) => ({
            type: one,
            status: 'True',
            lastTransitionTime: now,
          }))
        : ['FailureTarget', 'Failed'].map((one) => ({ type: one, status: 'True', lastTransitionTime: now }));
    const status = {
      conditions,
      startTime: now,
      ...(type === 'Complete' ? { completionTime: now } : {}),
    };
    const { code, text } = await on.small.ask('PATCH', `${PATH}/${name}/status`, { status });
    expect([code, code === 200 ? '' : text]).toEqual([200, '']);
  }

  test('goes when its time has passed, whatever way it ended; others stay', async () => {
    const on = await begin({ controllers: ['ttl-after-finished', 'garbagecollector'] });
    const job = (name: string, ttl?: number): Promise<KubeObject> =>
      on.create(PATH, {
        metadata: { name },
        spec: {
          ...(ttl === undefined ? {} : { ttlSecondsAfterFinished: ttl }),
          template: { spec: { ...SPEC, restartPolicy: 'Never' } },
        },
      });
    await job('complete', 0);
    await job('failed', 1);
    await job('late', 3_600);
    await job('running', 0);
    await job('kept');
    await finish(on, 'complete', 'Complete', 0);
    await finish(on, 'failed', 'Failed', 500);
    await finish(on, 'late', 'Complete', 0);
    await finish(on, 'kept', 'Complete', 0);
    await until(async () => (await on.names(PATH)).length === 3, 'two are gone');
    expect(await on.names(PATH)).toEqual(['kept', 'late', 'running']);
    await on.small.ask('PATCH', `${PATH}/late`, { spec: { ttlSecondsAfterFinished: 0 } });
    await until(async () => (await on.names(PATH)).length === 2, 'the late one is gone as well');
  });
});

describe('a Secret for a token', () => {
  const PATH = '/api/v1/namespaces/n/secrets';
  const TYPE = 'kubernetes.io/service-account-token';
  const secret = (name: string, account: string, more: object = {}): unknown => ({
    metadata: { name, annotations: { 'kubernetes.io/service-account.name': account, ...more } },
    type: TYPE,
  });

  test('gets the token of its account, the certificate and the namespace, and goes with the account', async () => {
    const on = await begin({
      controllers: ['serviceaccount-token'],
      rootCertificate: 'certificate',
      signSecretToken: ({ metadata }, name) => `token of ${metadata.name} in ${name}`,
    });
    const account = await on.create('/api/v1/namespaces/n/serviceaccounts', { metadata: { name: 'robot' } });
    await on.create(PATH, secret('token', 'robot'));
    await until(async () => decoded(await on.get(`${PATH}/token`), 'token') !== '', 'the token is there');
    const made = await on.get(`${PATH}/token`);
    expect(decoded(made, 'token')).toBe('token of robot in token');
    expect(decoded(made, 'ca.crt')).toBe('certificate');
    expect(decoded(made, 'namespace')).toBe('n');
    expect(made?.metadata.annotations?.['kubernetes.io/service-account.uid']).toBe(account.metadata.uid);

    await on.small.ask('PATCH', `${PATH}/token`, { data: { 'ca.crt': base64('old') } });
    await until(
      async () => decoded(await on.get(`${PATH}/token`), 'ca.crt') === 'certificate',
      'it is right again',
    );
    expect(decoded(await on.get(`${PATH}/token`), 'token')).toBe('token of robot in token');

    await on.create(PATH, { metadata: { name: 'other' }, data: {} });
    await on.delete('/api/v1/namespaces/n/serviceaccounts/robot');
    await until(async () => String(await on.names(PATH)) === 'other', 'the token is gone, nothing else');
  });

  test('of an account that is not there, or is another one, goes', async () => {
    const on = await begin({ controllers: ['serviceaccount-token'], signSecretToken: () => 'token' });
    await on.create('/api/v1/namespaces/n/serviceaccounts', { metadata: { name: 'robot' } });
    await on.create(PATH, secret('a', 'nobody'));
    await on.create(PATH, secret('b', 'robot', { 'kubernetes.io/service-account.uid': 'of another' }));
    await until(async () => (await on.names(PATH)).length === 0, 'both are gone');
  });

  test('stays as it is where nobody can sign', async () => {
    const on = await begin({ controllers: ['*'] });
    expect(on.controllers.names).not.toContain('serviceaccount-token-controller');
  });
});

test('a bootstrap token goes when it has expired; one without an end stays', async () => {
  const clock = shiftedClock();
  const on = await begin({ controllers: ['token-cleaner-controller'], clock });
  await on.create('/api/v1/namespaces', { metadata: { name: 'kube-system' } });
  const PATH = '/api/v1/namespaces/kube-system/secrets';
  const token = (id: string, expiration?: string): Promise<KubeObject> =>
    on.create(PATH, {
      metadata: { name: `bootstrap-token-${id}` },
      type: 'bootstrap.kubernetes.io/token',
      data: {
        'token-id': base64(id),
        'token-secret': base64('0123456789abcdef'),
        ...(expiration === undefined ? {} : { expiration: base64(expiration) }),
      },
    });
  const inMs = (ms: number): string => new Date(Date.now() + ms).toISOString();
  await token('aaaaaa', inMs(-1_000));
  await token('bbbbbb', inMs(400));
  await token('cccccc', inMs(3_600_000));
  await token('dddddd');
  await until(async () => (await on.names(PATH)).length === 2, 'two are gone');
  expect(await on.names(PATH)).toEqual(['bootstrap-token-cccccc', 'bootstrap-token-dddddd']);
  clock.shiftMs = 3_700_000;
  await on.small.ask('PATCH', `${PATH}/bootstrap-token-cccccc`, { metadata: { labels: { looked: 'at' } } });
  await until(async () => (await on.names(PATH)).length === 1, 'the third is gone');
});

describe('a claim of storage that is in use', () => {
  const PATH = '/api/v1/namespaces/n/persistentvolumeclaims';
  const PODS = '/api/v1/namespaces/n/pods';
  const claim = (name: string): unknown => ({
    metadata: { name },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  });
  const pod = (name: string, claimName: string, more: object = {}): unknown => ({
    metadata: { name },
    spec: {
      ...SPEC,
      terminationGracePeriodSeconds: 0,
      volumes: [{ name: 'v', persistentVolumeClaim: { claimName } }],
      ...more,
    },
  });

  test('stays until the Pod is gone; one that has no node does not hold it', async () => {
    const on = await begin({ controllers: ['pvc-protection'] });
    for (const name of ['used', 'free']) await on.create(PATH, claim(name));
    await until(
      async () =>
        (await on.get(`${PATH}/used`))?.metadata.finalizers?.length === 1 &&
        (await on.get(`${PATH}/free`))?.metadata.finalizers?.length === 1,
      'both have the finalizer',
    );
    await on.create(PODS, pod('runs', 'used', { nodeName: 'm' }));
    await on.create(PODS, pod('waits', 'free'));
    await on.delete(`${PATH}/used`);
    await on.delete(`${PATH}/free`);
    await until(async () => String(await on.names(PATH)) === 'used', 'the free one is gone');
    await on.calm();
    expect((await on.get(`${PATH}/used`))?.metadata.finalizers).toEqual(['kubernetes.io/pvc-protection']);
    await on.delete(`${PODS}/runs`, '?gracePeriodSeconds=0');
    await until(async () => (await on.names(PATH)).length === 0, 'the other is gone');
  });
});

test('a volume stays as long as it is bound', async () => {
  const on = await begin({ controllers: ['pv-protection'] });
  const PATH = '/api/v1/persistentvolumes';
  const volume = (name: string): unknown => ({
    metadata: { name },
    spec: { accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' }, hostPath: { path: '/d' } },
  });
  for (const name of ['bound', 'free']) await on.create(PATH, volume(name));
  await on.small.ask('PATCH', `${PATH}/bound/status`, { status: { phase: 'Bound' } });
  await until(
    async () =>
      (await on.get(`${PATH}/bound`))?.metadata.finalizers?.length === 1 &&
      (await on.get(`${PATH}/free`))?.metadata.finalizers?.length === 1,
    'both have the finalizer',
  );
  await on.delete(`${PATH}/bound`);
  await on.delete(`${PATH}/free`);
  await until(async () => String(await on.names(PATH)) === 'bound', 'the free one is gone');
  await on.calm();
  expect(await on.names(PATH)).toEqual(['bound']);
  await on.small.ask('PATCH', `${PATH}/bound/status`, { status: { phase: 'Released' } });
  await until(async () => (await on.names(PATH)).length === 0, 'the other is gone');
});

test('of two processes with loops one works; the other goes on when it stops', async () => {
  const on = await begin({ controllers: ['serviceaccount'], leaderElection: { identity: 'a' } });
  await on.create('/api/v1/namespaces', { metadata: { name: 'kube-system' } });
  const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-controller-manager';
  const holder = async (): Promise<unknown> =>
    ((await on.get(leases))?.['spec'] as Record<string, unknown> | undefined)?.['holderIdentity'];
  await until(async () => (await holder()) === 'a', 'the first leads');
  const second = startControllers({
    transport: on.small.server,
    clock: systemClock,
    prng: new Prng(9),
    logger: silentLogger,
    controllers: ['serviceaccount'],
    leaderElection: { identity: 'b', leaseMs: 3_000, renewMs: 2_000, retryMs: 100 },
  });
  const hasAccount = async (namespace: string): Promise<boolean> =>
    (await on.get(`/api/v1/namespaces/${namespace}/serviceaccounts/default`)) !== undefined;
  await until(() => hasAccount('n'), 'the first works');
  expect([await holder(), second.quiet()]).toEqual(['a', true]);
  await on.controllers.stop();
  await on.create('/api/v1/namespaces', { metadata: { name: 'later' } });
  await until(() => hasAccount('later'), 'the second works');
  expect(await holder()).toBe('b');
  await second.stop();
  expect(await holder()).toBe('');
});
