/**
 * Writes an ApiResponse: objects in the form the client accepts, large bodies compressed, streams piece by piece at
 * the client's pace, the headers every answer carries. Decides nothing about the request.
 *
 * Modelled on apiserver's endpoints/handlers/responsewriters.
 */

import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

import { assert, toError, type Clock } from '@keelson/base';

import type { ApiResponse, Headers } from '../api/exchange.ts';
import { parseApiVersion, type KubeObject } from '../api/meta.ts';
import { isReady, type ReadyIterator } from '../api/ready.ts';
import { ApiError, notAcceptable, statusObject } from '../api/status.ts';
import { writeJson } from '../codec/json-writer.ts';
import { asJson, asObject, isBuiltInGroup, type ObjectCodec } from '../codec/object-codec.ts';
import type { Turns } from '../flowcontrol/turns.ts';
import type { AnswerForm } from '../handlers/wire.ts';
import { compressed } from './compressed.ts';
import { answerForm, header, JSON_TYPE, PROTOBUF_TYPE, YAML_TYPE } from './negotiate.ts';
import type { HttpRequest } from './request.ts';
import type { Outgoing } from './transport.ts';

/** As the original: below this the time costs more than the bytes. */
const GZIP_BYTES_MIN = 128 * 1024;
/** The original's level: the fastest. */
const GZIP_LEVEL = 1;
/** A body that is larger is compressed while it is sent. */
const PIECEMEAL_BYTES_MIN = 1024 * 1024;
/** A body goes out in pieces: as much as may wait in a session for one stream that is not read. */
const PIECE_BYTES = 64 * 1024;
/** A client that takes nothing of its answer for so long is let go; the original ends requests after as long. */
export const STALL_MS = 60_000;

const compress = promisify(gzip);

/** A body and what has to be said of it. */
interface Body {
  readonly contentType: string;
  readonly parts: readonly Buffer[];
}

export class Responder {
  private readonly codec: ObjectCodec;
  private readonly clock: Clock;
  private readonly turns: Turns;
  private readonly stallMs: number;

  /**
   * @param turns of the event loop, for the pieces of long answers
   * @param stallMs how long an answer may stand still before it is given up
   */
  constructor(codec: ObjectCodec, clock: Clock, turns: Turns, stallMs: number = STALL_MS) {
    this.codec = codec;
    this.clock = clock;
    this.turns = turns;
    this.stallMs = stallMs;
  }

  /**
   * Writes the answer; resolves when it was handed over whole or nobody is left to take it.
   *
   * @param ending fires when streams are to be ended in order (the server stops)
   */
  async write(
    request: HttpRequest,
    response: ApiResponse,
    out: Outgoing,
    ending: AbortSignal,
  ): Promise<void> {
    if (!out.open) {
      if (response.kind === 'stream') await closeStream(response.chunks);
      if (response.kind === 'switch') response.abandon();
      return;
    }
    if (response.kind === 'stream') {
      await this.writeStream(request, response, out, ending);
      return;
    }
    if (response.kind === 'switch') {
      await leaveHttp(response, out, ending);
      return;
    }
    let { code } = response;
    let body: Body;
    try {
      body = this.bodyOf(request, response);
    } catch (error) {
      // What cannot be said in the client's words is said in JSON: that there are no such words, unless there was
      // something else to refuse.
      if (!(error instanceof ApiError)) throw error;
      // A Status is one in every form: what was deleted is gone all the same.
      const refused =
        response.kind === 'object' && (response.code >= 400 || response.object.kind === 'Status');
      if (!refused) code = error.code;
      const said = refused ? asJson(response.object) : statusObject(error.status);
      body = { contentType: JSON_TYPE, parts: [pretty(said)] };
    }
    const headers = commonHeaders(request, response.headers);
    if (!headers.has('content-type') && body.contentType !== '') {
      headers.set('content-type', [body.contentType]);
    }
    let { parts } = body;
    let size = sizeOf(parts);
    if (size > PIECEMEAL_BYTES_MIN && acceptsGzip(request) && !headers.has('content-encoding')) {
      const stream = {
        kind: 'stream',
        code,
        contentType: '',
        chunks: piecewise(parts),
        finite: true,
      } as const;
      await this.writeStream(request, { ...stream, headers }, out, ending);
      return;
    }
    if (size > GZIP_BYTES_MIN && acceptsGzip(request) && !headers.has('content-encoding')) {
      parts = [await compress(parts.length === 1 ? parts[0] : Buffer.concat(parts), { level: GZIP_LEVEL })];
      size = parts[0].length;
      headers.set('content-encoding', ['gzip']);
      headers.set('vary', [...(headers.get('vary') ?? []), 'Accept-Encoding']);
      if (!out.open) return;
    }
    if (code !== 304 && code !== 204) headers.set('content-length', [String(size)]);
    out.head(code, headers);
    if (request.method === 'HEAD') out.end();
    else {
      request.context.sent?.(size);
      await this.writeParts(parts, request, out);
    }
    if (out.open) request.finish();
  }

