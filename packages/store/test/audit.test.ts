import { afterEach, describe, expect, test } from '@jest/globals';
import { etcdserverpb, services, v3lockpb, type AnyMethod } from '@keelson/proto';
import type { Channel } from '@keelson/rpc';
import { Metadata } from '@keelson/rpc';
import { until } from '../../base/test/until.ts';
import type { AuditMode, LineOutput } from '../src/audit/audit-log.ts';
import { describerOf } from '../src/audit/describe.ts';
import { ask } from './http-calls.ts';
import { bytes, op, TRUE, txn } from './machine.ts';
import { MemberCluster } from './members.ts';
import { anyPort } from './serving.ts';

const { KV, Lease, Cluster, Maintenance, Auth, Lock } = services;

const open: MemberCluster[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((cluster) => cluster.stop()));
});

type Entry = Readonly<Record<string, unknown>>;

/** Keeps what it is told; fails when asked to. */
class Kept implements LineOutput {
  text = '';
  failure: Error | undefined = undefined;

  write(lines: Buffer): Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    this.text += lines.toString();
    return Promise.resolve();
  }

  reopen(): void {}

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Each line without what differs from run to run. */
  take(): Entry[] {
    const lines = this.text.split('\n');
    expect(lines.pop()).toBe('');
    this.text = '';
    return lines.map((line) => {
      const { ts, took_ms, member, remote, ...rest } = JSON.parse(line) as Entry;
      expect(ts).toMatch(/^2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
      expect(took_ms).toBeGreaterThanOrEqual(0);
      expect(member).toMatch(/^[0-9a-f]{1,16}$/);
      expect(remote).not.toBe('');
      return rest;
    });
  }
}

async function audited(
  config: Parameters<typeof MemberCluster.start>[0]['config'] = {},
  mode: AuditMode = 'blocking',
): Promise<{ cluster: MemberCluster; channel: Channel; kept: Kept }> {
  const kept = new Kept();
  const cluster = await MemberCluster.start({
    members: 1,
    config: { auditLog: '/audit.log', auditLogMode: mode, ...config },
    auditOutput: () => Promise.resolve(kept),
  });
  open.push(cluster);
  await cluster.leader();
  return { cluster, channel: cluster.channel(0), kept };
}

const put = (
  key: string,
  value = 'v',
  fields: Partial<etcdserverpb.PutRequest> = {},
): etcdserverpb.PutRequest =>
  new etcdserverpb.PutRequest({ key: bytes(key), value: bytes(value), ...fields });

test('writes are told with keys, sizes and revisions; reads are not', async () => {
  const { channel, kept } = await audited();
  await channel.unary(KV.methods.put, put('/a', 'hidden'));
  await channel.unary(KV.methods.put, put('\xff\x00', 'hidden'));
  const range = new etcdserverpb.RangeRequest({ key: bytes('/a') });
  await channel.unary(KV.methods.range, range);
  await channel.unary(KV.methods.txn, txn([], [op.get('/a')]));
  await channel.unary(
    KV.methods.txn,
    txn(
      [
        TRUE,
        new etcdserverpb.Compare({
          key: bytes('/a'),
          target: etcdserverpb.CompareTarget.VALUE,
          result: etcdserverpb.CompareResult.EQUAL,
          value: bytes('hidden'),
        }),
      ],
      [op.put('/b', 'hidden'), op.txn([], [op.del('/c', '/d')])],
      [op.get('/a')],
    ),
  );
  await channel.unary(
    KV.methods.deleteRange,
    new etcdserverpb.DeleteRangeRequest({ key: bytes('/a'), rangeEnd: bytes('/z') }),
  );
  await channel.unary(KV.methods.compact, new etcdserverpb.CompactionRequest({ revision: 3 }));
  await expect(
    channel.unary(KV.methods.compact, new etcdserverpb.CompactionRequest({ revision: 99 })),
  ).rejects.toThrow('future revision');
  await expect(channel.unary(KV.methods.put, put(''))).rejects.toThrow('key is not provided');
  expect(kept.text).not.toContain('hidden');
  const method = (name: string): string => `/etcdserverpb.KV/${name}`;
  expect(kept.take()).toEqual([
    { method: method('Put'), request: { key: '/a', value_bytes: 6 }, code: 'OK', revision: 2 },
    { method: method('Put'), request: { key_base64: '/wA=', value_bytes: 6 }, code: 'OK', revision: 3 },
    {
      method: method('Txn'),
      request: {
        compare: [
          { key: 'never there', target: 'CREATE' },
          { key: '/a', target: 'VALUE' },
        ],
        success: [
          { put: { key: '/b', value_bytes: 6 } },
          { txn: { compare: [], success: [{ delete: { key: '/c', range_end: '/d' } }], failure: [] } },
        ],
        failure: [{ range: { key: '/a' } }],
      },
      code: 'OK',
      revision: 4,
      result: { succeeded: true },
    },
    {
      method: method('DeleteRange'),
      request: { key: '/a', range_end: '/z' },
      code: 'OK',
      revision: 5,
      result: { deleted: 2 },
    },
    { method: method('Compact'), request: { revision: 3 }, code: 'OK', revision: 5 },
    {
      method: method('Compact'),
      request: { revision: 99 },
      code: 'OutOfRange',
      error: 'etcdserver: mvcc: required revision is a future revision',
    },
    {
      method: method('Put'),
      request: { key: '', value_bytes: 1 },
      code: 'InvalidArgument',
      error: 'etcdserver: key is not provided',
    },
  ]);
});

