/** Bytes straight to a port, as a broken or hostile client sends them. */
import { connect } from 'node:net';

export interface RawAnswer {
  /** What came back, as latin1. */
  readonly text: string;
  /** The other end closed the connection (or reset it) before we did. */
  readonly closedByServer: boolean;
}

/**
 * Sends `bytes` and listens until the server closes the connection, at most `listenMs`.
 * @param options.end half-close after the bytes
 * @param options.until enough has come when it matches
 */
export function sendRaw(
  address: string,
  bytes: Buffer,
  options: { readonly listenMs: number; readonly end?: boolean; readonly until?: RegExp },
): Promise<RawAnswer> {
  const [host, port] = address.split(':');
  return new Promise((resolve) => {
    let text = '';
    let closedByServer = false;
    const socket = connect({ host, port: Number(port) });
    const timer = setTimeout(() => socket.destroy(), options.listenMs);
    socket.on('connect', () => {
      socket.write(bytes);
      if (options.end === true) socket.end();
    });
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (options.until?.test(text) === true) socket.destroy();
    });
    socket.on('end', () => {
      closedByServer = true;
      socket.destroy();
    });
    // A reset is an answer like any other here.
    socket.on('error', () => {
      closedByServer = true;
    });
    socket.on('close', () => {
      clearTimeout(timer);
      resolve({ text, closedByServer });
    });
  });
}

/** A plain HTTP/1.1 request without the parser's politeness. */
export function httpRequest(
  line: string,
  headers: Readonly<Record<string, string>>,
  body: Buffer = Buffer.alloc(0),
): Buffer {
  const fields = Object.entries({ Host: 'x', Connection: 'close', ...headers }).map(
    ([k, v]) => `${k}: ${v}\r\n`,
  );
  return Buffer.concat([Buffer.from(`${line} HTTP/1.1\r\n${fields.join('')}\r\n`, 'latin1'), body]);
}

/** The status code of an HTTP/1.1 answer; undefined when it is none. */
export function httpStatus(answer: RawAnswer): number | undefined {
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(answer.text)?.[1];
  return status === undefined ? undefined : Number(status);
}
