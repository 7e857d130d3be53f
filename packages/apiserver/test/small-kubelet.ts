/**
 * A small kubelet for tests: HTTPS with a certificate of its own, logs, commands and ports over SPDY and WebSocket as a
 * kubelet serves them. Its containers are processes of this machine in a folder of their own.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { connect, type AddressInfo } from 'node:net';
import type { Duplex, Readable, Writable } from 'node:stream';
import { PassThrough } from 'node:stream';
import type { TLSSocket } from 'node:tls';

import { acceptHeaders, offeredProtocols, WebSocketServer } from '../src/kubelet/websocket.ts';
import { headersOf } from '../src/api/header-fields.ts';
import { SocketConnection } from '../src/outbound/socket-connection.ts';
import { CertificateAuthority } from '../src/pki/authority.ts';
import { SpdyServerConnection, type SpdyServerStream } from './spdy-server.ts';

/** A request as it came. */
export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  /** Who the client's certificate says it is; empty without. */
  readonly client: string;
}

/** The ends of one command: what it reads, what it says. */
interface Command {
  readonly stdin: Readable | undefined;
  readonly stdout: Writable | undefined;
  readonly stderr: Writable | undefined;
  readonly resize: Readable | undefined;
}

export class SmallKubelet {
  readonly authority: CertificateAuthority;
  readonly seen: Seen[] = [];
  /** Terminal sizes that were told. */
  readonly sizes: string[] = [];
  /** What every container has said. */
  log = 'one\ntwo\nthree\n';
  /** The protocol of the last stream connection. */
  protocol = '';
  /** Commands over SPDY whose connections are open. */
  running = 0;
  private readonly server: Server;
  private readonly sockets = new Set<Duplex>();
  private readonly followers = new Set<ServerResponse>();
  private readonly folder: string;

  /** @param folder where commands run */
  constructor(folder: string, nowMs: number) {
    this.folder = folder;
    this.authority = CertificateAuthority.create('kubelets', nowMs);
    const pair = this.authority.server('n1', ['127.0.0.1', 'n1.test'], nowMs);
    this.server = createServer(
      {
        cert: pair.certificate,
        key: pair.key,
        ca: this.authority.certificate,
        requestCert: true,
        rejectUnauthorized: false,
      },
      (request, response) => this.answer(request, response),
    );
    this.server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
    this.server.on('upgrade', (request, socket, head) => {
      this.note(request);
      socket.on('error', () => socket.destroy());
      void this.upgrade(request, socket, head);
    });
  }

  /** @returns its port */
  async start(): Promise<number> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it listens on a port
    return (this.server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
    await once(this.server, 'close');
  }

  /** A line of all containers, to those who follow their logs. */
  say(line: string): void {
    this.log += line;
    for (const response of this.followers) response.write(line);
  }

  /** Resolves when somebody follows. */
  async followed(): Promise<void> {
    while (this.followers.size === 0) await new Promise((resolve) => setImmediate(resolve));
  }

  private note({ method = '', url = '', headers, socket }: IncomingMessage): void {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the server speaks TLS alone
    const client = (socket as TLSSocket).getPeerCertificate().subject?.CN ?? '';
    this.seen.push({ method, url, headers, client });
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    this.note(request);
    const url = new URL(request.url ?? '', 'https://kubelet');
    if (url.pathname.startsWith('/containerLogs/')) this.showLog(url, response);
    else if (url.pathname === '/pods') {
      response.setHeader('content-type', 'application/json');
      response.end('{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[]}\n');
    } else if (url.pathname === '/moved') {
      response.writeHead(302, { location: '/pods?from=moved' });
      response.end();
    } else if (url.pathname === '/echo') {
      response.setHeader('content-type', 'text/plain');
      request.pipe(response);
    } else {
      response.statusCode = 404;
      response.end('404 page not found\n');
    }
  }

  private showLog({ pathname, searchParams }: URL, response: ServerResponse): void {
    if (pathname.endsWith('/silent')) {
      response.statusCode = 400;
      response.end('container "silent" in pod "web" is waiting to start: PodInitializing');
      return;
    }
    const lines = this.log.split('\n').slice(0, -1);
    const tail = searchParams.get('tailLines');
    const shown = tail === null ? lines : Number(tail) === 0 ? [] : lines.slice(-Number(tail));
    response.setHeader('content-type', 'text/plain');
    response.write(shown.map((line) => `${line}\n`).join(''));
    if (searchParams.get('follow') !== 'true') {
      response.end();
      return;
    }
    this.followers.add(response);
    response.on('close', () => this.followers.delete(response));
  }

