/**
 * Authentication at the level of the API: users and roles with every refusal, then the same requests made by nobody, by
 * somebody with a wrong token, by users with roles of every shape, and by root. Each pass cleans up behind itself.
 */
import { authpb, etcdserverpb as pb, services } from '@keelson/proto';
import { Metadata, type MethodDescriptor } from '@keelson/rpc';
import {
  bytes,
  CLUSTER,
  compare,
  del,
  endOf,
  KV,
  LEASE,
  MAINTENANCE,
  put,
  range,
  step,
  txn,
  type ApiStep,
  type Scene,
} from './api-call.ts';
import { WatchConversation } from './watch-conversation.ts';

const AUTH = services.Auth.methods;
const { READ, WRITE, READWRITE } = authpb.PermissionType;
const { CompareResult, CompareTarget } = pb;

/** Users of a pass, by what they may do to keys under `${p}a/`. */
const USERS = ['reader', 'writer', 'both', 'point', 'open', 'nothing'] as const;
export const CALLERS = ['nobody', 'wrong', ...USERS, 'root'] as const;
export type CallerName = (typeof CALLERS)[number];

export const nameOf = (s: Scene, user: string): string => (user === 'root' ? 'root' : `${s.p}${user}`);
const PASSWORD = 'secret';
export const ROOT = { name: 'root', password: PASSWORD };

/** Tokens of a side's pass, asked for once. */
const tokens = new WeakMap<Scene, Map<CallerName, Metadata>>();

async function callerOf(s: Scene, caller: CallerName): Promise<Metadata> {
  if (caller === 'nobody') return new Metadata();
  if (caller === 'wrong') return Metadata.of({ token: 'abcdefghijklmnop.1' });
  const known = tokens.get(s) ?? new Map<CallerName, Metadata>();
  tokens.set(s, known);
  let metadata = known.get(caller);
  if (metadata === undefined) {
    const request = new pb.AuthenticateRequest({ name: nameOf(s, caller), password: PASSWORD });
    const { token } = await s.api.channel.unary(AUTH.authenticate, request);
    metadata = Metadata.of({ token });
    known.set(caller, metadata);
  }
  return metadata;
}

/** One call by one caller. */
export const by = <Req, Res extends object>(
  caller: CallerName,
  name: string,
  method: MethodDescriptor<Req, Res>,
  request: (s: Scene) => Req,
): ApiStep =>
  step(`auth: ${name} by ${caller}`, async (s) =>
    s.api.call(method, request(s), { metadata: await callerOf(s, caller), timeoutMs: 5_000 }),
  );

/** While auth is off nobody needs to be anybody. */
const asNobody = <Req, Res extends object>(
  name: string,
  method: MethodDescriptor<Req, Res>,
  request: (s: Scene) => Req,
): ApiStep => by('nobody', name, method, request);

const userAdd = (name: string, request: (s: Scene) => Partial<pb.AuthUserAddRequest>): ApiStep =>
  asNobody(name, AUTH.userAdd, (s) => new pb.AuthUserAddRequest(request(s)));
const grantTo = (name: string, request: (s: Scene) => Partial<pb.AuthUserGrantRoleRequest>): ApiStep =>
  asNobody(name, AUTH.userGrantRole, (s) => new pb.AuthUserGrantRoleRequest(request(s)));
const permit = (
  name: string,
  role: (s: Scene) => string,
  permission: (s: Scene) => { type: number; key: string; end: string } | undefined,
): ApiStep =>
  asNobody(name, AUTH.roleGrantPermission, (s) => {
    const given = permission(s);
    const perm =
      given === undefined
        ? {}
        : {
            perm: new authpb.Permission({
              permType: given.type,
              key: bytes(given.key),
              rangeEnd: bytes(given.end),
            }),
          };
    return new pb.AuthRoleGrantPermissionRequest({ name: role(s), ...perm });
  });
const roleAdd = (name: string, role: (s: Scene) => string): ApiStep =>
  asNobody(name, AUTH.roleAdd, (s) => new pb.AuthRoleAddRequest({ name: role(s) }));

const authenticate = (name: string, user: (s: Scene) => string, password: string): ApiStep =>
  step(`auth: ${name}`, async (s) => {
    const request = new pb.AuthenticateRequest({ name: user(s), password });
    const { token, header } = await s.api.channel.unary(AUTH.authenticate, request);
    // What it reads is chance; its form is letters, a point and an index.
    return { form: /^[a-zA-Z]{16,}\.\d+$/.test(token), header };
  });

