import { afterEach, describe, expect, test } from '@jest/globals';
import { type Server, createServer } from 'node:http';
import { type Socket, connect } from 'node:net';
import { Prng, hexId } from '@keelson/base';
import { Entry, Message, MessageType, Snapshot } from '@keelson/raft';
import { freePort } from '../../../base/test/free-ports.ts';
import { until } from '../../../base/test/until.ts';
import {
  type MemberOptions,
  type Received,
  type TestMember,
  introduceAll,
  startMember,
} from '../../test/peer/member.ts';
import { HandClock } from '../../test/hand-clock.ts';
import { encodeMessage } from './codec.ts';
import { encodeMessageFrame } from './message-codec.ts';
import { DEFAULT_PEER_LIMITS } from './peer-options.ts';

const CLUSTER = 0xc1n;
const CONF_STATE = { voters: [1n, 2n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };

const open: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.stop()));
});

async function member(options: MemberOptions): Promise<TestMember> {
  const started = await startMember(options);
  open.push(started.transport);
  return started;
}

async function pair(limits: MemberOptions['limits'] = {}): Promise<[TestMember, TestMember]> {
  const a = await member({ id: 1n, limits });
  const b = await member({ id: 2n, limits });
  introduceAll([a, b]);
  await until(
    () => a.transport.connectedCount() === 1 && b.transport.connectedCount() === 1,
    'streams both ways',
  );
  return [a, b];
}

/** MsgApps of one entry each, indexes first … last. */
function apps(from: bigint, to: bigint, first: number, last: number, size = 50): Message[] {
  const messages: Message[] = [];
  for (let index = first; index <= last; index++) {
    const entry = new Entry(1, index, 0, Buffer.alloc(size, index));
    messages.push(
      new Message(MessageType.App, {
        from,
        to,
        term: 1,
        logTerm: 1,
        index: index - 1,
        entries: [entry],
        commit: index - 1,
      }),
    );
  }
  return messages;
}

function indexes(of: TestMember, type: MessageType): number[] {
  return got(of)
    .filter((r) => r.message.type === type)
    .map((r) => r.message.index);
}

/** Term of messages that only warm a link up; they are not counted. */
const WARMING = 99;

/** What arrived, without warming. */
function got(of: TestMember): readonly Received[] {
  return of.handler.received.filter((r) => r.message.term !== WARMING);
}

/** Sends until streams have carried some both ways. */
async function warm(a: TestMember, b: TestMember): Promise<void> {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const counters = to.transport.counters(from.id);
    await until(() => {
      const fields = { from: from.id, to: to.id, term: WARMING };
      from.transport.send([
        new Message(MessageType.HeartbeatResp, fields),
        new Message(MessageType.App, fields),
      ]);
      return (counters?.receivedMessages ?? 0) > 30;
    }, 'attached streams');
  }
}

