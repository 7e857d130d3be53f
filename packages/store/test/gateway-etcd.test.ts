/**
 * The same requests, as curl would send them, to Debian's etcd and to a member of ours: every answer is compared whole,
 * status, type and body. Debian's is 3.4, whose gateway is grpc-gateway v1; where 3.7 answers otherwise a row of
 * CHANGED says how and why, and each row must occur.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { ask, LineStream, type Answer } from './http-calls.ts';
import { serving, stopServing, type Serving } from './serving.ts';
import { ETCD_VERSION, startEtcd, type EtcdProcess } from '../../base/test/etcd-process.ts';

const beside = ETCD_VERSION === undefined ? describe.skip : describe;
const title = ETCD_VERSION === undefined ? 'SKIPPED, no etcd is installed' : `etcd ${ETCD_VERSION}`;

interface Step {
  readonly path: string;
  /** Sent as it is; undefined: a GET. */
  readonly body?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Rows of CHANGED that make 3.4's answer 3.7's, in order. */
  readonly changed?: readonly (keyof typeof CHANGED)[];
}

interface Told {
  status: number;
  type: string;
  body: string;
}

type Change = (told: Told) => Told;

function json(told: Told, change: (body: Record<string, unknown>) => unknown): Told {
  return { ...told, body: JSON.stringify(change(JSON.parse(told.body) as Record<string, unknown>)) };
}

const withMessage =
  (status: number, code: number, message: string): Change =>
  () => ({ status, type: 'application/json', body: JSON.stringify({ code, message, details: [] }) });

const CHANGED = {
  /** grpc-gateway v2 answers google.rpc.Status; v1 also repeated the message as "error". */
  status: (told) => json(told, ({ code, message }) => ({ code, message, details: [] })),
  /** v2 maps FailedPrecondition to 400; v1 to 412. */
  precondition: (told) => ({ ...told, status: told.status === 412 ? 400 : told.status }),
  /** A method or path the gateway does not know: v1 said so in text, v2 as any other error. */
  unknownMethod: withMessage(501, 12, 'Method Not Allowed'),
  unknownPath: withMessage(404, 5, 'Not Found'),
  /** Values of the wrong kind: protojson names the place and the field; v1 showed encoding/json's errors. */
  bytesField: withMessage(400, 3, 'proto: (line 1:8): invalid value for bytes field key: 1'),
  integerField: withMessage(400, 3, 'proto: (line 1:23): invalid value for int64 field limit: "abc"'),
  boolField: withMessage(400, 3, 'proto: (line 1:30): invalid value for bool field ignore_lease: "true"'),
  tooLarge: withMessage(
    400,
    3,
    'proto: (line 1:23): invalid value for int64 field lease: 9223372036854775808',
  ),
  notAnObject: withMessage(400, 3, 'proto: (line 1:1): unexpected token ['),
  twice: withMessage(400, 3, 'proto: (line 1:15): duplicate field "key"'),
  /** A first message of a stream that cannot be read: InvalidArgument; v1 left it without a code. */
  badStream: withMessage(400, 3, 'unexpected EOF'),
  /** 3.5 added the reason; 3.6 the storage version. Versions differ. */
  health: (told) => json(told, (body) => ({ ...body, reason: '' })),
  version: (told) => ({ ...told, body: '{"etcdserver":"3.7.1","etcdcluster":"3.7.0","storage":"3.7.0"}' }),
  /** An answer about alarms has a header since 3.5. */
  alarmHeader: (told) => ({ ...told, body: `{"header":${HEADER.replace('"2"', '"7"')}}` }),
  /** 3.5.11 added /livez and /readyz. */
  newPath: (told) => ({ ...told, status: 200, body: 'ok\n' }),
  /** Without authentication a token is not looked at any more. */
  tokenUnseen: (told) => ({ ...told, status: 200, body: RANGE_OF_FOO }),
  /** A name of an enum that is not known is passed over, as unknown fields are. */
  enumName: (told) => ({ ...told, status: 200, body: RANGE_OF_FOO }),
} as const satisfies Readonly<Record<string, Change>>;

const HEADER = '{"cluster_id":"C","member_id":"M","revision":"2","raft_term":"T"}';
const RANGE_OF_FOO = `{"header":${HEADER},"kvs":[{"key":"Zm9v","create_revision":"2","mod_revision":"2","version":"1","value":"YmFy"}],"count":"1"}`;

const b64 = (text: string): string => Buffer.from(text).toString('base64');
const post = (path: string, body: unknown, ...changed: (keyof typeof CHANGED)[]): Step => ({
  path,
  body: typeof body === 'string' ? body : JSON.stringify(body),
  changed,
});
const get = (path: string, ...changed: (keyof typeof CHANGED)[]): Step => ({ path, changed });

