/** The contract suite on every transport we have. */
import { grpcJsChannel, grpcJsServer, inProcessChannel } from '@keelson/rpc';
import { transportContract } from './contract/transport.ts';

transportContract('grpc-js', async (table, options) => {
  const server = grpcJsServer(table, options);
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  const channel = grpcJsChannel(`127.0.0.1:${port}`);
  return {
    channel,
    async close() {
      channel.close();
      await server.close();
    },
  };
});

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