export const AUTH_SETUP: readonly ApiStep[] = [
  authenticate('log in while auth is off', () => 'root', PASSWORD),
  asNobody('enable without a user', AUTH.authEnable, () => new pb.AuthEnableRequest()),
  asNobody('disable what is off', AUTH.authDisable, () => new pb.AuthDisableRequest()),
  userAdd('add root', () => ROOT),
  asNobody('enable without the role', AUTH.authEnable, () => new pb.AuthEnableRequest()),
  userAdd('add nobody', () => ({ name: '', password: 'x' })),
  userAdd('add root again', () => ROOT),
  ...USERS.map((user) => userAdd(`add ${user}`, (s) => ({ name: nameOf(s, user), password: PASSWORD }))),
  userAdd('add a user without a password', (s) => ({
    name: `${s.p}cert`,
    options: new authpb.UserAddOptions({ noPassword: true }),
  })),
  userAdd('add a user with an empty password', (s) => ({ name: `${s.p}blank`, password: '' })),
  userAdd('add a user of many bytes', (s) => ({ name: `${s.p}\u00fc\u4e2d\u{1f511}`, password: 'x' })),
  asNobody('list users', AUTH.userList, () => new pb.AuthUserListRequest()),
  roleAdd('add a role without a name', () => ''),
  ...USERS.map((user) => roleAdd(`add the role ${user}`, (s) => nameOf(s, user))),
  roleAdd('add a role twice', (s) => nameOf(s, 'reader')),
  permit(
    'grant to no role',
    (s) => `${s.p}none`,
    (s) => ({ type: READ, key: s.p, end: '' }),
  ),
  permit(
    'reader',
    (s) => nameOf(s, 'reader'),
    (s) => ({ type: READ, key: `${s.p}a/`, end: `${s.p}a0` }),
  ),
  permit(
    'writer',
    (s) => nameOf(s, 'writer'),
    (s) => ({ type: WRITE, key: `${s.p}a/`, end: `${s.p}a0` }),
  ),
  // Two ranges that touch make one.
  permit(
    'both, first half',
    (s) => nameOf(s, 'both'),
    (s) => ({
      type: READWRITE,
      key: `${s.p}a/`,
      end: `${s.p}a/5`,
    }),
  ),
  permit(
    'both, second half',
    (s) => nameOf(s, 'both'),
    (s) => ({
      type: READWRITE,
      key: `${s.p}a/5`,
      end: `${s.p}a0`,
    }),
  ),
  permit(
    'point',
    (s) => nameOf(s, 'point'),
    (s) => ({ type: READWRITE, key: `${s.p}a/1`, end: '' }),
  ),
  permit(
    'open',
    (s) => nameOf(s, 'open'),
    (s) => ({ type: READWRITE, key: `${s.p}a/`, end: '\0' }),
  ),
  permit(
    'a permission changed',
    (s) => nameOf(s, 'point'),
    (s) => ({
      type: READ,
      key: `${s.p}a/1`,
      end: '',
    }),
  ),
  permit(
    'and back',
    (s) => nameOf(s, 'point'),
    (s) => ({ type: READWRITE, key: `${s.p}a/1`, end: '' }),
  ),
  permit(
    'the same key with another end',
    (s) => nameOf(s, 'nothing'),
    (s) => ({
      type: READ,
      key: `${s.p}z`,
      end: `${s.p}z0`,
    }),
  ),
  permit(
    'and a third',
    (s) => nameOf(s, 'nothing'),
    (s) => ({ type: READ, key: `${s.p}z`, end: `${s.p}z1` }),
  ),
  asNobody('list roles', AUTH.roleList, () => new pb.AuthRoleListRequest()),
  ...USERS.map((user) =>
    asNobody(
      `get the role ${user}`,
      AUTH.roleGet,
      (s) => new pb.AuthRoleGetRequest({ role: nameOf(s, user) }),
    ),
  ),
  asNobody('get no role', AUTH.roleGet, (s) => new pb.AuthRoleGetRequest({ role: `${s.p}none` })),
  ...['', `none`].map((end) =>
    asNobody(
      `revoke what was not granted: ${end}`,
      AUTH.roleRevokePermission,
      (s) =>
        new pb.AuthRoleRevokePermissionRequest({
          role: nameOf(s, 'nothing'),
          key: bytes(`${s.p}z`),
          rangeEnd: bytes(end),
        }),
    ),
  ),
  asNobody(
    'revoke',
    AUTH.roleRevokePermission,
    (s) =>
      new pb.AuthRoleRevokePermissionRequest({
        role: nameOf(s, 'nothing'),
        key: bytes(`${s.p}z`),
        rangeEnd: bytes(`${s.p}z0`),
      }),
  ),
  ...USERS.map((user) =>
    grantTo(`grant ${user} its role`, (s) => ({ user: nameOf(s, user), role: nameOf(s, user) })),
  ),
  grantTo('grant a role twice', (s) => ({ user: nameOf(s, 'reader'), role: nameOf(s, 'reader') })),
  grantTo('grant no role', (s) => ({ user: nameOf(s, 'reader'), role: `${s.p}none` })),
  grantTo('grant to no user', (s) => ({ user: `${s.p}none`, role: nameOf(s, 'reader') })),
  grantTo('grant root', () => ({ user: 'root', role: 'root' })),
  asNobody('get root', AUTH.userGet, () => new pb.AuthUserGetRequest({ name: 'root' })),
  asNobody('get no user', AUTH.userGet, (s) => new pb.AuthUserGetRequest({ name: `${s.p}none` })),
  asNobody(
    'change the password of nobody',
    AUTH.userChangePassword,
    (s) => new pb.AuthUserChangePasswordRequest({ name: `${s.p}none`, password: 'x' }),
  ),
  asNobody('delete nobody', AUTH.userDelete, (s) => new pb.AuthUserDeleteRequest({ name: `${s.p}none` })),
  asNobody('delete no role', AUTH.roleDelete, (s) => new pb.AuthRoleDeleteRequest({ role: `${s.p}none` })),
  asNobody(
    'revoke a role nobody has',
    AUTH.userRevokeRole,
    (s) => new pb.AuthUserRevokeRoleRequest({ name: nameOf(s, 'reader'), role: nameOf(s, 'writer') }),
  ),
  asNobody('put a key', KV.put, (s) => put({ key: `${s.p}a/1`, value: 'one' })),
  asNobody('put another', KV.put, (s) => put({ key: `${s.p}b/1`, value: 'two' })),
  asNobody('enable', AUTH.authEnable, () => new pb.AuthEnableRequest()),
  authenticate('log in', () => 'root', PASSWORD),
  authenticate('log in with a wrong password', () => 'root', 'guess'),
  authenticate('log in as nobody', (s) => `${s.p}none`, PASSWORD),
  authenticate('log in without a name', () => '', ''),
  authenticate('log in without a password', (s) => `${s.p}cert`, ''),
  authenticate('log in with an empty password', (s) => `${s.p}blank`, ''),
];

