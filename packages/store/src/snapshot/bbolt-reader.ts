/**
 * Reads a bbolt database through random access, page by page: a peer's or an operator's snapshot, or the
 * db file of a stopped etcd. The file may be hostile or torn: every id, count, offset and length is checked
 * against the file before it is used, every page may be used once, and keys must ascend; the first
 * contradiction is a BboltError that names its page. It never writes, never locks, and must not be pointed
 * at a file that a running etcd still changes.
 */
import { assert, type DiskFile, EMPTY } from '@keelson/base';
import {
  BboltError,
  BUCKET_HEADER_BYTES,
  FREELIST_COUNT_OVERFLOW,
  PAGE_BYTES_MAX,
  PAGE_BYTES_MIN,
  PAGE_HEADER_BYTES,
  PageFlag,
  readMetaPage,
  readU64LE,
  type BucketSource,
  type KeyValuePair,
  type Meta,
} from './pages.ts';
import { PageLoader } from './page-loader.ts';
import { LeafElement, parseBranch, parseInlineLeaf, parseLeaf, requireBelow } from './page-elements.ts';

/** What the reader needs of a file; base's DiskFile fits. The size must not change meanwhile. */
export type BboltFile = Pick<DiskFile, 'read' | 'size'>;

/**
 * Levels of one tree. A branch has at least two children wherever bbolt or we wrote it, so 64 levels is more
 * than any file can fill; it only bounds the walk through a file that lies.
 */
const DEPTH_MAX = 64;
/** 1 TiB of 4 KiB pages, a hundred times what etcd advises; keeps the claims (four bytes a page) allocatable. */
const PAGE_COUNT_MAX = 2 ** 28;

/** What a full check found. */
export interface BboltSummary {
  readonly pageSize: number;
  readonly pageCount: number;
  /** Pages no tree uses: in the freelist or, where that was not synced, simply unreached. */
  readonly freePageCount: number;
  /** Buckets at every depth, the root not counted. */
  readonly bucketCount: number;
  /** Pairs, buckets not counted. */
  readonly pairCount: number;
}

/** Told each page run a walk comes to, before its content is used; throws if the page may not be used again. */
type Claim = (page: number, pages: number) => void;

/** An open database. Owns no file: closing it stays the caller's. Walk one thing at a time. */
export class BboltReader {
  readonly meta: Meta;
  private readonly file: BboltFile;
  /** The last walk that used each page, and the bucket (0 = root) of each walk: see claimFor. */
  private readonly walkOf: Uint32Array;
  private readonly bucketOfWalk: number[] = [-1];
  private names: readonly BboltBucket[] | undefined;

  private constructor(file: BboltFile, meta: Meta) {
    this.file = file;
    this.meta = meta;
    this.walkOf = new Uint32Array(meta.pageCount);
  }

  /**
   * Picks the newest valid meta page. Bytes after the last page (the 32-byte digest of a saved snapshot)
   * are ignored.
   *
   * @throws BboltError 'NOT_BBOLT', or 'TRUNCATED' when the file is shorter than its pages; the file's own errors
   */
  static async open(file: BboltFile): Promise<BboltReader> {
    const size = await file.size();
    const head = await file.read(0, Math.min(size, PAGE_BYTES_MAX + PAGE_BYTES_MIN));
    let best = readMetaPage(head, 0);
    if (best !== undefined) {
      const second = readMetaPage(head, best.pageSize);
      if (second?.pageSize === best.pageSize && second.txid > best.txid) best = second;
    } else {
      // How long a page is stands only in the page we now look for: try the sizes.
      for (let at = PAGE_BYTES_MIN; best === undefined && at <= PAGE_BYTES_MAX; at *= 2) {
        const second = readMetaPage(head, at);
        if (second?.pageSize === at) best = second;
      }
    }
    if (best === undefined) throw new BboltError('NOT_BBOLT', 'no valid meta page');
    if (best.pageCount > PAGE_COUNT_MAX) throw new BboltError('CORRUPT', `${best.pageCount} pages`);
    if (best.pageCount * best.pageSize > size) {
      throw new BboltError(
        'TRUNCATED',
        `${best.pageCount} pages of ${best.pageSize} in a file of ${size} bytes`,
      );
    }
    return new BboltReader(file, best);
  }

  /** The top-level buckets, sorted by name. Reads the root's tree once. */
  async buckets(): Promise<readonly BboltBucket[]> {
    if (this.names === undefined) {
      const found: BboltBucket[] = [];
      const loader = new PageLoader(this.file, this.meta);
      for await (const leaf of walkLeaves(loader, this.meta.root, this.claimFor(0))) {
        for (const element of leaf.elements) {
          if (!element.bucket) throw new BboltError('CORRUPT', 'a plain key beside the buckets', leaf.page);
          const value = bucketValue(element.value, leaf.page);
          found.push(new BboltBucket(Buffer.from(element.key), value, leaf.page, this, found.length + 1));
        }
      }
      this.names = found;
    }
    return this.names;
  }