describe('streams', () => {
  test('thousands of messages in order per stream, three members', async () => {
    const a = await member({ id: 1n });
    const b = await member({ id: 2n });
    const c = await member({ id: 3n });
    const members = [a, b, c];
    introduceAll(members);
    await until(() => members.every((m) => m.transport.connectedCount() === 2), 'all connected');
    await warm(a, b);
    await warm(a, c);
    const count = 6_000;
    let sent = 0;
    const prng = new Prng(5);
    while (sent < count) {
      const turn = Math.min(count - sent, 1 + prng.below(100));
      const messages: Message[] = [];
      for (const to of [2n, 3n]) {
        messages.push(...apps(1n, to, sent + 1, sent + turn, prng.below(300)));
        for (let i = sent + 1; i <= sent + turn; i++) {
          messages.push(new Message(MessageType.Heartbeat, { from: 1n, to, term: 1, index: i, commit: i }));
        }
      }
      a.transport.send(messages);
      sent += turn;
      await until(() => got(b).length >= 2 * (sent - 2_000), 'the followers keep up');
    }
    const want = Array.from({ length: count }, (_, i) => i);
    for (const follower of [b, c]) {
      await until(() => got(follower).length >= 2 * count, 'everything');
      expect(indexes(follower, MessageType.App)).toEqual(want);
      expect(indexes(follower, MessageType.Heartbeat)).toEqual(want.map((i) => i + 1));
      expect(got(follower).every((r) => r.from === 1n)).toBe(true);
    }
    expect(a.handler.unreachable).toEqual([]);
    expect(a.transport.counters(2n)?.sentFailures).toBe(0);
    const sentBytes = a.transport.counters(2n)?.sentBytes ?? 0;
    const receivedBytes = b.transport.counters(1n)?.receivedBytes ?? 0;
    expect(receivedBytes).toBeGreaterThan(count * 50);
    expect(Math.abs(sentBytes - receivedBytes)).toBeLessThan(20_000); // warming and keepalives
  });

  test('a turn is one write, and entries are encoded once for all followers', async () => {
    const [a, b] = await pair();
    await warm(a, b);
    const messages = apps(1n, 2n, 1, 100);
    a.transport.send(messages);
    await until(() => indexes(b, MessageType.App).length === 100, 'all entries');
    const sentEntry = messages[99]?.entries[0];
    const gotEntry = got(b)[99]?.message.entries[0];
    expect(gotEntry?.encoded?.equals(sentEntry?.encoded ?? Buffer.alloc(0))).toBe(true);
  });

  test('keepalives hold an idle stream open beyond the read timeout', async () => {
    const [a, b] = await pair({ readTimeoutMs: 150 });
    const since = b.transport.activeSince(1n);
    expect(since).toBeDefined();
    const before = b.transport.counters(1n)?.receivedBytes ?? 0;
    await until(() => (b.transport.counters(1n)?.receivedBytes ?? 0) > before + 4 * 20, 'four keepalives');
    expect(b.transport.activeSince(1n)).toBe(since);
    expect(a.transport.counters(2n)?.disconnects).toBe(0);
  });

  test('a newer connection replaces the older one', async () => {
    const [a, b] = await pair();
    await warm(a, b);
    const thief = await rawStream(a, 'message', { from: 2n });
    await until(() => thief.closed, 'the older one to be closed and dialled again');
    await warm(a, b);
    a.transport.send([new Message(MessageType.Heartbeat, { from: 1n, to: 2n, term: 1, index: 77 })]);
    await until(() => indexes(b, MessageType.Heartbeat).includes(77), 'the heartbeat');
  });

  test('reconnects after the other end was killed and came back', async () => {
    const [a, b] = await pair();
    await warm(a, b);
    await b.transport.stop();
    await until(() => a.transport.activeSince(2n) === undefined, 'inactive');
    a.transport.send([new Message(MessageType.Heartbeat, { from: 1n, to: 2n, term: 1 })]);
    await until(() => a.handler.unreachable.includes(2n), 'unreachable');
    const again = await member({ id: 2n, port: b.port });
    again.transport.addPeer(1n, [a.url]);
    await until(() => a.transport.activeSince(2n) !== undefined, 'active again');
    await warm(a, again);
    a.transport.send(apps(1n, 2n, 5, 8));
    await until(() => indexes(again, MessageType.App).length === 4, 'entries');
    expect(a.transport.counters(2n)?.disconnects).toBeGreaterThan(0);
  });

  test('the queue is bounded: what finds no room is dropped and reported', async () => {
    const a = await member({ id: 1n, limits: { streamQueueMax: 10, inflightBytesMax: 1 } });
    a.transport.addPeer(2n, ['http://127.0.0.1:1']);
    const stream = await rawStream(a, 'message', { from: 2n });
    const heartbeats = Array.from(
      { length: 15 },
      () => new Message(MessageType.Heartbeat, { from: 1n, to: 2n, term: 1 }),
    );
    a.transport.send(heartbeats); // 10 wait, 5 find no room; the flush then takes one
    expect(a.handler.unreachable).toEqual([2n, 2n, 2n, 2n, 2n]);
    expect(a.transport.counters(2n)?.sentFailures).toBe(5);
    await until(() => stream.bytes.length >= 10 * (encodeMessage(heartbeats[0]).length + 8), 'the ten');
    stream.socket.destroy();
  });

  test('a peer that does not read is cut off after the write timeout, memory stays bounded', async () => {
    const a = await member({ id: 1n, limits: { writeTimeoutMs: 200, streamQueueBytesMax: 1_000_000 } });
    a.transport.addPeer(2n, ['http://127.0.0.1:1']);
    const stream = await rawStream(a, 'msgapp', { from: 2n });
    stream.socket.pause();
    const large = apps(1n, 2n, 1, 40, 500_000);
    a.transport.send(large);
    await until(() => a.handler.unreachable.length > 0, 'unreachable');
    await until(() => a.transport.activeSince(2n) === undefined, 'inactive');
    expect(a.transport.counters(2n)?.sentFailures).toBeGreaterThan(30);
    stream.socket.destroy();
  });

  test('a large message may take longer than a stall, as long as it moves', async () => {
    const clock = new HandClock();
    const a = await member({ id: 1n, clock, limits: { writeTimeoutMs: 5_000 } });
    a.transport.addPeer(2n, ['http://127.0.0.1:1']);
    const stream = await rawStream(a, 'msgapp', { from: 2n });
    stream.socket.removeAllListeners('data').pause();
    const total = 32 * 1024 * 1024;
    a.transport.send(apps(1n, 2n, 1, 1, total));
    const sent = (): number => a.transport.counters(2n)?.sentBytes ?? 0;
    let received = 0;
    stream.socket.on('data', (bytes: Buffer) => {
      received += bytes.length;
    });
    stream.socket.pause();
    for (let step = 1; step <= 3; step++) {
      const before = sent();
      await until(() => {
        stream.socket.read();
        return received >= step * 6 * 1024 * 1024 && sent() > before;
      }, 'progress');
      await clock.pass(4_000);
    }
    stream.socket.resume();
    await until(() => received > total && sent() > total, 'the whole message');
    expect(stream.closed).toBe(false);
    stream.socket.destroy();
  });

  test('a silent server is left after the read timeout and dialled again', async () => {
    let dialled = 0;
    const server = createServer((_request, response) => {
      dialled++;
      response.writeHead(200, { 'X-Server-Version': '3.7.1' });
      response.flushHeaders();
    });
    const port = await listen(server);
    const a = await member({ id: 1n, limits: { readTimeoutMs: 100, dialRetryMs: 10 } });
    a.transport.addPeer(2n, [`http://127.0.0.1:${port}`]);
    await until(() => dialled >= 6, 'three rounds of both streams');
    expect(a.transport.counters(2n)?.disconnects).toBeGreaterThan(0);
  });

  test('stop sends what was flushed', async () => {
    const [a, b] = await pair();
    await warm(a, b);
    a.transport.send([new Message(MessageType.TimeoutNow, { from: 1n, to: 2n, term: 1 })]);
    await a.transport.stop();
    await until(
      () => b.handler.received.some((r) => r.message.type === MessageType.TimeoutNow),
      'the message',
    );
  });

  test('cut and mend', async () => {
    const [a, b] = await pair();
    await warm(a, b);
    a.transport.cut(2n);
    a.transport.send([new Message(MessageType.Heartbeat, { from: 1n, to: 2n, term: 1, index: 1 })]);
    b.transport.send([new Message(MessageType.Heartbeat, { from: 2n, to: 1n, term: 1, index: 1 })]);
    const received = a.transport.counters(2n);
    const before = received?.receivedBytes ?? 0;
    await until(() => (received?.receivedBytes ?? 0) > before, 'bytes that are dropped');
    a.transport.mend(2n);
    a.transport.send([new Message(MessageType.Heartbeat, { from: 1n, to: 2n, term: 1, index: 2 })]);
    b.transport.send([new Message(MessageType.Heartbeat, { from: 2n, to: 1n, term: 1, index: 2 })]);
    await until(
      () => indexes(a, MessageType.Heartbeat).length === 1 && indexes(b, MessageType.Heartbeat).length === 1,
      'both',
    );
    expect([indexes(a, MessageType.Heartbeat), indexes(b, MessageType.Heartbeat)]).toEqual([[2], [2]]);
  });
});

