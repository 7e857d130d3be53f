/**
 * Addresses and networks as fields hold them: IPv4 in four decimals without leading zeros, IPv6 in any form of
 * RFC 4291 without an IPv4-mapped one, CIDR blocks. Pure text and bits, no name is looked up. Texts are those of
 * apimachinery's validation package.
 */

import { goQuote } from '@keelson/base';

export type Family = 'IPv4' | 'IPv6';

export interface Address {
  readonly family: Family;
  readonly bits: bigint;
}

const IP_TEXT = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
const CIDR_TEXT = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';

/** The address a text stands for; undefined when it is none. */
export function parseAddress(text: string): Address | undefined {
  if (text.length > 64) return undefined;
  if (!text.includes(':')) {
    const bits = ipv4Bits(text);
    return bits === undefined ? undefined : { family: 'IPv4', bits };
  }
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = groupsOf(halves[0], halves.length === 1);
  const tail = halves.length === 2 ? groupsOf(halves[1], true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  let bits = 0n;
  for (const group of [...head, ...Array.from({ length: missing }, () => 0), ...tail]) {
    bits = (bits << 16n) | BigInt(group);
  }
  return { family: 'IPv6', bits };
}

function groupsOf(text: string, last: boolean): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const words = text.split(':');
  for (const [index, word] of words.entries()) {
    if (last && index === words.length - 1 && word.includes('.')) {
      const bits = ipv4Bits(word);
      if (bits === undefined) return undefined;
      groups.push(Number(bits >> 16n), Number(bits & 0xffffn));
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(word)) return undefined;
      groups.push(Number.parseInt(word, 16));
    }
  }
  return groups;
}

function ipv4Bits(text: string): bigint | undefined {
  const words = text.split('.');
  if (words.length !== 4) return undefined;
  let bits = 0n;
  for (const word of words) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(word) || Number(word) > 255) return undefined;
    bits = (bits << 8n) | BigInt(word);
  }
  return bits;
}

/** Go's net.IP.String(): IPv6 with its longest run of zeros left out, in lower case. */
export function formatAddress({ family, bits }: Address): string {
  if (family === 'IPv4') {
    return [24n, 16n, 8n, 0n].map((shift) => String((bits >> shift) & 0xffn)).join('.');
  }
  const groups = Array.from({ length: 8 }, (_unused, index) =>
    Number((bits >> BigInt(112 - 16 * index)) & 0xffffn),
  );
  let start = -1;
  let length = 1;
  for (let at = 0; at < 8; at += 1) {
    let end = at;
    while (end < 8 && groups[end] === 0) end += 1;
    if (end - at > length) {
      start = at;
      length = end - at;
    }
  }
  const words = groups.map((group) => group.toString(16));
  if (start < 0) return words.join(':');
  return `${words.slice(0, start).join(':')}::${words.slice(start + length).join(':')}`;
}

export interface Network {
  readonly address: Address;
  readonly prefixLength: number;
}

/** The network of `address/length`; host bits are kept as written. */
export function parseNetwork(text: string): Network | undefined {
  const slash = text.indexOf('/');
  if (slash < 0) return undefined;
  const address = parseAddress(text.slice(0, slash));
  const length = text.slice(slash + 1);
  if (address === undefined || !/^(0|[1-9][0-9]{0,2})$/.test(length)) return undefined;
  const prefixLength = Number(length);
  return prefixLength <= widthOf(address.family) ? { address, prefixLength } : undefined;
}

export function widthOf(family: Family): number {
  return family === 'IPv4' ? 32 : 128;
}

/** The network's first address. */
export function networkBase({ address, prefixLength }: Network): Address {
  const host = BigInt(widthOf(address.family) - prefixLength);
  return { family: address.family, bits: (address.bits >> host) << host };
}

export function networkContains(network: Network, address: Address): boolean {
  if (network.address.family !== address.family) return false;
  const host = BigInt(widthOf(address.family) - network.prefixLength);
  return network.address.bits >> host === address.bits >> host;
}

/** Whether the IPv6 address holds an IPv4 one (::ffff:a.b.c.d). */
function isMapped({ family, bits }: Address): boolean {
  return family === 'IPv6' && bits >> 32n === 0xffffn;
}

export function addressErrors(text: string): string[] {
  const address = parseAddress(text);
  if (address === undefined) {
    return sloppyAddress(text) === undefined ? [IP_TEXT] : ['must not have leading 0s'];
  }
  return isMapped(address) ? ['must not be an IPv4-mapped IPv6 address'] : [];
}

/** An IPv4 address whose decimals may begin with zeros. */
function sloppyAddress(text: string): Address | undefined {
  return /^[0-9]{1,64}(\.[0-9]{1,64}){3}$/.test(text)
    ? parseAddress(
        text
          .split('.')
          .map((word) => word.replace(/^0+(?=[0-9])/, ''))
          .join('.'),
      )
    : parseAddress(text);
}

export function networkErrors(text: string): string[] {
  const network = parseNetwork(text);
  if (network === undefined) {
    const slash = text.indexOf('/');
    const length = text.slice(slash + 1);
    const address = slash < 0 ? undefined : sloppyAddress(text.slice(0, slash));
    const plain = address !== undefined && /^[0-9]{1,64}$/.test(length);
    return plain && Number(length) <= widthOf(address.family)
      ? ['must not have leading 0s in IP or prefix length']
      : [CIDR_TEXT];
  }
  if (isMapped(network.address)) return ['must not have an IPv4-mapped IPv6 address'];
  if (networkBase(network).bits !== network.address.bits) {
    return ['must not have bits set beyond the prefix length'];
  }
  return [];
}

/** As networkErrors, for fields of today. */
export function strictNetworkErrors(text: string): string[] {
  const errors = networkErrors(text);
  const network = parseNetwork(text);
  if (errors.length > 0 || network === undefined) return errors;
  const canonical = `${formatAddress(network.address)}/${network.prefixLength}`;
  return canonical === text ? [] : [`must be in canonical form (${goQuote(canonical)})`];
}

/** Addresses that no endpoint and no external address may be. */
export function specialAddressErrors(text: string): string[] {
  const address = parseAddress(text);
  if (address === undefined) return ['must be a valid IP address'];
  const { family, bits } = address;
  const errors: string[] = [];
  if (bits === 0n) errors.push(`may not be unspecified (${text})`);
  const loopback = family === 'IPv4' ? bits >> 24n === 127n : bits === 1n;
  if (loopback) errors.push('may not be in the loopback range (127.0.0.0/8, ::1/128)');
  const linkLocal = family === 'IPv4' ? bits >> 16n === 0xa9fen : bits >> 118n === 0x3fan;
  if (linkLocal) errors.push('may not be in the link-local range (169.254.0.0/16, fe80::/10)');
  const multicast = family === 'IPv4' ? bits >> 8n === 0xe00000n : bits >> 112n === 0xff02n;
  if (multicast) errors.push('may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)');
  return errors;
}
