/**
 * The paths of printer columns, kubectl's JSONPath: members, escaped and quoted names, indexes, slices, wildcards,
 * descent, and conditions that compare a member with a literal. Bounded: what a path finds and how deep it looks.
 *
 * Modelled on client-go's util/jsonpath, as far as it finds one thing.
 */

import { isJsonObject, JsonFloat, type Json } from '../api/json.ts';

type Literal = string | number | boolean;

type Step =
  | { readonly kind: 'member'; readonly name: string }
  | { readonly kind: 'slice'; readonly from: number | undefined; readonly to: number | undefined }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'all' }
  | { readonly kind: 'descend' }
  | {
      readonly kind: 'filter';
      readonly path: readonly Step[];
      readonly operator: string;
      readonly literal: Literal | undefined;
    };

const FOUND_MAX = 1_000;
const DEPTH_MAX = 64;

export class JsonPath {
  private readonly steps: readonly Step[];

  private constructor(steps: readonly Step[]) {
    this.steps = steps;
  }

  /** @returns undefined for what is no path */
  static parse(text: string): JsonPath | undefined {
    const steps = new PathReader(text.startsWith('$') ? text.slice(1) : text).steps();
    return steps === undefined ? undefined : new JsonPath(steps);
  }

  /** All that is found, in order. */
  find(value: Json): readonly Json[] {
    return follow(this.steps, [value]);
  }
}

function follow(steps: readonly Step[], from: readonly Json[]): readonly Json[] {
  let at: readonly Json[] = from;
  for (const step of steps) {
    const next: Json[] = [];
    for (const value of at) {
      if (next.length >= FOUND_MAX) break;
      take(step, value, next);
    }
    at = next;
  }
  return at;
}

function take(step: Step, value: Json, found: Json[]): void {
  switch (step.kind) {
    case 'member':
      if (isJsonObject(value) && Object.hasOwn(value, step.name)) found.push(value[step.name]);
      return;
    case 'index': {
      const item = Array.isArray(value) ? value.at(step.index) : undefined;
      if (item !== undefined) found.push(item);
      return;
    }
    case 'slice':
      if (Array.isArray(value)) found.push(...value.slice(step.from, step.to).slice(0, FOUND_MAX));
      return;
    case 'all':
      found.push(...inner(value).slice(0, FOUND_MAX));
      return;
    case 'descend':
      descend(value, found, 0);
      return;
    case 'filter':
      found.push(...inner(value).filter((item) => holds(step, item)));
  }
}

function inner(value: Json): readonly Json[] {
  if (Array.isArray(value)) return value;
  return isJsonObject(value) ? Object.values(value) : [];
}

function descend(value: Json, found: Json[], depth: number): void {
  if (found.length >= FOUND_MAX || depth > DEPTH_MAX) return;
  found.push(value);
  for (const item of inner(value)) descend(item, found, depth + 1);
}

function holds({ path, operator, literal }: Extract<Step, { kind: 'filter' }>, item: Json): boolean {
  const value = follow(path, [item]).at(0);
  if (value === undefined) return false;
  if (literal === undefined) return true;
  const left = value instanceof JsonFloat ? value.value : typeof value === 'bigint' ? Number(value) : value;
  switch (operator) {
    case '==':
      return left === literal;
    case '!=':
      return left !== literal;
    default:
      break;
  }
  if (typeof left !== typeof literal || left === null || typeof left === 'object') return false;
  switch (operator) {
    case '<':
      return left < literal;
    case '<=':
      return left <= literal;
    case '>':
      return left > literal;
    default:
      return left >= literal;
  }
}

class PathReader {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  steps(): readonly Step[] | undefined {
    const steps: Step[] = [];
    while (this.at < this.text.length) {
      const step = this.step();
      if (step === undefined) return undefined;
      steps.push(...step);
    }
    return steps;
  }

  private step(): readonly Step[] | undefined {
    if (this.took('..')) {
      const rest = this.text[this.at];
      const descent: Step = { kind: 'descend' };
      if (rest === '[' || rest === undefined) return [descent];
      const member = this.member();
      return member === undefined ? undefined : [descent, member];
    }
    if (this.took('.')) {
      if (this.at === this.text.length) return [];
      if (this.text[this.at] === '[') return [];
      const member = this.member();
      return member === undefined ? undefined : [member];
    }
    return this.took('[') ? this.bracket() : undefined;
  }

  private member(): Step | undefined {
    if (this.took('*')) return { kind: 'all' };
    let name = '';
    while (this.at < this.text.length) {
      const char = this.text[this.at];
      if (char === '.' || char === '[' || char === ' ') break;
      if (char === '\\') this.at += 1;
      name += this.text[this.at] ?? '';
      this.at += 1;
    }
    return name === '' ? undefined : { kind: 'member', name };
  }

  private bracket(): readonly Step[] | undefined {
    const rest = this.text.slice(this.at);
    const quoted = /^\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\s*\]/.exec(rest);
    if (quoted !== null) {
      this.at += quoted[0].length;
      return [{ kind: 'member', name: (quoted[1] ?? quoted[2]).replaceAll(/\\(.)/g, '$1') }];
    }
    const plain = /^\s*(?:(\*)|(-?\d+)?(?:(:)(-?\d+)?)?)\s*\]/.exec(rest);
    if (plain !== null) {
      this.at += plain[0].length;
      const [, all, from, colon, to] = plain;
      if (all !== undefined) return [{ kind: 'all' }];
      if (colon === undefined)
        return from === undefined ? undefined : [{ kind: 'index', index: Number(from) }];
      const number = (text: string | undefined): number | undefined =>
        text === undefined ? undefined : Number(text);
      return [{ kind: 'slice', from: number(from), to: number(to) }];
    }
    return this.filter(rest);
  }

  private filter(rest: string): readonly Step[] | undefined {
    const filter =
      /^\?\(\s*@((?:\.?[^\s=<>!()[\]]+|\[[^\]]*\])*)\s*(?:(==|!=|<=|>=|<|>)\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s)]+)\s*)?\)\]/.exec(
        rest,
      );
    if (filter === null) return undefined;
    this.at += filter[0].length;
    const [, path] = filter;
    const operator: string | undefined = filter[2];
    const literal: string | undefined = filter[3];
    const steps = new PathReader(path).steps();
    if (steps === undefined) return undefined;
    return [
      {
        kind: 'filter',
        path: steps,
        operator: operator ?? '',
        literal: literal === undefined ? undefined : literalOf(literal),
      },
    ];
  }

  private took(text: string): boolean {
    if (!this.text.startsWith(text, this.at)) return false;
    this.at += text.length;
    return true;
  }
}

function literalOf(text: string): Literal {
  if (text.startsWith('"') || text.startsWith("'")) return text.slice(1, -1).replaceAll(/\\(.)/g, '$1');
  if (text === 'true' || text === 'false') return text === 'true';
  const number = Number(text);
  return Number.isNaN(number) ? text : number;
}
