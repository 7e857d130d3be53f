import { describe, expect, test } from '@jest/globals';
import { etcdserverpb } from '@keelson/proto';
import fc from 'fast-check';
import { bytes, FALSE, Machine, op, txn, TRUE } from '../../test/machine.ts';
import type { PrefixRule } from '../config/prefix-rules.ts';
import { Claim, deleteClaims, putClaims, txnClaims, type Claims } from './claims.ts';
import { PrefixLimits, prefixText, refusalText } from './prefix-limits.ts';
import { RuleSet } from './rule-set.ts';

function rule(prefix: string, fields: Partial<PrefixRule> = {}): PrefixRule {
  const none = { keysMax: Infinity, bytesMax: Infinity, writesPerSecond: Infinity, burst: Infinity };
  return { prefix, ...none, ...fields };
}

const PREFIXES = ['', '/a/', '/a/b/', '/a/b/c', '/ab', '/b/', '\xff'];

describe('which prefixes a key lies under', () => {
  const text = fc.stringMatching(/^[/abc\xff]{0,6}$/);

  test('all that it begins with, the longest first (twin: look at each)', () => {
    fc.assert(
      fc.property(fc.uniqueArray(text), text, (prefixes, key) => {
        const set = new RuleSet(prefixes.map((prefix) => rule(prefix)));
        const found: string[] = [];
        for (let i = set.longest(key); i >= 0; i = set.parent(i)) found.push(set.rules[i].prefix);
        const want = prefixes.filter((prefix) => key.startsWith(prefix));
        expect(found).toEqual(want.sort((a, b) => b.length - a.length));
      }),
    );
  });

  test('a range touches those above its start and those inside (twin: ask for a key in both)', () => {
    fc.assert(
      fc.property(fc.uniqueArray(text), text, text, (prefixes, key, end) => {
        fc.pre(end === '' || end > key);
        const set = new RuleSet(prefixes.map((prefix) => rule(prefix)));
        const found: string[] = [];
        set.touching(key, end, (i) => found.push(set.rules[i].prefix));
        const inside = (prefix: string): boolean =>
          key.startsWith(prefix) || (end !== '' && prefix > key && prefix < end);
        expect(found.sort()).toEqual(prefixes.filter(inside).sort());
      }),
    );
  });
});

/** A state under limits that nothing reaches. */
async function limited(
  rules: readonly PrefixRule[],
  backend?: Machine['backend'],
): Promise<{ machine: Machine; limits: PrefixLimits }> {
  const limits = new PrefixLimits(rules, () => 0);
  const machine = await Machine.open(backend, { mvcc: { census: () => limits.newCensus() } });
  return { machine, limits };
}

/** Counted key by key. */
function counted(machine: Machine, rules: readonly PrefixRule[]): Record<string, [number, number]> {
  const found = machine.state.mvcc.range('\0', '\0');
  if (typeof found === 'string') throw new Error(found);
  const want: Record<string, [number, number]> = {};
  for (const { prefix } of rules) {
    const below = found.kvs.filter((kv) => kv.keyString.startsWith(prefix));
    const size = below.reduce((sum, kv) => sum + kv.keyString.length + kv.value.length, 0);
    want[prefixText(prefix)] = [below.length, size];
  }
  return want;
}

function usedOf(limits: PrefixLimits): Record<string, [number, number]> {
  const used: Record<string, [number, number]> = {};
  for (const each of limits.entries()) used[prefixText(each.rule.prefix)] = [each.keys, each.bytes];
  return used;
}

