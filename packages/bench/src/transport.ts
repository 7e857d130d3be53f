/**
 * The one place that chooses what carries the generators' calls. The native channel is preferred as soon as
 * @keelson/rpc offers one: a generator on @grpc/grpc-js spends more CPU on a call than the servers do, and on
 * a small machine that is what would be measured.
 */
import * as rpc from '@keelson/rpc';
import type { Channel } from '@keelson/rpc';

export type ClientTransport = 'native' | 'grpc-js';
type Open = (address: string) => Channel;

function offered(): Readonly<Partial<Record<ClientTransport, Open>>> {
  const native: unknown = Reflect.get(rpc, 'nativeChannel');
  const grpcJs: Open = (address) => rpc.grpcJsChannel(address);
  if (typeof native !== 'function') return { 'grpc-js': grpcJs };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the door's own promise: grpcJsChannel's twin
  return { 'grpc-js': grpcJs, native: native as Open };
}

export function defaultTransport(): ClientTransport {
  return offered().native === undefined ? 'grpc-js' : 'native';
}

/** @throws RangeError for a transport that this build does not have */
export function openChannel(transport: ClientTransport, address: string): Channel {
  const open = offered()[transport];
  if (open === undefined) throw new RangeError(`this build has no ${transport} client transport`);
  return open(address);
}

/** Connections to `addresses`, `count` in all, shared out in turn. */
export class Connections {
  readonly channels: readonly Channel[];

  private constructor(channels: readonly Channel[]) {
    this.channels = channels;
  }

  /** @throws RpcError when one of them cannot be made within 10 s; none is then left open */
  static async open(
    transport: ClientTransport,
    addresses: readonly string[],
    count: number,
  ): Promise<Connections> {
    const channels = Array.from({ length: count }, (_, i) =>
      openChannel(transport, addresses[i % addresses.length]),
    );
    const connections = new Connections(channels);
    try {
      await Promise.all(channels.map((channel) => channel.connect(10_000)));
    } catch (error) {
      connections.close();
      throw error;
    }
    return connections;
  }

  /** The connection of client `index`. */
  of(index: number): Channel {
    return this.channels[index % this.channels.length];
  }

  close(): void {
    for (const channel of this.channels) channel.close();
  }
}
