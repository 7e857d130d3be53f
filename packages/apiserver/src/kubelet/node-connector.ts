/**
 * How a server reaches nodes, pods and services: logs read from kubelets, commands and ports connected to them, any other
 * request handed on. Kubelets are shown our certificate and must show one of their authority, where there is one; others
 * are shown nothing, least of all what the client showed us. What is not reached is told in the original's words.
 *
 * Modelled on kubernetes' registry/core/pod/rest and kubelet/client, and on apiserver's util/proxy.
 */

import { assert, goQuote, type Clock } from '@keelson/base';

import type { ApiRequest, ApiResponse, Headers } from '../api/exchange.ts';
import {
  ApiError,
  badRequest,
  forbidden,
  internalError,
  serviceUnavailable,
  tooManyRequests,
} from '../api/status.ts';
import { fieldsOf, textOf } from '../api/fields.ts';
import type { Authorizer } from '../api/user-info.ts';
import { attributesOf } from '../authz/attributes.ts';
import {
  BackendError,
  hostPort,
  type BackendAnswer,
  type BackendSwitch,
  type BackendTarget,
} from '../outbound/backend.ts';
import type { BackendCaller } from '../outbound/backend-caller.ts';
import { handOn } from '../outbound/hand-on.ts';
import { PacedConnection } from '../outbound/paced-connection.ts';
import {
  isGlobalUnicast,
  NOT_ALLOWED,
  plainError,
  type KubeletSettings,
  type Target,
} from '../registry/core/connection-targets.ts';
import type { Connection, Connector } from '../registry/core/connections.ts';
import type { ResourceCall } from '../registry/resource.ts';
import { refusalOf } from './kubelet-refusal.ts';
import { parseAddress } from '../validation/addresses.ts';
import {
  COMMAND_PROTOCOLS,
  TRANSLATED_PROTOCOL,
  translateCommand,
  type CommandBackend,
} from './command-translation.ts';
import { escapedPath, rewrittenUrl } from './go-path.ts';
import { attributeText } from './html-links.ts';
import { withLinks } from './page-links.ts';
import { tunnelledProtocols, tunnelPorts, tunnelProtocol } from './port-tunnel.ts';
import { acceptHeaders, offeredProtocols } from './websocket.ts';

export interface NodeConnectorOptions {
  readonly caller: BackendCaller;
  readonly clock: Pick<Clock, 'setTimer'>;
  readonly kubelets: KubeletSettings & KubeletTrust;
  /** Who says whether a user may create where he gets; everybody may without. */
  readonly authorizer?: Authorizer;
  /** Another place for an address, once it was found good; the address itself unless said. For harnesses. */
  readonly route?: (host: string, port: number) => { readonly host: string; readonly port: number };
}

/** --kubelet-certificate-authority, --kubelet-client-certificate and -key, PEM. */
export interface KubeletTrust {
  /** Empty: any certificate is taken. */
  readonly authority: string;
  readonly pair?: { readonly cert: string; readonly key: string };
  /** --kubelet-timeout: until a connection is there, ms. What a kubelet then does may take its time: commands, profiles. */
  readonly dialMs?: number;
  /** --max-connection-bytes-per-sec; no bound without. */
  readonly bytesPerSecond?: number;
}

/** What a node says that speaks v5 and tunnels by itself. */
const SPEAKS_WEBSOCKETS = 'ExtendWebSocketsToKubelet';
const PROTOCOL_VERSION = 'x-stream-protocol-version';
const SPDY = 'SPDY/3.1';
/** How a browser shows its token where it can set no header. */
const BEARER_PROTOCOL = 'base64url.bearer.authorization.k8s.io.';
const TEXT_BYTES_MAX = 50_000;
const SWITCH_MS = 60_000;

export class NodeConnector implements Connector {
  readonly kubelets: KubeletSettings & KubeletTrust;
  private readonly options: NodeConnectorOptions;

  constructor(options: NodeConnectorOptions) {
    this.options = options;
    this.kubelets = options.kubelets;
  }

  async mayAlso(verb: 'create', { request, info }: ResourceCall): Promise<void> {
    const { authorizer } = this.options;
    if (info.verb === verb || authorizer === undefined) return;
    const { user } = request.context;
    assert(user !== undefined, 'a request reaches a handler without a user');
    const { kind, reason } = await authorizer.authorize({ ...attributesOf(user, info), verb });
    if (kind !== 'allow') throw forbidden({ group: info.group, resource: info.resource }, info.name, reason);
  }

