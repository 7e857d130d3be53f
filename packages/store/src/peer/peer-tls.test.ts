/** Members that speak TLS with each other: streams, posts, snapshots and requests, and those who are not let in. */
import type { IncomingMessage } from 'node:http';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { JsonLogger, systemClock, type Logger } from '@keelson/base';
import { Entry, Message, MessageType, Snapshot } from '@keelson/raft';
import { until } from '../../../base/test/until.ts';
import { introduceAll, startMember, type MemberOptions, type TestMember } from '../../test/peer/member.ts';
import { TestAuthority, tlsSettings, type Issued } from '../../test/tls-fixtures.ts';
import { TlsAcceptor } from '../tls/tls-acceptor.ts';
import { tlsDialer } from '../tls/tls-dialer.ts';
import type { TlsSettings } from '../tls/tls-settings.ts';
import { PeerAgent, peerRequest, type PeerTls } from './peer-tls.ts';

const authority = new TestAuthority();
const stranger = new TestAuthority('stranger');
afterAll(() => {
  authority.dispose();
  stranger.dispose();
});

const open: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.stop()));
});

/** Lines of a member's log. */
class Log {
  readonly lines: Record<string, unknown>[] = [];
  readonly logger: Logger = new JsonLogger(
    (line) => void this.lines.push(JSON.parse(line) as Record<string, unknown>),
    Date.now,
    'debug',
    'test',
  );

  errorsOf(message: string): unknown[] {
    return this.lines.filter(({ msg }) => msg === message).map(({ error }) => error);
  }
}

function tlsOf(pair: Issued, logger: Logger, given: Partial<TlsSettings> = {}): PeerTls {
  const settings = tlsSettings({
    certFile: pair.certFile,
    keyFile: pair.keyFile,
    trustedCaFile: authority.caFile,
    clientCertAuth: true,
    skipClientSanVerification: false,
    ...given,
  });
  const acceptor = new TlsAcceptor({
    settings,
    endpoint: 'peer',
    protocol: (offered) => (offered.includes('http/1.1') ? 'http/1.1' : undefined),
    clock: systemClock,
    logger,
  });
  return { acceptor, dial: tlsDialer(settings) };
}

async function member(options: MemberOptions): Promise<TestMember> {
  const started = await startMember(options);
  open.push(started.transport);
  return started;
}

const connected = (...members: TestMember[]): boolean =>
  members.every(({ transport }) => transport.connectedCount() === members.length - 1);