describe('garbage', () => {
  test('at every offset of the message stream: that connection ends, the rest goes on', async () => {
    const [a, b] = await pair({ dialRetryMs: 1 });
    await warm(a, b);
    const good = encodeMessageFrame(
      new Message(MessageType.Vote, { from: 3n, to: 1n, term: 9, index: 300, context: Buffer.from('x') }),
    );
    let offset = 0;
    let served = 0;
    const server = createServer((request, response) => {
      if (request.url?.startsWith('/raft/stream/message/') !== true || offset >= good.length) {
        response.writeHead(404).end();
        return;
      }
      const bad = Buffer.from(good);
      bad[offset] = (bad[offset] ?? 0) ^ 0xff;
      offset++;
      served++;
      response.writeHead(200, { 'X-Server-Version': '3.7.1' });
      response.end(Buffer.concat([good, bad]));
    });
    const port = await listen(server);
    a.transport.addPeer(3n, [`http://127.0.0.1:${port}`]);
    await until(() => offset >= good.length, 'every offset');
    await until(
      () => a.handler.received.filter((r) => r.from === 3n && r.message.term === 9).length >= served,
      'the good frame before each bad one',
    );
    b.transport.send([new Message(MessageType.Heartbeat, { from: 2n, to: 1n, term: 1, index: 5 })]);
    await until(() => indexes(a, MessageType.Heartbeat).includes(5), 'the other peer');
    expect(a.transport.counters(2n)?.disconnects).toBe(0);
    expect(a.transport.counters(3n)?.receivedFailures).toBeGreaterThan(10);
  });

  test('random bytes posted to every path are refused', async () => {
    const a = await member({ id: 1n });
    const prng = new Prng(99);
    for (const path of ['/raft', '/raft/snapshot']) {
      for (let i = 0; i < 30; i++) {
        const body = Buffer.from(Array.from({ length: prng.below(200) }, () => prng.below(256)));
        const { status } = await post(a, path, body);
        expect([400, 412, 413]).toContain(status);
      }
    }
    expect(a.handler.received).toEqual([]);
  });
});

