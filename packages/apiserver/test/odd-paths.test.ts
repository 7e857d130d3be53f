/**
 * Paths that are written oddly: who is asked about one resource never answers with another. What authorization was told of
 * a request and what its answer holds are compared over some thousand spellings; one resource is sealed, and must stay so.
 */

import http2 from 'node:http2';
import https from 'node:https';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Prng, silentLogger, systemClock } from '@keelson/base';

import type { AuthorizationAttributes, Authorizer } from '../src/api/user-info.ts';
import { authorize } from '../src/authz/authorize.ts';
import { readJson } from '../src/codec/json-reader.ts';
import { isJsonObject, type JsonObject } from '../src/api/json.ts';
import { CertificateAuthority } from '../src/pki/authority.ts';
import { ApiServer } from '../src/server.ts';
import { MemoryBackend } from '../src/storage/memory-storage.ts';
import { part, parts, text } from '../src/validation/value.ts';

const SEALED = 'bm90IGZvciB5b3U=';
const KINDS: Readonly<Record<string, string>> = {
  configmaps: 'ConfigMap',
  namespaces: 'Namespace',
  pods: 'Pod',
  secrets: 'Secret',
  serviceaccounts: 'ServiceAccount',
};

/** Everything is allowed but what is told to be about secrets. */
let asked: AuthorizationAttributes[] = [];
let open = true;
const authorizer: Authorizer = {
  authorize: (attributes) => {
    asked.push(attributes);
    const sealed = attributes.isResource && attributes.resource === 'secrets';
    return Promise.resolve({ kind: sealed && !open ? 'deny' : 'allow', reason: '' });
  },
};

const authority = CertificateAuthority.create('test-ca', systemClock.nowMs());
let server: ApiServer;
let port = 0;

beforeAll(async () => {
  const prng = new Prng(5);
  let serial = 0;
  server = new ApiServer({
    backend: new MemoryBackend({ clock: systemClock }),
    clock: systemClock,
    logger: silentLogger,
    uuid: () => `00000000-0000-4000-8000-${String((serial += 1)).padStart(12, '0')}`,
    random: (limit) => prng.below(limit),
    authenticate: (request, next) => {
      request.context.user = { name: 'mallory', uid: '', groups: [], extra: {} };
      return next(request);
    },
    authorize: authorize(authorizer),
  });
  const { certificate: cert, key } = authority.server('server', ['127.0.0.1'], systemClock.nowMs());
  ({ port } = await server.listen(0, '127.0.0.1', { cert, key }));
  for (const name of ['a', 'b']) {
    await made('/api/v1/namespaces', { metadata: { name } });
    for (const resource of ['configmaps', 'serviceaccounts']) {
      await made(`/api/v1/namespaces/${name}/${resource}`, { metadata: { name: 'x' } });
    }
    await made(`/api/v1/namespaces/${name}/secrets`, { metadata: { name: 'x' }, data: { k: SEALED } });
  }
  open = false;
});

afterAll(() => server.stop(1_000));

async function made(target: string, body: object): Promise<void> {
  const { code, json } = await ask('POST', target, body);
  expect([code, code === 201 ? '' : json]).toEqual([201, '']);
}

interface Answered {
  readonly code: number;
  readonly text: string;
  readonly json: JsonObject;
}

