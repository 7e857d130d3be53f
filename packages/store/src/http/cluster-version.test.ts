import { describe, expect, test } from '@jest/globals';
import { NO_DOWNGRADE } from '../membership/downgrade.ts';
import { decideVersion, isDowngraded } from './cluster-version.ts';

const to = (targetVersion: string): { enabled: boolean; targetVersion: string } => ({
  enabled: true,
  targetVersion,
});

describe('the version a cluster runs at', () => {
  test.each<[string, (string | undefined)[], string, string | undefined]>([
    ['undecided, someone silent: the lowest there is', ['3.7.1', undefined], '', '3.0.0'],
    ['undecided: the lowest minor of all', ['3.7.1', '3.6.4', '3.7.0'], '', '3.6.0'],
    ['someone silent: nothing changes', ['3.7.1', undefined], '3.6.0', undefined],
    ['every member is newer now', ['3.7.1', '3.7.0'], '3.6.0', '3.7.0'],
    ['an older member does not pull it down', ['3.7.1', '3.6.0'], '3.7.0', undefined],
    ['nobody there', [], '3.7.0', undefined],
  ])('%s', (_name, versions, current, expected) => {
    expect(decideVersion(versions, current, NO_DOWNGRADE)).toBe(expected);
  });

  test.each<[string, (string | undefined)[], string, string | undefined]>([
    ['all still new', ['3.7.1', '3.7.1'], '3.7.0', '3.6.0'],
    ['some replaced already', ['3.7.1', '3.6.9'], '3.7.0', '3.6.0'],
    ['lowered before', ['3.7.1', '3.6.9'], '3.6.0', undefined],
    ['someone silent', ['3.7.1', undefined], '3.7.0', undefined],
  ])('going down to 3.6: %s', (_name, versions, current, expected) => {
    expect(decideVersion(versions, current, to('3.6.0'))).toBe(expected);
  });

  test('a target that is no minor below is refused, also when a member is below the target', () => {
    expect(() => decideVersion(['3.7.1'], '3.7.0', to('3.5.0'))).toThrow('invalid downgrade target');
    expect(() => decideVersion(['3.7.1', '3.5.9'], '3.7.0', to('3.6.0'))).toThrow('invalid downgrade target');
  });

  test('it is over when every member has arrived', () => {
    expect(isDowngraded(['3.6.4', '3.6.0'], '3.6.0')).toBe(true);
    expect(isDowngraded(['3.6.4', '3.7.0'], '3.6.0')).toBe(false);
    expect(isDowngraded(['3.6.4', undefined], '3.6.0')).toBe(false);
  });
});
