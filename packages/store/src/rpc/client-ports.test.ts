/** The client ports: who is served on which URL, before and after the member is ready, with TLS and without. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { JsonLogger, systemClock } from '@keelson/base';
import { freePort } from '../../../base/test/free-ports.ts';
import { parseUrl } from '../config/urls.ts';
import { TestAuthority, tlsSettings } from '../../test/tls-fixtures.ts';
import type { TlsSettings } from '../tls/tls-settings.ts';
import { ClientPorts, type PortUse } from './client-ports.ts';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const GET = 'GET / HTTP/1.1\r\n\r\n';
const authority = new TestAuthority();
const server = authority.issue('server');
const directory = mkdtempSync(join(tmpdir(), 'keelson-ports-'));
const tls = tlsSettings({ certFile: server.certFile, keyFile: server.keyFile });

afterAll(() => {
  authority.dispose();
  rmSync(directory, { recursive: true, force: true });
});

/** Ports that answer "grpc" or "http" and what they were told. */
class Bench {
  readonly lines: Record<string, unknown>[] = [];
  readonly ports: ClientPorts;
  private readonly served = new Set<Socket>();

  constructor(settings?: TlsSettings) {
    const logger = new JsonLogger(
      (line) => void this.lines.push(JSON.parse(line) as Record<string, unknown>),
      Date.now,
      'debug',
      'test',
    );
    this.ports = new ClientPorts({ clock: systemClock, logger, tls: settings });
    benches.push(this);
  }

  async bind(text: string, use?: PortUse): Promise<number> {
    const url = parseUrl(text);
    if (!url.ok) throw new Error(url.error);
    await this.ports.bind(url.value, use);
    return this.ports.ports.at(-1)?.port ?? 0;
  }

  serve(http = true): void {
    this.ports.serve({
      grpc: (socket, head) => this.answer('grpc', socket, head),
      http: http ? (socket) => this.answer('http', socket) : undefined,
    });
  }

  serveMetrics(): void {
    this.ports.serveMetrics((socket) => this.answer('metrics', socket));
  }

  messages(): unknown[] {
    return this.lines.map(({ msg }) => msg);
  }

  /** Says who serves it and, once all of it is here, what came first. */
  private answer(who: string, socket: Socket, head?: Buffer): void {
    this.served.add(socket);
    let got = head?.toString('latin1') ?? '';
    const say = (): void => {
      if (got.length >= GET.length) socket.end(`${who}: ${got.split('\r')[0]}`);
    };
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => {
      got += bytes.toString('latin1');
      say();
    });
    say();
    socket.resume();
  }

  async close(): Promise<void> {
    const closed = this.ports.close();
    for (const socket of this.served) socket.destroy();
    await closed;
  }
}

const benches: Bench[] = [];
afterEach(async () => {
  await Promise.all(benches.splice(0).map((bench) => bench.close()));
});

/** What comes back until the connection ends; '' when nothing does. */
async function answerOf(socket: Socket, say: string): Promise<string> {
  let got = '';
  socket.on('data', (bytes: Buffer) => {
    got += bytes.toString('latin1');
  });
  socket.on('error', () => {});
  socket.write(say);
  // Not once(): an error, which some of these bring, would reject it.
  await new Promise<void>((resolve) => {
    socket.on('close', () => resolve());
  });
  return got;
}

const plainly = (port: number, say: string): Promise<string> => answerOf(connect(port, '127.0.0.1'), say);
const dial = (port: number, ...protocols: string[]): TLSSocket =>
  connectTls({
    port,
    host: '127.0.0.1',
    ca: authority.certified.certificate,
    ...(protocols.length === 0 ? {} : { ALPNProtocols: protocols }),
  });
const securely = (port: number, say: string, ...protocols: string[]): Promise<string> =>
  answerOf(dial(port, ...protocols), say);