async function ask(method: string, target: string, body?: object): Promise<Answered> {
  const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const leaving = new AbortController();
  const answer = await server.call(target, {
    method,
    signal: leaving.signal,
    headers: {
      'user-agent': 'test/1',
      ...(bytes === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': `${bytes.length}` }),
    },
    ...(bytes === undefined ? {} : { body: bytes }),
  });
  const watched = asked.at(-1)?.verb === 'watch' && answer.code === 200;
  const said = await (watched ? beginning(answer.chunks) : answer.bytes());
  if (watched) leaving.abort();
  return answered(answer.code, said.toString('utf8'));
}

/** What a watch begins with: objects that are there come at once, or there are none. */
async function beginning(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const first = chunks[Symbol.asyncIterator]().next();
  first.catch(() => undefined);
  let turns = 0;
  const nothing = new Promise<undefined>((resolve) => {
    const turn = (): void => {
      turns += 1;
      if (turns > 20) resolve(undefined);
      else setImmediate(turn);
    };
    turn();
  });
  const step = await Promise.race([first, nothing]);
  if (step === undefined || step.done === true) return Buffer.alloc(0);
  return Buffer.from(step.value.toString('utf8').split('\n')[0]);
}

function answered(code: number, said: string): Answered {
  const value = said.startsWith('{') ? readJson(said) : {};
  return { code, text: said, json: isJsonObject(value) ? value : {} };
}

/** What the answer is about is what authorization was asked about. */
function expectTheSame(target: string, { code, json, text: said }: Answered, sealed: boolean): void {
  if (sealed) expect([target, said.includes(SEALED)]).toEqual([target, false]);
  const [told, ...more] = asked;
  // A path that cannot be read is refused before anybody is asked.
  if (told === undefined) {
    expect([target, code === 400 || code === 0]).toEqual([target, true]);
    return;
  }
  expect([target, more.length]).toEqual([target, 0]);
  const kind = text(json, 'kind');
  if (code !== 200 || kind === 'Status' || kind === '' || told.verb === 'watch') return;
  if (!told.isResource) {
    expect([target, Object.values(KINDS).some((one) => kind.startsWith(one))]).toEqual([target, false]);
    return;
  }
  const whole = `${KINDS[told.resource]}${told.verb === 'list' || told.verb === 'deletecollection' ? 'List' : ''}`;
  expect([target, kind]).toEqual([target, whole]);
  const objects = kind.endsWith('List') ? parts(json, 'items') : [json];
  for (const object of objects) {
    const { namespace = '', name } = part(object, 'metadata');
    const named = told.name === '' || told.name === name;
    const within = told.namespace === '' || told.namespace === namespace || told.resource === 'namespaces';
    expect([target, named, within]).toEqual([target, true, true]);
  }
}

describe('spellings', () => {
  // target; verb, resource and subresource, namespace and name that authorization is asked about, or the path; code
  test.each<[string, string, number]>([
    ['/api/v1/namespaces/a/secrets/x', 'get secrets a x', 403],
    ['/api/v1/secrets', 'list secrets - -', 403],
    ['//api/v1/secrets', 'list secrets - -', 403],
    ['///api/v1/secrets///', 'list secrets - -', 403],
    ['api/v1/secrets', 'list secrets - -', 403],
    ['/api/v1/secrets/', 'list secrets - -', 403],
    ['/%61pi/v1/secrets', 'list secrets - -', 403],
    ['/api/v1/%73ecrets', 'list secrets - -', 403],
    ['/api/v1/%2573ecrets', 'list %73ecrets - -', 404],
    ['/api/v1/Secrets', 'list Secrets - -', 404],
    ['/API/v1/secrets', '/API/v1/secrets', 404],
    ['/api//v1/secrets', 'get v1 - secrets', 404],
    ['/api/v1//secrets', 'get - - secrets', 404],
    ['/api/v1/./secrets', 'get . - secrets', 404],
    ['/api/v1/configmaps/../secrets', 'get configmaps/secrets - ..', 404],
    ['/api/v1/configmaps/%2e%2e/secrets', 'get configmaps/secrets - ..', 404],
    ['/api/v1/namespaces/a/configmaps/..%2fsecrets', 'get configmaps a ../secrets', 400],
    ['/api/v1/namespaces/a/configmaps/..%5csecrets', 'get configmaps a ..\\secrets', 404],
    ['/api/v1/namespaces/a/configmaps%2f..%2fsecrets', 'list configmaps/../secrets a -', 404],
    ['/api/v1/namespaces/a%2fsecrets/configmaps', 'list configmaps a/secrets -', 400],
    ['/api/v1/namespaces/a/configmaps/x', 'get configmaps a x', 200],
    ['/api/v1/namespaces/a/configmaps/x/', 'get configmaps a x', 200],
    ['/api/v1/namespaces/a/configmaps/x//', 'get configmaps a x', 200],
    ['/api/v1/namespaces/a/configmaps//x', 'list configmaps/x a -', 404],
    ['/api/v1/namespaces/a/configmaps/x//y', 'get configmaps a x', 404],
    ['/api/v1/namespaces/a/configmaps/x/secrets', 'get configmaps/secrets a x', 404],
    ['/api/v1/namespaces/a/status/more', 'get namespaces/status a a', 404],
    ['/api/v1/namespaces/a/configmaps/x%00', 'get configmaps a x\u0000', 404],
    ['/api/v1/namespaces/a/configmaps/x%20', 'get configmaps a x ', 404],
    ['/api/v1/namespaces/a/configmaps/x;y', 'get configmaps a x;y', 404],
    ['/api/v1/namespaces/a/configmaps/x#y', 'get configmaps a x#y', 404],
    ['/api/v1/namespaces/a/configmaps?x/../secrets', 'list configmaps a -', 200],
    ['/api/v1/namespaces//configmaps', 'list configmaps - -', 200],
    ['/api/v1/namespaces//secrets', 'list secrets - -', 403],
    ['/api/v1/namespaces//configmaps/x', 'get configmaps - x', 404],
    ['/api/v1/namespaces/secrets', 'get namespaces secrets secrets', 404],
    ['/api/v1/watch/namespaces/a/secrets', 'watch secrets a -', 403],
    ['/api/v1/watch//secrets', 'watch - - secrets', 404],
    ['/api/v1/proxy/secrets', 'proxy secrets - -', 403],
    ['/api/v1/secrets?watch=', 'watch secrets - -', 403],
    ['/api/v1/configmaps?fieldSelector=metadata.name%3Dx', 'list configmaps - x', 200],
    ['/healthz/', '/healthz/', 404],
    ['//healthz', '//healthz', 404],
    ['/healthz%2fping', '/healthz%2Fping', 404],
    ['/healthz/../version', '/healthz/../version', 404],
    ['/%76ersion', '/version', 200],
    ['/version/', '/version/', 200],
    ['/apis/apps//', '/apis/apps//', 404],
  ])('%s', async (target, want, code) => {
    asked = [];
    const answer = await ask('GET', target);
    expectTheSame(target, answer, true);
    const [told] = asked;
    const { verb, isResource, resource, subresource, namespace, name, path } = told;
    const what = subresource === '' ? resource : `${resource}/${subresource}`;
    const named = [verb, what, namespace, name].map((word) => (word === '' ? '-' : word)).join(' ');
    const words = isResource ? named : path;
    expect([words, answer.code]).toEqual([want, code]);
  });
});

/** Ways to write a path oddly at a place; each may lead anywhere, but never past the seal. */
const ODDITIES: readonly ((segments: string[], at: number) => void)[] = [
  (segments, at) => segments.splice(at, 0, ''),
  (segments, at) => segments.splice(at, 0, '.'),
  (segments, at) => segments.splice(at, 0, 'x', '..'),
  (segments, at) => segments.splice(at, 0, '%2e%2e'),
  (segments, at) => segments.splice(at, 0, 'x', '%2E.'),
  (segments, at) => segments.splice(at, 0, '..;'),
  (segments, at) => segments.splice(at, 0, 'configmaps'),
  (segments, at) => segments.splice(at, 0, 'watch'),
  (segments, at) => segments.splice(at, 0, 'proxy'),
  (segments, at) => segments.splice(at, 0, 'namespaces', 'b'),
  (segments, at) => segments.splice(at, 0, 'namespaces', ''),
  (segments, at) => segments.splice(at, 0, 'status'),
  (segments, at) => segments.splice(at, 2, segments.slice(at, at + 2).join('%2f')),
  (segments, at) => segments.splice(at, 2, segments.slice(at, at + 2).join('%252F')),
  (segments, at) => segments.splice(at, 2, segments.slice(at, at + 2).join('\\')),
  (segments, at) => segments.splice(at, 1, `${segments[at] ?? ''}%00`),
  (segments, at) => segments.splice(at, 1, `${segments[at] ?? ''};a=b`),
  (segments, at) => segments.splice(at, 1, `${segments[at] ?? ''}?x`),
  (segments, at) => segments.splice(at, 1, `${segments[at] ?? ''}#x`),
  (segments, at) => segments.splice(at, 1, (segments[at] ?? '').toUpperCase()),
  (segments, at) => segments.splice(at, 1, encoded(segments[at] ?? '')),
  (segments, at) => segments.splice(at, 1, encoded(encoded(segments[at] ?? ''))),
  (segments, at) => segments.splice(at, 1, `configmaps%2f..%2f${segments[at] ?? ''}`),
  (segments, at) => segments.splice(at, 1),
];
const STEMS: readonly string[] = [
  'api/v1/secrets',
  'api/v1/namespaces/a/secrets',
  'api/v1/namespaces/a/secrets/x',
  'api/v1/watch/secrets',
  'api/v1/namespaces/a/configmaps/x',
  'api/v1/namespaces/a/status',
  'apis/apps/v1/namespaces/a/deployments/x/scale',
  'healthz/ping',
];

function encoded(segment: string): string {
  return segment.replace(/./gs, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

test.each(['GET', 'PUT', 'PATCH', 'POST', 'DELETE'])(
  'no spelling leads past authorization: %s',
  async (method) => {
    const prng = new Prng(41);
    let answers = 0;
    for (const stem of STEMS) {
      for (let round = 0; round < 60; round += 1) {
        const segments = ['', ...stem.split('/')];
        for (let count = 1 + prng.below(3); count > 0; count -= 1) {
          ODDITIES[prng.below(ODDITIES.length)](segments, prng.below(segments.length + 1));
        }
        const target = `${segments.join('/')}${prng.below(4) === 0 ? '/' : ''}?timeoutSeconds=1&dryRun=All`;
        asked = [];
        const body =
          method === 'GET' || method === 'DELETE'
            ? undefined
            : {
                apiVersion: 'v1',
                kind: 'Secret',
                metadata: { name: 'x', namespace: 'a' },
                stringData: { k: 'v' },
              };
        const answer = await ask(method, target, body);
        expectTheSame(`${method} ${target}`, answer, true);
        if (answer.code < 400) answers += 1;
      }
    }
    // Some of them are paths: else nothing would have been tried.
    if (method === 'GET') expect(answers).toBeGreaterThan(20);
    open = true;
    const { json } = await ask('GET', '/api/v1/secrets');
    open = false;
    expect(parts(json, 'items').map((item) => part(item, 'data'))).toEqual([{ k: SEALED }, { k: SEALED }]);
  },
);

describe('at the port', () => {
  const over1 = (path: string): Promise<Answered> =>
    new Promise((resolve, reject) => {
      const request = https.request(
        { host: '127.0.0.1', port, path, ca: authority.certificate },
        (response) => {
          let said = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => (said += chunk));
          response.on('end', () => resolve(answered(response.statusCode ?? 0, said)));
        },
      );
      request.on('error', reject);
      request.end();
    });
  const over2 = (path: string): Promise<Answered> =>
    new Promise((resolve, reject) => {
      const session = http2.connect(`https://127.0.0.1:${port}`, { ca: authority.certificate });
      session.on('error', reject);
      const stream = session.request({ ':path': path });
      let code = 0;
      let said = '';
      stream.setEncoding('utf8');
      stream.on('response', (headers) => (code = headers[':status'] ?? 0));
      stream.on('data', (chunk: string) => (said += chunk));
      // A path that HTTP/2 does not know ends the stream: code 0.
      stream.on('error', () => undefined);
      stream.on('close', () => {
        session.close();
        resolve(answered(code, said));
      });
      stream.end();
    });

  test.each([
    '//api/v1/secrets',
    '/api/v1/namespaces/a/secrets/x#y',
    '/api/v1/%73ecrets',
    '/api/v1/configmaps/../secrets',
    '/api/v1/namespaces/a/configmaps/..%2fsecrets',
    '/api/v1/namespaces/a\\secrets',
    'http://other.example/api/v1/secrets',
    'http://other.example/api/v1/namespaces/a/configmaps/x',
  ])('%s', async (target) => {
    for (const over of [over1, over2]) {
      asked = [];
      expectTheSame(target, await over(target), true);
    }
  });

  test('a target with scheme and host is a path all the same', async () => {
    asked = [];
    const { code, json } = await over1('http://other.example/api/v1/namespaces/a/configmaps/x');
    expect([code, text(json, 'kind')]).toEqual([200, 'ConfigMap']);
    expect(asked).toMatchObject([{ resource: 'configmaps', name: 'x', namespace: 'a' }]);
    expect((await over1('http://other.example')).code).toBe(200);
  });
});