  private bodyOf(request: HttpRequest, response: Exclude<ApiResponse, { kind: 'stream' | 'switch' }>): Body {
    switch (response.kind) {
      case 'bytes':
        return {
          contentType: response.contentType,
          parts: Buffer.isBuffer(response.body) ? [response.body] : response.body,
        };
      case 'json':
        return { contentType: JSON_TYPE, parts: [pretty(response.value)] };
      case 'object':
        return this.objectBody(request, response.object);
    }
  }

  private objectBody(request: HttpRequest, object: KubeObject): Body {
    const { group } = parseApiVersion(object.apiVersion) ?? { group: '' };
    const form = formOf(request, object, isBuiltInGroup(group));
    switch (form.media) {
      case 'yaml':
        return { contentType: YAML_TYPE, parts: [this.codec.yaml(object)] };
      case 'protobuf': {
        const bytes = this.codec.envelope(object);
        if (bytes !== undefined) return { contentType: PROTOBUF_TYPE, parts: [bytes] };
        throw notAcceptable([JSON_TYPE, YAML_TYPE]);
      }
      case 'json':
        return { contentType: JSON_TYPE, parts: [this.codec.json(object, form.pretty)] };
    }
  }

  /** The whole body and its end, at the pace of who takes it. */
  private async writeParts(parts: readonly Buffer[], { context }: HttpRequest, out: Outgoing): Promise<void> {
    let last: Buffer | undefined;
    for (const piece of piecesOf(parts)) {
      if (last !== undefined) {
        if (!out.write(last) && !(await this.drained(out))) return;
        // An answer of several pieces is long: each further one waits for its turn.
        await this.turns.take(context.user?.name ?? '', context.receivedMs);
        if (!out.open) return;
      }
      last = piece;
    }
    if (out.open) out.end(last);
  }

  /** Waits until more may be written; gives an answer up that stands still. */
  private async drained(out: Outgoing): Promise<boolean> {
    const timer = this.clock.setTimer(this.stallMs, () => out.abort());
    await out.drained();
    timer.cancel();
    return out.open;
  }

  /** Writes what is there whenever there is something, until the stream ends or is to be ended: no promise for a piece. */
  private pump(iterator: ReadyIterator<Buffer>, out: Outgoing, stop: Interruption): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = (): void => {
        try {
          while (out.open && !stop.fired) {
            const piece = iterator.poll();
            if (piece === 'ended') break;
            if (piece === undefined) {
              iterator.whenReady(go);
              return;
            }
            if (!out.write(piece)) {
              void this.drained(out).then(go);
              return;
            }
          }
          resolve();
        } catch (error) {
          reject(toError(error));
        }
      };
      stop.whenFired(resolve);
      go();
    });
  }

  private async writeStream(
    request: HttpRequest,
    response: Extract<ApiResponse, { kind: 'stream' }>,
    out: Outgoing,
    ending: AbortSignal,
  ): Promise<void> {
    const finite = response.finite ?? false;
    const headers = commonHeaders(request, response.headers);
    if (response.contentType !== '') headers.set('content-type', [response.contentType]);
    let { chunks } = response;
    if (finite && response.asIs !== true && acceptsGzip(request)) {
      chunks = compressed(chunks, GZIP_LEVEL);
      headers.set('content-encoding', ['gzip']);
      headers.set('vary', [...(headers.get('vary') ?? []), 'Accept-Encoding']);
    }
    out.head(response.code, headers, response.trailers);
    const iterator = chunks[Symbol.asyncIterator]();
    const stop = new Interruption(finite ? [request.signal] : [ending, request.signal]);
    let whole = true;
    let sent = 0;
    try {
      for (;;) {
        const step = await stop.orNext(iterator);
        if (step === undefined || step.done === true) {
          // A list that is cut short must not look whole.
          if (finite && step === undefined) whole = false;
          break;
        }
        if (!out.open) break;
        sent += step.value.length;
        if (!out.write(step.value) && !(await this.drained(out))) break;
        if (isReady(iterator)) {
          await this.pump(iterator, out, stop);
          break;
        }
      }
    } catch (error) {
      whole = false;
      throw error;
    } finally {
      stop.release();
      if (finite && out.open && whole) {
        request.finish();
        request.context.sent?.(sent);
      }
      // What still waits for an event learns that nobody listens; it may take its time.
      void Promise.resolve(iterator.return?.()).catch(() => {});
      if (out.open) {
        if (whole) out.end();
        else out.abort();
      }
    }
  }
}

/** Hands the connection over, and waits until it is over; the end of the server ends it. */
async function leaveHttp(
  response: Extract<ApiResponse, { kind: 'switch' }>,
  out: Outgoing,
  ending: AbortSignal,
): Promise<void> {
  if (out.takeOver === undefined || ending.aborted) {
    response.abandon();
    assert(out.takeOver !== undefined, 'HTTP is left only where the request asks for it');
    out.abort();
    return;
  }
  const client = out.takeOver(response.headers);
  const end = (): void => client.destroy();
  ending.addEventListener('abort', end);
  try {
    await response.join(client);
  } finally {
    ending.removeEventListener('abort', end);
    client.destroy();
  }
}

