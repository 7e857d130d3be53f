/**
 * Writes a bbolt database front to back, without seeking and without holding it: a first pass over the
 * buckets fixes every page id and the exact size, a second one emits the bytes. So a snapshot can be sent
 * over HTTP or gRPC with its length known beforehand. It never touches a file and never keeps more than a
 * node and a chunk. The result is what bbolt's own check accepts; see docs/formats/bbolt.md for the layout.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { assert, EMPTY } from '@keelson/base';
import {
  BboltError,
  BUCKET_ELEMENT,
  BUCKET_HEADER_BYTES,
  ELEMENT_BYTES,
  KEY_BYTES_MAX,
  PAGE_BYTES,
  PAGE_HEADER_BYTES,
  PageFlag,
  VALUE_BYTES_MAX,
  writeMetaPage,
  writePageHeader,
  writeU64LE,
  type BucketSource,
  type KeyValuePair,
} from './pages.ts';
import { layoutTree, TreeLevel, type TreeLayout } from './tree-layout.ts';

/** One socket or disk write of useful size that still takes only 1-3 ms to fill with small pairs. */
const CHUNK_BYTES = 256 * 1024;
/** Pairs measured in one synchronous slice of the first pass: about 1 ms. */
const SLICE_PAIRS = 4096;

/** Lets others at the event loop. */
export type Turn = () => Promise<unknown>;

const FREELIST_PAGE = 2;
const FIRST_TREE_PAGE = 3;

/** What the first pass learned. Good for one or more calls of writeBbolt with the same buckets. */
export interface BboltPlan {
  /** Exact length of the file; a multiple of 4096. */
  readonly bytes: number;
  readonly pageCount: number;
  /** Pairs in all buckets together. */
  readonly pairCount: number;
  /** One a bucket, in the order given; undefined for an empty one, which lives inside the root's leaf. */
  readonly trees: readonly (TreeLayout | undefined)[];
  /** The root bucket: names and bucket headers, sorted. */
  readonly rootPairs: readonly KeyValuePair[];
  readonly root: TreeLayout;
}

/**
 * First pass: takes each bucket's entries once, in order, and lays the file out. Yields to the event loop
 * every few thousand pairs.
 *
 * @param buckets distinct, non-empty names in any order; their pages follow in this order
 * @throws BboltError 'BAD_SOURCE' for keys out of order, sizes bbolt refuses, or names that repeat
 */
export async function planBbolt(buckets: readonly BucketSource[], turn: Turn = nextTurn): Promise<BboltPlan> {
  const trees: (TreeLayout | undefined)[] = [];
  const rootPairs: KeyValuePair[] = [];
  let page = FIRST_TREE_PAGE;
  let pairCount = 0;
  for (const bucket of buckets) {
    const leaves = new TreeLevel();
    const order = new KeyOrder(bucket.name);
    let slice = 0;
    for await (const batch of bucket.entries()) {
      for (const pair of batch) {
        order.take(pair);
        leaves.add(pair.key, pair.value.length, true);
        pairCount++;
        if (++slice === SLICE_PAIRS) {
          slice = 0;
          await turn();
        }
      }
    }
    leaves.finish();
    const tree = leaves.nodeCount === 0 ? undefined : layoutTree(leaves, page);
    trees.push(tree);
    if (tree !== undefined) page = tree.endPage;
    rootPairs.push({ key: bucket.name, value: bucketValue(tree?.rootPage) });
    await turn();
  }

  rootPairs.sort((a, b) => Buffer.compare(a.key, b.key));
  const rootLeaves = new TreeLevel();
  const order = new KeyOrder(Buffer.from('the root'));
  for (const pair of rootPairs) {
    order.take(pair);
    rootLeaves.add(pair.key, pair.value.length, true);
  }
  rootLeaves.finish();
  // A database without buckets still has a root: one leaf without elements, as bbolt makes it.
  if (rootLeaves.nodeCount === 0) {
    rootLeaves.counts.push(0);
    rootLeaves.pages.push(1);
    rootLeaves.firstKeys.push(EMPTY);
    rootLeaves.pageTotal = 1;
  }
  const root = layoutTree(rootLeaves, page);
  return {
    bytes: root.endPage * PAGE_BYTES,
    pageCount: root.endPage,
    pairCount,
    trees,
    rootPairs,
    root,
  };
}

/**
 * Second pass: the file's bytes, in order, plan.bytes in total. Chunks are the caller's: up to 256 KiB of
 * fresh memory, or, for values larger than that, views of the value given. Yields to the event loop at each.
 *
 * @param buckets the same ones, giving the same entries, as planBbolt saw
 * @throws BboltError 'BAD_SOURCE' when the entries differ from those planned; what was emitted is then useless
 */
