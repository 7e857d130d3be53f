import { describe, expect, test } from '@jest/globals';

import { isTrue, pathSegments, requestInfo } from './request-info.ts';

function info(method: string, target: string) {
  const url = new URL(target, 'http://host');
  return requestInfo(method, url.pathname, pathSegments(url.pathname), url.searchParams);
}

describe('resources', () => {
  // method, path, verb, group, version, namespace, resource, subresource, name
  test.each<[string, string, string]>([
    ['GET', '/api/v1/namespaces', 'list /v1  namespaces  '],
    ['GET', '/api/v1/namespaces/other', 'get /v1 other namespaces  other'],
    ['PUT', '/api/v1/namespaces/other/finalize', 'update /v1 other namespaces finalize other'],
    ['PUT', '/api/v1/namespaces/other/status', 'update /v1 other namespaces status other'],
    ['GET', '/api/v1/namespaces/other/pods', 'list /v1 other pods  '],
    ['GET', '/api/v1/namespaces/other/pods/foo', 'get /v1 other pods  foo'],
    ['HEAD', '/api/v1/namespaces/other/pods/foo', 'get /v1 other pods  foo'],
    ['GET', '/api/v1/pods', 'list /v1  pods  '],
    ['HEAD', '/api/v1/pods', 'list /v1  pods  '],
    ['GET', '/api/v1/namespaces/other/pods/foo/log', 'get /v1 other pods log foo'],
    ['POST', '/api/v1/namespaces/other/pods', 'create /v1 other pods  '],
    ['PUT', '/api/v1/namespaces/other/pods/foo', 'update /v1 other pods  foo'],
    ['PATCH', '/api/v1/namespaces/other/pods/foo', 'patch /v1 other pods  foo'],
    ['DELETE', '/api/v1/namespaces/other/pods/foo', 'delete /v1 other pods  foo'],
    ['DELETE', '/api/v1/namespaces/other/pods', 'deletecollection /v1 other pods  '],
    ['GET', '/api/v1/namespaces/other/pods?watch=true', 'watch /v1 other pods  '],
    ['GET', '/api/v1/pods?watch=1', 'watch /v1  pods  '],
    ['GET', '/api/v1/pods?watch', 'watch /v1  pods  '],
    ['GET', '/api/v1/pods?watch=false', 'list /v1  pods  '],
    ['GET', '/api/v1/pods?watch=0', 'list /v1  pods  '],
    ['GET', '/api/v1/watch/pods', 'watch /v1  pods  '],
    ['GET', '/api/v1/watch/namespaces/other/pods/foo', 'watch /v1 other pods  foo'],
    ['GET', '/api/v1/proxy/namespaces/other/pods/foo/a/b', 'proxy /v1 other pods  foo'],
    ['GET', '/api/v1/namespaces/other/pods/foo/proxy/a/b', 'get /v1 other pods proxy foo'],
    ['GET', '/apis/apps/v1/namespaces/other/deployments/web', 'get apps/v1 other deployments  web'],
    [
      'PUT',
      '/apis/apps/v1/namespaces/other/deployments/web/scale',
      'update apps/v1 other deployments scale web',
    ],
    ['GET', '/api/v1/pods?fieldSelector=metadata.name%3Dweb', 'list /v1  pods  web'],
    ['GET', '/api/v1/pods?watch=1&fieldSelector=metadata.name%3Dweb', 'watch /v1  pods  web'],
    ['GET', '/api/v1/pods?fieldSelector=spec.nodeName%3Da', 'list /v1  pods  '],
    ['GET', '/api/v1/pods?fieldSelector=metadata.name%3Da%2Fb', 'list /v1  pods  '],
    [
      'DELETE',
      '/api/v1/namespaces/other/pods?fieldSelector=metadata.name%3Dx',
      'deletecollection /v1 other pods  x',
    ],
    ['OPTIONS', '/api/v1/pods', ' /v1  pods  '],
  ])('%s %s', (method, target, want) => {
    const got = info(method, target);
    expect(got.isResource).toBe(true);
    expect(
      `${got.verb} ${got.group}/${got.version} ${got.namespace} ${got.resource} ${got.subresource} ${got.name}`,
    ).toBe(want);
  });

  test('all segments behind the resource are there for a proxy', () => {
    expect(info('GET', '/api/v1/namespaces/a/services/web:80/proxy/x/y').parts).toEqual([
      'services',
      'web:80',
      'proxy',
      'x',
      'y',
    ]);
  });

  test('selectors are carried by the verbs that select', () => {
    const query = '?labelSelector=a%3Db&fieldSelector=status.phase%3DRunning';
    expect(info('GET', `/api/v1/pods${query}`)).toMatchObject({
      labelSelector: 'a=b',
      fieldSelector: 'status.phase=Running',
    });
    expect(info('GET', `/api/v1/namespaces/a/pods/x${query}`)).toMatchObject({
      labelSelector: '',
      fieldSelector: '',
    });
  });
});

test.each<[string, string, string]>([
  ['GET', '/', 'get'],
  ['GET', '/api', 'get'],
  ['GET', '/api/v1', 'get'],
  ['GET', '/apis/apps', 'get'],
  ['GET', '/apis/apps/v1', 'get'],
  ['GET', '/healthz', 'get'],
  ['POST', '/healthz/etcd', 'post'],
  ['GET', '/openapi/v3/apis/apps/v1', 'get'],
  ['GET', '/api/v1/watch', 'get'],
])('%s %s names no resource', (method, target, verb) => {
  expect(info(method, target)).toMatchObject({ isResource: false, verb, resource: '' });
});

test('segments are decoded one by one, and a bad escape is refused', () => {
  expect(pathSegments('/api/v1/namespaces/a/services/https:web:443/proxy/a%2Fb/')).toEqual(
    'api v1 namespaces a services https:web:443 proxy a/b'.split(' '),
  );
  expect(() => pathSegments('/api/%zz')).toThrow('invalid URL escape');
});

test.each([
  [null, false],
  ['', true],
  ['true', true],
  ['1', true],
  ['yes', true],
  ['false', false],
  ['False', false],
  ['0', false],
])('a query parameter %j is %s', (value, want) => {
  expect(isTrue(value)).toBe(want);
});
