/**
 * The formats that a custom resource's texts are held to; a format that is not here is not looked at. Pure, bounded by
 * the text's length: no pattern can run away.
 *
 * Modelled on kube-openapi's strfmt, whose bounds these are.
 */

import { parseUrl } from '../cel/go-url.ts';
import { INT_MAX } from '../cel/literals.ts';
import { isDate, isDateTime } from '../cel/times.ts';
import { CelError } from '../cel/values.ts';
import { parseAddress, parseNetwork } from '../validation/addresses.ts';
import { dnsLabelErrors, dnsSubdomainErrors } from '../validation/names.ts';
import { parseDuration } from '../codec/times.ts';
import { isMailAddress } from './mail-address.ts';

type Check = (text: string) => boolean;

const SIGN = String.raw`[a-zA-Z0-9\p{S}\p{L}]`;
/** One label, in which a dash is second if anywhere, or several, the last of them letters. */
const HOST = new RegExp(
  String.raw`^(?:${SIGN}(?:-?${SIGN}{0,62})?|(?:${SIGN}(?:[a-zA-Z0-9\-\p{S}\p{L}]{0,61}${SIGN})?\.)+[a-zA-Z\p{L}]{2,63})$`,
  'u',
);
const HOST_MAX = 255;
const LABEL_MAX = 63;
const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?([0-9a-f])[0-9a-f]{3}-?([0-9a-f])[0-9a-f]{3}-?[0-9a-f]{12}$/i;
const CARD =
  /^(?:4\d{12}(?:\d{3})?|5[1-5]\d{14}|6(?:011|5\d\d)\d{12}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|(?:2131|1800|35\d{3})\d{11})$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const LEVEL = String.raw`\s*(?:0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*`;
const RGB = new RegExp(String.raw`^rgb\(${LEVEL},${LEVEL},${LEVEL}\)$`);
/** Words for units; of the last in a row the beginning is enough. */
const SPOKEN_UNITS = 'ns nano,us µs micro,ms milli,s sec,m min,h hr hour,d day,w wk week';
const TEXT_MAX = 64 * 1024;

const CHECKS: Readonly<Record<string, Check>> = {
  bsonobjectid: (text) => /^[0-9a-fA-F]{24}$/.test(text),
  uri: (text) => !(parseUrl(text) instanceof CelError),
  email: isMailAddress,
  hostname: (text) =>
    Buffer.byteLength(text) <= HOST_MAX &&
    HOST.test(text) &&
    text.split('.').every((label) => Buffer.byteLength(label) <= LABEL_MAX),
  ipv4: (text) => text.includes('.') && parseAddress(withoutZeros(text)) !== undefined,
  ipv6: (text) => parseAddress(text)?.family === 'IPv6',
  cidr: (text) => parseNetwork(withoutZeros(text)) !== undefined,
  mac: isHardwareAddress,
  uuid: (text) => UUID.test(text),
  uuid3: (text) => UUID.exec(text)?.[1] === '3',
  uuid4: (text) => {
    const match = UUID.exec(text);
    return match !== null && match[1] === '4' && '89ab'.includes(match[2].toLowerCase());
  },
  uuid5: (text) => {
    const match = UUID.exec(text);
    return match !== null && match[1] === '5' && '89ab'.includes(match[2].toLowerCase());
  },
  isbn: (text) => isIsbn10(text) || isIsbn13(text),
  isbn10: isIsbn10,
  isbn13: isIsbn13,
  creditcard: (text) => {
    const digits = text.replaceAll(/\D/g, '');
    return CARD.test(digits) && luhn(digits);
  },
  ssn: (text) => /^\d{3}[- ]\d{2}[- ]\d{4}$/.test(text),
  hexcolor: (text) => /^#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})$/.test(text),
  rgbcolor: (text) => RGB.test(text),
  byte: (text) => text !== '' && BASE64.test(text),
  password: () => true,
  date: isDate,
  duration: (text) => parseDuration(text) !== undefined || isSpokenDuration(text),
  datetime: isDateTime,
  k8sshortname: (text) => dnsLabelErrors(text).length === 0,
  k8slongname: (text) => dnsSubdomainErrors(text).length === 0,
};

