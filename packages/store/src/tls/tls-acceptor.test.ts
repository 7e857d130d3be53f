/**
 * Both ends of TLS as a member has them: the acceptor on a real port, and clients that are and are not who they
 * should be. What a client is told and what the log says.
 */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { JsonLogger, systemClock } from '@keelson/base';
import { TlsError, dialErrorText, dialTls, verifiedCertificate, type DialTls } from '@keelson/rpc';
import { TestAuthority, tlsSettings, type Issued } from '../../test/tls-fixtures.ts';
import { makeRevocationList } from './certificate.ts';
import { TlsAcceptor, type TlsAcceptorOptions } from './tls-acceptor.ts';
import { tlsDialer } from './tls-dialer.ts';
import type { TlsSettings } from './tls-settings.ts';

const HOUR_MS = 3_600_000;
const authority = new TestAuthority('good authority');
const stranger = new TestAuthority('other authority');
const server = authority.issue('server');
const client = authority.issue('client', { usages: ['client'] });

afterAll(() => {
  authority.dispose();
  stranger.dispose();
});

/** A port behind an acceptor, what it let through and what it logged. */
class Port {
  readonly lines: Record<string, unknown>[] = [];
  readonly served: TLSSocket[] = [];
  private readonly listener: Server;
  private readonly acceptor: TlsAcceptor;
  private readonly sockets = new Set<Socket>();
  private wake: () => void = () => {};

  private constructor(settings: TlsSettings, options: Partial<TlsAcceptorOptions>) {
    const logger = new JsonLogger(
      (line) => {
        this.lines.push(JSON.parse(line) as Record<string, unknown>);
        this.wake();
      },
      Date.now,
      'debug',
      'test',
    );
    this.acceptor = new TlsAcceptor({
      settings,
      endpoint: 'client',
      protocol: (offered) => (offered.includes('h2') ? 'h2' : undefined),
      clock: systemClock,
      logger,
      ...options,
    });
    this.listener = createServer((socket) => {
      this.sockets.add(socket);
      this.acceptor.accept(socket, undefined, (tls) => {
        this.served.push(tls);
        tls.on('error', () => {});
        tls.write('hello');
        this.wake();
      });
    });
  }

  static async open(settings: TlsSettings, options: Partial<TlsAcceptorOptions> = {}): Promise<Port> {
    const port = new Port(settings, options);
    port.listener.listen(0, '127.0.0.1');
    await once(port.listener, 'listening');
    open.push(port);
    return port;
  }

  get number(): number {
    return (this.listener.address() as AddressInfo).port;
  }

  /** The first line of this message that is or will be logged. */
  async line(message: string): Promise<Record<string, unknown>> {
    for (;;) {
      const found = this.lines.find(({ msg }) => msg === message);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  async close(): Promise<void> {
    this.acceptor.close();
    for (const socket of this.sockets) socket.destroy();
    this.listener.close();
    await once(this.listener, 'close');
  }
}

const open: Port[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((port) => port.close()));
});

const mutual = (given: Partial<TlsSettings> = {}): TlsSettings =>
  tlsSettings({
    certFile: server.certFile,
    keyFile: server.keyFile,
    trustedCaFile: authority.caFile,
    ...given,
  });

const dialer = (pair?: Issued, given: Partial<TlsSettings> = {}): DialTls =>
  tlsDialer(
    tlsSettings({
      trustedCaFile: authority.caFile,
      ...(pair === undefined ? {} : { certFile: pair.certFile, keyFile: pair.keyFile }),
      ...given,
    }),
  );

/** Dials: "hello", or why not. A connection that ends without a word is "closed". */
async function greet(port: Port, tls: DialTls, host = '127.0.0.1'): Promise<string> {
  const socket = dialTls({ host, port: port.number }, tls, ['h2'], () => Date.now());
  return new Promise((resolve) => {
    socket.on('data', (bytes: Buffer) => {
      resolve(bytes.toString());
      socket.destroy();
    });
    socket.on('error', (error) => {
      resolve(error instanceof TlsError ? error.message : dialErrorText(error));
    });
    socket.on('close', () => resolve('closed'));
  });
}

const REJECTED = 'rejected connection on client endpoint';

