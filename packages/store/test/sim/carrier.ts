/**
 * Requests between members beside raft's messages (versions, members, hashes, leases passed on, promotions), over the
 * simulated network: the real handlers of the peer port answer, what they are given and what they write only has the
 * shape of node's HTTP that they use.
 */
import { EventEmitter } from 'node:events';
import type { ClientRequest, IncomingMessage, RequestOptions, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { PeerCarrier } from '../../src/peer/peer-tls.ts';
import type { ExtraHandlers } from '../../src/peer/peer-server.ts';
import type { Life } from './life.ts';
import type { SimTransport, SimWires } from './transport.ts';
import { placeOfUrl } from './wires.ts';

/** What a connection that is cut looks like to who waits without a timeout of his own. */
const SILENCE_MS = 5_000;

type Headers = Record<string, string>;

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

/** Requests of one process. */
export function carrierOf(life: Life, wires: SimWires): PeerCarrier {
  return (url, options, answered) => {
    const request = new Request(life, wires, url, options, answered);
    return request as unknown as ClientRequest;
  };
}

class Request extends EventEmitter {
  private readonly life: Life;
  private readonly wires: SimWires;
  private readonly url: URL;
  private readonly options: RequestOptions;
  private readonly answered: (response: IncomingMessage) => void;
  private over = false;

  constructor(
    life: Life,
    wires: SimWires,
    url: URL,
    options: RequestOptions,
    answered: (response: IncomingMessage) => void,
  ) {
    super();
    this.life = life;
    this.wires = wires;
    this.url = url;
    this.options = options;
    this.answered = answered;
  }

  end(body?: Buffer | string): this {
    const { life, wires, url } = this;
    const from = life.machine.place;
    const to = placeOfUrl([url.origin]);
    const { timeout } = this.options;
    if (timeout !== undefined)
      life.later(timeout, 'request timeout', () => !this.over && this.emit('timeout'));
    const bytes = body === undefined ? Buffer.alloc(0) : Buffer.from(body);
    if (!wires.network.passes(from, to)) {
      life.later(SILENCE_MS, 'request silence', () => this.fail('no answer'));
      return this;
    }
    const target = wires.open(from, to);
    if (target === undefined) {
      life.later(wires.delay(), 'refused', () => this.fail('connect ECONNREFUSED'));
      return this;
    }
    target.onEnd(() => life.later(wires.delay(), 'reset', () => this.fail('socket hang up')));
    target.life.later(wires.delay(), 'request', () => {
      serve(target, this.options, url, bytes, (answer) => {
        if (target.life.ended) return;
        if (wires.network.passes(to, from)) life.later(wires.delay(), 'answer', () => this.answer(answer));
        else life.later(SILENCE_MS, 'answer lost', () => this.fail('no answer'));
      });
    });
    return this;
  }

  destroy(error?: Error): this {
    this.fail(error?.message ?? 'socket hang up', error);
    return this;
  }

  private answer({ status, headers, body }: Answer): void {
    if (this.over) return;
    this.over = true;
    const response = Object.assign(Readable.from(body.length === 0 ? [] : [body]), {
      statusCode: status,
      headers,
    });
    this.answered(response as unknown as IncomingMessage);
  }

  private fail(text: string, error: Error = new Error(text)): void {
    if (this.over) return;
    this.over = true;
    if (this.listenerCount('error') > 0) this.emit('error', error);
    this.emit('close');
  }
}

function serve(
  target: SimTransport,
  options: RequestOptions,
  url: URL,
  body: Buffer,
  done: (answer: Answer) => void,
): void {
  const handler = handlerOf(target.extra, url.pathname);
  const response = new Response(done);
  if (handler === undefined) {
    response.writeHead(404).end('404 page not found\n');
    return;
  }
  const headers: Headers = {};
  for (const [name, value] of Object.entries(options.headers ?? {}))
    headers[name.toLowerCase()] = String(value);
  const request = Object.assign(Readable.from(body.length === 0 ? [] : [body]), {
    method: options.method ?? 'GET',
    url: url.pathname + url.search,
    headers,
  });
  handler(request as unknown as IncomingMessage, response as unknown as ServerResponse);
}

function handlerOf(extra: ExtraHandlers, path: string): ReturnType<ExtraHandlers['get']> {
  const exact = extra.get(path);
  if (exact !== undefined) return exact;
  for (const [prefix, handler] of extra) if (prefix.endsWith('/') && path.startsWith(prefix)) return handler;
  return undefined;
}

class Response {
  headersSent = false;
  statusCode = 200;
  private readonly headers: Headers = {};
  private readonly done: (answer: Answer) => void;

  constructor(done: (answer: Answer) => void) {
    this.done = done;
  }

  setHeader(name: string, value: string | number): this {
    this.headers[name.toLowerCase()] = String(value);
    return this;
  }

  writeHead(status: number, headers: Readonly<Record<string, string | number>> = {}): this {
    this.statusCode = status;
    this.headersSent = true;
    for (const [name, value] of Object.entries(headers)) this.setHeader(name, value);
    return this;
  }

  end(body: Buffer | string = ''): this {
    this.headersSent = true;
    this.done({ status: this.statusCode, headers: this.headers, body: Buffer.from(body) });
    return this;
  }

  destroy(): this {
    this.done({ status: 500, headers: {}, body: Buffer.alloc(0) });
    return this;
  }
}
