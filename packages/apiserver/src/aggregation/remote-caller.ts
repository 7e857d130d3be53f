/**
 * Requests to aggregated servers, by whomever: where the service leads, how TLS is checked, who is said to ask. Handing
 * on what a client asks and asking for oneself (documents, whether it answers) go the same way.
 */

import type { Clock } from '@keelson/base';

import type { ApiRequest, ApiResponse } from '../api/exchange.ts';
import type { UserInfo } from '../api/user-info.ts';
import { hostPort, type BackendAnswer, type BackendTarget, type BackendTls } from '../outbound/backend.ts';
import type { BackendCaller } from '../outbound/backend-caller.ts';
import { handOn } from '../outbound/hand-on.ts';
import { identityOf, isIdentity, type IdentityHeaders } from './identity.ts';
import type { RemoteApi } from './remote-api.ts';
import type { Place, ServiceResolver } from './service-resolver.ts';

export interface RemoteCallerOptions {
  readonly caller: BackendCaller;
  readonly clock: Pick<Clock, 'setTimer'>;
  readonly resolver: ServiceResolver;
  readonly identity: IdentityHeaders;
  /** What --proxy-client-cert-file and -key-file hold now, PEM: they may be renewed. */
  readonly pair: () => { readonly cert: string; readonly key: string } | undefined;
  /** --aggregator-reject-forwarding-redirects. */
  readonly rejectRedirects: boolean;
  /** --request-timeout, ms: of what does not last as long as its client wants. */
  readonly timeoutMs: number;
  readonly isEndless: (request: ApiRequest) => boolean;
}

/** A request of the server's own. */
export interface OwnRequest {
  /** With its query. */
  readonly path: string;
  readonly accept?: string;
  /** The tag of what is known. */
  readonly etag?: string;
  readonly timeoutMs: number;
  /** Any certificate will do: nothing is told but whether somebody answers. */
  readonly unverified?: boolean;
  /** A longer body is refused. */
  readonly bytesMax: number;
  readonly signal?: AbortSignal;
}

export interface OwnAnswer {
  readonly code: number;
  readonly body: Buffer;
  readonly contentType: string;
  readonly etag: string;
}

/** Whom a server asks as: members of system:masters are let in everywhere. */
export const OWN_USER: UserInfo = {
  name: 'system:kube-aggregator',
  uid: '',
  groups: ['system:masters'],
  extra: {},
};
/** Where a bundle that holds no certificate is told of. */
const NO_CERTIFICATE = 'unable to load root certificates: unable to parse bytes as PEM block';

/** The bundle of an APIService cannot be used. */
export class BundleError extends Error {
  override readonly name = 'BundleError';
}

export class RemoteCaller {
  private readonly options: RemoteCallerOptions;

  constructor(options: RemoteCallerOptions) {
    this.options = options;
  }

  /** @throws Error where the service leads nowhere */
  place(api: RemoteApi): Place {
    return this.options.resolver.resolve(api.service);
  }

  /**
   * Hands a client's request on.
   *
   * @throws BundleError, BackendError
   */
  async handOn(api: RemoteApi, place: Place, request: ApiRequest, user: UserInfo): Promise<ApiResponse> {
    const { caller, clock, identity, rejectRedirects, timeoutMs, isEndless } = this.options;
    const { auditId, target = request.path } = request.context;
    const endless = isEndless(request);
    const host = hostPort(place.host, place.port);
    const headers = identityOf(identity, user);
    if (auditId !== '') headers.set('audit-id', [auditId]);
    if (request.upgrade === undefined) {
      headers.set('x-forwarded-uri', [target.split('?', 1)[0]]);
      headers.set('x-forwarded-host', [host]);
      headers.set('x-forwarded-proto', ['https']);
    }
    return await handOn(request, {
      caller,
      clock,
      target: this.targetOf(api, place, false),
      path: pathAndQuery(target, request.query),
      host,
      headers,
      drop: (name) => isIdentity(identity, name),
      ...(rejectRedirects ? {} : { rewriteLocation: (location) => location }),
      ...(endless ? {} : { wholeMs: timeoutMs }),
      endless,
    });
  }

  /**
   * Asks for the server itself.
   *
   * @throws BundleError, BackendError; Error for an answer that is too long or takes too long
   */
  async ask(api: RemoteApi, place: Place, asked: OwnRequest): Promise<OwnAnswer> {
    const { caller, clock, identity } = this.options;
    const headers = identityOf(identity, OWN_USER);
    headers.set('host', [hostPort(place.host, place.port)]);
    headers.set('user-agent', ['kube-apiserver']);
    if (asked.accept !== undefined) headers.set('accept', [asked.accept]);
    if (asked.etag !== undefined && asked.etag !== '') headers.set('if-none-match', [asked.etag]);
    const time = new AbortController();
    const timer = clock.setTimer(asked.timeoutMs, () => time.abort());
    const signal = asked.signal === undefined ? time.signal : AbortSignal.any([time.signal, asked.signal]);
    try {
      const answer = await caller.send(this.targetOf(api, place, asked.unverified ?? false), {
        method: 'GET',
        target: asked.path,
        headers,
        signal,
      });
      return await whole(answer, asked.bytesMax);
    } catch (error) {
      if (time.signal.aborted) {
        throw new Error('context deadline exceeded (Client.Timeout exceeded while awaiting headers)', {
          cause: error,
        });
      }
      throw error;
    } finally {
      timer.cancel();
    }
  }

  private targetOf({ service, caBundle, unverified }: RemoteApi, place: Place, any: boolean): BackendTarget {
    const pair = this.options.pair();
    const shown: Pick<BackendTls, 'pair'> = pair === undefined ? {} : { pair };
    if (any || unverified) {
      return {
        ...place,
        tls: { caBundle: '', serverName: nameOf(service), unverified: true, http2: true, ...shown },
      };
    }
    if (caBundle !== '' && !caBundle.includes('-----BEGIN CERTIFICATE-----')) {
      throw new BundleError(NO_CERTIFICATE);
    }
    return { ...place, tls: { caBundle, serverName: nameOf(service), http2: true, ...shown } };
  }
}

/** The name that certificates of aggregated servers are for, however they are reached. */
function nameOf({ namespace, name }: RemoteApi['service']): string {
  return `${name}.${namespace}.svc`;
}

/**
 * The path as it came, and the query as this server read it, so that nobody reads another one out of it: by key, as Go
 * writes it.
 */
function pathAndQuery(target: string, query: URLSearchParams): string {
  const path = target.split('?', 1)[0];
  const sorted = new URLSearchParams(query);
  sorted.sort();
  const text = sorted.toString();
  return text === '' ? path : `${path}?${text}`;
}

async function whole(answer: BackendAnswer, bytesMax: number): Promise<OwnAnswer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of answer.chunks) {
    size += part.length;
    // To break off closes the connection.
    if (size > bytesMax) throw new Error(`the answer has more than ${bytesMax} bytes`);
    parts.push(part);
  }
  return {
    code: answer.code,
    body: Buffer.concat(parts, size),
    contentType: answer.headers.get('content-type')?.[0] ?? '',
    etag: answer.headers.get('etag')?.[0] ?? '',
  };
}