describe('who is let in', () => {
  test('a client whose certificate the authority signed; its name is known', async () => {
    const port = await Port.open(mutual());
    expect(await greet(port, dialer(client))).toBe('hello');
    expect(port.served.map((socket) => verifiedCertificate(socket)?.commonName)).toEqual(['client']);
    expect(port.served[0].alpnProtocol).toBe('h2');
    expect(port.lines).toEqual([]);
  });

  test('without an authority nobody is asked, and nobody has a name', async () => {
    const port = await Port.open(mutual({ trustedCaFile: '' }));
    expect(await greet(port, dialer(client))).toBe('hello');
    expect(verifiedCertificate(port.served[0])).toBeUndefined();
  });

  const expired = authority.issue('expired', { notAfterMs: Date.now() - 60_000 });
  const early = authority.issue('early', { notBeforeMs: Date.now() + HOUR_MS / 2 });
  const foreign = stranger.issue('foreign');
  const serverOnly = authority.issue('server-only', { usages: ['server'] });
  const revoked = authority.issue('revoked');
  const crl = authority.revoke(revoked);
  const unreadable = `${authority.directory}/no-such.crl`;

  test.each<[string, Issued | undefined, Partial<TlsSettings>, string]>([
    ['no certificate', undefined, {}, "tls: client didn't provide a certificate"],
    [
      'another authority',
      foreign,
      {},
      'tls: failed to verify certificate: x509: certificate signed by unknown authority',
    ],
    [
      'expired',
      expired,
      {},
      'tls: failed to verify certificate: x509: certificate has expired or is not yet valid',
    ],
    [
      'not yet valid',
      early,
      {},
      'tls: failed to verify certificate: x509: certificate has expired or is not yet valid',
    ],
    [
      'for servers only',
      serverOnly,
      {},
      'tls: failed to verify certificate: x509: certificate specifies an incompatible key usage',
    ],
    [
      'a common name not allowed',
      client,
      { allowedCns: ['root', 'Client'] },
      'client certificate authentication failed',
    ],
    [
      'a host name not allowed',
      client,
      { allowedHostnames: ['etcd.example'] },
      'client certificate authentication failed',
    ],
    ['revoked', revoked, { crlFile: crl }, 'transport: certificate serial '],
    [
      'a list of the revoked that is gone',
      client,
      { crlFile: unreadable },
      `open ${unreadable}: no such file or directory`,
    ],
    ['a list of the revoked that is none', client, { crlFile: server.certFile }, 'x509: malformed crl'],
  ])('not: %s', async (_name, pair, given, text) => {
    const port = await Port.open(mutual(given));
    const answer = await greet(port, dialer(pair));
    expect(answer).not.toBe('hello');
    if (pair === undefined) expect(answer).toBe('remote error: tls: certificate required');
    const line = await port.line(REJECTED);
    expect(line['error']).toContain(text);
    expect(line['remote-addr']).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(line['level']).toBe('warn');
    expect(port.served).toEqual([]);
  });

  test.each<[string, Issued, Partial<TlsSettings>]>([
    ['an allowed common name', client, { allowedCns: ['root', 'client'] }],
    ['an allowed host name', client, { allowedHostnames: ['LOCALHOST'] }],
    ['not in the list of the revoked', client, { crlFile: crl }],
  ])('yes: %s', async (_name, pair, given) => {
    const port = await Port.open(mutual(given));
    expect(await greet(port, dialer(pair))).toBe('hello');
  });

  test('a list of the revoked is read for each connection', async () => {
    const file = `${authority.directory}/changing.crl`;
    writeFileSync(file, '');
    const port = await Port.open(mutual({ crlFile: file }));
    writeFileSync(file, makeRevocationList(authority.certified, [], Date.now(), Date.now() + HOUR_MS));
    expect(await greet(port, dialer(client))).toBe('hello');
    const certificates = [new X509Certificate(client.certificate)];
    writeFileSync(
      file,
      makeRevocationList(authority.certified, certificates, Date.now(), Date.now() + HOUR_MS),
    );
    expect(await greet(port, dialer(client))).not.toBe('hello');
  });
});

