/**
 * The peer port: takes streams, pipeline posts, snapshots and probes from the other members, each after
 * the checks that keep strangers out, and hands other paths to the rooms that own them. Every refusal
 * has etcd's status and text, since peers act on them. (etcd: rafthttp http.go; etcdhttp/peer.go.)
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createListener, type Server as NetServer, type Socket } from 'node:net';
import { AssertionError, type Timer, assert, hexId, nodeHttp } from '@keelson/base';
import { type Message, type NodeId } from '@keelson/raft';
import { decodePeerMessage, mayStep } from './codec.ts';
import { listenAt } from '../disk/unix-socket.ts';
import { Deadline } from './deadline.ts';
import { PeerError, peerErrorText } from './peer-error.ts';
import { checkRequest, headerOf, parseHexId } from './peer-identity.ts';
import type { PeerContext } from './peer-options.ts';
import type { PeerCounters } from './peer-status.ts';
import { probeAnswer } from './prober.ts';
import { type IncomingSnapshot, openIncomingSnapshot } from './snapshot-stream.ts';
import type { StreamKind } from './stream-writer.ts';

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void;
/** Path, or prefix when it ends in '/', to its handler. The longest match wins, as in Go's ServeMux. */
export type ExtraHandlers = ReadonlyMap<string, RequestHandler>;

/** What the server asks about members; the transport. */
export interface PeerDirectory {
  knows(id: NodeId): boolean;
  isCut(id: NodeId): boolean;
  countersOf(id: NodeId): PeerCounters | undefined;
  /** Gives a stream connection, headers sent, to its peer. */
  attach(id: NodeId, kind: StreamKind, socket: Socket): void;
  /** Remembers the URLs of a member that is not known yet. */
  introduce(id: NodeId, urls: readonly string[]): void;
}

/** Bytes of a refused request's body that are read before its connection is closed, as in Go's server. */
const DRAIN_BYTES_MAX = 256 * 1024;
/** After this stop() stops waiting for connections to end by themselves, ms. */
const STOP_GRACE_MS = 1_000;

/** An address: who listens, and who reads HTTP there; the same unless TLS is between them. */
interface Port {
  readonly listener: NetServer;
  readonly server: Server;
}

const SOCKET_OPTIONS = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 } as const;

export class PeerServer {
  private readonly context: PeerContext;
  private readonly directory: PeerDirectory;
  private readonly extra: ExtraHandlers;
  private readonly ports: Port[] = [];
  /** Senders whose snapshot is being received. */
  private readonly receiving = new Set<NodeId>();
  /** Whether raft is there to take messages. */
  ready = false;

  constructor(context: PeerContext, directory: PeerDirectory, extra: ExtraHandlers) {
    this.context = context;
    this.directory = directory;
    this.extra = extra;
  }

