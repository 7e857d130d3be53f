/**
 * What connects the machines: the network that carries messages of raft, the connections for everything else between
 * members, and which process listens at which address. A member's peer URL is its place: http://127.0.0.1:PLACE.
 */
import type { Prng } from '@keelson/base';
import { MessageType, type Message } from '@keelson/raft';
import { Network } from '@keelson/sim';
import type { Life, Stage } from './life.ts';

/** A member's end of the wires; transport.ts. */
export interface Port<Self> {
  readonly place: number;
  readonly life: Life;
  readonly started: boolean;
  arrived(packet: Packet<Self>): void;
  lost(message: Message): void;
}

/** A message on its way. */
export interface Packet<End> {
  readonly from: End;
  readonly message: Message;
  /** What the receiver reads; undefined: it gets the message itself. */
  readonly bytes: Buffer | undefined;
}

/** Of a connection that stands, one way, ms. */
const GOOD_DELAY_MAX = 3;

export function peerUrl(place: number): string {
  return `http://127.0.0.1:${place}`;
}

export function placeOfUrl(urls: readonly string[]): number {
  return Number(new URL(urls[0] ?? 'http://none:0').port);
}

export class Wires<End extends Port<End>> {
  readonly network: Network<number, Packet<End>>;
  readonly throughCodec: boolean;
  readonly snapshotPieceBytes: number;
  /** Ways between clients and members on which nothing passes, as FROM>TO, by place. */
  readonly cutOff = new Set<string>();
  /** A message leaves. */
  sent: (life: Life, message: Message) => void = () => {};
  private readonly stage: Stage;
  private readonly prng: Prng;
  private readonly listening = new Map<number, End>();

  constructor(stage: Stage, prng: Prng, networkPrng: Prng) {
    const { options, scheduler } = stage;
    this.stage = stage;
    this.prng = prng;
    this.throughCodec = options.throughCodec;
    this.snapshotPieceBytes = options.snapshotPieceBytes;
    this.network = new Network(scheduler, networkPrng, options, {
      on: (fault) => stage.on(fault),
      happened: (fault) => stage.happened(fault),
      place: (place) => place,
      deliver: (_from, to, packet, copy) => this.deliver(to, packet, copy),
      lost: (_from, _to, packet) => this.lost(packet),
    });
  }

  plug(transport: End): void {
    this.listening.set(transport.place, transport);
  }

  unplug(transport: End): void {
    if (this.listening.get(transport.place) === transport) this.listening.delete(transport.place);
  }

  at(place: number): End | undefined {
    return this.listening.get(place);
  }

  /** Who answers a connection from one place to another; undefined when nobody does, or nothing passes. */
  open(from: number, to: number): End | undefined {
    const passes = this.network.passes(from, to) && this.network.passes(to, from);
    const target = this.listening.get(to);
    return passes && target?.started === true ? target : undefined;
  }

  /** Of a connection, one way. */
  delay(): number {
    const { prng, stage } = this;
    const max = stage.on('delay') && prng.chance(1, 4) ? stage.options.delayMax : GOOD_DELAY_MAX;
    return 1 + prng.below(max);
  }

  cutsSnapshot(): boolean {
    if (!this.stage.on('snapshotCut') || !this.prng.chance(1, 12)) return false;
    this.stage.happened('snapshotCut');
    return true;
  }

  private deliver(to: number, packet: Packet<End>, copy: number): void {
    // A connection brings a message once. Raft bears repeated ones, but of a proposal passed on it makes two entries.
    if (copy > 0 && packet.message.type === MessageType.Prop) return;
    const target = this.listening.get(to);
    if (target === undefined) {
      if (copy === 0) this.lost(packet);
      return;
    }
    if (packet.from.life.ended) this.stage.reach('message of an earlier life delivered');
    target.life.enter('message', () => target.arrived(packet));
  }

  /** Now and then the sender can tell. */
  private lost(packet: Packet<End>): void {
    const { from, message } = packet;
    if (!from.life.ended && this.prng.chance(1, 10)) from.life.later(1, 'lost', () => from.lost(message));
  }
}
