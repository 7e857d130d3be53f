/**
 * One member of a real etcd and one of ours, each with the same TLS flags: who is let in, what the log says of who
 * is not, certificates that are renewed and revoked, what keeps a member from starting. Certificates are made here.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { TestAuthority, type Issued } from '../../packages/store/test/tls-fixtures.ts';
import { ETCDCTL, KEELSON_ETCD, KEELSON_FLAGS, missingServer, REFERENCE_ETCD } from '../harness/binaries.ts';
import { etcdctl } from '../harness/etcdctl.ts';
import { MemberProcess } from '../harness/member-process.ts';
import { freePorts } from '../../packages/base/test/free-ports.ts';

const missing =
  ETCDCTL === undefined || REFERENCE_ETCD === undefined
    ? 'etcd and etcdctl are not installed (Debian: etcd-server, etcd-client)'
    : missingServer();

const HOUR_MS = 3_600_000;
/** etcdctl tries again while it has time: nobody waits long for a connection that must be refused. */
const BRIEF = ['--dial-timeout=700ms', '--command-timeout=700ms'];
const PATIENT = ['--dial-timeout=10s', '--command-timeout=10s'];

/** The error of a log line, ours or that of 3.4. */
function refusalIn(line: string): string {
  if (line.startsWith('{')) return String((JSON.parse(line) as { error: unknown }).error);
  const quoted = /\(error ("(?:[^"\\]|\\.)*")/.exec(line)?.[1];
  return quoted === undefined ? line : String(JSON.parse(quoted));
}

/** Both servers by name. */
interface Pair {
  readonly etcd: MemberProcess;
  readonly keelson: MemberProcess;
}

