/**
 * Fuzz targets of what other members send, and of what stands in entries: raft messages, the message stream and the
 * msgapp stream in pieces of any size, the opening of a snapshot, commands, membership changes, values of keys, frames
 * of a WebSocket. What a peer may say must be readable again where we keep it; a stream means the same in any pieces.
 */
import type { IncomingMessage } from 'node:http';
import { Duplex, Readable } from 'node:stream';
import { silentLogger, systemClock } from '@keelson/base';
import { etcdserverpb, ProtoError, raftpb } from '@keelson/proto';
import { decodeConfChange, decodeConfChangeV2, encodeConfChange, encodeConfChangeV2, Entry, EntryType, Message, MessageType, Snapshot } from '@keelson/raft'; // prettier-ignore
import { Mutator } from '../../../base/test/fuzz/mutator.ts';
import { promise, promiseSame, type Execution, type FuzzTarget } from '../../../base/test/fuzz/target.ts';
import { CommandError, decodeCommand, encodeCommand } from '../../src/apply/command.ts';
import { WebSocketConnection } from '../../src/http/websocket.ts';
import { decodePeerMessage, encodeMessage } from '../../src/peer/codec.ts';
import { FrameBlock } from '../../src/peer/frame-block.ts';
import { encodeMessageFrame, MessageDecoder, messageEncoder } from '../../src/peer/message-codec.ts';
import { MsgAppDecoder, MsgAppEncoder } from '../../src/peer/msgapp-codec.ts';
import { PeerError } from '../../src/peer/peer-error.ts';
import type { PeerContext } from '../../src/peer/peer-options.ts';
import { openIncomingSnapshot } from '../../src/peer/snapshot-stream.ts';
import {
  decodeEntry as decodeLogEntry,
  decodeHardState,
  encodeHardState,
} from '../../src/wal/entry-codec.ts';

const LOCAL = 0x8e9e05c52164694dn;
const REMOTE = 0xcdf818194e3a8c32n;

const entry = (term: number, index: number, data: string, type: EntryType = EntryType.Normal): Entry =>
  new Entry(term, index, type, Buffer.from(data));

function messagesOfAllKinds(): Message[] {
  const to = { to: LOCAL, from: REMOTE };
  const confState = {
    voters: [LOCAL, REMOTE],
    learners: [],
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  };
  return [
    new Message(MessageType.Heartbeat),
    new Message(MessageType.App, {
      ...to,
      term: 3,
      logTerm: 2,
      index: 9,
      commit: 9,
      entries: [entry(2, 10, 'a'), entry(3, 11, 'put')],
    }),
    new Message(MessageType.App, {
      ...to,
      term: 3,
      logTerm: 3,
      index: 11,
      commit: 10,
      entries: [entry(3, 12, 'x'.repeat(140))],
    }),
    new Message(MessageType.AppResp, { ...to, term: 3, index: 11, reject: true, rejectHint: 4, logTerm: 2 }),
    new Message(MessageType.Vote, {
      ...to,
      term: 4,
      index: 12,
      logTerm: 3,
      vote: REMOTE,
      context: Buffer.from('CampaignTransfer'),
    }),
    new Message(MessageType.Prop, { ...to, entries: [new Entry(0, 0, EntryType.Normal, Buffer.from('p'))] }),
    new Message(MessageType.Snap, {
      ...to,
      term: 3,
      snapshot: new Snapshot(20, 3, confState, Buffer.from('{}')),
    }),
    new Message(MessageType.App, {
      ...to,
      term: 2 ** 50,
      logTerm: 1,
      index: 2 ** 50,
      commit: 3,
      entries: [entry(5, 2 ** 50 + 1, '')],
    }),
  ];
}

/** Words that a mutator of bytes would not find: unknown fields, overlong varints, other wire types. */
const FIELDS: readonly Buffer[] = ['2802', '28ffffffffffffffffff02', '28ffffffffffffffff7f', '2d00000000', '290000000000000000', '2a0161', '2b2c', '30808080808080808080 01', '0a00', '18ffffffffffffff0f', '10ffffffffffffff0f', '3a0408001801', '720408041000'].map((text) => Buffer.from(text.replaceAll(' ', ''), 'hex')); // prettier-ignore

function textOf(message: Message): string {
  return encodeMessage(message).toString('hex');
}

/** @returns undefined when it is refused as a peer's */
function peerMessage(bytes: Buffer): Message | undefined {
  try {
    return decodePeerMessage(bytes);
  } catch (error) {
    if (error instanceof PeerError) return undefined;
    throw error;
  }
}

