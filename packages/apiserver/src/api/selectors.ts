/**
 * Label and field selectors: text to requirements and back, and whether labels or fields meet them. Texts of
 * errors as apimachinery's labels and fields packages write them; kubectl prints them.
 *
 * Grammar of labels: `a`, `!a`, `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a>1`, `a<1`, joined by
 * commas. Of fields: `a=b`, `a==b`, `a!=b`, a backslash keeps a comma, an equals sign or a backslash.
 */

export type Operator = '=' | '==' | '!=' | 'in' | 'notin' | 'exists' | '!' | 'gt' | 'lt';

export interface Requirement {
  readonly key: string;
  readonly operator: Operator;
  /** Sorted, without repetition. */
  readonly values: readonly string[];
}

export interface FieldRequirement {
  readonly field: string;
  readonly operator: '=' | '!=';
  readonly value: string;
}

/** A selector that did not parse; the message is the original's. */
export class SelectorError extends Error {
  override readonly name = 'SelectorError';
}

const NAME = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

const NAME_TEXT =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character" +
  " (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE_TEXT =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character" +
  " (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const SUBDOMAIN_TEXT =
  "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character" +
  " (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/** What is wrong with a label key (a qualified name), each as one text; empty when nothing is. */
export function labelKeyErrors(key: string): string[] {
  const parts = key.split('/');
  if (parts.length > 2) {
    return [
      "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character" +
        " (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')" +
        " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
    ];
  }
  const errors: string[] = [];
  const name = parts[parts.length - 1];
  if (parts.length === 2) {
    const prefix = parts[0];
    if (prefix === '') errors.push('prefix part must be non-empty');
    else {
      if (prefix.length > 253) errors.push('prefix part must be no more than 253 bytes');
      if (!SUBDOMAIN.test(prefix)) errors.push(SUBDOMAIN_TEXT);
    }
  }
  if (name === '') errors.push('name part must be non-empty');
  else if (name.length > 63) errors.push('name part must be no more than 63 bytes');
  if (!NAME.test(name)) errors.push(NAME_TEXT);
  return errors;
}

/** What is wrong with a label value; empty when nothing is. */
export function labelValueErrors(value: string): string[] {
  const errors: string[] = [];
  if (value.length > 63) errors.push('must be no more than 63 bytes');
  if (value !== '' && !NAME.test(value)) errors.push(VALUE_TEXT);
  return errors;
}

type Token =
  | { readonly kind: 'word'; readonly text: string }
  | { readonly kind: 'sign'; readonly text: string }
  | { readonly kind: 'end'; readonly text: '' };

const SIGNS = '=!<>(),';

/** Words and signs of a selector; `in` and `notin` are words that the parser reads by their place. */
function tokens(text: string): Token[] {
  const found: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const char = text[at];
    if (/\s/.test(char)) {
      at += 1;
    } else if (SIGNS.includes(char)) {
      const two = text.slice(at, at + 2);
      const sign = two === '==' || two === '!=' ? two : char;
      found.push({ kind: 'sign', text: sign });
      at += sign.length;
    } else {
      const start = at;
      while (at < text.length && !SIGNS.includes(text[at]) && !/\s/.test(text[at])) at += 1;
      found.push({ kind: 'word', text: text.slice(start, at) });
    }
  }
  found.push({ kind: 'end', text: '' });
  return found;
}

/**
 * Reads a label selector; the empty text selects everything.
 *
 * @throws SelectorError with the original's text
 */
export function parseLabelSelector(text: string): Requirement[] {
  return new LabelParser(tokens(text)).parse();
}

class LabelParser {
  private readonly tokens: readonly Token[];
  private at = 0;

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  parse(): Requirement[] {
    const found: Requirement[] = [];
    const first = this.peek();
    if (first.kind === 'end') return found;
    if (first.kind !== 'word' && first.text !== '!') {
      throw new SelectorError(`found '${first.text}', expected: !, identifier, or 'end of string'`);
    }
    for (;;) {
      found.push(this.whole());
      const next = this.take();
      if (next.kind === 'end') break;
      if (next.text !== ',') {
        throw new SelectorError(`found '${next.text}', expected: ',' or 'end of string'`);
      }
      const behind = this.peek();
      if (behind.kind !== 'word' && behind.text !== '!') {
        throw new SelectorError(`found '${behind.text}', expected: identifier after ','`);
      }
    }
    return found.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  }

