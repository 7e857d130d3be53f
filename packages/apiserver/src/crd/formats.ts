/**
 * The formats that a custom resource's texts are held to; a format that is not here is not looked at. Pure, bounded by
 * the text's length: no pattern can run away.
 *
 * Modelled on kube-openapi's strfmt, whose bounds these are.
 */

import { parseAddress, parseNetwork } from '../validation/addresses.ts';
import { dnsLabelErrors, dnsSubdomainErrors } from '../validation/names.ts';
import { parseDuration, parseTime } from '../codec/times.ts';

type Check = (text: string) => boolean;

const HOST_LABEL = /^[a-zA-Z0-9\p{S}\p{L}](?:[a-zA-Z0-9\p{S}\p{L}-]{0,61}[a-zA-Z0-9\p{S}\p{L}])?$/u;
const HOST_MAX = 255;
const EMAIL = /^[^\s@<>()[\],;:\\"]+@[^\s@<>()[\],;:\\"]+$/;
const NAMED_EMAIL = /^[^<>@]*<([^<>]+)>$/;
const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?([0-9a-f])[0-9a-f]{3}-?([0-9a-f])[0-9a-f]{3}-?[0-9a-f]{12}$/i;
const CARD =
  /^(?:4\d{12}(?:\d{3})?|5[1-5]\d{14}|6(?:011|5\d\d)\d{12}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|(?:2131|1800|35\d{3})\d{11})$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const RGB = /^rgb\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)$/;
const SPOKEN_DURATION =
  /^\d+(?:\.\d+)?\s*(?:ns|nanos?|nanoseconds?|us|µs|micros?|microseconds?|ms|millis?|milliseconds?|s|sec|secs|seconds?|m|min|mins|minutes?|h|hr|hrs|hours?|d|days?|w|wk|wks|weeks?)$/;
const TEXT_MAX = 64 * 1024;

const CHECKS: Readonly<Record<string, Check>> = {
  bsonobjectid: (text) => /^[0-9a-fA-F]{24}$/.test(text),
  uri: isUri,
  email: (text) => EMAIL.test(NAMED_EMAIL.exec(text)?.[1] ?? text),
  hostname: (text) =>
    text.length <= HOST_MAX &&
    text
      .replace(/\.$/, '')
      .split('.')
      .every((label) => HOST_LABEL.test(label)),
  ipv4: (text) => parseAddress(text)?.family === 'IPv4',
  ipv6: (text) => parseAddress(text)?.family === 'IPv6',
  cidr: (text) => parseNetwork(text) !== undefined,
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
  ssn: (text) => /^\d{3}[- ]?\d{2}[- ]?\d{4}$/.test(text),
  hexcolor: (text) => /^#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})$/.test(text),
  rgbcolor: (text) =>
    (RGB.exec(text) ?? []).slice(1).length === 3 && rgbParts(text).every((part) => part <= 255),
  byte: (text) => text !== '' && BASE64.test(text),
  password: () => true,
  date: (text) => /^\d{4}-\d{2}-\d{2}$/.test(text) && parseTime(`${text}T00:00:00Z`) !== undefined,
  duration: (text) => parseDuration(text) !== undefined || SPOKEN_DURATION.test(text),
  datetime: (text) => parseTime(text) !== undefined,
  k8sshortname: (text) => dnsLabelErrors(text).length === 0,
  k8slongname: (text) => dnsSubdomainErrors(text).length === 0,
};

/** Whether a text has the form its schema asks for; true for a format that is not known. */
export function hasFormat(format: string, text: string): boolean {
  const name = format.replaceAll('-', '');
  if (!Object.hasOwn(CHECKS, name)) return true;
  return text.length <= TEXT_MAX && CHECKS[name](text);
}

function isUri(text: string): boolean {
  if (/[\s\p{Cc}]/u.test(text)) return false;
  return text.startsWith('/') || /^[a-zA-Z][a-zA-Z0-9+.-]*:\S/.test(text);
}

function isHardwareAddress(text: string): boolean {
  const lengths = new Set([6, 8, 20]);
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

function rgbParts(text: string): number[] {
  return (RGB.exec(text) ?? []).slice(1).map(Number);
}
