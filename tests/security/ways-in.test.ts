/**
 * Ways around authentication that somebody tried elsewhere: other letters and slashes of a path, tokens in two headers, a
 * name said by a proxy, a name in the metadata of the gateway. Each is tried on a real member, by gRPC and through the
 * gateway, for a value that only root may read: it must never come back, and the member must go on.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { etcdserverpb as pb, services } from '@keelson/proto';
import { Metadata, RpcError, statusName, type MethodDescriptor } from '@keelson/rpc';
import { KEELSON_ETCD, KEELSON_FLAGS, missingServer } from '../harness/binaries.ts';
import { ProcessCluster } from '../harness/process-cluster.ts';
import { httpRequest, sendRaw } from '../harness/raw-socket.ts';

const missing = missingServer();
const VALUE = 'only-root-reads-this';
const KEY = Buffer.from('guarded');
const BODY = Buffer.from(JSON.stringify({ key: KEY.toString('base64') }));
const BASE64 = Buffer.from(VALUE).toString('base64').replace(/=+$/, '');

let cluster: ProcessCluster;
let rootToken: string;
let annaToken: string;

async function setUp(): Promise<void> {
  cluster = await ProcessCluster.start({
    binary: KEELSON_ETCD,
    size: 1,
    flags: [...KEELSON_FLAGS, '--bcrypt-cost=4'],
  });
  const api = cluster.api(0);
  const { methods } = services.Auth;
  await api.put(KEY.toString(), VALUE);
  for (const name of ['root', 'anna'])
    await api.call(methods.userAdd, new pb.AuthUserAddRequest({ name, password: name }));
  await api.call(methods.roleAdd, new pb.AuthRoleAddRequest({ name: 'root' }));
  await api.call(methods.userGrantRole, new pb.AuthUserGrantRoleRequest({ user: 'root', role: 'root' }));
  await api.call(methods.authEnable, new pb.AuthEnableRequest());
  const login = async (name: string): Promise<string> =>
    (await api.call(methods.authenticate, new pb.AuthenticateRequest({ name, password: name }))).token;
  [rootToken, annaToken] = [await login('root'), await login('anna')];
}

/** Asks for the value by any path. @returns the value, or "Code: text" */
async function byGrpc(path: string, fields: Readonly<Record<string, string>> = {}): Promise<string> {
  const range = services.KV.methods.range;
  const method: MethodDescriptor<pb.RangeRequest, pb.RangeResponse> = { ...range, path };
  try {
    const options = { metadata: Metadata.of(fields), timeoutMs: 10_000 };
    const { kvs } = await cluster.api(0).call(method, new pb.RangeRequest({ key: KEY }), options);
    return kvs.map(({ value }) => value.toString()).join() || 'no keys';
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return `${statusName(error.code)}: ${error.message}`;
  }
}

/** The whole answer of the gateway, head and body. */
async function byGateway(
  target: string,
  headers: Readonly<Record<string, string>> = {},
  method = 'POST',
): Promise<string> {
  const request = httpRequest(
    `${method} ${target}`,
    { 'Content-Length': String(BODY.length), ...headers },
    BODY,
  );
  const { text } = await sendRaw(cluster.members[0].address, request, { listenMs: 10_000 });
  return text;
}

