import { beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { StoreError } from '../errors.ts';
import { Lessor, type LeaseStore } from './lessor.ts';

const kept = new Map<bigint, { ttlSeconds: number; remainingSeconds: number }>();
const store: LeaseStore = {
  put: (lease) =>
    kept.set(lease.id, { ttlSeconds: lease.ttlSeconds, remainingSeconds: lease.remainingSeconds }),
  delete: (id) => kept.delete(id),
};
let lessor: Lessor;

beforeEach(() => {
  kept.clear();
  lessor = new Lessor(store, 2);
});

function codeOf(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return (error as StoreError).code;
  }
}

describe('grant', () => {
  test.each<[string, bigint, number, unknown]>([
    ['what was asked', 1n, 10, 10],
    ['the minimum at least', 1n, 1, 2],
    ['a TTL of zero', 1n, 0, 2],
    ['a negative TTL', 1n, -5, 2],
    ['the longest', 1n, 9_000_000_000, 9_000_000_000],
    ['one second more', 1n, 9_000_000_001, 'LEASE_TTL_TOO_LARGE'],
    ['a saturated TTL', 1n, Number.MAX_SAFE_INTEGER, 'LEASE_TTL_TOO_LARGE'],
    ['a negative id', -7n, 10, 10],
    ['id 0 is no lease', 0n, 10, 'LEASE_NOT_FOUND'],
    ['an id that is taken', 9n, 10, 'LEASE_EXISTS'],
  ])('%s', (_name, id, ttl, want) => {
    lessor.grant(9n, 10);
    expect(codeOf(() => lessor.grant(id, ttl).ttlSeconds)).toBe(want);
    expect(kept.size).toBe(typeof want === 'number' ? 2 : 1);
  });
});

describe('keys', () => {
  test('a revoke gives them in byte order and forgets them (E3)', () => {
    lessor.grant(1n, 10);
    for (const key of ['b', '\xff', 'a', 'aa', 'Z']) lessor.attach(key, 1n);
    expect(lessor.revoke(1n)).toEqual(['Z', 'a', 'aa', 'b', '\xff']);
    expect(lessor.leaseOf('a')).toBe(0n);
    expect(kept.size).toBe(0);
    expect(codeOf(() => lessor.revoke(1n))).toBe('LEASE_NOT_FOUND');
  });

  test('a key has one lease: the newest (E8)', () => {
    lessor.grant(1n, 10);
    lessor.grant(2n, 10);
    lessor.attach('k', 1n);
    lessor.attach('k', 2n);
    expect(lessor.revoke(1n)).toEqual([]);
    expect(lessor.leaseOf('k')).toBe(2n);
    lessor.attach('k', 0n);
    expect(lessor.revoke(2n)).toEqual([]);
    expect(codeOf(() => lessor.attach('k', 3n))).toBe('LEASE_NOT_FOUND');
    lessor.detach('never there');
  });
});

