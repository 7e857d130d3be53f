/**
 * What a server must survive: requests that are wrong, too large, cut off or no requests at all, on the client
 * and the peer port of every member. Each gets the documented error or a closed connection; afterwards all
 * members run, leader and term are as before, and nothing that was stored is lost.
 */
import http2 from 'node:http2';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Prng } from '@keelson/base';
import { services } from '@keelson/proto';
import { RpcError, statusName, type MethodDescriptor } from '@keelson/rpc';
import {
  END_HEADERS,
  END_STREAM,
  GREETING,
  PREFACE,
  TYPE,
  rawFrame,
  u32,
} from '../../packages/rpc/test/raw-frames.ts';
import { KEELSON_ETCD, KEELSON_FLAGS, missingServer } from '../harness/binaries.ts';
import { assertWhole, checkEndState } from '../harness/end-state.ts';
import { Ledger } from '../harness/ledger.ts';
import { ProcessCluster } from '../harness/process-cluster.ts';
import { httpRequest, httpStatus, sendRaw } from '../harness/raw-socket.ts';

/** Of a run of one's own; the gate draws the same every time. */
const SEED = Number(process.env['SEED'] ?? 1);
const PREFIX = 'bad-input/';
/** Long enough for an answer; a server may also keep the connection of a client that says too little. */
const LISTEN_MS = 250;

const missing = missingServer();

/** Bytes in, bytes out: requests that no encoder makes. */
const passThrough = (path: string): MethodDescriptor<Buffer, Buffer> => ({
  path,
  kind: 'unary',
  request: { encode: (message) => message, decode: (bytes) => bytes },
  response: { encode: (message) => message, decode: (bytes) => bytes },
});

let cluster: ProcessCluster;
let ledger: Ledger;
let before: number;
let term: number;
let leader: number;

/** One more acknowledged put, through member `index`. */
async function store(index: number): Promise<void> {
  const key = `${PREFIX}${ledger.total}`;
  const { header } = await cluster.api(index).put(key, ledger.valueOf(key));
  ledger.acknowledge(key, header?.revision ?? 0);
}

/** All is as if nothing had happened: processes, leader, term, and a put through every member. */
async function unharmed(): Promise<void> {
  cluster.assertAllRun();
  for (const i of [0, 1, 2]) {
    await store(i);
    const status = await cluster.api(i).status();
    expect({ term: status.raftTerm, errors: status.errors }).toEqual({ term, errors: [] });
  }
  expect(await cluster.leader()).toBe(leader);
}

/** Makes a call with these bytes. @returns "Code: text" */
async function outcome(path: string, bytes: Buffer, member = 0): Promise<string> {
  try {
    await cluster.api(member).call(passThrough(path), bytes, { timeoutMs: 5000 });
    return 'OK';
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return `${statusName(error.code)}: ${error.message}`;
  }
}

const PUT = '/etcdserverpb.KV/Put';
const field = (number: number, bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from([(number << 3) | 2]), varint(bytes.length), bytes]);

function varint(value: number): Buffer {
  const out: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...out, rest]);
    out.push((rest % 128) | 128);
  }
}

/** A transaction in a transaction in a … , empty at the bottom. */
function nested(depth: number): Buffer {
  let txn: Buffer = Buffer.alloc(0);
  // TxnRequest.success = 2 { RequestOp.request_txn = 4 { … } }
  for (let i = 0; i < depth; i++) txn = field(2, field(4, txn));
  return txn;
}