  connect(connection: Connection, { request, name }: ResourceCall): Promise<ApiResponse> {
    switch (connection.kind) {
      case 'log':
        return this.log(connection, request, name);
      case 'command':
        return this.command(connection, request);
      case 'ports':
        return this.ports(connection, request);
      case 'proxy':
        return this.proxy(connection, request);
    }
  }

  private async log(
    { target, verified, follow }: Extract<Connection, { kind: 'log' }>,
    request: ApiRequest,
    name: string,
  ): Promise<ApiResponse> {
    const backend = this.kubeletTarget(target, verified);
    let answer: BackendAnswer;
    try {
      answer = await this.options.caller.send(backend, {
        method: 'GET',
        target: pathOf(target),
        headers: new Map([['host', [hostOf(backend)]]]),
        signal: request.signal,
      });
    } catch (error) {
      throw told(error, (why) => plainError(`Get ${goQuote(urlOf(target))}: ${why}`));
    }
    if (answer.code >= 300 && answer.code <= 399) {
      answer.abandon();
      throw plainError(`Get ${goQuote(answer.headers.get('location')?.[0] ?? '')}: redirects forbidden`);
    }
    if (answer.code < 200 || answer.code > 206)
      throw refusalOf(answer.code, await textOfAnswer(answer), name);
    return {
      kind: 'stream',
      code: 200,
      contentType: 'text/plain',
      chunks: answer.chunks,
      finite: !follow,
      asIs: true,
    };
  }

  private async command(
    { target, streams, features }: Extract<Connection, { kind: 'command' }>,
    request: ApiRequest,
  ): Promise<ApiResponse> {
    if (request.upgrade === undefined) throw badRequest('Upgrade request required');
    const translated =
      isWebSocket(request) && offeredProtocols(request.headers).includes(TRANSLATED_PROTOCOL);
    if (!translated || features.includes(SPEAKS_WEBSOCKETS)) return await this.passOn(target, request);
    const headers = acceptHeaders(request.headers, TRANSLATED_PROTOCOL);
    if (headers === undefined) return badHandshake();
    return {
      kind: 'switch',
      code: 101,
      headers,
      join: (client) =>
        translateCommand(client, streams, () => this.dialCommand(target, request), this.options.clock),
      abandon: () => undefined,
    };
  }

  /** @throws ApiError with what the kubelet said, Error in client-go's words */
  private async dialCommand(target: Target, request: ApiRequest): Promise<CommandBackend> {
    const result = await this.switched(
      target,
      request,
      COMMAND_PROTOCOLS,
      (why) => new Error(`error sending request: Post ${goQuote(urlOf(target))}: ${why}`),
    );
    if (result.kind === 'answer') throw upgradeRefusal(await textOfAnswer(result));
    const protocol = result.headers.get(PROTOCOL_VERSION)?.[0] ?? '';
    if (!isSpdy(result.headers) || !COMMAND_PROTOCOLS.includes(protocol)) {
      result.connection.destroy();
      throw new Error(`unable to upgrade connection: the kubelet chose ${goQuote(protocol)}`);
    }
    return { connection: result.connection, protocol };
  }

  private async ports(
    { target, features }: Extract<Connection, { kind: 'ports' }>,
    request: ApiRequest,
  ): Promise<ApiResponse> {
    if (request.upgrade === undefined) throw badRequest('Upgrade request required');
    const offered = isWebSocket(request) ? offeredProtocols(request.headers) : [];
    const tunnelled = tunnelledProtocols(offered);
    if (tunnelled.length === 0 || features.includes(SPEAKS_WEBSOCKETS))
      return await this.passOn(target, request);
    if (acceptHeaders(request.headers, '') === undefined) return badHandshake();
    const result = await this.switched(target, request, tunnelled, dialFailure);
    if (result.kind === 'answer') return handBack(result);
    const { connection } = result;
    const protocol = tunnelProtocol(result.headers.get(PROTOCOL_VERSION)?.[0] ?? '');
    const headers = acceptHeaders(request.headers, protocol);
    if (!isSpdy(result.headers) || headers === undefined) {
      connection.destroy();
      throw plainError('unable to upgrade: missing upgrade headers in response');
    }
    return {
      kind: 'switch',
      code: 101,
      headers,
      join: (client) => tunnelPorts(client, connection, this.options.clock),
      abandon: () => connection.destroy(),
    };
  }

