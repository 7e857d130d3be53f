/**
 * The one door for calls to servers that objects of the cluster or the server's own files name (webhooks): POST of JSON
 * over TLS 1.2 or later, HTTP/1.1, with a deadline and a bounded answer. Trusts the bundle it is given and nothing beside
 * it, never follows a redirect, shows only credentials it is given for this server, and connects where it is told while
 * the certificate must be the name's. Says what went wrong in Go's words, which people search for.
 *
 * Modelled on apiserver's util/webhook ClientManager.
 */

import { Agent, request, type RequestOptions } from 'node:https';
import type { ClientRequest, IncomingMessage } from 'node:http';

import type { Clock } from '@keelson/base';

import { reasonOf, type CalledPlace } from './failure-reason.ts';

export interface CallTarget {
  /** https, with its query. */
  readonly url: string;
  /** PEM of who vouches for the server; the system's authorities where it is empty. */
  readonly caBundle: string;
  /** Connects here in place of where the URL's name leads. */
  readonly address?: { readonly host: string; readonly port: number };
  /** Value of the Authorization header, where an operator gave one: never what an object of the cluster says. */
  readonly authorization?: string;
  /** PEM of what is shown to the server. */
  readonly pair?: { readonly cert: string; readonly key: string };
  /** The name its certificate is for, where that is not the URL's. */
  readonly serverName?: string;
  /** Takes any certificate. Only where a kubeconfig asks for it. */
  readonly unverified?: boolean;
}

export interface CallOptions {
  readonly timeoutMs: number;
  /** Ends the call with the request it is made for. */
  readonly signal: AbortSignal;
}

export interface CallAnswer {
  readonly code: number;
  readonly body: Buffer;
}

/** A call that got no answer. */
export class CallError extends Error {
  override readonly name = 'CallError';
  /** `timeout`: its own time; `cancelled`: the request's. */
  readonly kind: 'timeout' | 'cancelled' | 'transport';

