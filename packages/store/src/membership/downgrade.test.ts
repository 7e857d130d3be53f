import { expect, test } from '@jest/globals';
import {
  clusterVersionOf,
  decodeDowngrade,
  encodeDowngrade,
  NO_DOWNGRADE,
  oneMinorBelow,
} from './downgrade.ts';

test.each([
  ['3.6', '3.6.0'],
  ['3.6.0', '3.6.0'],
  ['3.6.9', '3.6.0'],
  ['3.6.0-rc.1', '3.6.0'],
  ['3', undefined],
  ['', undefined],
  ['v3.6.0', undefined],
  ['3.06.0', undefined],
  ['3.6.0.1', undefined],
])('%j is of cluster version %j', (version, expected) => {
  expect(clusterVersionOf(version)).toBe(expected);
});

test('one minor below', () => {
  expect(oneMinorBelow('3.7.0')).toBe('3.6.0');
  expect(oneMinorBelow('3.10.0')).toBe('3.9.0');
});

test("kept as etcd's JSON; anything else is refused", () => {
  const downgrade = { enabled: true, targetVersion: '3.6.0' };
  expect(encodeDowngrade(downgrade).toString()).toBe('{"target-version":"3.6.0","enabled":true}');
  expect(decodeDowngrade(encodeDowngrade(downgrade))).toEqual(downgrade);
  expect(decodeDowngrade(encodeDowngrade(NO_DOWNGRADE))).toEqual(NO_DOWNGRADE);
  for (const bad of ['', '{', 'null', '{"enabled":1,"target-version":"3.6.0"}', '{"enabled":true}'])
    expect(() => decodeDowngrade(Buffer.from(bad))).toThrow('bucket cluster: no downgrade in');
});
