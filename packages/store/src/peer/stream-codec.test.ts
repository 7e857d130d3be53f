import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { Prng } from '@keelson/base';
import { Entry, Message, MessageType } from '@keelson/raft';
import { encodeEntry } from '../wal/entry-codec.ts';
import { isLinkHeartbeat } from './codec.ts';
import { BY_REFERENCE_BYTES, FrameBlock } from './frame-block.ts';
import { MessageDecoder, encodeMessageFrame, messageEncoder } from './message-codec.ts';
import { MsgAppDecoder, MsgAppEncoder } from './msgapp-codec.ts';
import { PeerError } from './peer-error.ts';

const LOCAL = 1n;
const REMOTE = 2n;

/** A leader's MsgApps to one follower: mostly in sequence, sometimes a step back or a new term. */
function conversation(seed: number, length: number): Message[] {
  const prng = new Prng(seed);
  const messages: Message[] = [];
  let term = 1;
  let logTerm = 0;
  let index = 0;
  for (let i = 0; i < length; i++) {
    if (prng.chance(1, 20)) term++;
    if (prng.chance(1, 15) && index > 3) index -= prng.below(3);
    const count = prng.below(5);
    const entries: Entry[] = [];
    for (let k = 1; k <= count; k++) {
      const size = prng.chance(1, 10) ? BY_REFERENCE_BYTES + prng.below(5_000) : prng.below(200);
      entries.push(new Entry(term, index + k, 0, Buffer.alloc(size, k)));
    }
    messages.push(
      new Message(MessageType.App, {
        to: LOCAL,
        from: REMOTE,
        term,
        logTerm,
        index,
        entries,
        commit: prng.below(1000),
      }),
    );
    if (count > 0) logTerm = term;
    index += count;
  }
  return messages;
}

function plain(message: Message): unknown {
  return {
    ...Object.fromEntries(Object.entries(message)),
    entries: message.entries.map((e) => [e.term, e.index, e.type, e.data.toString('latin1')]),
    context: message.context.toString('latin1'),
  };
}

function encodeAll(messages: readonly Message[], heartbeatEvery = 3): Buffer {
  const encoder = new MsgAppEncoder();
  const parts: Buffer[] = [];
  messages.forEach((message, i) => {
    const block = new FrameBlock(64); // far too small on purpose
    if (i % heartbeatEvery === 0) encoder.linkHeartbeat(block);
    encoder.encode(block, message);
    parts.push(...block.finish());
  });
  return Buffer.concat(parts);
}

function inChunks(bytes: Buffer, prng: Prng, push: (chunk: Buffer) => void): void {
  for (let at = 0; at < bytes.length;) {
    const size = prng.chance(1, 2) ? 1 + prng.below(12) : 1 + prng.below(40_000);
    push(Buffer.from(bytes.subarray(at, at + size)));
    at += size;
  }
}