function defineTests(reference: string, ctl: string): void {
  let home: string;
  let authority: TestAuthority;
  let stranger: TestAuthority;
  let server: Issued;
  let client: Issued;
  const running: MemberProcess[] = [];

  beforeAll(() => {
    home = mkdtempSync(path.join(tmpdir(), 'keelson-tls-e2e-'));
    authority = new TestAuthority();
    stranger = new TestAuthority('stranger');
    server = authority.issue('server');
    client = authority.issue('client');
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((member) => member.kill()));
  });
  afterAll(() => {
    authority.dispose();
    stranger.dispose();
    rmSync(home, { recursive: true, force: true });
  });

  const serving = (): string[] => [
    `--cert-file=${server.certFile}`,
    `--key-file=${server.keyFile}`,
    `--trusted-ca-file=${authority.caFile}`,
    '--client-cert-auth',
  ];
  const between = (): string[] => [
    `--peer-cert-file=${server.certFile}`,
    `--peer-key-file=${server.keyFile}`,
    `--peer-trusted-ca-file=${authority.caFile}`,
  ];
  let count = 0;
  const prepare = async (binary: string, flags: readonly string[]): Promise<MemberProcess> => {
    const [clientPort, peerPort] = await freePorts(2);
    const member = new MemberProcess({
      name: 'm1',
      binary,
      clientPort,
      peerPort,
      home: path.join(home, `${count++}`),
      secure: true,
      flags: [
        `--initial-cluster=m1=https://127.0.0.1:${peerPort}`,
        ...(binary === reference ? [] : KEELSON_FLAGS),
        ...flags,
      ],
    });
    running.push(member);
    return member;
  };
  const both = async (
    flags: (port: number) => readonly string[] = () => [...serving(), ...between()],
  ): Promise<Pair> => {
    const start = async (binary: string): Promise<MemberProcess> => {
      const member = await prepare(binary, []);
      // The port is part of some flags.
      const whole = new MemberProcess({
        ...member.options,
        flags: [...member.options.flags, ...flags(member.options.clientPort)],
      });
      running.push(whole);
      whole.start();
      await whole.ready();
      return whole;
    };
    const [etcd, keelson] = await Promise.all([start(reference), start(KEELSON_ETCD)]);
    return { etcd, keelson };
  };
  const each = ({ etcd, keelson }: Pair): [string, MemberProcess][] => [
    ['etcd', etcd],
    ['keelson', keelson],
  ];

  const put = async (member: MemberProcess, scheme: string, flags: readonly string[]): Promise<boolean> => {
    const options = { binary: ctl, endpoints: [`${scheme}${member.address}`] };
    return (await etcdctl(['put', 'a', 'b', ...flags], options)).stdout === 'OK\n';
  };
  /** A put is taken. */
  const served = (member: MemberProcess, scheme: string, ...flags: string[]): Promise<boolean> =>
    put(member, scheme, [...PATIENT, ...flags]);
  const refused = async (member: MemberProcess, scheme: string, ...flags: string[]): Promise<boolean> =>
    !(await put(member, scheme, [...BRIEF, ...flags]));
  const as = (pair?: Issued): string[] => [
    `--cacert=${authority.caFile}`,
    ...(pair === undefined ? [] : [`--cert=${pair.certFile}`, `--key=${pair.keyFile}`]),
  ];

  /** Errors of refused connections, in Go's words; what its versions put before and behind is left out. */
  const refusals = (member: MemberProcess): string[] => {
    const errors = member
      .log()
      .split('\n')
      .filter((line) => line.includes('rejected connection'))
      .map(refusalIn);
    return [...new Set(errors)].map((error) =>
      error
        .replace(/^tls: failed to verify (?:client )?certificate: /, '')
        .replace(/(not yet valid): .*/, '$1')
        .replace(/serial [0-9a-f]+/, 'serial <hex>'),
    );
  };

  test('who is let in, and what is said of who is not', async () => {
    const revoked = authority.issue('revoked');
    const strangers: [string, string, string[], string][] = [
      ['nobody', 'https://', as(), "tls: client didn't provide a certificate"],
      [
        'of another authority',
        'https://',
        as(stranger.issue('foreign')),
        'x509: certificate signed by unknown authority',
      ],
      [
        'expired',
        'https://',
        as(authority.issue('old', { notAfterMs: Date.now() - HOUR_MS / 2 })),
        'x509: certificate has expired or is not yet valid',
      ],
      [
        'for servers only',
        'https://',
        as(authority.issue('wrong', { usages: ['server'] })),
        'x509: certificate specifies an incompatible key usage',
      ],
      [
        'for another host',
        'https://',
        as(authority.issue('other', { dnsNames: ['elsewhere'], ipAddresses: [] })),
        'client certificate authentication failed',
      ],
      ['revoked', 'https://', as(revoked), 'transport: certificate serial <hex> revoked'],
      ['plain text', 'http://', [], 'tls: first record does not look like a TLS handshake'],
    ];
    const pair = await both(() => [
      ...serving(),
      ...between(),
      `--client-crl-file=${authority.revoke(revoked)}`,
      '--client-cert-allowed-hostname=localhost',
    ]);
    for (const [name, member] of each(pair)) {
      expect([name, await served(member, 'https://', ...as(client))]).toEqual([name, true]);
      for (const [who, scheme, flags] of strangers)
        expect([name, who, await refused(member, scheme, ...flags)]).toEqual([name, who, true]);
      expect(refusals(member)).toEqual(expect.arrayContaining(strangers.map(([, , , text]) => text)));
    }
  });

  test('a certificate is renewed by replacing its files, and a new list of the revoked is heeded', async () => {
    const renewed = authority.issue('renewed');
    const crl = path.join(home, 'changing.crl');
    const second = authority.issue('second');
    writeFileSync(crl, readFileSync(authority.revoke()));
    const pair = await both(() => [
      `--cert-file=${renewed.certFile}`,
      `--key-file=${renewed.keyFile}`,
      `--trusted-ca-file=${authority.caFile}`,
      `--client-crl-file=${crl}`,
      ...between(),
    ]);
    const shown = async (member: MemberProcess): Promise<string> => {
      const socket: TLSSocket = connect({
        port: member.options.clientPort,
        host: '127.0.0.1',
        ca: authority.certified.certificate,
        cert: client.certificate,
        key: client.key,
      });
      await once(socket, 'secureConnect');
      const serial = socket.getPeerX509Certificate()?.serialNumber ?? '';
      socket.destroy();
      return serial;
    };
    const before = await Promise.all(each(pair).map(([, member]) => shown(member)));
    for (const [, member] of each(pair)) expect(await served(member, 'https://', ...as(second))).toBe(true);
    authority.issue('renewed');
    writeFileSync(crl, readFileSync(authority.revoke(second)));
    const after = await Promise.all(each(pair).map(([, member]) => shown(member)));
    expect(before[0]).toBe(before[1]);
    expect(after[0]).toBe(after[1]);
    expect(after[0]).not.toBe(before[0]);
    for (const [, member] of each(pair)) expect(await refused(member, 'https://', ...as(second))).toBe(true);
  });

  test('http and https on one port', async () => {
    // Debian's 3.4 serves plain text there at one start and not at the next: only ours is asked.
    const { keelson } = await both((port) => [
      ...serving(),
      ...between(),
      `--listen-client-urls=http://127.0.0.1:${port},https://127.0.0.1:${port}`,
    ]);
    expect(await served(keelson, 'https://', ...as(client))).toBe(true);
    expect(await served(keelson, 'http://')).toBe(true);
    expect(await refused(keelson, 'https://', ...as())).toBe(true);
  });

  test('certificates made at the start', async () => {
    const pair = await both(() => ['--auto-tls', '--peer-auto-tls']);
    for (const [, member] of each(pair)) {
      const believing = ['--insecure-transport=false', '--insecure-skip-tls-verify'];
      expect(await served(member, 'https://', ...believing)).toBe(true);
      expect(await refused(member, 'https://')).toBe(true);
      for (const who of ['client', 'peer']) {
        const key = path.join(member.dataDir, 'fixtures', who, 'key.pem');
        expect(statSync(key).mode & 0o777).toBe(0o600);
      }
      // It is found again.
      await member.stop();
      member.start();
      await member.ready();
      expect(await served(member, 'https://', ...believing)).toBe(true);
    }
  });

  const curl = spawnSync('curl', ['--version']).error === undefined ? test : test.skip;
  curl('the gateway over TLS (curl)', async () => {
    const pair = await both();
    const answers = each(pair).map(([, member]) => {
      const ask = (where: string, body: string): string =>
        spawnSync(
          'curl',
          [
            '-sS',
            '--max-time',
            '10',
            '--cacert',
            authority.caFile,
            '--cert',
            client.certFile,
            '--key',
            client.keyFile,
            '-d',
            body,
            `${member.clientUrl}/v3/kv/${where}`,
          ],
          { encoding: 'utf8' },
        ).stdout;
      return [
        ask('put', '{"key":"Zm9v","value":"YmFy"}'),
        ask('range', '{"key":"Zm9v"}'),
        ask('range', '{"key":""}'),
      ].map((text) => text.replaceAll(/"(cluster_id|member_id)":"\d+"/g, '"$1":"<id>"').trim());
    });
    expect(answers[1].slice(0, 2)).toEqual(answers[0].slice(0, 2));
    expect(answers[1][2]).toContain('etcdserver: key is not provided');
  });

  describe('does not start', () => {
    test.each<[string, () => string[], () => string]>([
      [
        'with a certificate without key',
        () => [`--cert-file=${server.certFile}`, ...between()],
        () => `KeyFile and CertFile must both be present[key: , cert: ${server.certFile}]`,
      ],
      [
        'with files that are not there',
        () => ['--cert-file=/none.pem', '--key-file=/none.key', ...between()],
        () => 'open /none.pem: no such file or directory',
      ],
      [
        'with a key of another certificate',
        () => [`--cert-file=${server.certFile}`, `--key-file=${client.keyFile}`, ...between()],
        () => 'tls: private key does not match public key',
      ],
      [
        'with an authority that is not there',
        () => [...serving(), ...between(), '--trusted-ca-file=/none.pem'],
        () => 'open /none.pem: no such file or directory',
      ],
      ['without a certificate for peers', () => serving(), () => 'KeyFile and CertFile are not presented'],
      [
        'without a certificate for clients',
        () => between(),
        () => 'TLS key/cert (--cert-file, --key-file) must be provided for client url https://127.0.0.1:',
      ],
      [
        'with a cipher nobody knows',
        () => [...serving(), ...between(), '--cipher-suites=NONE'],
        () => 'unexpected TLS cipher suite \\"NONE\\"',
      ],
    ])('%s', async (_name, flags, text) => {
      const member = await prepare(KEELSON_ETCD, flags());
      member.start();
      await member.exited();
      expect(member.exitCode).toBe(1);
      expect(member.log()).toContain(text());
      expect(member.log()).not.toContain('ready to serve client requests');
    });
  });
}

if (missing === undefined) {
  describe('TLS of a real etcd and of ours', () => defineTests(REFERENCE_ETCD!, ETCDCTL!));
} else {
  test.skip(`TLS of a real etcd and of ours: ${missing}`, () => {});
}
