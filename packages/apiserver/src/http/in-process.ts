/**
 * Requests without a socket: the same door, pipeline and bytes as over TLS, for a client in this process. The answer's
 * body is an iteration; who breaks it off goes away, as a closed connection would.
 */

import type { Headers, Peer } from '../api/exchange.ts';
import type { Door } from './door.ts';
import type { Incoming, Outgoing } from './transport.ts';

export interface CallOptions {
  readonly method?: string;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** Goes away when it fires. */
  readonly signal?: AbortSignal;
}

export interface CallAnswer {
  readonly code: number;
  readonly headers: Headers;
  /** The body, once. */
  readonly chunks: AsyncIterable<Buffer>;
  /** The body as a whole, instead of `chunks`. */
  bytes(): Promise<Buffer>;
}

/** Who calls, unless said: the machine itself, over nothing that could be listened to. */
const IN_PROCESS_PEER: Peer = { address: '127.0.0.1', certificates: [], secure: true };

/** Bytes that may wait for the caller before the server is told to wait. */
const WAITING_BYTES_MAX = 64 * 1024;

/**
 * Sends a request through a door.
 *
 * @param target path and query
 */
export function callInProcess(
  door: Door,
  target: string,
  options: CallOptions = {},
  peer: Peer = IN_PROCESS_PEER,
): Promise<CallAnswer> {
  const { signal } = options;
  return new Promise((resolve, reject) => {
    const call = new Call(target, options, peer, resolve);
    if (signal?.aborted === true) {
      reject(new Error('the call was given up', { cause: signal.reason }));
      return;
    }
    const leave = () => {
      call.leave();
      reject(new Error('the call was given up', { cause: signal?.reason }));
    };
    signal?.addEventListener('abort', leave, { once: true });
    void door.serve(call, call).finally(() => {
      signal?.removeEventListener('abort', leave);
      // Nothing was answered: the door cut it short.
      reject(new Error('the server ended the call without an answer'));
    });
  });
}

class Call implements Incoming, Outgoing, CallAnswer {
  readonly method: string;
  readonly target: string;
  readonly peer: Peer;
  readonly contentLength: number | undefined;
  code = 0;
  private fields: Headers;
  private body: Buffer | undefined;
  private readonly answered: (answer: CallAnswer) => void;
  private readonly gone: (() => void)[] = [];
  private queue: Buffer[] = [];
  private queued = 0;
  private state: 'open' | 'ended' | 'aborted' | 'left' = 'open';
  private reader: (() => void) | undefined;
  private writer: (() => void) | undefined;

  constructor(target: string, options: CallOptions, peer: Peer, answered: (answer: CallAnswer) => void) {
    this.method = options.method ?? 'GET';
    this.target = target;
    this.peer = peer;
    this.fields = new Map(
      Object.entries(options.headers ?? {}).map(([name, value]) => [name.toLowerCase(), [value]]),
    );
    this.body = options.body;
    this.contentLength = options.body?.length ?? 0;
    this.answered = answered;
  }

  get headers(): Headers {
    return this.fields;
  }

  // ---- what came in ----

  read(): Promise<Buffer | undefined> {
    const { body } = this;
    this.body = undefined;
    return Promise.resolve(body);
  }

  async whole(limitBytes: number): Promise<Buffer | undefined> {
    const body = (await this.read()) ?? Buffer.alloc(0);
    return body.length > limitBytes ? undefined : body;
  }

  onGone(task: () => void): void {
    this.gone.push(task);
  }

  /** The caller goes away. */
  leave(): void {
    if (this.state === 'left') return;
    const open = this.state === 'open';
    this.state = 'left';
    this.queue = [];
    this.wake();
    if (open) for (const task of this.gone) task();
  }

  // ---- what goes out ----

  get open(): boolean {
    return this.state === 'open';
  }

  head(code: number, headers: Headers): void {
    this.code = code;
    this.fields = headers;
    this.answered(this);
  }

  write(chunk: Buffer): boolean {
    if (this.state !== 'open') return true;
    this.queue.push(chunk);
    this.queued += chunk.length;
    this.reader?.();
    return this.queued < WAITING_BYTES_MAX;
  }

  drained(): Promise<void> {
    if (this.state !== 'open' || this.queued < WAITING_BYTES_MAX) return Promise.resolve();
    return new Promise((resolve) => {
      this.writer = resolve;
    });
  }

  waiting(): number {
    return this.queued;
  }

  end(last?: Buffer): void {
    if (last !== undefined) this.write(last);
    if (this.state === 'open') this.state = 'ended';
    this.wake();
  }

  abort(): void {
    if (this.state === 'open') this.state = 'aborted';
    this.wake();
  }

  // ---- what the caller sees ----

  get chunks(): AsyncIterable<Buffer> {
    return this.pieces();
  }

  async bytes(): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of this.pieces()) parts.push(part);
    return Buffer.concat(parts);
  }

  private async *pieces(): AsyncGenerator<Buffer, void> {
    try {
      for (;;) {
        const chunk = this.queue.shift();
        if (chunk !== undefined) {
          this.queued -= chunk.length;
          this.writer?.();
          yield chunk;
        } else if (this.state === 'open') {
          await new Promise<void>((resolve) => {
            this.reader = resolve;
          });
        } else if (this.state === 'aborted') {
          throw new Error('the server cut its answer short');
        } else {
          return;
        }
      }
    } finally {
      this.leave();
    }
  }

  private wake(): void {
    this.reader?.();
    this.writer?.();
  }
}
