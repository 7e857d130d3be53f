/** Whole members with auth on: logins, permissions, what ends when users and roles change, and what a restart keeps. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { JsonLogger } from '@keelson/base';
import type { Client } from '@keelson/client';
import { etcdserverpb, services } from '@keelson/proto';
import { Metadata, RpcError } from '@keelson/rpc';
import { until } from '../../base/test/until.ts';
import { MemberCluster } from './members.ts';

const open: MemberCluster[] = [];
const ROOT = { user: 'root', password: 'top' };
const ALICE = { user: 'alice', password: 'a' };

async function started(options: Parameters<typeof MemberCluster.start>[0]): Promise<MemberCluster> {
  const { config, ...rest } = options;
  // The cheapest hash: what it costs is not the question here.
  const cluster = await MemberCluster.start({ ...rest, config: { bcryptCost: 4, ...config } });
  open.push(cluster);
  await cluster.leader();
  return cluster;
}

/** Root, and alice who may read and write keys that begin with "a/". */
async function withAlice(
  cluster: MemberCluster,
  places?: readonly number[],
): Promise<{ root: Client; alice: Client }> {
  const plain = cluster.client(places);
  await plain.auth.userAdd('root', 'top');
  await plain.auth.userGrantRole('root', 'root');
  await plain.auth.userAdd('alice', 'a');
  await plain.auth.roleAdd('a');
  await plain.auth.roleGrantPermission('a', 'readwrite', 'a/', { prefix: true });
  await plain.auth.userGrantRole('alice', 'a');
  await plain.auth.enable();
  return { root: cluster.client(places, ROOT), alice: cluster.client(places, ALICE) };
}

const denied = { message: 'etcdserver: permission denied' };
const empty = { message: 'etcdserver: user name is empty' };
const badToken = { message: 'etcdserver: invalid auth token' };
const oldRevision = { message: 'etcdserver: revision of auth store is old' };

/** A token as it is sent, used by hand. */
async function tokenOf(client: Client, who: { user: string; password: string }): Promise<Metadata> {
  return Metadata.of({ token: (await client.auth.authenticate(who)).token });
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((cluster) => cluster.stop()));
});

describe('users, roles and the switch', () => {
  test('auth is switched on by root alone, and only once root can own everything', async () => {
    const cluster = await started({ members: 1 });
    const { auth, kv } = cluster.client();
    expect(await auth.status()).toMatchObject({ enabled: false, authRevision: 1 });
    await expect(auth.authenticate(ROOT)).rejects.toMatchObject({
      message: 'etcdserver: authentication is not enabled',
    });
    await expect(auth.enable()).rejects.toMatchObject({ message: 'etcdserver: root user does not exist' });
    await auth.userAdd('root', 'top');
    await expect(auth.enable()).rejects.toMatchObject({
      message: 'etcdserver: root user does not have root role',
    });
    await auth.userGrantRole('root', 'root');
    await auth.enable();
    await expect(auth.enable()).rejects.toMatchObject(empty);
    await expect(kv.put('k', 'v')).rejects.toMatchObject(empty);
    await expect(kv.get('k')).rejects.toMatchObject(empty);
    await expect(auth.userList()).rejects.toMatchObject(empty);
    expect(await auth.status()).toMatchObject({ enabled: true, authRevision: 3 });
    await expect(auth.authenticate({ user: 'root', password: 'wrong' })).rejects.toMatchObject({
      message: 'etcdserver: authentication failed, invalid user ID or password',
    });
    await expect(auth.authenticate({ user: 'nobody', password: 'top' })).rejects.toMatchObject({
      message: 'etcdserver: authentication failed, invalid user ID or password',
    });
    const root = cluster.client(undefined, ROOT);
    await root.auth.enable();
    await root.kv.put('k', 'v');
    await expect(root.auth.userDelete('root')).rejects.toMatchObject({
      message: 'etcdserver: invalid auth management',
    });
    await root.auth.disable();
    await kv.put('k', 'v2');
    expect(await auth.status()).toMatchObject({ enabled: false, authRevision: 4 });
  });

  test('a user without a password cannot log in', async () => {
    const cluster = await started({ members: 1 });
    const { root } = await withAlice(cluster);
    await root.auth.userAdd('certificate', undefined);
    await expect(root.auth.authenticate({ user: 'certificate', password: '' })).rejects.toMatchObject({
      message: 'auth: authentication failed, password was given for no password user',
    });
    await expect(root.auth.userAdd('long', 'x'.repeat(73))).rejects.toMatchObject({
      message: 'bcrypt: password length exceeds 72 bytes',
    });
  });

  test('nothing of a password is in the log or the database', async () => {
    const cluster = await started({ members: 1 });
    await cluster.client().auth.userAdd('spy', 'correct-horse-battery');
    await cluster.client().auth.userChangePassword('spy', 'staple-correct-horse');
    const { state } = cluster.server(0).replica;
    expect(state.auth.user('spy')!.password.toString('latin1')).toMatch(/^\$2a\$04\$/);
    await until(() => state.buffer.pendingOperations === 0, 'the backend to be written');
    const { disk } = cluster.seats[0];
    const kept: Buffer[] = [];
    const walk = async (path: string): Promise<void> => {
      for (const name of await disk.boot().list(path)) {
        const file = `${path}/${name}`;
        if (name.includes('.')) kept.push(await disk.boot().readFile(file, 2 ** 30));
        else await walk(file);
      }
    };
    await walk('/m1/member');
    expect(kept.length).toBeGreaterThan(0);
    const all = Buffer.concat(kept);
    expect(all.includes('spy')).toBe(true);
    expect(all.includes('correct-horse')).toBe(false);
    expect(all.includes('staple')).toBe(false);
  });
});