describe('time', () => {
  const primary = (nowMs = 0): void => lessor.promote(nowMs, 0);

  test('only the primary knows deadlines', () => {
    lessor.grant(1n, 10);
    lessor.arm(0);
    expect(lessor.hasExpired(1e12)).toBe(false);
    expect(lessor.expired(1e12, 10)).toEqual([]);
    expect(codeOf(() => lessor.renew(1n, 0))).toBe('NOT_PRIMARY');
    expect(lessor.remainingSeconds(lessor.lookup(1n)!, 5_000)).toBe(10);
  });

  test('a lease lives its whole TTL from when it was armed (E1), and no longer', () => {
    primary();
    const lease = lessor.grant(1n, 10);
    lessor.arm(1_000);
    expect(lessor.remainingSeconds(lease, 1_001)).toBe(9);
    expect(lessor.expired(10_999, 10)).toEqual([]);
    expect(lessor.hasExpired(11_000)).toBe(true);
    expect(lessor.expired(11_000, 10)).toEqual([1n]);
    expect(lessor.remainingSeconds(lease, 20_000)).toBe(0);
  });

  test('a renewal gives the whole TTL again', () => {
    primary();
    lessor.grant(1n, 10);
    lessor.arm(0);
    expect(lessor.renew(1n, 9_999)).toBe(10);
    expect(lessor.expired(19_998, 10)).toEqual([]);
    expect(lessor.expired(19_999, 10)).toEqual([1n]);
    expect(lessor.renew(7n, 0)).toBeUndefined();
  });

  test('what is due is not renewed, whether its revoke is on the way or not (E4)', () => {
    primary();
    lessor.grant(1n, 10);
    lessor.arm(0);
    expect(lessor.renew(1n, 10_000)).toBeUndefined();
    lessor.expired(10_000, 10);
    expect(lessor.renew(1n, 10_001)).toBeUndefined();
  });

  test('what is due is offered again when its revoke does not come', () => {
    primary();
    lessor.grant(1n, 10);
    lessor.arm(0);
    expect(lessor.expired(10_000, 10)).toEqual([1n]);
    expect(lessor.expired(10_001, 10)).toEqual([]);
    expect(lessor.expired(13_000, 10)).toEqual([1n]);
    lessor.revoke(1n);
    expect(lessor.expired(99_000, 10)).toEqual([]);
  });

  test('earliest first, so many at most', () => {
    primary();
    for (const [id, ttl] of [
      [3n, 5],
      [1n, 3],
      [2n, 4],
    ] as const)
      lessor.grant(id, ttl);
    lessor.arm(0);
    expect(lessor.list()).toEqual([1n, 2n, 3n]);
    expect(lessor.expired(9_000, 2)).toEqual([1n, 2n]);
    expect(lessor.expired(9_000, 2)).toEqual([3n]);
  });

  test('a new leader gives every lease its whole TTL and the extension, never less (E2)', () => {
    primary();
    lessor.grant(1n, 10);
    lessor.arm(0);
    lessor.demote();
    expect(lessor.expired(99_000, 10)).toEqual([]);
    lessor.grant(2n, 10);
    lessor.promote(50_000, 1_000);
    lessor.arm(58_000);
    expect(lessor.expired(60_999, 10)).toEqual([]);
    expect(lessor.expired(61_000, 10)).toEqual([1n, 2n]);
  });

  test('a checkpoint shortens what a promotion gives, a renewal gives the whole again', () => {
    lessor.grant(1n, 100);
    lessor.checkpoint(1n, 30);
    lessor.checkpoint(7n, 30);
    primary();
    expect(lessor.remainingSeconds(lessor.lookup(1n)!, 0)).toBe(30);
    lessor.renew(1n, 1_000);
    expect(lessor.remainingSeconds(lessor.lookup(1n)!, 1_000)).toBe(100);
  });

  test('a lease revoked before it was armed is not armed, nor its successor by its time', () => {
    primary();
    lessor.grant(1n, 2);
    lessor.revoke(1n);
    lessor.grant(1n, 10);
    lessor.arm(0);
    expect(lessor.expired(9_999, 10)).toEqual([]);
    expect(lessor.expired(10_000, 10)).toEqual([1n]);
  });
});