  /**
   * Asks a kubelet to go over to SPDY.
   *
   * @param protocols of streams, any of which will do
   * @param say what a failure to reach it comes to
   */
  private async switched(
    target: Target,
    request: ApiRequest,
    protocols: readonly string[],
    say: (why: string) => Error,
  ): Promise<BackendSwitch | BackendAnswer> {
    const backend = this.kubeletTarget(target, true);
    try {
      const result = await this.options.caller.upgrade(backend, {
        method: 'POST',
        target: pathOf(target),
        headers: new Map([
          ['host', [hostOf(backend)]],
          ['connection', ['Upgrade']],
          ['upgrade', [SPDY]],
          [PROTOCOL_VERSION, protocols],
          ['content-length', ['0']],
        ]),
        signal: request.signal,
        answerMs: SWITCH_MS,
      });
      const { bytesPerSecond } = this.kubelets;
      if (result.kind === 'answer' || bytesPerSecond === undefined) return result;
      const { connection } = result;
      return {
        ...result,
        connection: new PacedConnection(connection, bytesPerSecond, this.options.clock),
      };
    } catch (error) {
      throw told(error, say);
    }
  }

  /** An upgrade that the kubelet understands by itself. */
  private async passOn(target: Target, request: ApiRequest): Promise<ApiResponse> {
    const { caller, clock } = this.options;
    const backend = this.kubeletTarget(target, true);
    try {
      return await handOn(request, {
        caller,
        clock,
        target: backend,
        path: pathOf(target),
        host: hostOf(backend),
        headers: withoutToken(request.headers),
        drop: isOurs,
        ...this.pace(),
        endless: true,
      });
    } catch (error) {
      throw told(error, dialFailure);
    }
  }

  private async proxy(
    { target, kubelet }: Extract<Connection, { kind: 'proxy' }>,
    request: ApiRequest,
  ): Promise<ApiResponse> {
    const { caller, clock } = this.options;
    const asked = request.context.target ?? request.path;
    const mark = asked.indexOf('?');
    const askedPath = mark < 0 ? asked : asked.slice(0, mark);
    const rooted = target.path !== '' || !askedPath.endsWith('/') ? target.path : '/';
    if (
      request.upgrade === undefined &&
      rooted === '' &&
      (request.method === 'GET' || request.method === 'HEAD')
    ) {
      const location = `${askedPath}/${mark < 0 ? '' : asked.slice(mark)}`;
      return {
        kind: 'bytes',
        code: 301,
        contentType: '',
        body: Buffer.alloc(0),
        headers: new Map([['location', [location]]]),
      };
    }
    const backend = kubelet ? this.kubeletTarget(target, true) : this.openTarget(target);
    const path = escapedPath(rooted);
    const prefix = askedPath.endsWith(path) ? askedPath.slice(0, askedPath.length - path.length) : askedPath;
    const host = request.headers.get('host')?.[0] ?? hostOf(backend);
    const rewriting = { prefix, backend: hostPort(target.host, backend.port), asked: host };
    try {
      const answer = await handOn(request, {
        caller,
        clock,
        target: backend,
        path: `${path === '' ? '/' : path}${target.query === '' ? '' : `?${target.query}`}`,
        host,
        headers: new Map([...withoutToken(request.headers), ['x-forwarded-uri', [askedPath]]]),
        drop: isOurs,
        ...this.pace(),
        rewriteLocation: (location) => rewrittenUrl(location, rewriting),
        endless: false,
      });
      if (answer.kind !== 'stream' || request.method === 'HEAD') return answer;
      const inPage = { ...rewriting, prefix: attributeText(prefix) };
      return withLinks(answer, (link) => rewrittenUrl(link, inPage));
    } catch (error) {
      throw told(error, (why) =>
        request.upgrade === undefined
          ? serviceUnavailable(`error trying to reach service: ${why}`)
          : dialFailure(why),
      );
    }
  }

  private pace(): { readonly bytesPerSecond?: number } {
    const { bytesPerSecond } = this.kubelets;
    return bytesPerSecond === undefined ? {} : { bytesPerSecond };
  }

  private kubeletTarget(target: Target, verified: boolean): BackendTarget {
    const { authority, pair, dialMs } = this.kubelets;
    return {
      ...this.routed(target.host, portOf(target)),
      ...(dialMs === undefined ? {} : { dialMs }),
      tls: {
        caBundle: authority,
        serverName: target.host,
        http2: true,
        ...(pair === undefined ? {} : { pair }),
        ...(authority === '' || !verified ? { unverified: true } : {}),
      },
    };
  }

