/**
 * A server that answers every request at once with a small object, over HTTP/2 and TLS: what a request takes on this machine when
 * nothing is done for it. Beside a load it tells how much of a delay is the machine's. Ends with its parent.
 *
 *   fork(echo-server.ts, [CERTIFICATE, KEY]); its first message is its port
 */
import { readFileSync } from 'node:fs';
import { createSecureServer } from 'node:http2';

const BODY = Buffer.from(
  '{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"one"},"data":{"a":"b"}}\n',
);

if (import.meta.main) {
  const [cert, key] = process.argv.slice(2);
  const server = createSecureServer({ cert: readFileSync(cert), key: readFileSync(key) });
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    stream.resume();
    stream.respond({ ':status': 200, 'content-type': 'application/json' });
    stream.end(BODY);
  });
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    process.send?.(typeof address === 'object' && address !== null ? address.port : 0);
  });
  process.on('disconnect', () => process.exit());
}