describe('checkpoints', () => {
  let persistent = true;

  beforeEach(() => {
    persistent = true;
    lessor = new Lessor(store, 2, { intervalMs: 300_000, persistent: () => persistent });
    lessor.promote(0, 0);
  });

  /** As the log brings them back. */
  function applied(nowMs: number, limit = 10): [bigint, number][] {
    const told = lessor.checkpoints(nowMs, limit);
    for (const { id, remainingSeconds } of told) lessor.checkpoint(id, remainingSeconds);
    lessor.arm(nowMs);
    return told.map(({ id, remainingSeconds }) => [id, remainingSeconds]);
  }

  test('only leases longer than an interval, one interval after each other', () => {
    lessor.grant(1n, 300);
    lessor.grant(2n, 301);
    lessor.grant(3n, 1_000);
    lessor.arm(0);
    expect(lessor.hasCheckpoints(299_999)).toBe(false);
    expect(lessor.hasCheckpoints(300_000)).toBe(true);
    expect(applied(300_000)).toEqual([
      [2n, 1],
      [3n, 700],
    ]);
    expect(applied(599_999)).toEqual([]);
    expect(applied(600_500)).toEqual([[3n, 400]]);
    expect(applied(900_500)).toEqual([[3n, 100]]);
    expect(lessor.hasCheckpoints(1e9)).toBe(false);
  });

  test('no more at a time than asked for, the rest at once after', () => {
    for (let id = 1n; id <= 5n; id++) lessor.grant(id, 1_000);
    lessor.arm(0);
    expect(applied(300_000, 3)).toHaveLength(3);
    expect(lessor.hasCheckpoints(300_000)).toBe(true);
    expect(applied(300_000, 3)).toHaveLength(2);
    expect(lessor.hasCheckpoints(300_000)).toBe(false);
  });

  test('what is left survives the change of the primary (E7), what was renewed has all', () => {
    lessor.grant(1n, 1_000);
    lessor.grant(2n, 1_000);
    lessor.arm(0);
    applied(300_000);
    expect(lessor.isCheckpointed(1n)).toBe(true);
    lessor.checkpoint(1n, 0);
    lessor.renew(1n, 310_000);
    lessor.arm(310_000);
    lessor.demote();
    expect(lessor.hasCheckpoints(1e9)).toBe(false);
    lessor.promote(320_000, 0);
    expect([1n, 2n].map((id) => lessor.remainingSeconds(lessor.lookup(id)!, 320_000))).toEqual([1_000, 700]);
    expect(applied(620_000)).toEqual([
      [1n, 700],
      [2n, 400],
    ]);
  });

  test('one on its way counts as told until it is applied, or this member leads no more', () => {
    lessor.grant(1n, 1_000);
    lessor.arm(0);
    expect(lessor.checkpoints(300_000, 10)).toHaveLength(1);
    expect([1n, 7n].map((id) => lessor.isCheckpointed(id))).toEqual([true, false]);
    lessor.demote();
    expect(lessor.isCheckpointed(1n)).toBe(false);
  });

  test('one that got lost is told an interval later', () => {
    lessor.grant(1n, 1_000);
    lessor.arm(0);
    expect(lessor.checkpoints(300_000, 10)).toHaveLength(1);
    expect(applied(600_000)).toEqual([[1n, 400]]);
  });

  test('a lease that was renewed just now, revoked or is due tells nothing', () => {
    for (let id = 1n; id <= 3n; id++) lessor.grant(id, id === 3n ? 301 : 1_000);
    lessor.arm(0);
    lessor.renew(1n, 301_000);
    lessor.revoke(2n);
    expect(applied(301_000)).toEqual([]);
    expect(applied(601_000)).toEqual([[1n, 700]]);
  });

  test('kept beyond a restart only where the cluster says so', () => {
    lessor.grant(1n, 1_000);
    lessor.checkpoint(1n, 400);
    expect(kept.get(1n)).toEqual({ ttlSeconds: 1_000, remainingSeconds: 400 });
    persistent = false;
    lessor.checkpoint(1n, 200);
    expect(kept.get(1n)).toEqual({ ttlSeconds: 1_000, remainingSeconds: 400 });
    expect(lessor.lookup(1n)!.termSeconds).toBe(200);
  });

  test('without an interval nothing is told', () => {
    lessor = new Lessor(store, 2);
    lessor.promote(0, 0);
    lessor.grant(1n, 9_000_000_000);
    lessor.arm(0);
    expect(lessor.hasCheckpoints(1e12)).toBe(false);
  });
});

/** The same promises kept by lists and loops. */
class DumbLessor {
  leases: { id: bigint; ttl: number; keys: Set<string>; expiresAt: number; offeredAt: number }[] = [];
  isPrimary = false;

