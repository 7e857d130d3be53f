/**
 * The members' messages over the simulated network, in the place of peer/transport.ts: each message by itself, as the
 * network does with it; a snapshot in pieces, cut when the network is; a peer active or not by what passes. Messages of
 * another cluster, for another member or from a removed one are refused as the peer port refuses them.
 */
import { assert } from '@keelson/base';
import { Message, MessageType, NONE, type NodeId } from '@keelson/raft';
import { decodeMessage, encodeMessage } from '../../src/peer/codec.ts';
import type { PeerIdentity } from '../../src/peer/peer-identity.ts';
import type { PeerHandler } from '../../src/peer/peer-options.ts';
import { PeerCounters } from '../../src/peer/peer-status.ts';
import { closeBody } from '../../src/peer/snapshot-stream.ts';
import type { PeerTransport } from '../../src/peer/transport.ts';
import type { ExtraHandlers } from '../../src/peer/peer-server.ts';
import type { Life } from './life.ts';
import { placeOfUrl, type Packet, type Port, type Wires } from './wires.ts';

/** A link on which nothing came for so long is not active any more. */
const SILENCE_MS = 5_000;
/** A snapshot's stream that makes no progress for so long is closed. */
const STREAM_SILENCE_MS = 5_000;

class Link {
  readonly counters = new PeerCounters();
  readonly place: number;
  since: number | undefined = undefined;
  /** Simulated ms of the last sign of life. */
  heardAt = -Infinity;

  constructor(place: number) {
    this.place = place;
  }
}

/** The wires of a cluster. */
export type SimWires = Wires<SimTransport>;

export class SimTransport implements PeerTransport, Port<SimTransport> {
  readonly identity: PeerIdentity;
  readonly handler: PeerHandler;
  readonly extra: ExtraHandlers;
  readonly life: Life;
  started = false;
  private readonly wires: SimWires;
  private readonly peers = new Map<NodeId, Link>();
  private readonly remotes = new Map<NodeId, Link>();
  private stopped = false;

  constructor(
    life: Life,
    wires: SimWires,
    identity: PeerIdentity,
    handler: PeerHandler,
    extra: ExtraHandlers,
  ) {
    this.life = life;
    this.wires = wires;
    this.identity = identity;
    this.handler = handler;
    this.extra = extra;
    wires.plug(this);
  }

  get place(): number {
    return this.life.machine.place;
  }

  start(): void {
    this.started = true;
    for (const [id, link] of this.peers) this.dial(id, link);
  }

  send(messages: readonly Message[]): void {
    const { life, wires } = this;
    for (let i = 0; i < messages.length; i++) {
      const message = messages[i];
      if (life.ended || this.stopped || life.stage.crashesHere(life)) return;
      const link = this.peers.get(message.to) ?? this.remotes.get(message.to);
      if (link === undefined || message.to === NONE) continue;
      link.counters.sentMessages++;
      wires.sent(life, message);
      wires.network.send(this.place, link.place, {
        from: this,
        message,
        bytes: wires.throughCodec ? encodeMessage(message) : undefined,
      });
    }
  }

  sendSnapshot(message: Message, body: AsyncIterable<Buffer>, bytes: number): void {
    const link = this.peers.get(message.to);
    if (link === undefined || this.stopped || this.life.ended) {
      closeBody(body, () => {}); // the loss itself is reported
      this.handler.reportSnapshot(message.to, false);
      return;
    }
    link.counters.snapshotsSending++;
    void this.stream(link, message, body, bytes).then((ok) => {
      link.counters.snapshotsSending--;
      if (this.stopped) return undefined;
      if (!ok) this.handler.reportUnreachable(message.to);
      return this.handler.reportSnapshot(message.to, ok);
    });
  }

