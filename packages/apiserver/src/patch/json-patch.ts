/**
 * JSON patches (RFC 6902): operations on places of a document, one after the other, all or none. Neither the document
 * nor the operations are changed: a container is copied when the patch first writes into it.
 *
 * Modelled on evanphx/json-patch v4 as apiserver uses it, with its texts and its liberties: negative indexes count
 * from the end, `replace` of a member that is not there adds it, `copy` from one puts null, an operation without a
 * value means null. A bound on what `copy` may add keeps small patches from making large objects.
 */

import { isJsonObject, JsonFloat, type Json } from '../api/json.ts';
import { namesOf } from '../api/member-names.ts';
import { canonicalJson } from './field-path.ts';
import { isJsonList, memberOf, setMember } from './json-members.ts';
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
  const patching = new Patching(document);
  for (const operation of operations) patching.carryOut(operation);
  if (patching.deepens) checkDepth(patching.document);
  return patching.document;
}

const MISSING = 'missing value';
const INVALID_INDEX = 'invalid index referenced';
const TEST_FAILED = 'test failed';

type Container = Record<string, Json> | Json[];

/** A container of the document and the name of a place in it. */
interface Place {
  readonly container: Container;
  readonly key: string;
}

class Patching {
  document: Json;
  /** Containers that this patch made, and that stand at one place only: they may be written into. */
  private own = new WeakSet<object>();
  private copiedBytes = 0;
  /** Whether something was put in that something lies in: else the outcome is as deep as the document was. */
  deepens = false;

  constructor(document: Json) {
    this.document = document;
  }

  carryOut(operation: Json): void {
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
        return this.add(path, value);
      case 'remove':
        return this.remove(path);
      case 'replace':
        return this.replace(path, value);
      case 'move':
        return this.move(from, path);
      case 'copy':
        return this.copy(from, path);
      case 'test':
        return this.test(path, value);
      default:
        throw new JsonPatchError(`Unexpected kind: ${kind}`);
    }
  }

  private add(path: string | undefined, value: Json): void {
    if (path === undefined) throw new JsonPatchError(`add operation failed to decode path: ${MISSING}`);
    const place = this.writable(path);
    if (place === undefined) {
      throw new JsonPatchError(`add operation does not apply: doc is missing path: "${path}": ${MISSING}`);
    }
    within(`error in add for path: '${path}'`, () => insert(place, value));
  }

  private remove(path: string | undefined): void {
    if (path === undefined) throw new JsonPatchError(`remove operation failed to decode path: ${MISSING}`);
    const place = this.writable(path);
    if (place === undefined) {
      throw new JsonPatchError(`remove operation does not apply: doc is missing path: "${path}": ${MISSING}`);
    }
    within(`error in remove for path: '${path}'`, () => take(place));
  }

  private replace(path: string | undefined, value: Json): void {
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
    const place = this.writable(path);
    if (place === undefined) {
      throw new JsonPatchError(`replace operation does not apply: doc is missing path: ${path}: ${MISSING}`);
    }
    const { container, key } = place;
    if (!Array.isArray(container)) {
      setMember(container, key, value);
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

  private move(from: string | undefined, path: string | undefined): void {
    if (from === undefined) {
      throw new JsonPatchError(
        `move operation failed to decode from: operation, missing from field: ${MISSING}`,
      );
    }
    const source = this.writable(from);
    if (source === undefined) {
      throw new JsonPatchError(
        `move operation does not apply: doc is missing from path: ${from}: ${MISSING}`,
      );
    }
    const value = within(`error in move for path: '${source.key}'`, () => take(source));
    if (path === undefined) {
      throw new JsonPatchError(
        `move operation failed to decode path: operation missing path field: ${MISSING}`,
      );
    }
    const target = this.writable(path);
    if (target === undefined) {
      throw new JsonPatchError(
        `move operation does not apply: doc is missing destination path: ${path}: ${MISSING}`,
      );
    }
    within(`error in move for path: '${path}'`, () => insert(target, value));
  }

  private copy(from: string | undefined, path: string | undefined): void {
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
    if (isContainer(value)) checkDepth(value);
    if (value !== undefined && value !== null) this.copiedBytes += byteLength(canonicalJson(value));
    if (this.copiedBytes > COPIED_BYTES_MAX) {
      throw new JsonPatchError(
        `Unable to complete the copy, the accumulated size increase of copy is ${this.copiedBytes}, exceeding the limit ${COPIED_BYTES_MAX}`,
      );
    }
    // What is copied stands at two places from now on, so neither may be written into.
    if (isContainer(value)) this.own = new WeakSet();
    const target = this.writable(path);
    if (target === undefined) throw new JsonPatchError(MISSING);
    within('error while adding value during copy', () => insert(target, value ?? null));
  }

  private test(path: string | undefined, wanted: Json): void {
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
    if (!sameJson(value, wanted)) throw new JsonPatchError(`testing value ${path} failed: ${TEST_FAILED}`);
  }

  /** A place to read; undefined where something on the way is missing. */
  private find(path: string): Place | undefined {
    return this.walk(path, false);
  }

  /** A place to write: all containers on the way are the patch's own. */
  private writable(path: string): Place | undefined {
    return this.walk(path, true);
  }

  private walk(path: string, write: boolean): Place | undefined {
    const names = path.split('/');
    if (names.length < 2 || !isContainer(this.document)) return undefined;
    let container = write ? this.owned(this.document) : this.document;
    if (write) this.document = container;
    for (const escaped of names.slice(1, -1)) {
      const name = unescapeName(escaped);
      let next: Json | undefined;
      try {
        next = look({ container, key: name });
      } catch (error) {
        if (!(error instanceof JsonPatchError)) throw error;
        return undefined;
      }
      if (!isContainer(next)) return undefined;
      const inner: Container = write ? this.owned(next) : next;
      if (inner !== next) {
        if (Array.isArray(container)) container[indexWithin(container, name)] = inner;
        else setMember(container, name, inner);
      }
      container = inner;
    }
    return { container, key: unescapeName(names[names.length - 1]) };
  }

  private owned(container: Container): Container {
    if (this.own.has(container)) return container;
    const copy = Array.isArray(container) ? [...container] : { ...container };
    this.own.add(copy);
    return copy;
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
function checkDepth(value: Json): void {
  let level: Json[] = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > DEPTH_MAX) throw new JsonPatchError('exceeded max depth');
    const next: Json[] = [];
    for (const container of level) {
      if (!isContainer(container)) continue;
      if (isJsonList(container)) {
        for (const member of container) if (isContainer(member)) next.push(member);
      } else {
        for (const name of namesOf(container)) if (isContainer(container[name])) next.push(container[name]);
      }
    }
    level = next;
  }
}

/** `~1` is a slash, `~0` a tilde. */
function unescapeName(name: string): string {
  return name.includes('~') ? name.replace(/~[01]/g, (escape) => (escape === '~1' ? '/' : '~')) : name;
}

/** Whether two values are written alike but for the order of members: 1 and 1.0 are not. */
function sameJson(a: Json, b: Json): boolean {
  if (a === b) return true;
  if (isJsonList(a) && isJsonList(b)) {
    return a.length === b.length && a.every((item, index) => sameJson(item, b[index]));
  }
  if (a instanceof JsonFloat || b instanceof JsonFloat) {
    return a instanceof JsonFloat && b instanceof JsonFloat && a.value === b.value;
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && sameJson(a[name], b[name]))
  );
}
