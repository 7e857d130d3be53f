/** Members that are told where to ask for each other, instead of who they are. */
import { expect, test } from '@jest/globals';
import type { Resolver } from '../src/discovery/srv-cluster.ts';
import { MemberCluster } from './members.ts';
import { serving, stopServing } from './serving.ts';

test('three members find each other by SRV records, and one comes back without DNS', async () => {
  let asked = 0;
  const ports: number[] = [];
  const resolver: Resolver = {
    srv: (name) => {
      asked++;
      return name === '_etcd-server-blue._tcp.cluster.test'
        ? Promise.resolve(ports.map((port, i) => ({ name: `host${i + 1}.cluster.test.`, port })))
        : Promise.reject(new Error(`querySrv ENOTFOUND ${name}`));
    },
    address: () => Promise.resolve('127.0.0.1'),
  };
  const cluster = await MemberCluster.start({
    members: 3,
    resolver,
    seated: (seats) => ports.push(...seats.map(({ peerPort }) => peerPort)),
    config: { discoverySrv: 'cluster.test', discoverySrvName: 'blue', initialCluster: '' },
  });
  try {
    expect(asked).toBe(6);
    const client = cluster.client();
    await client.kv.put('k', 'v');
    const { members } = await client.cluster.memberList();
    expect(members.map(({ name }) => name).sort()).toEqual(['m1', 'm2', 'm3']);
    expect(members.map(({ peerURLs }) => peerURLs[0]).sort()).toEqual(
      ports.map((port, i) => `http://host${i + 1}.cluster.test:${port}`).sort(),
    );
    await cluster.stopMember(0);
    await (await cluster.startMember(0)).ready();
    expect((await cluster.client([0]).kv.get('k')).count).toBe(1);
    expect(asked).toBe(6);
  } finally {
    await cluster.stop();
  }
});

test('three members find each other in another etcd, which wants a password', async () => {
  const { cluster: registry, port } = await serving();
  const clusters: MemberCluster[] = [];
  try {
    const client = registry.client();
    await client.kv.put('/_etcd/registry/TOKEN/_config/size', '3');
    await client.auth.userAdd('root', 'secret');
    await client.auth.userGrantRole('root', 'root');
    await client.auth.enable();
    const cluster = await MemberCluster.start({
      members: 3,
      config: {
        initialCluster: '',
        discoveryToken: 'TOKEN',
        discoveryEndpoints: ['127.0.0.1:1', `http://127.0.0.1:${port}`],
        discoveryUser: 'root:secret',
      },
    });
    clusters.push(cluster);
    await cluster.client().kv.put('k', 'v');
    const { members } = await cluster.client().cluster.memberList();
    expect(members.map(({ name }) => name).sort()).toEqual(['m1', 'm2', 'm3']);
    const root = registry.client([0], { user: 'root', password: 'secret' });
    const { kvs } = await root.kv.get('/_etcd/registry/TOKEN/members/', { prefix: true });
    expect(kvs.map(({ value }) => value.toString()).sort()).toEqual(
      cluster.seats.map(({ name, peerPort }) => `${name}=http://127.0.0.1:${peerPort}`),
    );
  } finally {
    await Promise.all(clusters.map((each) => each.stop()));
    await stopServing();
  }
});
