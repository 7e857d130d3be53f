/**
 * The one place that chooses what carries the generators' calls. The native channel is the default: a generator
 * on @grpc/grpc-js spends as much CPU on a call as the servers do, and on a small machine that is what would
 * be measured.
 */
import { grpcJsChannel, nativeChannel, type Channel, type DialTlsOptions } from '@keelson/rpc';

export type ClientTransport = 'native' | 'grpc-js';

/** Servers that are reached in one way. */
export interface Reached {
  readonly addresses: readonly string[];
  /** Undefined: in the clear. */
  readonly tls: DialTlsOptions | undefined;
}

/** @throws RangeError for TLS on grpc-js, which the options refuse */
export function openChannel(
  transport: ClientTransport,
  address: string,
  tls: DialTlsOptions | undefined,
): Channel {
  if (tls === undefined) return transport === 'native' ? nativeChannel(address) : grpcJsChannel(address);
  if (transport === 'grpc-js') throw new RangeError('no TLS on the grpc-js client transport');
  return nativeChannel(address, { tls: () => tls });
}

/** Connections to servers, `count` in all, shared out in turn. */
export class Connections {
  readonly channels: readonly Channel[];

  private constructor(channels: readonly Channel[]) {
    this.channels = channels;
  }

  /** @throws Error when one of them cannot be made within 10 s; none is then left open */
  static async open(transport: ClientTransport, servers: Reached, count: number): Promise<Connections> {
    const { addresses, tls } = servers;
    const address = (i: number): string => addresses[i % addresses.length];
    const channels = Array.from({ length: count }, (_, i) => openChannel(transport, address(i), tls));
    const connections = new Connections(channels);
    try {
      await Promise.all(
        channels.map(async (channel, i) => {
          try {
            await channel.connect(10_000);
          } catch (error) {
            const reason = error instanceof Error ? error.message : String(error);
            throw new Error(`no connection to ${address(i)}: ${reason}`, { cause: error });
          }
        }),
      );
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