  /** One top-level bucket by name; undefined when there is none. */
  async bucket(name: string): Promise<BboltBucket | undefined> {
    const wanted = Buffer.from(name);
    return (await this.buckets()).find((bucket) => bucket.name.equals(wanted));
  }

  /**
   * Everything bbolt's own check proves: each page below the count is used exactly once or free, every page
   * is of the kind its place asks for, keys ascend within and across pages and keep to their branch's range.
   * Buckets inside buckets are checked too. Reads the whole file once.
   *
   * @throws BboltError for the first contradiction
   */
  async check(): Promise<BboltSummary> {
    const { meta } = this;
    const used = new Uint8Array(meta.pageCount);
    const claim: Claim = (page, pages) => {
      for (let id = page; id < page + pages; id++) {
        if (used[id] !== 0)
          throw new BboltError('CORRUPT', used[id] === 2 ? 'in use and free' : 'used twice', id);
        used[id] = 1;
      }
    };
    claim(0, 2);
    const loader = new PageLoader(this.file, meta);
    let freePageCount = 0;
    if (meta.freelist !== undefined) {
      const list = await loader.load(meta.freelist, PageFlag.Freelist);
      claim(list.id, list.pages);
      const wide = list.count === FREELIST_COUNT_OVERFLOW;
      const start = wide ? PAGE_HEADER_BYTES + 8 : PAGE_HEADER_BYTES;
      const count = wide ? readU64LE(list.bytes, PAGE_HEADER_BYTES) : list.count;
      if (count > (list.bytes.length - start) / 8)
        throw new BboltError('CORRUPT', 'freelist past its page', list.id);
      for (let i = 0; i < count; i++) {
        const id = readU64LE(list.bytes, start + i * 8);
        if (id < 2 || id >= meta.pageCount) throw new BboltError('CORRUPT', `frees page ${id}`, list.id);
        if (used[id] !== 0)
          throw new BboltError('CORRUPT', used[id] === 2 ? 'freed twice' : 'in use and free', id);
        used[id] = 2;
      }
      freePageCount = count;
    }

    let bucketCount = 0;
    let pairCount = 0;
    const roots: number[] = [meta.root];
    for (let root = roots.pop(); root !== undefined; root = roots.pop()) {
      for await (const leaf of walkLeaves(loader, root, claim)) {
        for (const element of leaf.elements) {
          if (!element.bucket) {
            if (root === meta.root)
              throw new BboltError('CORRUPT', 'a plain key beside the buckets', leaf.page);
            pairCount++;
            continue;
          }
          bucketCount++;
          const value = bucketValue(element.value, leaf.page);
          if (value.root !== 0) {
            roots.push(value.root);
            continue;
          }
          for (const inner of parseInlineLeaf(value.inline, leaf.page)) {
            if (inner.bucket) throw new BboltError('CORRUPT', 'a bucket inside an inline one', leaf.page);
            pairCount++;
          }
        }
      }
    }
    for (let id = 2; id < meta.pageCount; id++) {
      if (used[id] !== 0) continue;
      if (meta.freelist !== undefined) throw new BboltError('CORRUPT', 'neither in use nor free', id);
      freePageCount++;
    }
    return { pageSize: meta.pageSize, pageCount: meta.pageCount, freePageCount, bucketCount, pairCount };
  }

  /** A top-level bucket's pairs; BboltBucket.entries is the door. */
  async *entriesOf(
    root: number,
    inline: Buffer,
    page: number,
    number: number,
  ): AsyncGenerator<LeafElement[]> {
    if (root === 0) {
      const elements = parseInlineLeaf(inline, page);
      requirePairs(elements, page);
      if (elements.length > 0) yield elements;
      return;
    }
    const loader = new PageLoader(this.file, this.meta);
    for await (const leaf of walkLeaves(loader, root, this.claimFor(number))) {
      requirePairs(leaf.elements, leaf.page);
      if (leaf.elements.length > 0) yield leaf.elements;
    }
  }

