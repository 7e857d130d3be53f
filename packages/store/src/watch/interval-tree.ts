/**
 * Which of many key ranges cover a key: an AVL tree ordered by (low, high), each node knowing the greatest
 * end below it. Ranges are half open; an end of undefined is above every key. Items with the same range share
 * a node, so a thousand watchers of one prefix cost a search as much as one. It knows nothing of watching.
 * Modelled on Cormen et al., "Introduction to Algorithms", 14.3 (interval trees), on AVL instead of red-black.
 */

class Node<T> {
  readonly low: string;
  readonly high: string | undefined;
  readonly items = new Set<T>();
  left: Node<T> | undefined = undefined;
  right: Node<T> | undefined = undefined;
  height = 1;
  /** The greatest `high` in this subtree. */
  highest: string | undefined;

  constructor(low: string, high: string | undefined) {
    this.low = low;
    this.high = high;
    this.highest = high;
  }
}

export class IntervalTree<T> {
  private root: Node<T> | undefined = undefined;
  private count = 0;

  /** Number of items. */
  get size(): number {
    return this.count;
  }

  /** False when the item was there already with the same range. */
  add(low: string, high: string | undefined, item: T): boolean {
    let node = this.find(low, high);
    if (node === undefined) {
      node = new Node<T>(low, high);
      this.root = insert(this.root, node);
    } else if (node.items.has(item)) {
      return false;
    }
    node.items.add(item);
    this.count++;
    return true;
  }

  /** Whether the item was there with this range. */
  delete(low: string, high: string | undefined, item: T): boolean {
    const node = this.find(low, high);
    if (node === undefined || !node.items.delete(item)) return false;
    this.count--;
    if (node.items.size === 0) this.root = remove(this.root, node);
    return true;
  }

  /** Visits every item whose range has `key`. The tree must not change meanwhile. */
  visit(key: string, visit: (item: T) => void): void {
    visitCovering(this.root, key, visit);
  }

  /** Every item, ordered by range. The tree must not change meanwhile. */
  forEach(visit: (item: T) => void): void {
    const walk = (node: Node<T> | undefined): void => {
      if (node === undefined) return;
      walk(node.left);
      for (const item of node.items) visit(item);
      walk(node.right);
    };
    walk(this.root);
  }

  /** The laws of the tree, for tests: an error text, '' when they hold. */
  check(): string {
    const walk = (node: Node<T> | undefined): { height: number; text: string } => {
      if (node === undefined) return { height: 0, text: '' };
      const left = walk(node.left);
      const right = walk(node.right);
      let { text } = left;
      if (text === '') text = right.text;
      if (Math.abs(left.height - right.height) > 1) text = `unbalanced at ${node.low}`;
      if (node.left !== undefined && compareNodes(node.left, node) >= 0) text = `order at ${node.low}`;
      if (node.right !== undefined && compareNodes(node.right, node) <= 0) text = `order at ${node.low}`;
      if (node.highest !== highestOf(node)) text = `highest at ${node.low}`;
      if (node.height !== 1 + Math.max(left.height, right.height)) text = `height at ${node.low}`;
      if (node.items.size === 0) text = `empty node ${node.low}`;
      return { height: node.height, text };
    };
    return walk(this.root).text;
  }

  private find(low: string, high: string | undefined): Node<T> | undefined {
    let node = this.root;
    while (node !== undefined) {
      const order = compare(low, high, node);
      if (order === 0) return node;
      node = order < 0 ? node.left : node.right;
    }
    return undefined;
  }
}

function visitCovering<T>(start: Node<T> | undefined, key: string, visit: (item: T) => void): void {
  let node = start;
  while (node !== undefined) {
    if (node.highest !== undefined && node.highest <= key) return;
    visitCovering(node.left, key, visit);
    if (node.low > key) return;
    if (node.high === undefined || node.high > key) {
      for (const item of node.items) visit(item);
    }
    node = node.right;
  }
}

function compareEnds(a: string | undefined, b: string | undefined): number {
  if (a === b) return 0;
  if (a === undefined) return 1;
  if (b === undefined) return -1;
  return a < b ? -1 : 1;
}

function compare<T>(low: string, high: string | undefined, node: Node<T>): number {
  if (low !== node.low) return low < node.low ? -1 : 1;
  return compareEnds(high, node.high);
}

function compareNodes<T>(a: Node<T>, b: Node<T>): number {
  return compare(a.low, a.high, b);
}

function heightOf<T>(node: Node<T> | undefined): number {
  return node === undefined ? 0 : node.height;
}

function highestOf<T>(node: Node<T>): string | undefined {
  let highest = node.high;
  if (node.left !== undefined && compareEnds(node.left.highest, highest) > 0) highest = node.left.highest;
  if (node.right !== undefined && compareEnds(node.right.highest, highest) > 0) highest = node.right.highest;
  return highest;
}

function update<T>(node: Node<T>): void {
  node.height = 1 + Math.max(heightOf(node.left), heightOf(node.right));
  node.highest = highestOf(node);
}

function rotateRight<T>(node: Node<T>): Node<T> {
  const top = node.left!;
  node.left = top.right;
  top.right = node;
  update(node);
  update(top);
  return top;
}

function rotateLeft<T>(node: Node<T>): Node<T> {
  const top = node.right!;
  node.right = top.left;
  top.left = node;
  update(node);
  update(top);
  return top;
}

/** The subtree's new root, its heights at most one apart again. */
function balance<T>(node: Node<T>): Node<T> {
  const lean = heightOf(node.left) - heightOf(node.right);
  if (lean > 1) {
    if (heightOf(node.left!.left) < heightOf(node.left!.right)) node.left = rotateLeft(node.left!);
    return rotateRight(node);
  }
  if (lean < -1) {
    if (heightOf(node.right!.right) < heightOf(node.right!.left)) node.right = rotateRight(node.right!);
    return rotateLeft(node);
  }
  update(node);
  return node;
}

function insert<T>(node: Node<T> | undefined, added: Node<T>): Node<T> {
  if (node === undefined) return added;
  if (compareNodes(added, node) < 0) node.left = insert(node.left, added);
  else node.right = insert(node.right, added);
  return balance(node);
}

function remove<T>(node: Node<T> | undefined, gone: Node<T>): Node<T> | undefined {
  if (node === undefined) return undefined;
  const order = compareNodes(gone, node);
  if (order < 0) node.left = remove(node.left, gone);
  else if (order > 0) node.right = remove(node.right, gone);
  else {
    if (node.left === undefined) return node.right;
    if (node.right === undefined) return node.left;
    let next = node.right;
    while (next.left !== undefined) next = next.left;
    next.right = remove(node.right, next);
    next.left = node.left;
    return balance(next);
  }
  return balance(node);
}
