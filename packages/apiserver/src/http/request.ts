/**
 * An ApiRequest made of what a transport brought: the target taken apart, the body read within a limit, a signal
 * that fires when nobody waits any more. Never decides anything about the request.
 */

import type { ApiRequest, Headers, Peer, RequestContext } from '../api/exchange.ts';
import { pathSegments, requestInfo, type RequestInfo } from '../api/request-info.ts';
import { requestEntityTooLarge } from '../api/status.ts';
import type { Incoming } from './transport.ts';

/** Warnings of one answer, all together, as client libraries bound them by their header limit. */
const WARNING_BYTES_MAX = 4_096;

export class HttpRequest implements ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Headers;
  readonly peer: Peer;
  readonly info: RequestInfo;
  readonly context: RequestContext;
  readonly upgrade: string | undefined;
  /** Texts for Warning headers, in order, each once. */
  readonly warnings = new Set<string>();
  private readonly incoming: Incoming;
  /** Made for the first who wants to know: most requests are answered before anybody does. */
  private controller: AbortController | undefined = undefined;
  private gone: { readonly reason: unknown } | undefined = undefined;
  /** Ends the wait for the body. */
  private interrupt: ((error: Error) => void) | undefined = undefined;
  private warningBytes = 0;
  private bodyTaken = false;
  private answered = false;

  /** @throws ApiError BadRequest for a target that cannot be read */
  constructor(incoming: Incoming, receivedMs: number) {
    const { target } = incoming;
    const mark = target.indexOf('?');
    const rawPath = mark < 0 ? target : target.slice(0, mark);
    const segments = pathSegments(rawPath);
    const plain = !rawPath.includes('%');
    this.method = incoming.method;
    this.path = plain ? rawPath : decodedPath(rawPath);
    this.query = new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1));
    this.headers = incoming.headers;
    this.peer = incoming.peer;
    this.info = requestInfo(incoming.method, this.path, segments, this.query);
    this.context = {
      auditId: '',
      user: undefined,
      impersonator: undefined,
      auditAnnotations: new Map(),
      receivedMs,
      target,
    };
    this.upgrade = incoming.upgrade;
    this.incoming = incoming;
    incoming.onGone(() => {
      if (!this.answered) this.abort();
    });
  }

  /** It was answered whole, and nothing waits on its behalf: that its stream closes now is news for nobody. */
  finish(): void {
    this.answered = true;
  }

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController();
      if (this.gone !== undefined) this.controller.abort(this.gone.reason);
    }
    return this.controller.signal;
  }

  /** Whether nobody waits any more. */
  get aborted(): boolean {
    return this.gone !== undefined;
  }

  /** Ends all that waits on this request's behalf. */
  abort(reason?: unknown): void {
    if (this.gone !== undefined) return;
    this.gone = { reason };
    this.controller?.abort(reason);
    this.interrupt?.(reasonOf(reason));
  }

  warn(text: string): void {
    if (this.warnings.has(text)) return;
    this.warningBytes += Buffer.byteLength(text);
    if (this.warningBytes <= WARNING_BYTES_MAX) this.warnings.add(text);
  }

  async body(limitBytes: number): Promise<Buffer> {
    if (this.bodyTaken) throw new Error('the body was read before');
    this.bodyTaken = true;
    const { incoming } = this;
    if ((incoming.contentLength ?? 0) > limitBytes) throw tooLarge(limitBytes);
    const bytes = await this.unlessGone(incoming.whole(limitBytes));
    if (bytes === undefined) throw tooLarge(limitBytes);
    return bytes;
  }

  /** What is waited for, unless the request is given up before. */
  private unlessGone<T>(result: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      result.then(resolve, reject);
      if (this.gone !== undefined) reject(reasonOf(this.gone.reason));
      this.interrupt = reject;
    });
  }

  async *pieces(): AsyncGenerator<Buffer, void> {
    if (this.bodyTaken) throw new Error('the body was read before');
    this.bodyTaken = true;
    for (;;) {
      const chunk = await this.incoming.read();
      if (chunk === undefined) return;
      yield chunk;
    }
  }
}

function tooLarge(limitBytes: number): Error {
  return requestEntityTooLarge(`limit is ${limitBytes}`);
}

function reasonOf(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('the request was given up');
}

/** Each segment decoded; a slash that was encoded stays so, for it parts nothing. */
function decodedPath(rawPath: string): string {
  return rawPath
    .split('/')
    .map((segment) => decodeURIComponent(segment).replaceAll('/', '%2F'))
    .join('/');
}
