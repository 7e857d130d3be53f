/**
 * The scenarios: what a client, or many, can do to a member without any right. Each has the memory it may cost, and
 * checks that whatever was asked was answered: by a value, by etcd's refusal, or by a closed connection.
 */
import { once } from 'node:events';
import { etcdserverpb as pb, services } from '@keelson/proto';
import type { ClientStream } from '@keelson/rpc';
import { END_HEADERS, GREETING, TYPE, rawFrame, u32 } from '../../packages/rpc/test/raw-frames.ts';
import { waitUntil } from '../harness/waiting.ts';
import { closedByServer, openSockets } from './raw-sockets.ts';
import { Outcomes, type Scenario, type Stage } from './stage.ts';

type WatchStream = ClientStream<pb.WatchRequest, pb.WatchResponse>;

/** Of the attackers' calls: a machine that does much else as well is slow, and that is no verdict. */
const CALL_MS = 170_000;

const key = (text: string): Buffer => Buffer.from(text);
const numbered = (prefix: string, i: number): Buffer => key(`${prefix}${String(i).padStart(8, '0')}`);

function watchOf(from: Buffer, rangeEnd: Buffer = Buffer.alloc(0)): pb.WatchRequest {
  return new pb.WatchRequest({ createRequest: new pb.WatchCreateRequest({ key: from, rangeEnd }) });
}

interface Watching {
  readonly stream: WatchStream;
  readonly events: () => number;
}

/** A watch stream with so many watches, all created. */
async function watching(stage: Stage, count: number, of: (i: number) => pb.WatchRequest): Promise<Watching> {
  const stream = stage.client().channel.bidi(services.Watch.methods.watch);
  stage.onEnd(() => stream.cancel());
  let created = 0;
  let events = 0;
  let over: string | undefined;
  stream.onMessage((response: pb.WatchResponse) => {
    if (response.created) created++;
    if (response.canceled) over = response.cancelReason;
    events += response.events.length;
  });
  stream.onEnd((error) => (over ??= error?.message ?? 'ended'));
  for (let i = 0; i < count; i++) if (!stream.write(of(i))) await stream.ready();
  await waitUntil(`${count} watches are made`, { timeoutMs: 120_000, everyMs: 10 }, () => {
    if (over !== undefined) throw new Error(`a watch was refused: ${over}`);
    return created === count || undefined;
  });
  return { stream, events: () => events };
}

/** Puts with so many under way. */
async function putAll(
  stage: Stage,
  count: number,
  atOnce: number,
  request: (i: number) => pb.PutRequest,
): Promise<Outcomes> {
  const outcomes = new Outcomes();
  const api = stage.client();
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count)
      await outcomes.of(api.call(services.KV.methods.put, request(next++), { timeoutMs: CALL_MS }));
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return outcomes;
}

function requireAll(outcomes: Outcomes, asked: number): void {
  const answered = [...outcomes.counts.values()].reduce((sum, count) => sum + count, 0);
  if (answered !== asked) throw new Error(`${asked} were asked and ${answered} answered`);
}

const slowWatchers: Scenario = {
  name: 'slow-watchers',
  attack:
    '10,000 watchers on 100 streams, 100 more that never read and watch everything; 5,000 puts of 1 KiB',
  // 100 streams with 4 MiB each are the bound of what waits; the rest is the member itself.
  rssMbMax: 800,
  async run(stage) {
    const keys = stage.count(1000);
    const streams = stage.count(100);
    const each = 100;
    const all: Watching[] = [];
    for (let s = 0; s < streams; s++)
      all.push(await watching(stage, each, (i) => watchOf(numbered('w/', (s * each + i) % keys))));
    const slow: Watching[] = [];
    for (let s = 0; s < stage.count(100); s++)
      slow.push(await watching(stage, 1, () => watchOf(key('w/'), key('w0'))));
    for (const { stream } of slow) stream.pause();
    const puts = stage.count(5000);
    const value = Buffer.alloc(1024, 'v');
    const outcomes = await putAll(
      stage,
      puts,
      16,
      (i) => new pb.PutRequest({ key: numbered('w/', i % keys), value }),
    );
    requireAll(outcomes, puts);
    // Every put is seen by each watcher of its key: no event is lost to the others.
    let want = 0;
    for (let i = 0; i < puts; i++) want += Math.floor((streams * each - (i % keys) - 1) / keys) + 1;
    const seen = (): number => all.reduce((sum, { events }) => sum + events(), 0);
    await waitUntil('all events', { timeoutMs: 60_000, everyMs: 20 }, () => seen() >= want || undefined);
    if (seen() !== want) throw new Error(`${seen()} events instead of ${want}`);
    // And those that read again get theirs.
    for (const { stream } of slow) stream.resume();
    const late = (): number => slow.reduce((sum, { events }) => sum + events(), 0);
    await waitUntil(
      'the late events',
      { timeoutMs: 120_000, everyMs: 20 },
      () => late() >= puts * slow.length || undefined,
    );
    return { watchers: streams * each, events: want, 'late events': late(), puts: outcomes.toString() };
  },
};