describe('who may talk', () => {
  const vote = new Message(MessageType.Vote, { from: 2n, to: 1n, term: 4 });

  test.each<[string, Record<string, string>, Message, number, string]>([
    ['a member', {}, vote, 204, ''],
    ['another cluster', { 'X-Etcd-Cluster-ID': 'bad' }, vote, 412, 'cluster ID mismatch\n'],
    ['no cluster', { 'X-Etcd-Cluster-ID': '' }, vote, 412, 'cluster ID mismatch\n'],
    ['a server that is too old', { 'X-Server-Version': '2.3.8' }, vote, 412, 'incompatible version\n'],
    [
      'a server whose minimum we do not reach',
      { 'X-Min-Cluster-Version': '4.0.0' },
      vote,
      412,
      'incompatible version\n',
    ],
    ['a server without version', { 'X-Server-Version': '' }, vote, 412, 'incompatible version\n'],
    ['nonsense for a version', { 'X-Server-Version': 'new' }, vote, 412, 'incompatible version\n'],
    ['etcd 3.4', { 'X-Server-Version': '3.4.23' }, vote, 204, ''],
    ['a pre-release', { 'X-Server-Version': '3.8.0-alpha.0' }, vote, 204, ''],
    [
      'a removed member',
      { 'X-Server-From': '9' },
      new Message(MessageType.Vote, { from: 9n, to: 1n }),
      403,
      '{"message":"cannot process message from removed member"}\n',
    ],
    [
      'a message to another member',
      {},
      new Message(MessageType.Vote, { from: 2n, to: 5n }),
      412,
      'to field mismatch\n',
    ],
    [
      'a message in another name',
      {},
      new Message(MessageType.Vote, { from: 3n, to: 1n }),
      400,
      'wrong raft message type or sender\n',
    ],
    [
      'entries with a gap',
      {},
      new Message(MessageType.App, { from: 2n, to: 1n, term: 1, entries: [new Entry(1, 2)] }),
      400,
      'error unmarshalling raft message\n',
    ],
    [
      'a local message',
      {},
      new Message(MessageType.Hup, { from: 2n, to: 1n }),
      400,
      'wrong raft message type or sender\n',
    ],
    ['a forwarded proposal', {}, new Message(MessageType.Prop, { from: 3n, to: 1n }), 204, ''],
  ])('pipeline: %s', async (_name, headers, message, status, text) => {
    const a = await member({ id: 1n });
    a.handler.removed.add(9n);
    const answer = await post(a, '/raft', encodeMessage(message), headers);
    expect([answer.status, answer.text]).toEqual([status, text]);
    expect(answer.clusterId).toBe(hexId(CLUSTER));
    expect(a.handler.received).toHaveLength(status === 204 ? 1 : 0);
  });

  test.each<[string, string, string, Record<string, string>, number]>([
    ['an unknown member', 'message', '7', {}, 404],
    ['a removed member', 'message', '9', { 'X-Server-From': '9' }, 410],
    ['a wrong id', 'message', 'xyz', {}, 404],
    ['an unknown stream', 'msgappv3', '2', {}, 404],
    ['meant for another member', 'message', '2', { 'X-Raft-To': '5' }, 412],
    ['in another name', 'message', '2', { 'X-Server-From': '3' }, 412],
    ['another cluster', 'message', '2', { 'X-Etcd-Cluster-ID': 'bad' }, 412],
  ])('stream: %s', async (_name, kind, id, headers, status) => {
    const a = await member({ id: 1n });
    a.handler.removed.add(9n);
    a.transport.addPeer(2n, ['http://127.0.0.1:1']);
    const response = await fetch(`${a.url}/raft/stream/${kind}/${id}`, {
      headers: { ...identity(2n), ...headers },
    });
    await response.text();
    expect(response.status).toBe(status);
    expect(response.headers.get('x-server-version')).toBe('3.7.1');
  });

  test.each<[string, number]>([
    ['one below the bound', 999],
    ['the bound', 1000],
    ['one above', 1001],
  ])('a post of %s', async (_name, size) => {
    const a = await member({ id: 1n, limits: { messageBytesMax: 1000 } });
    const base = new Message(MessageType.Prop, { from: 2n, to: 1n, context: Buffer.alloc(900) });
    const context = Buffer.alloc(900 + size - encodeMessage(base).length);
    const body = encodeMessage(new Message(MessageType.Prop, { from: 2n, to: 1n, context }));
    expect(body.length).toBe(size);
    expect((await post(a, '/raft', body)).status).toBe(size > 1000 ? 413 : 204);
  });

  test('two clusters on swapped ports do not mix', async () => {
    const a = await member({ id: 1n, clusterId: 0xaan, limits: { dialRetryMs: 5 } });
    const b = await member({ id: 2n, clusterId: 0xbbn, limits: { dialRetryMs: 5 } });
    introduceAll([a, b]);
    a.transport.send(apps(1n, 2n, 1, 20));
    b.transport.send(apps(2n, 1n, 1, 20));
    await until(() => a.handler.unreachable.length >= 20 && b.handler.unreachable.length >= 20, 'refusals');
    expect([a.handler.received, b.handler.received]).toEqual([[], []]);
    expect(a.transport.connectedCount() + b.transport.connectedCount()).toBe(0);
  });

  test('a removed member is told so on its streams', async () => {
    const a = await member({ id: 1n });
    const b = await member({ id: 2n, limits: { dialRetryMs: 5 } });
    a.handler.removed.add(2n);
    b.transport.addPeer(1n, [a.url]);
    await until(() => b.handler.removedBy.length > 0, 'told');
    expect(b.handler.removedBy[0]).toBe(1n);
  });

  test('a member that is not known yet is answered over the URLs it names', async () => {
    const a = await member({ id: 1n });
    const port = await freePort();
    const joiner = await member({ id: 4n, port, limits: { dialRetryMs: 5 } });
    joiner.transport.addPeer(1n, [a.url]);
    await until(() => {
      a.transport.send([new Message(MessageType.App, { from: 1n, to: 4n, term: 1 })]);
      return joiner.handler.received.length > 0;
    }, 'an answer by pipeline');
    expect(a.transport.connectedCount()).toBe(0);
    a.transport.addPeer(4n, [joiner.url]);
    await until(
      () => joiner.transport.connectedCount() === 1 && a.transport.connectedCount() === 1,
      'streams',
    );
  });

  test('unreachable members that introduce themselves are bounded', async () => {
    const a = await member({ id: 1n, limits: { remotesMax: 3 } });
    for (let i = 10; i < 20; i++) {
      await post(a, '/raft', Buffer.alloc(0), {
        'X-Server-From': i.toString(16),
        'X-PeerURLs': 'http://127.0.0.1:1',
      });
    }
    await post(a, '/raft', Buffer.alloc(0), { 'X-Server-From': 'ff', 'X-PeerURLs': 'not a url' });
    expect([10n, 11n, 12n, 13n, 255n].map((id) => a.transport.counters(id) !== undefined)).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
  });

  test('wrong methods and unknown paths', async () => {
    const a = await member({
      id: 1n,
      extraHandlers: new Map([
        ['/version', (_request, response) => void response.end('v')],
        ['/members/promote/', (request, response) => void response.end(request.url)],
      ]),
    });
    const get = async (path: string, init?: RequestInit): Promise<[number, string]> => {
      const response = await fetch(`${a.url}${path}`, init);
      return [response.status, await response.text()];
    };
    expect(await get('/raft')).toEqual([405, 'Method Not Allowed\n']);
    expect(await get('/raft/stream/message/1', { method: 'POST' })).toEqual([405, 'Method Not Allowed\n']);
    expect(await get('/nothing')).toEqual([404, '404 page not found\n']);
    expect(await get('/version')).toEqual([200, 'v']);
    expect(await get('/members/promote/12?x=1')).toEqual([200, '/members/promote/12?x=1']);
    const [status, text] = await get('/raft/probing');
    expect([status, JSON.parse(text)]).toEqual([
      200,
      { OK: true, Now: expect.stringMatching(/^\d{4}-.*Z$/) },
    ]);
  });
});

