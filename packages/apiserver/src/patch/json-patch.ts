/**
 * JSON patches (RFC 6902): operations on places of a document, one after the other, all or none. Neither the document
 * nor the operations are changed: a container is copied when the patch first writes into it.
 *
 * Modelled on evanphx/json-patch v4 as apiserver uses it, with its texts and its liberties: negative indexes count
 * from the end, `replace` of a member that is not there adds it, `copy` from one puts null, an operation without a
 * value means null. A bound on what `copy` may add keeps small patches from making large objects.
 */

import { isJsonObject, JsonFloat, type Json, type JsonObject } from '../api/json.ts';
import { NameKeeper, namesOf } from '../api/member-names.ts';
import { finish, LOOK_EVERY, WITHOUT_PAUSE, type Pace, type Sliced } from '../api/sliced.ts';
import { canonicalJson } from './field-path.ts';
import { hasMany, isJsonList, memberOf, setMember } from './json-members.ts';
import { byteLength } from './managed-fields.ts';
import { goText } from './patch-error.ts';

/** As apiserver. */
export const OPERATIONS_MAX = 10_000;
/** Bytes of JSON that all `copy` operations of a patch may add; as apiserver, the size of the largest body. */
const COPIED_BYTES_MAX = 3 * 1024 * 1024;

/** Deepest nesting of what is copied and of the outcome: as deep as a body may be (codec/json-reader.ts). */
const DEPTH_MAX = 1_000;

/** An operation that cannot be carried out. */
export class JsonPatchError extends Error {
  override readonly name = 'JsonPatchError';
}

/**
 * The document after all operations.
 *
 * @param operations what a JSON patch holds; what is no operation is refused when its turn comes
 * @throws JsonPatchError
 */
export function jsonPatch(document: Json, operations: readonly Json[]): Json {
  return finish(jsonPatchInSlices(document, operations, WITHOUT_PAUSE));
}

/** The same, which can be put down. @throws JsonPatchError */
export function* jsonPatchInSlices(document: Json, operations: readonly Json[], pace: Pace): Sliced<Json> {
  const patching = new Patching(document, pace);
  for (const operation of operations) {
    if (pace.due()) yield;
    yield* patching.carryOut(operation);
  }
  if (patching.deepens) yield* checkDepth(patching.document, pace);
  yield* patching.keepNames();
  return patching.document;
}

const MISSING = 'missing value';
const INVALID_INDEX = 'invalid index referenced';
const TEST_FAILED = 'test failed';

type Container = Record<string, Json> | Json[];
type NamesOf = readonly string[] | ReadonlySet<string>;

/** A container of the document and the name of a place in it. */
interface Place {
  readonly container: Container;
  readonly key: string;
}

class Patching {
  document: Json;
  /** Containers that this patch made, and that stand at one place only: they may be written into. */
  private readonly own = new WeakSet<object>();
  /** Of the objects among them that have many members, their names. */
  private readonly names = new Map<object, Set<string>>();
  private readonly pace: Pace;
  private copiedBytes = 0;
  /** Whether something was put in that something lies in: else the outcome is as deep as the document was. */
  deepens = false;

  constructor(document: Json, pace: Pace) {
    this.document = document;
    this.pace = pace;
  }

  *carryOut(operation: Json): Sliced<void> {
    const kind = isJsonObject(operation) ? memberOf(operation, 'op') : undefined;
    if (!isJsonObject(operation) || typeof kind !== 'string') {
      throw new JsonPatchError('Unexpected kind: unknown');
    }
    const path = textOf(memberOf(operation, 'path'));
    const from = textOf(memberOf(operation, 'from'));
    const value = memberOf(operation, 'value') ?? null;
    if (kind === 'move' || kind === 'copy' || isContainer(value)) this.deepens = true;
    switch (kind) {
      case 'add':
        return yield* this.add(path, value);
      case 'remove':
        return yield* this.remove(path);
      case 'replace':
        return yield* this.replace(path, value);
      case 'move':
        return yield* this.move(from, path);
      case 'copy':
        return yield* this.copy(from, path);
      case 'test':
        return yield* this.test(path, value);
      default:
        throw new JsonPatchError(`Unexpected kind: ${kind}`);
    }
  }

  private *add(path: string | undefined, value: Json): Sliced<void> {
    if (path === undefined) throw new JsonPatchError(`add operation failed to decode path: ${MISSING}`);
    const place = yield* this.writable(path);
    if (place === undefined) {
      throw new JsonPatchError(`add operation does not apply: doc is missing path: "${path}": ${MISSING}`);
    }
    within(`error in add for path: '${path}'`, () => this.insert(place, value));
  }