const hugeRanges: Scenario = {
  name: 'huge-ranges',
  attack: '50 MB in 50,000 keys, 20 clients that ask for all of it and read slowly',
  // An answer is one message, as in etcd: each of the 20 may hold all of it until its client has read it.
  rssMbMax: 2500,
  async run(stage) {
    const keys = stage.count(50_000);
    const value = Buffer.alloc(1000, 'v');
    await putAll(stage, keys, 64, (i) => new pb.PutRequest({ key: numbered('r/', i), value }));
    const stored = stage.rssMb();
    const request = new pb.RangeRequest({ key: key('r/'), rangeEnd: key('r0'), serializable: true });
    const readers = Array.from({ length: stage.count(20) }, () =>
      stage.client().channel.serverStream(services.KV.methods.range, request),
    );
    let bytes = 0;
    const ends = readers.map(async (reader) => {
      reader.pause();
      // Nothing is read for a while; then all of it.
      await new Promise((resolve) => setTimeout(resolve, 3000));
      const ended = new Promise<void>((resolve, reject) => {
        reader.onMessage(({ kvs }: pb.RangeResponse) => (bytes += kvs.length * 1000));
        reader.onEnd((error) => (error === undefined ? resolve() : reject(error)));
      });
      reader.resume();
      await ended;
    });
    await Promise.all(ends);
    if (bytes !== readers.length * keys * 1000) throw new Error(`${bytes} bytes were read`);
    return { 'MB read': Math.round(bytes / 1e6), 'RSS before the ranges, MB': Math.round(stored) };
  },
};

const leases: Scenario = {
  name: 'leases',
  attack: '100,000 leases with a key each, all of which end at once',
  rssMbMax: 600,
  async run(stage) {
    const count = stage.count(100_000);
    const outcomes = new Outcomes();
    const api = stage.client();
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < count) {
        const i = ++next;
        const grant = new pb.LeaseGrantRequest({ TTL: 30, ID: BigInt(i) });
        const granted = await outcomes.of(
          api.call(services.Lease.methods.leaseGrant, grant, { timeoutMs: CALL_MS }),
        );
        if (granted && i % 10 === 0) {
          const put = new pb.PutRequest({
            key: numbered('l/', i),
            value: Buffer.from('x'),
            lease: BigInt(i),
          });
          await outcomes.of(api.call(services.KV.methods.put, put, { timeoutMs: CALL_MS }));
        }
      }
    };
    const startedMs = performance.now();
    await Promise.all(Array.from({ length: 128 }, worker));
    const grantedS = (performance.now() - startedMs) / 1000;
    await waitUntil('all leases have ended', { timeoutMs: 400_000, everyMs: 500 }, async () => {
      const answer = await api.call(services.Lease.methods.leaseLeases, new pb.LeaseLeasesRequest(), {
        timeoutMs: 30_000,
      });
      return answer.leases.length === 0 || undefined;
    });
    const left = await api.range({ key: key('l/'), rangeEnd: key('l0'), countOnly: true });
    if (left.count !== 0) throw new Error(`${left.count} keys have outlived their leases`);
    return {
      grants: outcomes.toString(),
      'granted in, s': grantedS.toFixed(1),
      'all gone after, s': ((performance.now() - startedMs) / 1000).toFixed(0),
    };
  },
};

