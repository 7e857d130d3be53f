/** The server's side of a WebSocket, frame by frame; RFC 6455's own examples where it has one. */

import { describe, expect, test } from '@jest/globals';

import type { ByteConnection } from '../api/exchange.ts';
import { acceptHeaders, offeredProtocols, WebSocketServer } from './websocket.ts';

/** A connection whose client has sent this and nothing more. */
class Sent implements ByteConnection {
  readonly closed = Promise.resolve();
  written: Buffer = Buffer.alloc(0);
  ended = false;
  private readonly pieces: Buffer[];

  constructor(...pieces: readonly Buffer[]) {
    this.pieces = pieces.map((piece) => Buffer.from(piece));
  }

  read(): Promise<Buffer | undefined> {
    return Promise.resolve(this.pieces.shift());
  }
  write(chunk: Buffer): boolean {
    this.written = Buffer.concat([this.written, chunk]);
    return true;
  }
  drained(): Promise<void> {
    return Promise.resolve();
  }
  end(): void {
    this.ended = true;
  }
  destroy(): void {
    this.ended = true;
  }
}

const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

/** A client's frame. */
function frame(first: number, body: Buffer): Buffer {
  const size =
    body.length < 126
      ? Buffer.from([0x80 | body.length])
      : Buffer.from([0x80 | 126, body.length >> 8, body.length & 0xff]);
  const masked = Buffer.from(body.map((byte, index) => byte ^ MASK[index % 4]));
  return Buffer.concat([Buffer.from([first]), size, MASK, masked]);
}

async function messages(connection: Sent): Promise<string[]> {
  const server = new WebSocketServer(connection);
  const seen: string[] = [];
  let message = '';
  for (let piece = await server.next(); piece !== undefined; piece = await server.next()) {
    message = (piece.first ? '' : message) + piece.data.toString('latin1');
    if (piece.last) seen.push(message);
  }
  return seen;
}

test("a request's key is answered as RFC 6455 has it", () => {
  const request = new Map([
    ['sec-websocket-key', ['dGhlIHNhbXBsZSBub25jZQ==']],
    ['sec-websocket-version', ['13']],
    ['sec-websocket-protocol', ['v5.channel.k8s.io, v4.channel.k8s.io', 'x']],
  ]);
  expect(acceptHeaders(request, 'x')).toEqual(
    new Map([
      ['upgrade', ['websocket']],
      ['connection', ['Upgrade']],
      ['sec-websocket-accept', ['s3pPLMBiTxaQ9kYGzzhZRbK+xOo=']],
      ['sec-websocket-protocol', ['x']],
    ]),
  );
  expect(offeredProtocols(request)).toEqual(['v5.channel.k8s.io', 'v4.channel.k8s.io', 'x']);
  expect(acceptHeaders(new Map([['sec-websocket-version', ['13']]]), '')).toBeUndefined();
  expect(acceptHeaders(new Map([...request, ['sec-websocket-version', ['8']]]), '')).toBeUndefined();
});

describe('messages', () => {
  const long = Buffer.alloc(70_000, 'x');
  const huge = Buffer.concat([
    Buffer.from('82ff0000000000011170', 'hex'),
    MASK,
    frame(0x82, long).subarray(8),
  ]);

  test.each<[string, readonly Buffer[], readonly string[]]>([
    ['one frame', [Buffer.from('818537fa213d7f9f4d5158', 'hex')], ['Hello']],
    ['byte by byte', [...frame(0x82, Buffer.from('Hello'))].map((byte) => Buffer.from([byte])), ['Hello']],
    ['fragments', [frame(0x02, Buffer.from('Hel')), frame(0x80, Buffer.from('lo'))], ['Hello']],
    [
      'a ping between fragments',
      [frame(2, Buffer.from('a')), frame(0x89, Buffer.from('p')), frame(0x80, Buffer.from('b'))],
      ['ab'],
    ],
    ['an empty one', [frame(0x82, Buffer.alloc(0))], ['']],
    ['16 bits of length', [frame(0x82, Buffer.alloc(300, 'y'))], ['y'.repeat(300)]],
    ['64 bits of length', [huge], [long.toString()]],
    [
      'two at once',
      [Buffer.concat([frame(0x82, Buffer.from('a')), frame(0x82, Buffer.from('b'))])],
      ['a', 'b'],
    ],
  ])('%s', async (_name, pieces, want) => {
    expect(await messages(new Sent(...pieces))).toEqual(want);
  });

  test('a ping is answered', async () => {
    const connection = new Sent(frame(0x89, Buffer.from('beat')));
    await messages(connection);
    expect(connection.written.toString('latin1')).toBe('\x8a\x04beat');
  });

  test('a close is answered, and nothing is read behind it', async () => {
    const connection = new Sent(frame(0x88, Buffer.from([3, 0xe8])), frame(0x82, Buffer.from('late')));
    expect(await messages(connection)).toEqual([]);
    expect([connection.written.toString('hex'), connection.ended]).toEqual(['880203e8', true]);
  });

  test.each<[string, Buffer]>([
    ['a frame that is not masked', Buffer.from('810548656c6c6f', 'hex')],
    ['a reserved bit', frame(0xc2, Buffer.from('a'))],
    ['an opcode there is not', frame(0x83, Buffer.from('a'))],
    ['a continuation of nothing', frame(0x80, Buffer.from('a'))],
    ['a ping in fragments', frame(0x09, Buffer.from('a'))],
    ['a ping beyond its bound', frame(0x89, Buffer.alloc(126))],
    ['a message within a message', Buffer.concat([frame(2, Buffer.from('')), frame(2, Buffer.from('a'))])],
  ])('%s ends it with 1002', async (_name, bytes) => {
    const connection = new Sent(bytes);
    await messages(connection);
    expect([connection.written.toString('hex'), connection.ended]).toEqual(['880203ea', true]);
  });

  test('what is sent is one message, not masked', async () => {
    const connection = new Sent();
    const server = new WebSocketServer(connection);
    await server.send(Buffer.from([1]), Buffer.from('out'));
    await server.send(Buffer.alloc(300));
    server.close();
    server.close();
    expect(connection.written.subarray(0, 10).toString('latin1')).toBe('\x82\x04\x01out\x82\x7e\x01\x2c');
    expect(connection.written.subarray(-4).toString('hex')).toBe('880203e8');
  });
});
