/** Kubernetes' IP and CIDR libraries (1.30): `ip()`, `cidr()` and what can be asked of them. */

import { goQuote } from '@keelson/base';
import { overload, type Implementation, type Overload } from './functions.ts';
import { IpAddress, parseAddress, parsePrefix, type IpPrefix } from './ip-address.ts';
import { opaque, type CelType } from './types.ts';
import { CelError, noSuchOverload, Opaque, type Result, type Value } from './values.ts';

const IP_TYPE = opaque('net.IP');
const CIDR_TYPE = opaque('net.CIDR');

class IpValue extends Opaque {
  override readonly type: CelType = IP_TYPE;
  readonly address: IpAddress;

  constructor(address: IpAddress) {
    super();
    this.address = address;
  }

  override equals(other: Opaque): boolean {
    return other instanceof IpValue && this.address.equals(other.address);
  }

  /** In bytes. */
  override get costSize(): number {
    return this.address.bits / 8;
  }
}

class CidrValue extends Opaque {
  override readonly type: CelType = CIDR_TYPE;
  readonly prefix: IpPrefix;

  constructor(prefix: IpPrefix) {
    super();
    this.prefix = prefix;
  }

  override equals(other: Opaque): boolean {
    return (
      other instanceof CidrValue &&
      this.prefix.length === other.prefix.length &&
      this.prefix.address.equals(other.prefix.address)
    );
  }

  override get costSize(): number {
    return Math.ceil(this.prefix.length / 8);
  }
}

function readIp(text: string): IpAddress | CelError {
  const address = parseAddress(text);
  const quoted = goQuote(text);
  if (address instanceof CelError) {
    return new CelError(`IP Address ${quoted} parse error during conversion from string: ${address.message}`);
  }
  if (address.zone !== '') return new CelError(`IP address ${quoted} with zone value is not allowed`);
  return address.isMapped ? new CelError(`IPv4-mapped IPv6 address ${quoted} is not allowed`) : address;
}

function readCidr(text: string): IpPrefix | CelError {
  const prefix = parsePrefix(text);
  const lead = 'network address parse error during conversion from string: ';
  if (prefix instanceof CelError) return new CelError(lead + lead + prefix.message);
  return prefix.address.isMapped
    ? new CelError(`${lead}IPv4-mapped IPv6 address ${goQuote(text)} is not allowed`)
    : prefix;
}

const onText =
  (run: (text: string) => Result): Implementation =>
  (text: Value) =>
    typeof text === 'string' ? run(text) : noSuchOverload();

const onIp =
  (run: (address: IpAddress) => Result): Implementation =>
  (value: Value) =>
    value instanceof IpValue ? run(value.address) : noSuchOverload();

const onCidr =
  (run: (prefix: IpPrefix, other: Value) => Result): Implementation =>
  (value: Value, other) =>
    value instanceof CidrValue ? run(value.prefix, other) : noSuchOverload();

const isLoopback = (ip: IpAddress): boolean => (ip.bits === 32 ? ip.within(127n, 8) : ip.value === 1n);
const isLinkLocalUnicast = (ip: IpAddress): boolean =>
  ip.bits === 32 ? ip.within(0xa9fen, 16) : ip.within(0xfe80n >> 6n, 10);
const isMulticast = (ip: IpAddress): boolean => (ip.bits === 32 ? ip.within(0xen, 4) : ip.within(0xffn, 8));
const isLinkLocalMulticast = (ip: IpAddress): boolean =>
  ip.bits === 32 ? ip.within(0xe00000n, 24) : ip.within(0xffn, 8) && ((ip.value >> 112n) & 0xfn) === 2n;

function isGlobalUnicast(ip: IpAddress): boolean {
  if (ip.bits === 32 && (ip.value === 0n || ip.value === 0xffff_ffffn)) return false;
  return ip.value !== 0n && !isLoopback(ip) && !isMulticast(ip) && !isLinkLocalUnicast(ip);
}