describe('what is counted', () => {
  type Step =
    | { readonly kind: 'put' | 'delete' | 'leased'; readonly key: string; readonly value: string }
    | { readonly kind: 'range'; readonly key: string; readonly end: string }
    | { readonly kind: 'txn'; readonly key: string; readonly other: string; readonly success: boolean }
    | { readonly kind: 'revoke' | 'compact' | 'restart' };
  const key = fc.constantFrom(
    ...['/a/1', '/a/2', '/a/b/1', '/a/b/c', '/a/b/cc', '/ab', '/b/1', '\xff\xff', 'z'],
  );
  const value = fc.string({ maxLength: 5 });
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ kind: fc.constantFrom('put' as const, 'delete' as const, 'leased' as const), key, value }),
    fc.record({ kind: fc.constant('range' as const), key, end: fc.oneof(key, fc.constant('\0')) }),
    fc.record({ kind: fc.constant('txn' as const), key, other: key, success: fc.boolean() }),
    fc.record({ kind: fc.constantFrom('revoke' as const, 'compact' as const, 'restart' as const) }),
  );
  const rules = PREFIXES.map((prefix) => rule(prefix));

  test('is what is there, after any writes, ends of leases, compactions and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        let { machine, limits } = await limited(rules);
        let lease = 1n;
        machine.grant(lease);
        for (const each of steps) {
          if (each.kind === 'put') machine.put(each.key, each.value);
          else if (each.kind === 'leased') machine.put(each.key, each.value, { lease });
          else if (each.kind === 'delete') machine.delete(each.key);
          else if (each.kind === 'range') machine.delete(each.key, each.end);
          else if (each.kind === 'txn')
            machine.txn(
              txn(
                [each.success ? TRUE : FALSE],
                [op.put(each.key, 'long value'), op.txn([], [op.del(each.other)])],
                [op.del(each.key, '\0')],
              ),
            );
          else if (each.kind === 'revoke') {
            machine.revoke(lease++);
            machine.grant(lease);
          } else if (each.kind === 'compact') machine.compact(machine.revision);
          else {
            await machine.state.buffer.commit();
            ({ machine, limits } = await limited(rules, machine.backend));
          }
          expect(usedOf(limits)).toEqual(counted(machine, rules));
        }
      }),
      { numRuns: 60 },
    );
  });

  test('new prefixes are counted beside writes, and stand when that is done', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.subarray(PREFIXES),
        fc.subarray(PREFIXES),
        fc.array(fc.record({ key, value, put: fc.boolean() }), { minLength: 10, maxLength: 40 }),
        async (before, after, writes) => {
          const { machine, limits } = await limited(before.map((prefix) => rule(prefix)));
          const next = (): void => {
            const write = writes.pop();
            if (write === undefined) return;
            if (write.put) machine.put(write.key, write.value);
            else machine.delete(write.key);
          };
          for (let i = 0; i < 6; i++) next();
          const wanted = after.map((prefix) => rule(prefix, { keysMax: 7 }));
          limits.setRules(wanted);
          while (limits.countSome(machine.state.mvcc, 1)) {
            expect(limits.counting).toBe(true);
            next();
          }
          expect(limits.counting).toBe(false);
          expect(usedOf(limits)).toEqual(counted(machine, wanted));
          while (writes.length > 0) next();
          expect(usedOf(limits)).toEqual(counted(machine, wanted));
          for (const { rule: each } of limits.entries()) expect(each.keysMax).toBe(7);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('a state from a snapshot takes the place of the one before, rules that came meanwhile included', async () => {
    const source = await limited([]);
    source.machine.put('/a/1', 'value');
    source.machine.put('/b/1', 'value');
    await source.machine.state.buffer.commit();
    const { machine, limits } = await limited([rule('/a/')]);
    machine.put('/a/x', 'old');
    const { backend, buffer } = source.machine.state;
    const replaced = machine.state.replace({ backend, buffer });
    expect(usedOf(limits)).toEqual({ '"/a/"': [1, 7] });
    limits.setRules([rule('/b/')]);
    await replaced;
    expect(usedOf(limits)).toEqual({ '"/a/"': [1, 9] });
    while (limits.countSome(machine.state.mvcc, 1));
    expect(usedOf(limits)).toEqual({ '"/b/"': [1, 9] });
  });
});

