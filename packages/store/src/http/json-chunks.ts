/**
 * Finds where one JSON value ends and the next begins in a stream of bytes, so that each message of a
 * streaming request can be read when it is there. Looks at brackets and quotes only; bounded by the bytes of
 * one value.
 */
import { RpcError, StatusCode } from '@keelson/rpc';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

export class JsonChunks {
  private readonly bytesMax: number;
  private parts: Buffer[] = [];
  private bytes = 0;
  private depth = 0;
  private inString = false;
  private escaped = false;
  /** Inside a value that is neither object nor array nor string: it ends where something else begins. */
  private bare = false;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  /**
   * Takes the next bytes.
   * @returns the texts of the values that are complete now
   * @throws RpcError ResourceExhausted when a value is longer than allowed, as gRPC says it of a message
   */
  push(chunk: Buffer): string[] {
    const values: string[] = [];
    let start = 0;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i];
      if (this.inString) {
        if (this.escaped) this.escaped = false;
        else if (byte === BACKSLASH) this.escaped = true;
        else if (byte === QUOTE) {
          this.inString = false;
          if (this.depth === 0) start = this.close(values, chunk, start, i + 1);
        }
        continue;
      }
      if (this.bare && isBoundary(byte)) {
        this.bare = false;
        start = this.close(values, chunk, start, i);
      }
      if (byte === QUOTE) this.inString = true;
      else if (byte === 0x7b || byte === 0x5b) this.depth++;
      else if (byte === 0x7d || byte === 0x5d) {
        this.depth--;
        if (this.depth <= 0) start = this.close(values, chunk, start, i + 1);
      } else if (this.depth === 0 && isBlank(byte)) {
        if (this.bytes === 0) start = i + 1;
      } else if (this.depth === 0) this.bare = true;
    }
    if (start < chunk.length) this.keep(chunk.subarray(start));
    return values;
  }

  /** What came after the last complete value; undefined when there is nothing but blanks. */
  rest(): string | undefined {
    const text = Buffer.concat(this.parts).toString('utf8');
    this.reset();
    return text.trim() === '' ? undefined : text;
  }

  private close(values: string[], chunk: Buffer, start: number, end: number): number {
    this.keep(chunk.subarray(start, end));
    values.push(Buffer.concat(this.parts).toString('utf8'));
    this.reset();
    return end;
  }

  private keep(part: Buffer): void {
    this.bytes += part.length;
    if (this.bytes > this.bytesMax) {
      const details = `grpc: received message larger than max (${this.bytes} vs. ${this.bytesMax})`;
      throw new RpcError(StatusCode.ResourceExhausted, details);
    }
    this.parts.push(part);
  }

  private reset(): void {
    this.parts = [];
    this.bytes = 0;
    this.depth = 0;
  }
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function isBoundary(byte: number): boolean {
  return isBlank(byte) || byte === QUOTE || byte === 0x7b || byte === 0x5b || byte === 0x7d || byte === 0x5d;
}