const connections: Scenario = {
  name: 'connections',
  attack: '10,000 connections that say the preface of HTTP/2 and stay',
  rssMbMax: 500,
  async run(stage) {
    const before = stage.rssMb();
    const sockets = await openSockets(stage.address, stage.count(10_000), GREETING);
    stage.onEnd(() => sockets.forEach((socket) => socket.destroy()));
    await stage.client().put('among-many', 'x', 30_000);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const perKiB = ((stage.rssMb() - before) * 1024) / sockets.length;
    if (sockets.length !== stage.count(10_000)) throw new Error(`${sockets.length} connections were made`);
    return { connections: sockets.length, 'KiB each': perKiB.toFixed(1) };
  },
};

const millionWatchers: Scenario = {
  name: 'million-watchers',
  attack: '1,000,000 watchers on 100 streams of 10,000',
  rssMbMax: 1500,
  async run(stage) {
    const before = stage.rssMb();
    const each = stage.count(10_000);
    const startedMs = performance.now();
    const all: Watching[] = [];
    for (let s = 0; s < 100; s++)
      all.push(await watching(stage, each, (i) => watchOf(numbered('m/', s * each + i))));
    const seconds = (performance.now() - startedMs) / 1000;
    const bytesEach = ((stage.rssMb() - before) * 1024 * 1024) / (each * 100);
    await stage.api.put('m/00000007', 'x');
    const seen = (): number => all.reduce((sum, { events }) => sum + events(), 0);
    await waitUntil('the one event', { timeoutMs: 30_000, everyMs: 10 }, () => seen() === 1 || undefined);
    return { watchers: each * 100, 'made in, s': seconds.toFixed(1), 'bytes each': Math.round(bytesEach) };
  },
};

const flood: Scenario = {
  name: 'connection-flood',
  attack: '20,000 connections opened and dropped, 2,000 half-open TLS handshakes',
  rssMbMax: 500,
  tls: true,
  async run(stage) {
    for (let i = 0; i < 10; i++) {
      const dropped = await openSockets(
        stage.address,
        stage.count(2000),
        i % 2 === 0 ? undefined : Buffer.from([22, 3, 1]),
      );
      for (const socket of dropped) socket.resetAndDestroy();
    }
    // A ClientHello that is announced and does not come; one byte; nothing.
    const hello = Buffer.from('160301020001000001fc0303', 'hex');
    const half = [
      ...(await openSockets(stage.address, stage.count(1000), hello)),
      ...(await openSockets(stage.address, stage.count(500), hello.subarray(0, 1))),
      ...(await openSockets(stage.address, stage.count(500))),
    ];
    stage.onEnd(() => half.forEach((socket) => socket.destroy()));
    const startedMs = performance.now();
    const closed = await closedByServer(half, 30_000);
    if (closed !== half.length)
      throw new Error(`${half.length - closed} of ${half.length} half-open handshakes still stand`);
    return {
      'half-open': half.length,
      'all cut after, s': ((performance.now() - startedMs) / 1000).toFixed(1),
    };
  },
};

const slowloris: Scenario = {
  name: 'slowloris',
  attack:
    '2,000 headers of HTTP/1 that do not end, 2,000 half prefaces, 2,000 that say nothing, in clear text',
  rssMbMax: 400,
  async run(stage) {
    const all = [
      ...(await openSockets(
        stage.address,
        stage.count(2000),
        Buffer.from('POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nX-Slow: '),
      )),
      ...(await openSockets(stage.address, stage.count(2000), Buffer.from('PRI * HTTP/2.0\r\n\r\n'))),
      ...(await openSockets(stage.address, stage.count(2000))),
    ];
    stage.onEnd(() => all.forEach((socket) => socket.destroy()));
    // One byte at a time keeps nobody alive.
    const trickle = setInterval(
      () => all.slice(0, stage.count(2000)).forEach((socket) => socket.destroyed || socket.write('x')),
      1000,
    );
    const startedMs = performance.now();
    const closed = await closedByServer(all, 40_000);
    clearInterval(trickle);
    if (closed !== all.length)
      throw new Error(`${all.length - closed} of ${all.length} slow connections still stand`);
    return {
      connections: all.length,
      'all cut after, s': ((performance.now() - startedMs) / 1000).toFixed(1),
    };
  },
};