/** What 3.4 tells anyone about leases. */
export const leaseReads = (c: CallerName): readonly ApiStep[] => [
  step(`auth: time to live by ${c}`, async (s) => {
    const request = new pb.LeaseTimeToLiveRequest({ ID: leaseOf(s, c) });
    const response = await s.api.call(LEASE.leaseTimeToLive, request, { metadata: await callerOf(s, c) });
    return { known: response.TTL > 0, granted: response.grantedTTL };
  }),
  step(`auth: time to live with keys by ${c}`, async (s) => {
    const request = new pb.LeaseTimeToLiveRequest({ ID: leaseOf(s, c), keys: true });
    const response = await s.api.call(LEASE.leaseTimeToLive, request, { metadata: await callerOf(s, c) });
    return { keys: response.keys.map(String).sort() };
  }),
  step(`auth: leases by ${c}`, async (s) => {
    const metadata = await callerOf(s, c);
    const { leases } = await s.api.call(LEASE.leaseLeases, new pb.LeaseLeasesRequest(), { metadata });
    return { own: leases.some(({ ID }) => ID === leaseOf(s, c)) };
  }),
  step(`auth: keep alive by ${c}`, async (s) => {
    const stream = s.api.channel.bidi(LEASE.leaseKeepAlive, { metadata: await callerOf(s, c) });
    stream.write(new pb.LeaseKeepAliveRequest({ ID: leaseOf(s, c) }));
    for await (const response of stream) return { TTL: response.TTL };
    return { ended: true };
  }),
];