function suite(): void {
  beforeAll(async () => {
    cluster = await ProcessCluster.start({ binary: KEELSON_ETCD, flags: KEELSON_FLAGS });
    ledger = new Ledger(SEED);
    leader = await cluster.leader();
    ({ raftTerm: term } = await cluster.api(leader).status());
    before = await cluster.api(0).revision();
    for (let i = 0; i < 60; i++) await store(i % 3);
  });

  afterAll(async () => {
    await cluster.dispose();
  });

  test.each<[string, string, Buffer, RegExp]>([
    ['an empty key', PUT, field(2, Buffer.from('x')), /^InvalidArgument: etcdserver: key is not provided$/],
    [
      'a request beyond the limit',
      PUT,
      Buffer.concat([field(1, Buffer.from('k')), field(2, Buffer.alloc(1_600_000, 0x61))]),
      /^InvalidArgument: etcdserver: request is too large$/,
    ],
    [
      'a message beyond what is received at all',
      PUT,
      Buffer.concat([field(1, Buffer.from('k')), field(2, Buffer.alloc(2_200_000, 0x61))]),
      /^ResourceExhausted: grpc: received message larger than max \(\d+ vs\. \d+\)$/,
    ],
    ['a field cut off', PUT, Buffer.from([0x0a, 0x7f, 0x61]), /^Internal: grpc: /],
    ['a tag cut off', PUT, Buffer.from([0x0a, 0x01, 0x61, 0x80]), /^Internal: grpc: /],
    ['a varint without end', PUT, Buffer.alloc(64, 0xff), /^Internal: grpc: /],
    ['field number zero', PUT, Buffer.from([0x02, 0x01, 0x61]), /^Internal: grpc: /],
    ['a wire type that does not exist', PUT, Buffer.from([0x0f, 0x61]), /^Internal: grpc: /],
    [
      'a length beyond 2^31',
      PUT,
      Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x61]),
      /^Internal: grpc: /,
    ],
    [
      'transactions nested ten thousand deep',
      '/etcdserverpb.KV/Txn',
      nested(10_000),
      /^(?:Internal: grpc: |InvalidArgument: )/,
    ],
  ])('a call with %s is refused', async (_name, path, bytes, refusal) => {
    for (const member of [0, 1, 2]) expect(await outcome(path, bytes, member)).toMatch(refusal);
    await unharmed();
  });

  const UNARY = [services.KV, services.Lease, services.Cluster, services.Maintenance].flatMap((service) =>
    Object.values(service.methods)
      .filter(({ kind }) => kind === 'unary')
      .map(({ path }) => path),
  );

  test.each(UNARY)('%s refuses a message that is cut off', async (path) => {
    // Field 1 as bytes of a length that does not follow; as a varint's field it is the wrong wire type.
    expect(await outcome(path, Buffer.from([0x0a, 0x20, 0x01]))).toMatch(/^(?:Internal|Unimplemented): /);
  });

  test('random bytes as a range are answered or refused', async () => {
    const prng = new Prng(SEED);
    for (let i = 0; i < 300; i++) {
      const text = await outcome('/etcdserverpb.KV/Range', randomBytes(prng, 1 + prng.below(60)), i % 3);
      expect(text).toMatch(
        /^(?:OK$|Internal: grpc: |InvalidArgument: etcdserver: |OutOfRange: etcdserver: )/,
      );
    }
    await unharmed();
  });

  function randomBytes(prng: Prng, count: number): Buffer {
    return Buffer.from(Array.from({ length: count }, () => prng.below(256)));
  }

  const GARBAGE: [string, (prng: Prng) => Buffer][] = [
    ['random bytes', (prng) => randomBytes(prng, 4000)],
    ['a megabyte of zeros', () => Buffer.alloc(1_000_000)],
    ['half a preface', () => PREFACE.subarray(0, 10)],
    ['a preface, then random bytes', (prng) => Buffer.concat([PREFACE, randomBytes(prng, 4000)])],
    [
      'a frame larger than allowed',
      () => Buffer.concat([GREETING, Buffer.from([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1])]),
    ],
    [
      'settings of a wrong length',
      () => Buffer.concat([PREFACE, rawFrame(TYPE.settings, 0, 0, Buffer.alloc(5))]),
    ],
    [
      'headers on stream zero',
      () =>
        Buffer.concat([GREETING, rawFrame(TYPE.headers, END_STREAM | END_HEADERS, 0, Buffer.from([0x82]))]),
    ],
    [
      'data on a stream that is not open',
      () => Buffer.concat([GREETING, rawFrame(TYPE.data, END_STREAM, 7, Buffer.alloc(20))]),
    ],
    [
      'headers that do not decompress',
      (prng) =>
        Buffer.concat([
          GREETING,
          rawFrame(
            TYPE.headers,
            END_STREAM | END_HEADERS,
            1,
            Buffer.concat([Buffer.alloc(30, 0xff), randomBytes(prng, 50)]),
          ),
        ]),
    ],
    [
      'a window that overflows',
      () => Buffer.concat([GREETING, rawFrame(TYPE.window, 0, 0, u32(0x7fff_ffff))]),
    ],
    ['a greeting of TLS', () => Buffer.from('160301020001000001fc0303' + '00'.repeat(500), 'hex')],
    ['an HTTP/1.1 request without an end', () => Buffer.from(`GET /${'x'.repeat(100_000)}`)],
    ['a request line of nonsense', () => Buffer.from('\0\0\0 / HTTP/9.9\r\n\r\n')],
  ];

  test.each(GARBAGE)('%s on any port changes nothing', async (_name, make) => {
    const prng = new Prng(SEED);
    const ports = cluster.members.flatMap((member) => [
      member.address,
      member.peerUrl.replace('http://', ''),
    ]);
    await Promise.all(ports.map((address) => sendRaw(address, make(prng), { listenMs: LISTEN_MS })));
    await unharmed();
  });

  /** A gRPC request made by hand over a real HTTP/2 connection. @returns HTTP status and grpc-status */
  function grpcByHand(
    address: string,
    headers: http2.OutgoingHttpHeaders,
    body: Buffer,
  ): Promise<{ status: number | undefined; grpcStatus: string | undefined }> {
    return new Promise((resolve) => {
      const session = http2.connect(`http://${address}`);
      let status: number | undefined;
      let grpcStatus: string | undefined;
      const done = (): void => {
        session.destroy();
        resolve({ status, grpcStatus });
      };
      session.on('error', done);
      const stream = session.request({
        ':method': 'POST',
        ':path': PUT,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...headers,
      });
      const note = (fields: http2.IncomingHttpHeaders): void => {
        const value = fields['grpc-status'];
        if (typeof value === 'string') grpcStatus = value;
      };
      stream.on('response', (fields) => {
        status = fields[':status'];
        note(fields);
      });
      stream.on('trailers', note);
      stream.on('error', () => {});
      stream.on('close', done);
      stream.setTimeout(3000, () => stream.close());
      stream.resume();
      stream.end(body);
    });
  }

  const message = (payload: Buffer, declared = payload.length, compressed = 0): Buffer => {
    const head = Buffer.alloc(5);
    head[0] = compressed;
    head.writeUInt32BE(declared, 1);
    return Buffer.concat([head, payload]);
  };
  const WHOLE = Buffer.concat([field(1, Buffer.alloc(0)), field(2, Buffer.from('x'))]);

  test.each<[string, http2.OutgoingHttpHeaders, Buffer]>([
    ['no message', {}, Buffer.alloc(0)],
    ['a message shorter than it says', {}, message(WHOLE, 100)],
    ['a message of four gigabytes, it says', {}, message(WHOLE, 0xffff_ffff)],
    ['half of a message head', {}, Buffer.from([0, 0, 0])],
    ['compressed by nothing', {}, message(WHOLE, WHOLE.length, 1)],
    ['compressed by something unknown', { 'grpc-encoding': 'rot13' }, message(WHOLE, WHOLE.length, 1)],
    ['two messages', {}, Buffer.concat([message(WHOLE), message(WHOLE)])],
    ['another content type', { 'content-type': 'text/plain' }, message(WHOLE)],
    ['a timeout that is none', { 'grpc-timeout': 'soon' }, message(WHOLE)],
    ['a path that is none', { ':path': '/' }, message(WHOLE)],
    ['another method', { ':method': 'PUT' }, message(WHOLE)],
  ])('a unary call by hand with %s does not succeed', async (_name, headers, body) => {
    for (const member of cluster.members) {
      const answer = await grpcByHand(member.address, headers, body);
      expect(answer.grpcStatus === '0').toBe(false);
    }
    await unharmed();
  });

  const CLUSTER_HEADERS = (id: bigint): Record<string, string> => ({
    'X-Etcd-Cluster-ID': id.toString(16),
    'X-Server-Version': '3.7.1',
    'X-Min-Cluster-Version': '3.0.0',
    'X-Server-From': '1234567890abcdef',
    'Content-Type': 'application/protobuf',
  });

  test.each<[string, string, 'right' | 'wrong' | 'none', Buffer, readonly number[]]>([
    ['a raft message of garbage', 'POST /raft', 'right', Buffer.from('garbage'), [400]],
    ['a raft message of nothing but a length', 'POST /raft', 'right', Buffer.from([0x0a, 0xff, 0x7f]), [400]],
    ['a raft message of another cluster', 'POST /raft', 'wrong', Buffer.alloc(0), [412]],
    ['a raft message by GET', 'GET /raft', 'right', Buffer.alloc(0), [405]],
    ['a snapshot of garbage', 'POST /raft/snapshot', 'right', Buffer.alloc(40, 0xff), [413]],
    ['a snapshot cut off in its head', 'POST /raft/snapshot', 'right', Buffer.from([0, 0, 0]), [400, 500]],
    ['a snapshot of another cluster', 'POST /raft/snapshot', 'wrong', Buffer.alloc(40), [412]],
    ['a stream of no kind', 'GET /raft/stream/nonsense/1', 'right', Buffer.alloc(0), [404]],
    ['a stream for nobody', 'GET /raft/stream/msgapp/zz', 'right', Buffer.alloc(0), [404]],
    [
      'a stream from a stranger',
      'GET /raft/stream/message/1234567890abcdef',
      'right',
      Buffer.alloc(0),
      [404, 412, 410],
    ],
    ['a path of nothing', 'GET /nothing', 'none', Buffer.alloc(0), [404]],
  ])('the peer port refuses %s', async (_name, line, id, body, statuses) => {
    const { header } = await cluster.api(0).status();
    const clusterId = header?.clusterId ?? 0n;
    for (const member of cluster.members) {
      const headers = {
        ...(id === 'none' ? {} : CLUSTER_HEADERS(id === 'right' ? clusterId : clusterId ^ 1n)),
        'Content-Length': String(body.length),
      };
      const address = member.peerUrl.replace('http://', '');
      const answer = await sendRaw(address, httpRequest(line, headers, body), {
        listenMs: 3000,
        until: /\r\n\r\n/,
      });
      const status = httpStatus(answer);
      if (status === undefined || !statuses.includes(status)) {
        throw new Error(
          `${line}: ${status} instead of ${statuses.join(' or ')}: ${answer.text.slice(0, 400)}`,
        );
      }
    }
    await unharmed();
  });

  test('connections that say nothing do not keep others from being served', async () => {
    const silent = cluster.members.flatMap((member) =>
      Array.from({ length: 50 }, () => sendRaw(member.address, Buffer.alloc(0), { listenMs: 1500 })),
    );
    await unharmed();
    await Promise.all(silent);
    await unharmed();
  });

  test('after all of it everything is there, once, and the members are equal', async () => {
    const state = await checkEndState(cluster, ledger, PREFIX, before);
    assertWhole(state);
    expect(ledger.acknowledged.size).toBeGreaterThan(60);
  });
}

if (missing === undefined) describe(`bad input (SEED=${SEED})`, suite);
else test.skip(`bad input: ${missing}`, () => {});