  private *remove(path: string | undefined): Sliced<void> {
    if (path === undefined) throw new JsonPatchError(`remove operation failed to decode path: ${MISSING}`);
    const place = yield* this.writable(path);
    if (place === undefined) {
      throw new JsonPatchError(`remove operation does not apply: doc is missing path: "${path}": ${MISSING}`);
    }
    within(`error in remove for path: '${path}'`, () => this.take(place));
  }

  private *replace(path: string | undefined, value: Json): Sliced<void> {
    if (path === undefined) {
      throw new JsonPatchError(
        `replace operation failed to decode path: operation missing path field: ${MISSING}`,
      );
    }
    if (path === '') {
      if (!isContainer(value)) {
        throw new JsonPatchError('replace operation value must be object or array: %!w(<nil>)');
      }
      this.document = value;
      return;
    }
    const place = yield* this.writable(path);
    if (place === undefined) {
      throw new JsonPatchError(`replace operation does not apply: doc is missing path: ${path}: ${MISSING}`);
    }
    const { container, key } = place;
    if (!Array.isArray(container)) {
      this.insert(place, value);
      return;
    }
    let index: number;
    try {
      index = indexWithin(container, key);
    } catch (error) {
      if (!(error instanceof JsonPatchError)) throw error;
      throw new JsonPatchError(`replace operation does not apply: doc is missing key: ${path}: ${MISSING}`);
    }
    container[index] = value;
  }

  private *move(from: string | undefined, path: string | undefined): Sliced<void> {
    if (from === undefined) {
      throw new JsonPatchError(
        `move operation failed to decode from: operation, missing from field: ${MISSING}`,
      );
    }
    const source = yield* this.writable(from);
    if (source === undefined) {
      throw new JsonPatchError(
        `move operation does not apply: doc is missing from path: ${from}: ${MISSING}`,
      );
    }
    const value = within(`error in move for path: '${source.key}'`, () => this.take(source));
    if (path === undefined) {
      throw new JsonPatchError(
        `move operation failed to decode path: operation missing path field: ${MISSING}`,
      );
    }
    const target = yield* this.writable(path);
    if (target === undefined) {
      throw new JsonPatchError(
        `move operation does not apply: doc is missing destination path: ${path}: ${MISSING}`,
      );
    }
    within(`error in move for path: '${path}'`, () => this.insert(target, value));
  }

  private *copy(from: string | undefined, path: string | undefined): Sliced<void> {
    if (from === undefined) {
      throw new JsonPatchError(
        `copy operation failed to decode from: operation, missing from field: ${MISSING}`,
      );
    }
    const source = this.find(from);
    if (source === undefined) {
      throw new JsonPatchError(
        `copy operation does not apply: doc is missing from path: ${from}: ${MISSING}`,
      );
    }
    const value = within(`error in copy for from: '${from}'`, () => look(source));
    if (path === undefined) throw new JsonPatchError(`copy operation failed to decode path: ${MISSING}`);
    if (this.find(path) === undefined) {
      throw new JsonPatchError(
        `copy operation does not apply: doc is missing destination path: ${path}: ${MISSING}`,
      );
    }
    if (isContainer(value)) yield* checkDepth(value, this.pace);
    if (value !== undefined && value !== null) this.copiedBytes += yield* writtenBytes(value, this.pace);
    if (this.copiedBytes > COPIED_BYTES_MAX) {
      throw new JsonPatchError(
        `Unable to complete the copy, the accumulated size increase of copy is ${this.copiedBytes}, exceeding the limit ${COPIED_BYTES_MAX}`,
      );
    }
    // What is copied stands at two places from now on, so neither may be written into.
    if (isContainer(value)) yield* this.share(value);
    const target = yield* this.writable(path);
    if (target === undefined) throw new JsonPatchError(MISSING);
    within('error while adding value during copy', () => this.insert(target, value ?? null));
  }

  private *test(path: string | undefined, wanted: Json): Sliced<void> {
    if (path === undefined) {
      throw new JsonPatchError(
        `test operation failed to decode path: operation missing path field: ${MISSING}`,
      );
    }
    let value: Json;
    if (path === '') {
      value = this.document;
    } else {
      const place = this.find(path);
      if (place === undefined) {
        throw new JsonPatchError(`test operation does not apply: is missing path: ${path}: ${MISSING}`);
      }
      value = within(`error in test for path: '${path}'`, () => look(place)) ?? null;
    }
    if (!(yield* sameJson(value, wanted, this.pace)))
      throw new JsonPatchError(`testing value ${path} failed: ${TEST_FAILED}`);
  }

