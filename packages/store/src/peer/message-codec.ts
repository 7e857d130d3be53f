/**
 * Frames of the message stream, which carries everything but MsgApp: a big-endian u64 length and that
 * many bytes of raftpb.Message. The link's keepalive is a MsgHeartbeat from 0 to 0. The same frame opens
 * the body of a snapshot POST. (etcd: rafthttp msg_codec.go; docs/formats/peer.md.)
 */
import { writeU64BE } from '@keelson/base';
import { Message, MessageType } from '@keelson/raft';
import { ChunkReader } from './chunk-reader.ts';
import { decodePeerMessage, encodeMessage, messageSize, writeMessage } from './codec.ts';
import { PEER_MESSAGE_BYTES_MAX } from '../limits.ts';
import type { FrameBlock } from './frame-block.ts';
import { PeerError } from './peer-error.ts';

/**
 * Largest message we take from a stream or a pipeline, bytes. etcd reads up to 512 MiB; it sends MsgApps
 * of 1 MiB, or of one entry when that is larger.
 */
export const MESSAGE_BYTES_MAX: number = PEER_MESSAGE_BYTES_MAX;

/** Writes messages as frames. Has no state; one instance serves any number of connections. */
export const messageEncoder = {
  encode(block: FrameBlock, message: Message): void {
    const size = messageSize(message);
    block.u64(size);
    const at = block.reserve(size);
    writeMessage(block.target, at, message);
  },
  linkHeartbeat(block: FrameBlock): void {
    messageEncoder.encode(block, LINK_HEARTBEAT);
  },
};

const LINK_HEARTBEAT: Message = Object.freeze(new Message(MessageType.Heartbeat));

/** A message with its length before it: the opening of a snapshot POST's body. */
export function encodeMessageFrame(message: Message): Buffer {
  const bytes = encodeMessage(message);
  const frame = Buffer.allocUnsafe(8 + bytes.length);
  writeU64BE(frame, 0, bytes.length);
  bytes.copy(frame, 8);
  return frame;
}

/** Reads frames from chunks of any size. After it has thrown it must not be used again. */
export class MessageDecoder {
  private readonly reader = new ChunkReader();
  private readonly messageBytesMax: number;
  /** Length of the frame being read; -1 between frames. */
  private length = -1;

  constructor(messageBytesMax: number = MESSAGE_BYTES_MAX) {
    this.messageBytesMax = messageBytesMax;
  }

  /**
   * Takes the next bytes of the stream and calls `take` for each message they complete, keepalives too.
   * @throws PeerError 'MALFORMED' or 'TOO_LARGE'
   */
  push(chunk: Buffer, take: (message: Message) => void): void {
    this.reader.feed(chunk);
    for (let message = this.next(); message !== undefined; message = this.next()) take(message);
  }

  /** Whether the stream may end here: between frames. */
  get atFrameEnd(): boolean {
    return this.length < 0 && !this.reader.midway;
  }

  private next(): Message | undefined {
    if (this.length < 0) {
      const length = this.reader.takeU64();
      if (length < 0) return undefined;
      if (length > this.messageBytesMax) throw new PeerError('TOO_LARGE', `message of ${length} bytes`);
      this.length = length;
    }
    const bytes = this.reader.take(this.length);
    if (bytes === undefined) return undefined;
    this.length = -1;
    return decodePeerMessage(bytes);
  }
}
