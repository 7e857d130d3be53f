/**
 * FieldsV1 after a change, as JSON of JSON: what an entry of managedFields owns is not made a set, changed and written anew,
 * but copied where something of it changes and else left as it stands. It must be as the server itself would write it, and
 * right for the type of today, which is looked at in the same walk; where it is not, the answer is that it is not known.
 *
 * The laws are those of field-set.ts and of reconcileFields(); a test compares the two.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { NameKeeper, namesOf } from '../api/member-names.ts';
import { LOOK_EVERY, type Pace, type Sliced } from '../api/sliced.ts';
import { sortedInSlices } from '../api/sorted.ts';
import type { TypeSchema } from '../schema/type-schema.ts';
import type { Change } from './changed-fields.ts';
import { comparePathElements, compareText, FieldPathError, parsePathElement } from './field-path.ts';
import { Members } from './json-members.ts';
import {
  formOf,
  isAtomicList,
  isAtomicMap,
  isDeduced,
  isEmptyMap,
  itemType,
  memberType,
} from './typed-merge-schema.ts';

/** Only the general way knows. */
export const UNKNOWN = Symbol('unknown');

/**
 * What is left of an entry's fields when a change takes what it changed and removed; or what there is when it is the
 * writer's own.
 *
 * @param fields FieldsV1 of the entry; undefined for a writer that owned nothing
 * @param own whether what was changed is the entry's now
 * @returns without members where nothing is left
 */
export function fieldsAfter(
  fields: JsonObject | undefined,
  change: Change,
  type: TypeSchema,
  own: boolean,
): JsonObject | typeof UNKNOWN {
  const walk = new Ownership(own);
  const after = walk.node(fields ?? NOTHING, change, type, false, true);
  return walk.known ? (after ?? NOTHING) : UNKNOWN;
}

/** The same, which can be put down. */
export function* fieldsAfterInSlices(
  fields: JsonObject | undefined,
  change: Change,
  type: TypeSchema,
  own: boolean,
  pace: Pace,
): Sliced<JsonObject | typeof UNKNOWN> {
  const walk = new Ownership(own);
  const after = yield* walk.slicedNode(fields ?? NOTHING, change, type, false, true, pace);
  return walk.known ? (after ?? NOTHING) : UNKNOWN;
}

/** Whether the writer of a change owns anything by it. */
export function isOwned({ kind, stripped, below }: Change): boolean {
  if (kind === 'changed' && !stripped) return true;
  if (below !== undefined) for (const change of below.values()) if (isOwned(change)) return true;
  return false;
}

const NOTHING: JsonObject = {};
/** The node itself is owned. */
const SELF = '.';

type Entry = readonly [text: string, node: JsonObject];

class Ownership {
  known = true;
  private readonly own: boolean;

  constructor(own: boolean) {
    this.own = own;
  }

  /**
   * @param node of FieldsV1
   * @param alone whether it is owned with nothing below it
   * @returns undefined where nothing is left; the same node where it stays as it is
   */
  node(
    node: JsonObject,
    change: Change | undefined,
    type: TypeSchema | undefined,
    alone: boolean,
    root: boolean,
  ): JsonObject | undefined {
    const inside = this.enter(node, type, alone);
    if (inside === undefined) return undefined;
    let left: Entry[] | undefined;
    let at = 0;
    let previous = '';
    for (const text in node) {
      if (!Object.hasOwn(node, text)) continue;
      const below = this.look(node, text, previous, at);
      if (below === undefined) return undefined;
      at += 1;
      if (text === SELF) continue;
      previous = text;
      const inner = inside.typeOf(text);
      const alone_ = isEmptyMap(below);
      const after = this.node(below, change?.below?.get(text), inner, alone_, false);
      if (!this.known) return undefined;
      if (left === undefined && after === below) continue;
      left ??= before(node, text);
      if (after !== undefined) left.push([text, after]);
    }
    const fresh = this.fresh(node, change);
    if (fresh !== undefined) left = [...(left ?? entriesOf(node)), ...fresh].sort(compareEntries);
    return this.made(node, change, left, root);
  }

