/**
 * TLS between members, as the rooms of peer/ see it: who terminates it on the port, and how to dial. What
 * certificates must be is decided elsewhere; without it this member speaks plain HTTP only.
 */
import type { Agent, AgentOptions, ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { nodeHttp, toError, type Clock } from '@keelson/base';
import { splitHostPort } from '../config/urls.ts';
import { dialTls, type DialTarget, type DialTls } from '@keelson/rpc';

/** The server's side. */
export interface PeerTlsAcceptor {
  /** Takes a connection over; `served` gets it once the peer is who it must be. `nearby`: from a unix socket. */
  accept(
    socket: Socket,
    head: Buffer | undefined,
    served: (socket: TLSSocket) => void,
    nearby?: boolean,
  ): void;
  /** Ends what is in its handshake. */
  close(): void;
}

export interface PeerTls {
  /** Undefined when this member has no certificate. */
  readonly acceptor: PeerTlsAcceptor | undefined;
  readonly dial: DialTls;
}

/** etcd's peers offer no protocol: what they speak is HTTP/1.1. */
const PROTOCOLS: readonly string[] = ['http/1.1'];

/** Where a connection goes, and from where; without a local address as the system chooses. */
export type PeerTarget = DialTarget & { readonly localAddress?: string | undefined };

/** A connection to a peer over TLS. @throws when the files of our certificate cannot be used */
export function dialPeer(target: PeerTarget, dial: DialTls, clock: Clock): TLSSocket {
  return dialTls(target, dial, PROTOCOLS, () => clock.nowMs());
}

/** Carries a request to a peer in the network's place: a simulation's way. */
export type PeerCarrier = (
  url: URL,
  options: RequestOptions,
  answered: (response: IncomingMessage) => void,
) => ClientRequest;

/** An agent for requests to peer URLs of both schemes; `peerRequest` finds its secure half. */
export class PeerAgent extends nodeHttp().Agent {
  readonly secure: HttpsAgent;
  readonly carrier: PeerCarrier | undefined;

  /** @param dial undefined: https is dialled as the runtime does it */
  constructor(
    options: AgentOptions | undefined,
    dial: DialTls | undefined,
    clock: Clock,
    carrier?: PeerCarrier,
  ) {
    super(options);
    this.carrier = carrier;
    this.secure = dial === undefined ? new HttpsAgent(options) : new SecureAgent(options, dial, clock);
  }

  override destroy(): void {
    super.destroy();
    this.secure.destroy();
  }
}

class SecureAgent extends HttpsAgent {
  private readonly dial: DialTls;
  private readonly clock: Clock;

  constructor(options: AgentOptions | undefined, dial: DialTls, clock: Clock) {
    super(options);
    this.dial = dial;
    this.clock = clock;
  }

  override createConnection(
    options: RequestOptions,
    done?: (error: Error | null, socket: Duplex) => void,
  ): Duplex | undefined {
    try {
      const { host = '', port, localAddress, socketPath } = options;
      const target =
        typeof socketPath === 'string'
          ? { path: socketPath, serverName: host ?? '' }
          : { host: host ?? '', port: Number(port), localAddress };
      return dialPeer(target, this.dial, this.clock);
    } catch (error) {
      // Node takes an error without a socket; its types do not say so.
      Reflect.apply(done ?? noop, undefined, [toError(error)]);
      return undefined;
    }
  }
}

function noop(): void {}

/** A request to a peer's URL (see `peerLocation`) over `agent`. */
export function peerRequest(
  url: URL,
  options: RequestOptions & { readonly agent: Agent },
  answered: (response: IncomingMessage) => void,
): ClientRequest {
  const { agent } = options;
  if (agent instanceof PeerAgent && agent.carrier !== undefined) return agent.carrier(url, options, answered);
  const secured = agent instanceof PeerAgent ? { ...options, agent: agent.secure } : options;
  switch (url.protocol) {
    case 'https:':
      return httpsRequest(url, secured, answered);
    case 'unix:':
      return nodeHttp().request({ ...options, ...atSocket(url) }, answered);
    case 'unixs:':
      return httpsRequest({ ...secured, ...atSocket(url) }, answered);
    default:
      return nodeHttp().request(url, options, answered);
  }
}

function atSocket(url: URL): RequestOptions {
  const socketPath = decodeURIComponent(url.host);
  return {
    socketPath,
    host: splitHostPort(socketPath)?.host ?? 'localhost',
    path: url.pathname + url.search,
  };
}