  private peek(): Token {
    return this.tokens[this.at];
  }

  private take(): Token {
    const token = this.tokens[this.at];
    if (token.kind !== 'end') this.at += 1;
    return token;
  }

  private whole(): Requirement {
    try {
      return this.requirement();
    } catch (error) {
      if (!(error instanceof SelectorError)) throw error;
      throw new SelectorError(`unable to parse requirement: ${error.message}`);
    }
  }

  private requirement(): Requirement {
    let absent = false;
    if (this.peek().text === '!') {
      this.take();
      absent = true;
    }
    const word = this.take();
    if (word.kind !== 'word') throw new SelectorError(`found '${word.text}', expected: identifier`);
    const key = word.text;
    check(labelKeyErrors(key), '<nil>', key);
    const next = this.peek();
    if (absent) return { key, operator: '!', values: [] };
    if (next.kind === 'end' || next.text === ',') return { key, operator: 'exists', values: [] };

    const operator = this.operator();
    const values = operator === 'in' || operator === 'notin' ? this.set() : [this.exact()];
    if (operator === 'gt' || operator === 'lt') {
      for (const value of values) {
        if (!/^[-+]?\d+$/.test(value)) {
          throw new SelectorError(
            `values[0]: Invalid value: ${JSON.stringify(value)}: for 'Gt', 'Lt' operators, the value must be an integer`,
          );
        }
      }
    }
    values.forEach((value, index) => check(labelValueErrors(value), `values[${index}][${key}]`, value));
    return { key, operator, values: [...new Set(values)].toSorted() };
  }

  private operator(): Operator {
    const token = this.take();
    switch (token.text) {
      case 'in':
      case 'notin':
      case '=':
      case '==':
      case '!=':
        return token.text;
      case '>':
        return 'gt';
      case '<':
        return 'lt';
      default:
        throw new SelectorError(`found '${token.text}', expected: in, notin, =, ==, !=, gt, lt`);
    }
  }

  /** `(a,b)`; empty values between commas count as the empty value. */
  private set(): string[] {
    const open = this.take();
    if (open.text !== '(') throw new SelectorError(`found '${open.text}' expected: '('`);
    const values: string[] = [];
    if (this.peek().text === ')') {
      this.take();
      return [''];
    }
    if (!isValue(this.peek())) {
      throw new SelectorError(`found '${this.peek().text}', expected: ',', ')' or identifier`);
    }
    for (;;) {
      const token = this.take();
      if (token.kind === 'word') {
        values.push(token.text);
        if (this.peek().text === ')') break;
        if (this.peek().text !== ',') {
          throw new SelectorError(`found '${this.peek().text}', expected: ',' or ')'`);
        }
      } else if (token.text === ',') {
        const next = this.peek().text;
        if (values.length === 0 || next === ')' || next === ',') values.push('');
        if (next === ')') break;
      } else {
        throw new SelectorError(`found '${token.text}', expected: ',', or identifier`);
      }
    }
    this.take();
    return values;
  }

  private exact(): string {
    const next = this.peek();
    if (next.kind === 'end' || next.text === ',') return '';
    const token = this.take();
    if (token.kind !== 'word') throw new SelectorError(`found '${token.text}', expected: identifier`);
    return token.text;
  }
}

/** What may stand in a set: a value, or the comma behind an empty one. */
function isValue(token: Token): boolean {
  return token.kind === 'word' || token.text === ',';
}

function check(errors: readonly string[], field: string, value: string): void {
  if (errors.length === 0) return;
  throw new SelectorError(`${field}: Invalid value: ${JSON.stringify(value)}: ${errors.join('; ')}`);
}

/** Whether labels meet all requirements. A label that is absent meets `!=` and `notin`. */
export function matchesLabels(
  requirements: readonly Requirement[],
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  for (const requirement of requirements) if (!matchesOne(requirement, labels)) return false;
  return true;
}

