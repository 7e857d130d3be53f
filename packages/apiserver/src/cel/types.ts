/**
 * The types of CEL as the checker reasons about them, how they are written in messages, and which of them may
 * stand for which. Types are values: two that look the same are the same.
 *
 * Modelled on CEL-go's types.Type and the rules of its checker (assignability, substitution, generality).
 */

export type TypeKind =
  | 'dyn'
  | 'error'
  | 'null'
  | 'bool'
  | 'int'
  | 'uint'
  | 'double'
  | 'string'
  | 'bytes'
  | 'timestamp'
  | 'duration'
  | 'any'
  | 'list'
  | 'map'
  | 'struct'
  | 'opaque'
  | 'param'
  | 'type'
  | 'wrapper';

export class CelType {
  readonly kind: TypeKind;
  /** The name a program sees (`type(x)`), of a struct its full name, of a parameter its letter. */
  readonly name: string;
  readonly params: readonly CelType[];

  constructor(kind: TypeKind, name: string, params: readonly CelType[] = []) {
    this.kind = kind;
    this.name = name;
    this.params = params;
  }

  equals(other: CelType): boolean {
    return (
      this.kind === other.kind &&
      this.name === other.name &&
      this.params.length === other.params.length &&
      this.params.every((param, i) => param.equals(other.params[i]))
    );
  }

  /** As messages of the checker write it. */
  toString(): string {
    switch (this.kind) {
      case 'wrapper':
        return `wrapper(${this.params[0].name})`;
      case 'error':
        return '!error!';
      case 'type':
        return this.params.length === 0 ? 'type' : `type(${this.params[0].toString()})`;
      default:
        return this.params.length === 0 ? this.name : `${this.name}(${this.params.map(String).join(', ')})`;
    }
  }
}

export const DYN = new CelType('dyn', 'dyn');
export const ERROR = new CelType('error', '*error*');
export const NULL = new CelType('null', 'null');
export const BOOL = new CelType('bool', 'bool');
export const INT = new CelType('int', 'int');
export const UINT = new CelType('uint', 'uint');
export const DOUBLE = new CelType('double', 'double');
export const STRING = new CelType('string', 'string');
export const BYTES = new CelType('bytes', 'bytes');
export const TIMESTAMP = new CelType('timestamp', 'timestamp');
export const DURATION = new CelType('duration', 'duration');
export const ANY = new CelType('any', 'any');
export const TYPE = new CelType('type', 'type');

export const listOf = (element: CelType): CelType => new CelType('list', 'list', [element]);
export const mapOf = (key: CelType, value: CelType): CelType => new CelType('map', 'map', [key, value]);
export const typeOfType = (type: CelType): CelType => new CelType('type', 'type', [type]);
export const structOf = (name: string): CelType => new CelType('struct', name);
export const opaque = (name: string, ...params: CelType[]): CelType => new CelType('opaque', name, params);
export const typeParam = (name: string): CelType => new CelType('param', name);
export const wrapperOf = (type: CelType): CelType => new CelType('wrapper', 'wrapper', [type]);
export const optionalOf = (type: CelType): CelType => opaque('optional_type', type);

/** The types that have a name in every expression. */
export const NAMED_TYPES: ReadonlyMap<string, CelType> = new Map([
  ['null_type', NULL],
  ['bool', BOOL],
  ['int', INT],
  ['uint', UINT],
  ['double', DOUBLE],
  ['string', STRING],
  ['bytes', BYTES],
  ['list', listOf(DYN)],
  ['map', mapOf(DYN, DYN)],
  ['type', TYPE],
  ['google.protobuf.Timestamp', TIMESTAMP],
  ['google.protobuf.Duration', DURATION],
]);

const isDyn = (type: CelType): boolean => type.kind === 'dyn' || type.kind === 'any';
export const isDynOrError = (type: CelType): boolean => isDyn(type) || type.kind === 'error';

/** What type parameters stand for, found while an expression is checked. */
export class Substitution {
  private bound: Map<string, CelType>;

  constructor(bound: ReadonlyMap<string, CelType> = new Map()) {
    this.bound = new Map(bound);
  }

  /** Whether a value of `given` may stand where `wanted` is wanted; parameters are bound only when it may. */
  assignable(wanted: CelType, given: CelType): boolean {
    return this.assignableAll([wanted], [given]);
  }

