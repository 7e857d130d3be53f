/** ServiceCIDRs: ready, protected, and gone when nobody needs them. */

import { afterEach, describe, expect, test } from '@jest/globals';
import type { KubeObject } from '@keelson/kube-client';

import { isNeeded } from '../src/service-networks/service-networks.ts';
import { cluster, conditionOf, shiftedClock, until, type Cluster } from './cluster.ts';

const PATH = '/apis/networking.k8s.io/v1/servicecidrs';
const ADDRESSES = '/apis/networking.k8s.io/v1/ipaddresses';
const FINALIZER = 'networking.k8s.io/service-cidr-finalizer';

let running: Cluster | undefined;
const clock = shiftedClock();

afterEach(async () => {
  await running?.stop();
  running = undefined;
  clock.shiftMs = 0;
});

const cidr = (name: string, ...cidrs: string[]): KubeObject => ({ metadata: { name }, spec: { cidrs } });
const address = (name: string): KubeObject => ({ metadata: { name } });

test.each<[string, string[], string[][], string[], boolean]>([
  ['no address', ['10.0.0.0/24'], [], [], false],
  ['an address of its own', ['10.0.0.0/24'], [], ['10.0.0.7'], true],
  ['an address of another range', ['10.0.0.0/24'], [], ['10.0.1.7'], false],
  ['a range around it', ['10.0.0.0/24'], [['10.0.0.0/16']], ['10.0.0.7'], false],
  ['the same range again', ['10.0.0.0/24'], [['10.0.0.0/24']], ['10.0.0.7'], false],
  ['a range inside of it that has the address', ['10.0.0.0/24'], [['10.0.0.0/28']], ['10.0.0.7'], false],
  ['a range inside of it that has not', ['10.0.0.0/24'], [['10.0.0.0/29']], ['10.0.0.9'], true],
  [
    'two families, one is needed',
    ['10.0.0.0/24', 'fd00::/112'],
    [['10.0.0.0/16']],
    ['10.0.0.7', 'fd00::7'],
    true,
  ],
])('needed with %s: of %j beside %j for %j', (_name, own, others, addresses, needed) => {
  const it = cidr('it', ...own);
  const all = [it, ...others.map((ranges, index) => cidr(`other${index}`, ...ranges))];
  expect(
    isNeeded(
      it,
      all,
      addresses.map((one) => address(one)),
    ),
  ).toBe(needed);
});

describe('a ServiceCIDR', () => {
  test('is ready and protected; it goes when no address needs it, not before ten seconds', async () => {
    running = await cluster({ controllers: ['service-cidr-controller'], clock });
    const on = running;
    await on.create(PATH, { metadata: { name: 'more' }, spec: { cidrs: ['10.9.0.0/24'] } });
    await until(
      async () => conditionOf(await on.get(`${PATH}/more`), 'Ready')['status'] === 'True',
      'it is ready',
    );
    expect((await on.get(`${PATH}/more`))?.metadata.finalizers).toEqual([FINALIZER]);
    await on.create(ADDRESSES, {
      metadata: {
        name: '10.9.0.5',
        labels: { 'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io' },
      },
      spec: { parentRef: { resource: 'services', namespace: 'n', name: 's' } },
    });
    await on.delete(`${PATH}/more`);
    await until(
      async () => conditionOf(await on.get(`${PATH}/more`), 'Ready')['status'] === 'False',
      'it says why it stays',
    );
    expect(conditionOf(await on.get(`${PATH}/more`), 'Ready')).toMatchObject({
      reason: 'Terminating',
      message:
        'There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR',
    });
    clock.shiftMs = 20_000;
    await on.delete(`${ADDRESSES}/10.9.0.5`);
    await until(async () => (await on.get(`${PATH}/more`)) === undefined, 'it is gone');
  });

  test('is left alone for ten seconds after its deletion', async () => {
    running = await cluster({ controllers: ['service-cidr-controller'], clock });
    const on = running;
    await on.create(PATH, { metadata: { name: 'more' }, spec: { cidrs: ['10.9.0.0/24'] } });
    await until(
      async () => (await on.get(`${PATH}/more`))?.metadata.finalizers?.length === 1,
      'it is protected',
    );
    await on.calm();
    await on.delete(`${PATH}/more`);
    await until(() => !on.controllers.quiet(), 'the loop waits');
    expect((await on.get(`${PATH}/more`))?.metadata.finalizers).toEqual([FINALIZER]);
  });
});