test('a flood of logins is bounded, and the member goes on beside it', async () => {
  const lines: string[] = [];
  const logger = new JsonLogger(
    (line) => lines.push(line),
    () => 0,
    'warn',
    'test',
  );
  // A hash of a few milliseconds.
  const cluster = await started({ members: 1, config: { bcryptCost: 6 }, logger });
  const { root } = await withAlice(cluster);
  await root.kv.put('k', 'v');
  const channel = cluster.channel(0);
  const guess = new etcdserverpb.AuthenticateRequest({ name: 'root', password: 'wrong-guess' });
  const flood = Array.from({ length: 200 }, () =>
    channel.unary(services.Auth.methods.authenticate, guess, { timeoutMs: 30_000 }).then(
      () => 'let in',
      (error: unknown) => (error instanceof RpcError ? `${error.code} ${error.message}` : 'broken'),
    ),
  );
  let answered = 0;
  const over = Promise.all(flood).then((outcomes) => {
    answered = outcomes.length;
    return outcomes;
  });
  let puts = 0;
  while (answered === 0) {
    await root.kv.put('k', String(puts++));
    await new Promise((resolve) => setImmediate(resolve));
  }
  const outcomes = await over;
  const count = (text: string): number => outcomes.filter((one) => one === text).length;
  const refused = count('8 etcdserver: too many requests');
  const judged = count('3 etcdserver: authentication failed, invalid user ID or password');
  expect(refused + judged).toBe(200);
  // Two at work and 64 behind them; some more as they end.
  expect(judged).toBeGreaterThanOrEqual(66);
  expect(refused).toBeGreaterThan(100);
  expect(puts).toBeGreaterThan(10);
  const said = lines.filter((line) => line.includes('invalid authentication was requested'));
  expect(said).toHaveLength(judged);
  expect(lines.join('')).not.toContain('wrong-guess');
});

