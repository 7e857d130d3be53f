/**
 * Fuzz targets of HTTP/2 and gRPC as text and bytes: header blocks against the dumb twin, Huffman codes both ways,
 * message framing in any pieces, timeouts, status messages, the first bytes of a connection; and whole conversations
 * (talk.ts), whose judge is its own.
 */
import type { Prng } from '@keelson/base';
import { Mutator } from '../../../base/test/fuzz/mutator.ts';
import { promise, promiseSame, type Execution, type FuzzTarget } from '../../../base/test/fuzz/target.ts';
import { ConnectionError } from '../../src/frames.ts';
import { formatTimeout, inflate, MessageReader, parseTimeout, percentDecode, percentEncode, deflate } from '../../src/grpc.ts'; // prettier-ignore
import { HeadReader, requestHead, responseHead } from '../../src/heads.ts';
import { HeaderDecoder, HeaderEncoder, STATIC_TABLE, type HeaderBlock } from '../../src/hpack.ts';
import { huffmanDecode, huffmanEncode, huffmanLength } from '../../src/huffman.ts';
import { protocolOf } from '../../src/sniff.ts';
import { HpackTwin } from '../hpack-twin.ts';
import { converseWithClient } from './client-side.ts';
import { recorded } from './corpus.ts';
import { converseWithServer } from './server-side.ts';

const NAMES = ['content-type', 'te', 'grpc-timeout', 'token', 'x-bin', 'authorization', 'k'] as const;
const VALUES = [
  'application/grpc',
  'trailers',
  '5S',
  'a.1',
  '',
  'x'.repeat(90),
  'ä\0',
  '/etcdserverpb.KV/Put',
] as const;

/** What a client says first, and what it says later, when much of it stands in the table. */
interface HeaderTalk {
  readonly first: readonly Buffer[];
  /** In order: each refers to those before. */
  readonly later: readonly Buffer[];
}

function headerTalk(): HeaderTalk {
  const write = (encoder: HeaderEncoder, i: number): Buffer => {
    encoder.begin();
    encoder.field(':method', 'POST', 'indexed');
    encoder.field(':path', VALUES[7], 'indexed');
    for (let j = 0; j < i % 5; j++)
      encoder.field(
        NAMES[(i + j) % NAMES.length],
        VALUES[(i * 3 + j) % VALUES.length],
        j % 3 === 0 ? 'never' : j % 3 === 1 ? 'plain' : 'indexed',
      );
    return encoder.end();
  };
  const twelve = Array.from({ length: 12 }, (_, i) => i);
  const encoder = new HeaderEncoder();
  return {
    first: twelve.map((i) => write(new HeaderEncoder(), i)),
    later: twelve.map((i) => write(encoder, i)),
  };
}

/** The blocks of one connection: mutated first ones, or some as they are and then mutated later ones. */
function connectionBlocks(talk: HeaderTalk, mutator: Mutator, prng: Prng): Buffer[] {
  if (prng.chance(1, 2)) return [Buffer.from(mutator.next(prng))];
  const count = prng.below(talk.later.length - 1);
  const last = [0, 1].map((i) =>
    Buffer.from(mutator.of(prng, talk.later[Math.min(count + i, talk.later.length - 1)])),
  );
  return [...talk.later.slice(0, count), ...last];
}

const listOf = (decoder: HeaderDecoder, bytes: Buffer): string[] | undefined => {
  try {
    return [...decoder.decode(bytes, 0, bytes.length).fields];
  } catch (error) {
    if (error instanceof ConnectionError) return undefined;
    throw error;
  }
};

/** One connection's blocks: what the second means depends on the first. */
function openHpack(): Execution {
  const talk = headerTalk();
  const mutator = new Mutator(talk.first, [], 4096);
  return (prng) => {
    const decoder = new HeaderDecoder(65_536, 128, prng.below(4) === 0 ? prng.pick([64, 0]) : 4096);
    let outcome = 'accepted';
    for (const bytes of connectionBlocks(talk, mutator, prng)) {
      if (listOf(decoder, bytes) !== undefined) continue;
      outcome = 'refused';
      break;
    }
    promise(decoder.tableSize <= 4096, () => `a table of ${decoder.tableSize} bytes`);
    return outcome;
  };
}

