/**
 * Frames of the msgapp stream (version 2), which carries MsgApp from a leader to one follower. A MsgApp
 * that continues where the last one ended is sent without its header: only the entries and the commit
 * index. Both ends keep (term, index) of what was sent, so a stream is only meaningful from its start.
 *
 *   00                                                  link keepalive
 *   01 count:u64 (length:u64 entry)*count commit:u64    entries that follow
 *   02 length:u64 message                               a whole MsgApp
 *
 * (etcd: rafthttp msgappv2_codec.go; docs/formats/peer.md.)
 */
import { EMPTY } from '@keelson/base';
import { type Entry, Message, MessageType, type NodeId } from '@keelson/raft';
import { encodeEntries } from '../wal/entry-codec.ts';
import { WAL_RECORD_BYTES_MAX } from '../limits.ts';
import { ChunkReader } from './chunk-reader.ts';
import { assertEntriesFollow, decodeEntry, decodePeerMessage, messageSize, writeMessage } from './codec.ts';
import type { FrameBlock } from './frame-block.ts';
import { MESSAGE_BYTES_MAX } from './message-codec.ts';
import { PeerError } from './peer-error.ts';

const LINK_HEARTBEAT = 0;
const APP_ENTRIES = 1;
const APP = 2;

/** Largest entry we take, bytes: the bound of a log record. */
export const ENTRY_BYTES_MAX: number = WAL_RECORD_BYTES_MAX;

/** Most entries in one frame. A MsgApp has 1 MiB of entries and none is smaller than 6 bytes. */
export const FRAME_ENTRIES_MAX: number = 1024 * 1024;

/** The sending end's memory of one connection; a new connection needs a new one. */
export class MsgAppEncoder {
  private term = 0;
  private index = 0;

  encode(block: FrameBlock, message: Message): void {
    const entries = message.entries;
    if (message.index === this.index && message.logTerm === this.term && message.logTerm === message.term) {
      block.byte(APP_ENTRIES);
      block.u64(entries.length);
      encodeEntries(entries);
      for (let i = 0; i < entries.length; i++) {
        const entry = entries[i];
        block.u64(entry.encodedEnd - entry.encodedStart);
        block.bytes(entry.block, entry.encodedStart, entry.encodedEnd);
      }
      block.u64(message.commit);
      this.index += entries.length;
      return;
    }
    const size = messageSize(message);
    block.byte(APP);
    block.u64(size);
    const at = block.reserve(size);
    writeMessage(block.target, at, message);
    this.term = message.term;
    this.index = message.index + entries.length;
  }

  linkHeartbeat(block: FrameBlock): void {
    block.byte(LINK_HEARTBEAT);
  }
}

const Stage = { Kind: 0, Count: 1, EntryLength: 2, EntryBytes: 3, Commit: 4, Length: 5, Body: 6 } as const;
type Stage = (typeof Stage)[keyof typeof Stage];

/** Reads frames from chunks of any size. After it has thrown it must not be used again. */
export class MsgAppDecoder {
  private readonly reader = new ChunkReader();
  private readonly local: NodeId;
  private readonly remote: NodeId;
  private readonly messageBytesMax: number;
  private readonly entryBytesMax: number;
  private term = 0;
  private index = 0;
  private stage: Stage = Stage.Kind;
  private length = 0;
  private entriesLeft = 0;
  private frameBytes = 0;
  private entries: Entry[] = [];

  /** @param local this member, @param remote the member at the other end: they complete short frames */
  constructor(
    local: NodeId,
    remote: NodeId,
    messageBytesMax: number = MESSAGE_BYTES_MAX,
    entryBytesMax: number = ENTRY_BYTES_MAX,
  ) {
    this.local = local;
    this.remote = remote;
    this.messageBytesMax = messageBytesMax;
    this.entryBytesMax = entryBytesMax;
  }

  /**
   * Takes the next bytes of the stream and calls `take` for each MsgApp they complete; keepalives are
   * swallowed.
   * @throws PeerError 'MALFORMED' or 'TOO_LARGE'
   */
  push(chunk: Buffer, take: (message: Message) => void): void {
    this.reader.feed(chunk);
    for (let message = this.next(); message !== undefined; message = this.next()) take(message);
  }

  /** Whether the stream may end here: between frames. */
  get atFrameEnd(): boolean {
    return this.stage === Stage.Kind;
  }

  private next(): Message | undefined {
    const reader = this.reader;
    for (;;) {
      switch (this.stage) {
        case Stage.Kind: {
          const kind = reader.takeByte();
          if (kind < 0) return undefined;
          if (kind === APP_ENTRIES) {
            if (this.term === 0) throw new PeerError('MALFORMED', 'entries before the first whole MsgApp');
            this.stage = Stage.Count;
          } else if (kind === APP) this.stage = Stage.Length;
          else if (kind !== LINK_HEARTBEAT) throw new PeerError('MALFORMED', `frame type ${kind}`);
          break;
        }
        case Stage.Count: {
          const count = reader.takeU64();
          if (count < 0) return undefined;
          if (count > FRAME_ENTRIES_MAX) throw new PeerError('TOO_LARGE', `${count} entries`);
          this.entriesLeft = count;
          this.entries = [];
          this.frameBytes = 0;
          this.stage = count === 0 ? Stage.Commit : Stage.EntryLength;
          break;
        }
        case Stage.EntryLength: {
          const length = reader.takeU64();
          if (length < 0) return undefined;
          this.frameBytes += length;
          if (length > this.entryBytesMax || this.frameBytes > this.messageBytesMax) {
            throw new PeerError('TOO_LARGE', `entry of ${length} bytes, frame of ${this.frameBytes}`);
          }
          this.length = length;
          this.stage = Stage.EntryBytes;
          break;
        }
        case Stage.EntryBytes: {
          if (!reader.pass(this.length)) return undefined;
          this.entries.push(decodeEntry(reader.passed, reader.passedStart, reader.passedEnd));
          this.stage = --this.entriesLeft === 0 ? Stage.Commit : Stage.EntryLength;
          break;
        }
        case Stage.Commit: {
          const commit = reader.takeU64();
          if (commit < 0) return undefined;
          this.stage = Stage.Kind;
          return this.followingEntries(commit);
        }
        case Stage.Length: {
          const length = reader.takeU64();
          if (length < 0) return undefined;
          if (length > this.messageBytesMax) throw new PeerError('TOO_LARGE', `message of ${length} bytes`);
          this.length = length;
          this.stage = Stage.Body;
          break;
        }
        case Stage.Body: {
          const bytes = reader.take(this.length);
          if (bytes === undefined) return undefined;
          this.stage = Stage.Kind;
          return this.wholeMessage(bytes);
        }
      }
    }
  }

  private followingEntries(commit: number): Message {
    const entries = this.entries;
    this.entries = [];
    assertEntriesFollow(entries, this.index, this.term);
    const message = new Message(MessageType.App, {
      to: this.local,
      from: this.remote,
      term: this.term,
      logTerm: this.term,
      index: this.index,
      entries,
      commit,
      context: EMPTY,
    });
    this.index += entries.length;
    return message;
  }

  private wholeMessage(bytes: Buffer): Message {
    const message = decodePeerMessage(bytes);
    if (message.type !== MessageType.App) {
      throw new PeerError('MALFORMED', `message type ${message.type} on the msgapp stream`);
    }
    this.term = message.term;
    this.index = message.index + message.entries.length;
    return message;
  }
}