describe('what a user may', () => {
  test('its own range, and no more by any way', async () => {
    const cluster = await started({ members: 3 });
    const { root, alice } = await withAlice(cluster);
    await root.kv.put('b/secret', 'x');
    await alice.kv.put('a/1', 'mine');
    expect((await alice.kv.get('a/', { prefix: true })).count).toBe(1);
    await expect(alice.kv.get('b/secret')).rejects.toMatchObject(denied);
    await expect(alice.kv.get('a/', { fromKey: true })).rejects.toMatchObject(denied);
    await expect(alice.kv.put('b/1', 'x')).rejects.toMatchObject(denied);
    await expect(alice.kv.delete('a/', { fromKey: true })).rejects.toMatchObject(denied);
    await expect(alice.kv.compact(2)).rejects.toMatchObject(denied);
    await expect(alice.maintenance.hashKV()).rejects.toMatchObject(denied);
    await expect(alice.auth.userAdd('mallory', 'm')).rejects.toMatchObject(denied);
    expect((await alice.auth.userGet('alice')).roles).toEqual(['a']);
    expect((await alice.auth.roleGet('a')).perm).toHaveLength(1);
    await expect(alice.auth.userGet('root')).rejects.toMatchObject(denied);
    expect((await root.auth.userList()).users).toEqual(['alice', 'root']);
  });

  test('a lease cannot carry the keys of others', async () => {
    const cluster = await started({ members: 1 });
    const { root, alice } = await withAlice(cluster);
    const { ID } = await alice.lease.grant(60);
    await alice.kv.put('a/1', 'x', { lease: ID });
    await root.kv.put('b/1', 'x', { lease: ID });
    await expect(alice.lease.revoke(ID)).rejects.toMatchObject(denied);
    await expect(alice.kv.put('a/2', 'x', { lease: ID })).rejects.toMatchObject(denied);
    await expect(alice.lease.keepAliveOnce(ID)).rejects.toMatchObject(denied);
    await expect(alice.lease.timeToLive(ID, { keys: true })).rejects.toMatchObject(denied);
    expect(await alice.lease.timeToLive(ID)).toMatchObject({ keys: [] });
    await expect(alice.lease.leases()).rejects.toMatchObject(denied);
    await root.lease.revoke(ID);
    expect((await root.kv.get('', { fromKey: true })).count).toBe(0);
  });

  test('a lease of one key is told to those alone who may read the key', async () => {
    const cluster = await started({ members: 1 });
    const { root, alice } = await withAlice(cluster);
    const { ID } = await root.lease.grant(60);
    expect((await alice.lease.leases()).leases).toHaveLength(1);
    await root.kv.put('b/1', 'x', { lease: ID });
    await expect(alice.lease.leases()).rejects.toMatchObject(denied);
    await expect(alice.lease.timeToLive(ID, { keys: true })).rejects.toMatchObject(denied);
    expect((await root.lease.timeToLive(ID, { keys: true })).keys.map(String)).toEqual(['b/1']);
  });

  test('a password that is changed while it is being compared gives no token', async () => {
    let during: (() => Promise<unknown>) | undefined;
    const cluster = await started({
      members: 1,
      world: (_place, world) => ({
        ...world,
        secrets: {
          ...world.secrets,
          matches: async (password, hash) => {
            const good = await world.secrets.matches(password, hash);
            const change = during;
            during = undefined;
            await change?.();
            return good;
          },
        },
      }),
    });
    const { root } = await withAlice(cluster);
    await root.auth.userList();
    during = () => root.auth.userChangePassword('alice', 'new');
    await expect(cluster.client().auth.authenticate(ALICE)).rejects.toMatchObject({
      message: 'etcdserver: authentication failed, invalid user ID or password',
    });
    expect(during).toBeUndefined();
    const renewed = await cluster.client().auth.authenticate({ user: 'alice', password: 'new' });
    expect(renewed.token).not.toBe('');
  });

  test('leases expire while auth is on', async () => {
    const cluster = await started({ members: 3 });
    const { alice } = await withAlice(cluster);
    const { ID } = await alice.lease.grant(1);
    await alice.kv.put('a/1', 'x', { lease: ID });
    const { state } = cluster.server(0).replica;
    await until(() => state.lessor.lookup(ID) === undefined, 'the lease to end');
    expect((await alice.kv.get('a/1')).count).toBe(0);
  });

  test('a change of roles holds at once, for tokens that are out as well', async () => {
    const cluster = await started({ members: 1 });
    const { root, alice } = await withAlice(cluster);
    await alice.kv.put('a/1', 'x');
    await root.auth.userRevokeRole('alice', 'a');
    await expect(alice.kv.put('a/1', 'y')).rejects.toMatchObject(denied);
    await root.auth.userGrantRole('alice', 'a');
    await alice.kv.put('a/1', 'y');
    await root.auth.roleDelete('a');
    await expect(alice.kv.get('a/1')).rejects.toMatchObject(denied);
    expect((await alice.auth.userGet('alice')).roles).toEqual([]);
  });
});

