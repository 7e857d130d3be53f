/**
 * Inputs behind holes that Kubernetes and its neighbours once had, by their CVE numbers, at our port: docs/cve-map.md says
 * where each row of the list is tested; what had no test elsewhere is here.
 */

import http2 from 'node:http2';
import { connect as connectTls, type TLSSocket } from 'node:tls';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock, type Clock } from '@keelson/base';

import { until } from '../../base/test/until.ts';
import { END_HEADERS, GREETING, TYPE, rawFrame, u32 } from '../../rpc/test/raw-frames.ts';
import { CertificateAuthority } from '../src/pki/authority.ts';
import { smallServer, type SmallServer } from './small-server.ts';

const authority = CertificateAuthority.create('test-ca', Date.now());
const pair = authority.server('server', ['127.0.0.1', 'localhost'], Date.now());

let wallMs = 0;
const clock: Clock = {
  nowMs: () => systemClock.nowMs() + wallMs,
  monotonicMs: () => systemClock.monotonicMs(),
  setTimer: (delayMs, task) => systemClock.setTimer(delayMs, task),
};

let small: SmallServer;
let port = 0;

beforeAll(async () => {
  small = smallServer({ resources: 'built-in', clock });
  ({ port } = await small.server.listen(0, '127.0.0.1', {
    cert: pair.certificate,
    key: pair.key,
    named: [{ certificate: pair.certificate, key: pair.key, names: ['localhost', '*.example.com'] }],
  }));
  for (const name of ['a', 'a-b', 'ab']) {
    await small.ask('POST', '/api/v1/namespaces', { metadata: { name } });
    await small.ask('POST', `/api/v1/namespaces/${name}/configmaps`, { metadata: { name: `in-${name}` } });
  }
});

afterAll(() => small.stop());

function session(): Promise<http2.ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const made = http2.connect(`https://127.0.0.1:${port}`, { ca: authority.certificate });
    made.once('connect', () => resolve(made));
    made.once('error', reject);
    made.on('error', () => undefined);
  });
}

/** Code of an answer; 0 where the stream or the connection ends without one. */
function code(on: http2.ClientHttp2Session, headers: http2.OutgoingHttpHeaders): Promise<number> {
  return new Promise((resolve) => {
    let found = 0;
    const stream = on.request(headers, { endStream: true });
    stream.on('response', (answer) => (found = answer[':status'] ?? 0));
    stream.on('error', () => undefined);
    stream.on('close', () => resolve(found));
    stream.resume();
  });
}

/** Another client is served as if nothing were. */
async function expectAlive(): Promise<void> {
  const other = await session();
  expect(await code(other, { ':path': '/api/v1/namespaces/a/configmaps/in-a' })).toBe(200);
  other.close();
}

function raw(servername = 'localhost', alpn = 'h2'): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls(
      {
        host: '127.0.0.1',
        port,
        ca: authority.certificate,
        servername,
        ALPNProtocols: [alpn],
        checkServerIdentity: () => undefined,
      },
      () => resolve(socket),
    );
    socket.once('error', reject);
    socket.on('error', () => undefined);
  });
}

const closed = (socket: TLSSocket): Promise<void> =>
  socket.destroyed ? Promise.resolve() : new Promise((resolve) => socket.once('close', () => resolve()));

