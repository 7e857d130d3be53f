/**
 * All other members, by id: who they are, what goes to whom, and one write per stream and turn. Joins the
 * peers with the server that their connections come in on; decides nothing about raft.
 * (etcd: rafthttp transport.go.)
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Clock, type Logger, assert, hexId } from '@keelson/base';
import { type Message, NONE, type NodeId } from '@keelson/raft';
import { PeerError } from './peer-error.ts';
import type { PeerIdentity } from './peer-identity.ts';
import { DEFAULT_PEER_LIMITS, type PeerContext, type PeerHandler, type PeerLimits } from './peer-options.ts';
import { type ExtraHandlers, type PeerDirectory, PeerServer } from './peer-server.ts';
import type { PeerCounters } from './peer-status.ts';
import type { PeerTls } from './peer-tls.ts';
import { Peer, Remote, type PeerQueues } from './peer.ts';
import { closeBody } from './snapshot-stream.ts';
import type { StreamKind } from './stream-writer.ts';

/** How the driver reaches the other members: over the network, or in one process for tests. */
export interface PeerTransport {
  /** Begins to accept and to dial. Peers may be added before. */
  start(): void;
  /**
   * Sends a turn's messages, each to its `to`; what goes to one peer's stream leaves in one write. Never
   * blocks. Messages to nobody, to this member or to unknown ones are ignored. Losses are reported to the
   * handler, some before this returns. The messages and their entries must not change afterwards.
   */
  send(messages: readonly Message[]): void;
  /**
   * Sends a MsgSnap with the database that belongs to it, `bytes` long. The outcome comes as
   * reportSnapshot. `body` is read as fast as the peer takes it; its iterator is closed in every case.
   */
  sendSnapshot(message: Message, body: AsyncIterable<Buffer>, bytes: number): void;
  /** Adds a member; nothing happens when it is there already. @throws PeerError 'INVALID_URL' */
  addPeer(id: NodeId, urls: readonly string[]): void;
  /** New URLs for the next connections; unknown ids are ignored. @throws PeerError 'INVALID_URL' */
  updatePeer(id: NodeId, urls: readonly string[]): void;
  /** Ends all connections with a member; unknown ids are ignored (a log may be replayed). */
  removePeer(id: NodeId): void;
  /** Clock.monotonicMs() since when the peer is reachable; undefined when it is not, or not known. */
  activeSince(id: NodeId): number | undefined;
  /** Peers that are reachable now. */
  connectedCount(): number;
  /** What went over the links with a peer; undefined when it is not known. Live, do not change. */
  counters(id: NodeId): Readonly<PeerCounters> | undefined;
  /** What waits on the links with a peer; undefined when it is not known. A transport without queues has no such method. */
  queues?(id: NodeId): PeerQueues | undefined;
  /** Drops everything to and from a peer until mend(): a test's partition. */
  cut(id: NodeId): void;
  mend(id: NodeId): void;
  /** Ends every connection; resolves when the port is free. Nothing is reported any more. */
  stop(): Promise<void>;
}

export interface TransportOptions {
  readonly identity: PeerIdentity;
  readonly handler: PeerHandler;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits?: Partial<PeerLimits>;
  /** Without it only http URLs are dialled and listened on. */
  readonly tls?: PeerTls | undefined;
  /** Where connections to peers come from; undefined: as the system chooses. */
  readonly localAddress?: string | undefined;
  /** Other rooms' paths on the peer port: /members, /version, /leases … A path that ends in '/' is a prefix. */
  readonly extraHandlers?: ExtraHandlers;
}

/** The members over HTTP/1.1, with or without TLS, as etcd's. */
export class HttpPeerTransport implements PeerTransport, PeerDirectory {
  private readonly context: PeerContext;
  private readonly server: PeerServer;
  private readonly peers = new Map<NodeId, Peer>();
  private readonly remotes = new Map<NodeId, Remote>();
  private readonly dirty: Peer[] = [];
  private state: 'new' | 'started' | 'stopped' = 'new';

  constructor(options: TransportOptions) {
    this.context = {
      identity: options.identity,
      handler: options.handler,
      clock: options.clock,
      logger: options.logger,
      limits: { ...DEFAULT_PEER_LIMITS, ...options.limits },
      tls: options.tls,
      localAddress: options.localAddress,
    };
    this.server = new PeerServer(this.context, this, options.extraHandlers ?? new Map());
  }

  /**
   * Listens on one more address; call before or after start(). Requests to /raft are refused with 503
   * until start().
   * @param secure with TLS, which the options must have an acceptor for
   * @returns the port, which the system chose when `port` is 0. @throws node's listen errors
   */
  listen(host: string, port: number, secure = false): Promise<number> {
    return this.server.listen(host, port, secure);
  }

