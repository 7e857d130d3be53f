import { describe, expect, test } from '@jest/globals';

import {
  formatInitialCluster,
  hostsToResolve,
  parseInitialCluster,
  verifyBootstrap,
  verifyJoinExisting,
} from './initial-cluster.ts';
import { parseUniqueUrls } from './urls.ts';

function member(name: string, initialCluster: string, advertised: string) {
  const urls = parseUniqueUrls(advertised);
  if (!urls.ok) throw new Error(urls.error);
  return { name, initialCluster, initialAdvertisePeerUrls: urls.value };
}

describe('parseInitialCluster', () => {
  const scheme = 'error setting up initial cluster: URL scheme must be http, https, unix, or unixs: ';

  test.each<[string, string]>([
    ['b=http://y:2,a=http://x:1', 'a=http://x:1,b=http://y:2'],
    ['a=http://x:2,a=http://x:1', 'a=http://x:1,a=http://x:2'],
    [',a=http://x:1,,', 'a=http://x:1'],
    ['=http://x:1', '=http://x:1'],
    ['', ''],
    ['a', scheme],
    ['a=', scheme],
    ['a=foo', `${scheme}foo`],
    [
      'a=http://x',
      'error setting up initial cluster: URL address does not have the form "host:port": http://x',
    ],
  ])('%j', (text, want) => {
    const cluster = parseInitialCluster(text);
    expect(cluster.ok ? formatInitialCluster(cluster.value) : cluster.error).toBe(want);
  });
});

describe('a member without data', () => {
  test.each<[string, string, string, string, string | undefined]>([
    ['listed as it advertises', 'a', 'a=http://x:1,b=http://y:1', 'http://x:1', undefined],
    ['two URLs in another order', 'a', 'a=http://y:1,a=http://x:1', 'http://x:1,http://y:1', undefined],
    [
      'not listed',
      'a',
      'b=http://x:1',
      'http://x:1',
      `couldn't find local name "a" in the initial cluster configuration`,
    ],
    [
      'no cluster',
      'a',
      '',
      'http://x:1',
      `couldn't find local name "a" in the initial cluster configuration`,
    ],
    [
      'no name',
      '',
      'default=http://x:1',
      'http://x:1',
      `couldn't find local name "" in the initial cluster configuration`,
    ],
    [
      'another URL',
      'a',
      'a=http://127.0.0.1:2',
      'http://127.0.0.1:1',
      '--initial-cluster has a=http://127.0.0.1:2 but missing from --initial-advertise-peer-urls=http://127.0.0.1:1 (resolved urls: "http://127.0.0.1:1" != "http://127.0.0.1:2")',
    ],
    [
      'one URL too few',
      'a',
      'a=http://x:1',
      'http://x:1,http://x:2',
      '--initial-advertise-peer-urls has http://x:2 but missing from --initial-cluster=a=http://x:1,a=http://x:2',
    ],
    [
      'a URL twice',
      'a',
      'a=http://x:1,b=http://x:1',
      'http://x:1',
      'initial cluster a=http://x:1,b=http://x:1 has duplicate url',
    ],
    [
      'a bad URL',
      'a',
      'a=foo',
      'http://x:1',
      'error setting up initial cluster: URL scheme must be http, https, unix, or unixs: foo',
    ],
  ])('founds a cluster: %s', (_name, name, cluster, advertised, problem) => {
    const got = verifyBootstrap(member(name, cluster, advertised));
    expect(got.ok ? undefined : got.error).toBe(problem);
  });

  test('URLs that resolve alike are alike', () => {
    const config = member('a', 'a=http://node-a:1', 'http://10.0.0.1:1');
    expect(hostsToResolve(config)).toEqual(['node-a', '10.0.0.1']);
    expect(verifyBootstrap(config).ok).toBe(false);
    expect(verifyBootstrap(config, new Map([['node-a', '10.0.0.1']])).ok).toBe(true);
    expect(verifyBootstrap(config, new Map([['node-a', '10.0.0.2']])).ok).toBe(false);
    expect(hostsToResolve(member('a', 'a=http://node-a:1', 'http://node-a:1'))).toEqual([]);
  });

  test('joins a cluster that knows its URLs: they are not compared, the rest is', () => {
    expect(verifyJoinExisting(member('a', 'a=http://x:1,b=http://y:1', 'http://z:9')).ok).toBe(true);
    const problems = ['b=http://x:1', 'a=http://x:1,b=http://x:1', 'a'].map((cluster) => {
      const got = verifyJoinExisting(member('a', cluster, 'http://x:1'));
      return got.ok ? '' : got.error;
    });
    expect(problems).toEqual([
      `couldn't find local name "a" in the initial cluster configuration`,
      'initial cluster a=http://x:1,b=http://x:1 has duplicate url',
      'error setting up initial cluster: URL scheme must be http, https, unix, or unixs: ',
    ]);
  });
});