/** One after the other on both; revisions agree as long as each step does the same on both. */
const STEPS: readonly Step[] = [
  get('/health', 'health'),
  get('/version', 'version'),
  get('/nothing'),
  get('//health'),
  get('/v3'),
  get('/debug/pprof/'),
  get('/livez', 'newPath'),
  { ...get('/health'), method: 'POST' },
  { ...get('/version'), method: 'DELETE' },
  { ...get('/v3/kv/range'), method: 'OPTIONS' },
  get('/v3/kv/range', 'unknownMethod'),
  { ...get('/v3/kv/put', 'unknownMethod'), method: 'DELETE' },
  post('/v3/nothing', {}, 'unknownPath'),
  post('/v3/kv/put', { key: 'Zm9v', value: 'YmFy' }),
  post('/v3beta/kv/range', { key: 'Zm9v' }),
  post('/v3/kv/range', { key: 'Zm9v', bogus: [1] }),
  post('/v3/kv/range', { key: 'Zm9v', rangeEnd: 'Zm9w', limit: '1', sort_order: 'DESCEND', sortTarget: 4 }),
  post('/v3/kv/range', { key: 'Zm9v', keys_only: true, serializable: true }),
  post('/v3/kv/range', { key: 'Zm9v', count_only: true }),
  post('/v3/kv/range', { key: 'eA==' }),
  post('/v3/kv/range', { key: 'Zm9v', sort_order: 'BAD' }, 'enumName'),
  {
    ...post('/v3/kv/range', { key: 'Zm9v' }, 'tokenUnseen'),
    headers: { 'Content-Type': 'text/x', Authorization: 'none' },
  },
  post('/v3/kv/range', '', 'status'),
  post('/v3/kv/range', '{"key":', 'status'),
  post('/v3/kv/range', '{"key":1}', 'bytesField'),
  post('/v3/kv/range', '{"key":"Zm9v","limit":"abc"}', 'integerField'),
  post('/v3/kv/put', '{"key":"Zm9v","ignore_lease":"true"}', 'boolField'),
  post('/v3/kv/put', '{"key":"Zm9v","lease":9223372036854775808}', 'tooLarge'),
  post('/v3/kv/put', '["a"]', 'notAnObject'),
  post('/v3/kv/range', { key: 'Zm9v', revision: '99' }, 'status'),
  post('/v3/kv/put', { key: 'Zm9v', lease: '9223372036854775807' }, 'status'),
  post('/v3/lease/grant', { ID: '7', TTL: 100 }),
  post('/v3/lease/grant', { ID: 7, TTL: '100' }, 'precondition', 'status'),
  post('/v3/kv/put', { key: 'bA==', value: '', lease: 7, prev_kv: true }),
  post('/v3/lease/timetolive', { ID: 7, keys: true }),
  post('/v3/kv/lease/timetolive', { ID: 8 }),
  post('/v3/lease/leases', {}),
  post('/v3/kv/lease/leases', {}),
  post('/v3/lease/keepalive', '{"ID":7}{"ID":12}'),
  post('/v3/lease/revoke', { ID: 77 }, 'status'),
  post('/v3/lease/revoke', { ID: 7 }),
  post('/v3/kv/txn', {
    compare: [{ key: 'Zm9v', target: 'VALUE', result: 'EQUAL', value: 'YmFy' }],
    success: [
      { request_put: { key: 'Zm9v', value: 'YmF6', prev_kv: true } },
      { requestRange: { key: 'Zm9v' } },
    ],
  }),
  post('/v3/kv/txn', {
    compare: [{ key: 'eA==', target: 1, create_revision: 5 }],
    failure: [{ request_delete_range: { key: 'Zm9v' } }],
  }),
  post('/v3/kv/txn', { success: [{}] }, 'status'),
  post(
    '/v3/kv/txn',
    { success: [{ request_put: { key: 'YQ==' } }, { request_put: { key: 'YQ==' } }] },
    'status',
  ),
  post('/v3/kv/deleterange', { key: 'AA==', range_end: 'AA==' }),
  post('/v3/kv/put', { key: '/+8=', value: '/+8=' }),
  post('/v3/kv/range', { key: '/+8=' }),
  post('/v3/kv/compaction', { revision: 1000 }, 'status'),
  post('/v3/kv/compaction', { revision: 3 }),
  post('/v3/kv/compaction', { revision: 3 }, 'status'),
  post('/v3/kv/range', { key: 'Zm9v', revision: 2 }, 'status'),
  post('/v3/watch', '{', 'badStream'),
  post('/v3/cluster/member/list', {}),
  post('/v3/cluster/member/remove', { ID: '5' }, 'status'),
  post('/v3/cluster/member/update', { ID: '5', peerURLs: ['http://127.0.0.1:1'] }, 'status'),
  post('/v3/cluster/member/add', { peerURLs: ['nothing'] }, 'status'),
  post('/v3/maintenance/alarm', {}, 'alarmHeader'),
  post('/v3/maintenance/defragment', {}),
  post('/v3/maintenance/transfer-leadership', { targetID: '123' }, 'precondition', 'status'),
  post('/v3/auth/user/list', {}),
  post('/v3/auth/user/get', { name: 'nobody' }, 'precondition', 'status'),
  post('/v3/auth/role/add', { name: 'r' }),
  post('/v3/auth/role/grant', { name: 'r', perm: { permType: 'READWRITE', key: 'YQ==', range_end: 'Yg==' } }),
  post('/v3/auth/role/get', { role: 'r' }),
  post('/v3/auth/enable', {}, 'precondition', 'status'),
  post('/v3/auth/authenticate', { name: 'a', password: 'b' }, 'precondition', 'status'),
  post('/v3/lease/grant', { ID: '9', TTL: '100' }),
  post('/v3/lock/lock', { name: 'bG9jaw==', lease: '99' }, 'status'),
  post('/v3/lock/lock', { name: 'bG9jaw==', lease: '9' }),
  post('/v3/lock/lock', { name: 'bG9jaw==', lease: 9 }),
  post('/v3/lock/unlock', { key: b64('lock/9') }),
  post('/v3/lock/unlock', { key: b64('lock/9') }),
  post('/v3/lock/unlock', {}, 'status'),
  post('/v3/election/leader', { name: 'ZQ==' }, 'status'),
  post('/v3/election/campaign', { name: 'ZQ==', lease: '9', value: 'MQ==' }),
  post('/v3/election/campaign', { name: 'ZQ==', lease: '9', value: 'Mg==' }),
  post('/v3/election/leader', { name: 'ZQ==' }),
  post('/v3/election/proclaim', {}, 'status'),
  post(
    '/v3/election/proclaim',
    { leader: { name: 'ZQ==', key: b64('e/9'), rev: '3', lease: '9' }, value: 'Mw==' },
    'status',
  ),
  post('/v3/election/resign', {}, 'status'),
  post('/v3/election/resign', { leader: { name: 'ZQ==', key: b64('e/9'), rev: '3', lease: '9' } }),
  post('/v3/kv/range', { key: b64('e/'), range_end: b64('e0') }),
  post('/v3/kv/range', '{"key":"YQ==","key":"YQ=="}', 'twice'),
];

