/**
 * What expressions compute with. An int is a bigint and a double a number, so that the two are told apart as CEL
 * wants; strings count code points; an error is a value that passes through operators until one absorbs it.
 * Values are never changed once an expression can see them.
 *
 * Modelled on CEL-go's common/types: its equality across numeric types, its conversion and error texts.
 */

import { finish, WITHOUT_PAUSE, type Pace, type Sliced } from '../api/sliced.ts';
import {
  CelType,
  BOOL,
  BYTES,
  DOUBLE,
  DYN,
  DURATION,
  INT,
  listOf,
  mapOf,
  NULL,
  opaque,
  STRING,
  TIMESTAMP,
  TYPE,
  UINT,
} from './types.ts';

/** An error at run time. */
export class CelError {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

export class Uint {
  /** 0 to 2^64 − 1. */
  readonly value: bigint;

  constructor(value: bigint) {
    this.value = value;
  }
}

/** Nanoseconds, within an int64's. */
export class Duration {
  readonly nanos: bigint;

  constructor(nanos: bigint) {
    this.nanos = nanos;
  }
}

/** Nanoseconds since 1970, from year 1 to year 9999. */
export class Timestamp {
  readonly nanos: bigint;

  constructor(nanos: bigint) {
    this.nanos = nanos;
  }
}

/** A type as a value: what type() answers. */
export class TypeValue {
  readonly type: CelType;

  constructor(type: CelType) {
    this.type = type;
  }
}

export class Optional {
  /** Undefined: none. */
  readonly value: Value | undefined;

  constructor(value: Value | undefined) {
    this.value = value;
  }
}

/** How long a text, bytes or a list may become where what that costs does not depend on it. */
export const RESULT_LENGTH_MAX = 16 * 1024 * 1024;

/** Lists up to this size are copied when they are joined. */
const SMALL_LIST_SIZE = 16;

/** An element of another list is made when it is asked for. */
export abstract class CelList {
  abstract readonly size: number;
  abstract at(index: number): Value;

  *[Symbol.iterator](): Iterator<Value> {
    for (let i = 0; i < this.size; i++) yield this.at(i);
  }

  /**
   * Equal as lists are; a list that is a set or a map by its schema does not look at the order.
   *
   * @param other of the same size
   */
  *sameAs(other: CelList, comparison: Comparison): Sliced<boolean> {
    for (let i = 0; i < this.size; i++) {
      if (comparison.due()) yield;
      const value = this.at(i);
      const same = isComposite(value)
        ? yield* comparison.equal(value, other.at(i))
        : equal(value, other.at(i));
      if (!same) return false;
    }
    return true;
  }

  /** `this + other`. */
  joined(other: CelList): CelList {
    if (other.size === 0) return this;
    if (this.size === 0) return other;
    if (this.size + other.size <= SMALL_LIST_SIZE)
      return new ArrayList([...this.toArray(), ...other.toArray()]);
    return new JoinedList(this, other);
  }

  toArray(): Value[] {
    const values: Value[] = [];
    for (let i = 0; i < this.size; i++) values.push(this.at(i));
    return values;
  }
}

export class ArrayList extends CelList {
  readonly values: readonly Value[];

  constructor(values: readonly Value[]) {
    super();
    this.values = values;
  }

  override get size(): number {
    return this.values.length;
  }

  override at(index: number): Value {
    return this.values[index];
  }
}

/** Lists in a row that are looked through for an element; more are copied into one. */
const FEW_PARTS = 16;

/** Two lists in a row, joined without a copy. */
export class JoinedList extends CelList {
  private readonly first: CelList;
  private readonly second: CelList;
  override readonly size: number;
  private flat: readonly Value[] | undefined = undefined;
  private few: readonly CelList[] | undefined = undefined;

  constructor(first: CelList, second: CelList) {
    super();
    this.first = first;
    this.second = second;
    this.size = first.size + second.size;
  }