describe('HTTP/2', () => {
  test('CVE-2023-44487, CVE-2023-39325: streams opened and reset in a loop cost others nothing', async () => {
    const attacker = await session();
    for (let round = 0; round < 20 && !attacker.closed && !attacker.destroyed; round += 1) {
      for (let index = 0; index < 200; index += 1) {
        const stream = attacker.request({ ':path': '/api/v1/namespaces/a/configmaps' });
        stream.on('error', () => undefined);
        stream.close(http2.constants.NGHTTP2_CANCEL);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    await expectAlive();
    attacker.destroy();
  });

  test('CVE-2024-27983, CVE-2024-28182, CVE-2023-45288: a head without an end ends the connection', async () => {
    const socket = await raw();
    socket.resume();
    socket.write(GREETING);
    // A literal header that is never indexed, again and again, and END_HEADERS never.
    const literal = Buffer.concat([
      Buffer.from([0x10, 1]),
      Buffer.from('x'),
      Buffer.from([0x7f, 0x81, 0x7e]),
      Buffer.alloc(16_256, 0x61),
    ]);
    socket.write(rawFrame(TYPE.headers, 0, 1, literal));
    for (let index = 0; index < 400 && !socket.destroyed; index += 1) {
      socket.write(rawFrame(TYPE.continuation, 0, 1, literal));
      if (index % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await closed(socket);
    await expectAlive();
  });

  test('CVE-2025-8671: a client that makes the server reset its streams is let go or bears it; others are served', async () => {
    const socket = await raw();
    socket.resume();
    socket.write(GREETING);
    for (let stream = 1; stream < 4_000 && !socket.destroyed; stream += 2) {
      // :method GET, :scheme https, :path / as indexed fields; then an increment of zero, which is an error of the stream.
      socket.write(
        Buffer.concat([
          rawFrame(TYPE.headers, END_HEADERS, stream, Buffer.from([0x82, 0x87, 0x84])),
          rawFrame(TYPE.window, 0, stream, u32(0)),
        ]),
      );
    }
    await expectAlive();
    socket.destroy();
  });

  test.each(['api/v1/secrets', '*', 'https://127.0.0.1/api', '/api//v1/../v1/secrets', '/%2e%2e/api'])(
    'CVE-2026-33186: a path that is none (%s) reaches nothing',
    async (path) => {
      const on = await session();
      expect([0, 301, 400, 404]).toContain(await code(on, { ':path': path }));
      on.close();
    },
  );

  test.each(['', 'a..b', '.', 'x'.repeat(250), 'xn--', '127.0.0.1.', '*.example.com'])(
    'CVE-2026-21637: a name that is none in the handshake (%j) breaks nothing',
    async (name) => {
      const socket = await raw(name).catch(() => undefined);
      socket?.destroy();
      await expectAlive();
    },
  );
});

describe('bodies', () => {
  const post = (body: string, type: string): Promise<{ code: number; text: string }> =>
    small.ask('POST', '/api/v1/namespaces/a/configmaps', body, { 'content-type': type });

  const NESTED = 100_000;
  test.each<[string, string]>([
    ['lists', '['.repeat(NESTED)],
    ['maps', '{a: '.repeat(NESTED)],
    ['keys', '? '.repeat(NESTED)],
    ['anchors', '&a '.repeat(NESTED)],
    ['tags', '! '.repeat(NESTED)],
    ['colons', 'a: '.repeat(NESTED)],
    ['an open quote', `a: "${'b'.repeat(3 * NESTED)}`],
    ['aliases of nothing', '*a '.repeat(NESTED)],
    ['blanks', `a:${' '.repeat(3 * NESTED)}`],
  ])('CVE-2019-11254: YAML of %s is refused', async (_name, body) => {
    // Hours in the original.
    const answer = await post(body, 'application/yaml');
    expect([400, 422]).toContain(answer.code);
  });

  test('CVE-2019-11253: YAML whose aliases grow is refused', async () => {
    const lines = ['a0: &a0 [x,x,x,x,x,x,x,x,x]'];
    for (let index = 1; index < 10; index += 1)
      lines.push(`a${index}: &a${index} [${Array.from({ length: 9 }, () => `*a${index - 1}`).join()}]`);
    const answer = await post(`apiVersion: v1\nkind: ConfigMap\n${lines.join('\n')}\n`, 'application/yaml');
    expect([answer.code, answer.text.includes('excessive aliasing')]).toEqual([400, true]);
  });

  test.each([
    ['application/json', `{"data":${'{"a":'.repeat(20_000)}`],
    ['application/json', `{"data":${'['.repeat(500_000)}`],
    ['application/yaml', `{"data":${'{"a":'.repeat(20_000)}`],
  ])('depth in %s is refused', async (type, body) => {
    expect((await post(body, type)).code).toBe(400);
  });

  test('CVE-2026-44291, CVE-2023-36665: names of the language are names like others', async () => {
    const body =
      '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"proto","labels":{"constructor":"x"},"__proto__":{"name":"evil"}},' +
      '"data":{"__proto__":"x","constructor":"y","toString":"z"},"__proto__":{"polluted":true}}';
    const made = await post(body, 'application/json');
    expect(made.code).toBe(201);
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
    const { json } = await small.ask('GET', '/api/v1/namespaces/a/configmaps/proto');
    expect(json.metadata.name).toBe('proto');
    expect(Object.entries(json['data'] ?? {})).toEqual(
      expect.arrayContaining([
        ['constructor', 'y'],
        ['toString', 'z'],
      ]),
    );
  });
});

describe('k8s#40218: patches that are none are refused, and nothing panics', () => {
  const DEEP = `${'{"metadata":'.repeat(2_000)}1${'}'.repeat(2_000)}`;
  const BODIES = [
    '',
    ' ',
    'null',
    '1',
    '"x"',
    '[',
    '{',
    '[]',
    '[null]',
    '[[]]',
    '[{}]',
    '[{"op":"add"}]',
    '[{"op":"add","path":"x","value":1}]',
    '[{"op":"remove","path":""}]',
    '[{"op":"replace","path":"","value":null}]',
    '[{"op":"move","from":"/metadata","path":"/metadata/labels/x"}]',
    '[{"op":"copy","from":"/nowhere","path":"/data"}]',
    '[{"op":"test","path":"/metadata/name","value":{"a":[]}}]',
    '[{"op":"add","path":"/data/~2","value":"x"}]',
    '[{"op":"add","path":"/metadata/finalizers/999999999","value":"x"}]',
    '{"metadata":null}',
    '{"metadata":[]}',
    '{"metadata":{"labels":[]}}',
    '{"metadata":{"name":1}}',
    '{"kind":"Pod"}',
    '{"$patch":1}',
    '{"$patch":"delete"}',
    '{"$setElementOrder/x":1}',
    '{"metadata":{"$retainKeys":1}}',
    '{"metadata":{"$deleteFromPrimitiveList/finalizers":{}}}',
    '{"metadata":{"managedFields":[{"fieldsV1":[]}]}}',
    '{"data":{"a":"\\ud800"}}',
    '\u00ff\u00fe',
    DEEP,
  ];
  const TYPES = ['json-patch+json', 'merge-patch+json', 'strategic-merge-patch+json', 'apply-patch+yaml'];

  test.each(TYPES)('application/%s', async (type) => {
    await small.ask('POST', '/api/v1/namespaces/a/configmaps', {
      metadata: { name: 'patched' },
      data: { a: 'b' },
    });
    const target = '/api/v1/namespaces/a/configmaps/patched?fieldManager=m';
    for (const body of BODIES) {
      const answer = await small.ask('PATCH', target, body, { 'content-type': `application/${type}` });
      // A directive that is none is the one thing that the original, too, answers 500.
      const known = type.startsWith('strategic') && body.includes('"$');
      expect([body.slice(0, 60), answer.code, answer.code < 500 || known]).toEqual([
        body.slice(0, 60),
        answer.code,
        true,
      ]);
      expect(answer.text).not.toContain('panic');
    }
    const { json } = await small.ask('GET', '/api/v1/namespaces/a/configmaps/patched');
    expect([json.kind, json.metadata.name, json.metadata.namespace]).toEqual(['ConfigMap', 'patched', 'a']);
  });

  test('CVE-2019-1002100: operations are counted, copies weighed', async () => {
    const target = '/api/v1/namespaces/a/configmaps/in-a';
    const headers = { 'content-type': 'application/json-patch+json' };
    const many = Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/kind', value: 'ConfigMap' }));
    const refused = await small.ask('PATCH', target, JSON.stringify(many), headers);
    expect([refused.code, refused.json['message']]).toEqual([
      413,
      'Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001',
    ]);
    const doubling = [
      { op: 'add', path: '/data', value: { a: 'x'.repeat(1_000) } },
      ...Array.from({ length: 40 }, (_, index) => ({ op: 'copy', from: '/data', path: `/data/c${index}` })),
    ];
    const heavy = await small.ask('PATCH', target, JSON.stringify(doubling), headers);
    expect([413, 422]).toContain(heavy.code);
  });
});

describe('names and places', () => {
  test('CVE-2022-3162, CVE-2015-5305: what begins alike is not listed together', async () => {
    for (const name of ['a', 'a-b', 'ab']) {
      const { json } = await small.ask('GET', `/api/v1/namespaces/${name}/configmaps`);
      const items = json['items'] as { metadata: { namespace: string } }[];
      expect(new Set(items.map(({ metadata }) => metadata.namespace))).toEqual(new Set([name]));
    }
  });

  test('CVE-2022-3162: nor are custom resources whose plurals begin alike, though they share a group', async () => {
    for (const plural of ['things', 'thingsextra']) {
      const kind = plural === 'things' ? 'Thing' : 'ThingsExtra';
      await small.ask('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata: { name: `${plural}.example.com` },
        spec: {
          group: 'example.com',
          scope: 'Cluster',
          names: { plural, singular: kind.toLowerCase(), kind, listKind: `${kind}List` },
          versions: [
            {
              name: 'v1',
              served: true,
              storage: true,
              schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
            },
          ],
        },
      });
      small.server.customResources?.start();
      const path = `/apis/example.com/v1/${plural}`;
      await until(async () => (await small.ask('GET', path)).code === 200, `${plural} are served`);
      const made = await small.ask('POST', path, {
        apiVersion: 'example.com/v1',
        kind,
        metadata: { name: `of-${plural}` },
      });
      expect(made.code).toBe(201);
    }
    const { json } = await small.ask('GET', '/apis/example.com/v1/things');
    expect((json['items'] as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name)).toEqual([
      'of-things',
    ]);
  });

  test.each([
    '/api/v1/namespaces/a/configmaps/..%2f..%2fab%2fconfigmaps%2fin-ab',
    '/api/v1/namespaces/a/configmaps/%2e%2e',
    '/api/v1/namespaces/..%2fab/configmaps/in-ab',
    '/api/v1/namespaces/a/configmaps/in-ab%00',
    '/api/v1/namespaces/a%2fb/configmaps',
    '/api/v1/namespaces//configmaps/in-ab',
  ])('CVE-2015-5305: %s leads nowhere', async (path) => {
    const { code: found, text } = await small.ask('GET', path);
    expect([400, 404]).toContain(found);
    expect(text).not.toContain('"in-ab","namespace":"ab"');
  });

  test.each(['..', '.', 'a/b', 'a%b', '../x', 'A', '-', 'a\u0000b'])(
    'CVE-2015-5305: nothing is named %j',
    async (name) => {
      const { code: found } = await small.ask('POST', '/api/v1/namespaces/a/configmaps', {
        metadata: { name },
      });
      expect([400, 422]).toContain(found);
    },
  );

  test.each([
    '/api/v1/namespaces/a/nodes',
    '/api/v1/namespaces/a/persistentvolumes',
    '/apis/rbac.authorization.k8s.io/v1/namespaces/a/clusterroles',
    '/apis/example.com/v1/namespaces/a/things/of-things',
  ])('CVE-2019-11247: what lies in no namespace is not reached through one: %s', async (path) => {
    expect((await small.ask('GET', path)).code).toBe(404);
    expect((await small.ask('DELETE', path)).code).toBe(404);
  });

  test('CVE-2018-5702 and its kind: a page of another origin gets nothing by a name that leads here', async () => {
    // As the original, no Host is refused: nobody is let in by where a request comes from, no cookie is known, and no
    // answer says that another origin may read it.
    const on = await session();
    const answer = await new Promise<http2.IncomingHttpHeaders>((resolve) => {
      const stream = on.request({
        ':path': '/api/v1/namespaces/a/configmaps',
        ':authority': 'evil.example:443',
        origin: 'https://evil.example',
        cookie: 'session=1',
      });
      stream.on('response', resolve);
      stream.resume();
    });
    on.close();
    expect(Object.keys(answer).filter((name) => name.startsWith('access-control'))).toEqual([]);
    expect(answer['set-cookie']).toBeUndefined();
    expect(answer['x-content-type-options'] ?? 'nosniff').toBe('nosniff');
  });
});

test('k8s#96259: a wall clock that jumps neither ends watches nor keeps them', async () => {
  const on = await session();
  const watch = (seconds: number): Promise<number> => {
    const beganMs = performance.now();
    return new Promise((resolve) => {
      const stream = on.request({
        ':path': `/api/v1/namespaces/ab/configmaps?watch=1&timeoutSeconds=${seconds}`,
      });
      stream.resume();
      stream.on('close', () => resolve(performance.now() - beganMs));
    });
  };
  const day = 24 * 3_600_000;
  const running = [watch(2), watch(2)];
  await new Promise((resolve) => setTimeout(resolve, 200));
  wallMs = day;
  running.push(watch(2));
  await new Promise((resolve) => setTimeout(resolve, 200));
  wallMs = -day;
  running.push(watch(2));
  const lasted = await Promise.all(running);
  wallMs = 0;
  for (const ms of lasted) {
    expect(ms).toBeGreaterThan(1_500);
    expect(ms).toBeLessThan(30_000);
  }
  on.close();
});
