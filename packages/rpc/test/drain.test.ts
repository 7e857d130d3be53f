/**
 * Who was told to wait is told to go on, also when it has written on meanwhile: what cannot wait (an answer, an end) is written
 * whether or not the stream is full, and must not make it forget that somebody waits.
 */
import { afterEach, expect, test } from '@jest/globals';
import {
  grpcJsChannel,
  grpcJsServer,
  inProcessChannel,
  MethodTable,
  nativeChannel,
  nativeServer,
  type Channel,
  type RpcServer,
} from '@keelson/rpc';
import { Echo } from './contract/service.ts';

const LARGE = 100;
const LARGE_BYTES = 4096;
const ends: (() => Promise<unknown> | void)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

/** Writes more than fits, then something small each turn until all that was large is read. */
class Sender {
  told = 0;
  refused = false;
  private over = false;

  stop(): void {
    this.over = true;
  }

  table(): MethodTable {
    const table = new MethodTable();
    return table.bidi(Echo.chat, (stream) => {
      stream.onDrain(() => void this.told++);
      stream.onHalfClose(() => {});
      stream.onMessage(() => {
        for (let i = 0; i < LARGE; i++) if (!stream.write('x'.repeat(LARGE_BYTES))) this.refused = true;
        const small = (): void => {
          if (this.over || stream.closed) return;
          stream.write('small');
          setImmediate(small);
        };
        small();
      });
    });
  }
}

async function onSocket(server: RpcServer, dial: (address: string) => Channel): Promise<Channel> {
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  const channel = dial(`127.0.0.1:${port}`);
  ends.push(
    () => server.close(),
    () => channel.close(),
  );
  return channel;
}

test.each<[string, (table: MethodTable) => Promise<Channel>]>([
  ['native', (table) => onSocket(nativeServer(table), nativeChannel)],
  ['grpc-js server', (table) => onSocket(grpcJsServer(table), nativeChannel)],
  ['grpc-js channel', (table) => onSocket(nativeServer(table), grpcJsChannel)],
  ['in process', (table) => Promise.resolve(inProcessChannel(table))],
])('%s', async (_name, open) => {
  const sender = new Sender();
  const channel = await open(sender.table());
  const stream = channel.bidi(Echo.chat);
  await new Promise<void>((resolve) => {
    let large = 0;
    stream.onMessage((message) => {
      if (message !== 'small' && ++large === LARGE) resolve();
      // A client that takes its time.
      stream.pause();
      setImmediate(() => stream.resume());
    });
    stream.write('go');
  });
  expect(sender.refused).toBe(true);
  // Everything but something small is read by now.
  for (let turn = 0; turn < 1000 && sender.told === 0; turn++)
    await new Promise((resolve) => setImmediate(resolve));
  sender.stop();
  expect(sender.told).toBeGreaterThan(0);
  stream.cancel();
});
