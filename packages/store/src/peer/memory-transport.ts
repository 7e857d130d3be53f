/**
 * The same transport without a network: members of one process hand each other messages. For embedding
 * and for tests, which may cut, delay and pass links through the codec. A link keeps its order unless its
 * delay is changed under way. Delivery is always on a later turn, never from inside send().
 */
import { type Clock, assert } from '@keelson/base';
import { Message, MessageType, NONE, type NodeId } from '@keelson/raft';
import { decodeMessage, encodeMessage } from './codec.ts';
import type { PeerHandler } from './peer-options.ts';
import { PeerCounters } from './peer-status.ts';
import { closeBody } from './snapshot-stream.ts';
import type { PeerTransport } from './transport.ts';

export interface MemoryNetworkOptions {
  readonly clock: Clock;
  /** Runs a task on a later turn; setImmediate unless a simulation has its own queue. */
  readonly defer?: (task: () => void) => void;
  /** Encode and decode every message, as the wire would; otherwise messages are passed as they are. */
  readonly throughCodec?: boolean;
}

/** One direction between two members. */
interface Link {
  cut: boolean;
  delayMs: number;
}

/** The members of one process and the links between them. */
export class MemoryNetwork {
  readonly clock: Clock;
  private readonly defer: (task: () => void) => void;
  private readonly throughCodec: boolean;
  private readonly members = new Map<NodeId, MemoryTransport>();
  private readonly links = new Map<string, Link>();
  private arrived: (() => void)[] = [];

  constructor(options: MemoryNetworkOptions) {
    this.clock = options.clock;
    this.defer = options.defer ?? ((task) => void setImmediate(task));
    this.throughCodec = options.throughCodec ?? false;
  }

  /** A new member's transport; its id must be free (a stopped member's is). */
  join(id: NodeId, handler: PeerHandler): MemoryTransport {
    assert(!this.members.has(id), 'a member joins once');
    const transport = new MemoryTransport(this, id, handler);
    this.members.set(id, transport);
    return transport;
  }

  /** Drops what goes from one member to the other, in that direction only. */
  cut(from: NodeId, to: NodeId): void {
    this.link(from, to).cut = true;
  }

  mend(from: NodeId, to: NodeId): void {
    this.link(from, to).cut = false;
  }

  /** Delivers that direction's messages no sooner than `delayMs` after they were sent. */
  delay(from: NodeId, to: NodeId, delayMs: number): void {
    this.link(from, to).delayMs = delayMs;
  }

  // ---- for MemoryTransport ------------------------------------------------------------------------

  member(id: NodeId): MemoryTransport | undefined {
    return this.members.get(id);
  }

  leave(id: NodeId): void {
    this.members.delete(id);
  }

  link(from: NodeId, to: NodeId): Link {
    const key = `${from}>${to}`;
    let link = this.links.get(key);
    if (link === undefined) this.links.set(key, (link = { cut: false, delayMs: 0 }));
    return link;
  }

  /** The message as the receiver gets it. */
  pass(message: Message): Message {
    return this.throughCodec ? decodeMessage(encodeMessage(message)) : message;
  }

  /** Runs `task` on a later turn, together with all others of this turn, in order. */
  later(delayMs: number, task: () => void): void {
    if (delayMs > 0) {
      this.clock.setTimer(delayMs, task);
      return;
    }
    this.arrived.push(task);
    if (this.arrived.length > 1) return;
    this.defer(() => {
      const tasks = this.arrived;
      this.arrived = [];
      for (const run of tasks) run();
    });
  }
}

class MemoryPeer {
  readonly counters = new PeerCounters();
  since: number | undefined = undefined;
}

export class MemoryTransport implements PeerTransport {
  private readonly network: MemoryNetwork;
  private readonly id: NodeId;
  private readonly handler: PeerHandler;
  private readonly peers = new Map<NodeId, MemoryPeer>();
  private readonly remotes = new Map<NodeId, MemoryPeer>();
  private started = false;
  private stopped = false;

  constructor(network: MemoryNetwork, id: NodeId, handler: PeerHandler) {
    this.network = network;
    this.id = id;
    this.handler = handler;
  }

  start(): void {
    this.started = true;
    for (const [id, peer] of this.peers) {
      this.look(id, peer);
      // As a stream that is opened, which both ends see.
      this.network.later(0, () => this.network.member(id)?.noticed(this.id));
    }
  }

  send(messages: readonly Message[]): void {
    for (let i = 0; i < messages.length; i++) {
      const message = messages[i];
      const peer = this.peers.get(message.to) ?? this.remotes.get(message.to);
      if (peer === undefined || message.to === NONE || this.stopped) continue;
      peer.counters.sentMessages++;
      const passed = this.network.pass(message);
      this.carry(message.to, peer, (target) => {
        target.receive(this.id, passed);
        if (message.type === MessageType.Snap) this.handler.reportSnapshot(message.to, true);
      });
    }
  }

