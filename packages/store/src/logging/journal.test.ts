/** What a journal's stdout socket gets, and where lines go while there is none. */
import { afterEach, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Journal } from './journal.ts';

const ends: (() => void)[] = [];

afterEach(() => {
  for (const end of ends.splice(0).toReversed()) end();
});

class FakeJournal {
  readonly path: string;
  received = '';
  private readonly folder = mkdtempSync(join(tmpdir(), 'keelson-journal-'));
  private readonly sockets = new Set<Socket>();
  private server: Server | undefined;
  private readonly waiting = new Set<() => void>();

  constructor() {
    this.path = join(this.folder, 'stdout');
    ends.push(() => {
      this.stop();
      rmSync(this.folder, { recursive: true });
    });
  }

  async start(): Promise<void> {
    this.server = createServer((socket) => {
      this.sockets.add(socket);
      socket.setEncoding('utf8').on('data', (text: string) => {
        this.received += text;
        for (const task of this.waiting) task();
      });
    }).listen(this.path);
    await once(this.server, 'listening');
  }

  stop(): void {
    this.server?.close();
    for (const socket of this.sockets) socket.destroy();
    this.sockets.clear();
  }

  /** Resolves when the text has come, whatever else has. */
  has(text: string): Promise<void> {
    return new Promise((resolve) => {
      const task = (): void => {
        if (!this.received.includes(text)) return;
        this.waiting.delete(task);
        resolve();
      };
      this.waiting.add(task);
      task();
    });
  }
}

test('a header, then each line behind its priority', async () => {
  const fake = new FakeJournal();
  await fake.start();
  const others: string[] = [];
  const journal = await Journal.open(
    fake.path,
    '/usr/bin/etcd',
    (line) => others.push(line),
    () => 0,
  );
  ends.push(() => journal.close());
  for (const level of ['debug', 'info', 'warn', 'error', 'fatal', 'else'])
    journal.write(`{"level":"${level}"}\n`, level);
  journal.write('first\nsecond\n', 'warn');
  await fake.has('second');
  expect(fake.received).toBe(
    'etcd\n\n6\n1\n0\n0\n0\n' +
      '<7>{"level":"debug"}\n<6>{"level":"info"}\n<4>{"level":"warn"}\n<3>{"level":"error"}\n' +
      '<2>{"level":"fatal"}\n<6>{"level":"else"}\n<4>first\n<4>second\n',
  );
  expect(others).toEqual([]);
});

test('no journal at start is an error', async () => {
  const { path } = new FakeJournal();
  await expect(
    Journal.open(
      path,
      'etcd',
      () => {},
      () => 0,
    ),
  ).rejects.toMatchObject({ code: 'ENOENT' });
});

test('while it is gone lines go to the fallback, and to it again once it is back', async () => {
  const fake = new FakeJournal();
  await fake.start();
  let nowMs = 0;
  const others: string[] = [];
  const journal = await Journal.open(
    fake.path,
    'etcd',
    (line) => others.push(line),
    () => nowMs,
  );
  ends.push(() => journal.close());
  journal.write('one\n', 'info');
  await fake.has('one');
  fake.stop();
  // The end of the connection is heard in its own time.
  while (others.length === 0) {
    journal.write('lost or not\n', 'info');
    await new Promise((resolve) => setImmediate(resolve));
  }
  fake.received = '';
  await fake.start();
  let count = 0;
  while (fake.received === '') {
    nowMs += 1_000;
    journal.write(`again ${count++}\n`, 'info');
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(fake.received).toMatch(/^etcd\n\n6\n1\n0\n0\n0\n/);
  journal.write('back\n', 'error');
  await fake.has('<3>back\n');
});
