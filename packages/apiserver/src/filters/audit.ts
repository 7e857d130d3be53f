/**
 * The station that writes down who asked for what and how it was answered: an event when a request came, one when it was
 * answered, for what lasts one when it began and one when it ended, and one for what nobody thought of. What is written
 * of a request its policy says; nothing of a body is kept where it does not ask for it.
 *
 * Modelled on apiserver's endpoints/filters/audit.go.
 */

import { assert, toError, type Clock } from '@keelson/base';

import type { ApiRequest, ApiResponse, Filter, Handler } from '../api/exchange.ts';
import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { ApiError, internalError, statusObject, unauthorized } from '../api/status.ts';
import type { AuditBackend } from '../audit/backend.ts';
import { eventOf, withoutManagedFields, type AuditedRequest } from '../audit/event.ts';
import type { AuditChoice, AuditPolicy, Level, Stage } from '../audit/policy.ts';
import { readJson } from '../codec/json-reader.ts';
import { asJson } from '../codec/object-codec.ts';
import { readYaml } from '../codec/yaml.ts';
import { isLongRunning } from './long-running.ts';
import { Until } from './until-over.ts';

export interface AuditOptions {
  readonly policy: AuditPolicy;
  readonly backend: AuditBackend;
  readonly clock: Clock;
  readonly observer: AuditFilterObserver;
}

/** Told what is counted. */
export interface AuditFilterObserver {
  level(level: Level): void;
  event(): void;
  /** A request that was refused because its event could not be written. */
  rejected(): void;
}

export function audit(options: AuditOptions): Filter {
  const { policy, observer } = options;
  return async (request, next) => {
    const choice = policy.choose(request.context.user, request.info);
    observer.level(choice.level);
    if (choice.level === 'None') return next(request);
    return new Audit(request, choice, options).follow(next);
  };
}

/** The station of authentication; a request that it refuses is written down as far as it is known. */
export function auditFailedAuthentication(options: AuditOptions, authenticate: Filter): Filter {
  return async (request, next) => {
    try {
      return await authenticate(request, next);
    } catch (error) {
      const refused = error instanceof ApiError && error.code === 401 && request.context.user === undefined;
      if (!refused) throw error;
      const choice = options.policy.choose(undefined, request.info);
      if (choice.level !== 'None') await new Audit(request, choice, options).unauthenticated();
      throw error;
    }
  };
}

/** One request from its first event to its last. */
class Audit {
  private readonly request: ApiRequest;
  private readonly choice: AuditChoice;
  private readonly options: AuditOptions;
  private readonly facts: AuditedRequest;

  constructor(request: ApiRequest, choice: AuditChoice, options: AuditOptions) {
    const { context, info, headers } = request;
    const { clock } = options;
    this.request = request;
    this.choice = choice;
    this.options = options;
    this.facts = {
      level: choice.level,
      auditId: context.auditId,
      uri: context.target ?? targetOf(request),
      info,
      sourceIPs: sourceAddresses(request),
      userAgent: headers.get('user-agent')?.[0] ?? '',
      receivedMs: clock.nowMs() - Math.max(0, clock.monotonicMs() - context.receivedMs),
      annotations: context.auditAnnotations,
      user: context.user,
      impersonated: undefined,
      requestObject: undefined,
      responseObject: undefined,
      responseStatus: undefined,
    };
    const { verb } = info;
    const writes = verb === 'create' || verb === 'update';
    // Of what is written, also an event without objects tells the name.
    if (choice.level === 'Request' || choice.level === 'RequestResponse' || writes) {
      context.audit = {
        requestObject: (object) => {
          this.facts.requestObject = this.shown(object);
        },
        requestPatch: (body) => {
          this.facts.requestObject = patchOf(body.toString('utf8'));
        },
      };
    }
  }

  async follow(next: Handler): Promise<ApiResponse> {
    if (!(await this.tell('RequestReceived'))) {
      this.options.observer.rejected();
      throw internalError(new Error('failed to store audit event'));
    }
    let response: ApiResponse;
    try {
      response = await next(this.request);
    } catch (error) {
      await this.failed(error);
      throw error;
    }
    this.impersonation();
    this.answered(response);
    if (isLongRunning(this.request.info)) await this.tell('ResponseStarted');
    if (response.kind === 'stream') return { ...response, chunks: this.toTheEnd(response.chunks) };
    if (response.kind === 'switch') return this.joined(response);
    await this.tell('ResponseComplete');
    return response;
  }

  async unauthenticated(): Promise<void> {
    const { status } = unauthorized();
    this.facts.responseStatus = statusOf(statusObject(status), status.code);
    if (this.choice.level === 'RequestResponse') this.facts.responseObject = statusObject(status);
    await this.tell('ResponseStarted');
  }