  /** Names that were read or told, with the object, so that whoever comes next need not ask the engine for them. */
  *keepNames(): Sliced<void> {
    for (const [object, names] of this.names) {
      const keeper = new NameKeeper();
      let count = 0;
      for (const name of names) {
        if ((count += 1) % LOOK_EVERY === 0 && this.pace.due()) yield;
        keeper.add(name);
      }
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- objects alone have names
      keeper.keep(object as JsonObject);
    }
  }

  private insert(place: Place, value: Json): void {
    insert(place, value);
    this.names.get(place.container)?.add(place.key);
  }

  private take(place: Place): Json {
    const value = take(place);
    this.names.get(place.container)?.delete(place.key);
    return value;
  }

  /** A place to read; undefined where something on the way is missing. */
  private find(path: string): Place | undefined {
    const names = path.split('/');
    if (names.length < 2 || !isContainer(this.document)) return undefined;
    let container = this.document;
    for (const escaped of names.slice(1, -1)) {
      const next = lookAt({ container, key: unescapeName(escaped) });
      if (!isContainer(next)) return undefined;
      container = next;
    }
    return { container, key: unescapeName(names[names.length - 1]) };
  }

  /** A place to write: all containers on the way are the patch's own. */
  private *writable(path: string): Sliced<Place | undefined> {
    const names = path.split('/');
    if (names.length < 2 || !isContainer(this.document)) return undefined;
    let container = yield* this.owned(this.document);
    this.document = container;
    for (const escaped of names.slice(1, -1)) {
      const name = unescapeName(escaped);
      const next = lookAt({ container, key: name });
      if (!isContainer(next)) return undefined;
      const inner = yield* this.owned(next);
      if (inner !== next) {
        if (Array.isArray(container)) container[indexWithin(container, name)] = inner;
        else setMember(container, name, inner);
      }
      container = inner;
    }
    return { container, key: unescapeName(names[names.length - 1]) };
  }

  private *owned(container: Container): Sliced<Container> {
    if (this.own.has(container)) return container;
    const copy = isJsonList(container) ? [...container] : yield* this.copied(container);
    this.own.add(copy);
    return copy;
  }

  private *copied(object: Record<string, Json>): Sliced<Record<string, Json>> {
    const names = this.namesOf(object);
    if (!hasMany('size' in names ? names.size : names.length)) return { ...object };
    const copy: Record<string, Json> = {};
    const own = new Set<string>();
    let count = 0;
    for (const name of names) {
      if ((count += 1) % LOOK_EVERY === 0 && this.pace.due()) yield;
      setMember(copy, name, object[name]);
      own.add(name);
    }
    this.names.set(copy, own);
    return copy;
  }

  private namesOf(object: Record<string, Json>): NamesOf {
    return this.names.get(object) ?? namesOf(object);
  }

  /** Takes back that a container is the patch's own, and what lies in it: in what is not its own nothing is. */
  private *share(container: Container): Sliced<void> {
    if (!this.own.delete(container)) return;
    let count = 0;
    if (isJsonList(container)) {
      for (const item of container) {
        if ((count += 1) % LOOK_EVERY === 0 && this.pace.due()) yield;
        if (isContainer(item)) yield* this.share(item);
      }
      return;
    }
    for (const name of this.namesOf(container)) {
      if ((count += 1) % LOOK_EVERY === 0 && this.pace.due()) yield;
      const member = container[name];
      if (isContainer(member)) yield* this.share(member);
    }
  }
}

function textOf(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function isContainer(value: Json | undefined): value is Container {
  return isJsonList(value) || isJsonObject(value);
}

/** Carries out what is refused with a text that needs one before it. */
function within<T>(where: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof JsonPatchError)) throw error;
    throw new JsonPatchError(`${where}: ${error.message}`);
  }
}

/** What is at a place; undefined for a member that is not there. */
function look({ container, key }: Place): Json | undefined {
  if (Array.isArray(container)) return container[indexWithin(container, key)];
  return memberOf(container, key);
}

/** The same; undefined too where no such place can be. */
function lookAt(place: Place): Json | undefined {
  try {
    return look(place);
  } catch (error) {
    if (!(error instanceof JsonPatchError)) throw error;
    return undefined;
  }
}

function insert({ container, key }: Place, value: Json): void {
  if (!Array.isArray(container)) setMember(container, key, value);
  else if (key === '-') container.push(value);
  else container.splice(indexOf(key, container.length + 1, true), 0, value);
}