function matchesOne(
  { key, operator, values }: Requirement,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  const has = labels !== undefined && Object.hasOwn(labels, key);
  const value = has ? labels[key] : '';
  switch (operator) {
    case '=':
    case '==':
    case 'in':
      return has && values.includes(value);
    case '!=':
    case 'notin':
      return !has || !values.includes(value);
    case 'exists':
      return has;
    case '!':
      return !has;
    case 'gt':
    case 'lt': {
      if (!has || !/^[-+]?\d+$/.test(value)) return false;
      const left = BigInt(value);
      const right = BigInt(values[0]);
      return operator === 'gt' ? left > right : left < right;
    }
  }
}

/** The selector as text, requirements in order of their keys. */
export function labelSelectorText(requirements: readonly Requirement[]): string {
  return requirements
    .map(({ key, operator, values }) => {
      switch (operator) {
        case 'exists':
          return key;
        case '!':
          return `!${key}`;
        case 'in':
        case 'notin':
          return `${key} ${operator} (${values.join(',')})`;
        case 'gt':
          return `${key}>${values[0]}`;
        case 'lt':
          return `${key}<${values[0]}`;
        default:
          return `${key}${operator}${values[0]}`;
      }
    })
    .join(',');
}

/** metav1.LabelSelector, as objects hold it. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

/**
 * The requirements of an object's selector; an empty one selects everything. What is absent (nil) selects
 * nothing, which the caller knows by having none.
 *
 * @throws SelectorError for an operator that does not exist
 */
export function requirementsOf(selector: LabelSelector): Requirement[] {
  const found: Requirement[] = [];
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    found.push({ key, operator: '=', values: [value] });
  }
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    const sorted = [...new Set(values)].toSorted();
    switch (operator) {
      case 'In':
        found.push({ key, operator: 'in', values: sorted });
        break;
      case 'NotIn':
        found.push({ key, operator: 'notin', values: sorted });
        break;
      case 'Exists':
        found.push({ key, operator: 'exists', values: [] });
        break;
      case 'DoesNotExist':
        found.push({ key, operator: '!', values: [] });
        break;
      default:
        throw new SelectorError(`${JSON.stringify(operator)} is not a valid label selector operator`);
    }
  }
  return found.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}

/**
 * Reads a field selector; the empty text selects everything.
 *
 * @throws SelectorError with the original's text
 */
export function parseFieldSelector(text: string): FieldRequirement[] {
  return splitTerms(text)
    .filter((term) => term !== '')
    .map((term) => {
      const found = splitTerm(term);
      if (found === undefined) {
        throw new SelectorError(`invalid selector: '${text}'; can't understand '${term}'`);
      }
      const [field, operator, value] = found;
      return { field, operator: operator === '!=' ? '!=' : '=', value: unescape(value) };
    });
}

/** Splits at commas that no backslash precedes. */
function splitTerms(text: string): string[] {
  const terms: string[] = [];
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === ',') {
      terms.push(text.slice(start, at));
      start = at + 1;
    }
  }
  terms.push(text.slice(start));
  return terms;
}

function splitTerm(term: string): [field: string, operator: string, value: string] | undefined {
  for (let at = 0; at < term.length; at += 1) {
    for (const operator of ['!=', '==', '=']) {
      if (term.startsWith(operator, at)) {
        return [term.slice(0, at), operator, term.slice(at + operator.length)];
      }
    }
  }
  return undefined;
}

function unescape(value: string): string {
  let text = '';
  for (let at = 0; at < value.length; at += 1) {
    const char = value[at];
    if (char === '\\') {
      at += 1;
      const escaped = value[at];
      if (escaped === undefined)
        throw new SelectorError('invalid field selector: invalid escape sequence: \\');
      if (escaped !== '\\' && escaped !== ',' && escaped !== '=') {
        throw new SelectorError(`invalid field selector: invalid escape sequence: \\${escaped}`);
      }
      text += escaped;
    } else if (char === ',' || char === '=') {
      throw new SelectorError(`invalid field selector: unescaped character in value: ${char}`);
    } else {
      text += char;
    }
  }
  return text;
}

/** Whether an object's selectable fields meet all requirements; a field it lacks counts as empty. */
export function matchesFields(
  requirements: readonly FieldRequirement[],
  fields: Readonly<Record<string, string>>,
): boolean {
  for (const { field, operator, value } of requirements) {
    const actual = Object.hasOwn(fields, field) ? fields[field] : '';
    if ((actual === value) !== (operator === '=')) return false;
  }
  return true;
}