  override at(index: number): Value {
    if (this.flat === undefined && this.few === undefined) {
      const parts = this.parts();
      if (parts.length <= FEW_PARTS) this.few = parts;
      else this.flat = parts.flatMap((list) => list.toArray());
    }
    if (this.flat !== undefined) return this.flat[index];
    let rest = index;
    for (const part of this.few ?? []) {
      if (rest < part.size) return part.at(rest);
      rest -= part.size;
    }
    return null;
  }

  override toArray(): Value[] {
    this.flat ??= this.parts().flatMap((list) => list.toArray());
    return this.flat.slice();
  }

  /** The lists it is made of, without recursion: a chain of thousands is as good as a tree. */
  private parts(): CelList[] {
    const parts: CelList[] = [];
    const stack: CelList[] = [this];
    for (let list = stack.pop(); list !== undefined; list = stack.pop()) {
      if (list instanceof JoinedList && list.flat === undefined) stack.push(list.second, list.first);
      else parts.push(list);
    }
    return parts;
  }
}

/** The list a macro collects into; only the fold that made it holds it, so it may grow in place. */
export class ListBuilder extends CelList {
  readonly values: Value[] = [];

  override get size(): number {
    return this.values.length;
  }

  override at(index: number): Value {
    return this.values[index];
  }
}

/** A literal of a map can have doubles and null as keys, which no data has. */
export type MapKey = string | boolean | bigint | Uint | number | null;

export abstract class CelMap {
  abstract readonly size: number;
  /** Undefined where the key is not there; a number with a whole value finds an int or uint. */
  abstract get(key: Value): Value | undefined;
  abstract keys(): Iterable<MapKey>;
}

/** What a key is found by: ints and uints of one value are one key. */
function keyIdentity(key: Value): KeyIdentity | undefined {
  switch (typeof key) {
    case 'string':
    case 'boolean':
    case 'bigint':
      return key;
    case 'number':
      return Number.isInteger(key) ? BigInt(key) : key;
    default:
  }
  if (key === null) return key;
  return key instanceof Uint ? key.value : undefined;
}

type KeyIdentity = string | boolean | bigint | number | null;

interface Entry {
  readonly key: MapKey;
  readonly value: Value;
}

export class EntryMap extends CelMap {
  private readonly entries: Map<KeyIdentity, Entry> = new Map();

  override get size(): number {
    return this.entries.size;
  }

  /** Only before the map is seen by an expression. False when the key is there already, or is none. */
  insert(key: Value, value: Value): boolean {
    const identity = keyIdentity(key);
    if (identity === undefined || !isMapKey(key) || this.entries.has(identity)) return false;
    this.entries.set(identity, { key, value });
    return true;
  }

  /** The same, in place of what the key had. False when it is none. */
  set(key: Value, value: Value): boolean {
    const identity = keyIdentity(key);
    if (identity === undefined || !isMapKey(key)) return false;
    this.entries.set(identity, { key, value });
    return true;
  }

  override get(key: Value): Value | undefined {
    const identity = keyIdentity(key);
    return identity === undefined ? undefined : this.entries.get(identity)?.value;
  }