function suite(): void {
  beforeAll(setUp);
  afterAll(() => cluster.dispose());

  test('root reads it, by gRPC and through the gateway', async () => {
    expect(await byGrpc('/etcdserverpb.KV/Range', { token: rootToken })).toBe(VALUE);
    expect(await byGateway('/v3/kv/range', { Authorization: rootToken })).toContain(BASE64);
  });

  test.each([
    '/etcdserverpb.KV/Range',
    'etcdserverpb.KV/Range',
    '//etcdserverpb.KV/Range',
    '/etcdserverpb.KV//Range',
    '/etcdserverpb.KV/Range/',
    '/etcdserverpb.kv/range',
    '/etcdserverpb.KV/Range?x',
    '/etcdserverpb.KV/./Range',
    '/etcdserverpb.KV%2FRange',
    '/x/../etcdserverpb.KV/Range',
    '/etcdserverpb.KV/RangeStream',
  ])('gRPC, nobody, %s', async (path) => {
    expect(await byGrpc(path)).toMatch(
      /^(?:InvalidArgument: etcdserver: user name is empty|Unimplemented: |Internal: )/,
    );
  });

  test.each<[string, () => Record<string, string>]>([
    ['a name in metadata', () => ({ username: 'root', user: 'root', 'x-remote-user': 'root' })],
    [
      'a proxy that says a name',
      () => ({ 'x-forwarded-user': 'root', 'x-forwarded-client-cert': 'Subject="CN=root"' }),
    ],
    [
      'what only the gateway sets',
      () => ({ 'grpcgateway-accept': '*/*', 'grpcgateway-authorization': rootToken }),
    ],
    ['an empty token beside a good one in the other field', () => ({ token: '', authorization: rootToken })],
    ['a bad token beside a good one in the other field', () => ({ token: 'x.1', authorization: rootToken })],
    [
      "another's token beside a good one in the other field",
      () => ({ token: annaToken, authorization: rootToken }),
    ],
    ['a token with blanks', () => ({ token: ` ${rootToken.slice(1)}` })],
    ['the beginning of a token', () => ({ token: rootToken.slice(0, -1) })],
    ['a basic login', () => ({ authorization: `Basic ${Buffer.from('root:root').toString('base64')}` })],
  ])('gRPC with %s', async (_name, fields) => {
    const answer = await byGrpc('/etcdserverpb.KV/Range', fields());
    expect(answer).toMatch(/^(?:InvalidArgument|Unauthenticated|PermissionDenied|Internal): /);
  });

  test.each([
    '/v3/kv/range',
    '//v3/kv/range',
    '/v3//kv/range',
    '/v3/kv/range/',
    '/V3/KV/RANGE',
    '/v3/./kv/range',
    '/v3/x/../kv/range',
    '/v3/kv/%72ange',
    '/v3/kv/range?token=root',
    '/v3/kv/range#x',
    '/v3beta/kv/range',
    'http://127.0.0.1/v3/kv/range',
    '/v2/keys/guarded',
    '/debug/vars',
    '/metrics',
    '/health',
  ])('HTTP, nobody, %s', async (target) => {
    for (const method of ['POST', 'GET', 'PUT', 'OPTIONS']) {
      const answer = await byGateway(target, {}, method);
      expect(answer).not.toContain(BASE64);
      expect(answer).not.toContain(VALUE);
    }
  });

  test.each<[string, () => Record<string, string>]>([
    [
      'a name of a proxy',
      () => ({ 'X-Remote-User': 'root', 'X-Forwarded-User': 'root', 'X-Forwarded-For': '127.0.0.1' }),
    ],
    [
      'a name as metadata',
      () => ({ 'Grpc-Metadata-username': 'root', 'Grpc-Metadata-grpcgateway-accept': '' }),
    ],
    [
      'a bad token as metadata before a good one',
      () => ({ 'Grpc-Metadata-token': 'x.1', Authorization: rootToken }),
    ],
    [
      "another's token as metadata before a good one",
      () => ({ 'Grpc-Metadata-Token': annaToken, Authorization: rootToken }),
    ],
    ['a basic login', () => ({ Authorization: `Basic ${Buffer.from('root:root').toString('base64')}` })],
    ['a cookie', () => ({ Cookie: `token=${rootToken}; authorization=${rootToken}` })],
  ])('the gateway with %s', async (_name, headers) => {
    expect(await byGateway('/v3/kv/range', headers())).not.toContain(BASE64);
  });

  test('the member runs, and root still reads it', async () => {
    cluster.assertAllRun();
    expect(await byGrpc('/etcdserverpb.KV/Range', { token: rootToken })).toBe(VALUE);
  });
}

if (missing === undefined) describe('ways around authentication', suite);
else test.skip(`ways around authentication: ${missing}`, () => {});