  sendSnapshot(message: Message, body: AsyncIterable<Buffer>, bytes: number): void {
    const to = message.to;
    const peer = this.peers.get(to);
    if (peer === undefined || this.stopped) {
      closeBody(body, () => {}); // the loss itself is reported
      this.handler.reportSnapshot(to, false);
      return;
    }
    const passed = this.network.pass(message);
    peer.counters.snapshotsSending++;
    const finish = (ok: boolean): void => {
      peer.counters.snapshotsSending--;
      if (ok) peer.counters.snapshotsSent++;
      else peer.counters.snapshotsSentFailed++;
      if (this.stopped) return;
      if (!ok) this.handler.reportUnreachable(to);
      this.handler.reportSnapshot(to, ok);
    };
    this.carry(
      to,
      peer,
      (target) =>
        void target
          .receiveSnapshot(this.id, passed, body, bytes)
          .finally(() => closeBody(body, () => {})) // also when nothing of it was read
          .then(
            () => finish(true),
            () => finish(false),
          ),
      () => {
        closeBody(body, () => {}); // the loss itself is reported
        finish(false);
      },
    );
  }

  addPeer(id: NodeId, _urls: readonly string[]): void {
    if (this.stopped || this.peers.has(id)) return;
    assert(id !== NONE && id !== this.id, 'a peer is another member');
    const peer = new MemoryPeer();
    this.remotes.delete(id);
    this.peers.set(id, peer);
    if (this.started) this.look(id, peer);
  }

  updatePeer(_id: NodeId, _urls: readonly string[]): void {}

  removePeer(id: NodeId): void {
    this.peers.delete(id);
  }

  activeSince(id: NodeId): number | undefined {
    const peer = this.peers.get(id);
    return peer !== undefined && this.reachable(id) ? (peer.since ??= this.now()) : undefined;
  }

  connectedCount(): number {
    let count = 0;
    for (const id of this.peers.keys()) if (this.reachable(id)) count++;
    return count;
  }

  counters(id: NodeId): Readonly<PeerCounters> | undefined {
    return this.peers.get(id)?.counters;
  }

  cut(id: NodeId): void {
    this.network.cut(this.id, id);
    this.network.cut(id, this.id);
  }

  mend(id: NodeId): void {
    this.network.mend(this.id, id);
    this.network.mend(id, this.id);
  }

  stop(): Promise<void> {
    if (!this.stopped) this.network.leave(this.id);
    this.stopped = true;
    return Promise.resolve();
  }

  // ---- the receiving end --------------------------------------------------------------------------

  private receive(from: NodeId, message: Message): void {
    // One that is not known yet can be answered: a member that joins learns of the others only then.
    if (!this.peers.has(from) && !this.remotes.has(from)) this.remotes.set(from, new MemoryPeer());
    const counters = this.peers.get(from)?.counters;
    if (counters !== undefined) counters.receivedMessages++;
    this.handler.step(from, message);
  }

  private async receiveSnapshot(
    from: NodeId,
    message: Message,
    body: AsyncIterable<Buffer>,
    bytes: number,
  ): Promise<void> {
    await this.handler.receiveSnapshot(message, body, bytes);
    if (this.stopped) return;
    const counters = this.peers.get(from)?.counters;
    if (counters !== undefined) counters.snapshotsReceived++;
    this.receive(from, message);
  }

  // ---------------------------------------------------------------------------------------------------

  /** Delivers on a later turn, or reports the loss. */
  private carry(
    to: NodeId,
    peer: MemoryPeer,
    deliver: (target: MemoryTransport) => void,
    lost?: () => void,
  ): void {
    const link = this.network.link(this.id, to);
    this.network.later(link.delayMs, () => {
      const target = this.network.member(to);
      if (target !== undefined && target.started && !link.cut && !target.handler.isRemoved(this.id)) {
        if (peer.since === undefined) this.look(to, peer);
        deliver(target);
        return;
      }
      if (lost !== undefined) lost();
      else if (!this.stopped && !link.cut) {
        // A cut link loses silently, like a network; a member that is gone is noticed.
        peer.counters.sentFailures++;
        peer.since = undefined;
        this.handler.reportUnreachable(to);
      }
    });
  }

  private noticed(id: NodeId): void {
    const peer = this.peers.get(id);
    if (this.started && peer !== undefined && peer.since === undefined) this.look(id, peer);
  }

  private reachable(id: NodeId): boolean {
    return (
      !this.stopped &&
      this.network.member(id)?.started === true &&
      !this.network.link(this.id, id).cut &&
      !this.network.link(id, this.id).cut
    );
  }

  private look(id: NodeId, peer: MemoryPeer): void {
    if (!this.reachable(id)) return;
    peer.since = this.now();
    this.handler.reportConnected?.(id);
  }

  private now(): number {
    return this.network.clock.monotonicMs();
  }
}
