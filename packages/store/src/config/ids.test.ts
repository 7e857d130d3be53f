import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';

import { clusterId, memberId } from './ids.ts';

describe('ids', () => {
  test('of a member with every default are the well-known ones', () => {
    const id = memberId(['http://localhost:2380'], 'etcd-cluster');
    expect(id).toBe(0x8e9e05c52164694dn);
    expect(clusterId([id])).toBe(0xcdf818194e3a8c32n);
  });

  test('depend on URLs, token and time, not on the order of URLs or members', () => {
    const urls = ['http://b:1', 'http://a:1'];
    expect(memberId(urls, 't')).toBe(memberId([...urls].reverse(), 't'));
    const ids = [
      memberId(urls, 't'),
      memberId(urls, 'u'),
      memberId(urls, 't', 0),
      memberId(urls, 't', 1),
      memberId(['http://a:1'], 't'),
    ];
    expect(new Set(ids).size).toBe(ids.length);
    expect(clusterId(ids)).toBe(clusterId([...ids].reverse()));
    expect(urls).toEqual(['http://b:1', 'http://a:1']);
  });

  test('fit 64 bits', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1 }), fc.string(), (urls, token) => {
        const id = memberId(urls, token);
        expect(BigInt.asUintN(64, id)).toBe(id);
        expect(BigInt.asUintN(64, clusterId([id]))).toBe(clusterId([id]));
      }),
    );
  });
});
