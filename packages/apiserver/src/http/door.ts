/**
 * From what a transport brings to what it sends back: makes the ApiRequest, hands it to the pipeline, writes the
 * answer or the refusal. Whatever goes wrong, the client gets an answer or sees its connection end.
 */

import { toError, type Clock, type Logger } from '@keelson/base';

import type { ApiResponse, Handler } from '../api/exchange.ts';
import { plainText } from '../api/plain-text.ts';
import { ApiError } from '../api/status.ts';
import type { ObjectCodec } from '../codec/object-codec.ts';
import { Turns } from '../flowcontrol/turns.ts';
import { eventLoop } from './event-loop.ts';
import { HttpRequest } from './request.ts';
import { errorResponse, Responder } from './respond.ts';
import type { Incoming, Outgoing } from './transport.ts';

export interface DoorOptions {
  readonly handler: Handler;
  readonly codec: ObjectCodec;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of the event loop, shared with whoever makes long answers; its own unless said. */
  readonly turns?: Turns;
  /** How long an answer may stand still, ms; a minute unless said. */
  readonly stallMs?: number;
}

/** What the original says of a panic. */
const PANIC = 'This request caused apiserver to panic. Look in the logs for details.\n';

export class Door {
  private readonly handler: Handler;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly responder: Responder;
  private readonly ending = new AbortController();
  private readonly active = new Set<HttpRequest>();
  private idle: (() => void)[] = [];

  constructor({ handler, codec, clock, logger, turns, stallMs }: DoorOptions) {
    this.handler = handler;
    this.clock = clock;
    this.logger = logger;
    this.responder = new Responder(codec, clock, turns ?? new Turns(eventLoop), stallMs);
  }

  /** Requests that are not answered to the end yet. */
  get activeCount(): number {
    return this.active.size;
  }

  /** Serves one request to its end. Never rejects. */
  async serve(incoming: Incoming, out: Outgoing): Promise<void> {
    let request: HttpRequest;
    try {
      request = new HttpRequest(incoming, this.clock.monotonicMs());
    } catch (error) {
      this.refuseTarget(out, error);
      return;
    }
    await this.run(request, out);
  }

  /** A request that somebody made an ApiRequest of already. */
  async run(request: HttpRequest, out: Outgoing): Promise<void> {
    this.active.add(request);
    try {
      const response = await this.answer(request);
      await this.responder.write(request, response, out, this.ending.signal);
    } catch (error) {
      this.logger.error('an answer could not be written', {
        path: request.path,
        auditId: request.context.auditId,
        error: toError(error),
        stack: toError(error).stack,
      });
      out.abort();
    } finally {
      this.active.delete(request);
      if (this.active.size === 0) {
        for (const task of this.idle.splice(0)) task();
      }
    }
  }

  /** Ends what streams and resolves when all is answered. */
  drain(): Promise<void> {
    this.ending.abort();
    if (this.active.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.idle.push(resolve));
  }

  /** Gives up what is not answered. */
  cut(): void {
    this.ending.abort();
    for (const request of this.active) request.abort(new Error('the server stops'));
  }

  private async answer(request: HttpRequest): Promise<ApiResponse> {
    try {
      return await this.handler(request);
    } catch (error) {
      if (error instanceof ApiError) return errorResponse(error);
      if (request.aborted) return plainText(500, PANIC);
      this.logger.error('a request failed in a way nobody thought of', {
        method: request.method,
        path: request.path,
        auditId: request.context.auditId,
        error: toError(error),
        stack: toError(error).stack,
      });
      return plainText(500, PANIC);
    }
  }

  /** There is no ApiRequest to negotiate with: the refusal is plain text, as net/http's. */
  private refuseTarget(out: Outgoing, error: unknown): void {
    if (!(error instanceof ApiError)) {
      this.logger.error('a request could not be taken apart', { error: toError(error) });
    }
    const text = Buffer.from('400 Bad Request');
    out.head(
      400,
      new Map([
        ['content-type', ['text/plain; charset=utf-8']],
        ['content-length', [String(text.length)]],
      ]),
    );
    out.write(text);
    out.end();
  }
}
