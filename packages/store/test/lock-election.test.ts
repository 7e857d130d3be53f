/** The Lock and Election services on whole members: who has it, who waits, and what becomes of those who go. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { until } from '../../base/test/until.ts';
import { ask, LineStream, type Answer } from './http-calls.ts';
import { serving, stopServing, type Serving } from './serving.ts';

afterEach(stopServing);

const b64 = (text: string): string => Buffer.from(text).toString('base64');
const text = (base64: string): string => Buffer.from(base64, 'base64').toString();

interface Held {
  readonly key: string;
  readonly revision: number;
}

async function lease(at: Serving, id: number, seconds = 60): Promise<void> {
  expect((await at.post('/v3/lease/grant', { ID: id, TTL: seconds })).status).toBe(200);
}

async function lock(at: Serving, name: string, id: number): Promise<Held> {
  const { status, body } = await at.post('/v3/lock/lock', { name: b64(name), lease: id });
  expect([status, body]).toEqual([200, body]);
  const { key, header } = JSON.parse(body) as { key: string; header: { revision: string } };
  return { key: text(key), revision: Number(header.revision) };
}

function keysOf(at: Serving): number {
  return at.cluster.server(0).replica.state.mvcc.keysTotal;
}

describe('a lock', () => {
  test('goes from one to the next in the order they came; revisions fence', async () => {
    const at = await serving();
    const order: number[] = [];
    const revisions: number[] = [];
    for (const id of [1, 2, 3, 4]) await lease(at, id);
    const holders: Promise<void>[] = [];
    for (const id of [1, 2, 3, 4]) {
      const before = keysOf(at);
      holders.push(
        lock(at, 'm', id).then(async ({ key, revision }) => {
          expect(key).toBe(`m/${id}`);
          order.push(id);
          revisions.push(revision);
          await at.post('/v3/lock/unlock', { key: b64(key) });
        }),
      );
      await until(() => keysOf(at) > before || order.includes(id), 'the next in the queue');
    }
    await Promise.all(holders);
    expect(order).toEqual([1, 2, 3, 4]);
    expect([...revisions].sort((a, b) => a - b)).toEqual(revisions);
    expect(keysOf(at)).toBe(0);
  });

  test('taken twice by one session is one lock', async () => {
    const at = await serving();
    await lease(at, 255);
    const first = await lock(at, 'm', 255);
    expect(await lock(at, 'm', 255)).toEqual({ key: 'm/ff', revision: first.revision });
    expect(keysOf(at)).toBe(1);
  });

  test('without a lease a session of 60 seconds is made', async () => {
    const at = await serving();
    const { body } = await at.post('/v3/lock/lock', { name: b64('m') });
    const key = text((JSON.parse(body) as { key: string }).key);
    expect(key).toMatch(/^m\/[0-9a-f]{1,16}$/);
    const id = BigInt(`0x${key.slice(2)}`);
    expect(at.cluster.server(0).replica.state.lessor.lookup(id)?.ttlSeconds).toBe(60);
  });

  test('passes on when the lease of its owner ends', async () => {
    const at = await serving();
    await lease(at, 1);
    await lease(at, 2);
    await lock(at, 'm', 1);
    const next = lock(at, 'm', 2);
    await until(() => keysOf(at) === 2, 'the second in the queue');
    await at.post('/v3/lease/revoke', { ID: 1 });
    expect((await next).key).toBe('m/2');
  });

  test('who waits and goes leaves the queue', async () => {
    const at = await serving();
    await lease(at, 1);
    await lease(at, 2);
    await lock(at, 'm', 1);
    const waiting = new LineStream(`${at.url}/v3/lock/lock`, JSON.stringify({ name: b64('m'), lease: 2 }));
    waiting.finish();
    await until(() => keysOf(at) === 2, 'the second in the queue');
    waiting.close();
    await until(() => keysOf(at) === 1, 'the queue without it');
  });

  test('a session that ends while it waits has no lock', async () => {
    const at = await serving();
    await lease(at, 1);
    await lease(at, 2);
    await lock(at, 'm', 1);
    const waiting = at.post('/v3/lock/lock', { name: b64('m'), lease: 2 });
    await until(() => keysOf(at) === 2, 'the second in the queue');
    await at.post('/v3/lease/revoke', { ID: 2 });
    await at.post('/v3/lock/unlock', { key: b64('m/1') });
    expect(JSON.parse((await waiting).body)).toMatchObject({ code: 2, message: 'mutex: session is expired' });
  });

  test('on a member that does not lead', async () => {
    const at = await serving({}, 3);
    const leader = await at.cluster.leader();
    const follower = [0, 1, 2].find((i) => i !== leader)!;
    const url = `http://127.0.0.1:${at.cluster.server(follower).clientPorts[0].port}`;
    const there: Serving = {
      ...at,
      url,
      post: (path, body) => ask(url + path, { body: JSON.stringify(body) }),
    };
    await lease(there, 1);
    expect((await lock(there, 'm', 1)).key).toBe('m/1');
  });
});

describe('an election', () => {
  const campaign = (at: Serving, id: number, value: string): Promise<Answer> =>
    at.post('/v3/election/campaign', { name: b64('e'), lease: id, value: b64(value) });
  const leaderOf = async (at: Serving): Promise<string> => {
    const { body } = await at.post('/v3/election/leader', { name: b64('e') });
    const { kv, message } = JSON.parse(body) as { kv?: { value: string }; message?: string };
    return kv === undefined ? (message ?? '') : text(kv.value);
  };

  test('the first leads, the others wait; an observer hears of each', async () => {
    const at = await serving();
    for (const id of [1, 2]) await lease(at, id);
    expect(await leaderOf(at)).toBe('election: no leader');
    const observer = new LineStream(`${at.url}/v3/election/observe`, JSON.stringify({ name: b64('e') }));
    observer.finish();
    const heard = async (): Promise<string> => {
      const { result } = JSON.parse((await observer.next()) ?? '') as { result: { kv: { value: string } } };
      return text(result.kv.value);
    };
    const first = JSON.parse((await campaign(at, 1, 'one')).body) as { leader: Record<string, string> };
    expect(await heard()).toBe('one');
    const second = campaign(at, 2, 'two');
    await until(() => keysOf(at) === 2, 'the second candidate');
    expect(await leaderOf(at)).toBe('one');
    const proclaimed = await at.post('/v3/election/proclaim', { leader: first.leader, value: b64('uno') });
    expect(proclaimed.status).toBe(200);
    expect(await heard()).toBe('uno');
    // Who does not lead cannot speak for the leader.
    const early = { ...first.leader, key: b64('e/2'), lease: '2' };
    expect((await at.post('/v3/election/proclaim', { leader: early, value: b64('x') })).body).toContain(
      'not leader',
    );
    await at.post('/v3/election/resign', { leader: first.leader });
    const elected = JSON.parse((await second).body) as { leader: Record<string, string> };
    expect(text(elected.leader.key)).toBe('e/2');
    expect(await heard()).toBe('two');
    expect(Number(elected.leader.rev)).toBeGreaterThan(Number(first.leader.rev));
    observer.close();
  });

  test('campaigning again with another value proclaims it', async () => {
    const at = await serving();
    await lease(at, 1);
    const once = JSON.parse((await campaign(at, 1, 'a')).body) as { leader: { rev: string } };
    const again = JSON.parse((await campaign(at, 1, 'b')).body) as { leader: { rev: string } };
    expect(again.leader.rev).toBe(once.leader.rev);
    expect(await leaderOf(at)).toBe('b');
  });

  test('a candidate who goes leaves the queue', async () => {
    const at = await serving();
    for (const id of [1, 2]) await lease(at, id);
    await campaign(at, 1, 'one');
    const waiting = new LineStream(
      `${at.url}/v3/election/campaign`,
      JSON.stringify({ name: b64('e'), lease: 2, value: b64('two') }),
    );
    waiting.finish();
    await until(() => keysOf(at) === 2, 'the second candidate');
    waiting.close();
    await until(() => keysOf(at) === 1, 'the queue without it');
    expect(await leaderOf(at)).toBe('one');
  });
});

test("with authentication on, a caller's token counts inside as well, and the gateway takes it from Authorization", async () => {
  const at = await serving({ bcryptCost: 4 });
  const good = async (path: string, body: unknown): Promise<void> => {
    expect([path, (await at.post(path, body)).status]).toEqual([path, 200]);
  };
  await good('/v3/auth/user/add', { name: 'root', password: 'top' });
  await good('/v3/auth/user/grant', { user: 'root', role: 'root' });
  await good('/v3/auth/user/add', { name: 'alice', password: 'a' });
  await good('/v3/auth/role/add', { name: 'm' });
  await good('/v3/auth/role/grant', {
    name: 'm',
    perm: { permType: 'READWRITE', key: b64('m/'), range_end: b64('m0') },
  });
  await good('/v3/auth/user/grant', { user: 'alice', role: 'm' });
  await good('/v3/auth/enable', {});
  const login = await at.post('/v3/auth/authenticate', { name: 'alice', password: 'a' });
  const { token } = JSON.parse(login.body) as { token: string };
  const nobody = await at.post('/v3/kv/range', { key: b64('m/1') });
  expect([nobody.status, JSON.parse(nobody.body)]).toEqual([
    400,
    { code: 3, message: 'etcdserver: user name is empty', details: [] },
  ]);
  const wrong = await at.post('/v3/kv/range', { key: b64('m/1') }, { Authorization: 'nothing' });
  expect([wrong.status, JSON.parse(wrong.body)]).toEqual([
    401,
    { code: 16, message: 'etcdserver: invalid auth token', details: [] },
  ]);
  const asAlice = { Authorization: token };
  expect((await at.post('/v3/kv/put', { key: b64('m/1') }, asAlice)).status).toBe(200);
  expect(
    (await at.post('/v3/kv/put', { key: b64('m/1') }, { Authorization: `Bearer ${token}` })).status,
  ).toBe(200);
  const denied = await at.post('/v3/kv/put', { key: b64('n') }, asAlice);
  expect([denied.status, JSON.parse(denied.body)]).toEqual([
    403,
    { code: 7, message: 'etcdserver: permission denied', details: [] },
  ]);
  await at.post('/v3/kv/deleterange', { key: b64('m/1') }, asAlice);
  expect((await at.post('/v3/lease/grant', { ID: 7, TTL: 60 }, asAlice)).status).toBe(200);
  const held = await at.post('/v3/lock/lock', { name: b64('m'), lease: 7 }, asAlice);
  expect([held.status, text((JSON.parse(held.body) as { key: string }).key)]).toEqual([200, 'm/7']);
  const elsewhere = await at.post('/v3/lock/lock', { name: b64('n'), lease: 7 }, asAlice);
  expect(JSON.parse(elsewhere.body)).toEqual({
    code: 2,
    message: 'etcdserver: permission denied',
    details: [],
  });
  // Who asks how the member is need not be known.
  for (const path of ['/health', '/readyz', '/livez', '/metrics', '/version'])
    expect([path, (await ask(at.url + path)).status]).toEqual([path, 200]);
});
