/** A small index checkpoint by hand, whole or with any blocks: what a state machine would have to be made for. */
import { crc32c } from '@keelson/base';
import { ByteSink } from '../../src/mvcc/index-codec.ts';
import { KeyHistory, putOnce } from '../../src/mvcc/key-index.ts';
import { encodeRevision } from '../../src/mvcc/revision.ts';

/** Payloads of a whole file: header, keys, counts, end. */
export function checkpointBlocks(): Buffer[] {
  const sink = new ByteSink();
  const blocks: Buffer[] = [];
  const cut = (): void => {
    blocks.push(Buffer.from(sink.view));
    sink.clear();
  };
  for (const value of [0, 30, 1, 5, 0, 12_345, 17]) sink.putVarint(value);
  sink.putBytes(Buffer.from(encodeRevision(30, 0), 'latin1'));
  cut();
  sink.putVarint(1);
  const history = new KeyHistory(4, 2, 9, 0);
  history.older = [4, 0];
  history.closed = [{ created: 1, version: 2, revisions: [1, 0, 2, 0] }];
  sink.putKey('a', history, 0n);
  for (let i = 0; i < 20; i++)
    sink.putKey(`key/${String(i).padStart(3, '0')}`, putOnce(10 + i, 0), BigInt(i % 3));
  cut();
  sink.putVarint(2);
  sink.putVarint(4);
  for (let main = 4; main <= 30; main++) sink.putVarint(main % 3);
  cut();
  sink.putVarint(3);
  sink.putVarint(21);
  cut();
  return blocks;
}

/** The file of these payloads, each with its length and checksum. */
export function checkpointFile(blocks: readonly Buffer[]): Buffer {
  const parts: Buffer[] = [Buffer.from('KLINDEX1', 'latin1')];
  for (const block of blocks) {
    const header = Buffer.alloc(8);
    header.writeUInt32BE(block.length, 0);
    header.writeUInt32BE(crc32c(block), 4);
    parts.push(header, block);
  }
  return Buffer.concat(parts);
}
