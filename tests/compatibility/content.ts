/**
 * What a store holds, as its API shows it, for comparing two of them: keys with their revisions, leases,
 * users and roles, and HashKV. And a fixed script that makes some of
 * everything.
 */
import { authpb, etcdserverpb, services } from '@keelson/proto';
import type { MemberApi } from '../harness/member-api.ts';

export interface Content {
  readonly revision: number;
  /** "key=value created.modified.version lease" */
  readonly keys: readonly string[];
  /** Lease id to granted TTL and keys. */
  readonly leases: ReadonlyMap<bigint, string>;
  /** "user: roles" and "role: permissions". */
  readonly access: readonly string[];
  /** Of the current revision. */
  readonly hash: number;
}

const WAIT = { timeoutMs: 20_000 };

export async function contentOf(api: MemberApi): Promise<Content> {
  const all = await api.range({ key: Buffer.from('\0'), rangeEnd: Buffer.from('\0') }, 20_000);
  const revision = all.header?.revision ?? 0;
  const { leases } = await api.call(
    services.Lease.methods.leaseLeases,
    new etcdserverpb.LeaseLeasesRequest(),
    WAIT,
  );
  const found = new Map<bigint, string>();
  for (const { ID } of leases) {
    const request = new etcdserverpb.LeaseTimeToLiveRequest({ ID, keys: true });
    const answer = await api.call(services.Lease.methods.leaseTimeToLive, request, WAIT);
    const keys = answer.keys.map((key) => key.toString('latin1')).sort((a, b) => (a < b ? -1 : 1));
    found.set(ID, `${answer.grantedTTL} ${keys.join()}`);
  }
  return {
    revision,
    keys: all.kvs.map(
      (kv) =>
        `${kv.key.toString('latin1')}=${kv.value.toString('latin1')} ` +
        `${kv.createRevision}.${kv.modRevision}.${kv.version} ${kv.lease}`,
    ),
    leases: new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1))),
    access: await accessOf(api),
    hash: (await api.hashKV(revision)).hash,
  };
}

async function accessOf(api: MemberApi): Promise<string[]> {
  const { Auth } = services;
  const lines: string[] = [];
  const { users } = await api.call(Auth.methods.userList, new etcdserverpb.AuthUserListRequest(), WAIT);
  for (const name of users) {
    const { roles } = await api.call(
      Auth.methods.userGet,
      new etcdserverpb.AuthUserGetRequest({ name }),
      WAIT,
    );
    lines.push(`${name}: ${roles.join()}`);
  }
  const { roles } = await api.call(Auth.methods.roleList, new etcdserverpb.AuthRoleListRequest(), WAIT);
  for (const role of roles) {
    // Since 3.6 the built-in role answers with what it may do; before, with nothing.
    if (role === 'root') continue;
    const { perm } = await api.call(
      Auth.methods.roleGet,
      new etcdserverpb.AuthRoleGetRequest({ role }),
      WAIT,
    );
    lines.push(
      `${role}: ${perm.map((each) => `${each.permType} ${each.key.toString()} ${each.rangeEnd.toString()}`).join()}`,
    );
  }
  return lines;
}

/** A user with a role that may read keys, a user without any, and root. */
export async function makeUsers(api: MemberApi): Promise<void> {
  const { Auth } = services;
  for (const [name, password] of [
    ['root', 'secret'],
    ['reader', 'reading'],
    ['idle', 'nothing'],
  ])
    await api.call(Auth.methods.userAdd, new etcdserverpb.AuthUserAddRequest({ name, password }), WAIT);
  for (const name of ['root', 'keys'])
    await api.call(Auth.methods.roleAdd, new etcdserverpb.AuthRoleAddRequest({ name }), WAIT);
  const perm = new authpb.Permission({
    permType: authpb.PermissionType.READ,
    key: Buffer.from('key/'),
    rangeEnd: Buffer.from('key0'),
  });
  await api.call(
    Auth.methods.roleGrantPermission,
    new etcdserverpb.AuthRoleGrantPermissionRequest({ name: 'keys', perm }),
    WAIT,
  );
  for (const [user, role] of [
    ['root', 'root'],
    ['reader', 'keys'],
  ])
    await api.call(
      Auth.methods.userGrantRole,
      new etcdserverpb.AuthUserGrantRoleRequest({ user, role }),
      WAIT,
    );
}

export interface MakeOptions {
  /** Puts before and after the compaction. */
  readonly keys: number;
  readonly compact: boolean;
}

/** Puts, overwrites, deletes, transactions, leases and perhaps a compaction; the newest revision is a put. */
export async function makeContent(api: MemberApi, { keys, compact }: MakeOptions): Promise<void> {
  const put = (key: string, value: string, lease = 0n): Promise<unknown> =>
    api.call(
      services.KV.methods.put,
      new etcdserverpb.PutRequest({ key: Buffer.from(key), value: Buffer.from(value), lease }),
      WAIT,
    );
  const remove = (key: string, rangeEnd = ''): Promise<unknown> =>
    api.call(
      services.KV.methods.deleteRange,
      new etcdserverpb.DeleteRangeRequest({ key: Buffer.from(key), rangeEnd: Buffer.from(rangeEnd) }),
      WAIT,
    );
  for (const [ID, TTL] of [
    [77n, 4000],
    [2n ** 62n, 5000],
    [78n, 6000],
  ] as const)
    await api.call(services.Lease.methods.leaseGrant, new etcdserverpb.LeaseGrantRequest({ ID, TTL }), {
      timeoutMs: 5000,
    });
  for (let i = 0; i < keys; i += 20)
    await Promise.all(
      Array.from({ length: Math.min(20, keys - i) }, (_, j) => put(`key/${i + j}`, `value ${i + j} `.repeat((i + j) % 30))),
    ); // prettier-ignore
  await put('large', 'L'.repeat(700_000));
  await put('leased/a', '1', 77n);
  await put('leased/b', '2', 2n ** 62n);
  await put('leased/a', '3', 77n);
  await put('revoked/a', '1', 78n);
  await api.call(services.Lease.methods.leaseRevoke, new etcdserverpb.LeaseRevokeRequest({ ID: 78n }), {
    timeoutMs: 5000,
  });
  await makeUsers(api);
  await remove('key/1', 'key/2');
  await put('key/10', 'again');
  const requestPut = (key: string): etcdserverpb.RequestOp =>
    new etcdserverpb.RequestOp({
      requestPut: new etcdserverpb.PutRequest({ key: Buffer.from(key), value: Buffer.from('t') }),
    });
  await api.call(
    services.KV.methods.txn,
    new etcdserverpb.TxnRequest({ success: [requestPut('txn/1'), requestPut('txn/2'), requestPut('txn/3')] }),
    WAIT,
  );
  if (!compact) return;
  const revision = await api.revision();
  await put('between', 'x');
  await api.call(
    services.KV.methods.compact,
    new etcdserverpb.CompactionRequest({ revision: revision - 3, physical: true }),
    WAIT,
  );
  for (let i = 0; i < keys / 2; i++) await put(`later/${i}`, 'later');
}
