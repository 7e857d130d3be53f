/**
 * The peer of the API server: its own port (TLS, HTTP/2, requests taken apart, answers with the headers each has) with a
 * handler behind it that sends back what came, or what it was told to keep. The difference is what the API costs.
 *
 *   node echo.js PORT CERT KEY CA
 */
import { readFileSync } from 'node:fs';
import { Door, Listener, ObjectCodec, TypeTable, type Handler } from '@keelson/apiserver';
import { silentLogger, systemClock } from '@keelson/base';

const BODY_BYTES_MAX = 3 * 2 ** 20;
const JSON_TYPE = 'application/json';

const [port, cert, key, ca] = process.argv.slice(2);

/** GET answers what was PUT last; POST gives back what it brings. */
function echo(): Handler {
  let kept: Buffer = Buffer.from('{}\n');
  return async (request) => {
    const body = request.method === 'GET' ? kept : await request.body(BODY_BYTES_MAX);
    if (request.method === 'PUT') kept = body;
    const code = request.method === 'POST' ? 201 : 200;
    return { kind: 'bytes', code, contentType: JSON_TYPE, body };
  };
}

const door = new Door({
  handler: echo(),
  codec: new ObjectCodec(new TypeTable()),
  clock: systemClock,
  logger: silentLogger,
});
const listener = new Listener({
  door,
  clock: systemClock,
  logger: silentLogger,
  tls: { cert: readFileSync(cert), key: readFileSync(key), clientCa: [readFileSync(ca)] },
});
await listener.listen(Number(port), '127.0.0.1');
process.once('SIGTERM', () => void listener.stop(0).then(() => process.exit(0)));
