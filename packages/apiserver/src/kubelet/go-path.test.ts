/** Paths and redirects through a proxy; the rows of rewriting are those of apimachinery's proxy/transport_test.go. */

import { expect, test } from '@jest/globals';

import { escapedPath, rewrittenUrl } from './go-path.ts';

test.each([
  ['/a/b', '/a/b'],
  ['/a b', '/a%20b'],
  ['/ä?#%', '/%C3%A4%3F%23%25'],
  ["/!'()*[]", '/%21%27%28%29%2A%5B%5D'],
  ['/$&+,:;=@-_.~', '/$&+,:;=@-_.~'],
])('%s is sent as %s', (path, sent) => {
  expect(escapedPath(path)).toBe(sent);
});

const AT = { prefix: '/proxy/node/n:10250', backend: '10.0.0.1:10250', asked: 'api.test' };

test.each([
  ['a path', '/pods', '/proxy/node/n:10250/pods'],
  ['with a slash at its end', '/pods/?a=b#c', '/proxy/node/n:10250/pods/?a=b#c'],
  ['the backend by name', 'http://10.0.0.1:10250/pods', '/proxy/node/n:10250/pods'],
  ['the server that was asked', 'http://api.test/pods', 'http://api.test/proxy/node/n:10250/pods'],
  ['somebody else', 'http://other.test/pods', 'http://other.test/pods'],
  ['a relative one', 'pods', 'pods'],
  ['one that has the prefix', '/proxy/node/n:10250/pods', '/proxy/node/n:10250/pods'],
])('a redirect to %s', (_name, location, want) => {
  expect(rewrittenUrl(location, AT)).toBe(want);
});