function openMessages(): Execution {
  const mutator = new Mutator(messagesOfAllKinds().map(encodeMessage), FIELDS, 4096);
  return (prng) => {
    const bytes = Buffer.from(mutator.next(prng));
    const message = peerMessage(bytes);
    if (message === undefined) return 'refused';
    if (message.type === MessageType.App) assertKept(message);
    if (message.type === MessageType.Prop) return 'proposal';
    // The generated codec of the same message says the same of what stands outside entries and snapshots.
    let twin: raftpb.Message | undefined;
    try {
      twin = raftpb.decodeMessage(bytes);
    } catch (error) {
      if (!(error instanceof ProtoError)) throw error;
    }
    if (twin !== undefined && message.type !== MessageType.Hup)
      promiseSame(
        bytes.toString('hex'),
        [message.to, message.from, message.term, message.logTerm, message.index, message.commit, message.reject, message.rejectHint, message.vote, message.entries.length].join(), // prettier-ignore
        [twin.to, twin.from, twin.term, twin.logTerm, twin.index, twin.commit, twin.reject, twin.rejectHint, twin.vote, twin.entries.length].join(), // prettier-ignore
      );
    const again = peerMessage(Buffer.from(encodeMessage(message)));
    if (message.type !== MessageType.App)
      promiseSame('a message', again === undefined ? 'refused' : textOf(again), textOf(message));
    return 'accepted';
  };
}

/** Entries of a MsgApp go to our log as they came: the log's own decoder must read them, and read the same. */
function assertKept({ entries }: Message): void {
  for (const { encoded, term, index, type, data } of entries) {
    promise(encoded !== undefined, () => 'an entry keeps its bytes');
    const kept = decodeLogEntry(encoded!);
    promise(
      kept.term === term && kept.index === index && kept.type === type && kept.data.equals(data),
      () => `entry ${term}/${index} is ${kept.term}/${kept.index} in the log`,
    );
  }
}

/** A stream in pieces: the messages of the same bytes at once. */
function openStreams(kind: 'message' | 'msgapp'): Execution {
  const all = messagesOfAllKinds();
  const apps = [
    all[1],
    all[2],
    new Message(MessageType.App, {
      to: LOCAL,
      from: REMOTE,
      term: 3,
      logTerm: 3,
      index: 12,
      commit: 12,
      entries: [entry(3, 13, 'y'), entry(3, 14, 'z')],
    }),
  ];
  const encodeApps = (messages: readonly Message[]): Buffer => {
    const encoder = new MsgAppEncoder();
    const block = new FrameBlock(4096);
    for (const message of messages) encoder.encode(block, message);
    return Buffer.concat(block.finish());
  };
  const encodeAll = (messages: readonly Message[]): Buffer => {
    const block = new FrameBlock(4096);
    for (const message of messages) messageEncoder.encode(block, message);
    return Buffer.concat(block.finish());
  };
  const corpus =
    kind === 'message'
      ? [encodeAll(all.filter(({ type }) => type !== MessageType.App)), encodeAll([all[0], all[3]])]
      : [
          encodeApps(apps),
          encodeApps(apps.slice(0, 1)),
          Buffer.concat([encodeApps(apps.slice(0, 2)), Buffer.from([0])]),
        ];
  const mutator = new Mutator(corpus, FIELDS, 8192);
  const make = (): MessageDecoder | MsgAppDecoder =>
    kind === 'message' ? new MessageDecoder() : new MsgAppDecoder(LOCAL, REMOTE);
  return (prng) => {
    const bytes = Buffer.from(mutator.next(prng));
    const whole = streamText(make(), bytes, () => bytes.length);
    const pieces = streamText(make(), bytes, () => 1 + prng.below(20));
    promiseSame('a stream in pieces', pieces, whole);
    return whole.endsWith('refused') ? 'refused' : 'accepted';
  };
}

function streamText(decoder: MessageDecoder | MsgAppDecoder, bytes: Buffer, piece: () => number): string {
  let text = '';
  try {
    for (let at = 0; at < bytes.length;) {
      const end = Math.min(bytes.length, at + piece());
      decoder.push(Buffer.from(bytes.subarray(at, end)), (message: Message) => {
        if (message.type === MessageType.App) assertKept(message);
        text += `${textOf(message)};`;
      });
      at = end;
    }
  } catch (error) {
    if (!(error instanceof PeerError)) throw error;
    return `${text}refused`;
  }
  return text;
}

