/**
 * Brings whole nodes (a page and its overflow) of a bbolt file into memory, with their header checked. Reads
 * ahead only while ids follow each other, so that a freshly written file costs one read in 64 pages and a
 * scattered one no byte too many. It holds one window and knows nothing of trees.
 */
import type { DiskFile } from '@keelson/base';
import { BboltError, PAGE_HEADER_BYTES, PageFlag, readU64LE, type Meta } from './pages.ts';

/** Largest read-ahead; also how much memory a kept view of one value may hold. */
const WINDOW_BYTES = 256 * 1024;
/** Longest node: far above anything etcd stores, and below what one read and one Buffer can take. */
const NODE_BYTES_MAX = 1024 * 1024 * 1024;

/** A node in memory. */
export interface LoadedPage {
  readonly id: number;
  /** Exactly one of PageFlag. */
  readonly flags: number;
  readonly count: number;
  /** The page itself and its overflow. */
  readonly pages: number;
  /** All of it, header included: a view, never changed once given. */
  readonly bytes: Buffer;
}

export class PageLoader {
  private readonly file: Pick<DiskFile, 'read'>;
  private readonly meta: Meta;
  private window: Buffer = Buffer.alloc(0);
  private windowPage = 0;
  private windowPages = 0;
  /** Size of the next read-ahead, in pages. */
  private ahead = 1;

  constructor(file: Pick<DiskFile, 'read'>, meta: Meta) {
    this.file = file;
    this.meta = meta;
  }

  /** The page of the root bucket. */
  get root(): number {
    return this.meta.root;
  }

  /**
   * @param id from the file, not to be trusted
   * @param kinds page flags that may stand here, or'ed
   * @throws BboltError 'CORRUPT' when id, header or overflow contradict the file; 'TRUNCATED' when it ended meanwhile
   */
  async load(id: number, kinds: number): Promise<LoadedPage> {
    const { pageSize, pageCount } = this.meta;
    if (id < 2 || id >= pageCount) throw new BboltError('CORRUPT', `not one of the ${pageCount} pages`, id);
    if (id < this.windowPage || id >= this.windowPage + this.windowPages) await this.readWindow(id);
    const at = (id - this.windowPage) * pageSize;
    const header = this.window.subarray(at, at + PAGE_HEADER_BYTES);
    const flags = header.readUInt16LE(8);
    const overflow = header.readUInt32LE(12);
    if (readU64LE(header, 0) !== id) throw new BboltError('CORRUPT', 'carries the id of another page', id);
    // Branch, leaf and freelist are single bits; anything else, or two of them, is not a page bbolt wrote.
    if ((flags & kinds) === 0 || (flags & (flags - 1)) !== 0) {
      throw new BboltError('CORRUPT', `of kind ${flags.toString(16)}, not of kind ${kinds.toString(16)}`, id);
    }
    const pages = overflow + 1;
    if (id + pages > pageCount) throw new BboltError('CORRUPT', `overflows by ${overflow} pages`, id);
    const length = pages * pageSize;
    if (length > NODE_BYTES_MAX) throw new BboltError('CORRUPT', `${length} bytes in one node`, id);
    const count = header.readUInt16LE(10);
    if (flags !== PageFlag.Freelist && count > length / PAGE_HEADER_BYTES) {
      throw new BboltError('CORRUPT', `${count} elements do not fit`, id);
    }
    if (at + length <= this.window.length) {
      return { id, flags, count, pages, bytes: this.window.subarray(at, at + length) };
    }
    const bytes = await this.read(id, length);
    // The window moves past the node, so that the next page counts as following.
    this.window = bytes;
    this.windowPage = id;
    this.windowPages = pages;
    return { id, flags, count, pages, bytes };
  }

  private async readWindow(id: number): Promise<void> {
    const { pageSize, pageCount } = this.meta;
    const follows = id === this.windowPage + this.windowPages;
    this.ahead = follows ? Math.min(this.ahead * 2, WINDOW_BYTES / pageSize) : 1;
    const pages = Math.min(this.ahead, pageCount - id);
    this.window = await this.read(id, pages * pageSize);
    this.windowPage = id;
    this.windowPages = pages;
  }

  private async read(id: number, length: number): Promise<Buffer> {
    const bytes = await this.file.read(id * this.meta.pageSize, length);
    if (bytes.length !== length) throw new BboltError('TRUNCATED', 'the file ends inside', id);
    return bytes;
  }
}