  /**
   * One walk's right to pages: each once, and none that a walk of another bucket has used. So a file can
   * send us round neither a cycle nor the same subtree under many names, and work stays within its size.
   * Four bytes a page (a thousandth of the file) hold it for all buckets.
   */
  private claimFor(bucket: number): Claim {
    const walk = this.bucketOfWalk.push(bucket) - 1;
    return (page, pages) => {
      for (let id = page; id < page + pages; id++) {
        const before = this.walkOf[id];
        if (before === walk) throw new BboltError('CORRUPT', 'used twice in one tree', id);
        if (before !== 0 && this.bucketOfWalk[before] !== bucket) {
          throw new BboltError('CORRUPT', 'belongs to two buckets', id);
        }
        this.walkOf[id] = walk;
      }
    };
  }
}

/** A top-level bucket of an open database; a source for the writer as it is. */
export class BboltBucket implements BucketSource {
  readonly name: Buffer;
  private readonly root: number;
  private readonly inline: Buffer;
  private readonly page: number;
  private readonly number: number;
  private readonly reader: BboltReader;

  constructor(name: Buffer, value: BucketValue, page: number, reader: BboltReader, number: number) {
    this.name = name;
    this.root = value.root;
    this.inline = value.inline;
    this.page = page;
    this.reader = reader;
    this.number = number;
  }

  /**
   * All pairs in key order, one leaf a batch. Keys and values are views of memory up to a read window
   * (256 KiB) large: copy what is kept.
   *
   * @throws BboltError 'CORRUPT' naming the page, 'NESTED_BUCKET' when a value is itself a bucket
   */
  entries(): AsyncIterable<readonly KeyValuePair[]> {
    return this.reader.entriesOf(this.root, this.inline, this.page, this.number);
  }
}

interface BucketValue {
  /** Page of the bucket's tree; 0 when its only leaf stands in `inline`. */
  readonly root: number;
  readonly inline: Buffer;
}

function bucketValue(value: Buffer, page: number): BucketValue {
  if (value.length < BUCKET_HEADER_BYTES)
    throw new BboltError('CORRUPT', 'a bucket without its header', page);
  const root = readU64LE(value, 0);
  return { root, inline: root === 0 ? Buffer.from(value.subarray(BUCKET_HEADER_BYTES)) : EMPTY };
}

function requirePairs(elements: readonly LeafElement[], page: number): void {
  for (const element of elements) {
    if (element.bucket) throw new BboltError('NESTED_BUCKET', 'a bucket inside a bucket', page);
  }
}

/** One leaf of a walk. */
interface Leaf {
  readonly page: number;
  readonly elements: LeafElement[];
}

/** A branch on the way down. */
interface Frame {
  readonly keys: readonly Buffer[];
  readonly children: readonly number[];
  /** Every key below is less than this; undefined at the right edge. */
  readonly end: Buffer | undefined;
  next: number;
}

/** The leaves of one tree, left to right, with the order of keys checked across pages. */
async function* walkLeaves(loader: PageLoader, root: number, claim: Claim): AsyncGenerator<Leaf> {
  const stack: Frame[] = [];
  let id = root;
  let start: Buffer = EMPTY;
  let end: Buffer | undefined;
  for (;;) {
    const page = await loader.load(id, PageFlag.Branch | PageFlag.Leaf);
    claim(page.id, page.pages);
    if (page.flags === PageFlag.Leaf) {
      const elements = parseLeaf(page.bytes, page.count, page.id);
      if (elements.length > 0) {
        if (elements[0].key.compare(start) < 0)
          throw new BboltError('CORRUPT', 'a key below its branch', page.id);
        requireBelow(elements[elements.length - 1].key, end, page.id);
        yield { page: page.id, elements };
      } else if (id !== loader.root) {
        // bbolt drops a leaf with its last pair and makes an emptied bucket inline; only a database without
        // buckets has an empty leaf. Passing over others would lose pairs in silence.
        throw new BboltError('CORRUPT', 'a leaf without elements', page.id);
      }
    } else {
      if (stack.length === DEPTH_MAX)
        throw new BboltError('CORRUPT', 'a tree deeper than any file fills', page.id);
      const { keys, children } = parseBranch(page.bytes, page.count, page.id);
      if (keys[0].compare(start) < 0) throw new BboltError('CORRUPT', 'a key below its branch', page.id);
      requireBelow(keys[keys.length - 1], end, page.id);
      stack.push({ keys, children, end, next: 0 });
    }
    while (stack.length > 0 && stack[stack.length - 1].next === stack[stack.length - 1].children.length) {
      stack.pop();
    }
    const frame = stack[stack.length - 1];
    if (frame === undefined) return;
    assert(frame.next < frame.children.length, 'bbolt: a finished branch was left on the stack');
    start = frame.keys[frame.next];
    end = frame.keys[frame.next + 1] ?? frame.end;
    id = frame.children[frame.next];
    frame.next++;
  }
}
