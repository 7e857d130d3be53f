/**
 * Keep-alives of all clients with one token on one stream to the cluster. A lease that several ask for at once is asked
 * for once; the answer goes to each. When the stream breaks, what is not answered is asked again elsewhere: a
 * keep-alive writes nothing, and asked twice it does what it does once. (etcd: grpcproxy/lease.go, which answers out of
 * a timer of its own instead.)
 */
import { etcdserverpb, services } from '@keelson/proto';
import { RpcError, StatusCode, type DuplexStream } from '@keelson/rpc';
import { Line } from './line.ts';
import type { Leader } from './leader.ts';
import { raw, requiresLeader, tokenMetadata, tokenOf } from './raw.ts';
import type { Upstream } from './upstream.ts';

const KEEP_ALIVE = raw(services.Lease.methods.leaseKeepAlive);

/** Answers one client waits for; then it is not read from. */
export const AWAITED_MAX = 10_000;

type Stream = DuplexStream<Buffer, Buffer>;

export interface KeepAliveCounters {
  /** What clients asked, and what was asked upstream. */
  asked: number;
  forwarded: number;
}

/** Every client's keep-alives. */
export class KeepAlives {
  readonly counters: KeepAliveCounters = { asked: 0, forwarded: 0 };
  private readonly upstream: Upstream;
  private readonly leader: Leader;
  private readonly trunks = new Map<string, KeepAliveTrunk>();

  constructor(upstream: Upstream, leader: Leader) {
    this.upstream = upstream;
    this.leader = leader;
  }

  /** Streams to the cluster. */
  get trunkCount(): number {
    return this.trunks.size;
  }

  serve(stream: Stream): void {
    const { call } = stream;
    let stopListening = (): void => {};
    if (requiresLeader(call)) {
      if (this.leader.lost) {
        stream.fail(noLeader());
        return;
      }
      stopListening = this.leader.onLost(() => end(noLeader()));
    }
    const trunk = this.trunk(tokenOf(call));
    const client = new Client(stream, (error) => end(error));
    trunk.clients.add(client);
    let over = false;
    const leave = (): void => {
      over = true;
      stopListening();
      trunk.leave(client);
      if (trunk.clients.size === 0) this.drop(trunk);
    };
    const end = (error: RpcError): void => {
      if (over) return;
      leave();
      stream.fail(error);
    };
    stream.onCancel(() => {
      if (!over) leave();
    });
    stream.onDrain(() => client.settle());
    stream.onHalfClose(() => {
      client.ending = true;
      client.settle();
      if (client.awaited === 0 && !over) {
        leave();
        stream.end();
      }
    });
    client.finished = () => {
      if (over) return;
      leave();
      stream.end();
    };
    stream.onMessage((message) => {
      let lease: bigint;
      try {
        lease = etcdserverpb.decodeLeaseKeepAliveRequest(message).ID;
      } catch {
        end(new RpcError(StatusCode.Internal, 'grpc: error unmarshalling request'));
        return;
      }
      this.counters.asked++;
      if (trunk.ask(lease, client)) this.counters.forwarded++;
    });
  }

  /** Ends every client's stream with this. */
  close(error: RpcError): void {
    for (const trunk of [...this.trunks.values()]) for (const client of [...trunk.clients]) client.end(error);
  }

  private trunk(token: string): KeepAliveTrunk {
    const known = this.trunks.get(token);
    if (known !== undefined) return known;
    const trunk = new KeepAliveTrunk(this.upstream, token);
    this.trunks.set(token, trunk);
    return trunk;
  }

  private drop(trunk: KeepAliveTrunk): void {
    trunk.close();
    if (this.trunks.get(trunk.token) === trunk) this.trunks.delete(trunk.token);
  }
}

/** A client's stream: how many answers it still gets, and whether it takes more. */
class Client {
  readonly end: (error: RpcError) => void;
  finished: () => void = () => {};
  awaited = 0;
  /** It has said all it wants. */
  ending = false;
  private readonly stream: Stream;
  private held = false;
  private blocked = false;

  constructor(stream: Stream, end: (error: RpcError) => void) {
    this.stream = stream;
    this.end = end;
  }

  asked(): void {
    this.awaited++;
    if (this.awaited >= AWAITED_MAX) this.hold();
  }

  answered(bytes: Buffer): void {
    this.awaited--;
    if (!this.stream.writeEncoded(bytes)) {
      // It does not read its answers: then it may not ask either.
      this.blocked = true;
      this.hold();
    } else if (this.held && !this.blocked && this.awaited < AWAITED_MAX / 2) this.release();
    if (this.ending && this.awaited === 0) this.finished();
  }

  /** It reads again. */
  settle(): void {
    this.blocked = false;
    if (this.held && this.awaited < AWAITED_MAX / 2) this.release();
  }

  private hold(): void {
    if (this.held) return;
    this.held = true;
    this.stream.pause();
  }

  private release(): void {
    this.held = false;
    this.stream.resume();
  }
}

class KeepAliveTrunk {
  readonly token: string;
  readonly clients = new Set<Client>();
  private readonly line: Line;
  /** By lease: who waits for its answer, as often as they asked. */
  private readonly waiting = new Map<bigint, Client[]>();

  constructor(upstream: Upstream, token: string) {
    this.token = token;
    this.line = new Line(upstream, KEEP_ALIVE, tokenMetadata(token), {
      opened: () => {
        for (const lease of this.waiting.keys()) this.send(lease);
      },
      received: (message) => this.received(message),
      lost: (error) => this.lost(error),
    });
  }

  /** @returns whether the cluster had to be asked */
  ask(lease: bigint, client: Client): boolean {
    const waiting = this.waiting.get(lease);
    if (waiting !== undefined) waiting.push(client);
    else {
      this.waiting.set(lease, [client]);
      if (this.line.standing) this.send(lease);
      else this.line.want();
    }
    client.asked();
    return waiting === undefined;
  }

  leave(client: Client): void {
    this.clients.delete(client);
    for (const [lease, waiting] of this.waiting) {
      const others = waiting.filter((each) => each !== client);
      // Upstream answers all the same; then nobody is there.
      if (others.length === 0) this.waiting.delete(lease);
      else if (others.length < waiting.length) this.waiting.set(lease, others);
    }
  }

  close(): void {
    this.line.close();
  }

  private send(lease: bigint): void {
    this.line.write(
      etcdserverpb.encodeLeaseKeepAliveRequest(new etcdserverpb.LeaseKeepAliveRequest({ ID: lease })),
    );
  }

  private received(message: Buffer): void {
    this.line.proved();
    const { ID } = etcdserverpb.decodeLeaseKeepAliveResponse(message);
    const waiting = this.waiting.get(ID);
    if (waiting === undefined) return;
    this.waiting.delete(ID);
    for (const client of waiting) client.answered(message);
  }

  /** What another member would do better is asked there; anything else is an answer to everybody. */
  private lost(error: RpcError): boolean {
    if (error.code === StatusCode.Unavailable && error.message !== NO_LEADER) return this.waiting.size > 0;
    if (error.code === StatusCode.Cancelled || error.code === StatusCode.Internal)
      return this.waiting.size > 0;
    for (const client of [...this.clients]) client.end(error);
    return false;
  }
}

const NO_LEADER = 'etcdserver: no leader';

function noLeader(): RpcError {
  return new RpcError(StatusCode.Unavailable, NO_LEADER);
}