test('streams, posts and snapshots, both ways', async () => {
  const log = new Log();
  const members = await Promise.all(
    [1n, 2n, 3n].map((id) => member({ id, tls: tlsOf(authority.issue(`m${id}`), log.logger) })),
  );
  introduceAll(members);
  await until(() => connected(...members), 'all connected');
  const [a, b, c] = members;
  for (let index = 1; index <= 300; index++) {
    const entry = new Entry(1, index, 0, Buffer.alloc(index % 7 === 0 ? 100_000 : 50, index));
    for (const to of [2n, 3n]) {
      const fields = { from: 1n, to, term: 1, logTerm: 1, index: index - 1, entries: [entry], commit: 0 };
      a.transport.send([
        new Message(MessageType.App, fields),
        new Message(MessageType.Heartbeat, { from: 1n, to, term: 1, index, commit: 0 }),
      ]);
    }
  }
  const of = (one: TestMember, type: MessageType): Message[] =>
    one.handler.received.map(({ message }) => message).filter((message) => message.type === type);
  for (const one of [b, c]) {
    await until(() => of(one, MessageType.App).length >= 300, 'everything');
    expect(of(one, MessageType.App).map(({ index }) => index)).toEqual(
      Array.from({ length: 300 }, (_, i) => i),
    );
    expect(of(one, MessageType.App).every(({ entries }, i) => entries[0].data[0] === (i + 1) % 256)).toBe(
      true,
    );
  }
  const database = [Buffer.alloc(300_000, 1), Buffer.alloc(200_000, 2)];
  let saved = 0;
  b.handler.onSnapshot = async (_message, body) => {
    for await (const chunk of body) saved += chunk.length;
  };
  const conf = { voters: [1n, 2n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
  const snapshot = new Snapshot(9, 1, conf, Buffer.alloc(0));
  a.transport.sendSnapshot(
    new Message(MessageType.Snap, { from: 1n, to: 2n, term: 1, snapshot }),
    (async function* () {
      yield* database;
    })(),
    500_000,
  );
  await until(() => a.handler.snapshots.length > 0, 'the snapshot');
  expect(a.handler.snapshots).toEqual([{ id: 2n, ok: true }]);
  expect(saved).toBe(500_000);
  expect(log.errorsOf('rejected connection on peer endpoint')).toEqual([]);
});

describe('who is not let in', () => {
  const name = 'rejected connection on peer endpoint';
  const hour = 3_600_000;

  test.each<[string, () => Issued, Partial<TlsSettings>, string]>([
    [
      'signed by nobody we know',
      () => stranger.issue('other'),
      {},
      'tls: failed to verify certificate: x509: certificate signed by unknown authority',
    ],
    [
      'expired',
      () => authority.issue('old', { notAfterMs: Date.now() - hour / 2 }),
      {},
      'x509: certificate has expired',
    ],
    [
      'of another address',
      () => authority.issue('far', { ipAddresses: ['10.1.1.1'], dnsNames: [] }),
      {},
      'x509: certificate is valid for 10.1.1.1, not 127.0.0.1',
    ],
    [
      'of a name not allowed',
      () => authority.issue('some'),
      { allowedCns: ['m1', 'm2'] },
      'client certificate authentication failed',
    ],
  ])('%s', async (_name, issue, given, problem) => {
    const log = new Log();
    const other = new Log();
    const a = await member({
      id: 1n,
      tls: tlsOf(authority.issue('m1'), log.logger, given),
      logger: log.logger,
    });
    // It believes anybody; it is not believed.
    const theirs = tlsOf(issue(), other.logger, { selfSigned: true });
    const b = await member({ id: 2n, tls: theirs, logger: other.logger });
    introduceAll([a, b]);
    await until(() => log.errorsOf(name).length > 1, 'the refusal');
    expect(String(log.errorsOf(name)[0])).toContain(problem);
    expect(b.transport.activeSince(1n)).toBeUndefined();
    expect(a.transport.activeSince(2n)).toBeUndefined();
  });

  test('plain text at a port with TLS, and TLS at one without', async () => {
    const log = new Log();
    const other = new Log();
    const a = await member({ id: 1n, tls: tlsOf(authority.issue('m1'), log.logger), logger: log.logger });
    const b = await member({
      id: 2n,
      tls: { acceptor: undefined, dial: tlsOf(authority.issue('m2'), log.logger).dial },
      logger: other.logger,
    });
    a.transport.addPeer(2n, [b.url.replace('http:', 'https:')]);
    b.transport.addPeer(1n, [a.url.replace('https:', 'http:')]);
    await until(() => log.errorsOf(name).length > 0, 'the refusal');
    expect(log.errorsOf(name)[0]).toBe('tls: first record does not look like a TLS handshake');
    expect(a.transport.connectedCount() + b.transport.connectedCount()).toBe(0);
    // The right URLs are all it takes.
    a.transport.updatePeer(2n, [b.url]);
    b.transport.updatePeer(1n, [a.url]);
    await until(() => connected(a, b), 'both');
  });

  test('https without anything to dial it with is an error like any other', async () => {
    const log = new Log();
    const a = await member({ id: 1n, logger: log.logger });
    a.transport.addPeer(2n, ['https://127.0.0.1:1']);
    await until(() => log.lines.some(({ error }) => String(error).includes('plain HTTP only')), 'a failure');
  });

  test('a certificate that expired is renewed by replacing its files', async () => {
    const log = new Log();
    const a = await member({ id: 1n, tls: tlsOf(authority.issue('m1'), log.logger), logger: log.logger });
    const expired = authority.issue('renewed', { notAfterMs: Date.now() - hour / 2 });
    const b = await member({ id: 2n, tls: tlsOf(expired, log.logger), logger: log.logger });
    introduceAll([a, b]);
    await until(() => log.errorsOf(name).length > 0, 'the refusal');
    authority.issue('renewed');
    await until(() => connected(a, b), 'both');
  });
});

test('requests between members go to URLs of both schemes', async () => {
  const extraHandlers = new Map([
    ['/version', (_: IncomingMessage, response: { end(text: string): void }) => response.end('3')],
  ]);
  const log = new Log();
  const tls = tlsOf(authority.issue('m1'), log.logger);
  const secure = await member({ id: 1n, tls, extraHandlers });
  const plain = await member({ id: 2n, extraHandlers });
  const agent = new PeerAgent({ keepAlive: true }, tls.dial, systemClock);
  const unbelieving = new PeerAgent(
    {},
    tlsDialer(tlsSettings({ trustedCaFile: stranger.caFile })),
    systemClock,
  );
  const ask = (url: string, by: PeerAgent): Promise<string> =>
    new Promise((resolve) => {
      const request = peerRequest(new URL('/version', url), { agent: by }, (response) => {
        response.on('data', (bytes: Buffer) => resolve(bytes.toString()));
      });
      request.on('error', (error) => resolve(error.message));
      request.end();
    });
  expect(await ask(secure.url, agent)).toBe('3');
  expect(await ask(secure.url, agent)).toBe('3');
  expect(await ask(plain.url, agent)).toBe('3');
  expect(await ask(secure.url, unbelieving)).toContain('x509: certificate signed by unknown authority');
  const broken = new PeerAgent(
    {},
    () => {
      throw new Error('open key.pem: no such file or directory');
    },
    systemClock,
  );
  expect(await ask(secure.url, broken)).toBe('open key.pem: no such file or directory');
  for (const each of [agent, unbelieving, broken]) each.destroy();
});

test('requests come from the local address that was chosen', async () => {
  const extraHandlers = new Map([
    [
      '/version',
      ({ socket }: IncomingMessage, response: { end(text: string): void }) =>
        response.end(socket.remoteAddress ?? ''),
    ],
  ]);
  // A member looks where a peer comes from, and whether its certificate says so.
  const tls = tlsOf(authority.issue('m1', { ipAddresses: ['127.0.0.1', '127.0.0.5'] }), new Log().logger);
  const agent = new PeerAgent({ localAddress: '127.0.0.5' }, tls.dial, systemClock);
  const members = [await member({ id: 1n, tls, extraHandlers }), await member({ id: 2n, extraHandlers })];
  for (const { url } of members) {
    const from = await new Promise((resolve, reject) => {
      const request = peerRequest(new URL('/version', url), { agent }, (response) => {
        response.on('data', (bytes: Buffer) => resolve(bytes.toString()));
      });
      request.on('error', reject);
      request.end();
    });
    expect(from).toBe('127.0.0.5');
  }
  agent.destroy();
});
