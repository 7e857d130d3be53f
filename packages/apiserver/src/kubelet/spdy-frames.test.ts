/** Frames of SPDY as bytes: headers that an inflater of the standard reads, data in whatever pieces it comes. */

import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { inflateSync, constants } from 'node:zlib';

import { SPDY_DICTIONARY } from '../../test/spdy-dictionary.ts';
import {
  dataFrames,
  endFrame,
  goAwayFrame,
  pingFrame,
  resetFrame,
  SpdyReader,
  SpdyWriter,
} from './spdy-frames.ts';

test('headers go out with a preset dictionary, each block flushed', () => {
  const writer = new SpdyWriter();
  const first = writer.openFrame(1, { streamType: 'error' });
  const second = writer.openFrame(3, { streamType: 'data', port: '80' });
  expect(first.subarray(0, 12).toString('hex')).toBe('800300010000003500000001');
  expect(second.readUInt32BE(8)).toBe(3);
  // Go's inflater hands out a stored block only behind an empty one.
  for (const frame of [first, second]) expect(frame.subarray(-5).toString('hex')).toBe('000000ffff');
  const stream = Buffer.concat([first.subarray(18), second.subarray(18)]);
  const plain = inflateSync(stream, { dictionary: SPDY_DICTIONARY, finishFlush: constants.Z_SYNC_FLUSH });
  const text = (...words: string[]): Buffer => {
    const size = (value: number): Buffer => Buffer.from([0, 0, 0, value]);
    return Buffer.concat([
      size(words.length / 2),
      ...words.flatMap((word) => [size(word.length), Buffer.from(word)]),
    ]);
  };
  expect(plain).toEqual(
    Buffer.concat([text('streamtype', 'error'), text('streamtype', 'data', 'port', '80')]),
  );
});

/** What a reader makes of bytes that come in these pieces, data joined. */
function read(pieces: readonly Buffer[]): string[] {
  const reader = new SpdyReader();
  const seen: string[] = [];
  let data = '';
  for (const piece of pieces) {
    for (const frame of reader.frames(Buffer.from(piece))) {
      if (frame.kind === 'data') {
        data += frame.data.toString('latin1');
        if (frame.last) seen.push(`${frame.stream}: ${data}`);
        if (frame.last) data = '';
      } else seen.push('stream' in frame ? `${frame.kind} ${frame.stream}` : frame.kind);
    }
  }
  return seen;
}

test('frames come out alike, in whatever pieces they come', () => {
  const body = Buffer.alloc(70_000, 'keelson ');
  const reply = Buffer.from('80030002000000040000000100', 'hex').subarray(0, 12);
  const settings = Buffer.from('800300040000000400000000', 'hex');
  const all = Buffer.concat([
    reply,
    settings,
    ...dataFrames(1, body),
    pingFrame(2),
    endFrame(1),
    resetFrame(3),
    goAwayFrame(),
  ]);
  const whole = ['reply 1', 'ping', `1: ${body.toString('latin1')}`, 'reset 3', 'go-away'];
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: all.length }), { maxLength: 12 }), (cuts) => {
      const at = [0, ...cuts.toSorted((a, b) => a - b), all.length];
      expect(read(at.slice(1).map((end, index) => all.subarray(at[index], end)))).toEqual(whole);
    }),
    { seed: 7, numRuns: 60 },
  );
});

test.each([
  ['another version', '800200010000000400000001'],
  ['a control frame beyond its bound', '8003000201000000'],
  ['a control frame without a stream', '8003000200000000'],
])('%s ends the connection', (_name, hex) => {
  expect(() => read([Buffer.from(hex, 'hex')])).toThrow('frame');
});