  find(id: bigint): DumbLessor['leases'][number] | undefined {
    return this.leases.find((lease) => lease.id === id);
  }
  grant(id: bigint, ttl: number, now: number): unknown {
    if (this.find(id) !== undefined) return 'LEASE_EXISTS';
    const expiresAt = this.isPrimary ? now + Math.max(2, ttl) * 1000 : Infinity;
    this.leases.push({ id, ttl: Math.max(2, ttl), keys: new Set(), expiresAt, offeredAt: expiresAt });
    return Math.max(2, ttl);
  }
  revoke(id: bigint): unknown {
    const lease = this.find(id);
    if (lease === undefined) return 'LEASE_NOT_FOUND';
    this.leases = this.leases.filter((each) => each !== lease);
    return [...lease.keys].sort();
  }
  attach(key: string, id: bigint): unknown {
    for (const lease of this.leases) lease.keys.delete(key);
    if (id === 0n) return undefined;
    const lease = this.find(id);
    if (lease === undefined) return 'LEASE_NOT_FOUND';
    lease.keys.add(key);
    return undefined;
  }
  renew(id: bigint, now: number): unknown {
    if (!this.isPrimary) return 'NOT_PRIMARY';
    const lease = this.find(id);
    if (lease === undefined || lease.expiresAt <= now) return undefined;
    lease.expiresAt = lease.offeredAt = now + lease.ttl * 1000;
    return lease.ttl;
  }
  lead(isPrimary: boolean, now: number): unknown {
    this.isPrimary = isPrimary;
    for (const lease of this.leases)
      lease.expiresAt = lease.offeredAt = isPrimary ? now + 1000 + lease.ttl * 1000 : Infinity;
    return undefined;
  }
  expired(now: number): unknown {
    if (!this.isPrimary) return [];
    const due = this.leases.filter((lease) => lease.offeredAt <= now);
    for (const lease of due) lease.offeredAt = now + 3000;
    return due.map((lease) => lease.id).sort((a, b) => (a < b ? -1 : 1));
  }
}

test('as its dumb twin, whatever is done to both', () => {
  const id = fc.bigInt({ min: 1n, max: 5n });
  const key = fc.constantFrom('a', 'b', 'c', 'd');
  type Step = (twin: DumbLessor, real: Lessor, now: number) => [unknown, unknown];
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.tuple(id, fc.integer({ min: -1, max: 6 })).map(([i, ttl]): Step => (twin, real, now) => {
      const got = codeOf(() => real.grant(i, ttl).ttlSeconds);
      real.arm(now);
      return [twin.grant(i, ttl, now), got];
    }),
    id.map((i): Step => (twin, real) => [twin.revoke(i), codeOf(() => real.revoke(i))]),
    fc
      .tuple(key, fc.bigInt({ min: 0n, max: 5n }))
      .map(([k, i]): Step => (twin, real) => [twin.attach(k, i), codeOf(() => real.attach(k, i))]),
    key.map((k): Step => (twin, real) => [twin.attach(k, 0n), codeOf(() => real.detach(k))]),
    id.map((i): Step => (twin, real, now) => [twin.renew(i, now), codeOf(() => real.renew(i, now))]),
    fc
      .boolean()
      .map((leads): Step => (twin, real, now) => [
        twin.lead(leads, now),
        codeOf(() => (leads ? real.promote(now, 1000) : real.demote())),
      ]),
    fc.constant<Step>((twin, real, now) => [
      twin.expired(now),
      [...real.expired(now, 100)].sort((a, b) => (a < b ? -1 : 1)),
    ]),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(step, fc.integer({ min: 0, max: 3000 })), { maxLength: 60 }), (steps) => {
      const [twin, real] = [new DumbLessor(), new Lessor({ put: () => {}, delete: () => {} }, 2)];
      let now = 0;
      for (const [run, pause] of steps) {
        now += pause;
        const [want, got] = run(twin, real, now);
        expect(got).toEqual(want);
        for (const lease of twin.leases)
          expect([...real.lookup(lease.id)!.keys].sort()).toEqual([...lease.keys].sort());
        expect(real.size).toBe(twin.leases.length);
      }
    }),
    { numRuns: 500 },
  );
});