export async function* writeBbolt(
  plan: BboltPlan,
  buckets: readonly BucketSource[],
  turn: Turn = nextTurn,
): AsyncGenerator<Buffer> {
  if (buckets.length !== plan.trees.length) throw new BboltError('BAD_SOURCE', 'not the buckets planned');
  const out = new ChunkWriter();
  for (const id of [0, 1]) {
    // Two generations of one state, as in a file bbolt has just made: whichever is damaged, the other opens.
    const meta = {
      pageSize: PAGE_BYTES,
      root: plan.root.rootPage,
      freelist: FREELIST_PAGE,
      pageCount: plan.pageCount,
      txid: id,
    };
    writeMetaPage(out.take(PAGE_BYTES), id, meta);
  }
  const freelist = out.take(PAGE_BYTES);
  freelist.fill(0);
  writePageHeader(freelist, 0, FREELIST_PAGE, PageFlag.Freelist, 0, 0);

  for (const [i, bucket] of buckets.entries()) {
    const tree = plan.trees[i];
    const order = new KeyOrder(bucket.name);
    const leaves = new LeafGrouping(tree?.levels[0]);
    for await (const batch of bucket.entries()) {
      for (const pair of batch) {
        order.take(pair);
        if (!leaves.add(pair)) continue;
        yield* emitLeaf(out, leaves, 0, turn);
      }
    }
    if (!leaves.complete) throw changed(bucket.name);
    if (tree !== undefined) yield* emitBranches(out, tree, turn);
  }

  const rootLeaves = new LeafGrouping(plan.root.levels[0]);
  if (plan.rootPairs.length === 0) yield* emitLeaf(out, rootLeaves, BUCKET_ELEMENT, turn);
  for (const pair of plan.rootPairs) {
    if (rootLeaves.add(pair)) yield* emitLeaf(out, rootLeaves, BUCKET_ELEMENT, turn);
  }
  yield* emitBranches(out, plan.root, turn);
  if (out.filled > 0) yield out.flush();
}

/** Emits the complete leaf: into the chunk when it fits one, else in pieces without copying its values. */
async function* emitLeaf(
  out: ChunkWriter,
  leaf: LeafGrouping,
  flags: number,
  turn: Turn,
): AsyncGenerator<Buffer> {
  const { keys, values, page, pages } = leaf;
  const nodeBytes = pages * PAGE_BYTES;
  const headBytes = PAGE_HEADER_BYTES + keys.length * ELEMENT_BYTES;
  if (nodeBytes > out.room) {
    if (out.filled > 0) yield out.flush();
    await turn();
  }
  const large = nodeBytes > CHUNK_BYTES;
  const bytes = large ? Buffer.allocUnsafe(headBytes) : out.take(nodeBytes);
  writePageHeader(bytes, 0, page, PageFlag.Leaf, keys.length, pages - 1);
  let element = PAGE_HEADER_BYTES;
  let data = headBytes;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i];
    const value = values[i];
    bytes.writeUInt32LE(flags, element);
    bytes.writeUInt32LE(data - element, element + 4);
    bytes.writeUInt32LE(key.length, element + 8);
    bytes.writeUInt32LE(value.length, element + 12);
    element += ELEMENT_BYTES;
    if (!large) {
      key.copy(bytes, data);
      value.copy(bytes, data + key.length);
    }
    data += key.length + value.length;
  }
  if (!large) {
    bytes.fill(0, data);
  } else {
    yield bytes;
    for (let i = 0; i < keys.length; i++) {
      yield Buffer.from(keys[i]);
      const value = values[i];
      for (let at = 0; at < value.length; at += CHUNK_BYTES) {
        yield value.subarray(at, at + CHUNK_BYTES);
        await turn();
      }
    }
    if (data < nodeBytes) yield Buffer.alloc(nodeBytes - data);
  }
  leaf.advance();
}

/** Emits a tree's branch levels, bottom up, from what the plan kept. */
async function* emitBranches(out: ChunkWriter, tree: TreeLayout, turn: Turn): AsyncGenerator<Buffer> {
  for (let depth = 1; depth < tree.levels.length; depth++) {
    const lower = tree.levels[depth - 1];
    const level = tree.levels[depth];
    let page = level.firstPage;
    let child = 0;
    let childPage = lower.firstPage;
    for (let node = 0; node < level.nodeCount; node++) {
      const count = level.counts.at(node);
      const pages = level.pages.at(node);
      if (pages * PAGE_BYTES > out.room) {
        if (out.filled > 0) yield out.flush();
        await turn();
      }
      const bytes = out.take(pages * PAGE_BYTES);
      writePageHeader(bytes, 0, page, PageFlag.Branch, count, pages - 1);
      let element = PAGE_HEADER_BYTES;
      let data = PAGE_HEADER_BYTES + count * ELEMENT_BYTES;
      for (let i = 0; i < count; i++) {
        const key = lower.firstKeys.at(child);
        bytes.writeUInt32LE(data - element, element);
        bytes.writeUInt32LE(key.length, element + 4);
        writeU64LE(bytes, element + 8, childPage);
        element += ELEMENT_BYTES;
        data += key.copy(bytes, data);
        childPage += lower.pages.at(child);
        child++;
      }
      bytes.fill(0, data);
      page += pages;
    }
  }
}

