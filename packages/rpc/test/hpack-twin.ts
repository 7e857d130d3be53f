/**
 * A dumb twin of the header decoder (RFC 7541), written from its text for being right and nothing else: bits as
 * text, the table as a list that is copied. It shares Huffman's code lengths with the real one and no more.
 */
import { huffmanCodes } from '../src/huffman.ts';
import { STATIC_TABLE } from '../src/hpack.ts';

const SYMBOLS: ReadonlyMap<string, number> = new Map(huffmanCodes().map((code, symbol) => [code, symbol]));

class Refused extends Error {}

export class HpackTwin {
  /** Newest first. */
  table: [string, string][] = [];
  tableMax: number;
  private readonly limit: number;

  constructor(limit = 4096) {
    this.limit = limit;
    this.tableMax = limit;
  }

  get tableSize(): number {
    return this.table.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
  }

  /** @returns name, value, … ; undefined when the block is a compression error */
  decode(block: Buffer): string[] | undefined {
    try {
      return this.read(block);
    } catch (error) {
      if (error instanceof Refused) return undefined;
      throw error;
    }
  }

  private read(block: Buffer): string[] {
    const fields: string[] = [];
    const bits = (count: number): number => (block[at] ?? 0) >> (8 - count);
    let at = 0;
    const integer = (prefix: number): number => {
      const most = 2 ** prefix - 1;
      let value = (block[at++] ?? 0) & most;
      if (value < most) return value;
      for (let power = 0; ; power += 7) {
        const byte = block[at++];
        // Four more bytes are what we take; the RFC leaves the bound to us (§5.1).
        if (byte === undefined || power > 21) throw new Refused('integer');
        value += (byte & 127) * 2 ** power;
        if (byte < 128) return value;
      }
    };
    const text = (): string => {
      if (at >= block.length) throw new Refused('no string');
      const coded = bits(1) === 1;
      const length = integer(7);
      if (at + length > block.length) throw new Refused('long string');
      const bytes = block.subarray(at, at + length);
      at += length;
      return coded ? unhuffman(bytes) : bytes.toString('latin1');
    };
    const entry = (index: number): [string, string] => {
      const found = STATIC_TABLE[index - 1] ?? this.table[index - 1 - STATIC_TABLE.length];
      if (index === 0 || found === undefined) throw new Refused('index');
      return [found[0], found[1]];
    };
    const name = (index: number): string => (index === 0 ? text() : entry(index)[0]);
    while (at < block.length) {
      if (bits(1) === 1) {
        fields.push(...entry(integer(7)));
      } else if (bits(2) === 1) {
        const pair: [string, string] = [name(integer(6)), text()];
        fields.push(...pair);
        this.table.unshift(pair);
        this.evict();
      } else if (bits(3) === 1) {
        if (fields.length > 0) throw new Refused('late update');
        this.tableMax = integer(5);
        if (this.tableMax > this.limit) throw new Refused('table size');
        this.evict();
      } else {
        fields.push(name(integer(4)), text());
      }
    }
    return fields;
  }

  private evict(): void {
    while (this.tableSize > this.tableMax) this.table.pop();
  }
}

function unhuffman(bytes: Buffer): string {
  let text = '';
  let code = '';
  for (const byte of bytes) {
    for (const bit of byte.toString(2).padStart(8, '0')) {
      code += bit;
      const symbol = SYMBOLS.get(code);
      if (symbol === undefined) continue;
      if (symbol === 256) throw new Refused('end of string');
      text += String.fromCharCode(symbol);
      code = '';
    }
  }
  if (code.length > 7 || code.includes('0')) throw new Refused('padding');
  return text;
}