test('probes measure the round trip', async () => {
  const [a] = await pair({ probeIntervalMs: 10 });
  await until(() => a.handler.roundTrips.length >= 3, 'three probes');
  expect(a.transport.counters(2n)?.roundTripMs).toBeGreaterThan(0);
});

describe('snapshots', () => {
  const snap = new Message(MessageType.Snap, {
    from: 1n,
    to: 2n,
    term: 3,
    snapshot: new Snapshot(500, 3, CONF_STATE),
  });
  const CHUNK = 64 * 1024;

  async function* content(bytes: number, onChunk?: (sent: number) => void): AsyncGenerator<Buffer, void> {
    for (let at = 0; at < bytes; at += CHUNK) {
      onChunk?.(at);
      yield Buffer.alloc(Math.min(CHUNK, bytes - at), at / CHUNK);
    }
  }

  test('20 MB arrive whole, in bounded memory, before the message is stepped', async () => {
    const [a, b] = await pair();
    const bytes = 20 * 1000 * 1000;
    let received = 0;
    let mostAhead = 0;
    let steppedAtEnd = false;
    b.handler.onSnapshot = async (message, body, announced) => {
      expect(announced).toBe(bytes);
      expect(message.snapshot?.confState.voters).toEqual([1n, 2n]);
      for await (const chunk of body) {
        for (let i = 0; i < chunk.length; i += 4096)
          expect(chunk[i]).toBe(Math.floor((received + i) / CHUNK) % 256);
        received += chunk.length;
        if (received % 5 === 0) await new Promise(setImmediate); // a slower disk than the network
      }
      steppedAtEnd = b.handler.received.length === 0;
    };
    a.transport.sendSnapshot(
      snap,
      content(bytes, (sent) => (mostAhead = Math.max(mostAhead, sent - received))),
      bytes,
    );
    await until(() => a.handler.snapshots.length === 1, 'the report');
    expect(a.handler.snapshots).toEqual([{ id: 2n, ok: true }]);
    expect(received).toBe(bytes);
    expect(steppedAtEnd).toBe(true);
    expect(b.handler.received.map((r) => r.message.snapshot?.index)).toEqual([500]);
    expect(mostAhead).toBeLessThan(12_000_000); // socket buffers of the two ends
    expect(a.transport.counters(2n)).toMatchObject({ snapshotsSent: 1, snapshotsSending: 0 });
    expect(b.transport.counters(1n)).toMatchObject({ snapshotsReceived: 1, snapshotsReceiving: 0 });
  });

  test('cut in the middle: failed at both ends, never stepped', async () => {
    const [a, b] = await pair();
    let failure: unknown;
    b.handler.onSnapshot = async (_message, body) => {
      try {
        for await (const chunk of body) void chunk;
      } catch (error) {
        failure = error;
        throw error;
      }
    };
    const source = async function* (): AsyncGenerator<Buffer, void> {
      yield Buffer.alloc(1_000_000);
      throw new Error('the disk of the sender');
    };
    a.transport.sendSnapshot(snap, source(), 5_000_000);
    await until(() => a.handler.snapshots.length === 1, 'the report');
    await until(() => failure !== undefined, 'the receiver to notice');
    expect(a.handler.snapshots).toEqual([{ id: 2n, ok: false }]);
    expect(a.handler.unreachable).toContain(2n);
    expect(b.handler.received).toEqual([]);
    expect(b.transport.counters(1n)?.snapshotsReceivedFailed).toBe(1);
  });

  test.each<[string, number]>([
    ['shorter than announced', 99_999],
    ['longer than announced', 100_001],
  ])('a body %s fails', async (_name, bytes) => {
    const [a, b] = await pair();
    a.transport.sendSnapshot(snap, content(bytes), 100_000);
    await until(() => a.handler.snapshots.length === 1, 'the report');
    expect(a.handler.snapshots).toEqual([{ id: 2n, ok: false }]);
    expect(b.handler.received).toEqual([]);
  });

  test('the receiver fails to save: the sender is told, its source is closed', async () => {
    const [a, b] = await pair();
    b.handler.onSnapshot = async (_message, body) => {
      for await (const chunk of body) {
        void chunk;
        throw new Error('no space');
      }
    };
    let closed = false;
    const source = async function* (): AsyncGenerator<Buffer, void> {
      try {
        yield* content(50_000_000);
      } finally {
        closed = true;
      }
    };
    a.transport.sendSnapshot(snap, source(), 50_000_000);
    await until(() => a.handler.snapshots.length === 1, 'the report');
    expect(a.handler.snapshots).toEqual([{ id: 2n, ok: false }]);
    await until(() => closed, 'closed');
    expect(b.handler.received).toEqual([]);
  });

  test('a chunked body, as a real etcd sends it, has no announced length', async () => {
    const [, b] = await pair();
    let announced: number | undefined = -1;
    let received = 0;
    b.handler.onSnapshot = async (_message, body, bytes) => {
      announced = bytes;
      for await (const chunk of body) received += chunk.length;
    };
    const head = encodeMessageFrame(snap);
    const text = `POST /raft/snapshot HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n${headerLines(1n)}\r\n`;
    const socket = await rawConnection(b.port);
    socket.write(text);
    for (const part of [head.subarray(0, 5), head.subarray(5), Buffer.alloc(3000)]) {
      socket.write(`${part.length.toString(16)}\r\n`);
      socket.write(part);
      socket.write('\r\n');
    }
    socket.write('0\r\n\r\n');
    await until(() => b.handler.received.length === 1, 'stepped');
    expect([announced, received]).toEqual([undefined, 3000]);
    socket.destroy();
  });

  test('a sender that falls silent is cut off', async () => {
    const b = await member({ id: 2n, limits: { readTimeoutMs: 100 } });
    let failure = '';
    b.handler.onSnapshot = async (_message, body) => {
      try {
        for await (const chunk of body) void chunk;
      } catch (error) {
        failure = String(error);
        throw error;
      }
    };
    const head = encodeMessageFrame(snap);
    const socket = await rawConnection(b.port);
    socket.write(
      `POST /raft/snapshot HTTP/1.1\r\nHost: x\r\nContent-Length: ${head.length + 100}\r\n${headerLines(1n)}\r\n`,
    );
    socket.write(head);
    await until(() => failure !== '', 'cut off');
    expect(failure).toContain('timeout');
    expect(b.handler.received).toEqual([]);
    socket.destroy();
  });

  test('to a member that is unknown or gone: reported failed', async () => {
    const a = await member({ id: 1n });
    a.transport.sendSnapshot(snap, content(10), 10);
    expect(a.handler.snapshots).toEqual([{ id: 2n, ok: false }]);
    a.transport.addPeer(2n, ['http://127.0.0.1:1']);
    a.transport.sendSnapshot(snap, content(10), 10);
    await until(() => a.handler.snapshots.length === 2, 'the report');
    expect(a.handler.snapshots[1]).toEqual({ id: 2n, ok: false });
  });

  test('a MsgSnap without a body goes by pipeline and is reported', async () => {
    const [a, b] = await pair();
    a.transport.send([snap]);
    await until(() => a.handler.snapshots.length === 1, 'the report');
    expect(a.handler.snapshots).toEqual([{ id: 2n, ok: true }]);
    expect(b.handler.received.map((r) => r.message.snapshot?.index)).toEqual([500]);
  });

  test('a message larger than the bound is refused before it is read', async () => {
    const b = await member({ id: 2n, limits: { snapshotMessageBytesMax: 100 } });
    const large = new Message(MessageType.Snap, {
      from: 1n,
      to: 2n,
      snapshot: new Snapshot(1, 1, CONF_STATE, Buffer.alloc(200)),
    });
    expect((await post(b, '/raft/snapshot', encodeMessageFrame(large), {}, 1n)).status).toBe(413);
  });
});