  assignableAll(wanted: readonly CelType[], given: readonly CelType[]): boolean {
    if (wanted.length !== given.length) return false;
    const before = this.bound;
    this.bound = new Map(before);
    for (let i = 0; i < wanted.length; i++) {
      if (!this.fits(wanted[i], given[i])) {
        this.bound = before;
        return false;
      }
    }
    return true;
  }

  private fits(a: CelType, b: CelType): boolean {
    if (b.kind === 'param') {
      const { valid, known } = this.substitutes(a, b);
      if (valid) return true;
      if (known) return false;
    }
    if (a.kind === 'param') return this.substitutes(b, a).valid;
    if (isDynOrError(a) || isDynOrError(b)) return true;
    if (a.kind === 'null') return takesNull(b);
    if (b.kind === 'null') return takesNull(a);
    switch (a.kind) {
      case 'type':
        return b.kind === 'type';
      case 'opaque':
      case 'list':
      case 'map':
        return (
          a.kind === b.kind &&
          a.name === b.name &&
          a.params.length === b.params.length &&
          a.params.every((param, i) => this.fits(param, b.params[i]))
        );
      case 'any':
        return true;
      case 'wrapper':
        return b.kind === 'wrapper' ? a.equals(b) : a.params[0].equals(b);
      default:
        if (b.kind === 'any') return true;
        return b.kind === 'wrapper' ? b.params[0].equals(a) : a.equals(b);
    }
  }

  /** Whether `type` may be what the parameter stands for; binds it, or widens what it is bound to. */
  private substitutes(type: CelType, param: CelType): { readonly valid: boolean; readonly known: boolean } {
    if (type.equals(param)) return { valid: true, known: true };
    const current = this.bound.get(param.name);
    if (current !== undefined) {
      if (type.equals(current)) return { valid: true, known: true };
      if (!this.fits(type, current)) return { valid: false, known: true };
      const general = mostGeneral(type, current);
      if (!this.occursIn(param, general)) this.bound.set(param.name, general);
      return { valid: true, known: true };
    }
    if (this.occursIn(param, type)) return { valid: false, known: false };
    this.bound.set(param.name, type);
    return { valid: true, known: false };
  }

  private occursIn(param: CelType, type: CelType): boolean {
    if (type.equals(param)) return true;
    if (type.kind === 'param') {
      const current = this.bound.get(type.name);
      return current !== undefined && this.occursIn(param, current);
    }
    return type.params.some((inner) => this.occursIn(param, inner));
  }

  /** The type with its parameters replaced; those that stand for nothing stay, or become dyn at the end. */
  apply(type: CelType, freeToDyn: boolean): CelType {
    if (type.kind === 'param') {
      const current = this.bound.get(type.name);
      if (current !== undefined) return this.apply(current, freeToDyn);
      return freeToDyn ? DYN : type;
    }
    if (type.params.length === 0) return type;
    return new CelType(
      type.kind,
      type.name,
      type.params.map((param) => this.apply(param, freeToDyn)),
    );
  }
}

function takesNull(type: CelType): boolean {
  switch (type.kind) {
    case 'null':
    case 'any':
    case 'duration':
    case 'timestamp':
    case 'struct':
    case 'opaque':
    case 'wrapper':
      return true;
    default:
      return false;
  }
}

/** The wider of two types that fit each other. */
export function mostGeneral(a: CelType, b: CelType): CelType {
  return isEqualOrLessSpecific(a, b) ? a : b;
}

function isEqualOrLessSpecific(a: CelType, b: CelType): boolean {
  if (isDyn(a) || a.kind === 'param') return true;
  if (isDyn(b) || b.kind === 'param') return false;
  if (a.kind === 'null') return false;
  if (b.kind === 'null') return true;
  if (a.kind === 'wrapper' && b.kind !== 'wrapper') return true;
  if (a.kind !== b.kind) return false;
  switch (a.kind) {
    case 'type':
      return true;
    case 'opaque':
    case 'list':
    case 'map':
      return (
        a.name === b.name &&
        a.params.length === b.params.length &&
        a.params.every((param, i) => isEqualOrLessSpecific(param, b.params[i]))
      );
    default:
      return a.equals(b);
  }
}

/** `(int, string) -> bool`, `list(int).(string)`: the arguments of a call as messages write them. */
export function formatArguments(args: readonly CelType[], instance: boolean): string {
  if (!instance) return `(${args.join(', ')})`;
  return `${args[0].toString()}.(${args.slice(1).join(', ')})`;
}