export const IP_LIBRARY: readonly Overload[] = [
  overload(
    'string_to_ip',
    'ip(string) net.IP',
    onText((text) => {
      const ip = readIp(text);
      return ip instanceof CelError ? ip : new IpValue(ip);
    }),
  ),
  overload(
    'ip_is_canonical',
    'ip.isCanonical(string) bool',
    onText((text) => {
      const ip = readIp(text);
      return ip instanceof CelError ? ip : ip.toString() === text;
    }),
  ),
  overload(
    'is_ip',
    'isIP(string) bool',
    onText((text) => !(readIp(text) instanceof CelError)),
  ),
  overload(
    'ip_family',
    'net.IP->family() int',
    onIp((ip) => (ip.bits === 32 ? 4n : 6n)),
  ),
  overload(
    'ip_is_unspecified',
    'net.IP->isUnspecified() bool',
    onIp((ip) => ip.value === 0n),
  ),
  overload('ip_is_loopback', 'net.IP->isLoopback() bool', onIp(isLoopback)),
  overload('ip_is_link_local_multicast', 'net.IP->isLinkLocalMulticast() bool', onIp(isLinkLocalMulticast)),
  overload('ip_is_link_local_unicast', 'net.IP->isLinkLocalUnicast() bool', onIp(isLinkLocalUnicast)),
  overload('ip_is_global_unicast', 'net.IP->isGlobalUnicast() bool', onIp(isGlobalUnicast)),
  overload(
    'ip_to_string',
    'string(net.IP) string',
    onIp((ip) => ip.toString()),
  ),
];

const containsIp = (prefix: IpPrefix, ip: IpAddress): boolean =>
  prefix.address.bits === ip.bits && ip.masked(prefix.length).equals(prefix.address.masked(prefix.length));

const containsCidr = (prefix: IpPrefix, other: IpPrefix): boolean =>
  prefix.length <= other.length && containsIp(prefix, other.address);

export const CIDR_LIBRARY: readonly Overload[] = [
  overload(
    'string_to_cidr',
    'cidr(string) net.CIDR',
    onText((text) => {
      const prefix = readCidr(text);
      return prefix instanceof CelError ? prefix : new CidrValue(prefix);
    }),
  ),
  overload(
    'is_cidr',
    'isCIDR(string) bool',
    onText((text) => !(readCidr(text) instanceof CelError)),
  ),
  overload(
    'cidr_contains_ip_string',
    'net.CIDR->containsIP(string) bool',
    onCidr((prefix, text) => {
      const ip = typeof text === 'string' ? readIp(text) : noSuchOverload();
      // The original looks at what is none before it says why it is none.
      return ip instanceof CelError ? noSuchOverload() : containsIp(prefix, ip);
    }),
  ),
  overload(
    'cidr_contains_ip_ip',
    'net.CIDR->containsIP(net.IP) bool',
    onCidr((prefix, ip) => (ip instanceof IpValue ? containsIp(prefix, ip.address) : noSuchOverload())),
  ),
  overload(
    'cidr_contains_cidr_string',
    'net.CIDR->containsCIDR(string) bool',
    onCidr((prefix, text) => {
      const other = typeof text === 'string' ? readCidr(text) : noSuchOverload();
      return other instanceof CelError ? other : containsCidr(prefix, other);
    }),
  ),
  overload(
    'cidr_contains_cidr',
    'net.CIDR->containsCIDR(net.CIDR) bool',
    onCidr((prefix, other) =>
      other instanceof CidrValue ? containsCidr(prefix, other.prefix) : noSuchOverload(),
    ),
  ),
  overload(
    'cidr_ip',
    'net.CIDR->ip() net.IP',
    onCidr((prefix) => new IpValue(prefix.address)),
  ),
  overload(
    'cidr_prefix_length',
    'net.CIDR->prefixLength() int',
    onCidr((prefix) => BigInt(prefix.length)),
  ),
  overload(
    'cidr_masked',
    'net.CIDR->masked() net.CIDR',
    onCidr(
      (prefix) => new CidrValue({ address: prefix.address.masked(prefix.length), length: prefix.length }),
    ),
  ),
  overload(
    'cidr_to_string',
    'string(net.CIDR) string',
    onCidr((prefix) => `${prefix.address.toString()}/${prefix.length}`),
  ),
];

export const NETWORK_TYPES = { ip: IP_TYPE, cidr: CIDR_TYPE } as const;