test('leases, members, alarms and upkeep', async () => {
  const { cluster, channel, kept } = await audited();
  const grant = new etcdserverpb.LeaseGrantRequest({ ID: 255n, TTL: 60 });
  await channel.unary(Lease.methods.leaseGrant, grant);
  await channel.unary(KV.methods.put, put('/a', 'v', { lease: 255n }));
  await channel.unary(KV.methods.put, put('/a', '', { ignoreValue: true, ignoreLease: true }));
  await channel.unary(Lease.methods.leaseTimeToLive, new etcdserverpb.LeaseTimeToLiveRequest({ ID: 255n }));
  await channel.unary(Lease.methods.leaseRevoke, new etcdserverpb.LeaseRevokeRequest({ ID: 255n }));
  await channel.unary(Maintenance.methods.alarm, new etcdserverpb.AlarmRequest());
  const alarm = new etcdserverpb.AlarmRequest({
    action: etcdserverpb.AlarmAction.ACTIVATE,
    memberID: 1n,
    alarm: etcdserverpb.AlarmType.NOSPACE,
  });
  await channel.unary(Maintenance.methods.alarm, alarm);
  alarm.action = etcdserverpb.AlarmAction.DEACTIVATE;
  await channel.unary(Maintenance.methods.alarm, alarm);
  await channel.unary(Maintenance.methods.defragment, new etcdserverpb.DefragmentRequest());
  const move = new etcdserverpb.MoveLeaderRequest({ targetID: 7n });
  await expect(channel.unary(Maintenance.methods.moveLeader, move)).rejects.toThrow();
  const downgrade = new etcdserverpb.DowngradeRequest({ version: '3.6.0' });
  await channel.unary(Maintenance.methods.downgrade, downgrade).catch(() => {});
  downgrade.action = etcdserverpb.DowngradeAction.CANCEL;
  await expect(channel.unary(Maintenance.methods.downgrade, downgrade)).rejects.toThrow('no inflight');
  await channel.unary(Cluster.methods.memberList, new etcdserverpb.MemberListRequest());
  await expect(
    channel.unary(Cluster.methods.memberPromote, new etcdserverpb.MemberPromoteRequest({ ID: 7n })),
  ).rejects.toThrow('member not found');
  const add = new etcdserverpb.MemberAddRequest({ peerURLs: ['http://127.0.0.1:99'], isLearner: true });
  const { member } = await channel.unary(Cluster.methods.memberAdd, add);
  const told = kept.take().map(({ method, request, code, result }) => ({
    method: String(method).split('/')[2],
    request,
    code,
    ...(result !== undefined && { result }),
  }));
  expect(told).toEqual([
    {
      method: 'LeaseGrant',
      request: { lease: 'ff', ttl: 60 },
      code: 'OK',
      result: { lease: 'ff', ttl: 60 },
    },
    { method: 'Put', request: { key: '/a', value_bytes: 1, lease: 'ff' }, code: 'OK' },
    { method: 'Put', request: { key: '/a', ignore_value: true, ignore_lease: true }, code: 'OK' },
    { method: 'LeaseRevoke', request: { lease: 'ff' }, code: 'OK' },
    { method: 'Alarm', request: { action: 'ACTIVATE', member: '1', alarm: 'NOSPACE' }, code: 'OK' },
    { method: 'Alarm', request: { action: 'DEACTIVATE', member: '1', alarm: 'NOSPACE' }, code: 'OK' },
    { method: 'Defragment', request: {}, code: 'OK' },
    { method: 'MoveLeader', request: { member: '7' }, code: 'FailedPrecondition' },
    { method: 'Downgrade', request: { action: 'CANCEL', version: '3.6.0' }, code: 'FailedPrecondition' },
    { method: 'MemberPromote', request: { member: '7' }, code: 'NotFound' },
    {
      method: 'MemberAdd',
      request: { peer_urls: ['http://127.0.0.1:99'], learner: true },
      code: 'OK',
      result: { member: member!.ID.toString(16) },
    },
  ]);
  expect(cluster.server(0).instruments.registry.text()).toContain('keelson_audit_lines_total 11\n');
});

