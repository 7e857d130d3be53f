/**
 * Sets of fields of an object: who owns what is told with them, and what a change touched. A set is a tree along
 * the path elements; a node may be a member itself and have members below. Immutable; operations share subtrees.
 *
 * Modelled on structured-merge-diff's fieldpath.Set, whose algebra is not that of flat sets in one point: a member
 * says nothing of what lies below it, so `a.b` minus `a` is `a.b`; recursiveDifference takes subtrees away.
 */

import { assert } from '@keelson/base';

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { LOOK_EVERY, type Pace, type Sliced } from '../api/sliced.ts';
import {
  comparePathElements,
  FieldPathError,
  parsePathElement,
  pathText,
  type FieldPath,
  type PathElement,
} from './field-path.ts';

/** A node that is neither a member nor has members does not exist. */
export interface FieldNode {
  readonly element: PathElement;
  readonly member: boolean;
  readonly below: FieldSet;
}

type Nodes = Map<string, FieldNode>;

export class FieldSet {
  static readonly EMPTY: FieldSet = new FieldSet(new Map());

  /** By the texts of their elements. */
  readonly nodes: ReadonlyMap<string, FieldNode>;

  private constructor(nodes: ReadonlyMap<string, FieldNode>) {
    this.nodes = nodes;
  }

  static of(...paths: readonly FieldPath[]): FieldSet {
    const builder = new FieldSetBuilder();
    for (const path of paths) builder.insert(path);
    return builder.build();
  }

  /** For the builder: the nodes are kept, not copied. */
  static fromNodes(nodes: ReadonlyMap<string, FieldNode>): FieldSet {
    return nodes.size === 0 ? FieldSet.EMPTY : new FieldSet(nodes);
  }

  /**
   * Reads FieldsV1. Elements of kinds that nobody knows yet are dropped.
   *
   * @throws FieldPathError for a name that is no element, or a value that is no object
   */
  static fromJson(value: Json): FieldSet {
    if (value === null) return FieldSet.EMPTY;
    if (!isJsonObject(value)) throw new FieldPathError('expected an object');
    const nodes: Nodes = new Map();
    for (const name of Object.keys(value)) {
      if (name === '.') continue;
      const inner = value[name];
      const element = parsePathElement(name);
      if (element === undefined) continue;
      const below = FieldSet.fromJson(inner);
      const member = below.isEmpty || (isJsonObject(inner) && Object.hasOwn(inner, '.'));
      const other = nodes.get(element.text);
      nodes.set(element.text, {
        element,
        member: member || other?.member === true,
        below: other === undefined ? below : other.below.union(below),
      });
    }
    return FieldSet.fromNodes(nodes);
  }

  /** FieldsV1, elements in the order Kubernetes writes them. */
  toJson(): JsonObject {
    const object: Record<string, Json> = {};
    for (const { element, member, below } of this.sorted()) {
      object[element.text] = below.isEmpty
        ? EMPTY_FIELDS
        : member
          ? { '.': EMPTY_FIELDS, ...below.toJson() }
          : below.toJson();
    }
    return object;
  }

  get isEmpty(): boolean {
    return this.nodes.size === 0;
  }

  /** Number of members. */
  get size(): number {
    let size = 0;
    for (const { member, below } of this.nodes.values()) size += (member ? 1 : 0) + below.size;
    return size;
  }

  /** Whether the path is a member. The empty path, the whole object, never is. */
  has(path: FieldPath): boolean {
    let { nodes } = this;
    for (let at = 0; at < path.length; at += 1) {
      const node = nodes.get(path[at].text);
      if (node === undefined) return false;
      if (at === path.length - 1) return node.member;
      ({ nodes } = node.below);
    }
    return false;
  }

  hasElement(element: PathElement): boolean {
    return this.nodes.get(element.text)?.member === true;
  }

  /** What is known under the text of an element. */
  at(text: string): { readonly member: boolean; readonly below: FieldSet } | undefined {
    return this.nodes.get(text);
  }

  /** The members below an element, their paths without it. */
  below(element: PathElement): FieldSet {
    return this.nodes.get(element.text)?.below ?? FieldSet.EMPTY;
  }

  /** Members in the order of FieldsV1: all of a level, then level by level what lies below. The path is a fresh one each time. */
  paths(): FieldPath[] {
    const paths: FieldPath[] = [];
    this.collect([], paths);
    return paths;
  }

  private collect(prefix: FieldPath, paths: FieldPath[]): void {
    const nodes = this.sorted();
    for (const { element, member } of nodes) if (member) paths.push([...prefix, element]);
    for (const { element, below } of nodes) if (!below.isEmpty) below.collect([...prefix, element], paths);
  }

  /** One path a line, for messages of tests. */
  toString(): string {
    return this.paths().map(pathText).join('\n');
  }

  equals(other: FieldSet): boolean {
    if (this === other) return true;
    if (this.nodes.size !== other.nodes.size) return false;
    for (const [text, node] of this.nodes) {
      const twin = other.nodes.get(text);
      if (twin === undefined || twin.member !== node.member || !node.below.equals(twin.below)) return false;
    }
    return true;
  }

