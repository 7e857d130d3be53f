/**
 * Tokens as requests carry them: in the Authorization header, or, where a browser can set none, as a
 * subprotocol of a WebSocket. Modelled on apiserver's bearertoken and websocket authenticators.
 */

import type { ApiRequest } from '../api/exchange.ts';
import {
  AuthenticationError,
  type Authenticated,
  type RequestAuthenticator,
  type TokenAuthenticator,
} from './authenticator.ts';

export const WEBSOCKET_PROTOCOL = 'sec-websocket-protocol';
/** Of a token that nobody knows. */
export const INVALID_TOKEN = 'invalid bearer token';
const PROTOCOL_PREFIX = 'base64url.bearer.authorization.k8s.io.';

/** Asks about the token of the Authorization header. */
export class BearerToken implements RequestAuthenticator {
  private readonly tokens: TokenAuthenticator;

  constructor(tokens: TokenAuthenticator) {
    this.tokens = tokens;
  }

  async authenticate(request: ApiRequest): Promise<Authenticated | undefined> {
    const header = request.headers.get('authorization')?.[0]?.trim() ?? '';
    const parts = header.split(' ');
    if (parts.length < 2 || parts[0].toLowerCase() !== 'bearer') return undefined;
    if (parts[1] === '') {
      request.warn(
        'the provided Authorization header contains extra space before the bearer token, and is ignored',
      );
      return undefined;
    }
    return known(this.tokens, parts[1]);
  }
}

/** Asks about the token among the subprotocols of a WebSocket. */
export class WebSocketToken implements RequestAuthenticator {
  private readonly tokens: TokenAuthenticator;

  constructor(tokens: TokenAuthenticator) {
    this.tokens = tokens;
  }

  async authenticate(request: ApiRequest): Promise<Authenticated | undefined> {
    if (request.headers.get('upgrade')?.[0]?.toLowerCase() !== 'websocket') return undefined;
    const all = protocols(request.headers.get(WEBSOCKET_PROTOCOL) ?? []);
    const tokens = all.filter((one) => one.startsWith(PROTOCOL_PREFIX));
    if (tokens.length === 0) return undefined;
    if (tokens.length > 1) {
      throw new AuthenticationError('multiple base64.bearer.authorization tokens specified');
    }
    const encoded = tokens[0].slice(PROTOCOL_PREFIX.length);
    if (!/^[\w-]*$/.test(encoded) || encoded.length % 4 === 1) {
      throw new AuthenticationError('invalid base64.bearer.authorization token encoding');
    }
    const bytes = Buffer.from(encoded, 'base64url');
    const token = bytes.toString('utf8');
    if (!Buffer.from(token, 'utf8').equals(bytes)) {
      throw new AuthenticationError('invalid base64.bearer.authorization token');
    }
    if (token === '') return undefined;
    if (all.length === 1) throw new AuthenticationError('missing additional subprotocol');
    return known(this.tokens, token);
  }
}

async function known(tokens: TokenAuthenticator, token: string): Promise<Authenticated> {
  const found = await tokens.authenticateToken(token, []);
  if (found === undefined) throw new AuthenticationError(INVALID_TOKEN);
  return found;
}

function protocols(values: readonly string[]): string[] {
  return values.flatMap((value) => value.split(',')).map((one) => one.trim());
}

/** The subprotocols without the one that carries a token. */
export function withoutTokenProtocol(values: readonly string[]): string[] {
  return [
    protocols(values)
      .filter((one) => !one.startsWith(PROTOCOL_PREFIX))
      .join(','),
  ];
}