  /** A server that anybody may have put there. @throws ApiError BadRequest for an address of this machine or link */
  private openTarget(target: Target): BackendTarget {
    const check = (address: string): void => {
      if (!isGlobalUnicast(address)) throw badRequest(NOT_ALLOWED);
    };
    const isAddress = parseAddress(target.host) !== undefined;
    if (isAddress) check(target.host);
    return {
      ...this.routed(target.host, portOf(target)),
      ...(isAddress ? {} : { checkAddress: check }),
      ...(target.scheme === 'https'
        ? { tls: { caBundle: '', serverName: target.host, unverified: true } }
        : {}),
    };
  }

  private routed(host: string, port: number): { readonly host: string; readonly port: number } {
    return this.options.route?.(host, port) ?? { host, port };
  }
}

/** @throws ApiError for a port that is no number: nobody knows names of ports here */
function portOf({ port, scheme }: Target): number {
  if (port === '') return scheme === 'https' ? 443 : 80;
  if (/^\d{1,5}$/.test(port) && Number(port) <= 65_535) return Number(port);
  throw serviceUnavailable(`error trying to reach service: dial tcp: lookup tcp/${port}: unknown port`);
}

function pathOf({ path, query }: Target): string {
  return `${escapedPath(path)}${query === '' ? '' : `?${query}`}`;
}

function urlOf(target: Target): string {
  return `${target.scheme}://${hostPort(target.host, portOf(target))}${pathOf(target)}`;
}

function hostOf({ host, port }: BackendTarget): string {
  return hostPort(host, port);
}

function isWebSocket({ upgrade }: ApiRequest): boolean {
  return upgrade?.toLowerCase() === 'websocket';
}

function isSpdy(headers: Headers): boolean {
  return (headers.get('upgrade') ?? []).some((value) => value.toLowerCase().includes('spdy/3.1'));
}

/** What the client showed to us, and not to those behind us. */
function isOurs(name: string): boolean {
  return name === 'authorization' || name.startsWith('impersonate-') || name.startsWith('x-remote-');
}

/** Protocols without the one that is a token. */
function withoutToken(headers: Headers): Map<string, readonly string[]> {
  if (!headers.has('sec-websocket-protocol')) return new Map();
  const kept = offeredProtocols(headers).filter((name) => !name.startsWith(BEARER_PROTOCOL));
  return new Map([['sec-websocket-protocol', kept.length === 0 ? [] : [kept.join(', ')]]]);
}

function dialFailure(why: string): ApiError {
  return plainError(`error dialing backend: ${why}`);
}

/** A failure to call, in words; other errors as they are. */
function told(error: unknown, say: (why: string) => Error): Error {
  if (error instanceof BackendError) {
    if (error.kind === 'limit') return tooManyRequests(error.message, 1);
    if (error.kind === 'exchange' && error.message.startsWith('invalid upgrade response'))
      return plainError(error.message);
    return say(error.message);
  }
  return error instanceof Error ? error : internalError(error);
}

function badHandshake(): ApiResponse {
  return {
    kind: 'bytes',
    code: 400,
    contentType: 'text/plain; charset=utf-8',
    body: Buffer.from('bad handshake\n'),
  };
}

/** What the kubelet said in place of switching, as it said it. */
function handBack(answer: BackendAnswer): ApiResponse {
  if (answer.code < 400) {
    answer.abandon();
    throw plainError(`invalid upgrade response: status code ${answer.code}`);
  }
  const contentType = answer.headers.get('content-type')?.[0] ?? '';
  return { kind: 'stream', code: answer.code, contentType, chunks: answer.chunks, finite: true, asIs: true };
}

/** The kubelet's Status, or its words. */
function upgradeRefusal(text: string): Error {
  try {
    const status = fieldsOf(JSON.parse(text));
    if (status['kind'] === 'Status' && typeof status['code'] === 'number') {
      return new ApiError({ code: status['code'], reason: '', message: textOf(status['message']) });
    }
  } catch {
    // No JSON: words.
  }
  return new Error(`unable to upgrade connection: ${text.trim()}`);
}

async function textOfAnswer(answer: BackendAnswer): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of answer.chunks) {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= TEXT_BYTES_MAX) break;
    }
  } catch {
    // What came of it is what is told.
  }
  return Buffer.concat(chunks).subarray(0, TEXT_BYTES_MAX).toString('utf8');
}
