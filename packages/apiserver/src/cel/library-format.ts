/** Kubernetes' named formats (1.31): `format.dns1123Label().validate(text)` gives the errors, or none. */

import { labelValueErrors } from '../api/selectors.ts';
import {
  dns1035LabelErrors,
  dnsLabelErrors,
  dnsSubdomainErrors,
  qualifiedNameErrors,
} from '../validation/names.ts';
import { overload, type Overload } from './functions.ts';
import { parseUrl } from './go-url.ts';
import { NamedFormat } from './named-format.ts';
import { isDate, isDateTime } from './times.ts';
import { ArrayList, CelError, noSuchOverload, Optional } from './values.ts';

/** A name's prefix may end with a dash: generateName completes it. */
const prefixed =
  (errors: (text: string) => readonly string[]) =>
  (text: string): readonly string[] =>
    errors(text.endsWith('-') && text.length > 1 ? `${text.slice(0, -1)}a` : text);

const unless =
  (valid: (text: string) => boolean, error: string) =>
  (text: string): readonly string[] =>
    valid(text) ? [] : [error];

const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$/;

/** The lengths of the patterns the original's formats are made of, where there is one. */
const FORMATS: readonly (readonly [string, string, number, (text: string) => readonly string[]])[] = [
  ['dns1123Label', 'DNS1123Label', 30, dnsLabelErrors],
  ['dns1123Subdomain', 'DNS1123Subdomain', 60, dnsSubdomainErrors],
  ['dns1035Label', 'DNS1035Label', 30, dns1035LabelErrors],
  ['qualifiedName', 'QualifiedName', 60, qualifiedNameErrors],
  ['dns1123LabelPrefix', 'DNS1123LabelPrefix', 30, prefixed(dnsLabelErrors)],
  ['dns1123SubdomainPrefix', 'DNS1123SubdomainPrefix', 60, prefixed(dnsSubdomainErrors)],
  ['dns1035LabelPrefix', 'DNS1035LabelPrefix', 30, prefixed(dns1035LabelErrors)],
  ['labelValue', 'LabelValue', 40, labelValueErrors],
  [
    'uri',
    'URI',
    1103,
    (text) => {
      const url = parseUrl(text);
      return url instanceof CelError ? [url.message] : [];
    },
  ],
  ['uuid', 'uuid', 70, unless((text) => UUID.test(text), 'does not match the UUID format')],
  ['byte', 'byte', 84, unless((text) => BASE64.test(text), 'invalid base64')],
  ['date', 'date', 71, unless(isDate, 'invalid date')],
  ['datetime', 'datetime', 71, unless(isDateTime, 'invalid datetime')],
];

const BY_NAME: ReadonlyMap<string, NamedFormat> = new Map(
  FORMATS.map(([key, name, regexSize, errors]) => [key, new NamedFormat(name, regexSize, errors)]),
);
const NONE = new Optional(undefined);

export const FORMAT_LIBRARY: readonly Overload[] = [
  overload(
    'format-validate',
    'kubernetes.NamedFormat->validate(string) optional(list(string))',
    (format, text) => {
      if (!(format instanceof NamedFormat) || typeof text !== 'string') return noSuchOverload();
      const errors = format.errors(text);
      return errors.length === 0 ? NONE : new Optional(new ArrayList(errors));
    },
  ),
  overload('format-named', 'format.named(string) optional(kubernetes.NamedFormat)', (name) =>
    typeof name === 'string' ? new Optional(BY_NAME.get(name)) : noSuchOverload(),
  ),
  ...[...BY_NAME].map(([key, format]) =>
    overload(`format.${key}`, `format.${key}() kubernetes.NamedFormat`, () => format),
  ),
];