describe('tokens', () => {
  test('a simple token is good at every member, until its user changes the password', async () => {
    const cluster = await started({ members: 3 });
    const { root, alice } = await withAlice(cluster);
    const metadata = await tokenOf(alice, ALICE);
    const get = (i: number): Promise<etcdserverpb.RangeResponse> =>
      cluster
        .channel(i)
        .unary(services.KV.methods.range, new etcdserverpb.RangeRequest({ key: Buffer.from('a/1') }), {
          metadata,
          timeoutMs: 5_000,
        });
    for (const i of [0, 1, 2]) expect((await get(i)).count).toBe(0);
    await root.auth.userChangePassword('alice', 'b');
    for (const i of [0, 1, 2]) await expect(get(i)).rejects.toMatchObject(badToken);
    await expect(alice.auth.authenticate(ALICE)).rejects.toMatchObject({
      message: 'etcdserver: authentication failed, invalid user ID or password',
    });
    const changed = cluster.client(undefined, { user: 'alice', password: 'b' });
    expect((await changed.kv.get('a/1')).count).toBe(0);
    await root.auth.userDelete('alice');
    await expect(changed.kv.get('a/1')).rejects.toMatchObject({
      message: 'etcdserver: authentication failed, invalid user ID or password',
    });
  });

  test.each<[string, Record<string, string>, object]>([
    ['nothing', {}, empty],
    ['nonsense', { token: 'nonsense' }, badToken],
    ['an empty one', { token: '' }, badToken],
    ['one of an entry to come', { token: 'abcdefghijklmnop.99999999' }, badToken],
    ['one of an entry that assigned none', { token: 'abcdefghijklmnop.1' }, badToken],
    ['a wrong one in the other field', { authorization: 'Bearer abcdefghijklmnop.1' }, badToken],
  ])('a call with %s is refused', async (_name, fields, error) => {
    const cluster = await started({ members: 1 });
    await withAlice(cluster);
    const range = new etcdserverpb.RangeRequest({ key: Buffer.from('a/1') });
    const call = cluster
      .channel(0)
      .unary(services.KV.methods.range, range, { metadata: Metadata.of(fields), timeoutMs: 5_000 });
    await expect(call).rejects.toMatchObject(error);
  });

  test('a token may come as a bearer', async () => {
    const cluster = await started({ members: 1 });
    const { alice } = await withAlice(cluster);
    const { token } = await alice.auth.authenticate(ALICE);
    const range = new etcdserverpb.RangeRequest({ key: Buffer.from('a/1') });
    for (const authorization of [token, `Bearer ${token}`]) {
      const metadata = Metadata.of({ authorization });
      const options = { metadata, timeoutMs: 5_000 };
      expect((await cluster.channel(0).unary(services.KV.methods.range, range, options)).count).toBe(0);
    }
  });

  test('a token ends when it is not used for its time', async () => {
    const cluster = await started({ members: 1, config: { authTokenTtlSeconds: 1 } });
    const { alice } = await withAlice(cluster);
    const metadata = await tokenOf(alice, ALICE);
    const { tokens } = cluster.server(0).replica.state;
    await until(() => tokens.size === 0, 'the tokens to end');
    const range = new etcdserverpb.RangeRequest({ key: Buffer.from('a/1') });
    const call = cluster.channel(0).unary(services.KV.methods.range, range, { metadata, timeoutMs: 5_000 });
    await expect(call).rejects.toMatchObject(badToken);
    // The client logs in again by itself.
    expect((await alice.kv.get('a/1')).count).toBe(0);
  });
});

