/**
 * What field-set.ts does with sets of fields, for sets of many: the same results, in slices. Who has nobody beside him
 * gets them by the way at once, which small objects take.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { isEmptyObject, NameKeeper, namesOf } from '../api/member-names.ts';
import { LOOK_EVERY, WITHOUT_PAUSE, type Pace, type Sliced } from '../api/sliced.ts';
import { sortedInSlices } from '../api/sorted.ts';
import { comparePathElements, FieldPathError, parsePathElement, type FieldPath } from './field-path.ts';
import { EMPTY_FIELDS, FieldSet, type FieldNode } from './field-set.ts';

type Nodes = Map<string, FieldNode>;

/** FieldSet.fromJson(). @throws FieldPathError */
export function* readFieldSet(value: Json, pace: Pace): Sliced<FieldSet> {
  if (pace === WITHOUT_PAUSE) return FieldSet.fromJson(value);
  if (value === null) return FieldSet.EMPTY;
  if (!isJsonObject(value)) throw new FieldPathError('expected an object');
  const nodes: Nodes = new Map();
  let at = 0;
  for (const name of namesOf(value)) {
    if (at % LOOK_EVERY === 0 && pace.due()) yield;
    at += 1;
    if (name === '.') continue;
    const inner = value[name];
    const element = parsePathElement(name);
    if (element === undefined) continue;
    const nothing = isJsonObject(inner) && isEmptyObject(inner);
    const below = nothing ? FieldSet.EMPTY : yield* readFieldSet(inner, pace);
    const member = below.isEmpty || (isJsonObject(inner) && Object.hasOwn(inner, '.'));
    const other = nodes.get(element.text);
    nodes.set(element.text, {
      element,
      member: member || other?.member === true,
      below: other === undefined ? below : yield* unionOf(other.below, below, pace),
    });
  }
  return FieldSet.fromNodes(nodes);
}

/** FieldSet.toJson(). */
export function* writeFieldSet(set: FieldSet, pace: Pace): Sliced<JsonObject> {
  return pace === WITHOUT_PAUSE ? set.toJson() : yield* written(set, false, pace);
}

/** @param member whether the node that the set lies below is one */
function* written(set: FieldSet, member: boolean, pace: Pace): Sliced<JsonObject> {
  const object: Record<string, Json> = {};
  const names = new NameKeeper();
  if (member) {
    object['.'] = EMPTY_FIELDS;
    names.add('.');
  }
  const nodes = yield* nodesOf(set, pace);
  const sorted = yield* sortedInSlices(nodes, (a, b) => comparePathElements(a.element, b.element), pace);
  for (let at = 0; at < sorted.length; at += 1) {
    if (at % LOOK_EVERY === 0 && pace.due()) yield;
    const { element, member: isMember, below } = sorted[at];
    object[element.text] = below.isEmpty ? EMPTY_FIELDS : yield* written(below, isMember, pace);
    names.add(element.text);
  }
  names.keep(object);
  return object;
}

function* nodesOf(set: FieldSet, pace: Pace): Sliced<FieldNode[]> {
  const nodes: FieldNode[] = [];
  for (const node of set.nodes.values()) {
    if (nodes.length % LOOK_EVERY === 0 && pace.due()) yield;
    nodes.push(node);
  }
  return nodes;
}

/** FieldSet.union(). */
export function* unionOf(set: FieldSet, other: FieldSet, pace: Pace): Sliced<FieldSet> {
  if (pace === WITHOUT_PAUSE || set.isEmpty || other.isEmpty || set === other) return set.union(other);
  const nodes: Nodes = new Map();
  let at = 0;
  for (const [text, node] of set.nodes) {
    if (at % LOOK_EVERY === 0 && pace.due()) yield;
    at += 1;
    const twin = other.nodes.get(text);
    if (twin === undefined) {
      nodes.set(text, node);
      continue;
    }
    const below = yield* unionOf(node.below, twin.below, pace);
    nodes.set(text, { element: node.element, member: node.member || twin.member, below });
  }
  for (const [text, node] of other.nodes) {
    if (at % LOOK_EVERY === 0 && pace.due()) yield;
    at += 1;
    if (!set.nodes.has(text)) nodes.set(text, node);
  }
  return FieldSet.fromNodes(nodes);
}

/** FieldSet.intersection(). */
export function* intersectionOf(set: FieldSet, other: FieldSet, pace: Pace): Sliced<FieldSet> {
  if (pace === WITHOUT_PAUSE || set === other || set.isEmpty || other.isEmpty) return set.intersection(other);
  const nodes: Nodes = new Map();
  let at = 0;
  for (const [text, node] of set.nodes) {
    if (at % LOOK_EVERY === 0 && pace.due()) yield;
    at += 1;
    const twin = other.nodes.get(text);
    if (twin === undefined) continue;
    const below = yield* intersectionOf(node.below, twin.below, pace);
    put(nodes, text, node, node.member && twin.member, below);
  }
  return FieldSet.fromNodes(nodes);
}

/** FieldSet.difference(). */
export function* differenceOf(set: FieldSet, other: FieldSet, pace: Pace): Sliced<FieldSet> {
  if (pace === WITHOUT_PAUSE || set.isEmpty || other.isEmpty) return set.difference(other);
  const nodes: Nodes = new Map();
  let at = 0;
  for (const [text, node] of set.nodes) {
    if (at % LOOK_EVERY === 0 && pace.due()) yield;
    at += 1;
    const twin = other.nodes.get(text);
    if (twin === undefined) {
      nodes.set(text, node);
      continue;
    }
    const below = yield* differenceOf(node.below, twin.below, pace);
    put(nodes, text, node, node.member && !twin.member, below);
  }
  return FieldSet.fromNodes(nodes);
}

function put(nodes: Nodes, text: string, { element }: FieldNode, member: boolean, below: FieldSet): void {
  if (member || !below.isEmpty) nodes.set(text, { element, member, below });
}

/** FieldSet.paths(). */
export function* pathsOf(set: FieldSet, pace: Pace): Sliced<FieldPath[]> {
  if (pace === WITHOUT_PAUSE) return set.paths();
  const paths: FieldPath[] = [];
  yield* collect(set, [], paths, pace);
  return paths;
}

function* collect(set: FieldSet, prefix: FieldPath, paths: FieldPath[], pace: Pace): Sliced<undefined> {
  const unsorted = yield* nodesOf(set, pace);
  const nodes = yield* sortedInSlices(unsorted, (a, b) => comparePathElements(a.element, b.element), pace);
  for (let at = 0; at < nodes.length; at += 1) {
    if (at % LOOK_EVERY === 0 && pace.due()) yield;
    const { element, member } = nodes[at];
    if (member) paths.push([...prefix, element]);
  }
  for (let at = 0; at < nodes.length; at += 1) {
    if (at % LOOK_EVERY === 0 && pace.due()) yield;
    const { element, below } = nodes[at];
    if (!below.isEmpty) yield* collect(below, [...prefix, element], paths, pace);
  }
}
