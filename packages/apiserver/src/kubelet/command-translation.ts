/**
 * One exec or attach between a client that speaks v5.channel.k8s.io over a WebSocket and a kubelet that speaks SPDY:
 * each channel becomes a stream and back, and how the command ended is told to the client as a Status. Every message of
 * the WebSocket begins with its channel; 255 closes one.
 *
 * Modelled on apiserver's util/proxy streamtranslator and client-go's remotecommand (v2 to v4).
 */

import type { Clock } from '@keelson/base';

import { fieldsOf, listOf, textOf } from '../api/fields.ts';
import type { JsonObject } from '../api/json.ts';
import { ApiError, internalError, statusObject } from '../api/status.ts';
import { writeJson } from '../codec/json-writer.ts';
import type { ByteConnection } from '../api/exchange.ts';
import { ended } from '../outbound/tunnel.ts';
import { SpdySession, type SpdyStream } from './spdy-session.ts';
import { PROTOCOL_ERROR, WebSocketServer } from './websocket.ts';

/** Which streams the client asked for. */
export interface CommandStreams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/** The protocol of the client's side. */
export const TRANSLATED_PROTOCOL = 'v5.channel.k8s.io';
/** Those of the kubelet's side, as we would have them. */
export const COMMAND_PROTOCOLS: readonly string[] = [
  'v4.channel.k8s.io',
  'v3.channel.k8s.io',
  'v2.channel.k8s.io',
];

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const ERROR = 3;
const RESIZE = 4;
const CLOSE_CHANNEL = 255;
/** Until the kubelet has taken a stream. */
const OPEN_MS = 30_000;
/** How a command ended is one Status. */
const ERROR_BYTES_MAX = 1024 * 1024;

/** A connection to a kubelet that left HTTP for SPDY, and for which protocol. */
export interface CommandBackend {
  readonly connection: ByteConnection;
  /** One of COMMAND_PROTOCOLS. */
  readonly protocol: string;
}

/**
 * Serves the client until the command is over or the client gone. Never rejects.
 *
 * @param dial reaches the kubelet; called once the client is told that it is connected. @throws ApiError, Error
 */
export async function translateCommand(
  client: ByteConnection,
  streams: CommandStreams,
  dial: () => Promise<CommandBackend>,
  clock: Pick<Clock, 'setTimer'>,
): Promise<void> {
  const socket = new WebSocketServer(client);
  const first = streams.stdout ? STDOUT : streams.stderr ? STDERR : ERROR;
  // The first message says that the connection stands, before there is anything to say.
  await socket.send(Buffer.from([first]));
  let status: JsonObject;
  try {
    status = await run(socket, client, streams, await dial(), clock);
  } catch (error) {
    status = statusOf(error);
  }
  await socket.send(Buffer.from([ERROR]), Buffer.from(writeJson(status)));
  socket.close();
  // Who is behind us closes the connection when this is over.
  await ended(client, clock);
}

async function run(
  socket: WebSocketServer,
  client: ByteConnection,
  wanted: CommandStreams,
  backend: CommandBackend,
  clock: Pick<Clock, 'setTimer'>,
): Promise<JsonObject> {
  const session = new SpdySession(backend.connection, clock);
  void client.closed.then(() => session.close());
  try {
    const open = (type: string): SpdyStream => session.open({ streamType: type });
    const failure = open('error');
    const stdin = wanted.stdin ? open('stdin') : undefined;
    const stdout = wanted.stdout ? open('stdout') : undefined;
    // A terminal has one output.
    const stderr = wanted.stderr && !wanted.tty ? open('stderr') : undefined;
    const resize = wanted.tty && backend.protocol !== 'v2.channel.k8s.io' ? open('resize') : undefined;
    await allTaken([failure, stdin, stdout, stderr, resize], clock);
    void takeInput(socket, stdin, resize).then(() => session.close());
    const told = endOf(failure);
    await Promise.all([copyOut(stdout, STDOUT, socket), copyOut(stderr, STDERR, socket)]);
    const text = await told;
    if (text.length === 0 && !failure.whole)
      throw new Error('error reading from error stream: unexpected EOF');
    return statusText(text, backend.protocol);
  } finally {
    session.close();
  }
}