  /** As `listen`, at a unix socket. */
  listenAt(path: string, secure: boolean): Promise<void> {
    return this.server.listenAt(path, secure);
  }

  /** The peer port's request listener, for an HTTP server that somebody else owns. */
  readonly onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    this.server.onRequest(request, response);
  };

  start(): void {
    assert(this.state === 'new', 'transport is started once');
    this.state = 'started';
    this.server.ready = true;
    for (const peer of this.peers.values()) peer.start();
  }

  send(messages: readonly Message[]): void {
    const dirty = this.dirty;
    for (let i = 0; i < messages.length; i++) {
      const message = messages[i];
      const peer = this.peers.get(message.to);
      if (peer !== undefined) {
        peer.send(message);
        if (!dirty.includes(peer)) dirty.push(peer);
        continue;
      }
      if (message.to !== NONE) this.remotes.get(message.to)?.send(message);
    }
    for (let i = 0; i < dirty.length; i++) dirty[i].flush();
    dirty.length = 0;
  }

  sendSnapshot(message: Message, body: AsyncIterable<Buffer>, bytes: number): void {
    const peer = this.peers.get(message.to);
    if (peer !== undefined) {
      peer.sendSnapshot(message, body, bytes);
      return;
    }
    const { handler, logger } = this.context;
    closeBody(body, (error) => logger.warn('failed to close a snapshot', { error: String(error) }));
    handler.reportSnapshot(message.to, false);
  }

  addPeer(id: NodeId, urls: readonly string[]): void {
    if (this.state === 'stopped' || this.peers.has(id)) return;
    assert(id !== NONE && id !== this.context.identity.memberId, 'a peer is another member');
    const peer = new Peer(this.context, id, urls);
    this.remotes.get(id)?.stop();
    this.remotes.delete(id);
    this.peers.set(id, peer);
    this.context.logger.info('added remote peer', this.fields(id, urls));
    if (this.state === 'started') peer.start();
  }

  updatePeer(id: NodeId, urls: readonly string[]): void {
    const peer = this.peers.get(id);
    if (peer === undefined) return;
    peer.update(urls);
    this.context.logger.info('updated remote peer', this.fields(id, urls));
  }

  removePeer(id: NodeId): void {
    const peer = this.peers.get(id);
    if (peer === undefined) return;
    this.peers.delete(id);
    peer.stop();
    this.context.logger.info('removed remote peer', this.fields(id, []));
  }

  activeSince(id: NodeId): number | undefined {
    return this.peers.get(id)?.status.activeSince;
  }

  connectedCount(): number {
    let count = 0;
    for (const peer of this.peers.values()) if (peer.status.active) count++;
    return count;
  }

  queues(id: NodeId): PeerQueues | undefined {
    return this.peers.get(id)?.queues;
  }

  counters(id: NodeId): Readonly<PeerCounters> | undefined {
    return this.countersOf(id);
  }

  cut(id: NodeId): void {
    this.peers.get(id)?.pause();
  }

  mend(id: NodeId): void {
    this.peers.get(id)?.resume();
  }

  async stop(): Promise<void> {
    if (this.state === 'stopped') return;
    this.state = 'stopped';
    for (const remote of this.remotes.values()) remote.stop();
    for (const peer of this.peers.values()) peer.stop();
    this.remotes.clear();
    this.peers.clear();
    await this.server.stop();
  }

  // ---- PeerDirectory: what the server asks --------------------------------------------------------

  attach(id: NodeId, kind: StreamKind, socket: Socket): void {
    const peer = this.peers.get(id);
    if (peer === undefined) socket.destroy();
    else peer.attach(kind, socket);
  }

  knows(id: NodeId): boolean {
    return this.peers.has(id);
  }

  isCut(id: NodeId): boolean {
    return this.peers.get(id)?.paused ?? false;
  }

  countersOf(id: NodeId): PeerCounters | undefined {
    return this.peers.get(id)?.status.counters ?? this.remotes.get(id)?.status.counters;
  }

  introduce(id: NodeId, urls: readonly string[]): void {
    if (this.state !== 'started' || id === NONE || id === this.context.identity.memberId) return;
    if (this.peers.has(id) || this.remotes.has(id) || this.context.handler.isRemoved(id)) return;
    if (this.remotes.size >= this.context.limits.remotesMax) return;
    try {
      this.remotes.set(id, new Remote(this.context, id, urls));
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      this.context.logger.warn('ignored the peer URLs of an unknown member', {
        ...this.fields(id, urls),
        error: error.message,
      });
      return;
    }
    this.context.logger.info('added new remote peer', this.fields(id, urls));
  }

  private fields(id: NodeId, urls: readonly string[]): Record<string, unknown> {
    return {
      'local-member-id': hexId(this.context.identity.memberId),
      'remote-peer-id': hexId(id),
      'remote-peer-urls': urls,
    };
  }
}
