/** Small HTTP clients for tests: one answer whole, a stream line by line, a WebSocket message by message. */
import { createHash, randomBytes } from 'node:crypto';
import { request as httpRequest, type ClientRequest, type IncomingHttpHeaders } from 'node:http';
import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** One request on a connection of its own. */
export function ask(url: string, { method, headers, body }: Ask = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const verb = method ?? (body === undefined ? 'GET' : 'POST');
    const request = httpRequest(url, { method: verb, headers: { ...headers }, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString('utf8'),
        }),
      );
    });
    request.on('error', reject);
    // As bytes: a text would have its headers encoded with it.
    request.end(body === undefined ? undefined : Buffer.from(body));
  });
}

/** A POST whose answer comes line by line, and whose body may go on meanwhile. */
export class LineStream {
  private readonly request: ClientRequest;
  private readonly lines: string[] = [];
  private readonly waiting: ((line: string | undefined) => void)[] = [];
  private rest = '';
  private over = false;
  status = 0;

  constructor(url: string, first: string, headers: Readonly<Record<string, string>> = {}) {
    this.request = httpRequest(url, { method: 'POST', agent: false, headers: { ...headers } }, (response) => {
      this.status = response.statusCode ?? 0;
      response.setEncoding('utf8');
      response.on('data', (text: string) => this.take(text));
      response.on('error', () => this.end());
      response.on('end', () => this.end());
    });
    this.request.on('error', () => this.end());
    this.request.flushHeaders();
    this.request.write(first);
  }

  write(text: string): void {
    this.request.write(text);
  }

  /** The request is complete; answers go on. */
  finish(): void {
    this.request.end();
  }

  /** The next line; undefined when there will be none. */
  next(): Promise<string | undefined> {
    const line = this.lines.shift();
    if (line !== undefined) return Promise.resolve(line);
    if (this.over) return Promise.resolve(undefined);
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  close(): void {
    this.request.destroy();
  }

  private take(text: string): void {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop()!;
    for (const line of lines) {
      const waiter = this.waiting.shift();
      if (waiter === undefined) this.lines.push(line);
      else waiter(line);
    }
  }

  private end(): void {
    this.over = true;
    for (const waiter of this.waiting.splice(0)) waiter(undefined);
  }
}

/** The client's side of RFC 6455, as little as a test needs: whole messages, close, pong. */
export class TestWebSocket {
  private readonly socket: Socket;
  private input = Buffer.alloc(0);
  private readonly messages: string[] = [];
  private readonly waiting: ((message: string | undefined) => void)[] = [];
  private over = false;
  /** Of the server's close frame; 0 when there was none. */
  closeCode = 0;
  pongs = 0;

  private constructor(socket: Socket, head: Buffer) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => this.take(chunk));
    socket.on('error', () => {});
    socket.on('close', () => this.end());
    this.take(head);
  }

  /** @throws Error with the answer's head when the handshake is refused */
  static open(
    port: number,
    path: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ readonly webSocket: TestWebSocket; readonly head: string }> {
    const key = randomBytes(16).toString('base64');
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    const lines = {
      Host: `127.0.0.1:${port}`,
      Connection: 'keep-alive, Upgrade',
      Upgrade: 'WebSocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': key,
      ...headers,
    };
    const text = Object.entries(lines).map(([name, value]) => `${name}: ${value}`);
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1');
      let input = Buffer.alloc(0);
      socket.once('error', reject);
      socket.write([`GET ${path} HTTP/1.1`, ...text, '', ''].join('\r\n'));
      const onData = (chunk: Buffer): void => {
        input = Buffer.concat([input, chunk]);
        const end = input.indexOf('\r\n\r\n');
        if (end < 0) return;
        socket.off('data', onData);
        const head = input.toString('latin1', 0, end);
        if (!head.startsWith('HTTP/1.1 101') || !head.includes(`Sec-WebSocket-Accept: ${accept}`)) {
          socket.destroy();
          reject(new Error(head));
        } else resolve({ webSocket: new TestWebSocket(socket, input.subarray(end + 4)), head });
      };
      socket.on('data', onData);
    });
  }

  /** One message, in as many frames as there are parts. */
  send(...parts: string[]): void {
    parts.forEach((part, i) => this.frame(i === 0 ? 1 : 0, Buffer.from(part), i === parts.length - 1));
  }

  ping(): void {
    this.frame(9, Buffer.from('are you there'), true);
  }

  /** Says goodbye. */
  close(): void {
    this.frame(8, Buffer.from([0x03, 0xe8]), true);
  }

  /** Bytes as they are: for what no client should send. */
  raw(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  destroy(): void {
    this.socket.destroy();
  }

  next(): Promise<string | undefined> {
    const message = this.messages.shift();
    if (message !== undefined) return Promise.resolve(message);
    if (this.over) return Promise.resolve(undefined);
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  private frame(opcode: number, payload: Buffer, last: boolean): void {
    const mask = randomBytes(4);
    const masked = Buffer.from(payload.map((byte, i) => byte ^ mask[i & 3]));
    const head =
      payload.length < 126
        ? Buffer.from([opcode | (last ? 0x80 : 0), 0x80 | payload.length])
        : Buffer.from([opcode | (last ? 0x80 : 0), 0xfe, payload.length >> 8, payload.length & 0xff]);
    this.socket.write(Buffer.concat([head, mask, masked]));
  }

  private take(chunk: Buffer): void {
    this.input = Buffer.concat([this.input, chunk]);
    for (;;) {
      if (this.input.length < 2) return;
      let length = this.input[1] & 0x7f;
      let at = 2;
      if (length === 126) {
        if (this.input.length < 4) return;
        length = this.input.readUInt16BE(2);
        at = 4;
      }
      if (this.input.length < at + length) return;
      const opcode = this.input[0] & 0x0f;
      const payload = this.input.subarray(at, at + length);
      this.input = this.input.subarray(at + length);
      if (opcode === 1) this.deliver(payload.toString('utf8'));
      else if (opcode === 8) this.closeCode = payload.readUInt16BE(0);
      else if (opcode === 10) this.pongs++;
    }
  }

  private deliver(message: string): void {
    const waiter = this.waiting.shift();
    if (waiter === undefined) this.messages.push(message);
    else waiter(message);
  }

  private end(): void {
    this.over = true;
    for (const waiter of this.waiting.splice(0)) waiter(undefined);
  }
}