describe('JSON web tokens', () => {
  let home: string;
  let config: { readonly authToken: string };

  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), 'keelson-jwt-'));
    writeFileSync(join(home, 'secret'), 'a secret of some length');
    config = { authToken: `jwt,sign-method=HS256,priv-key=${join(home, 'secret')},ttl=60s` };
  });

  afterAll(() => rmSync(home, { recursive: true }));

  test('a token is good at every member and outlives a restart, but no change of users', async () => {
    const cluster = await started({ members: 3, config });
    const { alice } = await withAlice(cluster);
    const { token } = await alice.auth.authenticate(ALICE);
    expect(token.split('.')).toHaveLength(3);
    const metadata = Metadata.of({ token });
    const range = new etcdserverpb.RangeRequest({ key: Buffer.from('a/1') });
    const get = (i: number): Promise<etcdserverpb.RangeResponse> =>
      cluster.channel(i).unary(services.KV.methods.range, range, { metadata, timeoutMs: 5_000 });
    const put = (i: number): Promise<etcdserverpb.PutResponse> =>
      cluster
        .channel(i)
        .unary(services.KV.methods.put, new etcdserverpb.PutRequest({ key: Buffer.from('a/1') }), {
          metadata,
          timeoutMs: 5_000,
        });
    for (const i of [0, 1, 2]) await put(i);
    for (const i of [0, 1, 2]) await cluster.stopMember(i);
    await Promise.all([0, 1, 2].map((i) => cluster.startMember(i)));
    await cluster.leader();
    for (const i of [0, 1, 2]) expect((await get(i)).count).toBe(1);
    const root = cluster.client(undefined, ROOT);
    await root.auth.roleAdd('unrelated');
    for (const i of [0, 1, 2]) {
      await expect(get(i)).rejects.toMatchObject(oldRevision);
      await expect(put(i)).rejects.toMatchObject(oldRevision);
    }
    const late = cluster.client(undefined, ALICE);
    await late.kv.put('a/1', 'x');
    await root.auth.roleDelete('unrelated');
    // A client renews its token by itself.
    await late.kv.put('a/1', 'y');
  });

  test('a key that cannot be read ends the start', async () => {
    const missing = { authToken: `jwt,sign-method=HS256,priv-key=${join(home, 'nothing')}` };
    await expect(started({ members: 1, config: missing })).rejects.toThrow('auth: invalid auth options');
    await expect(started({ members: 1, config: { authToken: 'jwt' } })).rejects.toThrow(
      'auth: invalid auth options',
    );
  });
});

describe('watches', () => {
  test('a watch ends when its permission goes', async () => {
    const cluster = await started({ members: 3 });
    const { root, alice } = await withAlice(cluster);
    const seen: string[] = [];
    let ended: unknown;
    alice.watch.create('a/', { prefix: true }).listen({
      batch: ({ events }) => seen.push(...events.map((event) => event.kv!.key.toString())),
      end: (reason) => {
        ended = reason;
      },
    });
    let kept = true;
    root.watch.create('a/', { prefix: true }).listen({
      batch: () => {},
      end: () => {
        kept = false;
      },
    });
    await until(() => {
      void alice.kv.put('a/1', 'x').catch(() => {});
      return seen.length > 0;
    }, 'the watch to be there');
    await root.auth.roleRevokePermission('a', 'a/', { prefix: true });
    await until(() => ended !== undefined, 'the watch to end');
    expect(ended).toMatchObject(denied);
    await root.kv.put('a/after', 'x');
    expect(seen).not.toContain('a/after');
    expect(kept).toBe(true);
  });

  test('a watch begun before auth was on ends when it comes on', async () => {
    const cluster = await started({ members: 1 });
    let ended: unknown;
    cluster
      .client()
      .watch.create('a/', { prefix: true })
      .listen({ batch: () => {}, end: (reason) => (ended = reason) });
    await until(() => cluster.server(0).replica.hub.watcherCount === 1, 'the watch to be there');
    await withAlice(cluster);
    await until(() => ended !== undefined, 'the watch to end');
    expect(ended).toMatchObject(empty);
  });

  test('a watch beyond the permission never begins', async () => {
    const cluster = await started({ members: 1 });
    const { root, alice } = await withAlice(cluster);
    await root.auth.roleGrantPermission('a', 'read', 'b');
    for (const range of [{ fromKey: true }, { prefix: true }]) {
      let ended: unknown;
      alice.watch.create('b', range).listen({ batch: () => {}, end: (reason) => (ended = reason) });
      await until(() => ended !== undefined, 'the refusal');
      expect(ended).toMatchObject(denied);
    }
  });
});