describe('names of a peer', () => {
  const peer = (given: Partial<TlsSettings> = {}): TlsSettings =>
    mutual({ skipClientSanVerification: false, ...given });
  const nowhere = {
    reverse: () => Promise.reject(new Error('lookup 1.0.0.127.in-addr.arpa: no such host')),
    lookup: () => Promise.resolve(['10.0.0.9']),
  };

  test.each<[string, readonly string[], readonly string[], string | undefined]>([
    ['its address', [], ['127.0.0.1'], undefined],
    ['no name at all', [], [], undefined],
    ['another address', [], ['10.0.0.1'], 'x509: certificate is valid for 10.0.0.1, not 127.0.0.1'],
    [
      'a name that resolves elsewhere',
      ['m1.example'],
      [],
      'tls: "127.0.0.1" does not match any of DNSNames ["m1.example"] (lookup 1.0.0.127.in-addr.arpa: no such host)',
    ],
  ])('%s', async (name, dnsNames, ipAddresses, problem) => {
    const pair = authority.issue(`peer ${name}`, { dnsNames, ipAddresses });
    const port = await Port.open(peer(), { endpoint: 'peer', resolver: nowhere });
    const answer = await greet(port, dialer(pair));
    if (problem === undefined) {
      expect(answer).toBe('hello');
      return;
    }
    const line = await port.line('rejected connection on peer endpoint');
    expect(line).toMatchObject({ error: problem, 'ip-addresses': ipAddresses, 'dns-names': dnsNames });
    const lax = await Port.open(peer({ skipClientSanVerification: true }), {
      endpoint: 'peer',
      resolver: nowhere,
    });
    expect(await greet(lax, dialer(pair))).toBe('hello');
  });

  test.each([
    ['whose name resolves to it', { ...nowhere, lookup: () => Promise.resolve(['127.0.0.1']) }],
    ['whose address has its name', { ...nowhere, reverse: () => Promise.resolve(['m1.example.']) }],
    [
      'whose address has a name below its own',
      { ...nowhere, reverse: () => Promise.resolve(['a.wild.example']) },
    ],
  ])('a peer %s', async (_name, resolver) => {
    const pair = authority.issue('named peer', {
      dnsNames: ['m1.example', '*.wild.example'],
      ipAddresses: [],
    });
    const port = await Port.open(peer(), { endpoint: 'peer', resolver });
    expect(await greet(port, dialer(pair))).toBe('hello');
  });
});

describe('who we connect to', () => {
  test.each<[string, Issued, Partial<TlsSettings>, string]>([
    ['of another authority', stranger.issue('a'), {}, 'x509: certificate signed by unknown authority'],
    [
      'signed by itself',
      authority.issue('b'),
      { trustedCaFile: stranger.caFile },
      'x509: certificate signed by unknown authority',
    ],
    [
      'expired',
      authority.issue('c', { notAfterMs: Date.now() - 60_000 }),
      {},
      'x509: certificate has expired or is not yet valid: current time ',
    ],
    [
      'for another address',
      authority.issue('d', { ipAddresses: ['10.0.0.1'] }),
      {},
      'x509: certificate is valid for 10.0.0.1, not 127.0.0.1',
    ],
    [
      'for names only',
      authority.issue('e', { ipAddresses: [] }),
      {},
      "x509: cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs",
    ],
    [
      'for clients only',
      authority.issue('f', { usages: ['client'] }),
      {},
      'x509: certificate specifies an incompatible key usage',
    ],
  ])('not: %s', async (_name, pair, given, text) => {
    const port = await Port.open(mutual({ certFile: pair.certFile, keyFile: pair.keyFile }));
    expect(await greet(port, dialer(client, given))).toContain(`tls: failed to verify certificate: ${text}`);
  });

  test('a name counts by alternative names alone', async () => {
    const named = authority.issue('localhost', { dnsNames: [], ipAddresses: [] });
    const port = await Port.open(mutual({ certFile: named.certFile, keyFile: named.keyFile }));
    expect(await greet(port, dialer(client), 'localhost')).toContain(
      'x509: certificate relies on legacy Common Name field, use SANs instead',
    );
    const good = await Port.open(mutual());
    expect(await greet(good, dialer(client), 'localhost')).toBe('hello');
  });

  test('a certificate that the member made for itself is believed by its like', async () => {
    const port = await Port.open(mutual({ trustedCaFile: '' }));
    const own = stranger.issue('self');
    expect(await greet(port, dialer(own, { selfSigned: true, trustedCaFile: '' }))).toBe('hello');
    expect(await greet(port, dialer(own, { trustedCaFile: stranger.caFile }))).not.toBe('hello');
  });
});

