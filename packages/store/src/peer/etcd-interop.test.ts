/**
 * Our transport as the second member of a two-member cluster whose first is a real etcd. What plays raft
 * here is the test itself: a follower, then a leader, of a few lines.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EMPTY, JsonLogger, hexId, silentLogger, systemClock } from '@keelson/base';
import { Entry, EntryType, Message, MessageType, Snapshot } from '@keelson/raft';
import { until } from '../../../base/test/until.ts';
import { RealEtcd, clusterId, memberId } from '../../test/peer/etcd.ts';
import { type TestMember, startMember } from '../../test/peer/member.ts';
import { TestAuthority, tlsSettings } from '../../test/tls-fixtures.ts';
import { TlsAcceptor } from '../tls/tls-acceptor.ts';
import { tlsDialer } from '../tls/tls-dialer.ts';
import type { PeerTls } from './peer-tls.ts';
import { ETCD_VERSION } from '../../../base/test/etcd-process.ts';
import { freePorts } from '../../../base/test/free-ports.ts';

const interop = ETCD_VERSION === undefined ? test.skip : test;
const title = ETCD_VERSION === undefined ? 'SKIPPED, no etcd is installed' : `etcd ${ETCD_VERSION}`;

interface Pair {
  readonly etcd: RealEtcd;
  readonly ours: TestMember;
  readonly etcdId: bigint;
  readonly ourLog: string[];
}

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

/** Starts our member and prepares etcd; etcd is not started yet. */
async function makePair(
  token: string,
  args: readonly string[] = [],
  wrongCluster = false,
  tls?: PeerTls,
  unix = false,
): Promise<Pair> {
  const [port] = await freePorts(1);
  const ourUrl = `${unix ? 'unix' : tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
  const etcd = await RealEtcd.prepare(ourUrl, token, args);
  const etcdId = memberId([etcd.peerUrl], token);
  const ourId = memberId([ourUrl], token);
  const ourLog: string[] = [];
  const ours = await startMember({
    id: ourId,
    clusterId: clusterId([etcdId, ourId]) ^ (wrongCluster ? 1n : 0n),
    port,
    ...(tls === undefined ? {} : { tls }),
    limits: { probeIntervalMs: 100 },
    logger: new JsonLogger(
      (line) => ourLog.push(line),
      () => systemClock.nowMs(),
      'debug',
    ),
    extraHandlers: new Map([
      [
        '/version',
        (_request, response) => void response.end('{"etcdserver":"3.4.23","etcdcluster":"3.4.0"}'),
      ],
    ]),
  });
  cleanups.push(async () => {
    await etcd.remove();
    await ours.transport.stop();
  });
  // Their URLs name files in etcd's working directory, which is not ours.
  const elsewhere = (url: string): string => url.replace('unix://', `unix://${etcd.dataDir}/`);
  if (unix) await ours.transport.listenAt(elsewhere(ourUrl).slice('unix://'.length), false);
  ours.transport.addPeer(etcdId, [elsewhere(etcd.peerUrl)]);
  return { etcd, ours, etcdId, ourLog };
}

/** A follower without a log of its own: votes yes, takes every entry, asks for what it lacks. */
class Follower {
  readonly entries = new Map<number, Entry>();
  last = 0;
  acks = true;

  constructor(pair: Pair) {
    const { ours, etcdId } = pair;
    const answer = (type: MessageType, fields: Partial<Message>): void => {
      ours.transport.send([new Message(type, { from: ours.id, to: etcdId, ...fields })]);
    };
    ours.handler.onStep = ({ message }) => {
      const term = message.term;
      switch (message.type) {
        case MessageType.PreVote:
          answer(MessageType.PreVoteResp, { term });
          break;
        case MessageType.Vote:
          answer(MessageType.VoteResp, { term });
          break;
        case MessageType.Heartbeat:
          answer(MessageType.HeartbeatResp, { term, context: message.context });
          break;
        case MessageType.Snap:
          this.last = message.snapshot?.index ?? 0;
          answer(MessageType.AppResp, { term, index: this.last });
          break;
        case MessageType.App:
          if (message.index > this.last) {
            answer(MessageType.AppResp, { term, index: message.index, reject: true, rejectHint: this.last });
            break;
          }
          for (const entry of message.entries) this.entries.set(entry.index, entry);
          this.last = Math.max(this.last, message.index + message.entries.length);
          if (this.acks) answer(MessageType.AppResp, { term, index: this.last });
          break;
        default:
      }
    };
  }
}