const storm: Scenario = {
  name: 'request-storm',
  attack: '30,000 puts of 1 KiB at once over 20 connections',
  rssMbMax: 700,
  async run(stage) {
    const outcomes = new Outcomes();
    const value = Buffer.alloc(1024, 's');
    const count = stage.count(30_000);
    const apis = Array.from({ length: 20 }, () => stage.client());
    const startedMs = performance.now();
    await Promise.all(
      Array.from({ length: count }, (_, i) =>
        outcomes.of(
          apis[i % 20].call(services.KV.methods.put, new pb.PutRequest({ key: numbered('s/', i), value }), {
            timeoutMs: CALL_MS,
          }),
        ),
      ),
    );
    const seconds = (performance.now() - startedMs) / 1000;
    requireAll(outcomes, count);
    const refused = outcomes.refused(/too many requests/);
    if (outcomes.ok + refused !== count) throw new Error(`refused otherwise: ${outcomes.toString()}`);
    const stored = await stage.api.range({ key: key('s/'), rangeEnd: key('s0'), countOnly: true }, 30_000);
    if (stored.count !== outcomes.ok)
      throw new Error(`${outcomes.ok} were acknowledged and ${stored.count} are there`);
    return { puts: outcomes.toString(), 'acknowledged a second': Math.round(outcomes.ok / seconds) };
  },
};

const maxSize: Scenario = {
  name: 'largest-requests',
  attack: '200 puts of 1.5 MB at once over 10 connections, and 50 that are too large',
  // 300 MB of requests that are under way, each held as it came, as an entry and in the backend's batch.
  rssMbMax: 1400,
  async run(stage) {
    const outcomes = new Outcomes();
    const apis = Array.from({ length: 10 }, () => stage.client());
    const put = (i: number, bytes: number): Promise<boolean> =>
      outcomes.of(
        apis[i % 10].call(
          services.KV.methods.put,
          new pb.PutRequest({ key: numbered('b/', i % 8), value: Buffer.alloc(bytes, 'b') }),
          { timeoutMs: CALL_MS },
        ),
      );
    const count = stage.count(200);
    await Promise.all([
      ...Array.from({ length: count }, (_, i) => put(i, 1_500_000)),
      ...Array.from({ length: 25 }, (_, i) => put(i, 1_600_000)),
      ...Array.from({ length: 25 }, (_, i) => put(i, 2_400_000)),
    ]);
    requireAll(outcomes, count + 50);
    if (outcomes.refused(/InvalidArgument: etcdserver: request is too large$/) !== 25)
      throw new Error(outcomes.toString());
    if (outcomes.refused(/ResourceExhausted: grpc: received message larger than max/) !== 25)
      throw new Error(outcomes.toString());
    return { puts: outcomes.toString().replaceAll(/\(\d+ vs\. \d+\)/g, '(…)') };
  },
};

const txns: Scenario = {
  name: 'heavy-txns',
  attack:
    '500 transactions of 128 ranges over everything, 2,000 of 128 nested puts, 200 nested too deep or too wide',
  rssMbMax: 900,
  async run(stage) {
    await putAll(
      stage,
      stage.count(2000),
      64,
      (i) => new pb.PutRequest({ key: numbered('t/', i), value: Buffer.alloc(100, 't') }),
    );
    const outcomes = new Outcomes();
    const apis = Array.from({ length: 10 }, () => stage.client());
    const txn = (i: number, request: pb.TxnRequest): Promise<boolean> =>
      outcomes.of(apis[i % 10].call(services.KV.methods.txn, request, { timeoutMs: CALL_MS }));
    const everything = new pb.RequestOp({
      requestRange: new pb.RangeRequest({ key: key('t/'), rangeEnd: key('t0'), countOnly: true }),
    });
    const ranges = new pb.TxnRequest({ success: Array.from({ length: 128 }, () => everything) });
    const nested = (i: number): pb.TxnRequest => {
      const puts = Array.from(
        { length: 64 },
        (_, j) =>
          new pb.RequestOp({
            requestPut: new pb.PutRequest({ key: numbered(`n/${i % 50}/`, j), value: key('n') }),
          }),
      );
      const inner = new pb.RequestOp({
        requestTxn: new pb.TxnRequest({ success: puts.slice(0, 32), failure: puts.slice(32) }),
      });
      return new pb.TxnRequest({ success: [inner] });
    };
    let deep = new pb.TxnRequest();
    for (let i = 0; i < 60; i++)
      deep = new pb.TxnRequest({ success: [new pb.RequestOp({ requestTxn: deep })] });
    const wide = new pb.TxnRequest({ success: Array.from({ length: 129 }, () => everything) });
    await Promise.all([
      ...Array.from({ length: stage.count(500) }, (_, i) => txn(i, ranges)),
      ...Array.from({ length: stage.count(2000) }, (_, i) => txn(i, nested(i))),
      ...Array.from({ length: 100 }, (_, i) => txn(i, deep)),
      ...Array.from({ length: 100 }, (_, i) => txn(i, wide)),
    ]);
    requireAll(outcomes, stage.count(500) + stage.count(2000) + 200);
    if (outcomes.refused(/InvalidArgument: etcdserver: too many operations in txn request$/) !== 100)
      throw new Error(outcomes.toString());
    // Sixty levels are more than a message may have.
    if (outcomes.refused(/Internal: grpc: .*nested deeper than/) !== 100)
      throw new Error(outcomes.toString());
    return {
      txns: outcomes
        .toString()
        .replace(/Internal: .*?nested deeper[^×]*/, 'Internal: … nested deeper than 100 messages '),
    };
  },
};