describe('files that change', () => {
  test('a certificate is renewed by replacing its files', async () => {
    const files = authority.issue('renewed');
    const port = await Port.open(mutual({ certFile: files.certFile, keyFile: files.keyFile }));
    const shown = async (): Promise<string> => {
      const socket = connectTls({
        port: port.number,
        host: '127.0.0.1',
        ca: authority.certified.certificate,
        cert: client.certificate,
        key: client.key,
      });
      await once(socket, 'secureConnect');
      const name = socket.getPeerX509Certificate()?.serialNumber ?? '';
      socket.destroy();
      return name;
    };
    const first = await shown();
    expect(await shown()).toBe(first);
    authority.issue('renewed');
    expect(await shown()).not.toBe(first);
    // A client's own pair too.
    const mine = authority.issue('mine');
    const tls = dialer(mine);
    expect(await greet(port, tls)).toBe('hello');
    stranger.issue('mine');
    authority.write('mine', stranger.issue('mine'));
    expect(await greet(port, tls)).not.toBe('hello');
    authority.issue('mine');
    expect(await greet(port, tls)).toBe('hello');
  });

  test.each<[string, (files: Issued) => void, string, (files: Issued) => string]>([
    [
      'gone',
      (files) => rmSync(files.keyFile),
      'failed to find peer cert files',
      (files) => `open ${files.keyFile}: no such file or directory`,
    ],
    [
      'of two certificates',
      (files) => writeFileSync(files.keyFile, server.key),
      'failed to create peer certificate',
      () => 'tls: private key does not match public key',
    ],
    [
      'half written',
      (files) => writeFileSync(files.certFile, ''),
      'failed to create peer certificate',
      () => 'tls: failed to find any PEM data in certificate input',
    ],
  ])('a pair that is %s fails handshakes until it is whole', async (_name, harm, message, text) => {
    const files = authority.issue('harmed');
    const port = await Port.open(mutual({ certFile: files.certFile, keyFile: files.keyFile }));
    expect(await greet(port, dialer(client))).toBe('hello');
    harm(files);
    expect(await greet(port, dialer(client))).not.toBe('hello');
    expect(await port.line(message)).toMatchObject({ 'cert-file': files.certFile, error: text(files) });
    expect(await port.line(REJECTED)).toMatchObject({ error: text(files) });
    authority.write('harmed', files);
    expect(await greet(port, dialer(client))).toBe('hello');
  });
});

describe('handshakes', () => {
  const say = async (port: Port, bytes: string | Buffer): Promise<void> => {
    const socket = connect(port.number, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(bytes);
    socket.resume();
    await once(socket, 'close');
  };

  test.each<[string, string | Buffer]>([
    ['HTTP/1.1', 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['anything', Buffer.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])],
  ])('%s without TLS', async (_name, bytes) => {
    const port = await Port.open(mutual());
    await say(port, bytes);
    expect(await port.line(REJECTED)).toMatchObject({
      error: 'tls: first record does not look like a TLS handshake',
    });
  });

  test('who connects and leaves is no reason for a warning', async () => {
    const port = await Port.open(mutual());
    const socket = connect(port.number, '127.0.0.1');
    await once(socket, 'connect');
    socket.destroy();
    expect(await port.line(REJECTED)).toMatchObject({ level: 'debug', error: 'EOF' });
  });

  test('who is too slow is closed', async () => {
    const port = await Port.open(mutual(), { handshakeTimeoutMs: 20 });
    await say(port, Buffer.from([22, 3, 1]));
    expect(await port.line(REJECTED)).toMatchObject({ error: 'context deadline exceeded' });
    expect(await greet(port, dialer(client))).toBe('hello');
  });

  test('a protocol nobody serves is refused; to offer none is not', async () => {
    const port = await Port.open(mutual());
    const dial = (protocols: string[] | undefined): TLSSocket =>
      connectTls({
        port: port.number,
        host: '127.0.0.1',
        ca: authority.certified.certificate,
        cert: client.certificate,
        key: client.key,
        ...(protocols === undefined ? {} : { ALPNProtocols: protocols }),
      });
    const refused = dial(['spdy/3']);
    const [error] = (await once(refused, 'error')) as [Error];
    expect(dialErrorText(error)).toBe('remote error: tls: no application protocol');
    const silent = dial(undefined);
    await once(silent, 'secureConnect');
    expect(silent.alpnProtocol).toBe(false);
    silent.destroy();
  });

  test.each<[string, Partial<TlsSettings>, Partial<TlsSettings>, string]>([
    [
      'too old',
      { minVersion: 'TLSv1.3' },
      { maxVersion: 'TLSv1.2' },
      'remote error: tls: protocol version not supported',
    ],
    [
      'no cipher in common',
      { ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384:TLS_AES_128_GCM_SHA256', maxVersion: 'TLSv1.2' },
      { ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256', maxVersion: 'TLSv1.2' },
      'remote error: tls: handshake failure',
    ],
  ])('%s', async (_name, ours, theirs, text) => {
    const port = await Port.open(mutual(ours));
    expect(await greet(port, dialer(client, theirs))).toBe(text);
    expect(await port.line(REJECTED)).toMatchObject({ level: 'warn' });
  });

  test('closing ends what is in its handshake', async () => {
    const port = await Port.open(mutual());
    const socket = connect(port.number, '127.0.0.1');
    socket.on('error', () => {});
    await once(socket, 'connect');
    const gone = once(socket, 'close');
    socket.resume();
    await open.pop()?.close();
    await gone;
    expect(port.lines).toEqual([]);
  });
});
