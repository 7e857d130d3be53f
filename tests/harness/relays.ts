/**
 * A network on loopback, where namespaces are not to be had: before each member stands a relay for its clients and one
 * for the other members. Who dials the latter is read from the header with which an etcd member introduces itself to
 * another. A cut link is not read from until it carries again: nothing arrives, and no connection ends.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { freePorts } from '../../packages/base/test/free-ports.ts';
import type { Network, Place, Seat } from './network.ts';

/** Who a member says it is, in each of its requests to another (etcd, rafthttp). */
const INTRODUCTION = /\r\nx-server-from: *([0-9a-f]+)\r\n/i;
/** Requests of members begin with far shorter headers. */
const HEADERS_MAX_BYTES = 16_384;

interface Flow {
  readonly source: Socket;
  /** Asked each time: a member may be known later than its first connection. */
  readonly from: () => Place | undefined;
  readonly to: () => Place | undefined;
}

export class Relays implements Network {
  readonly kind = 'loopback';
  readonly seats: readonly Seat[];
  private readonly servers: Server[] = [];
  private readonly flows = new Set<Flow>();
  private readonly sockets = new Set<Socket>();
  private readonly cuts = new Set<string>();
  /** Seats by the ids, in hexadecimal, that members introduce themselves with. */
  private readonly seatOf = new Map<string, number>();

  private constructor(seats: readonly Seat[]) {
    this.seats = seats;
  }

  static async open(size: number): Promise<Relays> {
    const ports = await freePorts(4 * size);
    const seats = Array.from({ length: size }, (_, i) => ({
      host: '127.0.0.1',
      clientPort: ports[4 * i],
      peerPort: ports[4 * i + 1],
      behind: { clientPort: ports[4 * i + 2], peerPort: ports[4 * i + 3] },
      launcher: [],
    }));
    const relays = new Relays(seats);
    for (const [i, seat] of seats.entries()) {
      await relays.listen(seat.clientPort, (socket) =>
        relays.bridge(socket, seat.behind.clientPort, () => 'clients', i),
      );
      await relays.listen(seat.peerPort, (socket) => relays.introduced(socket, seat.behind.peerPort, i));
    }
    return relays;
  }

  /** A member's id changes when it is replaced. Who is not known is not cut. */
  introduce(id: bigint, seat: number): void {
    this.seatOf.set(id.toString(16), seat);
  }

  cut(from: Place, to: Place): void {
    this.cuts.add(`${from} ${to}`);
    this.settle();
  }

  join(from: Place, to: Place): void {
    if (this.cuts.delete(`${from} ${to}`)) this.settle();
  }

  heal(): void {
    this.cuts.clear();
    this.settle();
  }

  dispose(): void {
    for (const server of this.servers) server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  private async listen(port: number, accept: (socket: Socket) => void): Promise<void> {
    const server = createServer({ noDelay: true }, (socket) => {
      this.keep(socket);
      accept(socket);
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    this.servers.push(server);
  }

  private keep(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.sockets.delete(socket));
  }

  /** Waits for the introduction, and passes on what was read. */
  private introduced(socket: Socket, port: number, to: number): void {
    let head = Buffer.alloc(0);
    const read = (bytes: Buffer): void => {
      head = Buffer.concat([head, bytes]);
      const text = head.toString('latin1');
      if (!text.includes('\r\n\r\n') && head.length < HEADERS_MAX_BYTES) return;
      socket.off('data', read);
      socket.pause();
      const id = INTRODUCTION.exec(text)?.[1];
      this.bridge(socket, port, () => (id === undefined ? undefined : this.seatOf.get(id)), to, head);
    };
    socket.on('data', read);
  }

  private bridge(near: Socket, port: number, from: () => Place | undefined, to: Place, head?: Buffer): void {
    near.pause();
    const far = connect({ port, host: '127.0.0.1', noDelay: true });
    this.keep(far);
    if (head !== undefined) far.write(head);
    const flows: Flow[] = [
      { source: near, from, to: () => to },
      { source: far, from: () => to, to: from },
    ];
    for (const flow of flows) {
      const sink = flow.source === near ? far : near;
      this.flows.add(flow);
      flow.source.on('data', (bytes: Buffer) => {
        if (!sink.write(bytes)) flow.source.pause();
      });
      sink.on('drain', () => this.run(flow));
      flow.source.once('end', () => sink.end());
      flow.source.once('close', () => {
        this.flows.delete(flow);
        sink.destroy();
      });
      this.run(flow);
    }
  }

  private settle(): void {
    for (const flow of this.flows) this.run(flow);
  }

  private run({ source, from, to }: Flow): void {
    if (this.cuts.has(`${from()} ${to()}`)) source.pause();
    else source.resume();
  }
}
