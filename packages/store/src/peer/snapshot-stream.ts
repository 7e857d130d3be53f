/**
 * A snapshot's way between members: POST /raft/snapshot, whose body is the framed MsgSnap and then the
 * database file, as a stream with back pressure at both ends. Never holds more than a few chunks of it.
 * (etcd: rafthttp snapshot_sender.go, http.go snapshotHandler.)
 */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { EMPTY, readU64BE } from '@keelson/base';
import { type Message, MessageType, type NodeId } from '@keelson/raft';
import { decodeMessage } from './codec.ts';
import { Deadline } from './deadline.ts';
import { encodeMessageFrame } from './message-codec.ts';
import { PeerError } from './peer-error.ts';
import type { PeerContext } from './peer-options.ts';
import { type Post, openPost } from './peer-request.ts';
import type { PeerUrl } from './url-picker.ts';

/** Closes a snapshot's source that will not be read. */
export function closeBody(body: AsyncIterable<Buffer>, onError: (error: unknown) => void): void {
  body[Symbol.asyncIterator]().return?.().then(undefined, onError);
}

/** A snapshot being sent; stop it with abort(). */
export interface SnapshotSending {
  /** Resolves when the peer has saved and stepped it; rejects with a PeerError or the body's own error. */
  readonly done: Promise<void>;
  abort(error: PeerError): void;
}

/**
 * Sends `message` and then `body`, which must have exactly `bytes` bytes. The body's iterator is always
 * closed (return()), also on failure.
 */
export function sendSnapshot(
  context: PeerContext,
  url: PeerUrl,
  to: NodeId,
  message: Message,
  body: AsyncIterable<Buffer>,
  bytes: number,
): SnapshotSending {
  const frame = encodeMessageFrame(message);
  const post = openPost(context, url, to, '/raft/snapshot', 'application/octet-stream', frame.length + bytes);
  const done = writeBody(context, post, frame, body, bytes);
  return { done, abort: (error) => post.abort(error) };
}

async function writeBody(
  context: PeerContext,
  post: Post,
  frame: Buffer,
  body: AsyncIterable<Buffer>,
  bytes: number,
): Promise<void> {
  const peer = { answered: false };
  const answered = post.answered.finally(() => {
    peer.answered = true;
  });
  answered.catch(() => {}); // awaited below, after the body
  const chunks = body[Symbol.asyncIterator]();
  let sentBytes = 0;
  try {
    await write(context, post, answered, frame);
    while (!peer.answered) {
      const step = await chunks.next();
      if (step.done === true) break;
      sentBytes += step.value.length;
      if (sentBytes > bytes) throw new PeerError('SNAPSHOT_LENGTH', `more than ${bytes}`);
      if (!peer.answered) await write(context, post, answered, step.value);
    }
    if (peer.answered) await answered; // refused before the end: throws
    if (sentBytes < bytes) throw new PeerError('SNAPSHOT_LENGTH', `${sentBytes} of ${bytes}`);
    post.request.end();
    post.expectWithin(context.limits.snapshotAnswerTimeoutMs);
    await answered;
  } catch (error) {
    post.abort(error instanceof PeerError ? error : new PeerError('CONNECTION', String(error)));
    throw error;
  } finally {
    await chunks.return?.();
  }
}

/** One write; when the connection is behind, waits until it has caught up or failed. */
async function write(
  context: PeerContext,
  post: Post,
  answered: Promise<void>,
  chunk: Buffer,
): Promise<void> {
  if (post.request.write(chunk)) return;
  post.expectWithin(context.limits.writeTimeoutMs);
  await Promise.race([once(post.request, 'drain'), answered]);
  post.rest();
}

/** An incoming snapshot whose MsgSnap has been read; the rest of the body is still to come. */
export interface IncomingSnapshot {
  readonly message: Message;
  /** Bytes of the message. */
  readonly messageBytes: number;
  /** Length of `body`; undefined when the sender did not say. */
  readonly bytes: number | undefined;
  /** The database file. Throws when the transfer is cut or silent for too long. One iteration only. */
  readonly body: AsyncIterable<Buffer>;
  /** Bytes of `body` given out so far. */
  receivedBytes(): number;
  /** Whether `body` has been read to its end. */
  complete(): boolean;
  /** Lets go of the request without ending it, so that it can still be answered. */
  release(): Promise<void>;
}

/**
 * Reads the framed message that opens a snapshot POST.
 * @throws PeerError 'TOO_LARGE' or 'MALFORMED', or the connection's error
 */
export async function openIncomingSnapshot(
  context: PeerContext,
  request: IncomingMessage,
): Promise<IncomingSnapshot> {
  const silence = new Deadline(context.clock, context.limits.readTimeoutMs, () =>
    request.destroy(new PeerError('TIMEOUT')),
  );
  const chunks = request.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer, undefined>;
  const release = async (): Promise<void> => {
    await chunks.return?.();
  };
  /** Waits for the network only here, so a slow disk never looks like a silent peer. */
  const next = async (): Promise<Buffer | undefined> => {
    silence.touch();
    try {
      const step = await chunks.next();
      return step.done === true ? undefined : step.value;
    } finally {
      silence.stop();
    }
  };
  let head: Buffer = EMPTY;
  const need = async (length: number): Promise<void> => {
    const parts = [head];
    let bytes = head.length;
    while (bytes < length) {
      const chunk = await next();
      if (chunk === undefined) throw new PeerError('MALFORMED', 'snapshot ends inside its message');
      parts.push(chunk);
      bytes += chunk.length;
    }
    head = parts.length === 1 ? head : Buffer.concat(parts, bytes);
  };
  let message: Message;
  let messageBytes: number;
  try {
    await need(8);
    if (head.readUInt32BE(0) > 0x1f_ffff) throw new PeerError('TOO_LARGE', 'snapshot message');
    messageBytes = readU64BE(head, 0);
    if (messageBytes > context.limits.snapshotMessageBytesMax) {
      throw new PeerError('TOO_LARGE', `snapshot message of ${messageBytes} bytes`);
    }
    await need(8 + messageBytes);
    message = decodeMessage(Buffer.from(head.subarray(8, 8 + messageBytes)));
    if (message.type !== MessageType.Snap || message.snapshot === undefined) {
      throw new PeerError('MALFORMED', 'wrong raft message type');
    }
  } catch (error) {
    await release();
    throw error;
  }
  const contentLength = request.headers['content-length'];
  const bytes = contentLength === undefined ? undefined : Number(contentLength) - 8 - messageBytes;
  let receivedBytes = 0;
  let complete = false;
  async function* rest(): AsyncGenerator<Buffer, void> {
    const first = head.subarray(8 + messageBytes);
    head = EMPTY;
    for (let chunk: Buffer | undefined = first; chunk !== undefined; chunk = await next()) {
      receivedBytes += chunk.length;
      if (chunk.length > 0) yield chunk;
    }
    if (bytes !== undefined && receivedBytes !== bytes) {
      throw new PeerError('SNAPSHOT_LENGTH', `${receivedBytes} of ${bytes}`);
    }
    complete = true;
  }
  return {
    message,
    messageBytes,
    bytes,
    body: rest(),
    receivedBytes: () => receivedBytes,
    complete: () => complete,
    release,
  };
}