const watchStorm: Scenario = {
  name: 'watch-storm',
  attack: '50,000 watches made and cancelled on 10 streams, 200 streams opened and dropped',
  rssMbMax: 400,
  async run(stage) {
    const round = async (): Promise<number> => {
      const count = stage.count(5000);
      await Promise.all(
        Array.from({ length: 10 }, async () => {
          const stream = stage.client().channel.bidi(services.Watch.methods.watch);
          let cancelled = 0;
          stream.onMessage((response: pb.WatchResponse) => {
            if (response.created)
              stream.write(
                new pb.WatchRequest({
                  cancelRequest: new pb.WatchCancelRequest({ watchId: response.watchId }),
                }),
              );
            else if (response.canceled) cancelled++;
          });
          for (let i = 0; i < count; i++) if (!stream.write(watchOf(numbered('c/', i)))) await stream.ready();
          await waitUntil(
            'all are cancelled',
            { timeoutMs: 60_000, everyMs: 10 },
            () => cancelled === count || undefined,
          );
          stream.cancel();
        }),
      );
      for (let i = 0; i < stage.count(200); i++) {
        const { channel } = stage.api;
        const stream = channel.bidi(services.Watch.methods.watch);
        stream.write(watchOf(key('c/')));
        stream.onEnd(() => {});
        stream.cancel();
      }
      return stage.rssMb();
    };
    const rss: number[] = [];
    for (let i = 0; i < 4; i++) rss.push(await round());
    return {
      'watches in all': stage.count(5000) * 40,
      'RSS after each round, MB': rss.map(Math.round).join(' '),
    };
  },
};

const rapidReset: Scenario = {
  name: 'rapid-reset',
  attack: '20 connections that open streams and reset them at once, 100,000 times (CVE-2023-44487)',
  rssMbMax: 400,
  async run(stage) {
    const headers = Buffer.from(
      '8386' +
        '44' +
        '14' +
        Buffer.from('/etcdserverpb.KV/Put').toString('hex') +
        '5f10' +
        Buffer.from('application/grpc').toString('hex'),
      'hex',
    );
    const cancel = u32(8);
    const sockets = await openSockets(stage.address, 20, GREETING);
    let sent = 0;
    await Promise.all(
      sockets.map(async (socket) => {
        socket.resume();
        for (let i = 0; i < stage.count(5000) && !socket.destroyed; i += 50) {
          const burst: Buffer[] = [];
          for (let j = 0; j < 50; j++) {
            const id = (i + j) * 2 + 1;
            burst.push(rawFrame(TYPE.headers, END_HEADERS, id, headers), rawFrame(TYPE.reset, 0, id, cancel));
          }
          sent += 50;
          if (!socket.write(Buffer.concat(burst)) && !socket.destroyed)
            await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
        }
      }),
    );
    const closed = sockets.filter((socket) => socket.destroyed).length;
    sockets.forEach((socket) => socket.destroy());
    await stage.client().put('after', 'x', 30_000);
    return { 'streams opened and reset': sent, 'connections that were cut': closed };
  },
};

export const scenarios: readonly Scenario[] = [
  slowWatchers,
  hugeRanges,
  leases,
  connections,
  millionWatchers,
  flood,
  slowloris,
  storm,
  maxSize,
  txns,
  watchStorm,
  rapidReset,
];
