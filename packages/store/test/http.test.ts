/** HTTP of the client ports on a whole member: health, version, access rules, the gateway and its WebSocket. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { loadDescriptors } from '@keelson/proto';
import { until } from '../../base/test/until.ts';
import { ask, LineStream, TestWebSocket, type Answer } from './http-calls.ts';
import { serving, stopServing } from './serving.ts';

const streams: { close(): void }[] = [];

afterEach(async () => {
  for (const stream of streams.splice(0)) stream.close();
  await stopServing();
});

function streamOf(url: string, first: unknown): LineStream {
  const stream = new LineStream(url, JSON.stringify(first));
  streams.push(stream);
  return stream;
}

const b64 = (text: string): string => Buffer.from(text).toString('base64');

describe('what is there and what is not', () => {
  test.each<[string, string, number, string, string]>([
    ['GET', '/health', 200, 'text/plain; charset=utf-8', '{"health":"true","reason":""}'],
    ['GET', '/health?serializable=true', 200, 'text/plain; charset=utf-8', '{"health":"true","reason":""}'],
    ['POST', '/health', 405, 'text/plain; charset=utf-8', 'Method Not Allowed\n'],
    ['GET', '/livez', 200, 'text/plain; charset=utf-8', 'ok\n'],
    ['GET', '/livez?verbose', 200, 'text/plain; charset=utf-8', '[+]serializable_read ok\nok\n'],
    [
      'GET',
      '/livez/serializable_read?verbose',
      200,
      'text/plain; charset=utf-8',
      '[+]serializable_read ok\nok\n',
    ],
    ['GET', '/livez/linearizable_read', 404, 'text/plain; charset=utf-8', '404 page not found\n'],
    ['POST', '/livez', 405, 'text/plain; charset=utf-8', 'Method Not Allowed\n'],
    ['GET', '/readyz', 200, 'text/plain; charset=utf-8', 'ok\n'],
    [
      'GET',
      '/readyz?verbose&exclude=data_corruption&exclude=nothing',
      200,
      'text/plain; charset=utf-8',
      '[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n',
    ],
    [
      'GET',
      '/version',
      200,
      'application/json',
      '{"etcdserver":"3.7.1","etcdcluster":"3.7.0","storage":"3.7.0"}',
    ],
    ['PUT', '/version', 405, 'text/plain; charset=utf-8', 'Method Not Allowed\n'],
    ['GET', '/nothing', 404, 'text/plain; charset=utf-8', '404 page not found\n'],
    ['GET', '/debug/pprof/', 404, 'text/plain; charset=utf-8', '404 page not found\n'],
    ['GET', '/config/local/log', 404, 'text/plain; charset=utf-8', '404 page not found\n'],
    ['GET', '//health', 301, 'text/html; charset=utf-8', '<a href="/health">Moved Permanently</a>.\n\n'],
    [
      'GET',
      '/a//health?x=1',
      301,
      'text/html; charset=utf-8',
      '<a href="/a/health?x=1">Moved Permanently</a>.\n\n',
    ],
    ['GET', '/v3', 301, 'text/html; charset=utf-8', '<a href="/v3/">Moved Permanently</a>.\n\n'],
    [
      'GET',
      '/v3/kv/range',
      501,
      'application/json',
      '{"code":12,"message":"Method Not Allowed","details":[]}',
    ],
    ['POST', '/v3/nothing', 404, 'application/json', '{"code":5,"message":"Not Found","details":[]}'],
  ])('%s %s', async (method, path, status, type, body) => {
    const { url, cluster } = await serving();
    await until(
      () => cluster.server(0).replica.state.membership.clusterVersion !== '',
      'the cluster version',
    );
    const answer = await ask(url + path, { method });
    expect([answer.status, answer.headers['content-type'], answer.body]).toEqual([status, type, body]);
    expect(answer.headers['access-control-allow-origin']).toBe('*');
    if (status === 405) expect(answer.headers.allow).toBe('GET');
    if (status >= 400 && type.startsWith('text'))
      expect(answer.headers['x-content-type-options']).toBe('nosniff');
  });

  test('/debug/vars is JSON and says who leads', async () => {
    const { url, cluster } = await serving();
    const { body, headers } = await ask(`${url}/debug/vars`);
    expect(headers['content-type']).toBe('application/json; charset=utf-8');
    const vars = JSON.parse(body) as Record<string, { raftState?: string; lead?: string; id?: string }>;
    expect(vars['raft.status'].raftState).toBe('StateLeader');
    expect(vars['raft.status'].lead).toBe(vars['raft.status'].id);
    expect(cluster.server(0).replica.isLeader).toBe(true);
  });

  test('without the gateway its paths are unknown', async () => {
    const { post, url } = await serving({ enableGrpcGateway: false });
    expect((await post('/v3/kv/range', {})).body).toBe('404 page not found\n');
    expect((await ask(`${url}/health`)).status).toBe(200);
  });
});

describe('a member that is not well', () => {
  test('an alarm: /health fails unless it is excluded, /readyz knows corruption only', async () => {
    const { url, post } = await serving();
    const alarm = (action: string, type: string): Promise<Answer> =>
      post('/v3/maintenance/alarm', { action, memberID: '5', alarm: type });
    await alarm('ACTIVATE', 'NOSPACE');
    const health = await ask(`${url}/health`);
    expect([health.status, health.body]).toEqual([503, '{"health":"false","reason":"ALARM NOSPACE"}\n']);
    expect((await ask(`${url}/health?exclude=NOSPACE`)).status).toBe(200);
    expect((await ask(`${url}/readyz`)).status).toBe(200);
    await alarm('ACTIVATE', 'CORRUPT');
    expect((await ask(`${url}/health?exclude=NOSPACE`)).body).toBe(
      '{"health":"false","reason":"ALARM CORRUPT"}\n',
    );
    expect((await ask(`${url}/health?exclude=NOSPACE&exclude=CORRUPT`)).status).toBe(200);
    const ready = await ask(`${url}/readyz`);
    expect(ready.status).toBe(503);
    expect(ready.body).toBe(
      '[-]data_corruption failed: alarm activated: CORRUPT\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\n\n',
    );
    expect((await ask(`${url}/readyz?exclude=data_corruption`)).status).toBe(200);
    expect((await ask(`${url}/readyz/data_corruption`)).status).toBe(503);
    expect((await ask(`${url}/livez`)).status).toBe(200);
  });

  test('no leader: local questions are answered, others are not', async () => {
    const { cluster, url } = await serving({}, 3);
    await cluster.stopMember(1);
    await cluster.stopMember(2);
    await until(() => cluster.server(0).replica.leaderId === 0n, 'the leader to be lost');
    const health = await ask(`${url}/health`);
    expect([health.status, health.body]).toEqual([503, '{"health":"false","reason":"RAFT NO LEADER"}\n']);
    expect((await ask(`${url}/health?serializable=true`)).status).toBe(200);
    expect((await ask(`${url}/livez`)).status).toBe(200);
    expect((await ask(`${url}/readyz?exclude=linearizable_read`)).status).toBe(200);
  });
});

describe('who may come in', () => {
  test('origins: the header only for those that are listed', async () => {
    const { url } = await serving({ cors: ['http://a.example:1'] });
    const from = async (origin: string): Promise<Answer> =>
      ask(`${url}/version`, { headers: { Origin: origin } });
    const listed = await from('http://a.example:1');
    expect(listed.headers['access-control-allow-origin']).toBe('http://a.example:1');
    expect(listed.headers['access-control-allow-methods']).toBe('POST, GET, OPTIONS, PUT, DELETE');
    expect(listed.headers['access-control-allow-headers']).toBe('accept, content-type, authorization');
    const other = await from('http://b.example:1');
    expect([other.status, other.headers['access-control-allow-origin']]).toEqual([200, undefined]);
  });

  test('OPTIONS is answered for every path', async () => {
    const { url } = await serving();
    const answer = await ask(`${url}/v3/kv/range`, { method: 'OPTIONS' });
    expect([answer.status, answer.body, answer.headers['access-control-allow-origin']]).toEqual([
      200,
      '',
      '*',
    ]);
  });

  test('host names: others are turned away with the words of etcd', async () => {
    const { url, port } = await serving({ hostWhitelist: ['good.example', '127.0.0.1'] });
    const as = (host: string): Promise<Answer> => ask(`${url}/version`, { headers: { Host: host } });
    for (const host of ['good.example', 'good.example:99', `127.0.0.1:${port}`])
      expect((await as(host)).status).toBe(200);
    const answer = await as('evil.example:2379');
    expect(answer.status).toBe(421);
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
    expect(answer.body).toBe(`
etcd received your request, but the Host header was unrecognized.

To fix this, choose one of the following options:
- Enable TLS, then any HTTPS request will be allowed.
- Add the hostname you want to use to the whitelist in settings.
  - e.g. etcd --host-whitelist "evil.example"

This requirement has been added to help prevent "DNS Rebinding" attacks (CVE-2018-5702).

`);
    await expect(TestWebSocket.open(port, '/v3/watch', { Host: 'evil.example' })).rejects.toThrow(
      'HTTP/1.1 421',
    );
  });
});

describe('the gateway', () => {
  test('every method with a path has its handler, and answers JSON', async () => {
    const { METHODS } = await loadDescriptors();
    const { cluster, url } = await serving();
    const paths = Object.entries(METHODS).flatMap(([method, { http }]) =>
      http.map((path) => ({ method, path })),
    );
    expect(paths.length).toBe(51);
    for (const { method, path } of paths) {
      const kind = cluster.server(0).table.find(method)?.kind;
      expect([method, kind]).not.toEqual([method, undefined]);
      // A body that is no request: each method is reached and refuses it in its own way.
      const answer = await ask(url + path, { body: '[]' });
      expect([path, answer.status, answer.headers['content-type']]).toEqual([path, 400, 'application/json']);
      expect(JSON.parse(answer.body)).toEqual({
        code: 3,
        message: 'proto: (line 1:1): unexpected token [',
        details: [],
      });
    }
  });

  test('put, range, delete; the older prefix; the names of fields', async () => {
    const { post } = await serving();
    const put = await post('/v3/kv/put', { key: b64('foo'), value: b64('bar') });
    expect(put.status).toBe(200);
    expect(put.headers['grpc-metadata-content-type']).toBe('application/grpc');
    expect(put.body).toMatch(
      /^\{"header":\{"cluster_id":"\d+","member_id":"\d+","revision":"2","raft_term":"\d+"\}\}$/,
    );
    const range = await post('/v3beta/kv/range', { key: b64('foo') });
    expect(range.body).toMatch(
      /"kvs":\[\{"key":"Zm9v","create_revision":"2","mod_revision":"2","version":"1","value":"YmFy"\}\],"count":"1"\}$/,
    );
    const deleted = await post('/v3/kv/deleterange', { key: b64('foo'), prevKv: true });
    expect(deleted.body).toContain('"deleted":"1","prev_kvs":[{"key":"Zm9v"');
  });

  test.each<[string, unknown, number, number, string]>([
    ['/v3/kv/range', {}, 400, 3, 'etcdserver: key is not provided'],
    ['/v3/kv/range', '', 400, 3, 'etcdserver: key is not provided'],
    ['/v3/kv/range', '{"key":', 400, 3, 'unexpected EOF'],
    [
      '/v3/kv/range',
      { key: 'YQ==', revision: '99' },
      400,
      11,
      'etcdserver: mvcc: required revision is a future revision',
    ],
    ['/v3/lease/revoke', { ID: '77' }, 404, 5, 'etcdserver: requested lease not found'],
    ['/v3/kv/lease/revoke', { ID: 77 }, 404, 5, 'etcdserver: requested lease not found'],
    ['/v3/auth/enable', {}, 400, 9, 'etcdserver: root user does not exist'],
    ['/v3/maintenance/transfer-leadership', { targetID: 123 }, 400, 9, 'etcdserver: bad leader transferee'],
    ['/v3/lock/lock', { name: 'bA==', lease: '99' }, 500, 2, 'etcdserver: requested lease not found'],
    ['/v3/election/leader', { name: 'bA==' }, 500, 2, 'election: no leader'],
    ['/v3/election/proclaim', {}, 500, 2, '"leader" field must be provided'],
    ['/v3/watch', '{', 400, 3, 'unexpected EOF'],
    ['/v3/lease/keepalive', '{"ID":"x"}', 400, 3, 'proto: (line 1:7): invalid value for int64 field ID: "x"'],
  ])('%s %j', async (path, body, status, code, message) => {
    const { post } = await serving();
    const answer = await post(path, body);
    expect([answer.status, answer.headers['content-type']]).toEqual([status, 'application/json']);
    expect(JSON.parse(answer.body)).toEqual({ code, message, details: [] });
  });

  test('a request of more bytes than gRPC takes is refused as gRPC refuses it', async () => {
    const { post } = await serving({ maxRequestBytes: 1000 });
    const answer = await post('/v3/kv/put', { key: b64('a'), value: b64('x'.repeat(600_000)) });
    expect(answer.status).toBe(429);
    expect(JSON.parse(answer.body)).toMatchObject({ code: 8 });
    expect(answer.body).toMatch(/grpc: received message larger than max \(\d+ vs\. 525288\)/);
    const large = await post('/v3/kv/put', { key: b64('a'), value: b64('x'.repeat(2_000)) });
    expect(JSON.parse(large.body)).toEqual({
      code: 3,
      message: 'etcdserver: request is too large',
      details: [],
    });
  });

  test('a watch: created, the past, what comes; a second request on the way; cancel', async () => {
    const { url, post } = await serving();
    await post('/v3/kv/put', { key: b64('k'), value: b64('<1>') });
    const watch = streamOf(`${url}/v3/watch`, { create_request: { key: b64('k'), start_revision: '2' } });
    const results: unknown[] = [];
    const next = async (): Promise<Record<string, unknown>> => {
      const line = await watch.next();
      const { result } = JSON.parse(line ?? '{}') as { result: Record<string, unknown> };
      results.push(result);
      return result;
    };
    expect(await next()).toMatchObject({ created: true });
    expect(watch.status).toBe(200);
    expect(await next()).toMatchObject({ events: [{ kv: { key: 'aw==', value: b64('<1>') } }] });
    await post('/v3/kv/deleterange', { key: b64('k') });
    const gone = await next();
    expect(gone).toMatchObject({ events: [{ type: 'DELETE', kv: { key: 'aw==', mod_revision: '3' } }] });
    watch.write('{"create_request":{"key":"YQ==","watch_id":"7"}} {"cancel_request":{"watch_id":"7"}}');
    expect(await next()).toMatchObject({ created: true, watch_id: '7' });
    expect(await next()).toMatchObject({ canceled: true, watch_id: '7' });
    watch.finish();
    await post('/v3/kv/put', { key: b64('k') });
    expect(await next()).toMatchObject({ events: [{ kv: { version: '1' } }] });
    watch.close();
  });

  test('a client that goes ends its watch', async () => {
    const { url, cluster } = await serving();
    const { hub } = cluster.server(0).replica;
    const watch = streamOf(`${url}/v3/watch`, { create_request: { key: b64('k') } });
    await watch.next();
    expect(hub.watcherCount).toBe(1);
    watch.close();
    await until(() => hub.watcherCount === 0, 'the watcher to go');
  });

  test('keep-alives are answered in order and end with the request', async () => {
    const { post } = await serving();
    await post('/v3/lease/grant', { ID: '5', TTL: '60' });
    const { body, headers } = await post('/v3/lease/keepalive', '{"ID":"5"}{"ID":6}\n{"ID":5}');
    expect(headers['transfer-encoding']).toBe('chunked');
    const lines = body.split('\n').slice(0, -1);
    const answers = lines.map((line) => JSON.parse(line) as { result: Record<string, unknown> });
    expect(answers.map(({ result }) => [result.ID, result.TTL])).toEqual([
      ['5', '60'],
      ['6', undefined],
      ['5', '60'],
    ]);
  });

  test('a snapshot comes in lines whose blobs are one database', async () => {
    const { post } = await serving();
    await post('/v3/kv/put', { key: b64('k'), value: b64('v') });
    const { body } = await post('/v3/maintenance/snapshot', {});
    const blobs = body
      .trimEnd()
      .split('\n')
      .map((line) => Buffer.from((JSON.parse(line) as { result: { blob: string } }).result.blob, 'base64'));
    expect(blobs.at(-1)).toHaveLength(32);
    expect(Buffer.concat(blobs).length % 512).toBe(32);
  });

  test('an error after the first line is a line', async () => {
    const { cluster, url } = await serving();
    const watch = streamOf(`${url}/v3/watch`, { create_request: { key: b64('k') } });
    await watch.next();
    void cluster.stopMember(0);
    const line = await watch.next();
    expect(JSON.parse(line ?? '')).toEqual({
      error: { code: 14, message: 'etcdserver: server stopped', details: [] },
    });
    expect(await watch.next()).toBeUndefined();
  });

  test('calls at a time are bounded, all clients together; who waits may go', async () => {
    const { url, post } = await serving({ maxConcurrentStreams: 2 });
    const first = streamOf(`${url}/v3/watch`, { create_request: { key: b64('k') } });
    const second = streamOf(`${url}/v3/watch`, { create_request: { key: b64('k') } });
    await Promise.all([first.next(), second.next()]);
    const impatient = streamOf(`${url}/v3/kv/range`, { key: b64('k') });
    impatient.finish();
    const patient = post('/v3/kv/range', { key: b64('k') });
    impatient.close();
    first.close();
    expect((await patient).status).toBe(200);
    second.close();
  });

  test('a deadline of its own, and one that is none', async () => {
    const { post } = await serving();
    await post('/v3/lock/lock', { name: 'bA==' });
    const late = await post('/v3/lock/lock', { name: 'bA==' }, { 'Grpc-Timeout': '50m' });
    expect([late.status, JSON.parse(late.body)]).toEqual([
      504,
      { code: 4, message: 'context deadline exceeded', details: [] },
    ]);
    const bad = await post('/v3/kv/range', {}, { 'Grpc-Timeout': '5x' });
    expect(JSON.parse(bad.body)).toEqual({ code: 3, message: 'invalid grpc-timeout: 5x', details: [] });
  });
});

describe('the gateway over a WebSocket', () => {
  test('a watch: JSON messages both ways', async () => {
    const { port, post } = await serving();
    const { webSocket, head } = await TestWebSocket.open(port, '/v3/watch', {
      'Sec-WebSocket-Protocol': 'Bearer, some.token',
    });
    expect(head).toContain('Sec-WebSocket-Protocol: Bearer');
    webSocket.send('{"create_request":', `{"key":"${b64('k')}"}}`);
    expect(JSON.parse((await webSocket.next()) ?? '')).toMatchObject({ result: { created: true } });
    await post('/v3/kv/put', { key: b64('k'), value: b64('x'.repeat(300)) });
    expect(JSON.parse((await webSocket.next()) ?? '')).toMatchObject({
      result: { events: [{ kv: { value: b64('x'.repeat(300)) } }] },
    });
    webSocket.ping();
    webSocket.send('{"cancel_request":{}}');
    expect(JSON.parse((await webSocket.next()) ?? '')).toMatchObject({ result: { canceled: true } });
    expect(webSocket.pongs).toBe(1);
    webSocket.close();
    expect(await webSocket.next()).toBeUndefined();
    expect(webSocket.closeCode).toBe(1000);
  });

  test('a unary call: one answer, then the end', async () => {
    const { port } = await serving();
    const { webSocket } = await TestWebSocket.open(port, '/v3/kv/range');
    webSocket.send('{}');
    expect(await webSocket.next()).toBe(
      '{"code":3,"message":"etcdserver: key is not provided","details":[]}',
    );
    expect(await webSocket.next()).toBeUndefined();
  });

  test('a client that breaks off ends its watch', async () => {
    const { port, cluster } = await serving();
    const { hub } = cluster.server(0).replica;
    const { webSocket } = await TestWebSocket.open(port, '/v3/watch');
    webSocket.send(`{"create_request":{"key":"${b64('k')}"}}`);
    await webSocket.next();
    expect(hub.watcherCount).toBe(1);
    webSocket.destroy();
    await until(() => hub.watcherCount === 0, 'the watcher to go');
  });

  test.each<[string, Buffer]>([
    ['no mask', Buffer.from([0x81, 0x02, 0x7b, 0x7d])],
    ['reserved bits', Buffer.from([0xc1, 0x80, 0, 0, 0, 0])],
    ['a continuation of nothing', Buffer.from([0x80, 0x80, 0, 0, 0, 0])],
    ['a control frame in parts', Buffer.from([0x09, 0x80, 0, 0, 0, 0])],
    ['an unknown kind', Buffer.from([0x83, 0x80, 0, 0, 0, 0])],
  ])('frames that break the rules end it: %s', async (_name, bytes) => {
    const { port } = await serving();
    const { webSocket } = await TestWebSocket.open(port, '/v3/watch');
    webSocket.raw(bytes);
    expect(await webSocket.next()).toBeUndefined();
    expect(webSocket.closeCode).toBe(1002);
  });

  test('a message beyond every bound is not waited for', async () => {
    const { port } = await serving();
    const { webSocket } = await TestWebSocket.open(port, '/v3/watch');
    webSocket.raw(Buffer.from([0x81, 0xff, 0, 0, 0x10, 0, 0, 0, 0, 0, 1, 2, 3, 4]));
    expect(await webSocket.next()).toBeUndefined();
    expect(webSocket.closeCode).toBe(1009);
  });

  test.each<[string, string, Record<string, string>, string]>([
    ['another path', '/version', {}, 'HTTP/1.1 404'],
    ['another version', '/v3/watch', { 'Sec-WebSocket-Version': '12' }, 'HTTP/1.1 400'],
    ['a key that is none', '/v3/watch', { 'Sec-WebSocket-Key': 'abc' }, 'HTTP/1.1 400'],
    ['another protocol', '/v3/watch', { Upgrade: 'h2c' }, 'HTTP/1.1 404'],
  ])('a handshake is refused for %s', async (_name, path, headers, status) => {
    const { port } = await serving();
    await expect(TestWebSocket.open(port, path, headers)).rejects.toThrow(status);
  });
});