  override *keys(): Iterable<MapKey> {
    for (const entry of this.entries.values()) yield entry.key;
  }
}

/** The map a macro collects into. */
export class MapBuilder extends EntryMap {}

function isMapKey(value: Value): value is MapKey {
  return (
    typeof value === 'string' ||
    typeof value === 'boolean' ||
    typeof value === 'bigint' ||
    typeof value === 'number' ||
    value === null ||
    value instanceof Uint
  );
}

/** An object with a declared type: its fields, by the names the expression uses. */
export abstract class CelObject {
  abstract readonly type: CelType;
  /** An error where the type has no such field or the field is not set. */
  abstract field(name: string): Value | CelError;
  abstract has(name: string): boolean | CelError;
  /** The names of the fields that are set. */
  abstract names(): readonly string[];
}

/** An object whose fields are worked out when they are asked for. */
export abstract class LazyObject extends CelObject {
  abstract slicedField(name: string, pace: Pace): Sliced<Value | CelError>;
}

/** A value of a library's own type (an IP, a quantity, an authorizer). */
export abstract class Opaque {
  abstract readonly type: CelType;
  abstract equals(other: Opaque): boolean;
  /** What size() is to the cost of calls; 1 for what has none. */
  get costSize(): number {
    return 1;
  }
}

export type Value =
  | null
  | boolean
  | bigint
  | Uint
  | number
  | string
  | Uint8Array
  | Timestamp
  | Duration
  | TypeValue
  | Optional
  | CelList
  | CelMap
  | CelObject
  | Opaque;

/** A value or why there is none. */
export type Result = Value | CelError;

const LIST = listOf(DYN);
const MAP = mapOf(DYN, DYN);
const OPTIONAL = opaque('optional_type', DYN);

export function typeOf(value: Value): CelType {
  switch (typeof value) {
    case 'boolean':
      return BOOL;
    case 'bigint':
      return INT;
    case 'number':
      return DOUBLE;
    case 'string':
      return STRING;
    default:
  }
  if (value === null) return NULL;
  if (value instanceof CelList) return LIST;
  if (value instanceof CelMap) return MAP;
  if (value instanceof CelObject || value instanceof Opaque) return value.type;
  if (value instanceof Uint) return UINT;
  if (value instanceof Uint8Array) return BYTES;
  if (value instanceof Timestamp) return TIMESTAMP;
  if (value instanceof Duration) return DURATION;
  if (value instanceof Optional) return OPTIONAL;
  return TYPE;
}

/** The name type() shows and errors name. */
export function typeName(type: CelType): string {
  switch (type.kind) {
    case 'null':
      return 'null_type';
    case 'timestamp':
      return 'google.protobuf.Timestamp';
    case 'duration':
      return 'google.protobuf.Duration';
    default:
      return type.name;
  }
}

const isNumeric = (value: Value): value is bigint | number | Uint =>
  typeof value === 'bigint' || typeof value === 'number' || value instanceof Uint;

const numeric = (value: bigint | number | Uint): bigint | number =>
  value instanceof Uint ? value.value : value;

/** By value; a double and a whole number as doubles, so that 2^63 − 1 is not less than 2^63 as a double. */
function compareNumbers(a: bigint | number | Uint, b: bigint | number | Uint): number | undefined {
  const whole = typeof a !== 'number' && typeof b !== 'number';
  const x = whole ? numeric(a) : Number(numeric(a));
  const y = whole ? numeric(b) : Number(numeric(b));
  return x < y ? -1 : x > y ? 1 : x === y ? 0 : undefined;
}

/** As CEL's `==`: numbers by value across their types, and no two values are incomparable. */
export function equal(a: Value, b: Value): boolean {
  if (isNumeric(a) && isNumeric(b)) return compareNumbers(a, b) === 0;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  if (isComposite(a)) return finish(new Comparison(WITHOUT_PAUSE).equal(a, b));
  if (a instanceof Uint8Array) return b instanceof Uint8Array && compareBytes(a, b) === 0;
  if (a instanceof Timestamp) return b instanceof Timestamp && a.nanos === b.nanos;
  if (a instanceof Duration) return b instanceof Duration && a.nanos === b.nanos;
  if (a instanceof TypeValue) return b instanceof TypeValue && typeName(a.type) === typeName(b.type);
  if (a instanceof Opaque) return b instanceof Opaque && a.type.name === b.type.name && a.equals(b);
  return false;
}

/** Values that hold values. */
type Composite = CelList | CelMap | CelObject | Optional;

export const isComposite = (value: Value): value is Composite =>
  value instanceof CelList ||
  value instanceof CelMap ||
  value instanceof CelObject ||
  value instanceof Optional;

/** Elements that are looked at, or compared, between two looks at the pace: some 50 µs. */
export const LOOK_ELEMENTS = 1_000;

/** equal() of values that hold many, which can be put down. */
export class Comparison {
  private readonly pace: Pace;
  private compared = 0;

