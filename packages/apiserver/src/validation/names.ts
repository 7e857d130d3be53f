/**
 * The rules of names: DNS labels and subdomains, qualified names, keys of config maps, environment variables,
 * ports, header names, percentages. Each gives the texts of what is wrong, without the field, empty when nothing
 * is; texts are those of apimachinery's validation package.
 */

import { labelKeyErrors } from '../api/selectors.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';

const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`;
const LABEL_1035 = '[a-z]([-a-z0-9]*[a-z0-9])?';
const CONFIG_KEY = '[-._a-zA-Z0-9]+';
const HEADER = '[-A-Za-z0-9]+';
const PERCENT = '[0-9]+%';
const C_IDENTIFIER = '[A-Za-z_][A-Za-z0-9_]*';

const LABEL_LENGTH_MAX = 63;
const SUBDOMAIN_LENGTH_MAX = 253;

/** What a pattern wants, as the original words it. */
function patternText(text: string, pattern: string, ...examples: readonly string[]): string {
  if (examples.length === 0) return `${text} (regex used for validation is '${pattern}')`;
  const shown = examples.map((example) => `'${example}', `).join(' or ');
  return `${text} (e.g. ${shown}regex used for validation is '${pattern}')`;
}

function rule(pattern: string, lengthMax: number, message: string): (value: string) => string[] {
  const whole = new RegExp(`^(?:${pattern})$`);
  return (value) => {
    const errors: string[] = [];
    if (value.length > lengthMax) errors.push(tooLongText(lengthMax));
    if (value.length > 4096 || !whole.test(value)) errors.push(message);
    return errors;
  };
}

export function tooLongText(lengthMax: number): string {
  return `must be no more than ${lengthMax} characters`;
}

const dnsLabelPattern = rule(
  LABEL,
  LABEL_LENGTH_MAX,
  patternText(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
    LABEL,
    'my-name',
    '123-abc',
  ),
);

const wholeSubdomain = new RegExp(`^(?:${SUBDOMAIN})$`);

/** Dots alone are told by their name: such a value is a subdomain. */
export function dnsLabelErrors(value: string): string[] {
  const errors = dnsLabelPattern(value);
  if (!value.includes('.') || value.length > 4096 || !wholeSubdomain.test(value)) return errors;
  return [...errors.slice(0, -1), 'must not contain dots'];
}

export const dnsSubdomainErrors = rule(
  SUBDOMAIN,
  SUBDOMAIN_LENGTH_MAX,
  patternText(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
    SUBDOMAIN,
    'example.com',
  ),
);

const UNDERSCORE_LABEL = '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?';

/** A domain that a resolver searches: underscores are right there. */
export const searchDomainErrors = rule(
  `${UNDERSCORE_LABEL}(\\.${UNDERSCORE_LABEL})*`,
  SUBDOMAIN_LENGTH_MAX,
  patternText(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character",
    `${UNDERSCORE_LABEL}(\\.${UNDERSCORE_LABEL})*`,
    'example.com',
  ),
);

export const dns1035LabelErrors = rule(
  LABEL_1035,
  LABEL_LENGTH_MAX,
  patternText(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
    LABEL_1035,
    'my-name',
    'abc-123',
  ),
);

export const wildcardSubdomainErrors = rule(
  `\\*\\.${SUBDOMAIN}`,
  SUBDOMAIN_LENGTH_MAX,
  patternText(
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    `\\*\\.${SUBDOMAIN}`,
    '*.example.com',
  ),
);

export const headerNameErrors = rule(
  HEADER,
  1024 * 1024,
  patternText("a valid HTTP header must consist of alphanumeric characters or '-'", HEADER, 'X-Header-Name'),
);

export const percentErrors = rule(
  PERCENT,
  Number.POSITIVE_INFINITY,
  patternText(
    "a valid percent string must be a numeric string followed by an ending '%'",
    PERCENT,
    '1%',
    '93%',
  ),
);

export const identifierErrors = rule(
  C_IDENTIFIER,
  1024,
  patternText(
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'",
    C_IDENTIFIER,
    'my_name',
    'MY_NAME',
    'MyName',
  ),
);

const configKeyPattern = rule(
  CONFIG_KEY,
  SUBDOMAIN_LENGTH_MAX,
  patternText(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    CONFIG_KEY,
    'key.name',
    'KEY_NAME',
    'key-name',
  ),
);

/** A key of a ConfigMap or Secret: it becomes a file's name. */
export function configKeyErrors(value: string): string[] {
  const errors = configKeyPattern(value);
  if (value === '.') errors.push("must not be '.'");
  else if (value === '..') errors.push("must not be '..'");
  else if (value.startsWith('..')) errors.push("must not start with '..'");
  return errors;
}

/** `name` or `prefix/name`, as a label's key. */
export function qualifiedNameErrors(value: string): string[] {
  return labelKeyErrors(value);
}

/** An environment variable's name: printable ASCII without `=`. */
export function environmentNameErrors(value: string): string[] {
  const errors: string[] = [];
  if (value === '') errors.push('environment variable name must be non-empty');
  if (!/^[ -<>-~]*$/.test(value)) {
    errors.push(
      "a valid environment variable name must consist only of printable ASCII characters other than '='",
    );
  }
  return errors;
}

const URL_PATH = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+";
const wholeUrlPath = new RegExp(`^${URL_PATH}$`);

/** A path behind a domain, `acme.io/foo`: how controllers call themselves. */
export function checkDomainPath(errors: FieldErrors, path: FieldPath, value: string): void {
  if (value === '') {
    errors.required(path);
    return;
  }
  const slash = value.indexOf('/');
  if (slash <= 0 || slash === value.length - 1) {
    errors.invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")');
    return;
  }
  const host = value.slice(0, slash);
  const rest = value.slice(slash + 1);
  errors.invalids(path, host, dnsSubdomainErrors(host));
  if (!wholeUrlPath.test(rest)) errors.invalid(path, rest, patternText('Invalid path', URL_PATH));
}

export function rangeErrors(value: number, min: number, max: number): string[] {
  return value >= min && value <= max ? [] : [`must be between ${min} and ${max}, inclusive`];
}

export function portNumberErrors(value: number): string[] {
  return rangeErrors(value, 1, 65_535);
}

export function portNameErrors(value: string): string[] {
  const errors: string[] = [];
  if (value.length > 15) errors.push(tooLongText(15));
  if (!/^[-a-z0-9]+$/.test(value)) {
    errors.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  }
  if (!/[a-z]/.test(value)) errors.push('must contain at least one letter (a-z)');
  if (value.includes('--')) errors.push('must not contain consecutive hyphens');
  if (value.startsWith('-') || value.endsWith('-')) errors.push('must not begin or end with a hyphen');
  return errors;
}

/** A name that stands as one segment of a URL's path: what RBAC objects may be called. */
export function pathSegmentErrors(value: string, prefix = false): string[] {
  const errors: string[] = [];
  if (!prefix && (value === '.' || value === '..')) return [`may not be '${value}'`];
  for (const char of ['/', '%']) if (value.includes(char)) errors.push(`may not contain '${char}'`);
  return errors;
}

/** A rule for names applied to the base of a generated one, to which something is appended yet. */
export function forName(errors: (value: string) => string[]): (name: string, prefix: boolean) => string[] {
  return (name, prefix) => errors(prefix ? withoutTrailingDash(name) : name);
}

function withoutTrailingDash(name: string): string {
  return name.length > 1 && name.endsWith('-') ? `${name.slice(0, -1)}a` : name;
}
