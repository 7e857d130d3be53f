/** The contract suite on every transport we have, and on the pairs of them that share a wire. */
import {
  grpcJsChannel,
  grpcJsServer,
  inProcessChannel,
  nativeChannel,
  nativeServer,
  type Channel,
  type MethodTable,
  type RpcServer,
} from '@keelson/rpc';
import { transportContract, type Rig, type RigOptions } from './contract/transport.ts';

function onSocket(
  serve: (table: MethodTable, options: RigOptions) => RpcServer,
  dial: (address: string) => Channel,
): (table: MethodTable, options: RigOptions) => Promise<Rig> {
  return async (table, options) => {
    const server = serve(table, options);
    const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
    const channel = dial(`127.0.0.1:${port}`);
    return {
      channel,
      async close() {
        channel.close();
        await server.close();
      },
    };
  };
}

transportContract('native', onSocket(nativeServer, nativeChannel));
transportContract('native server, grpc-js channel', onSocket(nativeServer, grpcJsChannel));
transportContract('grpc-js server, native channel', onSocket(grpcJsServer, nativeChannel));
transportContract('grpc-js', onSocket(grpcJsServer, grpcJsChannel));

transportContract('in process', (table, options) => {
  const channel = inProcessChannel(table, options);
  return Promise.resolve({
    channel,
    close() {
      channel.close();
      return Promise.resolve();
    },
  });
});
