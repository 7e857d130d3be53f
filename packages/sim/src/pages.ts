/**
 * A file's bytes in memory as sparse pages: what was never written, or only ever written as zeros, costs
 * nothing, so that a simulated cluster may have preallocated logs.
 */
const PAGE_BYTES = 4096;
const ZERO_PAGE = Buffer.alloc(PAGE_BYTES);

export class Pages {
  size = 0;
  private readonly pages = new Map<number, Buffer>();

  write(position: number, data: Uint8Array): void {
    let offset = 0;
    while (offset < data.length) {
      const at = position + offset;
      const number = Math.floor(at / PAGE_BYTES);
      const start = at - number * PAGE_BYTES;
      const piece = data.subarray(offset, offset + Math.min(PAGE_BYTES - start, data.length - offset));
      let page = this.pages.get(number);
      if (page === undefined && ZERO_PAGE.compare(piece, 0, piece.length, 0, piece.length) !== 0) {
        page = Buffer.alloc(PAGE_BYTES);
        this.pages.set(number, page);
      }
      page?.set(piece, start);
      offset += piece.length;
    }
    this.size = Math.max(this.size, position + data.length);
  }

  /** A copy of at most `length` bytes at `position`; fewer at the end. */
  read(position: number, length: number): Buffer {
    const bytes = Buffer.alloc(Math.max(0, Math.min(length, this.size - position)));
    let offset = 0;
    while (offset < bytes.length) {
      const at = position + offset;
      const number = Math.floor(at / PAGE_BYTES);
      const start = at - number * PAGE_BYTES;
      const count = Math.min(PAGE_BYTES - start, bytes.length - offset);
      this.pages.get(number)?.copy(bytes, offset, start, start + count);
      offset += count;
    }
    return bytes;
  }

  /** Cuts or extends with zeros. */
  truncate(length: number): void {
    if (length < this.size) {
      const boundary = Math.floor(length / PAGE_BYTES);
      for (const [number, page] of this.pages) {
        if (number > boundary) this.pages.delete(number);
        else if (number === boundary) page.fill(0, length - boundary * PAGE_BYTES);
      }
    }
    this.size = length;
  }

  clone(): Pages {
    const copy = new Pages();
    copy.size = this.size;
    for (const [number, page] of this.pages) copy.pages.set(number, Buffer.from(page));
    return copy;
  }
}