/** Formats of numbers; any other of a number, and any of another type, is none. */
const NUMBER_FORMATS: Readonly<Record<string, readonly string[]>> = {
  integer: ['int32', 'int64'],
  number: ['float', 'double'],
};

/** Whether a schema of that type can ask for the format; one that cannot is not looked at. */
export function isFormat(type: string, format: string): boolean {
  if (type === '' || type === 'string') return Object.hasOwn(CHECKS, format.replaceAll('-', ''));
  return Object.hasOwn(NUMBER_FORMATS, type) && NUMBER_FORMATS[type].includes(format);
}

/** Whether a text has the form its schema asks for; true for a format that is not known. */
export function hasFormat(format: string, text: string): boolean {
  const name = format.replaceAll('-', '');
  if (!Object.hasOwn(CHECKS, name)) return true;
  return text.length <= TEXT_MAX && CHECKS[name](text);
}

/** Decimals of an IPv4 address and the bits of a network without leading zeros, which are let pass here. */
function withoutZeros(text: string): string {
  return text.replace(
    /(^|[.:/])(\d+)(?=[./]|$)/g,
    (_whole, mark: string, digits: string) => mark + digits.replace(/^0+(?=\d)/, ''),
  );
}

/** Numbers with units anywhere in a text, of which one is known. */
function isSpokenDuration(text: string): boolean {
  let known = false;
  // Looked for where digits begin: from each of them on, a long number would be read again and again.
  for (const [, count, word] of text.matchAll(/(?<!\d)(\d+)\s*([A-Za-zµ]+)/g)) {
    if (BigInt(count) > INT_MAX) return false;
    const unit = word.toLowerCase();
    known ||= SPOKEN_UNITS.split(',').some((row) => {
      const words = row.split(' ');
      return words.includes(unit) || unit.startsWith(words[words.length - 1]);
    });
  }
  return known;
}

function isHardwareAddress(text: string): boolean {
  const lengths = new Set([6, 8, 20]);
  if (/^[0-9a-fA-F]+$/.test(text)) return lengths.has(text.length / 2);
  const pairs = text.split(/[:-]/);
  if (lengths.has(pairs.length)) {
    const mark = text.includes(':') ? ':' : '-';
    return pairs.every((pair) => /^[0-9a-fA-F]{2}$/.test(pair)) && text.split(mark).length === pairs.length;
  }
  const quads = text.split('.');
  return lengths.has(quads.length * 2) && quads.every((quad) => /^[0-9a-fA-F]{4}$/.test(quad));
}

function isIsbn10(text: string): boolean {
  const digits = text.replaceAll(/[\s-]/g, '');
  if (!/^\d{9}[\dX]$/.test(digits)) return false;
  let sum = 0;
  for (let at = 0; at < 10; at += 1) sum += (10 - at) * (digits[at] === 'X' ? 10 : Number(digits[at]));
  return sum % 11 === 0;
}

function isIsbn13(text: string): boolean {
  const digits = text.replaceAll(/[\s-]/g, '');
  if (!/^\d{13}$/.test(digits)) return false;
  let sum = 0;
  for (let at = 0; at < 13; at += 1) sum += Number(digits[at]) * (at % 2 === 0 ? 1 : 3);
  return sum % 10 === 0;
}

function luhn(digits: string): boolean {
  let sum = 0;
  for (let at = 0; at < digits.length; at += 1) {
    let value = Number(digits[digits.length - 1 - at]);
    if (at % 2 === 1) value = value > 4 ? value * 2 - 9 : value * 2;
    sum += value;
  }
  return sum % 10 === 0;
}