test('msgapp: what goes in comes out, whatever the chunks', () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const messages = conversation(seed, 30);
      const decoder = new MsgAppDecoder(LOCAL, REMOTE);
      const got: Message[] = [];
      inChunks(encodeAll(messages), new Prng(seed), (chunk) => decoder.push(chunk, (m) => got.push(m)));
      expect(got.map(plain)).toEqual(messages.map(plain));
      expect(decoder.atFrameEnd).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test('msgapp: entries that follow are sent without a header, and keep their bytes', () => {
  const encoder = new MsgAppEncoder();
  const first = new Message(MessageType.App, {
    to: LOCAL,
    from: REMOTE,
    term: 4,
    logTerm: 4,
    index: 10,
    commit: 9,
  });
  const entry = new Entry(4, 11, 0, Buffer.from('v'));
  const second = new Message(MessageType.App, {
    to: LOCAL,
    from: REMOTE,
    term: 4,
    logTerm: 4,
    index: 10,
    commit: 10,
    entries: [entry],
  });
  const block = new FrameBlock(256);
  encoder.encode(block, first);
  encoder.encode(block, second);
  const bytes = Buffer.concat(block.finish());
  expect(bytes[0]).toBe(2);
  const frame = bytes.subarray(9 + bytes.readUInt32BE(5));
  expect(frame.toString('hex')).toBe('010000000000000001000000000000000908001004180b220176000000000000000a');
  const decoder = new MsgAppDecoder(LOCAL, REMOTE);
  const got: Message[] = [];
  decoder.push(bytes, (m) => got.push(m));
  expect(got[1]?.entries[0]?.encoded?.equals(encodeEntry(entry))).toBe(true);
});

test('msgapp: a large entry is passed on, not copied; a small one is copied once', () => {
  const large = new Entry(1, 1, 0, Buffer.alloc(BY_REFERENCE_BYTES));
  const small = new Entry(1, 2, 0, Buffer.alloc(10));
  const encoder = new MsgAppEncoder();
  const block = new FrameBlock(128);
  encoder.encode(block, new Message(MessageType.App, { term: 1, logTerm: 1, index: 0 }));
  encoder.encode(
    block,
    new Message(MessageType.App, { term: 1, logTerm: 1, index: 0, entries: [large, small] }),
  );
  const parts = block.finish();
  expect(parts[1].buffer).toBe(large.block.buffer);
  expect(parts[1]).toEqual(large.encoded);
  expect(parts).toHaveLength(3);
});

test('msgapp: memory kept by an entry is bounded by the chunk it came in', () => {
  const slab = Buffer.alloc(1024 * 1024);
  const bytes = encodeAll(conversation(7, 4));
  bytes.copy(slab, 500);
  const decoder = new MsgAppDecoder(LOCAL, REMOTE);
  decoder.push(slab.subarray(500, 500 + bytes.length), (m) => {
    for (const entry of m.entries) expect(entry.data.buffer).not.toBe(slab.buffer);
  });
});

describe('msgapp: frames that are refused', () => {
  const u64 = (value: number): string => value.toString(16).padStart(16, '0');
  const whole = encodeAll([new Message(MessageType.App, { term: 1, logTerm: 1, index: 5 })], 2).toString(
    'hex',
  );
  test.each<[string, string, string]>([
    ['an unknown type', '03', 'MALFORMED'],
    ['entries before a whole message', '01', 'MALFORMED'],
    ['a message over the bound', `02${u64(2000)}`, 'TOO_LARGE'],
    ['a message of 2^64-1 bytes', '02ffffffffffffffff', 'TOO_LARGE'],
    ['2^40 entries', `${whole}01${u64(2 ** 40)}`, 'TOO_LARGE'],
    ['an entry over the bound', `${whole}01${u64(1)}${u64(501)}`, 'TOO_LARGE'],
    [
      'entries that together are over the bound',
      `${whole}01${u64(3)}` + (u64(500) + '22f10300'.repeat(497)).repeat(3),
      'TOO_LARGE',
    ],
    ['a gap', `${whole}01${u64(1)}${u64(6)}080010011807${u64(0)}`, 'MALFORMED'],
    ['a term that falls', `${whole}01${u64(1)}${u64(6)}080010001806${u64(0)}`, 'MALFORMED'],
    ['a commit beyond 2^53-1', `${whole}01${u64(0)}ffffffffffffffff`, 'TOO_LARGE'],
    ['another message type', `02${u64(2)}0808`, 'MALFORMED'],
  ])('%s', (_name, hex, code) => {
    const decoder = new MsgAppDecoder(LOCAL, REMOTE, 1000, 500);
    expect(() => decoder.push(Buffer.from(hex, 'hex'), () => {})).toThrow(
      expect.objectContaining({ name: 'PeerError', code }),
    );
  });
});

test('msgapp: a flipped byte anywhere gives messages or a PeerError, nothing else', () => {
  const bytes = encodeAll(conversation(3, 6));
  const prng = new Prng(11);
  for (let round = 0; round < 1500; round++) {
    const flipped = Buffer.from(bytes);
    const at = prng.below(flipped.length);
    flipped[at] = (flipped[at] ?? 0) ^ (1 + prng.below(255));
    const decoder = new MsgAppDecoder(LOCAL, REMOTE);
    try {
      inChunks(flipped, prng, (chunk) => decoder.push(chunk, () => {}));
    } catch (error) {
      expect(error).toBeInstanceOf(PeerError);
    }
  }
});

test('message: what goes in comes out, keepalives too', () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 20 }),
      (seed, contexts) => {
        const messages = contexts.map(
          (context, i) =>
            new Message(MessageType.ReadIndex, {
              from: 3n,
              to: LOCAL,
              index: i,
              context: Buffer.from(context),
            }),
        );
        const block = new FrameBlock(16);
        messageEncoder.linkHeartbeat(block);
        for (const message of messages) messageEncoder.encode(block, message);
        const decoder = new MessageDecoder();
        const got: Message[] = [];
        inChunks(Buffer.concat(block.finish()), new Prng(seed), (chunk) =>
          decoder.push(chunk, (m) => got.push(m)),
        );
        expect(isLinkHeartbeat(got[0])).toBe(true);
        expect(got.slice(1).map(plain)).toEqual(messages.map(plain));
        expect(decoder.atFrameEnd).toBe(true);
      },
    ),
    { numRuns: 100 },
  );
});

test('message: the frame of a snapshot is the same frame', () => {
  const message = new Message(MessageType.Vote, { from: 1n, to: 2n, term: 3 });
  const block = new FrameBlock(0);
  messageEncoder.encode(block, message);
  expect(encodeMessageFrame(message).equals(Buffer.concat(block.finish()))).toBe(true);
});

test.each<[string, number, boolean]>([
  ['one below the bound', 99, true],
  ['the bound', 100, true],
  ['one above', 101, false],
])('message: length %s', (_name, length, taken) => {
  const decoder = new MessageDecoder(100);
  const head = Buffer.alloc(8);
  head.writeBigUInt64BE(BigInt(length));
  if (taken) decoder.push(head, () => {});
  else expect(() => decoder.push(head, () => {})).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }));
});

test('message: a length alone allocates little', () => {
  const before = process.memoryUsage().arrayBuffers;
  const decoders: MessageDecoder[] = [];
  for (let i = 0; i < 50; i++) {
    const decoder = new MessageDecoder();
    const head = Buffer.alloc(9);
    head.writeBigUInt64BE(BigInt(60 * 1024 * 1024));
    decoder.push(head, () => {});
    decoders.push(decoder);
  }
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50 * 70 * 1024 + 4_000_000);
  expect(decoders.every((decoder) => !decoder.atFrameEnd)).toBe(true);
});