function normalised({ status, headers, body }: Answer): Told {
  return {
    status,
    type: headers['content-type'] ?? '',
    body: body
      .replace(/"cluster_id":"\d+"/g, '"cluster_id":"C"')
      .replace(/"(member_id|ID)":"\d{10,}"/g, '"$1":"M"')
      .replace(/"raft_term":"\d+"/g, '"raft_term":"T"')
      .replace(/http:\/\/127\.0\.0\.1:\d+/g, 'http://127.0.0.1:P'),
  };
}

beside(`beside ${title}`, () => {
  let etcd: EtcdProcess | undefined;
  let ours: Serving;

  beforeAll(async () => {
    [etcd, ours] = await Promise.all([startEtcd({ name: 'm1' }), serving()]);
  });

  afterAll(async () => {
    await stopServing();
    await etcd?.stop();
  });

  test(`${STEPS.length} requests are answered alike, but for what 3.7 changed`, async () => {
    const used = new Set<string>();
    for (const [index, step] of STEPS.entries()) {
      const request = {
        ...(step.method !== undefined && { method: step.method }),
        ...(step.headers !== undefined && { headers: step.headers }),
        ...(step.body !== undefined && { body: step.body }),
      };
      const [theirs, mine] = await Promise.all([
        ask(etcd!.url + step.path, request),
        ask(ours.url + step.path, request),
      ]);
      let wanted = normalised(theirs);
      for (const change of step.changed ?? []) {
        used.add(change);
        wanted = CHANGED[change](wanted);
      }
      expect({ step: [index, step.path, step.body], ...normalised(mine) }).toEqual({
        step: [index, step.path, step.body],
        ...wanted,
      });
      for (const header of ['allow', 'location', 'x-content-type-options', 'access-control-allow-origin'])
        if (step.changed === undefined || step.changed.length === 0)
          expect([index, step.path, header, mine.headers[header]]).toEqual([
            index,
            step.path,
            header,
            theirs.headers[header],
          ]);
    }
    expect(Object.keys(CHANGED).filter((name) => !used.has(name))).toEqual([]);
  });

  test('a watch that goes on: the same lines, and an election observed', async () => {
    const conversation = async (url: string): Promise<unknown[]> => {
      const lines: unknown[] = [];
      const say = async (path: string, body: unknown): Promise<void> => {
        const { status } = await ask(url + path, { body: JSON.stringify(body) });
        expect([path, status]).toEqual([path, 200]);
      };
      const hear = async (stream: LineStream): Promise<void> => {
        const line = (await stream.next()) ?? '';
        lines.push(line.replace(/"(cluster_id|member_id|raft_term)":"\d+"/g, '"$1":""'));
      };
      const watch = new LineStream(
        `${url}/v3/watch`,
        '{"create_request":{"key":"dw==","range_end":"eA==","prev_kv":true,"watch_id":"4","progress_notify":true}}',
      );
      await hear(watch);
      await say('/v3/kv/put', { key: b64('w1'), value: b64('<&>') });
      await hear(watch);
      await say('/v3/kv/txn', {
        success: [{ request_put: { key: b64('w1') } }, { request_put: { key: b64('w2') } }],
      });
      await hear(watch);
      await say('/v3/kv/deleterange', { key: b64('w'), range_end: b64('x') });
      await hear(watch);
      watch.write('{"create_request":{"key":"dw==","filters":["NOPUT"],"watch_id":"4"}}');
      await hear(watch);
      watch.write('{"progress_request":{}}{"cancel_request":{"watch_id":4}}');
      await hear(watch);
      await hear(watch);
      watch.close();
      const observed = new LineStream(`${url}/v3/election/observe`, `{"name":"${b64('o')}"}`);
      observed.finish();
      await say('/v3/lease/grant', { ID: '55', TTL: '100' });
      await say('/v3/election/campaign', { name: b64('o'), lease: '55', value: b64('first') });
      await hear(observed);
      const key = { name: b64('o'), key: b64('o/37'), lease: '55' };
      const { body } = await ask(`${url}/v3/election/leader`, { body: JSON.stringify({ name: b64('o') }) });
      const { kv } = JSON.parse(body) as { kv: { create_revision: string } };
      const leader = { ...key, rev: kv.create_revision };
      await say('/v3/election/proclaim', { leader, value: b64('second') });
      await hear(observed);
      await say('/v3/election/resign', { leader });
      await say('/v3/election/campaign', { name: b64('o'), lease: '55', value: b64('third') });
      await hear(observed);
      observed.close();
      return lines;
    };
    const [theirs, mine] = await Promise.all([conversation(etcd!.url), conversation(ours.url)]);
    expect(theirs).toHaveLength(10);
    expect(mine).toEqual(theirs);
  });

  test('etcdctl locks and elects through its own recipes', async () => {
    const leases = (text: string): string => text.replace(/[0-9a-f]{10,16}/g, 'LEASE');
    const environment = (url: string): NodeJS.ProcessEnv => ({
      ...process.env,
      ETCDCTL_API: '3',
      ETCDCTL_ENDPOINTS: url,
    });
    const lock = async (url: string, ...args: string[]): Promise<string> => {
      const { stdout } = await promisify(execFile)('etcdctl', ['lock', 'mutex', ...args], {
        env: environment(url),
        timeout: 20_000,
      });
      return leases(stdout);
    };
    /** Runs until it has said `lineCount` lines; is interrupted then. */
    const elect = (url: string, lineCount: number, ...args: string[]): Promise<string> =>
      new Promise((resolve) => {
        const child = spawn('etcdctl', ['elect', ...args], {
          env: environment(url),
          stdio: ['ignore', 'pipe', 'ignore'],
        });
        let out = '';
        child.stdout.on('data', (chunk: Buffer) => {
          out += chunk.toString('utf8');
          if (out.split('\n').length > lineCount) child.kill('SIGINT');
        });
        child.once('exit', () => resolve(leases(out)));
      });
    const told: string[][] = [];
    for (const url of [etcd!.url, ours.url]) {
      const listening = elect(url, 2, '-l', 'crown');
      told.push([
        await lock(url, 'echo', 'held'),
        await lock(url, '--', 'sh', '-c', 'echo $ETCD_LOCK_KEY'),
        await elect(url, 2, 'crown', 'me'),
        await listening,
      ]);
    }
    expect(told[1]).toEqual(told[0]);
    expect(told[1]).toEqual(['held\n', 'mutex/LEASE\n', 'crown/LEASE\nme\n', 'crown/LEASE\nme\n']);
  });
});