describe('a port without TLS', () => {
  test('tells gRPC and HTTP apart, also byte by byte', async () => {
    const bench = new Bench();
    const port = await bench.bind('http://127.0.0.1:0');
    bench.serve();
    expect(await plainly(port, PREFACE)).toBe('grpc: PRI * HTTP/2.0');
    expect(await plainly(port, GET)).toBe('http: GET / HTTP/1.1');
    for (const say of [PREFACE, GET]) {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true });
      const answer = answerOf(socket, say.slice(0, 1));
      for (const byte of say.slice(1)) {
        await new Promise<void>((resolve) => {
          socket.write(byte, () => setImmediate(resolve));
        });
      }
      expect(await answer).toContain(say.split('\r')[0]);
    }
    expect(bench.messages()).toEqual(['serving client traffic insecurely; this is strongly discouraged!']);
    expect(bench.lines[0]).toMatchObject({ traffic: 'grpc+http', address: '127.0.0.1:0' });
  });

  test.each([
    ['TLS', Buffer.from([22, 3, 1, 0, 5]).toString('latin1')],
    ['nothing that is known', '\u0000\u0001\u0002'],
    ['a word without end', 'A'.repeat(64)],
  ])('closes on %s', async (_name, say) => {
    const bench = new Bench();
    const port = await bench.bind('http://127.0.0.1:0');
    bench.serve();
    expect(await plainly(port, say)).toBe('');
  });

  test('serves who came before it was ready, and forgets who left', async () => {
    const bench = new Bench();
    const port = await bench.bind('http://127.0.0.1:0');
    const early = plainly(port, GET);
    const gone = connect(port, '127.0.0.1');
    await once(gone, 'connect');
    while (bench.ports.waitingCount < 2) await new Promise((resolve) => setImmediate(resolve));
    gone.destroy();
    bench.serve();
    expect(await early).toBe('http: GET / HTTP/1.1');
    expect(bench.ports.waitingCount).toBe(0);
  });

  test('where HTTP has a port of its own, the client port speaks gRPC alone', async () => {
    const bench = new Bench();
    const grpc = await bench.bind('http://127.0.0.1:0');
    const http = await bench.bind('http://127.0.0.1:0', 'http');
    bench.serve();
    expect(await plainly(grpc, PREFACE)).toBe('grpc: PRI * HTTP/2.0');
    expect(await plainly(grpc, GET)).toBe('');
    expect(await plainly(http, GET)).toBe('http: GET / HTTP/1.1');
    expect(bench.lines.map(({ traffic }) => traffic)).toEqual(['grpc', 'http']);
    const { url } = bench.ports.ports[0];
    await expect(bench.ports.bind({ ...url, port: grpc, host: '127.0.0.1:0' }, 'http')).rejects.toThrow(
      'cannot bind both --listen-client-urls and --listen-client-http-urls on the same url',
    );
  });

  test('metrics are served before the member is ready', async () => {
    const bench = new Bench();
    const port = await bench.bind('http://127.0.0.1:0', 'metrics');
    bench.serveMetrics();
    expect(await plainly(port, GET)).toBe('metrics: GET / HTTP/1.1');
  });

  test('a unix socket', async () => {
    const bench = new Bench();
    const path = join(directory, 'client.sock');
    await bench.bind(`unix://${path}`);
    bench.serve();
    expect(await answerOf(connect(path), PREFACE)).toBe('grpc: PRI * HTTP/2.0');
  });
});