  *slicedNode(
    node: JsonObject,
    change: Change | undefined,
    type: TypeSchema | undefined,
    alone: boolean,
    root: boolean,
    pace: Pace,
  ): Sliced<JsonObject | undefined> {
    const inside = this.enter(node, type, alone);
    if (inside === undefined) return undefined;
    let left: Entry[] | undefined;
    let at = 0;
    let previous = '';
    for (const text of namesOf(node)) {
      if (at % LOOK_EVERY === 0 && pace.due()) yield;
      const below = this.look(node, text, previous, at);
      if (below === undefined) return undefined;
      at += 1;
      if (text === SELF) continue;
      previous = text;
      const inner = inside.typeOf(text);
      const changed = change?.below?.get(text);
      const after = isEmptyMap(below)
        ? this.node(below, changed, inner, true, false)
        : yield* this.slicedNode(below, changed, inner, false, false, pace);
      if (!this.known) return undefined;
      if (left === undefined && after === below) continue;
      left ??= yield* beforeInSlices(node, text, pace);
      if (after !== undefined) left.push([text, after]);
    }
    const fresh = yield* this.freshInSlices(node, change, pace);
    if (fresh !== undefined) {
      left ??= yield* beforeInSlices(node, undefined, pace);
      for (const entry of fresh) left.push(entry);
      left = yield* sortedInSlices(left, compareEntries, pace);
    }
    const member = this.isMember(node, change, root);
    if (left === undefined && member === isMember(node, root)) return node;
    return yield* writtenInSlices(member, left ?? (yield* beforeInSlices(node, undefined, pace)), pace);
  }

  /** How the types below a node are found; undefined, and not known, where the node is none of its type any more. */
  private enter(node: JsonObject, type: TypeSchema | undefined, alone: boolean): Inside | undefined {
    if (type === undefined) return ANYTHING;
    switch (formOf(type, undefined)) {
      case 'scalar':
        return ANYTHING;
      case 'list': {
        if (!alone && isAtomicList(type)) break;
        const inner = itemType(type);
        return { typeOf: () => inner };
      }
      case 'map':
        if (isDeduced(type)) return ANYTHING;
        if (!alone && isAtomicMap(type) && !isEmptyMap(node)) break;
        return {
          typeOf: (text) =>
            text.startsWith('f:')
              ? memberType(type, text.slice(2))
              : memberType(type, type.kind === 'struct' ? '' : nameless),
        };
    }
    this.known = false;
    return undefined;
  }

  /** The node below a text; undefined, and not known, where it does not stand there as it is written. */
  private look(node: JsonObject, text: string, previous: string, at: number): JsonObject | undefined {
    const below = node[text];
    if (isJsonObject(below)) {
      if (text === SELF) {
        // Before all others; and with nothing beside it the node would be written without.
        if (at === 0 && isEmptyMap(below) && namesOf(node).length > 1) return below;
      } else if (isWritten(text) && (previous === '' || compareTexts(previous, text) < 0)) {
        return below;
      }
    }
    this.known = false;
    return undefined;
  }

  /** What a change adds below a node that had nothing of it. */
  private fresh(node: JsonObject, change: Change | undefined): Entry[] | undefined {
    if (!this.own || change?.below === undefined) return undefined;
    let fresh: Entry[] | undefined;
    for (const [text, each] of change.below) {
      if (Object.hasOwn(node, text)) continue;
      const made = ownedBy(each);
      if (made !== undefined) (fresh ??= []).push([text, made]);
    }
    return fresh;
  }

  private *freshInSlices(
    node: JsonObject,
    change: Change | undefined,
    pace: Pace,
  ): Sliced<Entry[] | undefined> {
    if (!this.own || change?.below === undefined) return undefined;
    const fresh: Entry[] = [];
    let count = 0;
    for (const [text, each] of change.below) {
      if ((count += 1) % LOOK_EVERY === 0 && pace.due()) yield;
      if (Object.hasOwn(node, text)) continue;
      const made = each.below === undefined ? ownedBy(each) : yield* ownedByInSlices(each, pace);
      if (made !== undefined) fresh.push([text, made]);
    }
    return fresh.length === 0 ? undefined : fresh;
  }

  /** @param left what is below, where that is not what the node has */
  private made(
    node: JsonObject,
    change: Change | undefined,
    left: readonly Entry[] | undefined,
    root: boolean,
  ): JsonObject | undefined {
    const member = this.isMember(node, change, root);
    if (left === undefined && member === isMember(node, root)) return node;
    return written(member, left ?? entriesOf(node));
  }