/** @throws Error */
async function allTaken(
  streams: readonly (SpdyStream | undefined)[],
  clock: Pick<Clock, 'setTimer'>,
): Promise<void> {
  let expire = (): void => {};
  const expired = new Promise<'late'>((resolve) => {
    expire = () => resolve('late');
  });
  const timer = clock.setTimer(OPEN_MS, expire);
  const replies = Promise.all(streams.map((stream) => stream?.replied ?? Promise.resolve(true)));
  const taken = await Promise.race([replies, expired]);
  timer.cancel();
  if (taken === 'late') throw new Error('Timeout occurred');
  if (taken.includes(false)) throw new Error('stream reset, connection was closed');
}

async function copyOut(
  stream: SpdyStream | undefined,
  channel: number,
  socket: WebSocketServer,
): Promise<void> {
  const head = Buffer.from([channel]);
  for (let chunk = await stream?.read(); chunk !== undefined; chunk = await stream?.read()) {
    await socket.send(head, chunk);
  }
}

/** All that the client sends, until it is gone. */
async function takeInput(
  socket: WebSocketServer,
  stdin: SpdyStream | undefined,
  resize: SpdyStream | undefined,
): Promise<void> {
  const streams = new Map([
    [STDIN, stdin],
    [RESIZE, resize],
  ]);
  let channel = -1;
  let closing: Buffer = Buffer.alloc(0);
  for (let piece = await socket.next(); piece !== undefined; piece = await socket.next()) {
    let { data } = piece;
    if (piece.first) channel = -1;
    if (channel === -1 && data.length > 0) {
      channel = data[0];
      data = data.subarray(1);
    }
    if (channel === CLOSE_CHANNEL) {
      closing = Buffer.concat([closing, data.subarray(0, 2)]);
      if (!piece.last) continue;
      if (closing.length !== 1 || closing[0] > RESIZE) {
        socket.close(PROTOCOL_ERROR);
        return;
      }
      streams.get(closing[0])?.end();
      closing = Buffer.alloc(0);
    } else if (data.length > 0) await streams.get(channel)?.write(data);
  }
}

async function endOf(stream: SpdyStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for (let chunk = await stream.read(); chunk !== undefined; chunk = await stream.read()) {
    size += chunk.length;
    if (size <= ERROR_BYTES_MAX) chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const SUCCESS: JsonObject = { metadata: {}, status: 'Success' };

/** How the command ended, in the words of the original. @throws Error for what is no ending */
function statusText(told: Buffer, protocol: string): JsonObject {
  const text = told.toString('utf8');
  if (text === '') return SUCCESS;
  if (protocol !== 'v4.channel.k8s.io') throw new Error(`error executing remote command: ${text}`);
  const status = parsed(text);
  if (status['status'] === 'Success') return SUCCESS;
  if (status['status'] !== 'Failure') throw new Error('error stream protocol error: unknown error');
  if (status['reason'] !== 'NonZeroExitCode') throw new Error(textOf(status['message']));
  const causes = listOf(fieldsOf(status['details'])['causes']).map((cause) => fieldsOf(cause));
  const cause = causes.find(({ reason }) => reason === 'ExitCode');
  if (cause === undefined) throw new Error('error stream protocol error: no ExitCode cause given');
  const code = textOf(cause['message']);
  if (!/^\d{1,3}$/.test(code) || Number(code) > 255) {
    throw new Error(`error stream protocol error: invalid exit code value ${JSON.stringify(code)}`);
  }
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: command terminated with exit code ${Number(code)}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(Number(code)) }] },
  };
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    return fieldsOf(JSON.parse(text));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`error stream protocol error: ${why} in ${JSON.stringify(text)}`, { cause: error });
  }
}

/** A failure as the channel for errors carries it. */
function statusOf(error: unknown): JsonObject {
  const { status } = error instanceof ApiError ? error : internalError(error);
  const { kind: _kind, apiVersion: _version, ...said } = statusObject(status);
  return said;
}
