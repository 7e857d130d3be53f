/**
 * A server made of answers: a test says what the next request that matches gets, and sees what was asked. A request
 * nobody expected is answered by what `otherwise` says, a 404 unless set.
 */

import type { CallAnswer, CallOptions, Transport } from '../src/transport.ts';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export interface Scripted {
  readonly code?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  /** The body is a stream that stays open. */
  readonly stream?: TestStream;
  /** No answer. */
  readonly broken?: string;
}

/** A body that a test writes, ends or cuts. */
export class TestStream {
  private readonly queue: Buffer[] = [];
  private state: 'open' | 'ended' | 'cut' | 'left' = 'open';
  private wake: (() => void) | undefined;

  /** Whether the client went away. */
  get left(): boolean {
    return this.state === 'left';
  }

  event(type: string, object: unknown): void {
    this.write(`${JSON.stringify({ type, object })}\n`);
  }

  write(text: string): void {
    this.queue.push(Buffer.from(text));
    this.wake?.();
  }

  end(): void {
    this.state = 'ended';
    this.wake?.();
  }

  cut(): void {
    this.state = 'cut';
    this.wake?.();
  }

  leave(): void {
    if (this.state === 'open') this.state = 'left';
    this.wake?.();
  }

  async *chunks(): AsyncGenerator<Buffer> {
    for (;;) {
      const next = this.queue.shift();
      if (next !== undefined) yield next;
      else if (this.state === 'ended') return;
      else if (this.state === 'cut') throw new Error('connection reset');
      else if (this.state === 'left') throw new Error('the caller went away');
      else await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }
}

type Answering = Scripted | ((asked: Asked) => Scripted);

export class ScriptedTransport implements Transport {
  readonly asked: Asked[] = [];
  otherwise: Answering = { code: 404, json: failure(404, 'NotFound', 'not found') };
  private readonly script: { readonly match: (asked: Asked) => boolean; readonly answer: Answering }[] = [];

  /** The next request that matches gets this, once. */
  once(match: (asked: Asked) => boolean, answer: Answering): this {
    this.script.push({ match, answer });
    return this;
  }

  call(target: string, options: CallOptions = {}): Promise<CallAnswer> {
    const url = new URL(target, 'http://server');
    const asked: Asked = {
      method: options.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      headers: options.headers ?? {},
      body: options.body === undefined ? undefined : (JSON.parse(options.body.toString()) as unknown),
    };
    this.asked.push(asked);
    const index = this.script.findIndex(({ match }) => match(asked));
    const found = index < 0 ? this.otherwise : this.script.splice(index, 1)[0].answer;
    const scripted = typeof found === 'function' ? found(asked) : found;
    if (options.signal?.aborted === true) return Promise.reject(new Error('the caller went away'));
    if (scripted.broken !== undefined) return Promise.reject(new Error(scripted.broken));
    return Promise.resolve(answerOf(scripted, options.signal));
  }
}

function answerOf({ code = 200, headers = {}, json, stream }: Scripted, signal?: AbortSignal): CallAnswer {
  const bytes = Buffer.from(json === undefined ? '' : JSON.stringify(json));
  signal?.addEventListener('abort', () => stream?.leave(), { once: true });
  return {
    code,
    headers: new Map(
      Object.entries({ 'content-type': 'application/json', ...headers }).map(([name, value]) => [
        name,
        [value],
      ]),
    ),
    chunks: stream?.chunks() ?? whole(bytes),
    bytes: () => Promise.resolve(bytes),
  };
}

async function* whole(bytes: Buffer): AsyncGenerator<Buffer> {
  yield await Promise.resolve(bytes);
}

/** A Status that says no. */
export function failure(code: number, reason: string, message: string, more: object = {}): unknown {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    code,
    ...more,
  };
}

export const isWatch = ({ query }: Asked): boolean => query.get('watch') === 'true';
export const isList = ({ method, query }: Asked): boolean => method === 'GET' && !query.has('watch');
