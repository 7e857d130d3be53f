/**
 * Functions an expression can call: what a library declares, in one line each, and does.
 *
 *     overload('size_string', 'size(string) int', (text) => …)
 *     overload('string_starts', 'string.startsWith(string) bool', …)
 *
 * A signature's capitals (A, B, K, V) are type parameters; `optional(A)`, `list(A)`, `map(K, V)`, `type(A)` are types
 * with parameters; any other word with a dot or an unknown one is a library's own type.
 */

import type { Pace, Sliced } from '../api/sliced.ts';
import {
  ANY,
  BOOL,
  BYTES,
  CelType,
  DOUBLE,
  DURATION,
  DYN,
  INT,
  listOf,
  mapOf,
  NULL,
  opaque,
  optionalOf,
  STRING,
  TIMESTAMP,
  TYPE,
  typeOfType,
  typeParam,
  UINT,
} from './types.ts';
import {
  CelList,
  CelMap,
  Duration,
  Optional,
  Timestamp,
  TypeValue,
  Uint,
  typeOf,
  type Result,
  type Value,
} from './values.ts';

export type Implementation = (a: Value, b: Value, c: Value, d: Value) => Result;
export type SlicedImplementation = (values: readonly Value[], pace: Pace) => Sliced<Result> | undefined;

export interface Overload {
  readonly id: string;
  readonly functionName: string;
  readonly instance: boolean;
  /** With the target first. */
  readonly args: readonly CelType[];
  readonly result: CelType;
  readonly typeParams: readonly string[];
  /** Takes an argument for an argument; those it has not are null. */
  readonly run: Implementation;
  /** The same in slices; undefined for arguments with which it takes no time. */
  readonly sliced?: SlicedImplementation | undefined;
  /** The same of what is called often and takes long seldom: only then the expression is run once more, in slices. */
  readonly seldom?: SlicedImplementation | undefined;
}

const SIMPLE: Readonly<Record<string, CelType>> = {
  dyn: DYN,
  any: ANY,
  null: NULL,
  bool: BOOL,
  int: INT,
  uint: UINT,
  double: DOUBLE,
  string: STRING,
  bytes: BYTES,
  timestamp: TIMESTAMP,
  duration: DURATION,
  type: TYPE,
};

/** Reads the types of a signature. */
class Signature {
  private readonly words: readonly string[];
  private at = 0;
  readonly params = new Set<string>();

  constructor(text: string) {
    this.words = text.match(/[\w.@]+|[(),]/g) ?? [];
  }

  type(): CelType {
    const word = this.words[this.at++];
    const args = this.words[this.at] === '(' ? this.list() : [];
    if (/^[A-Z]$/.test(word)) {
      this.params.add(word);
      return typeParam(word);
    }
    switch (word) {
      case 'list':
        return listOf(args[0]);
      case 'map':
        return mapOf(args[0], args[1]);
      case 'optional':
        return optionalOf(args[0]);
      case 'type':
        return args.length === 0 ? TYPE : typeOfType(args[0]);
      default:
        return SIMPLE[word] ?? opaque(word);
    }
  }

  list(): CelType[] {
    const types: CelType[] = [];
    this.at++;
    while (this.words[this.at] !== ')') {
      types.push(this.type());
      if (this.words[this.at] === ',') this.at++;
    }
    this.at++;
    return types;
  }
}

/** @param signature `name(types) result`, or `type->name(types) result` for a call on a target */
export function overload(
  id: string,
  signature: string,
  run: Implementation,
  sliced?: SlicedImplementation,
): Overload {
  const arrow = signature.indexOf('->');
  const instance = arrow >= 0;
  const rest = instance ? signature.slice(arrow + 2) : signature;
  const open = rest.indexOf('(');
  const target = instance ? new Signature(signature.slice(0, arrow)) : undefined;
  const tail = new Signature(rest.slice(open));
  const args = target === undefined ? tail.list() : [target.type(), ...tail.list()];
  const result = tail.type();
  const typeParams = new Set([...(target?.params ?? []), ...tail.params]);
  const functionName = rest.slice(0, open);
  return { id, functionName, instance, args, result, typeParams: [...typeParams], run, sliced };
}

/** Whether a value may be an argument of that type; of what is in a list or a map the first is looked at. */
export function accepts(type: CelType, value: Value): boolean {
  switch (type.kind) {
    case 'dyn':
    case 'any':
    case 'param':
      return true;
    case 'bool':
      return typeof value === 'boolean';
    case 'int':
      return typeof value === 'bigint';
    case 'uint':
      return value instanceof Uint;
    case 'double':
      return typeof value === 'number';
    case 'string':
      return typeof value === 'string';
    case 'bytes':
      return value instanceof Uint8Array;
    case 'null':
      return value === null;
    case 'list':
      if (!(value instanceof CelList)) return false;
      return value.size === 0 || isAny(type.params[0]) || accepts(type.params[0], value.at(0));
    case 'map':
      return value instanceof CelMap && acceptsEntry(type, value);
    case 'timestamp':
      return value instanceof Timestamp;
    case 'duration':
      return value instanceof Duration;
    case 'type':
      return value instanceof TypeValue;
    case 'opaque':
      return type.name === 'optional_type' ? value instanceof Optional : typeOf(value).name === type.name;
    case 'struct':
      return typeOf(value).name === type.name;
    case 'wrapper':
      return value === null || accepts(type.params[0], value);
    default:
      return false;
  }
}

const isAny = ({ kind }: CelType): boolean => kind === 'dyn' || kind === 'any' || kind === 'param';

function acceptsEntry({ params: [key, value] }: CelType, map: CelMap): boolean {
  if (isAny(key) && isAny(value)) return true;
  for (const first of map.keys()) return accepts(key, first) && accepts(value, map.get(first) ?? null);
  return true;
}

/** All overloads of each function, as an environment's libraries declare them. */
export class FunctionTable {
  private readonly byName: Map<string, Overload[]> = new Map();

  constructor(libraries: readonly (readonly Overload[])[]) {
    for (const library of libraries) {
      for (const entry of library) {
        const list = this.byName.get(entry.functionName);
        if (list === undefined) this.byName.set(entry.functionName, [entry]);
        else list.push(entry);
      }
    }
  }

  find(name: string): readonly Overload[] | undefined {
    return this.byName.get(name);
  }
}