describe('what is let in', () => {
  const put = (limits: PrefixLimits, key: string, value = 'v'): Claims =>
    putClaims(limits.usage, new etcdserverpb.PutRequest({ key: bytes(key), value: bytes(value) }));
  const outcome = (limits: PrefixLimits, claims: Claims): string => {
    const admitted = limits.admit(claims);
    return typeof admitted === 'function' ? 'in' : refusalText(admitted);
  };

  test('no more keys than the quota, those under way included; what exists may change', async () => {
    const { machine, limits } = await limited([rule('/a/', { keysMax: 2 })]);
    machine.put('/a/1', 'v');
    const settle = limits.admit(put(limits, '/a/2'));
    expect(outcome(limits, put(limits, '/a/3'))).toBe('keelson: quota of prefix "/a/" exceeded: 2 keys');
    expect(outcome(limits, put(limits, '/a/1', 'longer'))).toBe('in');
    expect(outcome(limits, put(limits, '/b/1'))).toBe('in');
    if (typeof settle === 'function') settle();
    expect(outcome(limits, put(limits, '/a/3'))).toBe('in');
    expect(limits.refused('/a/', 'keys')).toBe(1);
  });

  test('no more bytes than the quota of any prefix above; who shrinks passes a quota that is exceeded', async () => {
    const { machine, limits } = await limited([rule('/', { bytesMax: 20 }), rule('/a/', { bytesMax: 100 })]);
    machine.put('/a/1', 'x'.repeat(10));
    expect(outcome(limits, put(limits, '/a/1', 'x'.repeat(17)))).toBe(
      'keelson: quota of prefix "/" exceeded: 20 bytes',
    );
    expect(outcome(limits, put(limits, '/a/1', 'x'.repeat(16)))).toBe('in');
    limits.setRules([rule('/', { bytesMax: 5 }), rule('/a/', { bytesMax: 5 })]);
    expect(outcome(limits, put(limits, '/a/1', 'x'.repeat(9)))).toBe('in');
    expect(outcome(limits, put(limits, '/a/1', 'x'.repeat(10)))).toBe('in');
    expect(outcome(limits, put(limits, '/a/1', 'x'.repeat(11)))).toContain('exceeded: 5 bytes');
  });

  test.each<[string, etcdserverpb.TxnRequest, [keys: number, bytes: number, writes: number]]>([
    ['the dearer branch', txn([], [op.put('/a/n', 'vv')], [op.put('/a/n'), op.put('/a/m')]), [2, 10, 2]],
    ['a key that is replaced', txn([], [op.put('/a/1', '12345678')]), [0, 3, 1]],
    ['one that moves', txn([], [op.del('/a/1'), op.put('/a/n', '12345')]), [0, 0, 2]],
    ['deletes alone give nothing back before they are applied', txn([], [op.del('/a/1')]), [0, 0, 1]],
    ['a range', txn([], [op.del('/a/', '/a0')]), [0, 0, 1]],
    ['reads', txn([], [op.get('/a/1')]), [0, 0, 0]],
    ['an inner one', txn([], [op.txn([], [op.put('/a/n')], [op.put('/a/n'), op.put('/a/m')])]), [2, 10, 2]],
    [
      'an inner delete that may not run',
      txn([], [op.txn([], [op.del('/a/1')], []), op.put('/a/n')]),
      [1, 5, 2],
    ],
  ])('a transaction counts %s', async (_name, request, want) => {
    const { machine, limits } = await limited([rule('/a/')]);
    machine.put('/a/1', '12345');
    const claim = txnClaims(limits.usage, request).find(0);
    const { keys, bytes: added, keysBack, bytesBack, writes } = claim ?? new Claim(0);
    expect([keys - keysBack, added - bytesBack, writes]).toEqual(want);
  });

  test('a key makes room once, however often a transaction deletes it', async () => {
    const { machine, limits } = await limited([rule('/a/', { keysMax: 1 })]);
    machine.put('/a/1', '12345');
    const refused = 'keelson: quota of prefix "/a/" exceeded: 1 keys';
    const again = op.txn([], [op.del('/a/1')], [op.del('/a/1')]);
    for (const ops of [
      [op.del('/a/1'), op.del('/a/1')],
      [op.del('/a/1'), again],
      [again, op.del('/a/1')],
    ]) {
      const request = txn([], [...ops, op.put('/a/2'), op.put('/a/3')], ops);
      expect(outcome(limits, txnClaims(limits.usage, request))).toBe(refused);
    }
    expect(outcome(limits, txnClaims(limits.usage, txn([], [again, op.put('/a/2')])))).toBe('in');
  });

  test('a key makes room for one write at a time', async () => {
    const { machine, limits } = await limited([rule('/a/', { keysMax: 1, bytesMax: 100 })]);
    machine.put('/a/1', '12345');
    const move = (to: string): Claims =>
      txnClaims(limits.usage, txn([], [op.del('/a/1'), op.put(to, '12345')]));
    const settle = limits.admit(move('/a/2'));
    expect(outcome(limits, move('/a/3'))).toContain('exceeded: 1 keys');
    // It is gone before the write that moves it is applied: what that one adds is still on its way.
    machine.delete('/a/1');
    expect(outcome(limits, put(limits, '/a/4'))).toContain('exceeded: 1 keys');
    if (typeof settle === 'function') settle();
    machine.put('/a/1', '12345');
    expect(outcome(limits, move('/a/3'))).toBe('in');
    const other = await limited([rule('/a/', { bytesMax: 18 })]);
    other.machine.put('/a/1', '12345');
    const shrink = (to: string): Claims =>
      txnClaims(other.limits.usage, txn([], [op.put('/a/1', ''), op.put(to, '12')]));
    expect(outcome(other.limits, shrink('/a/2'))).toBe('in');
    expect(outcome(other.limits, shrink('/a/3'))).toContain('exceeded: 18 bytes');
  });

  test('many prefixes in one request', () => {
    const rules = Array.from({ length: 50 }, (_, i) => rule(`/${i}/`, { writesPerSecond: 1, burst: 1 }));
    const limits = new PrefixLimits(rules, () => 0);
    const all = (): Claims =>
      deleteClaims(
        limits.usage,
        new etcdserverpb.DeleteRangeRequest({ key: bytes('/'), rangeEnd: bytes('0') }),
      );
    expect(all().list).toHaveLength(50);
    expect(outcome(limits, all())).toBe('in');
    expect(outcome(limits, all())).toContain('rate limit of prefix');
  });

  test('a rate with a burst, by the clock; a request larger than the burst passes a full bucket and is paid for after', () => {
    let now = 0;
    const limits = new PrefixLimits([rule('/a/', { writesPerSecond: 10, burst: 3 })], () => now);
    const refused = 'keelson: rate limit of prefix "/a/" exceeded: 10 writes per second, burst 3';
    const one = (): string => outcome(limits, put(limits, '/a/1'));
    expect([one(), one(), one(), one()]).toEqual(['in', 'in', 'in', refused]);
    now = 99;
    expect(one()).toBe(refused);
    now = 100;
    expect([one(), one()]).toEqual(['in', refused]);
    now = 10_000;
    const five = txnClaims(
      limits.usage,
      txn(
        [],
        [1, 2, 3, 4, 5].map((i) => op.put(`/a/${i}`)),
      ),
    );
    expect([outcome(limits, five), one()]).toEqual(['in', refused]);
    now = 10_200;
    expect(one()).toBe(refused);
    now = 10_300;
    expect([one(), one()]).toEqual(['in', refused]);
    expect(limits.refused('/a/', 'rate')).toBe(6);
  });

  test('one prefix that refuses takes nothing from the others', () => {
    const rules = [rule('/', { writesPerSecond: 1, burst: 1 }), rule('/a/', { keysMax: 0 })];
    const limits = new PrefixLimits(rules, () => 0);
    expect(outcome(limits, put(limits, '/a/1'))).toContain('quota of prefix "/a/"');
    expect(outcome(limits, put(limits, '/b/1'))).toBe('in');
  });
});

test('a prefix as text', () => {
  expect(prefixText('/a"\\\0\xff ä')).toBe('"/a\\"\\\\\\x00\\xff \\xe4"');
});