describe('what stays', () => {
  test('a member that comes back enforces what it knew, and learns the rest', async () => {
    const cluster = await started({ members: 3 });
    const away = (await cluster.leader()) === 0 ? 1 : 0;
    const staying = [0, 1, 2].filter((i) => i !== away);
    const { root, alice } = await withAlice(cluster, staying);
    await alice.kv.put('a/1', 'x');
    await cluster.crashMember(away);
    await root.auth.userRevokeRole('alice', 'a');
    await cluster.startMember(away);
    const there = cluster.client([away], ALICE);
    await expect(there.kv.get('a/1')).rejects.toMatchObject(denied);
    await expect(cluster.client([away]).kv.get('a/1')).rejects.toMatchObject(empty);
    const { auth } = cluster.server(away).replica.state;
    expect(auth.revision).toBe(cluster.server(await cluster.leader()).replica.state.auth.revision);
  });

  test('all members restarted: users, roles and the switch are there, tokens are not', async () => {
    const cluster = await started({ members: 3 });
    const { alice } = await withAlice(cluster);
    const metadata = await tokenOf(alice, ALICE);
    await alice.kv.put('a/1', 'x');
    for (const i of [0, 1, 2]) await cluster.stopMember(i);
    await Promise.all([0, 1, 2].map((i) => cluster.startMember(i)));
    await cluster.leader();
    await expect(cluster.client().kv.get('a/1')).rejects.toMatchObject(empty);
    expect((await cluster.client(undefined, ALICE).kv.get('a/1')).count).toBe(1);
    const range = new etcdserverpb.RangeRequest({ key: Buffer.from('a/1') });
    const call = cluster.channel(0).unary(services.KV.methods.range, range, { metadata, timeoutMs: 5_000 });
    await expect(call).rejects.toMatchObject(badToken);
  });

  test('a member that is caught up by a snapshot enforces auth', async () => {
    const cluster = await started({
      members: 3,
      config: { snapshotCount: 5, snapshotCatchupEntries: 5 },
    });
    const away = (await cluster.leader()) === 0 ? 1 : 0;
    await cluster.stopMember(away);
    const staying = [0, 1, 2].filter((i) => i !== away);
    const { root, alice } = await withAlice(cluster, staying);
    for (let i = 0; i < 40; i++) await alice.kv.put('a/1', String(i));
    await cluster.startMember(away);
    const { replica } = cluster.server(away);
    await until(() => replica.state.mvcc.currentRevision === 41, 'the snapshot');
    expect(replica.state.auth.enabled).toBe(true);
    await expect(cluster.client([away]).kv.get('a/1')).rejects.toMatchObject(empty);
    expect((await cluster.client([away], ALICE).kv.get('a/1')).kvs[0].value.toString()).toBe('39');
    await expect(cluster.client([away], ALICE).kv.get('b')).rejects.toMatchObject(denied);
    expect((await root.auth.userList()).users).toEqual(['alice', 'root']);
  });
});

test('a command is refused when users changed after its caller was looked at', async () => {
  const cluster = await started({ members: 1 });
  const { root } = await withAlice(cluster);
  const { replica } = cluster.server(0);
  const identity = { username: 'alice', revision: replica.state.auth.revision };
  const body = etcdserverpb.encodePutRequest(new etcdserverpb.PutRequest({ key: Buffer.from('a/1') }));
  await replica.propose(4, body, identity);
  await root.auth.roleAdd('unrelated');
  await expect(replica.propose(4, body, identity)).rejects.toMatchObject(oldRevision);
  await expect(replica.propose(4, body)).rejects.toMatchObject(empty);
});