describe('membership', () => {
  test('removed peers are gone, updated ones are dialled at their new place', async () => {
    const [a, b] = await pair();
    await warm(a, b);
    a.transport.removePeer(2n);
    a.transport.removePeer(2n);
    expect([a.transport.connectedCount(), a.transport.activeSince(2n)]).toEqual([0, undefined]);
    a.transport.addPeer(2n, ['http://127.0.0.1:1']);
    a.transport.updatePeer(2n, [b.url]);
    await until(() => a.transport.connectedCount() === 1, 'back');
    await warm(a, b);
  });

  test('a URL that cannot be dialled is refused', async () => {
    const a = await member({ id: 1n });
    for (const url of ['', 'nonsense', 'ftp://h:1', 'unix://', 'http://h:1/path']) {
      expect(() => a.transport.addPeer(2n, [url])).toThrow(expect.objectContaining({ code: 'INVALID_URL' }));
    }
    expect(a.transport.connectedCount()).toBe(0);
  });

  test('defaults are those of etcd', () => {
    expect(DEFAULT_PEER_LIMITS).toMatchObject({
      readTimeoutMs: 5_000,
      writeTimeoutMs: 5_000,
      streamQueueMax: 4_096,
      pipelineQueueMax: 64,
      pipelineConnectionsMax: 4,
      dialRetryMs: 100,
    });
  });
});

