/**
 * Loads on leases: granting them, and keeping them alive on streams that stay open, one stream and one lease
 * a client, the next keep-alive when the last was answered.
 */
import { etcdserverpb, services } from '@keelson/proto';
import { RpcError, StatusCode } from '@keelson/rpc';
import type { Call } from './load.ts';
import type { Connections } from './transport.ts';

/** Longer than any run: no lease expires under the load. */
const TTL_SECONDS = 3600;

const { leaseGrant, leaseKeepAlive } = services.Lease.methods;

export function grantCall(connections: Connections): Call {
  return async (client) => {
    await connections.of(client).unary(leaseGrant, new etcdserverpb.LeaseGrantRequest({ TTL: TTL_SECONDS }));
  };
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export interface KeepAliveLoad {
  readonly call: Call;
  close(): void;
}

export async function keepAliveLoad(connections: Connections, clients: number): Promise<KeepAliveLoad> {
  const keepers = await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      const channel = connections.of(client);
      const { ID } = await channel.unary(
        leaseGrant,
        new etcdserverpb.LeaseGrantRequest({ TTL: TTL_SECONDS }),
      );
      const stream = channel.bidi(leaseKeepAlive);
      const request = new etcdserverpb.LeaseKeepAliveRequest({ ID });
      const ended = new RpcError(StatusCode.Unavailable, 'the keep-alive stream ended');
      let waiter: Waiter | undefined;
      stream.onMessage(({ TTL }) => {
        const waiting = waiter;
        waiter = undefined;
        if (TTL > 0) waiting?.resolve();
        else waiting?.reject(new RpcError(StatusCode.NotFound, 'the lease is gone'));
      });
      stream.onEnd((error) => {
        waiter?.reject(error ?? ended);
        waiter = undefined;
      });
      return {
        stream,
        keepAlive: (): Promise<void> =>
          new Promise((resolve, reject) => {
            if (stream.closed) {
              reject(ended);
              return;
            }
            waiter = { resolve, reject };
            stream.write(request);
          }),
      };
    }),
  );
  return {
    call: (client) => keepers[client].keepAlive(),
    close: () => {
      for (const { stream } of keepers) stream.cancel();
    },
  };
}
