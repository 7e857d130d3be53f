import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { Prng, systemClock, type Logger } from '@keelson/base';
import { freePort } from '../../../base/test/free-ports.ts';
import { HandClock } from '../../../store/test/hand-clock.ts';
import { Remotes } from './remotes.ts';
import { TcpProxy, type TcpProxyOptions } from './tcp-proxy.ts';

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

class Lines implements Logger {
  readonly texts: string[] = [];
  private readonly waiting: (() => void)[] = [];
  enabled(): boolean {
    return true;
  }
  log(level: string, message: string, fields: object = {}): void {
    this.texts.push(`${level} ${message} ${JSON.stringify(fields)}`);
    for (const wake of this.waiting.splice(0)) wake();
  }
  debug = (message: string, fields?: object): void => this.log('debug', message, fields);
  info = (message: string, fields?: object): void => this.log('info', message, fields);
  warn = (message: string, fields?: object): void => this.log('warn', message, fields);
  error = (message: string, fields?: object): void => this.log('error', message, fields);

  async find(part: string): Promise<string> {
    for (;;) {
      const found = this.texts.find((text) => text.includes(part));
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }
}

interface At {
  readonly host: string;
  readonly port: number;
}

/** Where nobody dials from, so that no connection of others takes a port that is free for a while. */
const ASIDE: At = { host: '127.9.8.7', port: 0 };

/** A member that says its name, then answers each chunk with it, and closes after the end. */
async function member(
  name: string,
  serve = echo(name),
  at: At = { host: '127.0.0.1', port: 0 },
): Promise<At> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    serve(socket);
  });
  await new Promise<void>((resolve) => void server.listen(at.port, at.host, resolve));
  open.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => void server.close(resolve));
  });
  return { host: at.host, port: (server.address() as AddressInfo).port };
}

function echo(name: string): (socket: Socket) => void {
  return (socket) => {
    socket.write(`${name};`);
    socket.on('data', (chunk) => void socket.write(chunk));
    socket.on('end', () => void socket.end(`${name} heard the end;`));
  };
}

async function gateway(
  members: readonly At[],
  options: Partial<TcpProxyOptions> = {},
): Promise<{ proxy: TcpProxy; port: number; lines: Lines; remotes: Remotes }> {
  const lines = new Lines();
  const targets = members.map((at) => ({ ...at, priority: 0, weight: 0 }));
  const remotes = new Remotes(targets, new Prng(1));
  const proxy = new TcpProxy({
    remotes,
    retryDelayMs: 60_000,
    retryDelayText: '1m0s',
    clock: systemClock,
    logger: lines,
    ...options,
  });
  const { port } = await proxy.listen('127.0.0.1', 0);
  open.push(() => proxy.close());
  return { proxy, port, lines, remotes };
}

function dial(port: number): Socket {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  open.push(() => Promise.resolve(socket.destroy()));
  return socket;
}