  private async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const url = new URL(request.url ?? '', 'https://kubelet');
    const [, what] = url.pathname.split('/');
    const websocket = request.headers.upgrade?.toLowerCase() === 'websocket';
    if (what === 'exec' && url.searchParams.get('command') === 'refuse') {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\nConnection: close\r\n\r\nnot today');
      return;
    }
    if (what === 'portForward') {
      this.ports(request, socket, head);
      return;
    }
    if (websocket) await this.commandOverWebSocket(url, request, socket, head);
    else await this.commandOverSpdy(url, request, socket, head);
  }

  // ---- commands ----

  private async commandOverSpdy(
    url: URL,
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
  ): Promise<void> {
    const offered = [request.headers['x-stream-protocol-version'] ?? []]
      .flat()
      .flatMap((text) => text.split(/, */));
    const protocol = ['v4.channel.k8s.io', 'v3.channel.k8s.io', 'v2.channel.k8s.io'].find((name) =>
      offered.includes(name),
    );
    if (protocol === undefined) {
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\nno protocol\n');
      return;
    }
    this.protocol = protocol;
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
    );
    const wanted = streamsOf(url);
    const streams = new Map<string, SpdyServerStream>();
    const connection = await new Promise<SpdyServerConnection>((resolve) => {
      const made = new SpdyServerConnection(socket, head, (stream) => {
        streams.set(stream.headers['streamtype'], stream);
        if (wanted.every((name) => streams.has(name))) setImmediate(() => resolve(made));
      });
    });
    if (url.searchParams.get('command') === 'break') {
      streams.get('stdout')?.write('part');
      setImmediate(() => socket.destroy());
      return;
    }
    this.running += 1;
    void once(socket, 'close').then(() => (this.running -= 1));
    const status = await this.run(url, {
      stdin: streams.get('stdin'),
      stdout: streams.get('stdout'),
      stderr: streams.get('stderr'),
      resize: streams.get('resize'),
    });
    streams.get('error')?.end(status);
    connection.close();
  }

  private async commandOverWebSocket(
    url: URL,
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
  ): Promise<void> {
    const headers = headersOf(request.rawHeaders);
    const protocol = offeredProtocols(headers).find((name) => /^v[45]\.channel\.k8s\.io$/.test(name)) ?? '';
    this.protocol = protocol;
    const accepted = acceptHeaders(headers, protocol) ?? new Map<string, readonly string[]>();
    const lines = [...accepted].map(([name, [value]]) => `${name}: ${value}\r\n`);
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`);
    const server = new WebSocketServer(new SocketConnection(socket, head));
    const inputs = [new PassThrough(), new PassThrough()];
    const outputs = [1, 2].map((channel) => {
      const stream = new PassThrough();
      stream.on('data', (data: Buffer) => void server.send(Buffer.from([channel]), data));
      return stream;
    });
    void (async () => {
      for (let piece = await server.next(); piece !== undefined; piece = await server.next()) {
        const [channel] = piece.data;
        if (channel === 255) inputs[0].end();
        else inputs[channel === 4 ? 1 : 0].write(Buffer.from(piece.data.subarray(1)));
      }
      inputs[0].end();
    })();
    await server.send(Buffer.from([1]));
    const flags = new Set(streamsOf(url));
    const status = await this.run(url, {
      stdin: flags.has('stdin') ? inputs[0] : undefined,
      stdout: outputs[0],
      stderr: outputs[1],
      resize: inputs[1],
    });
    await server.send(Buffer.from([3]), Buffer.from(status));
    server.close();
  }

  /** @returns how it ended, as a Status */
  private async run({ pathname, searchParams }: URL, command: Command): Promise<string> {
    command.resize?.on('data', (data: Buffer) => this.sizes.push(data.toString('utf8').trim()));
    if (pathname.startsWith('/attach/')) {
      command.stdout?.write('attached\n');
      for await (const data of command.stdin ?? []) command.stdout?.write(data);
      return SUCCESS;
    }
    const [program, ...args] = searchParams.getAll('command');
    const child = spawn(program, args, { cwd: this.folder });
    child.stdin.on('error', () => undefined);
    if (command.stdin === undefined) child.stdin.end();
    else command.stdin.pipe(child.stdin);
    const copies = [
      [child.stdout, command.stdout],
      [child.stderr, command.stderr],
    ] as const;
    for (const [from, to] of copies) if (to === undefined) from.resume();
    const copied = Promise.all(
      copies.map(async ([from, to]) => {
        if (to !== undefined) for await (const data of from) if (!to.write(data)) await once(to, 'drain');
      }),
    );
    const code = await new Promise<number>((resolve) => {
      child.on('error', () => resolve(127));
      child.on('close', (exit) => resolve(exit ?? 137));
    });
    await copied;
    return code === 0 ? SUCCESS : failure(code);
  }

  // ---- ports ----

  private ports(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.protocol = [request.headers['x-stream-protocol-version'] ?? []].flat().join(',');
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n',
    );
    void new SpdyServerConnection(socket, head, (stream) => {
      if (stream.headers['streamtype'] !== 'data') {
        stream.resume();
        // Nothing goes wrong here: the stream for errors ends with nothing said.
        stream.end();
        return;
      }
      const port = connect(Number(stream.headers['port']), '127.0.0.1');
      port.on('error', () => stream.end());
      stream.pipe(port).pipe(stream);
    });
  }
}

/** The streams a kubelet waits for. */
function streamsOf({ searchParams }: URL): string[] {
  const tty = searchParams.get('tty') === '1';
  return [
    'error',
    ...(searchParams.get('input') === '1' ? ['stdin'] : []),
    ...(searchParams.get('output') === '1' ? ['stdout'] : []),
    ...(searchParams.get('error') === '1' && !tty ? ['stderr'] : []),
    ...(tty ? ['resize'] : []),
  ];
}

const SUCCESS = JSON.stringify({ metadata: {}, status: 'Success' });

function failure(code: number): string {
  const text = `command terminated with non-zero exit code: exit status ${code}`;
  return JSON.stringify({
    metadata: {},
    status: 'Failure',
    message: text,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
  });
}
