/** Every method of the client against a real etcd. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { compare, op, text, EtcdError, type CasCondition, type Client } from '@keelson/client';
import { StatusCode } from '@keelson/rpc';
import { ETCD_VERSION } from '../../base/test/etcd-process.ts';
import { Etcd } from './etcd.ts';
import { freePorts } from '../../base/test/free-ports.ts';

const suite = ETCD_VERSION === undefined ? describe.skip : describe;
const note = ETCD_VERSION === undefined ? 'skipped: no etcd is installed' : `etcd ${ETCD_VERSION}`;

async function failure(promise: Promise<unknown>): Promise<EtcdError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof EtcdError) return error;
    throw error;
  }
  throw new Error('the call did not fail');
}

suite(`a real server (${note})`, () => {
  let etcd: Etcd;
  let client: Client;
  let counter = 0;
  let base = '';

  beforeAll(async () => {
    etcd = await Etcd.start();
    client = etcd.client();
  });
  afterAll(async () => {
    client.close();
    await etcd.stop();
  });
  beforeEach(() => {
    base = `test${++counter}/`;
  });

  describe('kv', () => {
    test('put, get, delete', async () => {
      const put = await client.kv.put(`${base}a`, 'one');
      expect(put.prevKv).toBeUndefined();
      const again = await client.kv.put(`${base}a`, 'two', { prevKv: true });
      expect(text(again.prevKv?.value ?? Buffer.alloc(0))).toBe('one');
      expect(again.header?.revision).toBe((put.header?.revision ?? 0) + 1);
      const { kvs, count, more } = await client.kv.get(`${base}a`);
      expect([count, more]).toEqual([1, false]);
      expect(kvs[0]).toMatchObject({ version: 2, lease: 0n, createRevision: put.header?.revision });
      expect(text(kvs[0]?.key ?? Buffer.alloc(0))).toBe(`${base}a`);
      expect(await client.kv.value(`${base}a`)).toEqual(Buffer.from('two'));
      const old = await client.kv.get(`${base}a`, { revision: put.header?.revision ?? 0 });
      expect(old.kvs[0]?.value.toString()).toBe('one');
      const gone = await client.kv.delete(`${base}a`, { prevKv: true });
      expect([gone.deleted, gone.prevKvs[0]?.version]).toEqual([1, 2]);
      expect(await client.kv.value(`${base}a`)).toBeUndefined();
      expect((await client.kv.delete(`${base}a`)).deleted).toBe(0);
    });

    test('keys and values are bytes', async () => {
      const key = Buffer.concat([Buffer.from(base), Buffer.from([0, 255, 128])]);
      const value = Buffer.from(Array.from({ length: 256 }, (_unused, i) => i));
      await client.kv.put(key, new Uint8Array(value));
      const { kvs } = await client.kv.get(key);
      expect(kvs[0]?.key).toEqual(key);
      expect(kvs[0]?.value).toEqual(value);
      await client.kv.put(`${base}ümlaut`, 'ß');
      expect((await client.kv.get(`${base}ümlaut`)).kvs[0]?.value).toEqual(Buffer.from('ß'));
    });

    test('ranges, limits, order, filters', async () => {
      const revisions: number[] = [];
      for (const key of ['b', 'a', 'd', 'c']) {
        revisions.push((await client.kv.put(base + key, `v${key}`)).header?.revision ?? 0);
      }
      const keys = async (options: Parameters<Client['kv']['get']>[1], from = base): Promise<string> =>
        (await client.kv.get(from, options)).kvs.map((kv) => kv.key.toString().slice(base.length)).join('');
      expect(await keys({ prefix: true })).toBe('abcd');
      expect(await keys({ prefix: true, order: 'descend' })).toBe('dcba');
      expect(await keys({ prefix: true, sortBy: 'mod' })).toBe('badc');
      expect(await keys({ prefix: true, sortBy: 'create', order: 'descend' })).toBe('cdab');
      expect(await keys({ prefix: true, sortBy: 'value', order: 'descend', limit: 2 })).toBe('dc');
      expect(await keys({ prefix: true, sortBy: 'version' })).toHaveLength(4);
      expect(await keys({ end: `${base}c` }, `${base}b`)).toBe('b');
      expect((await keys({ fromKey: true, limit: 2 }, `${base}c`)).slice(0, 2)).toBe('cd');
      expect(await keys({ prefix: true, minModRevision: revisions[2] ?? 0 })).toBe('cd');
      expect(await keys({ prefix: true, maxCreateRevision: revisions[1] ?? 0 })).toBe('ab');
      expect(await keys({ prefix: true, serializable: true })).toBe('abcd');
      const limited = await client.kv.get(base, { prefix: true, limit: 3 });
      expect([limited.kvs.length, limited.count, limited.more]).toEqual([3, 4, true]);
      const counted = await client.kv.get(base, { prefix: true, countOnly: true });
      expect([counted.kvs.length, counted.count]).toEqual([0, 4]);
      const bare = await client.kv.get(base, { prefix: true, keysOnly: true });
      expect(bare.kvs.every((kv) => kv.value.length === 0)).toBe(true);
      expect((await client.kv.get('', { prefix: true })).count).toBeGreaterThanOrEqual(4);
      expect((await client.kv.delete(base, { prefix: true })).deleted).toBe(4);
    });

    test('a range in pages is one snapshot of it', async () => {
      await Promise.all(Array.from({ length: 25 }, (_u, i) => client.kv.put(`${base}${i + 10}`, 'x')));
      const seen: string[] = [];
      const sizes: number[] = [];
      for await (const page of client.kv.pages(base, { prefix: true, pageSize: 10 })) {
        sizes.push(page.kvs.length);
        seen.push(...page.kvs.map((kv) => kv.key.toString()));
        await client.kv.put(`${base}zz${sizes.length}`, 'later');
      }
      expect(sizes).toEqual([10, 10, 5]);
      expect(new Set(seen).size).toBe(25);
      expect(seen.some((key) => key.includes('zz'))).toBe(false);
      const limited: number[] = [];
      for await (const page of client.kv.pages(base, { prefix: true, pageSize: 10, limit: 12 })) {
        limited.push(page.kvs.length);
      }
      expect(limited).toEqual([10, 2]);
    });

    test('ignoreValue and ignoreLease keep what is there', async () => {
      const { ID } = await client.lease.grant(100);
      await client.kv.put(`${base}a`, 'kept', { lease: ID });
      await client.kv.put(`${base}a`, '', { ignoreValue: true });
      expect((await client.kv.get(`${base}a`)).kvs[0]).toMatchObject({
        lease: 0n,
        value: Buffer.from('kept'),
      });
      await client.kv.put(`${base}a`, 'x', { lease: ID });
      await client.kv.put(`${base}a`, 'new', { ignoreLease: true });
      expect((await client.kv.get(`${base}a`)).kvs[0]).toMatchObject({
        lease: ID,
        value: Buffer.from('new'),
      });
      await client.lease.revoke(ID);
    });

    test('a transaction compares, branches and nests', async () => {
      await client.kv.put(`${base}a`, '1');
      await client.kv.put(`${base}c`, 'x');
      const run = (value: string): ReturnType<Client['kv']['txn']> =>
        client.kv.txn({
          compare: [compare.value(`${base}a`, '=', value), compare.lease(`${base}a`, '=', 0n)],
          success: [
            op.put(`${base}b`, 'yes'),
            op.txn({
              compare: [compare.version(`${base}a`, '>', 5)],
              failure: [op.get(base, { prefix: true }), op.delete(`${base}c`)],
            }),
          ],
          failure: [op.get(`${base}a`)],
        });
      const yes = await run('1');
      expect(yes.succeeded).toBe(true);
      expect(yes.responses[1]?.responseTxn?.succeeded).toBe(false);
      expect(yes.responses[1]?.responseTxn?.responses[0]?.responseRange?.count).toBe(3);
      expect(yes.responses[1]?.responseTxn?.responses[1]?.responseDeleteRange?.deleted).toBe(1);
      const no = await run('2');
      expect(no.succeeded).toBe(false);
      expect(no.responses[0]?.responseRange?.kvs[0]?.value.toString()).toBe('1');
      expect((await client.kv.txn({})).succeeded).toBe(true);
    });

    test.each<[string, (key: string) => ReturnType<typeof compare.value>, boolean]>([
      ['value equal', (k) => compare.value(k, '=', 'v'), true],
      ['value not equal', (k) => compare.value(k, '!=', 'v'), false],
      ['value less', (k) => compare.value(k, '<', 'w'), true],
      ['value of an absent key, unequal', (k) => compare.value(`${k}absent`, '!=', 'v'), false],
      ['version', (k) => compare.version(k, '=', 1), true],
      ['version of an absent key', (k) => compare.version(`${k}absent`, '=', 0), true],
      ['create revision', (k) => compare.createRevision(k, '>', 0), true],
      ['mod revision', (k) => compare.modRevision(k, '<', 2), false],
      ['exists', (k) => compare.exists(k), true],
      ['absent', (k) => compare.absent(k), false],
      ['absent, of an absent key', (k) => compare.absent(`${k}absent`), true],
      ['a range, all', (k) => compare.version(k, '=', 1, { prefix: true }), true],
    ])('comparison: %s', async (_name, make, want) => {
      await client.kv.put(`${base}k`, 'v');
      const { succeeded } = await client.kv.txn({ compare: [make(`${base}k`)] });
      expect(succeeded).toBe(want);
    });

    test('compaction: old revisions are gone, with the words of the server', async () => {
      await client.kv.put(`${base}a`, '1');
      const { header } = await client.kv.put(`${base}a`, '2');
      const revision = header?.revision ?? 0;
      await client.kv.compact(revision, { physical: true });
      const old = await failure(client.kv.get(`${base}a`, { revision: revision - 1 }));
      expect([old.reason, old.code, old.definite]).toEqual(['COMPACTED', StatusCode.OutOfRange, true]);
      expect(old.message).toBe('etcdserver: mvcc: required revision has been compacted');
      const future = await failure(client.kv.get(`${base}a`, { revision: revision + 1000 }));
      expect(future.reason).toBe('FUTURE_REVISION');
      expect((await failure(client.kv.compact(revision))).reason).toBe('COMPACTED');
    });

    test.each<[string, (c: Client, k: string) => Promise<unknown>, string, boolean]>([
      ['empty key', (c) => c.kv.put('', 'x'), 'etcdserver: key is not provided', true],
      [
        'unknown lease',
        (c, k) => c.kv.put(k, 'x', { lease: 12345n }),
        'etcdserver: requested lease not found',
        true,
      ],
      [
        'ignoreValue with a value',
        (c, k) => c.kv.put(k, 'x', { ignoreValue: true }),
        'etcdserver: value is provided',
        true,
      ],
      [
        'ignoreLease of an absent key',
        (c, k) => c.kv.put(`${k}-`, 'x', { ignoreLease: true }),
        'etcdserver: key not found',
        true,
      ],
      [
        'a key twice in a transaction',
        (c, k) => c.kv.txn({ success: [op.put(k, '1'), op.put(k, '2')] }),
        'etcdserver: duplicate key given in txn request',
        true,
      ],
      ['too large', (c, k) => c.kv.put(k, Buffer.alloc(1_600_000)), 'etcdserver: request is too large', true],
    ])('refused: %s', async (_name, call, message, definite) => {
      const error = await failure(call(client, `${base}k`));
      expect([error.message, error.definite]).toEqual([message, definite]);
    });
  });

  describe('cas and cad', () => {
    type Row = [string, string | undefined, (kv: { mod: number }) => CasCondition, boolean];
    const rows: Row[] = [
      ['the value it has', 'old', () => ({ prevValue: 'old' }), true],
      ['the value as bytes', 'old', () => ({ prevValue: Buffer.from('old') }), true],
      ['another value', 'old', () => ({ prevValue: 'other' }), false],
      ['the empty value, which it has', '', () => ({ prevValue: '' }), true],
      ['the empty value, and it has another', 'old', () => ({ prevValue: '' }), false],
      ['its mod revision', 'old', ({ mod }) => ({ prevModRevision: mod }), true],
      ['an older mod revision', 'old', ({ mod }) => ({ prevModRevision: mod - 1 }), false],
      ['its version', 'old', () => ({ prevVersion: 1 }), true],
      ['another version', 'old', () => ({ prevVersion: 2 }), false],
      ['that it exists', 'old', () => ({ prevExist: true }), true],
      ['two that hold', 'old', ({ mod }) => ({ prevValue: 'old', prevModRevision: mod }), true],
      ['two, of which one holds', 'old', () => ({ prevValue: 'old', prevVersion: 9 }), false],
      ['a value, of an absent key', undefined, () => ({ prevValue: '' }), false],
      ['that it exists, of an absent key', undefined, () => ({ prevExist: true }), false],
      ['a version, of an absent key', undefined, () => ({ prevVersion: 1 }), false],
    ];
    const casRows: Row[] = [
      ...rows,
      ['that it does not exist, and it does', 'old', () => ({ prevExist: false }), false],
      ['that it does not exist, and it does not', undefined, () => ({ prevExist: false }), true],
      ['mod revision 0, of an absent key', undefined, () => ({ prevModRevision: 0 }), true],
    ];

    const prepare = async (value: string | undefined): Promise<{ mod: number }> =>
      value === undefined
        ? { mod: 0 }
        : { mod: (await client.kv.put(`${base}k`, value)).header?.revision ?? 0 };

    test.each(casRows)('cas on %s', async (_name, before, condition, succeeded) => {
      const kv = await prepare(before);
      const result = await client.kv.cas(`${base}k`, condition(kv), 'new');
      expect(result.succeeded).toBe(succeeded);
      expect(result.revision).toBeGreaterThan(0);
      expect(result.current?.value.toString()).toBe(succeeded ? undefined : before);
      expect(result.previous?.value.toString()).toBe(succeeded ? before : undefined);
      expect((await client.kv.value(`${base}k`))?.toString()).toBe(succeeded ? 'new' : before);
    });

    test.each([
      ...rows,
      ['mod revision 0, of an absent key', undefined, () => ({ prevModRevision: 0 }), false] satisfies Row,
    ])('cad on %s', async (_name, before, condition, succeeded) => {
      const kv = await prepare(before);
      const result = await client.kv.cad(`${base}k`, condition(kv));
      expect(result.succeeded).toBe(succeeded);
      expect(result.current?.value.toString()).toBe(succeeded ? undefined : before);
      expect(result.previous?.value.toString()).toBe(succeeded ? before : undefined);
      expect((await client.kv.value(`${base}k`))?.toString()).toBe(succeeded ? undefined : before);
    });

    test('without a condition they are refused here', async () => {
      await expect(client.kv.cas('k', {}, 'v')).rejects.toBeInstanceOf(TypeError);
      await expect(client.kv.cad('k', { prevExist: false })).rejects.toBeInstanceOf(TypeError);
    });

    test('of many that swap one counter, every step is taken exactly once', async () => {
      await client.kv.put(`${base}n`, '0');
      await Promise.all(
        Array.from({ length: 5 }, async () => {
          for (let done = 0; done < 5;) {
            const current = (await client.kv.get(`${base}n`)).kvs[0];
            const next = String(Number(current?.value.toString()) + 1);
            const swap = await client.kv.cas(
              `${base}n`,
              { prevModRevision: current?.modRevision ?? 0 },
              next,
            );
            if (swap.succeeded) done++;
          }
        }),
      );
      expect((await client.kv.value(`${base}n`))?.toString()).toBe('25');
    });

    test('a swap can attach a lease', async () => {
      const { ID } = await client.lease.grant(60);
      await client.kv.cas(`${base}k`, { prevExist: false }, 'v', { lease: ID });
      expect((await client.kv.get(`${base}k`)).kvs[0]?.lease).toBe(ID);
      await client.lease.revoke(ID);
    });
  });

  describe('lease', () => {
    test('grant, look, list, revoke', async () => {
      const granted = await client.lease.grant(50, { id: 0x7fff_ffff_ffff_0000n + BigInt(counter) });
      expect([granted.ID, granted.TTL]).toEqual([0x7fff_ffff_ffff_0000n + BigInt(counter), 50]);
      await client.kv.put(`${base}a`, 'x', { lease: granted.ID });
      const left = await client.lease.timeToLive(granted.ID, { keys: true });
      expect(left.grantedTTL).toBe(50);
      expect(left.TTL).toBeGreaterThan(40);
      expect(left.keys.map(String)).toEqual([`${base}a`]);
      expect((await client.lease.leases()).leases.map((lease) => lease.ID)).toContain(granted.ID);
      await client.lease.revoke(granted.ID);
      expect(await client.kv.value(`${base}a`)).toBeUndefined();
      expect((await client.lease.timeToLive(granted.ID)).TTL).toBe(-1);
      expect((await failure(client.lease.revoke(granted.ID))).reason).toBe('LEASE_NOT_FOUND');
      const duplicate = await client.lease.grant(50, { id: granted.ID });
      expect((await failure(client.lease.grant(50, { id: duplicate.ID }))).reason).toBe('LEASE_EXISTS');
    });

    test('a keeper renews past the TTL, and says when the lease is gone', async () => {
      const { ID, TTL } = await client.lease.grant(2);
      await client.kv.put(`${base}a`, 'x', { lease: ID });
      let renewals = 0;
      let beyond: () => void = () => {};
      const renewedOften = new Promise<void>((resolve) => (beyond = resolve));
      let lose: (error: EtcdError) => void = () => {};
      const lost = new Promise<EtcdError>((resolve) => (lose = resolve));
      const startedMs = performance.now();
      const keeper = client.lease.keepAlive(ID, {
        renewed: () => {
          renewals++;
          if (performance.now() - startedMs > (TTL + 1) * 1000) beyond();
        },
        lost: lose,
      });
      await keeper.first;
      expect(keeper.ttl).toBe(TTL);
      await renewedOften;
      // A third of the TTL apart: neither a flood nor once in a while.
      expect(renewals).toBeGreaterThanOrEqual(4);
      expect(renewals).toBeLessThanOrEqual(8);
      expect(await client.kv.value(`${base}a`)).toBeDefined();
      await client.lease.revoke(ID);
      expect((await lost).reason).toBe('LEASE_NOT_FOUND');
    });

    test('once, and a lease that does not exist', async () => {
      const { ID, TTL } = await client.lease.grant(30);
      expect(await client.lease.keepAliveOnce(ID)).toBe(TTL);
      await client.lease.revoke(ID);
      expect((await failure(client.lease.keepAliveOnce(ID))).reason).toBe('LEASE_NOT_FOUND');
    });

    test('a keeper that is stopped stops, others go on', async () => {
      const one = await client.lease.grant(60);
      const two = await client.lease.grant(60);
      const first = client.lease.keepAlive(one.ID);
      const second = client.lease.keepAlive(two.ID);
      await Promise.all([first.first, second.first]);
      first.stop();
      expect(await client.lease.keepAliveOnce(two.ID)).toBe(two.TTL);
      second.stop();
    });
  });

  describe('cluster and maintenance', () => {
    test('members', async () => {
      const { members, header } = await client.cluster.memberList();
      expect(members).toHaveLength(1);
      expect(members[0]).toMatchObject({ name: 'm1', isLearner: false, ID: header?.memberId });
      expect(members[0]?.clientURLs).toEqual([`http://${etcd.endpoint}`]);
      const id = members[0]?.ID ?? 0n;
      const updated = await client.cluster.memberUpdate(id, members[0]?.peerURLs ?? []);
      expect(updated.members).toHaveLength(1);
      expect((await failure(client.cluster.memberRemove(1n))).reason).toBe('MEMBER_NOT_FOUND');
      expect((await failure(client.cluster.memberPromote(1n))).message).toMatch(/^etcdserver: /);
      expect((await failure(client.cluster.memberAdd(['not a url']))).message).toBe(
        'etcdserver: given member URLs are invalid',
      );
    });

    test('a learner joins and leaves', async () => {
      const [port = 0] = await freePorts(1);
      const added = await client.cluster.memberAdd([`http://127.0.0.1:${port}`], { learner: true });
      expect(added.member?.isLearner).toBe(true);
      expect(added.members).toHaveLength(2);
      const early = await failure(client.cluster.memberPromote(added.member?.ID ?? 0n));
      expect(early.message).toBe(
        'etcdserver: can only promote a learner member which is in sync with leader',
      );
      const left = await client.cluster.memberRemove(added.member?.ID ?? 0n);
      expect(left.members).toHaveLength(1);
    });

    test('status, hashes, defragmentation', async () => {
      const status = await client.maintenance.status({ endpoint: etcd.endpoint });
      expect(status.version).toBe(ETCD_VERSION);
      expect(status.leader).toBe(status.header?.memberId);
      expect(status.dbSize).toBeGreaterThan(0);
      const { header } = await client.kv.put(`${base}a`, 'x');
      const hash = await client.maintenance.hashKV({ revision: header?.revision ?? 0 });
      expect(hash.hash).toBeGreaterThan(0);
      expect(await client.maintenance.hashKV({ revision: header?.revision ?? 0 })).toMatchObject({
        hash: hash.hash,
      });
      expect((await client.maintenance.hash()).hash).toBeGreaterThan(0);
      await client.maintenance.defragment();
      expect(await client.kv.value(`${base}a`)).toBeDefined();
      await expect(client.maintenance.status({ endpoint: '127.0.0.1:1' })).rejects.toMatchObject({
        code: StatusCode.InvalidArgument,
      });
    });

    test('alarms are raised, seen, felt and disarmed', async () => {
      const { header } = await client.maintenance.alarms();
      const member = header?.memberId ?? 0n;
      await client.maintenance.alarmActivate(member, 'NOSPACE');
      expect((await client.maintenance.alarms()).alarms).toEqual([
        expect.objectContaining({ memberID: member, alarm: 1 }),
      ]);
      const full = await failure(client.kv.put(`${base}a`, 'x'));
      // The one refusal that may hide an effect: the entry that finds the disk full is applied.
      expect([full.reason, full.definite]).toEqual(['NO_SPACE', false]);
      await client.maintenance.alarmDisarm(member, 'NOSPACE');
      expect((await client.maintenance.alarms()).alarms).toEqual([]);
      await client.kv.put(`${base}a`, 'x');
    });

    test('a snapshot ends with the hash of what came before', async () => {
      await client.kv.put(`${base}a`, Buffer.alloc(100_000, 7));
      const chunks: Buffer[] = [];
      for await (const chunk of client.maintenance.snapshot()) chunks.push(chunk.blob);
      const all = Buffer.concat(chunks);
      expect(all.length % 512).toBe(32);
      const digest = createHash('sha256').update(all.subarray(0, -32)).digest();
      expect(all.subarray(-32)).toEqual(digest);
    });

    test('leadership cannot go to a member that is not there; a downgrade is not known to 3.4', async () => {
      expect((await failure(client.maintenance.moveLeader(1n))).message).toBe(
        'etcdserver: bad leader transferee',
      );
      if (ETCD_VERSION?.startsWith('3.4') === true) {
        expect((await failure(client.maintenance.downgrade('VALIDATE', '3.3.0'))).code).toBe(
          StatusCode.Unimplemented,
        );
      }
    });

    test('endpoints can be asked of the cluster', async () => {
      const other = etcd.client();
      await other.syncEndpoints();
      expect(other.endpoints).toEqual([etcd.endpoint]);
      expect(await other.kv.value('nothing')).toBeUndefined();
      other.close();
    });
  });

  describe('deadlines and ends', () => {
    test('a signal that is aborted ends the call', async () => {
      const error = await failure(client.kv.get('k', { signal: AbortSignal.abort() }));
      expect(error.reason).toBe('CANCELLED');
    });

    test('a closed client refuses', async () => {
      const other = etcd.client();
      await other.kv.get('k');
      other.close();
      expect((await failure(other.kv.get('k'))).reason).toBe('CLOSED');
      expect((await failure(other.kv.put('k', 'v'))).definite).toBe(true);
      const watcher = other.watch.create('k');
      await expect(watcher[Symbol.asyncIterator]().next()).rejects.toMatchObject({ reason: 'CLOSED' });
    });
  });
});

suite(`authentication (${note})`, () => {
  let etcd: Etcd;
  const open: Client[] = [];
  const connect = (user?: string, password?: string): Client => {
    const made = etcd.client({
      ...(user === undefined ? {} : { user }),
      ...(password === undefined ? {} : { password }),
    });
    open.push(made);
    return made;
  };

  beforeAll(async () => {
    etcd = await Etcd.start();
  });
  afterAll(() => etcd.stop());
  afterEach(() => {
    for (const made of open.splice(0)) made.close();
  });

  test('every call of the service, and what users may do', async () => {
    const plain = connect();
    // Credentials while authentication is off do no harm, and count once it is on.
    const root = connect('root', 'secret');
    await root.kv.put('before', 'x');
    await plain.auth.userAdd('root', 'secret');
    await plain.auth.roleAdd('root');
    await plain.auth.userGrantRole('root', 'root');
    await plain.auth.userAdd('ann', 'first');
    await plain.auth.userChangePassword('ann', 'pw');
    await plain.auth.roleAdd('reader');
    await plain.auth.roleGrantPermission('reader', 'read', 'public/', { prefix: true });
    await plain.auth.roleGrantPermission('reader', 'readwrite', 'own');
    await plain.auth.userGrantRole('ann', 'reader');
    expect((await plain.auth.userList()).users.toSorted()).toEqual(['ann', 'root']);
    expect((await plain.auth.roleList()).roles.toSorted()).toEqual(['reader', 'root']);
    expect((await plain.auth.userGet('ann')).roles).toEqual(['reader']);
    const { perm } = await plain.auth.roleGet('reader');
    expect(perm.map((p) => [p.permType, p.key.toString(), p.rangeEnd.toString()])).toEqual([
      [2, 'own', ''],
      [0, 'public/', 'public0'],
    ]);
    await plain.kv.put('public/a', 'hello');
    await plain.auth.enable();

    expect((await failure(plain.kv.get('public/a'))).reason).toBe('USER_EMPTY');
    await root.kv.put('secret', 'x');
    const ann = connect('ann', 'pw');
    expect((await ann.kv.value('public/a'))?.toString()).toBe('hello');
    await ann.kv.put('own', 'mine');
    const denied = await failure(ann.kv.put('public/a', 'x'));
    expect([denied.reason, denied.code, denied.definite]).toEqual([
      'PERMISSION_DENIED',
      StatusCode.PermissionDenied,
      true,
    ]);
    const wrong = await failure(connect('ann', 'first').kv.get('own'));
    expect(wrong.message).toBe('etcdserver: authentication failed, invalid user ID or password');
    expect((await ann.auth.authenticate({ user: 'ann', password: 'pw' })).token).not.toBe('');

    // A watch of what one may not read is refused, one of what one may is not.
    const refused = ann.watch.create('secret');
    await expect(refused[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      reason: 'PERMISSION_DENIED',
    });
    const allowed = ann.watch.create('public/', { prefix: true });
    await allowed.created;
    await root.kv.put('public/b', 'x');
    for await (const event of allowed.events()) {
      expect(event.kv?.key.toString()).toBe('public/b');
      break;
    }

    // Changing a user makes tokens stale; the client takes a new one, also for a write.
    await root.auth.userGrantRole('ann', 'root');
    await ann.kv.put('secret', 'changed');
    await root.auth.userRevokeRole('ann', 'root');
    expect((await failure(ann.kv.put('secret', 'again'))).reason).toBe('PERMISSION_DENIED');

    // A restart forgets simple tokens: calls and watches go on by themselves.
    const watching = ann.watch.create('own');
    await watching.created;
    await etcd.kill();
    await etcd.run().catch(() => {});
    expect((await ann.kv.value('own', { timeoutMs: 20_000 }))?.toString()).toBe('mine');
    await ann.kv.put('own', 'later');
    for await (const event of watching.events()) {
      expect(event.kv?.value.toString()).toBe('later');
      break;
    }

    await root.auth.roleRevokePermission('reader', 'own');
    await root.auth.roleDelete('reader');
    await root.auth.userDelete('ann');
    await root.auth.disable();
    expect((await plain.auth.userList()).users).toEqual(['root']);
    expect((await plain.kv.value('secret'))?.toString()).toBe('changed');
  });
});
