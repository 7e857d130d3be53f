/**
 * One HTTP request to a peer: dialled with a timeout, watched for silence, its short answer read within a
 * bound. Each request has its own connection: posts happen only while a stream is missing, and a reused
 * connection that the other end has just closed would lose a raft message and call the peer unreachable.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import { type Socket, connect } from 'node:net';
import { type Timer, hexId, nodeHttp } from '@keelson/base';
import type { NodeId } from '@keelson/raft';
import { dialErrorText } from '@keelson/rpc';
import { Deadline } from './deadline.ts';
import { PeerError } from './peer-error.ts';
import { refusal, requestHeaders } from './peer-identity.ts';
import type { PeerContext } from './peer-options.ts';
import { dialPeer } from './peer-tls.ts';
import type { PeerUrl } from './url-picker.ts';

/** Most of an answer's body that is read; the texts that matter have 20 bytes. */
const ANSWER_BYTES_MAX = 4 * 1024;

export interface DialOptions {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Record<string, string>;
}

/**
 * Starts a request. Exactly one of `onResponse` and `onError` is called first; `onError` also reports
 * what breaks the connection later, and must expect more than one call.
 */
export function dial(
  context: PeerContext,
  url: PeerUrl,
  options: DialOptions,
  onResponse: (response: IncomingMessage) => void,
  onError: (error: Error) => void,
): ClientRequest {
  const request = nodeHttp().request({
    host: url.host,
    port: url.port,
    method: options.method,
    path: options.path,
    headers: options.headers,
    createConnection: () => connectTo(context, url),
    insecureHTTPParser: false,
  });
  let timer: Timer | undefined = context.clock.setTimer(context.limits.dialTimeoutMs, () =>
    request.destroy(new PeerError('TIMEOUT', 'dial')),
  );
  const connected = (): void => {
    timer?.cancel();
    timer = undefined;
  };
  request.on('socket', (socket) => {
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 30_000);
    if (url.secure) socket.once('secureConnect', connected);
    else if (socket.connecting) socket.once('connect', connected);
    else connected();
  });
  request.on('close', connected);
  request.on('error', (error) => {
    // A request that never had a socket does not close.
    connected();
    const text = dialErrorText(error);
    onError(text === error.message ? error : new PeerError('CONNECTION', text, { cause: error }));
  });
  request.on('response', onResponse);
  return request;
}

/** A connection of its own. @throws what keeps TLS from being dialled at all; node makes it the request's error */
function connectTo(context: PeerContext, url: PeerUrl): Socket {
  const { host, port, socketPath } = url;
  const { localAddress } = context;
  if (!url.secure) {
    if (socketPath !== '') return connect({ path: socketPath });
    return connect({ host, port, ...(localAddress !== undefined && { localAddress }) });
  }
  if (context.tls !== undefined) {
    const target = socketPath === '' ? { host, port, localAddress } : { path: socketPath, serverName: host };
    return dialPeer(target, context.tls.dial, context.clock);
  }
  throw new PeerError('INVALID_URL', `${url.href}: this member speaks plain HTTP only`);
}

/** Reads an answer's body up to a small bound and gives it as text; what is beyond is cut off. */
export function readAnswer(response: IncomingMessage, done: (body: string) => void): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let finished = false;
  const finish = (): void => {
    if (finished) return;
    finished = true;
    done(Buffer.concat(chunks).toString('utf8').slice(0, ANSWER_BYTES_MAX));
  };
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    chunks.push(chunk);
    if (bytes < ANSWER_BYTES_MAX) return;
    finish();
    response.destroy();
  });
  response.on('end', finish);
  response.on('close', finish);
  response.on('error', finish);
}

/** A POST under way. */
export interface Post {
  readonly request: ClientRequest;
  /** Resolves on 204; rejects with a PeerError. Never rejects unhandled. */
  readonly answered: Promise<void>;
  /** Waits for the other end (or our writes) until `timeoutMs` pass without the next call of this. */
  expectWithin(timeoutMs: number): void;
  /** Stops the clock: the next step is ours and may take its time. */
  rest(): void;
  /** Ends it: `answered` rejects with `error`. */
  abort(error: PeerError): void;
}

/** Opens a POST to a peer; the caller writes the body to `request` and ends it. */
export function openPost(
  context: PeerContext,
  url: PeerUrl,
  to: NodeId,
  path: string,
  contentType: string,
  contentLength: number,
): Post {
  const headers = requestHeaders(context.identity);
  headers['Content-Type'] = contentType;
  headers['Content-Length'] = String(contentLength);
  headers['X-Raft-To'] = hexId(to);
  let deadline: Deadline | undefined;
  let settled = false;
  let settle!: (error: PeerError | undefined) => void;
  const answered = new Promise<void>((resolve, reject) => {
    settle = (error) => {
      settled = true;
      deadline?.stop();
      if (error === undefined) resolve();
      else reject(error);
    };
  });
  answered.catch(() => {}); // its reader may still be busy writing the body
  const fail = (error: Error): void => {
    settle(error instanceof PeerError ? error : new PeerError('CONNECTION', error.message, { cause: error }));
  };
  const request = dial(
    context,
    url,
    { method: 'POST', path, headers },
    (response) => {
      readAnswer(response, (body) => {
        settle(response.statusCode === 204 ? undefined : refusal(response.statusCode ?? 0, body));
        request.destroy();
      });
    },
    fail,
  );
  request.on('close', () => fail(new PeerError('CONNECTION', 'closed before the answer')));
  const abort = (error: PeerError): void => {
    settle(error);
    request.destroy(error);
  };
  return {
    request,
    answered,
    abort,
    expectWithin(timeoutMs) {
      deadline?.stop();
      if (settled) return;
      deadline = new Deadline(context.clock, timeoutMs, () => abort(new PeerError('TIMEOUT')));
      deadline.touch();
    },
    rest() {
      deadline?.stop();
    },
  };
}