  /** @returns the port. @throws node's listen errors */
  async listen(host: string, port: number, secure: boolean): Promise<number> {
    const listener = this.port(secure, false);
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.listen(port, host, () => {
        listener.off('error', reject);
        resolve();
      });
    });
    this.watch(listener);
    const address = listener.address();
    assert(address !== null && typeof address === 'object', 'a TCP listener has an address');
    return address.port;
  }

  /** At a unix socket. @throws node's listen errors */
  async listenAt(path: string, secure: boolean): Promise<void> {
    const listener = this.port(secure, true);
    await listenAt(listener, path);
    this.watch(listener);
  }

  private port(secure: boolean, nearby: boolean): NetServer {
    const { limits } = this.context;
    const server = nodeHttp().createServer(
      {
        requestTimeout: 0, // a snapshot takes as long as it takes; silence has its own limit
        headersTimeout: limits.readTimeoutMs,
        keepAliveTimeout: limits.readTimeoutMs,
        connectionsCheckingInterval: 2_500,
        maxHeaderSize: 16 * 1024,
        ...SOCKET_OPTIONS,
      },
      this.onRequest,
    );
    const listener = secure ? this.behindTls(server, nearby) : server;
    listener.maxConnections = limits.serverConnectionsMax;
    this.ports.push({ listener, server });
    return listener;
  }

  private watch(listener: NetServer): void {
    listener.on('error', (error) =>
      this.context.logger.warn('peer listener failed', { error: error.message }),
    );
  }

  /** A listener whose connections reach `server` once TLS has let them through. */
  private behindTls(server: Server, nearby: boolean): NetServer {
    const acceptor = this.context.tls?.acceptor;
    assert(acceptor !== undefined, 'an https URL is listened on with a certificate');
    // It does not listen itself; without this its timeouts would not run.
    server.emit('listening');
    return createListener(SOCKET_OPTIONS, (socket) => {
      acceptor.accept(socket, undefined, (secured) => server.emit('connection', secured), nearby);
    });
  }

  /** Stops listening and ends what is open; resolves when the ports are free. */
  async stop(): Promise<void> {
    this.ready = false;
    this.context.tls?.acceptor?.close();
    await Promise.all(
      this.ports.map(
        ({ listener, server }) =>
          new Promise<void>((resolve) => {
            const timer: Timer = this.context.clock.setTimer(STOP_GRACE_MS, () =>
              server.closeAllConnections(),
            );
            listener.close(() => {
              timer.cancel();
              resolve();
            });
            server.closeIdleConnections();
          }),
      ),
    );
    this.ports.length = 0;
  }

  readonly onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    request.on('error', () => {}); // each handler learns of it where it reads
    response.on('error', () => {});
    const path = (request.url ?? '/').split('?', 1)[0];
    if (path === '/raft/probing') {
      answer(response, 200, probeAnswer(this.context.clock.nowMs()));
    } else if (path === '/raft' || path === '/raft/snapshot' || path.startsWith('/raft/stream/')) {
      this.raft(path, request, response);
    } else {
      const handler = this.extraFor(path);
      if (handler !== undefined) handler(request, response);
      else this.refuse(request, response, 404, '404 page not found');
    }
  };

  private extraFor(path: string): RequestHandler | undefined {
    const exact = this.extra.get(path);
    if (exact !== undefined) return exact;
    for (let end = path.lastIndexOf('/'); end >= 0; end = path.lastIndexOf('/', end - 1)) {
      const handler = this.extra.get(path.slice(0, end + 1));
      if (handler !== undefined || end === 0) return handler;
    }
    return undefined;
  }

  private raft(path: string, request: IncomingMessage, response: ServerResponse): void {
    const stream = path.startsWith('/raft/stream/');
    const method = stream ? 'GET' : 'POST';
    if (request.method !== method) {
      response.setHeader('Allow', method);
      this.refuse(request, response, 405, 'Method Not Allowed');
      return;
    }
    const { identity } = this.context;
    response.setHeader('X-Etcd-Cluster-ID', hexId(identity.clusterId));
    if (stream) response.setHeader('X-Server-Version', identity.serverVersion);
    const error = checkRequest(identity, request.headers);
    if (error !== undefined) {
      this.context.logger.warn('refused a request from a peer', {
        error: error.message,
        'remote-address': request.socket.remoteAddress,
        'remote-peer-server-name': headerOf(request.headers, 'x-server-from'),
        'remote-peer-cluster-id': headerOf(request.headers, 'x-etcd-cluster-id'),
        'local-member-cluster-id': hexId(identity.clusterId),
      });
      this.refuse(request, response, 412, peerErrorText(error.code));
      return;
    }
    if (!this.ready) {
      this.refuse(request, response, 503, 'raft is not started');
      return;
    }
    if (stream) {
      this.stream(path, request, response);
      return;
    }
    this.introduce(parseHexId(headerOf(request.headers, 'x-server-from')), request);
    const received = path === '/raft' ? this.pipeline(request, response) : this.snapshot(request, response);
    received.catch((failure: unknown) => {
      // Only a broken law gets here: let it end the member, as from any other turn.
      queueMicrotask(() => {
        throw failure;
      });
    });
  }

  private introduce(id: NodeId | undefined, request: IncomingMessage): void {
    const urls = headerOf(request.headers, 'x-peerurls');
    if (id !== undefined && urls !== '') this.directory.introduce(id, urls.split(','));
  }

  // ---- GET /raft/stream/<kind>/<id> -----------------------------------------------------------------

  private stream(path: string, request: IncomingMessage, response: ServerResponse): void {
    const { identity, handler } = this.context;
    const [kind, idText, more] = path.slice('/raft/stream/'.length).split('/');
    if ((kind !== 'msgapp' && kind !== 'message') || idText === undefined || more !== undefined) {
      this.refuse(request, response, 404, 'invalid path');
      return;
    }
    const from = parseHexId(idText);
    if (from === undefined) {
      this.refuse(request, response, 404, 'invalid from');
      return;
    }
    if (handler.isRemoved(from)) {
      this.refuse(request, response, 410, 'removed member');
      return;
    }
    if (!this.directory.knows(from)) {
      this.introduce(from, request);
      this.refuse(request, response, 404, 'error sender not found');
      return;
    }
    const serverFrom = headerOf(request.headers, 'x-server-from');
    if (
      headerOf(request.headers, 'x-raft-to') !== hexId(identity.memberId) ||
      (serverFrom !== '' && parseHexId(serverFrom) !== from)
    ) {
      this.refuse(request, response, 412, peerErrorText('MEMBER_MISMATCH'));
      return;
    }
    const socket = response.socket;
    if (socket === null) {
      request.destroy(); // pipelined behind another request: no client of ours does that
      return;
    }
    // The body is everything until the connection ends, so that frames are written as they are.
    response.removeHeader('Transfer-Encoding');
    response.setHeader('Connection', 'close');
    response.writeHead(200);
    response.flushHeaders();
    this.directory.attach(from, kind, socket);
  }

  // ---- POST /raft -----------------------------------------------------------------------------------

  private async pipeline(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { handler } = this.context;
    const sender = parseHexId(headerOf(request.headers, 'x-server-from'));
    let message: Message;
    let bytes: Buffer;
    try {
      bytes = await this.body(request);
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      this.countFailure(sender);
      const tooLarge = error instanceof PeerError && error.code === 'TOO_LARGE';
      this.refuse(request, response, tooLarge ? 413 : 400, 'error reading raft message');
      return;
    }
    try {
      message = decodePeerMessage(bytes);
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      this.countFailure(sender);
      this.refuse(request, response, 400, 'error unmarshalling raft message');
      return;
    }
    if (!this.maySend(message, sender, request, response)) return;
    const peer = sender ?? message.from;
    const counters = this.directory.countersOf(peer);
    if (counters !== undefined) {
      counters.receivedBytes += bytes.length;
      counters.receivedMessages++;
    }
    if (this.ready && !this.directory.isCut(peer)) handler.step(peer, message);
    response.writeHead(204);
    response.end();
  }

  /** Whether a posted message may be stepped; answers the request when not. */
  private maySend(
    message: Message,
    sender: NodeId | undefined,
    request: IncomingMessage,
    response: ServerResponse,
  ): boolean {
    const local = this.context.identity.memberId;
    if (this.context.handler.isRemoved(sender ?? message.from)) {
      this.countFailure(sender);
      response.setHeader('Content-Type', 'application/json');
      this.refuse(request, response, 403, '{"message":"cannot process message from removed member"}');
      return false;
    }
    if (message.to !== local) {
      // etcd answers 403 here too, and the sender then stops, believing itself removed; a stale URL must
      // not have that effect.
      this.countFailure(sender);
      this.refuse(request, response, 412, peerErrorText('MEMBER_MISMATCH'));
      return false;
    }
    if (!mayStep(message, local, sender ?? message.from)) {
      this.countFailure(sender);
      this.refuse(request, response, 400, 'wrong raft message type or sender');
      return false;
    }
    return true;
  }

  private countFailure(sender: NodeId | undefined): void {
    const counters = sender === undefined ? undefined : this.directory.countersOf(sender);
    if (counters !== undefined) counters.receivedFailures++;
  }

  /** The whole body. @throws PeerError 'TOO_LARGE' or 'TIMEOUT', or the connection's error */
  private async body(request: IncomingMessage): Promise<Buffer> {
    const { clock, limits } = this.context;
    const announced = Number(request.headers['content-length'] ?? 0);
    if (announced > limits.messageBytesMax) throw new PeerError('TOO_LARGE', `${announced} bytes`);
    const silence = new Deadline(clock, limits.readTimeoutMs, () =>
      request.destroy(new PeerError('TIMEOUT')),
    );
    silence.touch();
    return new Promise<Buffer>((resolve, reject) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      const fail = (error: Error): void => {
        silence.stop();
        reject(error);
      };
      request.on('data', (chunk: Buffer) => {
        silence.touch();
        bytes += chunk.length;
        if (bytes > limits.messageBytesMax) {
          request.removeAllListeners('data');
          fail(new PeerError('TOO_LARGE', `${bytes} bytes`));
        } else chunks.push(chunk);
      });
      request.on('end', () => {
        silence.stop();
        resolve(Buffer.concat(chunks, bytes));
      });
      request.on('error', fail);
      request.on('close', () => fail(new PeerError('CONNECTION')));
    });
  }

  // ---- POST /raft/snapshot --------------------------------------------------------------------------

  private async snapshot(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const sender = parseHexId(headerOf(request.headers, 'x-server-from'));
    let incoming: IncomingSnapshot;
    try {
      incoming = await openIncomingSnapshot(this.context, request);
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      this.countSnapshotFailure(sender);
      const tooLarge = error instanceof PeerError && error.code === 'TOO_LARGE';
      this.refuse(
        request,
        response,
        tooLarge ? 413 : 400,
        `failed to decode raft message (${textOf(error)})`,
      );
      return;
    }
    const { message } = incoming;
    if (!this.maySend(message, sender, request, response)) {
      await incoming.release();
      this.countSnapshotFailure(sender);
      return;
    }
    const from = sender ?? message.from;
    if (this.receiving.has(from) || this.directory.isCut(from)) {
      await incoming.release();
      this.countSnapshotFailure(from);
      this.refuse(request, response, 503, 'another snapshot from this member is being received');
      return;
    }
    this.receiving.add(from);
    try {
      await this.receiveSnapshot(from, incoming, request, response);
    } finally {
      this.receiving.delete(from);
    }
  }

  private async receiveSnapshot(
    from: NodeId,
    incoming: IncomingSnapshot,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { handler, logger } = this.context;
    const { message } = incoming;
    const counters = this.directory.countersOf(from);
    const fields = {
      'remote-snapshot-sender-id': hexId(from),
      'incoming-snapshot-index': message.snapshot?.index ?? 0,
    };
    logger.info('receiving database snapshot', fields);
    if (counters !== undefined) counters.snapshotsReceiving++;
    try {
      await handler.receiveSnapshot(message, incoming.body, incoming.bytes);
      if (!incoming.complete()) throw new PeerError('SNAPSHOT_LENGTH', 'not read to its end');
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      await incoming.release();
      this.countSnapshotFailure(from);
      logger.warn('failed to save incoming database snapshot', { ...fields, error: textOf(error) });
      this.refuse(request, response, 500, `failed to save KV snapshot (${textOf(error)})`);
      return;
    } finally {
      if (counters !== undefined) {
        counters.snapshotsReceiving--;
        counters.receivedBytes += incoming.messageBytes + incoming.receivedBytes();
      }
    }
    logger.info('received and saved database snapshot', {
      ...fields,
      'incoming-snapshot-size-bytes': incoming.receivedBytes(),
    });
    if (!this.ready) {
      this.refuse(request, response, 503, 'raft is stopped');
      return;
    }
    handler.step(from, message);
    if (counters !== undefined) {
      counters.snapshotsReceived++;
      counters.receivedMessages++;
    }
    response.writeHead(204);
    response.end();
  }

  private countSnapshotFailure(sender: NodeId | undefined): void {
    const counters = sender === undefined ? undefined : this.directory.countersOf(sender);
    if (counters === undefined) return;
    counters.receivedFailures++;
    counters.snapshotsReceivedFailed++;
  }

  // ---------------------------------------------------------------------------------------------------

  /**
   * Answers with an error, as Go's http.Error. What is left of the body is read a little further, so that
   * the answer is not lost to a connection reset, and then no more.
   */
  private refuse(request: IncomingMessage, response: ServerResponse, status: number, text: string): void {
    if (!response.headersSent) answer(response, status, `${text}\n`);
    const socket = request.socket;
    if (request.complete || request.destroyed || socket.destroyed) return;
    let drainedBytes = 0;
    const limit = new Deadline(this.context.clock, this.context.limits.readTimeoutMs, () => socket.destroy());
    limit.touch();
    const done = (): void => limit.stop();
    request.on('data', (chunk: Buffer) => {
      drainedBytes += chunk.length;
      if (drainedBytes > DRAIN_BYTES_MAX) socket.destroy();
    });
    request.on('end', done);
    socket.once('close', done); // an answered request does not close with its connection
    request.resume();
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function answer(response: ServerResponse, status: number, text: string): void {
  if (!response.hasHeader('Content-Type')) {
    response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  }
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Content-Length', Buffer.byteLength(text));
  response.writeHead(status);
  response.end(text);
}
