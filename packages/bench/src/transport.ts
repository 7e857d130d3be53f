/**
 * The one place that chooses what carries the generators' calls. The native channel is the default: a generator
 * on @grpc/grpc-js spends as much CPU on a call as the servers do, and on a small machine that is what would
 * be measured.
 */
import { grpcJsChannel, nativeChannel, type Channel } from '@keelson/rpc';

export type ClientTransport = 'native' | 'grpc-js';

export function openChannel(transport: ClientTransport, address: string): Channel {
  return transport === 'native' ? nativeChannel(address) : grpcJsChannel(address);
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