/** What 3.4 tells anyone, or lets anyone do, around the cluster. */
export const clusterReads = (c: CallerName): readonly ApiStep[] => [
  step(`auth: members by ${c}`, async (s) => {
    const metadata = await callerOf(s, c);
    const { members } = await s.api.call(CLUSTER.memberList, new pb.MemberListRequest(), { metadata });
    return { count: members.length };
  }),
  by(c, 'alarms', MAINTENANCE.alarm, () => new pb.AlarmRequest()),
  by(
    c,
    'alarm off',
    MAINTENANCE.alarm,
    () => new pb.AlarmRequest({ action: pb.AlarmAction.DEACTIVATE, memberID: 99n, alarm: 1 }),
  ),
  step(`auth: status by ${c}`, async (s) => {
    const metadata = await callerOf(s, c);
    const { leader } = await s.api.call(MAINTENANCE.status, new pb.StatusRequest(), { metadata });
    return { leader };
  }),
  by(c, 'hash of a future revision', MAINTENANCE.hashKV, (s) => new pb.HashKVRequest({ revision: s.rev(9) })),
  by(
    c,
    'move the leader to nowhere',
    MAINTENANCE.moveLeader,
    () => new pb.MoveLeaderRequest({ targetID: 99n }),
  ),
];

/** 3.4 tells the value before to those who may only write. */
export const txnWithPrevious = (c: CallerName): ApiStep =>
  by(c, 'txn that puts with the value before', KV.txn, (s) =>
    txn([], [put({ key: `${s.p}a/1`, value: 't', prevKv: true })]),
  );