  /** Whether what stands at the node is the manager's afterwards. */
  private isMember(node: JsonObject, change: Change | undefined, root: boolean): boolean {
    // The object as a whole is nobody's.
    if (root) return false;
    if (change === undefined || change.kind === 'same') return isMember(node, root);
    return this.own && change.kind === 'changed' && !change.stripped;
  }
}

function isMember(node: JsonObject, root: boolean): boolean {
  return !root && (Object.hasOwn(node, SELF) || isEmptyMap(node));
}

/** How the types below a node are found. */
interface Inside {
  typeOf(text: string): TypeSchema | undefined;
}

const ANYTHING: Inside = { typeOf: () => undefined };
/** Of elements that are no members: what a map is asked for, which does not mind. */
const nameless = '';

/** FieldsV1 of a change that owns what it changed; undefined for nothing. */
function ownedBy({ kind, stripped, below }: Change): JsonObject | undefined {
  const entries: Entry[] = [];
  if (below !== undefined) {
    for (const [text, change] of below) {
      const made = ownedBy(change);
      if (made !== undefined) entries.push([text, made]);
    }
    entries.sort(compareEntries);
  }
  return written(kind === 'changed' && !stripped, entries);
}

function written(member: boolean, below: readonly Entry[]): JsonObject | undefined {
  if (below.length === 0) return member ? NOTHING : undefined;
  const node: Record<string, Json> = {};
  const names = new NameKeeper();
  if (member) {
    node[SELF] = NOTHING;
    names.add(SELF);
  }
  for (const [text, each] of below) {
    node[text] = each;
    names.add(text);
  }
  names.keep(node);
  return node;
}

function* ownedByInSlices({ kind, stripped, below }: Change, pace: Pace): Sliced<JsonObject | undefined> {
  let entries: Entry[] = [];
  let count = 0;
  for (const [text, change] of below ?? []) {
    if ((count += 1) % LOOK_EVERY === 0 && pace.due()) yield;
    const made = change.below === undefined ? ownedBy(change) : yield* ownedByInSlices(change, pace);
    if (made !== undefined) entries.push([text, made]);
  }
  entries = yield* sortedInSlices(entries, compareEntries, pace);
  return yield* writtenInSlices(kind === 'changed' && !stripped, entries, pace);
}

function* writtenInSlices(
  member: boolean,
  below: readonly Entry[],
  pace: Pace,
): Sliced<JsonObject | undefined> {
  if (below.length === 0) return member ? NOTHING : undefined;
  const node = new Members();
  if (member) node.put(SELF, NOTHING);
  for (let at = 0; at < below.length; at += 1) {
    if (at % LOOK_EVERY === 0 && pace.due()) yield;
    const [text, each] = below[at];
    node.put(text, each);
  }
  return node.object();
}

function* beforeInSlices(node: JsonObject, until: string | undefined, pace: Pace): Sliced<Entry[]> {
  const entries: Entry[] = [];
  let count = 0;
  for (const text of namesOf(node)) {
    if ((count += 1) % LOOK_EVERY === 0 && pace.due()) yield;
    if (text === until) break;
    const below = node[text];
    if (text !== SELF && isJsonObject(below)) entries.push([text, below]);
  }
  return entries;
}

function entriesOf(node: JsonObject): Entry[] {
  return before(node, undefined);
}

/** What stands below a node, up to a text. */
function before(node: JsonObject, until: string | undefined): Entry[] {
  const entries: Entry[] = [];
  for (const text of namesOf(node)) {
    if (text === until) break;
    const below = node[text];
    if (text !== SELF && isJsonObject(below)) entries.push([text, below]);
  }
  return entries;
}

/** Whether a text is an element in the form it is written in. */
function isWritten(text: string): boolean {
  if (text.startsWith('f:')) return true;
  try {
    return parsePathElement(text)?.text === text;
  } catch (error) {
    if (error instanceof FieldPathError) return false;
    throw error;
  }
}

function compareEntries([a]: Entry, [b]: Entry): number {
  return compareTexts(a, b);
}

/** The order of elements by their texts. */
function compareTexts(a: string, b: string): number {
  if (a.startsWith('f:') && b.startsWith('f:')) return compareText(a, b);
  const left = parsePathElement(a);
  const right = parsePathElement(b);
  return left === undefined || right === undefined ? 0 : comparePathElements(left, right);
}