describe('a port with TLS', () => {
  test.each<[string, string[], string, string]>([
    ['gRPC clients offer h2', ['h2'], PREFACE, 'grpc: PRI * HTTP/2.0'],
    ['others HTTP/1.1', ['http/1.1'], GET, 'http: GET / HTTP/1.1'],
    ['who offers both gets HTTP/1.1', ['h2', 'http/1.1'], GET, 'http: GET / HTTP/1.1'],
    ['who offers nothing too', [], GET, 'http: GET / HTTP/1.1'],
  ])('%s', async (_name, protocols, say, want) => {
    const bench = new Bench(tls);
    const port = await bench.bind('https://127.0.0.1:0');
    bench.serve();
    expect(await securely(port, say, ...protocols)).toBe(want);
    expect(bench.messages()).toEqual(['starting with client TLS', 'serving client traffic securely']);
  });

  test('speaks no plain text, unless another URL of the same port does', async () => {
    const bench = new Bench(tls);
    const port = await bench.bind('https://127.0.0.1:0');
    bench.serve();
    // Node answers with an alert; never with what the port serves.
    expect(await plainly(port, GET)).not.toContain('http');
    expect(await plainly(port, PREFACE)).not.toContain('grpc');
    expect(bench.messages()).toContain('rejected connection on client endpoint');

    const both = new Bench(tls);
    const shared = await both.bind(`https://127.0.0.1:${await freePort()}`);
    expect(await both.bind(`http://127.0.0.1:${shared}`)).toBe(shared);
    both.serve();
    expect(await plainly(shared, GET)).toBe('http: GET / HTTP/1.1');
    expect(await plainly(shared, PREFACE)).toBe('grpc: PRI * HTTP/2.0');
    expect(await securely(shared, GET, 'http/1.1')).toBe('http: GET / HTTP/1.1');
    expect(await securely(shared, PREFACE, 'h2')).toBe('grpc: PRI * HTTP/2.0');
    expect(both.messages()).toContain(
      'scheme is http or unix while key and cert files are present; ignoring key and cert files',
    );
  });

  test('gRPC alone, when nobody serves HTTP', async () => {
    const bench = new Bench(tls);
    const port = await bench.bind('https://127.0.0.1:0');
    bench.serve(false);
    expect(await securely(port, PREFACE, 'h2', 'http/1.1')).toBe('grpc: PRI * HTTP/2.0');
    expect(await securely(port, GET)).toBe('');
  });

  test('an HTTP port and a metrics port of its own ask for certificates too', async () => {
    const client = authority.issue('client');
    const revoked = authority.issue('revoked');
    const settings = { ...tls, trustedCaFile: authority.caFile, crlFile: authority.revoke(revoked) };
    const bench = new Bench(settings);
    const ports = [
      await bench.bind('https://127.0.0.1:0'),
      await bench.bind('https://127.0.0.1:0', 'http'),
      await bench.bind('https://127.0.0.1:0', 'metrics'),
    ];
    bench.serve();
    bench.serveMetrics();
    const as = (port: number, protocol: string, pair?: { certificate: string; key: string }): TLSSocket =>
      connectTls({
        port,
        host: '127.0.0.1',
        ca: authority.certified.certificate,
        ALPNProtocols: [protocol],
        ...(pair === undefined ? {} : { cert: pair.certificate, key: pair.key }),
      });
    const asked: [number, string, string][] = [
      [ports[0], 'h2', PREFACE],
      [ports[1], 'http/1.1', GET],
      [ports[2], 'http/1.1', GET],
    ];
    for (const [port, protocol, say] of asked) {
      expect(await answerOf(as(port, protocol, client), say)).toContain(say.split('\r')[0]);
      expect(await answerOf(as(port, protocol, revoked), say)).toBe('');
      expect(await answerOf(as(port, protocol), say)).toBe('');
    }
  });

  test('needs a certificate', async () => {
    await expect(new Bench().bind('https://127.0.0.1:0')).rejects.toThrow(
      'cannot listen on TLS: KeyFile and CertFile are not presented',
    );
  });

  test('a unix socket with TLS', async () => {
    const bench = new Bench(tls);
    const path = join(directory, 'secure.sock');
    await bench.bind(`unixs://${path}`);
    bench.serve();
    const socket = connectTls({
      path,
      ca: authority.certified.certificate,
      servername: 'localhost',
      ALPNProtocols: ['h2'],
    });
    expect(await answerOf(socket, PREFACE)).toBe('grpc: PRI * HTTP/2.0');
  });
});
