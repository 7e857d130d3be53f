/**
 * A word on TLS after a command that reached nobody: whether the other side speaks TLS where this one did not, or
 * the other way round. Asked by dialling once more, only after a failure, and only for `keelson ctl`: etcdctl says
 * nothing of the kind.
 */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { parseAddress } from '@keelson/client';

/** For each of the two ways; a server on this side of a slow line may need longer, and then there is no hint. */
const PROBE_MS = 1_000;

/** HTTP/2's preface and empty settings: a server answers with settings of its own. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1');
const SETTINGS = 4;

/**
 * @param tls whether endpoints without a scheme were dialled with TLS
 * @returns a line without its end; undefined when no endpoint speaks otherwise than it was spoken to
 */
export async function tlsHint(endpoints: readonly string[], tls: boolean): Promise<string | undefined> {
  const hints = await Promise.all(endpoints.map((endpoint) => hintFor(endpoint, tls)));
  return hints.find((hint) => hint !== undefined);
}

async function hintFor(endpoint: string, tls: boolean): Promise<string | undefined> {
  const { address, secure = tls } = parseAddress(endpoint);
  if (secure)
    return (await speaksPlainly(address))
      ? `${endpoint} answers without TLS: leave out --cacert, --cert, --key and https://`
      : undefined;
  return (await speaksTls(address))
    ? `${endpoint} speaks TLS: give --cacert, and --cert and --key if it asks for a certificate, or https:// in --endpoints`
    : undefined;
}

function speaksTls(address: string): Promise<boolean> {
  return answered(address, (socket, done) => {
    const secured = connectTls({ socket, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    secured.on('secureConnect', () => done(true));
    // An alert is TLS's own; what is no TLS ends otherwise.
    secured.on('error', (error: NodeJS.ErrnoException) => done(/ALERT/.test(error.code ?? '')));
    return secured;
  });
}

function speaksPlainly(address: string): Promise<boolean> {
  return answered(address, (socket, done) => {
    let received = Buffer.alloc(0);
    socket.on('data', (bytes: Buffer) => {
      received = Buffer.concat([received, bytes]);
      // A frame's type is its fourth byte.
      if (received.length > 3) done(received[3] === SETTINGS);
    });
    socket.write(PREFACE);
    return socket;
  });
}

type Ask = (socket: Socket, done: (answer: boolean) => void) => Socket;

/** False for whoever cannot be reached, ends or does not answer in time. Nothing stays open. */
function answered(address: string, ask: Ask): Promise<boolean> {
  return new Promise((resolve) => {
    let asked: Socket | undefined;
    const done = (answer: boolean): void => {
      clearTimeout(timer);
      asked?.destroy();
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => done(false), PROBE_MS);
    const port = /^(.*):(\d+)$/.exec(address);
    const socket: Socket = address.startsWith('unix:')
      ? connect(address.slice('unix:'.length))
      : connect({ host: (port?.[1] ?? address).replace(/^\[(.*)\]$/, '$1'), port: Number(port?.[2]) });
    socket.on('error', () => done(false));
    socket.on('close', () => done(false));
    socket.on('connect', () => {
      asked = ask(socket, done);
    });
  });
}
