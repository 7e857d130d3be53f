/**
 * One member as the peer tests need it: a transport on a loopback port and a handler that writes down
 * what it was told. Nothing of raft.
 */
import { type Clock, type Logger, silentLogger, systemClock } from '@keelson/base';
import { type Message, type NodeId } from '@keelson/raft';
import type { PeerHandler, PeerLimits } from '../../src/peer/peer-options.ts';
import type { ExtraHandlers } from '../../src/peer/peer-server.ts';
import type { PeerTls } from '../../src/peer/peer-tls.ts';
import { HttpPeerTransport } from '../../src/peer/transport.ts';

export interface Received {
  readonly from: NodeId;
  readonly message: Message;
}

export class RecordingHandler implements PeerHandler {
  readonly received: Received[] = [];
  readonly unreachable: NodeId[] = [];
  readonly snapshots: { readonly id: NodeId; readonly ok: boolean }[] = [];
  readonly removed = new Set<NodeId>();
  readonly removedBy: NodeId[] = [];
  readonly connected: NodeId[] = [];
  readonly roundTrips: NodeId[] = [];
  /** What to do with an incoming snapshot; reads it to its end unless replaced. */
  onSnapshot: (message: Message, body: AsyncIterable<Buffer>, bytes: number | undefined) => Promise<void> =
    async (_message, body) => {
      for await (const chunk of body) void chunk;
    };
  onStep: ((received: Received) => void) | undefined = undefined;

  step(from: NodeId, message: Message): void {
    const received = { from, message };
    this.received.push(received);
    this.onStep?.(received);
  }
  isRemoved(id: NodeId): boolean {
    return this.removed.has(id);
  }
  reportUnreachable(id: NodeId): void {
    this.unreachable.push(id);
  }
  reportSnapshot(id: NodeId, ok: boolean): void {
    this.snapshots.push({ id, ok });
  }
  receiveSnapshot(message: Message, body: AsyncIterable<Buffer>, bytes: number | undefined): Promise<void> {
    return this.onSnapshot(message, body, bytes);
  }
  reportConnected(id: NodeId): void {
    this.connected.push(id);
  }
  reportRemoved(by: NodeId): void {
    this.removedBy.push(by);
  }
  reportRoundTrip(id: NodeId): void {
    this.roundTrips.push(id);
  }
}

export interface MemberOptions {
  readonly id: NodeId;
  readonly clusterId?: bigint;
  readonly limits?: Partial<PeerLimits>;
  readonly extraHandlers?: ExtraHandlers;
  readonly port?: number;
  readonly serverVersion?: string;
  readonly logger?: Logger;
  readonly clock?: Clock;
  /** Its port speaks TLS if there is an acceptor. */
  readonly tls?: PeerTls;
}

export interface TestMember {
  readonly id: NodeId;
  readonly port: number;
  readonly url: string;
  readonly handler: RecordingHandler;
  readonly transport: HttpPeerTransport;
}

/** A started member on a loopback port. Its advertised URL is known to itself only if `port` is given. */
export async function startMember(options: MemberOptions): Promise<TestMember> {
  const handler = new RecordingHandler();
  const peerUrls = options.port === undefined ? [] : [`http://127.0.0.1:${options.port}`];
  const transport = new HttpPeerTransport({
    identity: {
      memberId: options.id,
      clusterId: options.clusterId ?? 0xc1n,
      serverVersion: options.serverVersion ?? '3.7.1',
      minClusterVersion: '3.0.0',
      peerUrls,
    },
    handler,
    clock: options.clock ?? systemClock,
    logger: options.logger ?? silentLogger,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    ...(options.extraHandlers === undefined ? {} : { extraHandlers: options.extraHandlers }),
    tls: options.tls,
  });
  const secure = options.tls?.acceptor !== undefined;
  const port = await transport.listen('127.0.0.1', options.port ?? 0, secure);
  transport.start();
  return {
    id: options.id,
    port,
    url: `${secure ? 'https' : 'http'}://127.0.0.1:${port}`,
    handler,
    transport,
  };
}

/** Makes all know each other. */
export function introduceAll(members: readonly TestMember[]): void {
  for (const one of members) {
    for (const other of members) if (one !== other) one.transport.addPeer(other.id, [other.url]);
  }
}
