import { describe, expect, test } from '@jest/globals';

import type { Clock } from '@keelson/base';

import { LeasePool } from './lease-pool.ts';

/** Grants 1, 2, 3 …, and remembers for how long. */
class Grants {
  readonly ttls: number[] = [];
  failing = false;

  async grant(ttl: number): Promise<{ ID: bigint }> {
    if (this.failing) throw new Error('no leader');
    this.ttls.push(ttl);
    return { ID: BigInt(this.ttls.length) };
  }
}

function pool(): { grants: Grants; pool: LeasePool; pass: (seconds: number) => void } {
  let nowMs = 5_000;
  const clock: Clock = {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    setTimer: () => ({ cancel: () => {} }),
  };
  const grants = new Grants();
  return { grants, pool: new LeasePool(grants, clock), pass: (seconds) => void (nowMs += seconds * 1000) };
}

describe('leases of what expires', () => {
  test('--lease-reuse-duration-seconds bounds how much longer one lives', async () => {
    const grants = new Grants();
    const clock: Clock = { nowMs: () => 0, monotonicMs: () => 0, setTimer: () => ({ cancel: () => {} }) };
    const leases = new LeasePool(grants, clock, 7);
    await leases.lease(3600);
    await leases.lease(100);
    expect(grants.ttls).toEqual([3607, 105]);
  });

  // As upstream's TestLeaseManager: a share of the time to live, at most a minute.
  test.each([
    [1, [1]],
    [100, [105]],
    [3600, [3660]],
    [100_000, [100_060]],
  ])('%i s asked for', async (ttl, wanted) => {
    const { grants, pool: leases } = pool();
    await leases.lease(ttl);
    expect(grants.ttls).toEqual(wanted);
  });

  test('one serves as long as it outlives the wish, for a minute at most', async () => {
    const { grants, pool: leases, pass } = pool();
    expect(await leases.lease(3600)).toBe(1n);
    pass(59);
    expect(await leases.lease(3600)).toBe(1n);
    pass(1);
    expect(await leases.lease(3600)).toBe(2n);
    // A shorter wish would live too long on it.
    expect(await leases.lease(100)).toBe(3n);
    expect(grants.ttls).toEqual([3660, 3660, 105]);
  });

  test('not more than a thousand objects on one', async () => {
    const { pool: leases } = pool();
    const ids = await Promise.all(Array.from({ length: 1_001 }, () => leases.lease(3600)));
    expect([ids[0], ids[999], ids[1000]]).toEqual([1n, 1n, 2n]);
  });

  test('one that may be gone is not given out again; a grant that fails harms nobody after it', async () => {
    const { grants, pool: leases } = pool();
    leases.forget(await leases.lease(3600));
    grants.failing = true;
    await expect(leases.lease(3600)).rejects.toThrow('no leader');
    grants.failing = false;
    expect(await leases.lease(3600)).toBe(2n);
    leases.forget(1n);
    expect(await leases.lease(3600)).toBe(2n);
  });
});