// ---- raw ends -----------------------------------------------------------------------------------------

function identity(from: bigint): Record<string, string> {
  return {
    'X-Server-From': hexId(from),
    'X-Server-Version': '3.7.1',
    'X-Min-Cluster-Version': '3.0.0',
    'X-Etcd-Cluster-ID': hexId(CLUSTER),
    'X-Raft-To': '1',
  };
}

function headerLines(from: bigint): string {
  return Object.entries(identity(from))
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
}

async function post(
  to: TestMember,
  path: string,
  body: Buffer,
  headers: Record<string, string> = {},
  from = 2n,
): Promise<{ status: number; text: string; clusterId: string | null }> {
  const all: Record<string, string> = { ...identity(from), ...headers };
  for (const [name, value] of Object.entries(all)) if (value === '') delete all[name];
  const response = await fetch(`${to.url}${path}`, {
    method: 'POST',
    headers: all,
    body: new Uint8Array(body),
  });
  return {
    status: response.status,
    text: await response.text(),
    clusterId: response.headers.get('x-etcd-cluster-id'),
  };
}

async function rawConnection(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  open.push({ stop: async () => void socket.destroy() });
  await new Promise<void>((resolve) => {
    socket.once('connect', resolve);
  });
  return socket;
}

/** Opens a stream to `to` as another member would, and collects what comes after the headers. */
async function rawStream(
  to: TestMember,
  kind: string,
  options: { from: bigint },
): Promise<{ socket: Socket; bytes: Buffer; closed: boolean }> {
  const socket = await rawConnection(to.port);
  const stream = { socket, bytes: Buffer.alloc(0), closed: false };
  let head = '';
  socket.on('close', () => (stream.closed = true));
  await new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      if (head.includes('\r\n\r\n')) stream.bytes = Buffer.concat([stream.bytes, chunk]);
      else {
        head += chunk.toString('latin1');
        if (head.includes('\r\n\r\n')) resolve();
      }
    });
    socket.write(
      `GET /raft/stream/${kind}/${hexId(options.from)} HTTP/1.1\r\nHost: x\r\n${headerLines(options.from)}\r\n`,
    );
  });
  expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  return stream;
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  open.push({
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