test('users by name, refusals by who was refused; no password, hash or token ever', async () => {
  const { cluster, channel, kept } = await audited({ bcryptCost: 4 });
  const secret = 'pass-word';
  const add = (name: string): Promise<unknown> =>
    channel.unary(Auth.methods.userAdd, new etcdserverpb.AuthUserAddRequest({ name, password: secret }));
  await add('root');
  await add('mallory');
  const grant = new etcdserverpb.AuthUserGrantRoleRequest({ user: 'root', role: 'root' });
  await channel.unary(Auth.methods.userGrantRole, grant);
  const role = new etcdserverpb.AuthRoleAddRequest({ name: 'r' });
  await channel.unary(Auth.methods.roleAdd, role);
  await channel.unary(
    Auth.methods.roleGrantPermission,
    new etcdserverpb.AuthRoleGrantPermissionRequest({
      name: 'r',
      perm: { permType: 1, key: bytes('/m'), rangeEnd: bytes('/n') },
    }),
  );
  await channel.unary(
    Auth.methods.userChangePassword,
    new etcdserverpb.AuthUserChangePasswordRequest({ name: 'mallory', password: secret }),
  );
  await channel.unary(Auth.methods.authEnable, new etcdserverpb.AuthEnableRequest());
  const login = new etcdserverpb.AuthenticateRequest({ name: 'mallory', password: secret });
  const { token } = await channel.unary(Auth.methods.authenticate, login);
  login.password = 'pass-wrong';
  await expect(channel.unary(Auth.methods.authenticate, login)).rejects.toThrow('authentication failed');
  const metadata = Metadata.of({ token });
  await expect(channel.unary(KV.methods.put, put('/a'), { metadata })).rejects.toThrow('permission denied');
  await expect(channel.unary(KV.methods.put, put('/a'))).rejects.toThrow('user name is empty');
  await expect(
    channel.unary(Maintenance.methods.defragment, new etcdserverpb.DefragmentRequest(), { metadata }),
  ).rejects.toThrow('permission denied');
  expect(kept.text).not.toContain('pass-w');
  expect(kept.text).not.toContain('$2');
  expect(kept.text).not.toContain(token);
  const told = kept.take().map(({ method, user, request, code }) => ({
    method: String(method).split('/')[2],
    ...(user !== undefined && { user }),
    request,
    code,
  }));
  expect(told).toEqual([
    { method: 'UserAdd', request: { name: 'root' }, code: 'OK' },
    { method: 'UserAdd', request: { name: 'mallory' }, code: 'OK' },
    { method: 'UserGrantRole', request: { user: 'root', role: 'root' }, code: 'OK' },
    { method: 'RoleAdd', request: { name: 'r' }, code: 'OK' },
    {
      method: 'RoleGrantPermission',
      request: { role: 'r', permission: 'WRITE', key: '/m', range_end: '/n' },
      code: 'OK',
    },
    { method: 'UserChangePassword', request: { name: 'mallory' }, code: 'OK' },
    { method: 'AuthEnable', request: {}, code: 'OK' },
    { method: 'Authenticate', request: { name: 'mallory' }, code: 'OK' },
    { method: 'Authenticate', request: { name: 'mallory' }, code: 'InvalidArgument' },
    { method: 'Put', user: 'mallory', request: { key: '/a', value_bytes: 1 }, code: 'PermissionDenied' },
    { method: 'Put', request: { key: '/a', value_bytes: 1 }, code: 'InvalidArgument' },
    { method: 'Defragment', user: 'mallory', request: {}, code: 'PermissionDenied' },
  ]);
  expect(cluster.server(0).instruments.registry.text()).toContain('keelson_audit_dropped_total 0\n');
});

