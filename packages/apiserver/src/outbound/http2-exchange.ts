/**
 * One request over a session of HTTP/2 to another server, and its answer: body and answer piece by piece at the pace of
 * the slower side, trailers behind it. Says whether the server can have begun to work on it; whether it is sent again is
 * the caller's to decide.
 */

import { constants, type ClientHttp2Stream, type OutgoingHttpHeaders } from 'node:http2';

import { nodeHttp, toError } from '@keelson/base';

import type { Headers } from '../api/exchange.ts';
import { headersOf } from '../api/header-fields.ts';
import { BackendError, type BackendAnswer, type BackendRequest } from './backend.ts';
import { BodyChunks } from './body-chunks.ts';
import { drained } from './drained.ts';
import { errorCodeName, type PooledSession } from './http2-pool.ts';

/** They concern a connection of HTTP/1.1: RFC 9113 8.2.2. */
const NOT_SAID: ReadonlySet<string> = new Set([
  'connection',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);
/** As node:http has it for HTTP/1.1: nobody behind this one may read two requests out of one. */
const UNESCAPED = /[^\u0021-\u00ff]/;

export class Http2Exchange {
  readonly result: Promise<BackendAnswer>;
  /** The server says that it did not begin: REFUSED_STREAM, or a stream behind the last one of its GOAWAY. */
  refused = false;
  /** The connection went before an answer came; whether the server began nobody knows. */
  lost = false;
  /** Something of the body was taken from who sends it: it cannot be sent again. */
  bodyBegun = false;

  /** @param over told once, when nothing of the exchange is left, and whether an answer was */
  constructor(pooled: PooledSession, request: BackendRequest, over: (answered: boolean) => void) {
    this.result = new Promise((resolve, reject) => {
      const { signal, body } = request;
      let stream: ClientHttp2Stream;
      try {
        stream = pooled.session.request(fieldsOf(request), { endStream: body === undefined });
      } catch (error) {
        // What cannot be said, or a session that went away in this very turn.
        this.lost = pooled.session.closed || pooled.session.destroyed;
        over(false);
        reject(new BackendError('exchange', `net/http: ${toError(error).message}`, { cause: error }));
        return;
      }
      let answered = false;
      const cancel = (): void => {
        reject(new BackendError('cancelled', 'context canceled'));
        stream.close(constants.NGHTTP2_CANCEL);
      };
      signal.addEventListener('abort', cancel, { once: true });
      // Told to who waits by 'close'.
      stream.on('error', () => undefined);
      stream.once('close', () => {
        signal.removeEventListener('abort', cancel);
        over(answered);
        if (answered) return;
        const { rstCode, id } = stream;
        this.refused = rstCode === constants.NGHTTP2_REFUSED_STREAM;
        this.lost = !this.refused && (pooled.session.destroyed || pooled.session.closed);
        const said = `stream error: stream ID ${id ?? 0}; ${errorCodeName(rstCode)}; received from peer`;
        const why = this.lost ? (pooled.farewell ?? 'unexpected EOF') : said;
        reject(new BackendError('exchange', why, { cause: stream.errored }));
      });
      stream.once('response', (_headers, _flags, raw?: readonly string[]) => {
        answered = true;
        const { code, headers } = headOf(raw ?? []);
        if (code >= 200 && code <= 599) resolve(answerOf(stream, code, headers));
        else {
          stream.close(constants.NGHTTP2_CANCEL);
          reject(new BackendError('exchange', `malformed HTTP status code "${code}"`));
        }
      });
      if (signal.aborted) cancel();
      else if (body !== undefined) void this.sendBody(stream, body);
    });
  }

  /** A body that fails takes the request with it: the backend must not take a part for the whole. */
  private async sendBody(stream: ClientHttp2Stream, body: AsyncIterable<Buffer>): Promise<void> {
    this.bodyBegun = true;
    try {
      for await (const chunk of body) {
        if (stream.destroyed || stream.closed) return;
        if (!stream.write(chunk)) await drained(stream);
      }
      if (!stream.destroyed) stream.end();
    } catch {
      stream.close(constants.NGHTTP2_CANCEL);
    }
  }
}

/** @throws TypeError for what HTTP/1.1 could not say either */
function fieldsOf({ method, target, headers }: BackendRequest): OutgoingHttpHeaders {
  if (UNESCAPED.test(target)) throw new TypeError('Request path contains unescaped characters');
  const { validateHeaderName, validateHeaderValue } = nodeHttp();
  const fields: Record<string, string | string[]> = {
    ':method': method,
    ':scheme': 'https',
    ':path': target,
    ':authority': headers.get('host')?.[0] ?? '',
  };
  for (const [name, values] of headers) {
    if (NOT_SAID.has(name) || (name === 'te' && !values.includes('trailers'))) continue;
    validateHeaderName(name);
    for (const value of values) validateHeaderValue(name, value);
    fields[name] = name === 'te' ? 'trailers' : values.length === 1 ? values[0] : [...values];
  }
  return fields;
}

function headOf(raw: readonly string[]): { readonly code: number; readonly headers: Headers } {
  const fields = headersOf(raw);
  const headers = new Map([...fields].filter(([name]) => !name.startsWith(':')));
  return { code: Number(fields.get(':status')?.[0] ?? 0), headers };
}

function answerOf(stream: ClientHttp2Stream, code: number, headers: Headers): BackendAnswer {
  const chunks = new BodyChunks(stream);
  const announced = headers.get('content-length')?.[0];
  let missing = announced === undefined || !bodyMay(code) ? undefined : Number(announced);
  let trailers: Headers = new Map();
  stream.once('trailers', (_fields, _flags, raw?: readonly string[]) => {
    trailers = headersOf(raw ?? []);
  });
  const abandon = (): void => {
    if (!stream.destroyed) stream.close(constants.NGHTTP2_CANCEL);
  };
  return {
    kind: 'answer',
    code,
    headers,
    abandon,
    trailers: () => trailers,
    chunks: {
      [Symbol.asyncIterator]: () => ({
        async next() {
          const chunk = await chunks.read().catch(cutShort);
          if (chunk !== undefined) {
            if (missing !== undefined) missing -= chunk.length;
            return { done: false, value: chunk };
          }
          // A stream that is reset ends for who reads it, too.
          const cut = stream.rstCode !== constants.NGHTTP2_NO_ERROR || (missing ?? 0) > 0;
          if (cut && !stream.endAfterHeaders) cutShort();
          return { done: true, value: undefined };
        },
        return() {
          if (!stream.readableEnded) abandon();
          return Promise.resolve({ done: true, value: undefined });
        },
      }),
    },
  };
}

/** HEAD has a length and no body; its stream ends with the head. */
function bodyMay(code: number): boolean {
  return code !== 204 && code !== 304;
}

function cutShort(): never {
  throw new Error('unexpected EOF');
}
