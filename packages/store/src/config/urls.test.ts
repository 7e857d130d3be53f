import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';

import {
  bindProblem,
  hostlessProblem,
  parseUniqueUrls,
  parseUrl,
  parseUrlList,
  splitHostPort,
  urlTexts,
} from './urls.ts';

describe('parseUrl', () => {
  test.each<[string, string, string, number]>([
    ['http://127.0.0.1:2379', 'http://127.0.0.1:2379', '127.0.0.1', 2379],
    ['HTTPS://Example.com:1', 'https://Example.com:1', 'Example.com', 1],
    [' http://a:1\t', 'http://a:1', 'a', 1],
    ['http://[::1]:2380', 'http://[::1]:2380', '::1', 2380],
    ['http://a:', 'http://a:', 'a', 0],
    ['http://:2379', 'http://:2379', '', 2379],
    ['http://u:p@a:1', 'http://u:p@a:1', 'a', 1],
    ['http://a:1?x=y#z', 'http://a:1?x=y#z', 'a', 1],
  ])('%j', (given, text, hostname, port) => {
    const url = parseUrl(given);
    expect(url.ok && [url.value.text, url.value.hostname, url.value.port]).toEqual([text, hostname, port]);
  });

  test.each<[string, string, string]>([
    ['unix:/run/etcd.sock', '/run/etcd.sock', 'unix:/run/etcd.sock'],
    ['unix:///run/etcd.sock', '/run/etcd.sock', 'unix:///run/etcd.sock'],
    ['unix:run/etcd.sock', 'run/etcd.sock', 'unix:run/etcd.sock'],
    ['unix://run/etcd.sock', 'run/etcd.sock', 'unix://run/etcd.sock'],
    ['unix://localhost:1234', 'localhost:1234', 'unix://localhost:1234'],
    ['unix:///a%20b', '/a b', 'unix:///a%20b'],
    ['unix:///%ff', '/%ff', 'unix:///%ff'],
    ['unixs://localhost:m1', 'localhost:m1', 'unixs://localhost:m1'],
  ])('socket %j', (given, socketPath, text) => {
    const url = parseUrl(given);
    if (text.endsWith(':m1')) {
      // A port must be digits even where the URL names a file.
      expect(url).toEqual({ ok: false, error: `parse "${given}": invalid port ":m1" after host` });
      return;
    }
    expect(url.ok && [url.value.socketPath, url.value.text]).toEqual([socketPath, text]);
  });

  test.each<[string, string]>([
    ['', 'URL scheme must be http, https, unix, or unixs: '],
    ['foo', 'URL scheme must be http, https, unix, or unixs: foo'],
    ['ftp://a:1', 'URL scheme must be http, https, unix, or unixs: ftp://a:1'],
    ['localhost:2379', 'URL scheme must be http, https, unix, or unixs: localhost:2379'],
    ['http://a', 'URL address does not have the form "host:port": http://a'],
    ['http:a:1', 'URL address does not have the form "host:port": http:a:1'],
    ['http://::1:2379', 'URL address does not have the form "host:port": http://::1:2379'],
    ['http://a:1/', 'URL must not contain a path: http://a:1/'],
    ['http://a:1/path', 'URL must not contain a path: http://a:1/path'],
    [':', 'parse ":": missing protocol scheme'],
    ['127.0.0.1:2379', 'parse "127.0.0.1:2379": first path segment in URL cannot contain colon'],
    ['http://a:x', 'parse "http://a:x": invalid port ":x" after host'],
    ['http://a:-1', 'parse "http://a:-1": invalid port ":-1" after host'],
    ['http://[::1:1', `parse "http://[::1:1": missing ']' in host`],
    ['http://[::1]x:1', 'parse "http://[::1]x:1": invalid port "x:1" after host'],
    ['http://%zz:1', 'parse "http://%zz:1": invalid URL escape "%zz"'],
    ['http://%41:1', 'parse "http://%41:1": invalid URL escape "%41"'],
    ['http://a b:1', 'parse "http://a b:1": invalid character " " in host name'],
    ['http://a\u0001:1', 'parse "http://a\\x01:1": net/url: invalid control character in URL'],
    ['http://u"@a:1', 'parse "http://u\\"@a:1": net/url: invalid userinfo'],
  ])('refuses %j', (given, error) => {
    expect(parseUrl(given)).toEqual({ ok: false, error });
  });

  test('any text gives a URL or an error, never a throw', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.webUrl(),
          fc.string().map((s) => `http://${s}`),
        ),
        (text) => {
          const url = parseUrl(text);
          expect(url.ok || url.error.length > 0).toBe(true);
        },
      ),
    );
  });

  test('what was read once reads the same again', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.integer({ min: 0, max: 65_535 }), (host, port) => {
        const url = parseUrl(`http://${host}:${port}`);
        expect(url.ok && parseUrl(url.value.text)).toEqual(url);
      }),
    );
  });
});

describe('lists of URLs', () => {
  test('are sorted by text; the unique form drops repetitions', () => {
    const text = 'http://b:2,http://a:1,http://b:2';
    const list = parseUrlList(text.split(','));
    expect(list.ok && urlTexts(list.value)).toEqual(['http://a:1', 'http://b:2', 'http://b:2']);
    const unique = parseUniqueUrls(text);
    expect(unique.ok && urlTexts(unique.value)).toEqual(['http://a:1', 'http://b:2']);
  });

  test('the first bad one decides the error', () => {
    expect(parseUniqueUrls('http://a:1,,http://b')).toEqual({
      ok: false,
      error: 'URL scheme must be http, https, unix, or unixs: ',
    });
    expect(parseUrlList([])).toEqual({ ok: false, error: 'no valid URLs given' });
  });

  test.each<[string, string | undefined, string | undefined]>([
    ['http://127.0.0.1:1', undefined, undefined],
    ['http://localhost:1', undefined, undefined],
    ['http://[::1]:1', undefined, undefined],
    ['http://0.0.0.0:65535', undefined, undefined],
    ['http://0.0.0.0:65536', 'listen tcp: address 65536: invalid port', undefined],
    ['http://foo.com:1', 'expected IP in URL for binding (http://foo.com:1)', undefined],
    ['http://:1', 'expected IP in URL for binding (http://:1)', 'unexpected empty host (http://:1)'],
    ['http://127.1:1', 'expected IP in URL for binding (http://127.1:1)', undefined],
    ['unix:/x', undefined, undefined],
    ['unix:x', undefined, undefined],
    ['unix://', 'unexpected empty path (unix://)', 'unexpected empty path (unix://)'],
  ])('to bind and to advertise: %s', (text, bind, advertise) => {
    const urls = parseUniqueUrls(text);
    if (!urls.ok) throw new Error(urls.error);
    expect([bindProblem(urls.value), hostlessProblem(urls.value)]).toEqual([bind, advertise]);
  });
});

test.each<[string, { host: string; port: string } | undefined]>([
  ['a:1', { host: 'a', port: '1' }],
  ['[::1]:1', { host: '::1', port: '1' }],
  [':1', { host: '', port: '1' }],
  ['a:', { host: 'a', port: '' }],
  ['a', undefined],
  ['', undefined],
  ['a:1:2', undefined],
  ['::1', undefined],
  ['[::1]', undefined],
  ['[a]b:1', undefined],
])('splitHostPort %j', (text, want) => {
  expect(splitHostPort(text)).toEqual(want);
});