function take({ container, key }: Place): Json {
  if (Array.isArray(container)) return container.splice(indexWithin(container, key), 1)[0];
  const value = memberOf(container, key);
  if (value === undefined) throw new JsonPatchError(`Unable to remove nonexistent key: ${key}: ${MISSING}`);
  Reflect.deleteProperty(container, key);
  return value;
}

function indexWithin(list: readonly Json[], key: string): number {
  return indexOf(key, list.length, false);
}

/**
 * The index a key means, negative ones from the end.
 *
 * @param count how many indexes there are
 * @param adding whether the key is of a new item, which is refused with words of its own
 */
function indexOf(key: string, count: number, adding: boolean): number {
  const index = /^[+-]?[0-9]+$/.test(key) ? Number(key) : Number.NaN;
  if (!Number.isSafeInteger(index)) {
    const problem = Number.isNaN(index) ? 'invalid syntax' : 'value out of range';
    const text = `strconv.Atoi: parsing ${JSON.stringify(key)}: ${problem}`;
    throw new JsonPatchError(adding ? `value was not a proper array index: '${key}': ${text}` : text);
  }
  if (index >= count || index < -count) {
    throw new JsonPatchError(`Unable to access invalid index: ${goText(index)}: ${INVALID_INDEX}`);
  }
  return index < 0 ? index + count : Math.abs(index);
}

/** Refuses what others could not walk by recursion. @throws JsonPatchError */
function* checkDepth(value: Json, pace: Pace): Sliced<void> {
  let level: Json[] = [value];
  let count = 0;
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > DEPTH_MAX) throw new JsonPatchError('exceeded max depth');
    const next: Json[] = [];
    for (const container of level) {
      if (isJsonList(container)) {
        for (const item of container) {
          if ((count += 1) % LOOK_EVERY === 0 && pace.due()) yield;
          if (isContainer(item)) next.push(item);
        }
      } else if (isJsonObject(container)) {
        for (const name of namesOf(container)) {
          if ((count += 1) % LOOK_EVERY === 0 && pace.due()) yield;
          const member = container[name];
          if (isContainer(member)) next.push(member);
        }
      }
    }
    level = next;
  }
}

/** Bytes of the value's JSON. */
function* writtenBytes(value: Json, pace: Pace): Sliced<number> {
  if (!isContainer(value)) return byteLength(canonicalJson(value));
  let bytes = 2;
  let count = 0;
  if (isJsonList(value)) {
    for (const item of value) {
      if ((count += 1) % LOOK_EVERY === 0 && pace.due()) yield;
      bytes += isContainer(item) ? yield* writtenBytes(item, pace) : byteLength(canonicalJson(item));
    }
  } else {
    for (const name of namesOf(value)) {
      if ((count += 1) % LOOK_EVERY === 0 && pace.due()) yield;
      const member = value[name];
      bytes += byteLength(canonicalJson(name)) + 1;
      bytes += isContainer(member) ? yield* writtenBytes(member, pace) : byteLength(canonicalJson(member));
    }
  }
  return bytes + Math.max(0, count - 1);
}

/** `~1` is a slash, `~0` a tilde. */
function unescapeName(name: string): string {
  return name.includes('~') ? name.replace(/~[01]/g, (escape) => (escape === '~1' ? '/' : '~')) : name;
}

/** Whether two values are written alike but for the order of members: 1 and 1.0 are not. */
function* sameJson(a: Json, b: Json, pace: Pace): Sliced<boolean> {
  if (a === b) return true;
  if (isJsonList(a) && isJsonList(b)) {
    if (a.length !== b.length) return false;
    for (let at = 0; at < a.length; at += 1) {
      if (at % LOOK_EVERY === 0 && pace.due()) yield;
      if (a[at] !== b[at] && !(yield* sameJson(a[at], b[at], pace))) return false;
    }
    return true;
  }
  if (a instanceof JsonFloat || b instanceof JsonFloat) {
    return a instanceof JsonFloat && b instanceof JsonFloat && a.value === b.value;
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false;
  const names = namesOf(a);
  if (names.length !== namesOf(b).length) return false;
  for (let at = 0; at < names.length; at += 1) {
    if (at % LOOK_EVERY === 0 && pace.due()) yield;
    const name = names[at];
    if (!Object.hasOwn(b, name)) return false;
    if (a[name] !== b[name] && !(yield* sameJson(a[name], b[name], pace))) return false;
  }
  return true;
}