test('the gateway’s calls and those of a lock tell the client behind them, whatever its headers say', async () => {
  const { cluster, kept } = await audited({ listenClientUrls: anyPort() });
  await cluster.server(0).ready();
  const { port } = cluster.server(0).clientPorts[0];
  const post = (path: string, body: unknown): ReturnType<typeof ask> =>
    ask(`http://127.0.0.1:${port}${path}`, {
      body: JSON.stringify(body),
      headers: {
        'X-Forwarded-For': '6.6.6.6',
        'Grpc-Metadata-Keelson-Origin-Remote': '6.6.6.6',
        'Grpc-Metadata-Keelson-Origin-Via': 'nothing',
      },
    });
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  expect((await post('/v3/kv/put', { key: base64('/a'), value: base64('v') })).status).toBe(200);
  expect((await post('/v3/lock/lock', { name: base64('/lock') })).status).toBe(200);
  const entries = kept.text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Entry);
  expect(entries.map(({ method, remote, via }) => ({ method, remote, via }))).toEqual([
    { method: '/etcdserverpb.KV/Put', remote: '127.0.0.1', via: 'gateway' },
    { method: '/etcdserverpb.Lease/LeaseGrant', remote: '127.0.0.1', via: '/v3lockpb.Lock/Lock' },
    { method: '/etcdserverpb.KV/Txn', remote: '127.0.0.1', via: '/v3lockpb.Lock/Lock' },
  ]);
  await cluster.channel(0).unary(Lock.methods.unlock, new v3lockpb.UnlockRequest({ key: bytes('/none') }));
  expect(kept.text).toContain('"remote":"in-process","via":"/v3lockpb.Lock/Unlock"');
});

test('a write that is refused before anybody reads it is told as well', async () => {
  const { channel, kept } = await audited();
  const metadata = Metadata.of({ 'client-api-version': '3' });
  metadata.addReceived('client-api-version', '3');
  await channel.unary(KV.methods.put, put('/a'), { metadata });
  const bad = new Metadata();
  bad.addReceived('client-api-version', '\xff\xfe');
  await expect(channel.unary(KV.methods.put, put('/a'), { metadata: bad })).rejects.toThrow(
    'client api version',
  );
  const [, refused] = kept.take();
  expect(refused).toMatchObject({ method: '/etcdserverpb.KV/Put', code: 'InvalidArgument' });
  expect(refused).not.toHaveProperty('request');
});

describe('an output that fails', () => {
  test('blocking: writes are refused, reads are not, and it goes on by itself', async () => {
    const { cluster, channel, kept } = await audited();
    kept.failure = new Error('ENOSPC: no space left on device, write');
    await expect(channel.unary(KV.methods.put, put('/a'))).rejects.toMatchObject({
      code: 14,
      message:
        'keelson: the request was carried out, but the audit log cannot be written: ENOSPC: no space left on device, write',
    });
    await expect(channel.unary(KV.methods.put, put('/b'))).rejects.toMatchObject({
      code: 14,
      message:
        'keelson: writes are refused, since the audit log cannot be written: ENOSPC: no space left on device, write',
    });
    const all = new etcdserverpb.RangeRequest({ key: bytes('\0'), rangeEnd: bytes('\0') });
    const { kvs } = await channel.unary(KV.methods.range, all);
    expect(kvs.map((kv) => kv.key.toString())).toEqual(['/a']);
    expect(cluster.server(0).instruments.registry.text()).toContain('keelson_audit_failing 1\n');
    kept.failure = undefined;
    await until(() => kept.text !== '', 'the log to work again');
    await channel.unary(KV.methods.put, put('/b'));
    expect(kept.take().map(({ request }) => request)).toEqual([
      { key: '/a', value_bytes: 1 },
      { key: '/b', value_bytes: 1 },
    ]);
  });

  test('dropping: nobody notices', async () => {
    const { channel, kept } = await audited({}, 'dropping');
    kept.failure = new Error('ENOSPC');
    await channel.unary(KV.methods.put, put('/a'));
    await channel.unary(KV.methods.put, put('/b'));
    kept.failure = undefined;
    await until(() => kept.text !== '', 'the log to work again');
    await until(() => kept.text.split('\n').length === 3, 'both lines');
  });
});

test('the end of a member flushes the log', async () => {
  const { cluster, channel, kept } = await audited({}, 'dropping');
  await Promise.all(Array.from({ length: 20 }, (_, i) => channel.unary(KV.methods.put, put(`/${i}`))));
  await cluster.stopMember(0);
  expect(kept.take()).toHaveLength(20);
});

test('what writes is unary, and without a log nothing stands around it', async () => {
  for (const { methods } of Object.values(services))
    for (const { path, kind } of Object.values<AnyMethod>(methods))
      if (describerOf(path) !== undefined) expect([path, kind]).toEqual([path, 'unary']);
  const cluster = await MemberCluster.start({ members: 1 });
  open.push(cluster);
  expect(cluster.server(0).instruments.registry.has('keelson_audit_lines_total')).toBe(false);
});

test.each<[string, NonNullable<Parameters<typeof MemberCluster.start>[0]['auditOutput']>, string]>([
  ['that cannot be opened', () => Promise.reject(new Error('EACCES')), 'cannot open the audit log: EACCES'],
])('a member with an audit log %s does not start', async (_name, auditOutput, want) => {
  await expect(
    MemberCluster.start({ members: 1, config: { auditLog: '/audit.log' }, auditOutput }),
  ).rejects.toThrow(want);
});