function openHpackTwin(): Execution {
  const talk = headerTalk();
  const mutator = new Mutator(talk.first, [], 4096);
  return (prng) => {
    const limit = prng.below(4) === 0 ? prng.pick([64, 0]) : 4096;
    const decoder = new HeaderDecoder(1e9, 1e9, limit);
    const twin = new HpackTwin(limit);
    for (const bytes of connectionBlocks(talk, mutator, prng)) {
      const got = listOf(decoder, bytes);
      const want = twin.decode(bytes);
      if (got === undefined && want === undefined) return 'refused';
      promiseSame(`a block ${bytes.toString('hex')}`, JSON.stringify(got), JSON.stringify(want));
      promiseSame('the table', JSON.stringify(decoder.table()), JSON.stringify(twin.table));
    }
    return 'accepted';
  };
}

/** Heads as calls see them: remembered ones must be those that are read anew. */
function openHeads(): Execution {
  const mutator = new Mutator(headerTalk().first, [], 4096);
  return (prng) => {
    const server = prng.chance(1, 2);
    const bytes = mutator.next(prng);
    const read = (block: HeaderBlock): object => (server ? requestHead(block) : responseHead(block));
    const reader = new HeadReader(new HeaderDecoder(65_536, 128), read);
    const heads: string[] = [];
    try {
      for (let i = 0; i < 2; i++) heads.push(JSON.stringify(reader.head(bytes, 0, bytes.length)));
    } catch (error) {
      if (error instanceof ConnectionError) return 'refused';
      throw error;
    }
    // A block that inserts means something else the second time only where it refers to the table itself.
    const fresh = new HeaderDecoder(65_536, 128);
    const first = fresh.decode(bytes, 0, bytes.length);
    const want = JSON.stringify(read(first));
    promiseSame('the head', heads[0] ?? '', want);
    return (heads[0] ?? '').includes('"malformed":"') ? 'malformed' : 'accepted';
  };
}

function openHuffman(): Execution {
  const scratch = Buffer.alloc(4096);
  const corpus = STATIC_TABLE.map(([name, value]) => name + value).map((text) => {
    const bytes = Buffer.alloc(huffmanLength(text));
    huffmanEncode(text, bytes, 0);
    return bytes;
  });
  const mutator = new Mutator(corpus, [], 512);
  return (prng) => {
    const bytes = mutator.next(prng);
    const text = huffmanDecode(bytes, 0, bytes.length);
    if (text === undefined) return 'refused';
    // The code is unique: what was read is written as it was.
    const end = huffmanEncode(text, scratch, 0);
    promiseSame('a Huffman code', scratch.subarray(0, end).toString('hex'), bytes.toString('hex'));
    return 'accepted';
  };
}

/** Messages of a call in pieces of any size: the same messages, and memory for what came, not for what was said. */
function openFraming(): Execution {
  const framed = (length: number, flag: number, said = length): Buffer => {
    const bytes = Buffer.alloc(5 + length, 0x61);
    bytes[0] = flag;
    bytes.writeUInt32BE(said, 1);
    return bytes;
  };
  const corpus = [framed(0, 0), framed(10, 0), Buffer.concat([framed(3, 0), framed(200, 1), framed(0, 0)]), framed(5, 0, 0xffff_ffff)]; // prettier-ignore
  const mutator = new Mutator(corpus, [], 4096);
  return (prng) => {
    const bytes = mutator.next(prng);
    const whole = messagesOf(bytes, bytes.length, prng);
    const pieces = messagesOf(bytes, 1 + prng.below(40), prng);
    promiseSame('messages in pieces', pieces.text, whole.text);
    // The dumb twin: cut by the lengths as they stand.
    let want = '';
    let at = 0;
    while (at + 5 <= bytes.length && at + 5 + bytes.readUInt32BE(at + 1) <= bytes.length) {
      const end = at + 5 + bytes.readUInt32BE(at + 1);
      want += `${bytes[at]}:${bytes.toString('latin1', at + 5, end)};`;
      at = end;
    }
    promiseSame('messages', whole.text, want);
    return at === bytes.length ? 'whole' : 'cut';
  };
}

function messagesOf(bytes: Buffer, piece: number, prng: Prng): { text: string } {
  const reader = new MessageReader();
  let text = '';
  for (let start = 0; start < bytes.length;) {
    const end = Math.min(bytes.length, start + (piece === bytes.length ? piece : 1 + prng.below(piece)));
    for (let at = start; at < end || reader.complete;) {
      at += reader.feed(bytes, at, end);
      if (!reader.complete) break;
      text += `${reader.flag}:`;
      text += `${reader.take().toString('latin1')};`;
    }
    const room: unknown = Reflect.get(reader, 'body');
    promise(
      Buffer.isBuffer(room) && room.length <= Math.max(4096, 2 * bytes.length),
      () => 'memory follows what was said, not what came',
    );
    start = end;
  }
  return { text };
}