/** Every request, by every caller: the prefix the roles are about is `${p}a/`. */
const requests: readonly ((caller: CallerName) => readonly ApiStep[])[] = [
  (c) =>
    (
      [
        ['one', 'a/1', ''],
        ['another', 'a/2', ''],
        ['one outside', 'b/1', ''],
        ['all of it', 'a/', 'a0'],
        ['a part', 'a/1', 'a/9'],
        ['beyond', 'a/', 'a1'],
        ['from', 'a/', '\0'],
        ['nothing inside', 'a/9', 'a/1'],
        ['nothing outside', 'b/9', 'b/1'],
      ] as const
    ).flatMap(([name, key, end]) => {
      const rangeEnd = (s: Scene): string => (end === '' || end === '\0' ? end : s.p + end);
      return [
        by(c, `range ${name}`, KV.range, (s) => range({ key: s.p + key, rangeEnd: rangeEnd(s) })),
        by(c, `range ${name}, count only`, KV.range, (s) =>
          range({ key: s.p + key, rangeEnd: rangeEnd(s), countOnly: true, serializable: true }),
        ),
        by(c, `delete ${name}, of keys that are not there`, KV.deleteRange, (s) =>
          del({ key: `${s.p + key}none`, rangeEnd: end === '' || end === '\0' ? '' : s.p + end }),
        ),
        step(`auth: watch ${name} by ${c}`, async (s) => {
          const conversation = new WatchConversation(s.api, await callerOf(s, c));
          conversation.create({ key: bytes(s.p + key), rangeEnd: bytes(rangeEnd(s)) });
          await Promise.race([conversation.hears(0n, 1), conversation.hears(-1n, 1)]);
          return conversation.close();
        }),
      ];
    }),
  (c) => [
    by(c, 'range of an empty key', KV.range, () => range({})),
    by(c, 'put inside', KV.put, (s) => put({ key: `${s.p}a/1`, value: c })),
    by(c, 'put outside', KV.put, (s) => put({ key: `${s.p}b/1`, value: c })),
    by(c, 'put with the value before', KV.put, (s) => put({ key: `${s.p}a/1`, value: c, prevKv: true })),
    by(c, 'put with an unknown lease', KV.put, (s) => put({ key: `${s.p}a/1`, value: c, lease: 4711n })),
    by(c, 'delete with the values before', KV.deleteRange, (s) => del({ key: `${s.p}a/7`, prevKv: true })),
    by(c, 'delete all from a key', KV.deleteRange, (s) => del({ key: `${s.p}y/`, rangeEnd: '\0' })),
    by(c, 'txn of nothing', KV.txn, () => txn([], [])),
    by(c, 'txn that reads', KV.txn, (s) => txn([], [range({ key: `${s.p}a/1` })])),
    by(c, 'txn that reads in the other branch', KV.txn, (s) => txn([], [], [range({ key: `${s.p}b/1` })])),
    by(c, 'txn that compares', KV.txn, (s) =>
      txn(
        [
          compare({
            key: `${s.p}b/1`,
            target: CompareTarget.VERSION,
            result: CompareResult.GREATER,
            version: 0,
          }),
        ],
        [],
      ),
    ),
    by(c, 'txn that compares from a key', KV.txn, (s) =>
      txn(
        [
          compare({
            key: `${s.p}a/`,
            rangeEnd: '\0',
            target: CompareTarget.VERSION,
            result: CompareResult.GREATER,
            version: 0,
          }),
        ],
        [],
      ),
    ),
    by(c, 'txn that puts', KV.txn, (s) => txn([], [put({ key: `${s.p}a/1`, value: 't' })])),
    by(c, 'txn that would put', KV.txn, (s) =>
      txn([], [put({ key: `${s.p}a/1`, value: 't' })], [put({ key: `${s.p}b/1`, value: 't' })]),
    ),
    by(c, 'txn that deletes', KV.txn, (s) => txn([], [del({ key: `${s.p}a/8` })])),
    by(c, 'txn that deletes with the value', KV.txn, (s) =>
      txn([], [del({ key: `${s.p}a/8`, prevKv: true })]),
    ),
    ...(c === 'writer' ? [] : [txnWithPrevious(c)]),
  ],
  (c) => [
    ...(c === 'root' ? [by(c, 'compact', KV.compact, () => new pb.CompactionRequest({ revision: 1 }))] : []),
    by(
      c === 'nobody' || c === 'wrong' ? 'root' : c,
      `lease grant for ${c}`,
      LEASE.leaseGrant,
      (s) => new pb.LeaseGrantRequest({ ID: leaseOf(s, c), TTL: 600 }),
    ),
    by(c, 'put with a lease', KV.put, (s) => put({ key: `${s.p}a/1`, value: 'l', lease: leaseOf(s, c) })),
    by('root', `attach a key to the lease of ${c}`, KV.put, (s) =>
      put({ key: `${s.p}b/l`, value: 'l', lease: leaseOf(s, c) }),
    ),
    by(c, 'put with a lease that has keys of others', KV.put, (s) =>
      put({ key: `${s.p}a/1`, value: 'l', lease: leaseOf(s, c) }),
    ),
    ...(c === 'root' ? leaseReads(c) : []),
    by(c, 'lease revoke', LEASE.leaseRevoke, (s) => new pb.LeaseRevokeRequest({ ID: leaseOf(s, c) })),
    step(`auth: the lease of ${c} is gone`, async (s) => {
      const metadata = await callerOf(s, 'root');
      const revoke = new pb.LeaseRevokeRequest({ ID: leaseOf(s, c) });
      // Whoever could not, root can; whoever could, was first.
      await s.api.call(LEASE.leaseRevoke, revoke, { metadata }).catch(() => {});
      return {};
    }),
  ],
  (c) => [
    by(c, 'member remove', CLUSTER.memberRemove, () => new pb.MemberRemoveRequest({ ID: 99n })),
    by(
      c,
      'member update',
      CLUSTER.memberUpdate,
      () => new pb.MemberUpdateRequest({ ID: 99n, peerURLs: ['http://127.0.0.1:1'] }),
    ),
    ...(c === 'root' ? clusterReads(c) : []),
  ],
  (c) => [
    by(c, 'get a user', AUTH.userGet, (s) => new pb.AuthUserGetRequest({ name: nameOf(s, 'reader') })),
    by(c, 'get no user', AUTH.userGet, (s) => new pb.AuthUserGetRequest({ name: `${s.p}none` })),
    by(c, 'get a user without a name', AUTH.userGet, () => new pb.AuthUserGetRequest()),
    by(c, 'get a role', AUTH.roleGet, (s) => new pb.AuthRoleGetRequest({ role: nameOf(s, 'reader') })),
    by(c, 'get no role', AUTH.roleGet, (s) => new pb.AuthRoleGetRequest({ role: `${s.p}none` })),
    by(c, 'list users', AUTH.userList, () => new pb.AuthUserListRequest()),
    by(c, 'list roles', AUTH.roleList, () => new pb.AuthRoleListRequest()),
    by(c, 'enable', AUTH.authEnable, () => new pb.AuthEnableRequest()),
    by(
      c,
      'add a user that is there',
      AUTH.userAdd,
      (s) => new pb.AuthUserAddRequest({ name: nameOf(s, 'reader'), password: 'x' }),
    ),
    by(c, 'add a user without a name', AUTH.userAdd, () => new pb.AuthUserAddRequest()),
    by(
      c,
      'change the password of nobody',
      AUTH.userChangePassword,
      (s) => new pb.AuthUserChangePasswordRequest({ name: `${s.p}none`, password: 'x' }),
    ),
    by(c, 'delete root', AUTH.userDelete, () => new pb.AuthUserDeleteRequest({ name: 'root' })),
    by(
      c,
      'revoke the role root',
      AUTH.userRevokeRole,
      () => new pb.AuthUserRevokeRoleRequest({ name: 'root', role: 'root' }),
    ),
    by(c, 'delete the role root', AUTH.roleDelete, () => new pb.AuthRoleDeleteRequest({ role: 'root' })),
    by(
      c,
      'grant a role to nobody',
      AUTH.userGrantRole,
      (s) => new pb.AuthUserGrantRoleRequest({ user: `${s.p}none`, role: 'root' }),
    ),
    by(
      c,
      'add a role that is there',
      AUTH.roleAdd,
      (s) => new pb.AuthRoleAddRequest({ name: nameOf(s, 'reader') }),
    ),
    by(
      c,
      'grant a permission to no role',
      AUTH.roleGrantPermission,
      (s) =>
        new pb.AuthRoleGrantPermissionRequest({
          name: `${s.p}none`,
          perm: new authpb.Permission({ key: bytes('x') }),
        }),
    ),
    by(
      c,
      'revoke a permission of no role',
      AUTH.roleRevokePermission,
      (s) => new pb.AuthRoleRevokePermissionRequest({ role: `${s.p}none`, key: bytes('x') }),
    ),
  ],
];

