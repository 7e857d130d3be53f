/** What a client speaks, by what it says first; and those who say too little. */
import { PassThrough } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import type { Clock } from '@keelson/base';
import { protocolOf, sniff, type Protocol } from './sniff.ts';

const TLS = Buffer.from([22, 3, 1, 2, 0, 1]);
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

test.each<[string, string | Buffer, Protocol | undefined]>([
  ['nothing', '', undefined],
  ['the first byte of TLS', TLS.subarray(0, 1), 'tls'],
  ['a ClientHello', TLS, 'tls'],
  ['the preface', PREFACE, 'http2'],
  ['its beginning', 'PRI ', 'http2'],
  ['less of it', 'PRI', undefined],
  ['less of it', 'P', undefined],
  ['a method that begins alike', 'PROPFIND /', 'http1'],
  ['and one more', 'PRIX ', 'http1'],
  ['GET', 'GET / HTTP/1.1\r\n', 'http1'],
  ['a method alone', 'GET ', 'http1'],
  ['a part of one', 'DELE', undefined],
  ['a method with a hyphen', 'M-SEARCH *', 'http1'],
  ['the longest method', 'UPDATEREDIRECTREF /', 'http1'],
  ['a word too long', 'A'.repeat(21), 'unknown'],
  ['as long as may be', 'A'.repeat(20), undefined],
  ['lower case', 'get / HTTP/1.1', 'unknown'],
  ['a blank', ' GET', 'unknown'],
  ['an alert of TLS', Buffer.from([21, 3, 1]), 'unknown'],
  ['zeros', Buffer.alloc(4), 'unknown'],
])('%s: %j', (_name, bytes, want) => {
  expect(protocolOf(Buffer.from(bytes as string, 'latin1'))).toBe(want);
});

/** Timers that fire when told. */
class Timers implements Clock {
  readonly tasks = new Set<() => void>();
  nowMs(): number {
    return 0;
  }
  monotonicMs(): number {
    return 0;
  }
  setTimer(_ms: number, task: () => void): { cancel(): void } {
    this.tasks.add(task);
    return { cancel: () => this.tasks.delete(task) };
  }
}

describe('a connection', () => {
  const look = () => {
    const clock = new Timers();
    const socket = new PassThrough();
    const events: string[] = [];
    sniff(socket, {
      clock,
      timeoutMs: 10,
      told: (protocol, head) => events.push(`${protocol} ${head.toString('latin1')}`),
      failed: (why) => events.push(why),
    });
    return { clock, socket, events };
  };
  const turn = (): Promise<void> =>
    new Promise((resolve) => {
      setImmediate(resolve);
    });

  test('is told once, with all that came, and paused', async () => {
    const { clock, socket, events } = look();
    for (const byte of 'GET / more') {
      socket.write(byte);
      await turn();
    }
    expect(events).toEqual(['http1 GET ']);
    expect(socket.isPaused()).toBe(true);
    expect(clock.tasks.size).toBe(0);
    // What came later is still there for whoever serves it.
    socket.unshift(Buffer.from('GET '));
    expect(String(socket.read())).toBe('GET / more');
  });

  test('that says nothing in time is closed', async () => {
    const { clock, socket, events } = look();
    socket.write('PR');
    await turn();
    for (const task of clock.tasks) task();
    expect(events).toEqual(['no bytes in time']);
    expect(socket.destroyed).toBe(true);
  });

  test.each<[string, (socket: PassThrough) => void]>([
    ['ends', (socket) => socket.end('PR')],
    ['breaks', (socket) => socket.destroy(new Error('reset'))],
  ])('that %s before it told is forgotten', async (_name, act) => {
    const { clock, socket, events } = look();
    act(socket);
    await turn();
    expect(events).toEqual(['EOF']);
    expect(clock.tasks.size).toBe(0);
    expect(socket.destroyed).toBe(true);
  });
});