  constructor(kind: CallError['kind'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** Told of each call, and what it adds to its headers; undefined for one that nobody follows. */
export interface CallTracer {
  readonly begin: (url: string) => CallTrace | undefined;
}

export interface CallTrace {
  readonly headers: Readonly<Record<string, string>>;
  /** @param code undefined where no answer came */
  readonly end: (code: number | undefined) => void;
}

/** An answer holds a patch at most, and an object has 3 MiB at most. */
const ANSWER_BYTES_MAX = 8 * 1024 * 1024;
/** To one server at a time; more wait. */
const SOCKETS_MAX = 100;
const SOCKETS_TOTAL_MAX = 1_000;
const SOCKETS_IDLE_MAX = 25;

export class HttpsCaller {
  private readonly clock: Pick<Clock, 'setTimer'>;
  private readonly agent = new Agent({
    keepAlive: true,
    maxSockets: SOCKETS_MAX,
    maxTotalSockets: SOCKETS_TOTAL_MAX,
    maxFreeSockets: SOCKETS_IDLE_MAX,
    scheduling: 'lifo',
  });

  private readonly tracer: CallTracer | undefined;

  constructor(clock: Pick<Clock, 'setTimer'>, tracer?: CallTracer) {
    this.clock = clock;
    this.tracer = tracer;
  }

  /** @throws CallError, as asked() */
  async post(target: CallTarget, body: Buffer, options: CallOptions): Promise<CallAnswer> {
    const trace = URL.canParse(target.url) ? this.tracer?.begin(target.url) : undefined;
    if (trace === undefined) return await this.asked(target, body, options);
    let code: number | undefined;
    try {
      const answer = await this.asked(target, body, options, trace.headers);
      ({ code } = answer);
      return answer;
    } finally {
      trace.end(code);
    }
  }

  /** @throws CallError `Post "https://…": why` */
  private async asked(
    target: CallTarget,
    body: Buffer,
    options: CallOptions,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<CallAnswer> {
    const fail = (kind: CallError['kind'], why: string, cause?: unknown): CallError =>
      new CallError(kind, `Post ${JSON.stringify(target.url)}: ${why}`, { cause });
    if (!URL.canParse(target.url) || !target.url.startsWith('https://')) {
      throw fail('transport', 'unsupported protocol scheme');
    }
    for (let attempt = 1; ; attempt += 1) {
      const asking = new Asking(
        requestOptions(this.agent, target, body, headers),
        target.url,
        body,
        options,
        this.clock,
      );
      try {
        return await asking.answer;
      } catch (error) {
        // The server closed an idle connection just when it was used again: nothing was read of the request.
        if (asking.lostIdleConnection && attempt === 1) continue;
        if (options.signal.aborted) throw fail('cancelled', 'context canceled', error);
        if (asking.timedOut) throw fail('timeout', 'context deadline exceeded', error);
        throw fail('transport', reasonOf(error, placeOf(target)), error);
      }
    }
  }

  /** Closes idle connections; those in use end with their calls. */
  close(): void {
    this.agent.destroy();
  }
}

/** One attempt. */
class Asking {
  readonly answer: Promise<CallAnswer>;
  timedOut = false;
  lostIdleConnection = false;

  constructor(
    sent: RequestOptions,
    url: string,
    body: Buffer,
    { timeoutMs, signal }: CallOptions,
    clock: Pick<Clock, 'setTimer'>,
  ) {
    this.answer = new Promise<CallAnswer>((resolve, reject) => {
      const asked: ClientRequest = request(url, sent);
      const timer = clock.setTimer(timeoutMs, () => {
        this.timedOut = true;
        asked.destroy(new Error('the time is up'));
      });
      const cancel = (): void => {
        asked.destroy(new Error('the request ended'));
      };
      signal.addEventListener('abort', cancel, { once: true });
      const settle = (): void => {
        timer.cancel();
        signal.removeEventListener('abort', cancel);
      };
      asked.on('error', (error: NodeJS.ErrnoException) => {
        settle();
        this.lostIdleConnection = asked.reusedSocket && !this.timedOut && error.code === 'ECONNRESET';
        reject(error);
      });
      asked.on('response', (answer) => {
        collect(answer, asked).then(
          (bytes) => {
            settle();
            resolve({ code: answer.statusCode ?? 0, body: bytes });
          },
          (error: Error) => {
            settle();
            reject(error);
          },
        );
      });
      if (signal.aborted) cancel();
      asked.end(body);
    });
  }
}

function requestOptions(
  agent: Agent,
  target: CallTarget,
  body: Buffer,
  more: Readonly<Record<string, string>>,
): RequestOptions {
  const { address, authorization, caBundle, pair, url, serverName, unverified } = target;
  const { hostname, host } = new URL(url);
  return {
    agent,
    method: 'POST',
    headers: {
      host,
      accept: 'application/json, */*',
      'content-type': 'application/json',
      'content-length': body.length,
      'user-agent': 'kube-apiserver-admission',
      ...(authorization === undefined ? {} : { authorization }),
      ...more,
    },
    minVersion: 'TLSv1.2',
    ...(address === undefined ? {} : { hostname: address.host, port: address.port }),
    servername: serverName ?? (isAddress(hostname) ? '' : hostname),
    // Whoever is connected to, the certificate is the name's.
    ...(caBundle === '' ? {} : { ca: caBundle }),
    ...(pair === undefined ? {} : pair),
    ...(unverified === true ? { rejectUnauthorized: false } : {}),
  };
}

function isAddress(hostname: string): boolean {
  return hostname.startsWith('[') || /^\d+\.\d+\.\d+\.\d+$/.test(hostname);
}

async function collect(answer: IncomingMessage, asked: ClientRequest): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    size += bytes.length;
    if (size > ANSWER_BYTES_MAX) {
      asked.destroy();
      throw new Error(`the answer has more than ${ANSWER_BYTES_MAX} bytes`);
    }
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

function placeOf({ url, address }: CallTarget): CalledPlace {
  const { hostname, port } = new URL(url);
  return { hostname, where: `${address?.host ?? hostname}:${address?.port ?? (port || '443')}` };
}