function openCompression(): Execution {
  const corpus = [0, 1, 50, 5000].map((length) => deflate(Buffer.alloc(length, 'ab')));
  const mutator = new Mutator(corpus, [], 8192);
  return (prng) => {
    const result = inflate(
      prng.pick([1, 1, 1, 2]),
      mutator.next(prng),
      prng.pick(['gzip', 'gzip', 'gzip', 'identity', 'x']),
      4096,
    );
    if (!Buffer.isBuffer(result)) return result.text.replace(/[:"].*/, '');
    promise(result.length <= 4096, () => `${result.length} bytes of 4096`);
    return 'accepted';
  };
}

/** grpc-timeout, grpc-message, the first bytes of a connection. */
function openText(): Execution {
  const texts = [
    '5S',
    '99999999H',
    '1n',
    '100m',
    'étcd: 100% \n',
    '%E2%82%AC',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'GET / HTTP/1.1\r\n',
    '\x16\x03\x01',
  ];
  const mutator = new Mutator(
    texts.map((text) => Buffer.from(text)),
    [Buffer.from('%'), Buffer.from('%41')],
    256,
  );
  return (prng) => {
    const bytes = mutator.next(prng);
    const text = bytes.toString('latin1');
    const timeout = parseTimeout(text);
    if (typeof timeout === 'number') {
      promise(timeout >= 0 && Number.isFinite(timeout), () => `a timeout of ${timeout}`);
      const again = parseTimeout(formatTimeout(timeout));
      promise(typeof again === 'number' && again >= Math.min(timeout, 99_999_999 * 3_600_000) - 1e-6 * timeout, () => `${timeout} ms is told as ${String(again)}`); // prettier-ignore
    }
    const utf8 = bytes.toString('utf8');
    promiseSame('a status message', percentDecode(percentEncode(utf8)), utf8);
    promise(/^[ -~]*$/.test(percentEncode(utf8)), () => 'a status message goes out as printable ASCII');
    percentDecode(text);
    const protocol = protocolOf(bytes);
    promise(
      protocol !== undefined || bytes.length <= 20,
      () => 'more than 20 bytes do not tell the protocol',
    );
    // More bytes never change what was told.
    if (protocol !== undefined)
      promiseSame('the protocol', String(protocolOf(Buffer.concat([bytes, Buffer.from('x')]))), protocol);
    return typeof timeout === 'number' ? 'timeout' : (protocol ?? 'untold');
  };
}

function openConversations(side: 'server' | 'client'): Execution {
  const conversations = recorded();
  const converse = side === 'server' ? converseWithServer : converseWithClient;
  return async (prng) => (await converse(prng, prng.chance(1, 10) ? 2000 : 150, conversations)).end;
}

export const rpcTargets: readonly FuzzTarget[] = [
  { name: 'hpack', gateExecutions: 40_000, outcomes: ['accepted', 'refused'], open: openHpack },
  { name: 'hpack-twin', gateExecutions: 6_000, outcomes: ['accepted', 'refused'], open: openHpackTwin },
  {
    name: 'http2-heads',
    gateExecutions: 10_000,
    outcomes: ['accepted', 'refused', 'malformed'],
    open: openHeads,
  },
  { name: 'huffman', gateExecutions: 40_000, outcomes: ['accepted', 'refused'], open: openHuffman },
  { name: 'grpc-framing', gateExecutions: 15_000, outcomes: ['whole', 'cut'], open: openFraming },
  { name: 'grpc-compression', gateExecutions: 1_500, outcomes: ['accepted'], open: openCompression },
  {
    name: 'grpc-text',
    gateExecutions: 20_000,
    outcomes: ['timeout', 'unknown', 'untold', 'http1'],
    open: openText,
  },
  // rpc/test/fuzz.test.ts holds their longer run.
  { name: 'http2-server', gateExecutions: 20, outcomes: ['open'], open: () => openConversations('server') },
  { name: 'http2-client', gateExecutions: 20, outcomes: ['open'], open: () => openConversations('client') },
];