  /** Sends piece by piece; resolves with whether the receiver has saved it all. */
  private async stream(
    link: Link,
    message: Message,
    body: AsyncIterable<Buffer>,
    bytes: number,
  ): Promise<boolean> {
    const { life, wires } = this;
    const chunks = body[Symbol.asyncIterator]();
    const end = async (ok: boolean): Promise<boolean> => {
      await chunks.return?.();
      return ok;
    };
    const copy = decodeMessage(encodeMessage(message));
    const target = wires.open(this.place, link.place);
    if (target === undefined || !target.accepts(this, copy)) return end(false);
    const incoming = new IncomingBody();
    const answer = new Promise<boolean>((resolve) => {
      const done = (ok: boolean): void => life.later(wires.delay(), 'snapshot answer', () => resolve(ok));
      target.life.later(wires.delay(), 'snapshot', () => {
        target.handler.receiveSnapshot(copy, incoming, bytes).then(
          () => {
            if (target.stopped || target.life.ended) return;
            target.take(this, copy);
            if (wires.network.passes(link.place, this.place)) done(true);
            else life.later(STREAM_SILENCE_MS, 'snapshot silence', () => resolve(false));
          },
          () => done(false),
        );
      });
      // The receiver's machine is gone, or will never answer.
      target.onEnd(() => done(false));
    });
    let over = false;
    void answer.then(() => {
      over = true;
    });
    this.onEnd(() => target.life.later(wires.delay(), 'snapshot broken', () => incoming.break()));
    let sent = 0;
    try {
      for (;;) {
        const step = await chunks.next();
        if (over || life.ended) break;
        if (step.done === true) {
          incoming.finish(sent === bytes, (task) => target.life.later(wires.delay(), 'snapshot end', task));
          break;
        }
        for (let at = 0; at < step.value.length; at += wires.snapshotPieceBytes) {
          const piece = Buffer.from(step.value.subarray(at, at + wires.snapshotPieceBytes));
          sent += piece.length;
          if (wires.cutsSnapshot() || !wires.network.passes(this.place, link.place)) {
            life.stage.reach('snapshot stream cut');
            life.later(wires.delay(), 'snapshot cut', () => {});
            target.life.later(STREAM_SILENCE_MS, 'snapshot silence', () => incoming.break());
            return await end(false);
          }
          incoming.push(piece, (task) => target.life.later(wires.delay(), 'snapshot piece', task));
          await life.sleep(1, 'snapshot pace');
          if (over || life.ended) break;
        }
      }
    } catch {
      incoming.break();
      return end(false);
    }
    return end(await answer);
  }

  addPeer(id: NodeId, urls: readonly string[]): void {
    if (this.stopped || this.peers.has(id)) return;
    assert(id !== NONE && id !== this.identity.memberId, 'a peer is another member');
    const link = this.remotes.get(id) ?? new Link(placeOfUrl(urls));
    this.remotes.delete(id);
    this.peers.set(id, link);
    if (this.started) this.dial(id, link);
  }

  updatePeer(id: NodeId, urls: readonly string[]): void {
    if (!this.peers.has(id)) return;
    const link = new Link(placeOfUrl(urls));
    this.peers.set(id, link);
    if (this.started) this.dial(id, link);
  }

  removePeer(id: NodeId): void {
    this.peers.delete(id);
  }

  activeSince(id: NodeId): number | undefined {
    const link = this.peers.get(id);
    if (link === undefined || this.life.stage.scheduler.now - link.heardAt > SILENCE_MS) return undefined;
    return link.since;
  }

  connectedCount(): number {
    let count = 0;
    for (const id of this.peers.keys()) if (this.activeSince(id) !== undefined) count++;
    return count;
  }

  counters(id: NodeId): Readonly<PeerCounters> | undefined {
    return this.peers.get(id)?.counters;
  }

  cut(): void {}

  mend(): void {}

  stop(): Promise<void> {
    this.stopped = true;
    this.wires.unplug(this);
    for (const task of this.endTasks) task();
    this.endTasks.clear();
    return Promise.resolve();
  }

  private readonly endTasks = new Set<() => void>();

  /** Told when this end is gone, however that comes. */
  onEnd(task: () => void): void {
    if (this.stopped) task();
    else this.endTasks.add(task);
  }

