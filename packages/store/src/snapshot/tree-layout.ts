/**
 * Where a bucket's B+tree goes, decided from sizes alone: which keys share a leaf, which leaves share a
 * branch, and how many pages each node takes. Keeps a few numbers and the first key of every node and no
 * value, so that a million pairs of 256 bytes cost about 2 MB. Modelled on a bulk-loaded B+tree: levels are
 * built bottom up, each one a run of consecutive pages.
 */
import { assert } from '@keelson/base';
import { ELEMENT_BYTES, PAGE_BYTES, PAGE_HEADER_BYTES } from './pages.ts';

/**
 * Fewest elements a node takes before it may be closed, as in bbolt. With one large pair a node, a value
 * of 5,000 bytes would leave 3,000 of every 8,192 empty; and a branch with a single child is a level that
 * decides nothing.
 */
const NODE_ELEMENTS_MIN = 2;

/** The nodes of one level, in key order. Their pages follow each other from `firstPage`. */
export class TreeLevel {
  /** Elements of node i; pages of node i, its overflow included. */
  readonly counts: Numbers = new Numbers();
  readonly pages: Numbers = new Numbers();
  readonly firstKeys: PackedKeys = new PackedKeys();
  /** Page id of the first node; set by place(). */
  firstPage = 0;
  /** Pages of all nodes together. */
  pageTotal = 0;

  private count = 0;
  private bytes = PAGE_HEADER_BYTES;

  /** Nodes closed so far. */
  get nodeCount(): number {
    return this.counts.length;
  }

  /**
   * Appends one element. A node is filled to the last byte that fits: these files are written once, and
   * what etcd adds later goes to the end of the key bucket (revisions only grow), so slack in the other
   * leaves would be sent over the wire, stored and never used. A node closes when the next element does
   * not fit one page and it has its minimum; larger elements make overflow pages.
   *
   * @param mayClose false keeps the element in the open node whatever its size
   */
  add(key: Buffer, valueBytes: number, mayClose: boolean): void {
    const elementBytes = ELEMENT_BYTES + key.length + valueBytes;
    if (mayClose && this.count >= NODE_ELEMENTS_MIN && this.bytes + elementBytes > PAGE_BYTES) this.finish();
    if (this.count === 0) this.firstKeys.push(key);
    this.count++;
    this.bytes += elementBytes;
  }

  /** Closes the open node, if any. */
  finish(): void {
    if (this.count === 0) return;
    const pages = Math.ceil(this.bytes / PAGE_BYTES);
    assert(this.count < 0xffff && pages <= 0xffff_ffff, 'bbolt: a node outgrew its header');
    this.counts.push(this.count);
    this.pages.push(pages);
    this.pageTotal += pages;
    this.count = 0;
    this.bytes = PAGE_HEADER_BYTES;
  }
}

/** A bucket's levels, leaves first; the last level is one node, the root. Never empty. */
export interface TreeLayout {
  readonly levels: readonly TreeLevel[];
  readonly rootPage: number;
  /** One past the tree's last page. */
  readonly endPage: number;
}

/** Builds the branch levels over finished, non-empty leaves and gives every node its pages from `startPage` on. */
export function layoutTree(leaves: TreeLevel, startPage: number): TreeLayout {
  const levels = [leaves];
  let lower = leaves;
  while (lower.nodeCount > 1) {
    const upper = new TreeLevel();
    const childCount = lower.nodeCount;
    for (let i = 0; i < childCount; i++) {
      // The last child never opens a branch of its own: it may make the one before it overflow instead.
      upper.add(lower.firstKeys.at(i), 0, i + 1 < childCount);
    }
    upper.finish();
    levels.push(upper);
    lower = upper;
  }
  let page = startPage;
  for (const level of levels) {
    level.firstPage = page;
    page += level.pageTotal;
  }
  return { levels, rootPage: lower.firstPage, endPage: page };
}

/** A growing list of u32, 4 bytes each. */
class Numbers {
  length = 0;
  private items = new Uint32Array(64);

  push(value: number): void {
    if (this.length === this.items.length) {
      const larger = new Uint32Array(this.items.length * 2);
      larger.set(this.items);
      this.items = larger;
    }
    this.items[this.length++] = value;
  }

  at(index: number): number {
    return this.items[index];
  }
}

/** Keys back to back in one buffer: no object a key. */
class PackedKeys {
  private bytes = Buffer.allocUnsafe(1024);
  private end = 0;
  private readonly ends = new Numbers();

  push(key: Buffer): void {
    const end = this.end + key.length;
    if (end > this.bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(end, this.bytes.length * 2));
      this.bytes.copy(larger, 0, 0, this.end);
      this.bytes = larger;
    }
    key.copy(this.bytes, this.end);
    this.end = end;
    this.ends.push(end);
  }

  /** A view; valid for reading at any time, since bytes once written never change. */
  at(index: number): Buffer {
    return this.bytes.subarray(index === 0 ? 0 : this.ends.at(index - 1), this.ends.at(index));
  }
}