function openSnapshot(): Execution {
  const frame = encodeMessageFrame(messagesOfAllKinds()[6]);
  const corpus = [Buffer.concat([frame, Buffer.alloc(300, 'database')]), frame];
  const mutator = new Mutator(corpus, FIELDS, 4096);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the opening of a snapshot looks at
  const context = { clock: systemClock, limits: { readTimeoutMs: 60_000, snapshotMessageBytesMax: 16 * 1024 * 1024 }, logger: silentLogger } as unknown as PeerContext; // prettier-ignore
  return async (prng) => {
    const bytes = Buffer.from(mutator.next(prng));
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length;) {
      const end = at + 1 + prng.below(200);
      chunks.push(bytes.subarray(at, end));
      at = end;
    }
    const said = prng.chance(1, 2) ? String(bytes.length) : prng.chance(1, 2) ? '7' : undefined;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a request as far as it is read here
    const request = Object.assign(Readable.from(chunks), {
      headers: { 'content-length': said },
    }) as unknown as IncomingMessage;
    try {
      const incoming = await openIncomingSnapshot(context, request);
      let received = 0;
      for await (const chunk of incoming.body) received += chunk.length;
      promise(
        received === bytes.length - 8 - incoming.messageBytes,
        () => `${received} bytes of the database`,
      );
      promise(incoming.complete() && said !== '7', () => 'a body of another length is taken');
      return 'accepted';
    } catch (error) {
      if (error instanceof PeerError) return error.code;
      throw error;
    }
  };
}

/** Entries' data: our reader of the envelope, and the generated one of the whole request. */
function openCommands(): Execution {
  const put = etcdserverpb.encodePutRequest(
    new etcdserverpb.PutRequest({ key: Buffer.from('k'), value: Buffer.from('v') }),
  );
  const corpus = [
    encodeCommand({ owner: 7, sequence: 9 }, 4, put),
    encodeCommand({ owner: 0xffff, sequence: 2 ** 47 }, 4, put, { username: 'root', revision: 2 ** 40 }),
  ];
  const mutator = new Mutator(corpus, FIELDS, 1024);
  return (prng) => {
    const bytes = mutator.next(prng);
    let command: ReturnType<typeof decodeCommand> | undefined;
    try {
      command = decodeCommand(bytes);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
    }
    let twin: etcdserverpb.InternalRaftRequest | undefined;
    try {
      twin = etcdserverpb.decodeInternalRaftRequest(bytes);
    } catch (error) {
      if (!(error instanceof ProtoError)) throw error;
    }
    if (command === undefined || twin === undefined)
      return command === undefined && twin === undefined ? 'refused' : 'refused by one';
    if (twin.header !== undefined) {
      const { username, authRevision } = twin.header;
      if (twin.put !== undefined && command.kind === 4)
        promiseSame(
          'the caller',
          `${command.identity?.username ?? ''}/${command.identity?.revision ?? 0}`,
          `${username}/${authRevision}`,
        );
    }
    return 'accepted';
  };
}

function openConfChanges(): Execution {
  const context = Buffer.from('{"id":1}');
  const corpus = [
    encodeConfChange({ id: 5n, type: 0, nodeId: LOCAL, context }),
    encodeConfChangeV2({
      transition: 1,
      changes: [
        { type: 0, nodeId: 1n },
        { type: 1, nodeId: LOCAL },
      ],
      context,
    }),
  ];
  const mutator = new Mutator(corpus, FIELDS, 512);
  return (prng) => {
    const bytes = Buffer.from(mutator.next(prng));
    const first = decodeConfChange(bytes);
    const second = decodeConfChangeV2(bytes);
    if (first !== undefined) {
      const again = decodeConfChange(encodeConfChange(first));
      promise(again !== undefined && again.id === first.id && again.type === first.type && again.nodeId === first.nodeId && again.context.equals(first.context), () => `a change ${bytes.toString('hex')}`); // prettier-ignore
    }
    if (second !== undefined) {
      const again = encodeConfChangeV2(second);
      promiseSame(
        'a change',
        encodeConfChangeV2(decodeConfChangeV2(again)!).toString('hex'),
        again.toString('hex'),
      );
    }
    return first === undefined && second === undefined ? 'refused' : 'accepted';
  };
}