export function leaseOf(s: Scene, caller: CallerName): bigint {
  return s.lease(100 + CALLERS.indexOf(caller));
}

const changes: ApiStep[] = [
  by(
    'root',
    'take the role of the reader',
    AUTH.userRevokeRole,
    (s) => new pb.AuthUserRevokeRoleRequest({ name: nameOf(s, 'reader'), role: nameOf(s, 'reader') }),
  ),
  by('reader', 'range without a role', KV.range, (s) => range({ key: `${s.p}a/1` })),
  by(
    'root',
    'delete the role of the writer',
    AUTH.roleDelete,
    (s) => new pb.AuthRoleDeleteRequest({ role: nameOf(s, 'writer') }),
  ),
  by('writer', 'put without a role', KV.put, (s) => put({ key: `${s.p}a/1`, value: 'x' })),
  by(
    'root',
    'change the password of both',
    AUTH.userChangePassword,
    (s) => new pb.AuthUserChangePasswordRequest({ name: nameOf(s, 'both'), password: 'new' }),
  ),
  by('both', 'range with a token of the old password', KV.range, (s) => range({ key: `${s.p}a/1` })),
  authenticate('log in with the old password', (s) => nameOf(s, 'both'), PASSWORD),
  authenticate('log in with the new password', (s) => nameOf(s, 'both'), 'new'),
  by(
    'root',
    'delete a user',
    AUTH.userDelete,
    (s) => new pb.AuthUserDeleteRequest({ name: nameOf(s, 'point') }),
  ),
  by('point', 'range with a token of one who is gone', KV.range, (s) => range({ key: `${s.p}a/1` })),
  by(
    'root',
    'grant the role root, which nobody made',
    AUTH.userGrantRole,
    (s) => new pb.AuthUserGrantRoleRequest({ user: nameOf(s, 'nothing'), role: 'root' }),
  ),
  by('nothing', 'range as root', KV.range, (s) => range({ key: `${s.p}b/1`, countOnly: true })),
  by('nothing', 'delete everything of this pass', KV.deleteRange, (s) =>
    del({ key: s.p, rangeEnd: endOf(s.p) }),
  ),
];

/** Back to nothing. */
export const AUTH_CLEANUP: readonly ApiStep[] = [
  by('root', 'disable', AUTH.authDisable, () => new pb.AuthDisableRequest()),
  step('auth: clean up', async (s) => {
    const { users } = await s.api.channel.unary(AUTH.userList, new pb.AuthUserListRequest());
    for (const name of users)
      await s.api.channel.unary(AUTH.userDelete, new pb.AuthUserDeleteRequest({ name }));
    const { roles } = await s.api.channel.unary(AUTH.roleList, new pb.AuthRoleListRequest());
    for (const role of roles)
      await s.api.channel.unary(AUTH.roleDelete, new pb.AuthRoleDeleteRequest({ role }));
    return { users, roles };
  }),
];

export const AUTH_STEPS: readonly ApiStep[] = [
  ...AUTH_SETUP,
  ...CALLERS.flatMap((caller) => requests.flatMap((make) => make(caller))),
  ...changes,
  ...AUTH_CLEANUP,
];
