/**
 * Semantic versions (semver.org 2.0.0): reading, and the order of two. Error texts are blang/semver's, which
 * Kubernetes' semver library shows.
 */

import { goQuote } from '@keelson/base';
import { CelError } from './values.ts';

export interface Semver {
  readonly major: bigint;
  readonly minor: bigint;
  readonly patch: bigint;
  readonly pre: readonly string[];
}

const UINT64_MAX = 2n ** 64n - 1n;
const isNumber = (text: string): boolean => /^\d+$/.test(text);
const quoted = goQuote;

function numberPart(name: string, text: string): bigint | CelError {
  if (/\D/.test(text)) return new CelError(`Invalid character(s) found in ${name} number ${quoted(text)}`);
  if (text === '') return new CelError('strconv.ParseUint: parsing "": invalid syntax');
  if (text.length > 1 && text.startsWith('0')) {
    return new CelError(
      `${name === 'major' ? 'Major' : name === 'minor' ? 'Minor' : 'Patch'} number must not contain leading zeroes ${quoted(text)}`,
    );
  }
  const value = BigInt(text);
  return value > UINT64_MAX
    ? new CelError(`strconv.ParseUint: parsing ${quoted(text)}: value out of range`)
    : value;
}

export function parseSemver(text: string): Semver | CelError {
  if (text === '') return new CelError('Version string empty');
  const first = text.indexOf('.');
  const second = first < 0 ? -1 : text.indexOf('.', first + 1);
  if (second < 0) return new CelError('No Major.Minor.Patch elements found');
  const major = numberPart('major', text.slice(0, first));
  if (major instanceof CelError) return major;
  const minor = numberPart('minor', text.slice(first + 1, second));
  if (minor instanceof CelError) return minor;
  let rest = text.slice(second + 1);
  const plus = rest.indexOf('+');
  const build = plus < 0 ? undefined : rest.slice(plus + 1).split('.');
  if (plus >= 0) rest = rest.slice(0, plus);
  const dash = rest.indexOf('-');
  const pre = dash < 0 ? [] : rest.slice(dash + 1).split('.');
  if (dash >= 0) rest = rest.slice(0, dash);
  const patch = numberPart('patch', rest);
  if (patch instanceof CelError) return patch;
  for (const part of pre) {
    if (part === '') return new CelError('Prerelease is empty');
    if (isNumber(part) && part.length > 1 && part.startsWith('0')) {
      return new CelError(`Numeric PreRelease version must not contain leading zeroes ${quoted(part)}`);
    }
    if (!/^[0-9A-Za-z-]+$/.test(part))
      return new CelError(`Invalid character(s) found in prerelease ${quoted(part)}`);
  }
  for (const part of build ?? []) {
    if (part === '') return new CelError('Build meta data is empty');
    if (!/^[0-9A-Za-z-]+$/.test(part)) {
      return new CelError(`Invalid character(s) found in build meta data ${quoted(part)}`);
    }
  }
  return { major, minor, patch, pre };
}

/** Without a leading v, with three numbers, none with leading zeros. */
export function normalizeSemver(text: string): string | CelError {
  const bare = text.startsWith('v') ? text.slice(1) : text;
  const [major, minor, ...rest] = bare.split('.');
  const parts = [major, minor, rest.length === 0 ? undefined : rest.join('.')]
    .filter((part) => part !== undefined)
    .map((part) => {
      if (part.length <= 1) return part;
      const trimmed = part.replace(/^0+/, '');
      return /^\d/.test(trimmed) ? trimmed : `0${trimmed}`;
    });
  if (parts.length < 3 && /[+-]/.test(parts[parts.length - 1])) {
    return new CelError('short version cannot contain PreRelease/Build meta data');
  }
  while (parts.length < 3) parts.push('0');
  return parts.join('.');
}

const order = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);

/** −1, 0 or 1; what is built from is not looked at. */
export function compareSemver(a: Semver, b: Semver): number {
  const numbers = order(a.major, b.major) || order(a.minor, b.minor) || order(a.patch, b.patch);
  if (numbers !== 0) return numbers;
  if (a.pre.length === 0 || b.pre.length === 0) return Math.sign(b.pre.length - a.pre.length);
  for (let i = 0; i < Math.min(a.pre.length, b.pre.length); i++) {
    const [x, y] = [a.pre[i], b.pre[i]];
    if (x === y) continue;
    if (isNumber(x) && isNumber(y)) return order(BigInt(x), BigInt(y));
    if (isNumber(x) !== isNumber(y)) return isNumber(x) ? -1 : 1;
    return x < y ? -1 : 1;
  }
  return Math.sign(a.pre.length - b.pre.length);
}
