/** What the fuzzer found, each as a test of its own (docs/bugs.md). */
import { Duplex } from 'node:stream';
import { expect, test } from '@jest/globals';
import { WebSocketConnection } from '../../src/http/websocket.ts';

test('fragments of nothing cost nothing', () => {
  const socket = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
  const messages: string[] = [];
  const handler = {
    message: (payload: Buffer) => messages.push(payload.toString()) > 0,
    drained: () => {},
    closed: () => {},
  };
  const connection = new WebSocketConnection(socket, handler, 1024);
  connection.start(Buffer.alloc(0));
  const fragment = (first: number, text: string): Buffer =>
    Buffer.concat([Buffer.from([first, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);
  const send = (bytes: Buffer): void => void socket.emit('data', bytes);
  send(fragment(0x01, 'a'));
  send(Buffer.concat(Array.from({ length: 5000 }, () => fragment(0x00, ''))));
  expect(Reflect.get(connection, 'fragments')).toHaveLength(1);
  send(fragment(0x00, 'b'));
  send(fragment(0x80, ''));
  expect(messages).toEqual(['ab']);
  socket.destroy();
});
