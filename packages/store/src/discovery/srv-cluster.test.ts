import { describe, expect, test } from '@jest/globals';
import { silentLogger } from '@keelson/base';
import { parseUniqueUrls } from '../config/urls.ts';
import { srvCluster, type Resolver, type SrvRecord } from './srv-cluster.ts';

const ADDRESSES: Readonly<Record<string, string>> = {
  'a.example.com': '10.0.0.1',
  'b.example.com': '10.0.0.2',
  'c.example.com': '10.0.0.3',
  '10.0.0.1': '10.0.0.1',
};

function resolver(services: Readonly<Record<string, readonly SrvRecord[]>>): Resolver {
  return {
    srv: (name) => {
      if (!Object.hasOwn(services, name)) return Promise.reject(new Error(`querySrv ENOTFOUND ${name}`));
      return Promise.resolve(services[name]);
    },
    address: (host) =>
      Object.hasOwn(ADDRESSES, host)
        ? Promise.resolve(ADDRESSES[host])
        : Promise.reject(new Error(`getaddrinfo ENOTFOUND ${host}`)),
  };
}

const three = ['a', 'b', 'c'].map((host) => ({ name: `${host}.example.com`, port: 2380 }));

async function found(
  services: Readonly<Record<string, readonly SrvRecord[]>>,
  advertised = 'http://a.example.com:2380',
  suffix = '',
): Promise<string> {
  const urls = parseUniqueUrls(advertised);
  if (!urls.ok) throw new Error(urls.error);
  return srvCluster(
    {
      name: 'me',
      discoverySrv: 'example.com',
      discoverySrvName: suffix,
      initialAdvertisePeerUrls: urls.value,
    },
    resolver(services),
    silentLogger,
  ).catch((error: unknown) => (error as Error).message);
}

describe('the first members out of DNS', () => {
  const plain = '_etcd-server._tcp.example.com';
  const secure = '_etcd-server-ssl._tcp.example.com';
  const all = 'me=http://a.example.com:2380,0=http://b.example.com:2380,1=http://c.example.com:2380';

  test.each<[string, Parameters<typeof found>, string]>([
    ['this member by its URL, the others by number', [{ [plain]: three }], all],
    ['this member by its address', [{ [plain]: three }, 'http://10.0.0.1:2380'], all],
    [
      'names that end in a dot',
      [{ [plain]: [{ name: 'a.example.com.', port: 2380 }] }],
      'me=http://a.example.com:2380',
    ],
    [
      'with TLS',
      [{ [secure]: three.slice(0, 2) }, 'https://a.example.com:2380'],
      'me=https://a.example.com:2380,0=https://b.example.com:2380',
    ],
    [
      'some with TLS and some without',
      [{ [secure]: three.slice(1, 2), [plain]: three.slice(0, 1) }],
      '0=https://b.example.com:2380,me=http://a.example.com:2380',
    ],
    [
      'a name of the service of its own',
      [{ '_etcd-server-blue._tcp.example.com': three.slice(0, 1) }, undefined, 'blue'],
      'me=http://a.example.com:2380',
    ],
    [
      'one that cannot be resolved is left out',
      [{ [plain]: [three[0], { name: 'gone.example.com', port: 2380 }] }],
      'me=http://a.example.com:2380',
    ],
    [
      'no records at all',
      [{}],
      'error setting up initial cluster: error querying DNS SRV records for _etcd-server-ssl ' +
        `querySrv ENOTFOUND ${secure}; error querying DNS SRV records for _etcd-server querySrv ENOTFOUND ${plain}`,
    ],
    [
      'this member is not among them',
      [{ [plain]: three.slice(1) }],
      'error setting up initial cluster: cannot find local etcd member "me" in SRV records',
    ],
    [
      'a port of another is not this member',
      [{ [plain]: [{ name: 'a.example.com', port: 2381 }] }],
      'error setting up initial cluster: cannot find local etcd member "me" in SRV records',
    ],
    [
      'an advertised URL of the other scheme',
      [{ [secure]: three.slice(0, 1) }],
      'error setting up initial cluster: error querying DNS SRV records for _etcd-server-ssl bootstrap at ' +
        'https://a.example.com:2380 from DNS for etcd-server-ssl has scheme mismatch with expected peer ' +
        `http://a.example.com:2380; error querying DNS SRV records for _etcd-server querySrv ENOTFOUND ${plain}`,
    ],
    [
      'an advertised host that cannot be resolved',
      [{ [plain]: three }, 'http://gone.example.com:2380'],
      'error setting up initial cluster: error querying DNS SRV records for _etcd-server-ssl getaddrinfo ENOTFOUND ' +
        'gone.example.com; error querying DNS SRV records for _etcd-server getaddrinfo ENOTFOUND gone.example.com',
    ],
  ])('%s', async (_name, asked, want) => {
    expect(await found(...asked)).toBe(want);
  });
});