  // ---- what the network brings --------------------------------------------------------------------

  arrived(packet: Packet<SimTransport>): void {
    const { from, bytes } = packet;
    const message = bytes === undefined ? packet.message : decodeMessage(bytes);
    if (this.accepts(from, message)) this.take(from, message);
  }

  /** Whether the peer port takes a message; a sender that was removed is told so. */
  accepts(from: SimTransport, message: Message): boolean {
    if (!this.started || this.stopped || message.to !== this.identity.memberId) return false;
    const { memberId, clusterId } = from.identity;
    if (clusterId !== this.identity.clusterId || message.from !== memberId) return false;
    if (!this.handler.isRemoved(memberId)) return true;
    from.life.later(this.wires.delay(), 'removed', () => {
      if (!from.stopped) from.handler.reportRemoved?.(this.identity.memberId);
    });
    return false;
  }

  take(from: SimTransport, message: Message): void {
    const { memberId } = from.identity;
    // One that is not known yet can be answered: a member that joins learns of the others only then.
    if (!this.peers.has(memberId) && !this.remotes.has(memberId))
      this.remotes.set(memberId, new Link(from.place));
    const link = this.peers.get(memberId);
    if (link !== undefined) {
      link.counters.receivedMessages++;
      this.hear(memberId, link);
    }
    this.handler.step(memberId, message);
  }

  /** A message to the peer was lost and its sender could know. */
  lost(message: Message): void {
    if (this.stopped) return;
    const link = this.peers.get(message.to);
    if (link !== undefined) link.counters.sentFailures++;
    if (message.type === MessageType.Snap) this.handler.reportSnapshot(message.to, false);
    else this.handler.reportUnreachable(message.to);
  }

  private dial(id: NodeId, link: Link): void {
    this.life.later(this.wires.delay(), 'dial', () => {
      if (this.stopped || this.peers.get(id) !== link) return;
      const target = this.wires.open(this.place, link.place);
      if (target?.identity.memberId !== id) return;
      this.hear(id, link);
      // A stream that is opened is seen by both ends.
      target.life.later(this.wires.delay(), 'dialled', () => target.noticed(this));
    });
  }

  private noticed(from: SimTransport): void {
    const link = this.peers.get(from.identity.memberId);
    if (!this.stopped && link !== undefined) this.hear(from.identity.memberId, link);
  }

  private hear(id: NodeId, link: Link): void {
    const { now } = this.life.stage.scheduler;
    const silent = link.since === undefined || now - link.heardAt > SILENCE_MS;
    link.heardAt = now;
    if (!silent) return;
    link.since = this.life.monotonicMs();
    this.handler.reportConnected?.(id);
  }
}

/** A snapshot's body as its receiver reads it. */
class IncomingBody implements AsyncIterable<Buffer> {
  private readonly pieces: Buffer[] = [];
  private state: 'open' | 'whole' | 'broken' = 'open';
  private wake: () => void = () => {};
  /** Pieces arrive in the order they were sent, whatever each one's delay. */
  private readonly arriving: (() => void)[] = [];

  push(piece: Buffer, later: (task: () => void) => void): void {
    this.inOrder(() => this.pieces.push(piece), later);
  }

  finish(whole: boolean, later: (task: () => void) => void): void {
    this.inOrder(() => {
      if (this.state === 'open') this.state = whole ? 'whole' : 'broken';
    }, later);
  }

  break(): void {
    if (this.state === 'open') this.state = 'broken';
    this.wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for (;;) {
      const piece = this.pieces.shift();
      if (piece !== undefined) yield piece;
      else if (this.state === 'whole') return;
      else if (this.state === 'broken') throw new Error('the connection was reset');
      else
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
    }
  }

  private inOrder(task: () => void, later: (task: () => void) => void): void {
    this.arriving.push(task);
    later(() => {
      this.arriving.shift()?.();
      this.wake();
    });
  }
}