  union(other: FieldSet): FieldSet {
    if (this.isEmpty || this === other) return other;
    if (other.isEmpty) return this;
    const nodes: Nodes = new Map(this.nodes);
    for (const [text, node] of other.nodes) {
      const mine = nodes.get(text);
      nodes.set(
        text,
        mine === undefined
          ? node
          : {
              element: mine.element,
              member: mine.member || node.member,
              below: mine.below.union(node.below),
            },
      );
    }
    return new FieldSet(nodes);
  }

  intersection(other: FieldSet): FieldSet {
    if (this === other) return this;
    if (other.isEmpty) return other;
    return this.combine(other, (node, twin) =>
      twin === undefined
        ? undefined
        : {
            element: node.element,
            member: node.member && twin.member,
            below: node.below.intersection(twin.below),
          },
    );
  }

  /** Members of this set that are none of the other; what lies below a member of the other stays. */
  difference(other: FieldSet): FieldSet {
    if (other.isEmpty) return this;
    return this.combine(other, (node, twin) =>
      twin === undefined
        ? node
        : {
            element: node.element,
            member: node.member && !twin.member,
            below: node.below.difference(twin.below),
          },
    );
  }

  /** Members of this set that are neither members of the other nor below one. */
  recursiveDifference(other: FieldSet): FieldSet {
    if (other.isEmpty) return this;
    return this.combine(other, (node, twin) => {
      if (twin === undefined) return node;
      if (twin.member) return undefined;
      return {
        element: node.element,
        member: node.member,
        below: node.below.recursiveDifference(twin.below),
      };
    });
  }

  /** Members below which nothing is a member. */
  leaves(): FieldSet {
    return this.combine(FieldSet.EMPTY, (node) => ({
      element: node.element,
      member: node.member && node.below.isEmpty,
      below: node.below.leaves(),
    }));
  }

  /**
   * Each node made anew, or dropped where the function gives undefined or nothing is left of it.
   *
   * @param change gets an element, whether it is a member, and the set below it
   */
  map(
    change: (
      element: PathElement,
      member: boolean,
      below: FieldSet,
    ) => { readonly member: boolean; readonly below: FieldSet },
  ): FieldSet {
    return this.combine(FieldSet.EMPTY, (node) => ({
      element: node.element,
      ...change(node.element, node.member, node.below),
    }));
  }

  /** The elements of this level, in order, with what is known of each. */
  entries(): readonly {
    readonly element: PathElement;
    readonly member: boolean;
    readonly below: FieldSet;
  }[] {
    return this.sorted();
  }

  private combine(
    other: FieldSet,
    pair: (node: FieldNode, twin: FieldNode | undefined) => FieldNode | undefined,
  ): FieldSet {
    const nodes: Nodes = new Map();
    for (const [text, node] of this.nodes) {
      const made = pair(node, other.nodes.get(text));
      if (made !== undefined && (made.member || !made.below.isEmpty)) nodes.set(text, made);
    }
    return FieldSet.fromNodes(nodes);
  }

  private sorted(): FieldNode[] {
    return [...this.nodes.values()].toSorted((a, b) => comparePathElements(a.element, b.element));
  }
}

/** What FieldsV1 has below a member with nothing below it. */
export const EMPTY_FIELDS: JsonObject = {};

interface Draft {
  readonly element: PathElement;
  member: boolean;
  below: FieldSetBuilder | undefined;
}

/** Collects paths; what a walk over an object finds goes in here. */
export class FieldSetBuilder {
  private readonly drafts = new Map<string, Draft>();

  /** Adds a path; its parents are not added. The empty path is passed over: nobody owns the object as a whole. */
  insert(path: FieldPath): void {
    if (path.length === 0) return;
    let draft = this.draft(path[0]);
    for (let at = 1; at < path.length; at += 1) {
      draft.below ??= new FieldSetBuilder();
      draft = draft.below.draft(path[at]);
    }
    draft.member = true;
  }

  build(): FieldSet {
    const nodes: Nodes = new Map();
    for (const [text, { element, member, below }] of this.drafts) {
      const set = below === undefined ? FieldSet.EMPTY : below.build();
      assert(member || !set.isEmpty, 'a set has a node without members');
      nodes.set(text, { element, member, below: set });
    }
    return FieldSet.fromNodes(nodes);
  }

  /** The same, which can be put down. */
  *buildInSlices(pace: Pace): Sliced<FieldSet> {
    const nodes: Nodes = new Map();
    let at = 0;
    for (const [text, { element, member, below }] of this.drafts) {
      if (at % LOOK_EVERY === 0 && pace.due()) yield;
      at += 1;
      const set = below === undefined ? FieldSet.EMPTY : yield* below.buildInSlices(pace);
      assert(member || !set.isEmpty, 'a set has a node without members');
      nodes.set(text, { element, member, below: set });
    }
    return FieldSet.fromNodes(nodes);
  }

  private draft(element: PathElement): Draft {
    let draft = this.drafts.get(element.text);
    if (draft === undefined) {
      draft = { element, member: false, below: undefined };
      this.drafts.set(element.text, draft);
    }
    return draft;
  }
}
