/**
 * IP addresses and prefixes as Go's net/netip reads and writes them, with its error texts: no leading zeros, the
 * longest run of zeros shortened, lower case. Computes only; node:net is not asked.
 */

import { goQuote } from '@keelson/base';
import { CelError } from './values.ts';

export class IpAddress {
  readonly bits: 32 | 128;
  readonly value: bigint;
  readonly zone: string;

  constructor(bits: 32 | 128, value: bigint, zone = '') {
    this.bits = bits;
    this.value = value;
    this.zone = zone;
  }

  /** ::ffff:0:0/96 */
  get isMapped(): boolean {
    return this.bits === 128 && this.value >> 32n === 0xffffn;
  }

  equals(other: IpAddress): boolean {
    return this.bits === other.bits && this.value === other.value && this.zone === other.zone;
  }

  /** The first `length` bits, the rest zero. */
  masked(length: number): IpAddress {
    const rest = BigInt(this.bits - length);
    return new IpAddress(this.bits, (this.value >> rest) << rest);
  }

  /** Whether the address begins with those bits. */
  within(prefix: bigint, length: number): boolean {
    return this.value >> BigInt(this.bits - length) === prefix;
  }

  toString(): string {
    if (this.bits === 32) return [24n, 16n, 8n, 0n].map((at) => (this.value >> at) & 255n).join('.');
    const groups = Array.from({ length: 8 }, (_none, i) =>
      Number((this.value >> BigInt(112 - 16 * i)) & 0xffffn),
    );
    let from = -1;
    let length = 1;
    for (let i = 0; i < 8; i++) {
      let end = i;
      while (end < 8 && groups[end] === 0) end++;
      if (end - i > length) {
        from = i;
        length = end - i;
      }
    }
    const text = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
    if (from < 0) return text(groups);
    return `${text(groups.slice(0, from))}::${text(groups.slice(from + length))}`;
  }
}

const quoted = goQuote;

function fail(input: string, message: string, at?: string): CelError {
  return new CelError(
    `ParseAddr(${quoted(input)}): ${message}${at === undefined ? '' : ` (at ${quoted(at)})`}`,
  );
}

/** The value of four octets, or what is wrong with them. */
function parseV4(text: string, input: string): bigint | CelError {
  let value = 0n;
  let field = 0;
  let digits = 0;
  let octet = 0;
  for (let i = 0; i < text.length; i++) {
    const sign = text[i];
    if (sign >= '0' && sign <= '9') {
      if (digits === 1 && octet === 0) return fail(input, 'IPv4 field has octet with leading zero');
      octet = octet * 10 + Number(sign);
      digits++;
      if (octet > 255) return fail(input, 'IPv4 field has value >255');
    } else if (sign === '.') {
      if (i === 0 || i === text.length - 1 || text[i - 1] === '.') {
        return fail(input, 'IPv4 field must have at least one digit', text.slice(i));
      }
      if (field === 3) return fail(input, 'IPv4 address too long');
      value = value * 256n + BigInt(octet);
      field++;
      octet = 0;
      digits = 0;
    } else {
      return fail(input, 'unexpected character', text.slice(i));
    }
  }
  if (field < 3) return fail(input, 'IPv4 address too short');
  return value * 256n + BigInt(octet);
}

function parseV6(input: string): IpAddress | CelError {
  const percent = input.indexOf('%');
  const zone = percent < 0 ? '' : input.slice(percent + 1);
  if (percent >= 0 && zone === '') return fail(input, 'zone must be a non-empty string');
  let rest = percent < 0 ? input : input.slice(0, percent);
  const groups: bigint[] = [];
  let gap = -1;
  if (rest.startsWith('::')) {
    gap = 0;
    rest = rest.slice(2);
    if (rest === '') return new IpAddress(128, 0n, zone);
  }
  while (groups.length < 8) {
    const digits = /^[0-9a-fA-F]*/.exec(rest)?.[0] ?? '';
    if (digits.length > 4) {
      return fail(input, 'each group must have 4 or less digits', rest);
    }
    if (digits === '') return fail(input, 'each colon-separated field must have at least one digit', rest);
    if (rest[digits.length] === '.') {
      if (gap < 0 && groups.length !== 6) {
        return fail(input, 'embedded IPv4 address must replace the final 2 fields of the address', rest);
      }
      if (groups.length > 6)
        return fail(input, 'too many hex fields to fit an embedded IPv4 at the end of the address', rest);
      const tail = parseV4(rest, input);
      if (tail instanceof CelError) return tail;
      groups.push(tail >> 16n, tail & 0xffffn);
      rest = '';
      break;
    }
    groups.push(BigInt(`0x${digits}`));
    rest = rest.slice(digits.length);
    if (rest === '') break;
    if (!rest.startsWith(':')) return fail(input, 'unexpected character, want colon', rest);
    if (rest.length === 1) return fail(input, 'colon must be followed by more characters', rest);
    rest = rest.slice(1);
    if (rest.startsWith(':')) {
      if (gap >= 0) return fail(input, 'multiple :: in address', rest);
      gap = groups.length;
      rest = rest.slice(1);
      if (rest === '') break;
    }
  }
  if (rest !== '') return fail(input, 'trailing garbage after address', rest);
  if (groups.length < 8) {
    if (gap < 0) return fail(input, 'address string too short');
    groups.splice(gap, 0, ...Array.from({ length: 8 - groups.length }, () => 0n));
  } else if (gap >= 0) {
    return fail(input, 'the :: must expand to at least one field of zeros');
  }
  return new IpAddress(
    128,
    groups.reduce((value, group) => (value << 16n) | group, 0n),
    zone,
  );
}

export function parseAddress(input: string): IpAddress | CelError {
  for (const sign of input) {
    if (sign === '.') {
      const value = parseV4(input, input);
      return value instanceof CelError ? value : new IpAddress(32, value);
    }
    if (sign === ':') return parseV6(input);
    if (sign === '%') return fail(input, 'missing IPv6 address');
  }
  return fail(input, 'unable to parse IP');
}

export interface IpPrefix {
  readonly address: IpAddress;
  readonly length: number;
}

export function parsePrefix(input: string): IpPrefix | CelError {
  const refuse = (message: string): CelError =>
    new CelError(`netip.ParsePrefix(${quoted(input)}): ${message}`);
  const slash = input.lastIndexOf('/');
  if (slash < 0) return refuse("no '/'");
  const address = parseAddress(input.slice(0, slash));
  if (address instanceof CelError) return refuse(address.message);
  if (address.zone !== '') return refuse('IPv6 zones cannot be present in a prefix');
  const bits = input.slice(slash + 1);
  if (!/^(?:0|[1-9]\d*)$/.test(bits)) return refuse(`bad bits after slash: ${quoted(bits)}`);
  const length = Number(bits);
  return length > address.bits ? refuse('prefix length out of range') : { address, length };
}