/** What stands in State records. */
function openHardStates(): Execution {
  const corpus = [
    encodeHardState({ term: 3, vote: LOCAL, commit: 9 }),
    encodeHardState({ term: 2 ** 50, vote: 0n, commit: 0 }),
  ];
  const mutator = new Mutator(corpus, FIELDS, 256);
  return (prng) => {
    const bytes = mutator.next(prng);
    try {
      const state = decodeHardState(bytes);
      const again = decodeHardState(encodeHardState(state));
      promise(
        again.term === state.term && again.vote === state.vote && again.commit === state.commit,
        () => 'a hard state',
      );
      return 'accepted';
    } catch (error) {
      if (error instanceof ProtoError || error instanceof RangeError) return 'refused';
      throw error;
    }
  };
}

/** A client's frames in pieces; messages are bounded, and what is kept of them is. */
function openWebSocket(): Execution {
  const masked = (first: number, payload: Buffer): Buffer => {
    const head = payload.length < 126 ? Buffer.from([first, 0x80 | payload.length]) : Buffer.from([first, 0xfe, payload.length >> 8, payload.length & 0xff]); // prettier-ignore
    return Buffer.concat([head, Buffer.alloc(4), payload]);
  };
  const text = Buffer.from('{"create_request":{}}');
  const corpus = [
    masked(0x81, text),
    Buffer.concat([masked(0x01, text), masked(0x00, text), masked(0x80, Buffer.alloc(0))]),
    Buffer.concat([
      masked(0x89, Buffer.from('ping')),
      masked(0x82, Buffer.alloc(300, 'x')),
      masked(0x88, Buffer.from([3, 232])),
    ]),
    Buffer.concat([masked(0x01, text), ...Array.from({ length: 40 }, () => masked(0x00, Buffer.alloc(0)))]),
  ];
  const mutator = new Mutator(corpus, [], 4096);
  const LIMIT = 1024;
  return (prng) => {
    const bytes = Buffer.from(mutator.next(prng));
    const outcomes = [bytes.length, 1 + prng.below(40)].map((piece) => {
      let told = '';
      const sent: Buffer[] = [];
      const socket = new Duplex({
        read: () => {},
        write: (chunk: Buffer, _encoding, done) => (sent.push(chunk), done()),
      });
      const connection = new WebSocketConnection(
        socket,
        {
          message: (payload) => {
            promise(payload.length <= LIMIT, () => `a message of ${payload.length} bytes`);
            told += `${payload.toString('hex')};`;
            return true;
          },
          drained: () => {},
          closed: () => {},
        },
        LIMIT,
      );
      connection.start(Buffer.alloc(0));
      const take: unknown = Reflect.get(connection, 'take');
      for (let at = 0; at < bytes.length; at += piece)
        if (typeof take === 'function') Reflect.apply(take, connection, [bytes.subarray(at, at + piece)]);
      const kept: unknown = Reflect.get(connection, 'fragments');
      promise(
        Array.isArray(kept) && kept.every((one) => Buffer.isBuffer(one) && one.length > 0),
        () => 'fragments are kept without bound',
      );
      const text = told + Buffer.concat(sent).toString('hex');
      socket.destroy();
      return text;
    });
    promiseSame('frames in pieces', outcomes[1], outcomes[0]);
    return outcomes[0] === '' ? 'waits' : 'answered';
  };
}

export const peerTargets: readonly FuzzTarget[] = [
  {
    name: 'peer-message',
    gateExecutions: 12_000,
    outcomes: ['accepted', 'refused', 'proposal'],
    open: openMessages,
  },
  {
    name: 'peer-stream',
    gateExecutions: 4_000,
    outcomes: ['accepted', 'refused'],
    open: () => openStreams('message'),
  },
  {
    name: 'peer-msgapp',
    gateExecutions: 4_000,
    outcomes: ['accepted', 'refused'],
    open: () => openStreams('msgapp'),
  },
  {
    name: 'peer-snapshot',
    gateExecutions: 1_500,
    outcomes: ['accepted', 'MALFORMED', 'SNAPSHOT_LENGTH'],
    open: openSnapshot,
  },
  { name: 'commands', gateExecutions: 10_000, outcomes: ['accepted', 'refused'], open: openCommands },
  { name: 'conf-changes', gateExecutions: 10_000, outcomes: ['accepted', 'refused'], open: openConfChanges },
  { name: 'hard-states', gateExecutions: 10_000, outcomes: ['accepted', 'refused'], open: openHardStates },
  { name: 'websocket', gateExecutions: 1_500, outcomes: ['waits', 'answered'], open: openWebSocket },
];
