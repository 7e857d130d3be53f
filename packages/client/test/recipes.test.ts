/**
 * Sessions, locks and elections at a real etcd: one owner at a time, in order; owners that lose their lease
 * without knowing it; and the fence that stops them.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Prng } from '@keelson/base';
import { StatusCode } from '@keelson/rpc';
import {
  Election,
  EtcdError,
  Lock,
  Session,
  compare,
  observeElection,
  op,
  text,
  type Client,
  type Event,
} from '@keelson/client';
import { ETCD_VERSION } from '../../base/test/etcd-process.ts';
import { Etcd } from './etcd.ts';
import { PausableClock } from './pausable-clock.ts';

const suite = ETCD_VERSION === undefined ? describe.skip : describe;
const note = ETCD_VERSION === undefined ? 'skipped: no etcd is installed' : `etcd ${ETCD_VERSION}`;

suite(`recipes (${note})`, () => {
  let etcd: Etcd;
  let admin: Client;
  const clients: Client[] = [];

  beforeAll(async () => {
    etcd = await Etcd.start();
    admin = etcd.client();
  });
  afterAll(async () => {
    admin.close();
    await etcd.stop();
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
  });

  /** As a process of its own. */
  const client = (options: Parameters<Etcd['client']>[0] = {}): Client => {
    const made = etcd.client(options);
    clients.push(made);
    return made;
  };
  const session = (ttl = 30): Promise<Session> => Session.open(client(), { ttl });
  /** Resolves once so many stand in the line. */
  const lineOf = async (name: string, count: number): Promise<void> => {
    for await (const _ of admin.watch.create(`${name}/`, { prefix: true, startRevision: 1 })) {
      if ((await admin.kv.get(`${name}/`, { prefix: true, countOnly: true })).count === count) return;
    }
  };
  const isLost = (one: Session): Promise<void> =>
    new Promise((resolve) => {
      if (!one.alive) resolve();
      one.lost.addEventListener('abort', () => resolve());
    });

  test('a session takes its keys along when it is closed', async () => {
    const one = await session();
    await admin.kv.put('s/1', 'x', { lease: one.lease });
    expect(one.alive).toBe(true);
    await one.close();
    expect(one.alive).toBe(false);
    expect(await admin.kv.value('s/1')).toBeUndefined();
    await expect(Session.open(client(), { lease: one.lease })).rejects.toMatchObject({
      reason: 'LEASE_NOT_FOUND',
    });
  });

  test('a session that is orphaned keeps its lease', async () => {
    const one = await session();
    one.orphan();
    expect((await admin.lease.timeToLive(one.lease)).TTL).toBeGreaterThan(0);
    await one.close();
    expect((await admin.lease.timeToLive(one.lease)).TTL).toBeGreaterThan(0);
  });

  test('a lock is passed on in the order of asking, with growing tokens', async () => {
    const sessions = await Promise.all([session(), session(), session()]);
    const locks = sessions.map((one) => new Lock(one, 'order'));
    const tokens: number[] = [];
    const names: number[] = [];
    const work = async (lock: Lock, index: number): Promise<void> => {
      tokens.push(await lock.acquire());
      names.push(index);
      await lock.release();
    };
    const [first, second, third] = locks;
    if (first === undefined || second === undefined || third === undefined) throw new Error('three locks');
    await first.acquire();
    expect(await first.acquire()).toBe(first.token);
    const later = work(second, 2);
    await lineOf('order', 2);
    const last = work(third, 3);
    await lineOf('order', 3);
    await expect(new Lock(await session(), 'order').tryAcquire()).rejects.toMatchObject({ reason: 'LOCKED' });
    expect(names).toEqual([]);
    const token = first.token;
    await first.release();
    expect(first.token).toBe(0);
    await Promise.all([later, last]);
    expect(names).toEqual([2, 3]);
    expect(tokens[0]).toBeGreaterThan(token);
    expect(tokens[1]).toBeGreaterThan(tokens[0] ?? Infinity);
    expect(await new Lock(await session(), 'order').tryAcquire()).toBeGreaterThan(tokens[1] ?? Infinity);
  });

  test('the fence is down before a lock is taken and after it was released', async () => {
    const lock = new Lock(await session(), 'fence');
    const fenced = async (): Promise<boolean> =>
      (await admin.kv.txn({ compare: [lock.held()], success: [op.put('fenced', 'x')] })).succeeded;
    expect(await fenced()).toBe(false);
    await lock.acquire();
    expect(await fenced()).toBe(true);
    await lock.release();
    expect(await fenced()).toBe(false);
  });

  test('who gives up waiting leaves the line', async () => {
    const held = new Lock(await session(), 'give-up');
    await held.acquire();
    const stop = new AbortController();
    const waiting = new Lock(await session(), 'give-up').acquire({ signal: stop.signal });
    await lineOf('give-up', 2);
    stop.abort();
    await expect(waiting).rejects.toMatchObject({ reason: 'CANCELLED' });
    expect((await admin.kv.get('give-up/', { prefix: true })).count).toBe(1);
    expect(await admin.kv.value(held.key)).toBeDefined();
  });

  test('who loses the session while waiting is told, and never gets the lock', async () => {
    const held = new Lock(await session(), 'lost-waiting');
    await held.acquire();
    const other = await session();
    const waiting = new Lock(other, 'lost-waiting').acquire();
    await lineOf('lost-waiting', 2);
    await admin.lease.revoke(other.lease);
    await held.release();
    await expect(waiting).rejects.toMatchObject({ reason: 'SESSION_EXPIRED' });
  });

  test('an owner that sleeps through its lease believes in its lock, and its fenced write fails', async () => {
    const clock = new PausableClock();
    const sleeper = await Session.open(client({ clock }), { ttl: 1 });
    const lock = new Lock(sleeper, 'sleep');
    const token = await lock.acquire();
    const next = new Lock(await session(), 'sleep');
    const acquired = next.acquire();
    clock.sleep();
    const later = await acquired;
    expect(later).toBeGreaterThan(token);
    await admin.kv.txn({ compare: [next.held()], success: [op.put('ledger', 'next')] });

    // It does not know, and goes on with what it was about to write.
    expect(sleeper.alive).toBe(true);
    const write = { compare: [lock.held()], success: [op.put('ledger', 'sleeper')] };
    expect((await sleeper.client.kv.txn(write)).succeeded).toBe(false);
    expect(text((await admin.kv.value('ledger')) ?? Buffer.alloc(0))).toBe('next');

    const heard = isLost(sleeper);
    clock.wake();
    await heard;
    // Its release must not let a third one in beside the owner.
    await lock.release();
    await expect(new Lock(await session(), 'sleep').tryAcquire()).rejects.toMatchObject({ reason: 'LOCKED' });
  });

  test('a resource elsewhere that remembers the largest token refuses the older owner', async () => {
    let largest = 0;
    const accepted: string[] = [];
    const resource = (token: number, what: string): boolean => {
      if (token < largest) return false;
      largest = token;
      accepted.push(what);
      return true;
    };
    const first = await session();
    const lock = new Lock(first, 'token');
    const token = await lock.acquire();
    expect(resource(token, 'a')).toBe(true);
    await admin.lease.revoke(first.lease);
    const other = await new Lock(await session(), 'token').acquire();
    expect(resource(other, 'b')).toBe(true);
    expect(resource(token, 'c')).toBe(false);
    expect(accepted).toEqual(['a', 'b']);
  });

  test('workers whose leases are revoked at random: fenced writes of one owner are never mixed with others', async () => {
    const seed = 7;
    const prng = new Prng(seed);
    const writes = admin.watch.create('register', { startRevision: 1 });
    const refused = { count: 0 };
    let written = 0;
    const rounds = 12;
    const worker = async (name: string): Promise<void> => {
      const own = client();
      for (let round = 0; round < rounds; round++) {
        const one = await Session.open(own, { ttl: 30 });
        const lock = new Lock(one, 'busy');
        try {
          const token = await lock.acquire();
          for (let step = 0; step < 3; step++) {
            const value = `${token} ${name} ${step}`;
            const put = { compare: [lock.held()], success: [op.put('register', value)] };
            if ((await one.client.kv.txn(put)).succeeded) written++;
            else refused.count++;
            // In the middle of its work, by another hand: it goes on without noticing.
            if (step === 0 && prng.below(3) === 0) await admin.lease.revoke(one.lease);
          }
        } finally {
          await one.close().catch(() => {});
        }
      }
    };
    await Promise.all(['a', 'b', 'c', 'd'].map(worker));
    const events: Event[] = [];
    for await (const event of writes.events()) {
      events.push(event);
      if (events.length === written) break;
    }
    const seen = events.map(({ kv }) => text(kv?.value ?? Buffer.alloc(0)).split(' '));
    for (const [index, [token, name, step]] of seen.entries()) {
      const [lastToken, lastName, lastStep] = seen[index - 1] ?? ['0', '', ''];
      if (name === lastName && token === lastToken) expect(Number(step)).toBe(Number(lastStep) + 1);
      // Another owner comes with a larger token, and nobody who had it before comes back.
      else {
        expect(Number(token)).toBeGreaterThan(Number(lastToken));
        expect(step).toBe('0');
      }
    }
    expect(refused.count).toBeGreaterThan(4);
    expect(written).toBeGreaterThan(4 * rounds);
  });

  test('an election: one leads, the next takes over, what they say is heard in order', async () => {
    const stop = new AbortController();
    const heard: string[] = [];
    const listening = (async () => {
      for await (const { kvs } of observeElection(admin, 'boss', { signal: stop.signal })) {
        heard.push(text(kvs[0]?.value ?? Buffer.alloc(0)));
        if (heard.at(-1) === 'bert') stop.abort();
      }
    })();
    const anna = new Election(await session(), 'boss');
    const bert = new Election(await session(), 'boss');
    await expect(anna.proclaim('too early')).rejects.toMatchObject({ reason: 'NOT_ELECTED' });
    const term = await anna.campaign('anna');
    const bertLeads = bert.campaign('bert');
    await lineOf('boss', 2);
    expect(text((await bert.leader())?.value ?? Buffer.alloc(0))).toBe('anna');
    await anna.proclaim('anna again');
    await anna.resign();
    expect(await bertLeads).toBeGreaterThan(term);
    await listening;
    expect(heard.filter((value) => value !== 'anna again')).toEqual(['anna', 'bert']);
    expect(anna.term).toBe(0);
    await bert.resign();
    expect(await bert.leader()).toBeUndefined();
  });

  test('a leader that was deposed cannot speak or act', async () => {
    const old = await session();
    const election = new Election(old, 'deposed');
    await election.campaign('old');
    const next = new Election(await session(), 'deposed');
    const taken = next.campaign('next');
    await lineOf('deposed', 2);
    await admin.lease.revoke(old.lease);
    await taken;
    const act = { compare: [election.leads(), compare.absent('order')], success: [op.put('order', 'old')] };
    expect((await old.client.kv.txn(act)).succeeded).toBe(false);
    await expect(election.proclaim('still me')).rejects.toMatchObject({ reason: 'NOT_ELECTED' });
    expect(text((await next.leader())?.value ?? Buffer.alloc(0))).toBe('next');
  });

  test('the same candidate campaigning again changes what it says', async () => {
    const election = new Election(await session(), 'again');
    const term = await election.campaign('one');
    expect(await election.campaign('two')).toBe(term);
    expect(text((await election.leader())?.value ?? Buffer.alloc(0))).toBe('two');
  });

  test('an answer that is lost: the place is looked up, not taken twice', async () => {
    const one = await session();
    const lock = new Lock(one, 'answer');
    const { kv } = one.client;
    const txn = kv.txn.bind(kv);
    kv.txn = async (...args) => {
      kv.txn = txn;
      await txn(...args);
      throw new EtcdError(StatusCode.Unavailable, 'connection reset');
    };
    const token = await lock.acquire();
    const { kvs } = await admin.kv.get('answer/', { prefix: true });
    expect(kvs.map((each) => [each.key.toString(), each.createRevision])).toEqual([[lock.key, token]]);
  });
});