  private async failed(failure: unknown): Promise<void> {
    this.impersonation();
    const error = this.refusal(failure);
    if (error instanceof ApiError) {
      this.facts.responseStatus = statusOf(statusObject(error.status), error.code);
      if (this.choice.level === 'RequestResponse') this.facts.responseObject = statusObject(error.status);
      if (isLongRunning(this.request.info)) await this.tell('ResponseStarted');
      await this.tell('ResponseComplete');
      return;
    }
    this.facts.responseStatus = {
      metadata: {},
      status: 'Failure',
      message: `APIServer panic'd: ${toError(error).message}`,
      reason: 'InternalError',
      code: 500,
    };
    await this.tell('Panic');
  }

  /** Who was given up (he went away, or his time was up) is no panic, whatever those say who worked for him. */
  private refusal(error: unknown): unknown {
    const { signal } = this.request;
    if (error instanceof ApiError || !signal.aborted) return error;
    return signal.reason instanceof ApiError ? signal.reason : internalError(new Error('context canceled'));
  }

  private answered(response: ApiResponse): void {
    const { facts } = this;
    const whole = this.choice.level === 'RequestResponse';
    const object = response.kind === 'object' ? asJson(response.object) : undefined;
    const isStatus = isJsonObject(object) && object['kind'] === 'Status';
    facts.responseStatus = isStatus ? statusOf(object, response.code) : { metadata: {}, code: response.code };
    if (!whole) return;
    if (object !== undefined) facts.responseObject = this.shown(object);
    else if (response.kind === 'bytes' && response.contentType === 'application/json') {
      const { body } = response;
      const bytes = Buffer.isBuffer(body) ? body : Buffer.concat(body);
      facts.responseObject = this.shown(readJson(bytes.toString('utf8')));
    }
  }

  /** Impersonation is behind this station: who the request was for is known when it comes back. */
  private impersonation(): void {
    const { user, impersonator, impersonationConstraint } = this.request.context;
    if (impersonator === undefined) return;
    this.facts.impersonated = user;
    if (impersonationConstraint !== undefined) this.facts.impersonationConstraint = impersonationConstraint;
  }

  /** Nobody waits for the event: its stream is at its end, and its client gone. */
  private toTheEnd(chunks: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
    let over = false;
    return new Until(chunks, () => {
      if (!over) void this.tell('ResponseComplete');
      over = true;
    });
  }

  /** It is over when the connection is. */
  private joined(response: Extract<ApiResponse, { kind: 'switch' }>): ApiResponse {
    return {
      ...response,
      join: async (client) => {
        try {
          await response.join(client);
        } finally {
          await this.tell('ResponseComplete');
        }
      },
      abandon: () => {
        response.abandon();
        void this.tell('ResponseComplete');
      },
    };
  }

  private shown(object: Json): Json {
    return this.choice.omitManagedFields ? withoutManagedFields(object) : object;
  }

  private async tell(stage: Stage): Promise<boolean> {
    if (this.choice.omitStages.has(stage)) return true;
    this.options.observer.event();
    return this.options.backend.process(eventOf(this.facts, stage, this.options.clock.nowMs()));
  }
}

/** A patch as it was sent: JSON, YAML as JSON, and what is neither as text. */
function patchOf(text: string): Json {
  for (const read of [readJson, readYaml]) {
    try {
      return read(text);
    } catch (error) {
      // The handler refuses it; what was sent is written down all the same.
      assert(error instanceof Error, 'readers throw errors');
    }
  }
  return text;
}

/** What events say of a Status. */
function statusOf(status: JsonObject, code: number): JsonObject {
  const members = ['status', 'message', 'reason', 'details'].flatMap((name) =>
    status[name] === undefined ? [] : [[name, status[name]] as const],
  );
  return { metadata: {}, ...Object.fromEntries(members), code };
}

/** Whom the request came from: proxies say so in front of the peer. */
function sourceAddresses({ headers, peer }: ApiRequest): string[] {
  const forwarded = (headers.get('x-forwarded-for') ?? [])
    .flatMap((value) => value.split(','))
    .map((address) => address.trim())
    .filter((address) => isAddress(address));
  const real = headers.get('x-real-ip')?.[0]?.trim() ?? '';
  const found = [...forwarded];
  if (isAddress(real) && !found.includes(real)) found.push(real);
  if (peer.address !== '' && found.at(-1) !== peer.address) found.push(peer.address);
  return found;
}

function isAddress(text: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(text) || (/^[0-9a-fA-F:.]+$/.test(text) && text.includes(':'));
}

/** Of a request that did not come through a door. */
function targetOf({ path, query }: ApiRequest): string {
  const text = query.toString();
  return text === '' ? path : `${path}?${text}`;
}