  constructor(pace: Pace) {
    this.pace = pace;
  }

  /** Whether to put it down, before the next two values are compared. */
  due(): boolean {
    this.compared++;
    return this.compared % LOOK_ELEMENTS === 0 && this.pace.due();
  }

  *equal(a: Value, b: Value): Sliced<boolean> {
    if (a instanceof CelList) {
      return b instanceof CelList && a.size === b.size && (yield* a.sameAs(b, this));
    }
    if (a instanceof CelMap) return b instanceof CelMap && a.size === b.size && (yield* this.maps(a, b));
    if (a instanceof CelObject) return b instanceof CelObject && (yield* this.objects(a, b));
    if (a instanceof Optional) {
      if (!(b instanceof Optional)) return false;
      if (a.value === undefined || b.value === undefined) return a.value === b.value;
      return yield* this.equal(a.value, b.value);
    }
    return equal(a, b);
  }

  private *maps(a: CelMap, b: CelMap): Sliced<boolean> {
    for (const key of a.keys()) {
      if (this.due()) yield;
      const left = a.get(key);
      const right = b.get(key);
      if (left === undefined || right === undefined) return false;
      if (!(isComposite(left) ? yield* this.equal(left, right) : equal(left, right))) return false;
    }
    return true;
  }

  private *objects(a: CelObject, b: CelObject): Sliced<boolean> {
    const names = a.names();
    if (names.length !== b.names().length) return false;
    for (const name of names) {
      if (this.due()) yield;
      if (b.has(name) !== true) return false;
      const left = a.field(name);
      const right = b.field(name);
      if (left instanceof CelError || right instanceof CelError) return false;
      if (!(isComposite(left) ? yield* this.equal(left, right) : equal(left, right))) return false;
    }
    return true;
  }
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i] < b[i] ? -1 : 1;
  return Math.sign(a.length - b.length);
}

/** By code points, which is the order of their UTF-8. */
function compareStrings(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) {
      const xHigh = x >= 0xd800 && x <= 0xdfff;
      const yHigh = y >= 0xd800 && y <= 0xdfff;
      return xHigh === yHigh ? Math.sign(x - y) : xHigh ? 1 : -1;
    }
  }
  return Math.sign(a.length - b.length);
}

/** −1, 0 or 1; undefined for two that have no order (and for a NaN). */
export function compare(a: Value, b: Value): number | undefined {
  if (isNumeric(a) && isNumeric(b)) return compareNumbers(a, b);
  if (typeof a === 'string' && typeof b === 'string') return compareStrings(a, b);
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b);
  if (a instanceof Uint8Array && b instanceof Uint8Array) return compareBytes(a, b);
  if (
    (a instanceof Timestamp && b instanceof Timestamp) ||
    (a instanceof Duration && b instanceof Duration)
  ) {
    return a.nanos < b.nanos ? -1 : a.nanos > b.nanos ? 1 : 0;
  }
  return undefined;
}

/** The number of code points. */
export function stringSize(text: string): number {
  let size = text.length;
  for (let i = 0; i < text.length - 1; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xd800 && unit <= 0xdbff) {
      const next = text.charCodeAt(i + 1);
      if (next >= 0xdc00 && next <= 0xdfff) {
        size--;
        i++;
      }
    }
  }
  return size;
}

/** What the cost of a call takes a value's size for: 1 for what has none. */
export function costSize(value: Result): number {
  if (typeof value === 'string') return stringSize(value);
  if (value instanceof CelList || value instanceof CelMap) return value.size;
  if (value instanceof Uint8Array) return value.length;
  if (value instanceof Opaque) return value.costSize;
  return 1;
}

/** What an operator says of values it is not for. */
export const noSuchOverload = (): CelError => new CelError('no such overload');