/** An answer in JSON, YAML or protobuf; Table and metadata were made by the handler, or the form is not his. */
function formOf(request: HttpRequest, object: KubeObject, protobuf: boolean): AnswerForm {
  const { kind } = object;
  const table = kind === 'Table';
  const metadata = kind === 'PartialObjectMetadata' || kind === 'PartialObjectMetadataList';
  return answerForm(request, { watch: false, table, metadata, protobuf });
}

/** Headers that every answer carries, the response's own on top. */
function commonHeaders(request: HttpRequest, own: Headers | undefined): Map<string, readonly string[]> {
  const headers = new Map<string, readonly string[]>();
  if (request.context.auditId !== '') headers.set('audit-id', [request.context.auditId]);
  headers.set('cache-control', ['no-cache, private']);
  if (request.warnings.size > 0) {
    headers.set('warning', [...request.warnings].map(warningValue));
  }
  if (own !== undefined) for (const [name, values] of own) headers.set(name, values);
  return headers;
}

/** `299 - "text"`, quoted as RFC 7234 5.5 wants it, control characters left out. */
function warningValue(text: string): string {
  // oxlint-disable-next-line no-control-regex -- these are what must not stand in a header
  const clean = text.replace(/[\u0000-\u001f\u007f]+/g, ' ').replace(/["\\]/g, String.raw`\$&`);
  // Header values are bytes: what is beyond latin1 goes out as the bytes of its UTF-8.
  return `299 - "${Buffer.from(clean, 'utf8').toString('latin1')}"`;
}

function acceptsGzip(request: HttpRequest): boolean {
  const accepted = header(request.headers, 'accept-encoding') ?? '';
  // As the original: a coding with a weight is none, be it 0.
  return accepted.split(',').some((text) => text.trim() === 'gzip');
}

/** The parts cut and joined into pieces of at most PIECE_BYTES: a write costs more than copying many small parts. */
function* piecesOf(parts: readonly Buffer[]): Generator<Buffer, void> {
  let small: Buffer[] = [];
  let size = 0;
  for (const part of parts) {
    if (size > 0 && size + part.length > PIECE_BYTES) {
      yield small.length === 1 ? small[0] : Buffer.concat(small, size);
      small = [];
      size = 0;
    }
    if (part.length < PIECE_BYTES) {
      small.push(part);
      size += part.length;
    } else {
      for (let at = 0; at < part.length; at += PIECE_BYTES) yield part.subarray(at, at + PIECE_BYTES);
    }
  }
  if (size > 0) yield small.length === 1 ? small[0] : Buffer.concat(small, size);
}

/** The same for who takes a stream. */
// oxlint-disable-next-line require-await -- it is its form that is asked for
async function* piecewise(parts: readonly Buffer[]): AsyncGenerator<Buffer, void> {
  yield* piecesOf(parts);
}

function sizeOf(parts: readonly Buffer[]): number {
  let size = 0;
  for (const part of parts) size += part.length;
  return size;
}

/** JSON as the original writes what is no negotiated object: indented. */
function pretty(value: Parameters<typeof writeJson>[0]): Buffer {
  return Buffer.from(writeJson(value, { pretty: true }));
}

/** Waits for the next piece of a stream or for one of the signals, without leaving anything behind at either. */
class Interruption {
  private readonly signals: readonly AbortSignal[];
  fired = false;
  private wake: (() => void) | undefined;
  private readonly fire = (): void => {
    this.fired = true;
    this.wake?.();
  };

  constructor(signals: readonly AbortSignal[]) {
    this.signals = signals;
    for (const signal of signals) {
      if (signal.aborted) this.fired = true;
      else signal.addEventListener('abort', this.fire);
    }
  }

  /** The next piece; undefined once a signal has fired. */
  orNext(iterator: AsyncIterator<Buffer>): Promise<IteratorResult<Buffer> | undefined> {
    if (this.fired) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      this.wake = () => resolve(undefined);
      iterator.next().then(resolve, reject);
    });
  }

  /** Calls when a signal fires, in place of orNext. */
  whenFired(task: () => void): void {
    this.wake = task;
  }

  release(): void {
    for (const signal of this.signals) signal.removeEventListener('abort', this.fire);
  }
}

async function closeStream(chunks: AsyncIterable<Buffer>): Promise<void> {
  await chunks[Symbol.asyncIterator]().return?.();
}

/** A refusal as an answer: its Status, and the headers that go with it. */
export function errorResponse(error: ApiError): ApiResponse {
  const headers = new Map<string, readonly string[]>();
  const retryAfter = error.status.details?.retryAfterSeconds ?? 0;
  if (retryAfter > 0) headers.set('retry-after', [String(retryAfter)]);
  if (error.code === 403) headers.set('x-content-type-options', ['nosniff']);
  return { kind: 'object', code: error.code, object: asObject(statusObject(error.status)), headers };
}