async function everything(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

/** Where nobody listens. */
async function nobody(): Promise<At> {
  return { ...ASIDE, port: await freePort() };
}

test('connections go round the members, and the end of one direction leaves the other open', async () => {
  const { port, proxy } = await gateway([await member('a'), await member('b')]);
  for (const name of ['a', 'b', 'a']) {
    const socket = dial(port);
    // The client's last word and its end leave at once; the answer comes after them.
    socket.end('question;');
    expect(await everything(socket)).toBe(`${name};question;${name} heard the end;`);
  }
  while (proxy.connectionCount > 0) await new Promise((resolve) => void setImmediate(resolve));
});

test("a member's end reaches a client that may go on talking", async () => {
  const heard: string[] = [];
  const talker = await member('a', (socket) => {
    socket.end('bye');
    socket.on('data', (chunk) => heard.push(String(chunk)));
    socket.on('end', () => heard.push('end'));
  });
  const { port } = await gateway([talker]);
  const socket = dial(port);
  expect(await everything(socket)).toBe('bye');
  socket.end('and yet');
  await once(socket, 'close');
  while (!heard.includes('end')) await new Promise((resolve) => void setImmediate(resolve));
  expect(heard).toEqual(['and yet', 'end']);
});

test('a member that does not listen is left out at once, and back after a probe', async () => {
  const clock = new HandClock();
  const dead = await nobody();
  const alive = await member('a');
  const { port, lines, remotes } = await gateway([dead, alive], { clock });
  for (let i = 0; i < 3; i++) expect(String((await once(dial(port), 'data'))[0])).toBe('a;');
  expect(lines.texts.filter((text) => text.includes('deactivated'))).toEqual([
    `warn deactivated endpoint ${JSON.stringify({
      address: `${ASIDE.host}:${dead.port}`,
      interval: '1m0s',
      error: `dial tcp ${ASIDE.host}:${dead.port}: connect: connection refused`,
    })}`,
  ]);
  await clock.pass(60_000);
  await lines.find('failed to activate endpoint (stay inactive for another interval)');
  expect(remotes.inactive).toHaveLength(1);
  await member('b', echo('b'), dead);
  await clock.pass(60_000);
  expect(await lines.find('activated {')).toBe(`info activated {"address":"${ASIDE.host}:${dead.port}"}`);
  const names = new Set<string>();
  for (let i = 0; i < 2; i++) names.add(String((await once(dial(port), 'data'))[0]));
  expect([...names].sort()).toEqual(['a;', 'b;']);
});

test('with no member left a connection is closed', async () => {
  const { port, lines } = await gateway([await nobody(), await nobody()]);
  const socket = dial(port);
  expect(await everything(socket)).toBe('');
  expect(lines.texts.filter((text) => text.includes('deactivated'))).toHaveLength(2);
});

test("a member's pace is the client's: what is not read is not taken", async () => {
  let taken: Socket | undefined;
  const slow = await member('a', (socket) => {
    socket.pause();
    taken = socket;
  });
  const { port } = await gateway([slow]);
  const socket = dial(port);
  const chunk = Buffer.alloc(1 << 20, 7);
  let sent = 0;
  // As much as the three machines' buffers hold; the last write waits.
  while (sent < 64 && (await written(socket, chunk))) sent++;
  expect(sent).toBeLessThan(64);
  let received = 0;
  socket.end();
  for await (const part of taken!) received += (part as Buffer).length;
  expect(received).toBe((sent + 1) * chunk.length);
});

/** Whether the system took it within a while. */
function written(socket: Socket, chunk: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), 300);
    socket.write(chunk, () => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}

/** `once` would fail with the error that comes first. */
function gone(socket: Socket): Promise<void> {
  return new Promise((resolve) => void socket.once('close', () => resolve()));
}

test('a break of one side breaks the other', async () => {
  let taken: Socket | undefined;
  const server = await member('a', (socket) => {
    socket.write('a');
    taken = socket;
  });
  const { port, proxy } = await gateway([server]);
  const first = dial(port);
  first.on('error', () => {});
  await once(first, 'data');
  taken!.resetAndDestroy();
  await gone(first);
  const second = dial(port);
  await once(second, 'data');
  second.resetAndDestroy();
  taken!.resume();
  await gone(taken!);
  while (proxy.connectionCount > 0) await new Promise((resolve) => void setImmediate(resolve));
});

test('connections beyond the bound are closed, and counted in the log', async () => {
  const clock = new HandClock();
  const { port, lines } = await gateway([await member('a')], { connectionCountMax: 1, clock });
  const first = dial(port);
  await once(first, 'data');
  for (let i = 0; i < 3; i++) await everything(dial(port)).catch(() => undefined);
  await lines.find('connections refused');
  await clock.pass(10_000);
  expect(lines.texts.filter((text) => text.includes('refused'))).toEqual([
    'warn connections refused {"count":1,"connections-max":1}',
    'warn connections refused {"count":2,"connections-max":1}',
  ]);
});

test('close ends what is forwarded', async () => {
  const { port, proxy } = await gateway([await member('a')]);
  const socket = dial(port);
  socket.on('error', () => {});
  await once(socket, 'data');
  const gone = once(socket, 'end');
  await proxy.close();
  await gone;
  expect(proxy.connectionCount).toBe(0);
});
