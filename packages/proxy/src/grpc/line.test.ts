/** Whether a broken stream says something against the member it was at. */
import { expect, test } from '@jest/globals';
import { Prng, systemClock } from '@keelson/base';
import { services } from '@keelson/proto';
import { MethodTable, RpcError, StatusCode, nativeChannel, nativeServer } from '@keelson/rpc';
import { Line } from './line.ts';
import { raw } from './raw.ts';
import { Upstream } from './upstream.ts';

const WATCH = raw(services.Watch.methods.watch);

test.each([
  ['its caller may not: the member stays the first choice', StatusCode.PermissionDenied, true],
  ['the member is of no use: the next one is chosen', StatusCode.Unavailable, false],
])('%s', async (_name, code, stays) => {
  const servers = [0, 1].map(() =>
    nativeServer(
      new MethodTable().bidi(WATCH, (stream) =>
        stream.onMessage(() => stream.fail(new RpcError(code, 'no'))),
      ),
    ),
  );
  const ports = await Promise.all(
    servers.map(async (server) => (await server.listen({ host: '127.0.0.1', port: 0 })).port),
  );
  const upstream = new Upstream({
    endpoints: ports.map((port) => `127.0.0.1:${port}`),
    channelFactory: (address) => nativeChannel(address),
    clock: systemClock,
    prng: new Prng(1),
    secure: false,
    sendBytesMax: 0,
  });
  try {
    let first = '';
    const error = await new Promise<RpcError>((resolve) => {
      const line: Line = new Line(upstream, WATCH, undefined, {
        opened: () => {
          first = line.endpoint!.address;
          line.write(Buffer.alloc(0));
        },
        received: () => {},
        lost: (reason) => {
          resolve(reason);
          return false;
        },
      });
      line.want();
    });
    expect(error.code).toBe(code);
    const { endpoint, stream } = await upstream.open(WATCH, undefined);
    stream.cancel();
    expect(endpoint.address === first).toBe(stays);
  } finally {
    upstream.close();
    await Promise.all(servers.map((server) => server.close()));
  }
});