/** etcdserverpb.InternalRaftRequest of a put: what an entry's data is. */
function putRequest(id: number, key: string, value: string): Buffer {
  const put = Buffer.from([0x0a, key.length, ...Buffer.from(key), 0x12, value.length, ...Buffer.from(value)]);
  return Buffer.from([0x22, put.length, ...put, 0xa2, 0x06, 0x02, 0x08, id]);
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe(title, () => {
  interop('over TLS, with certificates on both sides', async () => {
    const authority = new TestAuthority();
    cleanups.push(() => Promise.resolve(authority.dispose()));
    const theirs = authority.issue('real');
    const mine = authority.issue('ours');
    const settings = tlsSettings({
      certFile: mine.certFile,
      keyFile: mine.keyFile,
      trustedCaFile: authority.caFile,
      clientCertAuth: true,
      allowedCns: ['real', 'ours'],
      skipClientSanVerification: false,
    });
    const acceptor = new TlsAcceptor({
      settings,
      endpoint: 'peer',
      protocol: (offered) => (offered.includes('http/1.1') ? 'http/1.1' : undefined),
      clock: systemClock,
      logger: silentLogger,
    });
    const pair = await makePair(
      'tls',
      [
        `--peer-cert-file=${theirs.certFile}`,
        `--peer-key-file=${theirs.keyFile}`,
        `--peer-trusted-ca-file=${authority.caFile}`,
        '--peer-client-cert-auth',
        '--peer-cert-allowed-cn=ours',
      ],
      false,
      { acceptor, dial: tlsDialer(settings) },
    );
    const { etcd, ours, etcdId } = pair;
    const follower = new Follower(pair);
    etcd.start();
    await etcd.call('/v3/kv/put', { key: base64('hello'), value: base64('over TLS') });
    const put = [...follower.entries.values()].find((entry) => entry.data.includes('hello'));
    expect(put?.data.includes('over TLS')).toBe(true);
    await until(() => ours.handler.roundTrips.includes(etcdId), 'a probe of etcd');
    expect(ours.transport.counters(etcdId)).toMatchObject({ receivedFailures: 0 });
    expect(etcd.log).toContain('established TCP streaming connection with remote peer');
  });

  interop('at unix sockets', async () => {
    const pair = await makePair('unix', [], false, undefined, true);
    const { etcd, ours, etcdId } = pair;
    const follower = new Follower(pair);
    etcd.start();
    await etcd.call('/v3/kv/put', { key: base64('hello'), value: base64('at a socket') });
    const put = [...follower.entries.values()].find((entry) => entry.data.includes('hello'));
    expect(put?.data.includes('at a socket')).toBe(true);
    await until(() => ours.handler.roundTrips.includes(etcdId), 'a probe of etcd');
    expect(ours.transport.counters(etcdId)).toMatchObject({ receivedFailures: 0 });
  });

  interop.each<[string, string[], MessageType]>([
    ['without pre-vote', [], MessageType.Vote],
    ['with pre-vote', ['--pre-vote=true'], MessageType.PreVote],
  ])('etcd leads us, %s', async (_name, args, firstAsked) => {
    const pair = await makePair(`lead-${args.length}`, args);
    const { etcd, ours, etcdId } = pair;
    const follower = new Follower(pair);
    etcd.start();
    await etcd.call('/v3/kv/put', { key: base64('hello'), value: base64('world') });

    const received = ours.handler.received;
    expect(received.every((r) => r.from === etcdId && r.message.to === ours.id)).toBe(true);
    expect(received[0]?.message).toMatchObject({ type: firstAsked, logTerm: 1, index: 2 });
    await until(() => received.some((r) => r.message.type === MessageType.Heartbeat), 'a heartbeat');
    // The log from its first entry: both members added, the leader's empty entry, then the put.
    const first = follower.entries.get(1);
    expect([first?.type, first?.term]).toEqual([EntryType.ConfChange, 1]);
    expect(follower.entries.get(2)?.type).toBe(EntryType.ConfChange);
    const empty = follower.entries.get(3);
    expect([empty?.type, empty?.data.length]).toEqual([EntryType.Normal, 0]);
    const put = [...follower.entries.values()].find((e) => e.data.includes('hello'));
    expect(put?.data.includes('world')).toBe(true);

    // Over streams both ways, and nothing of ours was refused.
    expect(ours.transport.counters(etcdId)).toMatchObject({ receivedFailures: 0 });
    await until(() => ours.handler.roundTrips.includes(etcdId), 'a probe of etcd');
    expect(etcd.log).toContain('established TCP streaming connection with remote peer');
    expect(etcd.log).not.toMatch(/panic|cluster ID mismatch|incompatible|failed to unmarshal/);
    expect(pair.ourLog.join('')).toContain('"stream-writer-type":"stream msgapp"');

    // Proposals forwarded by a follower are replicated like the leader's own.
    const before = follower.last;
    const proposals = Array.from({ length: 50 }, () => new Entry(0, 0));
    ours.transport.send([new Message(MessageType.Prop, { from: ours.id, to: etcdId, entries: proposals })]);
    await until(() => follower.last >= before + 50, 'our proposals');
    // Many puts at once: several entries a frame, short frames after the first.
    await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        etcd.call('/v3/kv/put', { key: base64(`k${i}`), value: base64('v') }),
      ),
    );
    for (let index = 1; index <= follower.last; index++)
      expect(follower.entries.get(index)?.index).toBe(index);
    expect(etcd.running).toBe(true);
  });

  interop('we lead etcd: it takes our frames, whole and short, and applies them', async () => {
    const pair = await makePair('follow');
    const { etcd, ours, etcdId } = pair;
    etcd.start();
    const term = 50;
    const send = (...messages: Message[]): void => ours.transport.send(messages);
    const app = (index: number, logTerm: number, entries: Entry[], commit: number): Message =>
      new Message(MessageType.App, { from: ours.id, to: etcdId, term, logTerm, index, entries, commit });
    const answered = (type: MessageType): Message[] =>
      ours.handler.received
        .filter((r) => r.message.type === type && r.message.term === term)
        .map((r) => r.message);

    await until(() => ours.handler.received.length > 2, 'etcd to ask for votes over its streams');
    await until(() => {
      if (answered(MessageType.VoteResp).length > 0) return true;
      send(new Message(MessageType.Vote, { from: ours.id, to: etcdId, term, logTerm: 1, index: 2 }));
      return false;
    }, 'its vote');
    expect(answered(MessageType.VoteResp)[0]?.reject).toBe(false);

    const acked = (): number => Math.max(0, ...answered(MessageType.AppResp).map((m) => m.index));
    let last = 2;
    const append = (...data: Buffer[]): Message[] =>
      data.map((bytes) => {
        const index = last++;
        const entry = new Entry(term, index + 1, 0, bytes);
        return app(index, index === 2 ? 1 : term, [entry], acked());
      });
    // etcd serves clients only once its own proposal, to publish its name, has come back committed.
    ours.handler.onStep = ({ message }) => {
      if (message.type === MessageType.Prop) send(...append(...message.entries.map((entry) => entry.data)));
    };
    const beat = setInterval(() => {
      send(new Message(MessageType.Heartbeat, { from: ours.id, to: etcdId, term, commit: acked() }));
    }, 50);
    try {
      send(...append(EMPTY, putRequest(1, 'a', 'x')));
      await until(() => acked() >= 4, 'the first acknowledgement');
      const large = 'y'.repeat(120);
      const puts = Array.from({ length: 56 }, (_, i) => putRequest(i + 2, 'b', String(i + 5)));
      send(...append(...puts, putRequest(99, 'c', large)));
      const all = last;
      await until(() => acked() >= all, 'the last acknowledgement');
      const range = async (key: string): Promise<unknown> => {
        const { kvs } = await etcd.call('/v3/kv/range', { key: base64(key), serializable: true });
        return kvs;
      };
      let applied: unknown;
      for (let i = 0; i < 100 && applied === undefined; i++) applied = await range('c');
      expect(applied).toMatchObject([{ value: base64(large), version: '1' }]);
      expect(await range('a')).toMatchObject([{ value: base64('x') }]);
      expect(await range('b')).toMatchObject([{ value: base64('60'), version: '56' }]);
    } finally {
      clearInterval(beat);
    }
    expect(etcd.running).toBe(true);
    expect(etcd.log).not.toMatch(/panic|failed to parse type/);
  });

  interop('a snapshot from etcd: message, conf state and database file', async () => {
    const pair = await makePair('snapshot-in', ['--snapshot-count=10']);
    const { etcd, ours, etcdId } = pair;
    const follower = new Follower(pair);
    etcd.start();
    for (let i = 0; i < 30; i++) await etcd.call('/v3/kv/put', { key: base64(`k${i}`), value: base64('v') });
    await until(() => etcd.log.includes('saved snapshot'), 'a snapshot on its disk');
    await etcd.stop();
    follower.last = 0; // a follower that lost its disk
    follower.entries.clear();
    const parts: Buffer[] = [];
    let announced: number | undefined = -1;
    ours.handler.onSnapshot = async (_message, body, bytes) => {
      announced = bytes;
      for await (const chunk of body) parts.push(chunk);
    };
    etcd.start();
    await until(() => ours.handler.received.some((r) => r.message.type === MessageType.Snap), 'the snapshot');
    const message = ours.handler.received.find((r) => r.message.type === MessageType.Snap)?.message;
    expect(message?.snapshot?.index).toBeGreaterThan(10);
    expect([...(message?.snapshot?.confState.voters ?? [])]).toEqual(
      [etcdId, ours.id].sort((a, b) => (a < b ? -1 : 1)),
    );
    const file = Buffer.concat(parts);
    expect(announced).toBeUndefined();
    expect(file.readUInt32LE(16)).toBe(0xed0cdaed); // bbolt's magic in its first meta page
    expect(file.length % 4096).toBe(0);
    await etcd.call('/v3/kv/put', { key: base64('after'), value: base64('v') });
    expect([...follower.entries.values()].some((e) => e.data.includes('after'))).toBe(true);
    expect(ours.transport.counters(etcdId)).toMatchObject({
      snapshotsReceived: 1,
      snapshotsReceivedFailed: 0,
    });
  });

  interop('a snapshot to etcd is saved there, and a stale one changes nothing else', async () => {
    const pair = await makePair('snapshot-out');
    const { etcd, ours, etcdId } = pair;
    const follower = new Follower(pair);
    etcd.start();
    await etcd.call('/v3/kv/put', { key: base64('a'), value: base64('b') });
    const bytes = 3_000_000;
    const sum = createHash('sha1');
    const body = async function* (): AsyncGenerator<Buffer, void> {
      for (let at = 0; at < bytes; at += 100_000) {
        const chunk = Buffer.alloc(100_000, at / 100_000);
        sum.update(chunk);
        yield chunk;
      }
    };
    const confState = {
      voters: [ours.id, etcdId],
      learners: [],
      votersOutgoing: [],
      learnersNext: [],
      autoLeave: false,
    };
    const snapshot = new Snapshot(0xabc, 1, confState);
    ours.transport.sendSnapshot(
      new Message(MessageType.Snap, { from: ours.id, to: etcdId, term: 1, snapshot }),
      body(),
      bytes,
    );
    await until(() => ours.handler.snapshots.length === 1, 'the report');
    expect(ours.handler.snapshots).toEqual([{ id: etcdId, ok: true }]);
    const saved = await readFile(join(etcd.dataDir, 'member', 'snap', '0000000000000abc.snap.db'));
    expect(createHash('sha1').update(saved).digest('hex')).toBe(sum.digest('hex'));
    expect(etcd.running).toBe(true);
    expect(follower.last).toBeGreaterThan(3);
  });

  interop('another cluster id: etcd refuses us and we refuse etcd', async () => {
    const { etcd, ours, etcdId, ourLog } = await makePair('stranger', [], true);
    etcd.start();
    await until(() => ourLog.some((line) => line.includes('"error":"cluster ID mismatch"')), 'its refusal');
    await until(() => etcd.log.includes('cluster ID mismatch'), 'ours');
    expect(ours.handler.received).toEqual([]);
    expect(ours.transport.activeSince(etcdId)).toBeUndefined();
    expect(etcd.log).toContain(hexId(ours.id));
  });
});
