/** A header block that comes in pieces, HEADERS and CONTINUATION (RFC 9113 §4.3): kept, within bounds, until its end has come. */
import { ConnectionError, ErrorCode } from './frames.ts';
import type { Limits } from './limits.ts';

export class HeaderBlock {
  /** Whose it is; 0: no block is under way. */
  streamId = 0;
  /** The stream ends with it. */
  ends = false;
  private readonly limits: Limits;
  private pieces: Buffer[] = [];
  private bytes = 0;

  constructor(limits: Limits) {
    this.limits = limits;
  }

  get heldBytes(): number {
    return this.bytes;
  }

  begin(streamId: number, ends: boolean, piece: Buffer): void {
    this.streamId = streamId;
    this.ends = ends;
    this.pieces = [piece];
    this.bytes = piece.length;
  }

  /** @throws ConnectionError for a block without end */
  add(piece: Buffer): void {
    this.pieces.push(piece);
    this.bytes += piece.length;
    const { headerBytesMax, continuationsMax } = this.limits;
    if (this.bytes > headerBytesMax || this.pieces.length > continuationsMax)
      throw new ConnectionError(ErrorCode.EnhanceYourCalm, 'a header block without end');
  }

  /** The whole block, which is no longer kept. */
  take(): Buffer {
    const whole = Buffer.concat(this.pieces);
    this.clear();
    return whole;
  }

  clear(): void {
    this.streamId = 0;
    this.pieces = [];
    this.bytes = 0;
  }
}