/** The pairs of one leaf at a time, as many as the plan says, with the checks that they are those planned. */
class LeafGrouping {
  keys: Buffer[] = [];
  values: Buffer[] = [];
  /** Page id and pages of the current leaf. */
  page: number;
  private node = 0;
  private bytes = PAGE_HEADER_BYTES;
  private readonly level: TreeLevel | undefined;

  /** @param level undefined for a bucket planned as empty */
  constructor(level: TreeLevel | undefined) {
    this.level = level;
    this.page = level?.firstPage ?? 0;
  }

  /** True once every planned leaf has been emitted. */
  get complete(): boolean {
    return this.level === undefined || this.node === this.level.nodeCount;
  }

  get pages(): number {
    return this.level!.pages.at(this.node);
  }

  /** Takes one pair; true when the leaf is whole and must be emitted, then advanced, before the next. */
  add(pair: KeyValuePair): boolean {
    const level = this.level;
    if (level === undefined || this.complete) throw changed(pair.key);
    if (this.keys.length === 0 && !level.firstKeys.at(this.node).equals(pair.key)) throw changed(pair.key);
    this.keys.push(pair.key);
    this.values.push(pair.value);
    this.bytes += ELEMENT_BYTES + pair.key.length + pair.value.length;
    if (this.keys.length < level.counts.at(this.node)) return false;
    if (Math.ceil(this.bytes / PAGE_BYTES) !== this.pages) throw changed(pair.key);
    return true;
  }

  advance(): void {
    this.page += this.pages;
    this.node++;
    this.keys = [];
    this.values = [];
    this.bytes = PAGE_HEADER_BYTES;
  }
}

/** Checks a bucket's pairs as they pass: sizes bbolt takes, keys strictly ascending. */
class KeyOrder {
  private previous = EMPTY;
  private readonly bucket: Buffer;

  constructor(bucket: Buffer) {
    this.bucket = bucket;
  }

  take(pair: KeyValuePair): void {
    const { key, value } = pair;
    if (key.length === 0 || key.length > KEY_BYTES_MAX || value.length > VALUE_BYTES_MAX) {
      throw this.refuse(`key of ${key.length} bytes with a value of ${value.length}`);
    }
    if (this.previous.compare(key) >= 0)
      throw this.refuse(`key ${shortHex(key)} is not above the one before`);
    this.previous = key;
  }

  private refuse(what: string): BboltError {
    return new BboltError('BAD_SOURCE', `bucket ${JSON.stringify(this.bucket.toString('latin1'))}: ${what}`);
  }
}

/** Fresh memory, a chunk at a time, handed out in pieces that follow each other. */
class ChunkWriter {
  filled = 0;
  private chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);

  get room(): number {
    return CHUNK_BYTES - this.filled;
  }

  /** The next `length` bytes; the caller writes every one. Law: length ≤ room. */
  take(length: number): Buffer {
    assert(length <= this.room, 'bbolt: a node outgrew the chunk');
    const start = this.filled;
    this.filled += length;
    return this.chunk.subarray(start, this.filled);
  }

  flush(): Buffer {
    const full = this.chunk.subarray(0, this.filled);
    this.chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    this.filled = 0;
    return full;
  }
}

/** A bucket's value in the root: where its tree starts or, for an empty one, an inline leaf without elements. */
function bucketValue(rootPage: number | undefined): Buffer {
  const value = Buffer.alloc(
    rootPage === undefined ? BUCKET_HEADER_BYTES + PAGE_HEADER_BYTES : BUCKET_HEADER_BYTES,
  );
  if (rootPage === undefined) writePageHeader(value, BUCKET_HEADER_BYTES, 0, PageFlag.Leaf, 0, 0);
  else writeU64LE(value, 0, rootPage);
  return value;
}

function changed(at: Buffer): BboltError {
  return new BboltError('BAD_SOURCE', `the entries differ from those planned, at ${shortHex(at)}`);
}

function shortHex(bytes: Buffer): string {
  return bytes.length > 32 ? `${bytes.toString('hex', 0, 32)}…` : bytes.toString('hex');
}
