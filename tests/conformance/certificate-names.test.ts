/**
 * One member of a real etcd and one of ours, which know their clients by the common names of their certificates
 * (--client-cert-auth): the same commands and calls by the same certificates, and equal answers.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { etcdserverpb as pb, services, v3electionpb, v3lockpb, type AnyMethod } from '@keelson/proto';
import { KeyPairFiles, nativeChannel, readAuthorities, RpcError, type MethodDescriptor } from '@keelson/rpc';
import { TestAuthority, type Issued } from '../../packages/store/test/tls-fixtures.ts';
import { ETCDCTL, KEELSON_ETCD, KEELSON_FLAGS, missingServer, REFERENCE_ETCD } from '../harness/binaries.ts';
import { etcdctl } from '../harness/etcdctl.ts';
import { MemberProcess } from '../harness/member-process.ts';
import { freePorts } from '../../packages/base/test/free-ports.ts';

const missing =
  ETCDCTL === undefined || REFERENCE_ETCD === undefined
    ? 'etcd and etcdctl are not installed (Debian: etcd-server, etcd-client)'
    : missingServer();

/** Who asks; the last two are no users. */
type Caller = 'root' | 'anna' | 'carl' | 'nameless';

/** Before auth is on, and the last one after it. */
const PREPARATION: readonly string[] = [
  'user add root --no-password',
  'user grant-role root root',
  'role add app',
  'role grant-permission app readwrite --prefix=true k/',
  'user add anna --no-password',
  'user grant-role anna app',
  'user add pete:pw',
  'user grant-role pete app',
  'auth enable',
];

const COMMANDS: readonly (readonly [Caller, string])[] = [
  ['root', 'put x 1'],
  ['root', 'user list'],
  ['root', 'role get app'],
  ['anna', 'put k/1 one'],
  ['anna', 'get --prefix k/'],
  ['anna', 'put x 2'],
  ['anna', 'get --prefix --from-key k/'],
  ['anna', 'user get anna'],
  ['anna', 'user get root'],
  ['anna', 'role list'],
  ['anna', 'auth disable'],
  ['anna', 'member add m9 --peer-urls=http://127.0.0.1:9'],
  ['carl', 'put k/1 two'],
  ['carl', 'get k/1'],
  ['carl', 'user get carl'],
  ['carl', 'lease grant 60'],
  ['nameless', 'put k/1 three'],
  ['nameless', 'get k/1'],
  // A token comes before a certificate.
  ['root', 'put x 3 --user=pete:pw'],
  ['root', 'put k/2 two --user=pete:pw'],
  ['carl', 'get k/2 --user=pete:pw'],
  // Without a password nobody logs in by one.
  ['anna', 'get k/1 --user=anna:'],
  ['root', 'get k/1 --user=anna:x'],
  ['anna', 'user passwd anna --interactive=false'],
  ['root', 'get k/1 --user=anna:pw'],
  // What is revoked is revoked at once, what is granted granted.
  ['root', 'user revoke-role anna app'],
  ['anna', 'get k/1'],
  ['root', 'user grant-role anna app'],
  ['anna', 'get k/1'],
  ['root', 'user delete anna'],
  ['anna', 'get k/1'],
  ['root', 'user add anna --no-password'],
  ['root', 'user grant-role anna app'],
  ['anna', 'get k/1'],
];

const bytes = (text: string): Buffer => Buffer.from(text);

/** Recipes and names; each caller has a session of its own. */
const CALLS: readonly (readonly [string, AnyMethod, (lease: bigint) => object])[] = [
  [
    "a lock of one's own",
    services.Lock.methods.lock,
    (lease) => new v3lockpb.LockRequest({ name: bytes('k/lock'), lease }),
  ],
  [
    'its end',
    services.Lock.methods.unlock,
    (lease) => new v3lockpb.UnlockRequest({ key: bytes(`k/lock/${lease.toString(16)}`) }),
  ],
  [
    'a lock of others',
    services.Lock.methods.lock,
    (lease) => new v3lockpb.LockRequest({ name: bytes('x'), lease }),
  ],
  [
    'the leader',
    services.Election.methods.leader,
    () => new v3electionpb.LeaderRequest({ name: bytes('k') }),
  ],
  [
    'a campaign',
    services.Election.methods.campaign,
    (lease) => new v3electionpb.CampaignRequest({ name: bytes(`k/e${lease}`), lease }),
  ],
  [
    'a campaign of others',
    services.Election.methods.campaign,
    (lease) => new v3electionpb.CampaignRequest({ name: bytes('y'), lease }),
  ],
];

function defineTests(reference: string, ctl: string): void {
  let home: string;
  let authority: TestAuthority;
  let certificates: Readonly<Record<Caller, Issued>>;
  let members: readonly MemberProcess[];

  beforeAll(async () => {
    home = mkdtempSync(path.join(tmpdir(), 'keelson-names-'));
    authority = new TestAuthority();
    const server = authority.issue('server');
    certificates = {
      root: authority.issue('root'),
      anna: authority.issue('anna'),
      carl: authority.issue('carl'),
      nameless: authority.issue('nameless', { commonName: '', organization: 'clients' }),
    };
    const start = async (binary: string): Promise<MemberProcess> => {
      const [clientPort, peerPort] = await freePorts(2);
      const member = new MemberProcess({
        name: 'm1',
        binary,
        clientPort,
        peerPort,
        home: path.join(home, binary === reference ? 'etcd' : 'ours'),
        secure: true,
        flags: [
          `--initial-cluster=m1=https://127.0.0.1:${peerPort}`,
          `--cert-file=${server.certFile}`,
          `--key-file=${server.keyFile}`,
          `--trusted-ca-file=${authority.caFile}`,
          '--client-cert-auth',
          `--peer-cert-file=${server.certFile}`,
          `--peer-key-file=${server.keyFile}`,
          `--peer-trusted-ca-file=${authority.caFile}`,
          ...(binary === reference ? [] : KEELSON_FLAGS),
        ],
      });
      member.start();
      await member.ready();
      return member;
    };
    members = await Promise.all([start(reference), start(KEELSON_ETCD)]);
    for (const command of PREPARATION)
      for (const member of members) expect(await run(member, 'root', command)).toMatchObject({ code: 0 });
  });
  afterAll(async () => {
    await Promise.all(members.map((member) => member.kill()));
    authority.dispose();
    rmSync(home, { recursive: true, force: true });
  });

  const run = async (
    member: MemberProcess,
    caller: Caller,
    command: string,
  ): Promise<{ readonly code: number | null; readonly said: string }> => {
    const { certFile, keyFile } = certificates[caller];
    const tls = [`--cacert=${authority.caFile}`, `--cert=${certFile}`, `--key=${keyFile}`];
    const { stdout, stderr, code } = await etcdctl([...command.split(' '), ...tls], {
      binary: ctl,
      endpoints: [`https://${member.address}`],
      ...(command.startsWith('user passwd') ? { stdin: 'pw\n' } : {}),
    });
    // Before the last line of an error etcdctl logs when it was, and where.
    const error = stderr.trimEnd().split('\n').at(-1) ?? '';
    return { code, said: (stdout + error).replaceAll(/lease [0-9a-f]{16}/g, 'lease <id>') };
  };

  test('etcdctl by certificates', async () => {
    for (const [caller, command] of COMMANDS) {
      const [theirs, ours] = await Promise.all(members.map((member) => run(member, caller, command)));
      expect([caller, command, ours]).toEqual([caller, command, theirs]);
    }
    const seen = await run(members[1], 'root', 'get --prefix k/');
    expect(seen.said).toBe('k/1\none\nk/2\ntwo\n');
  });

  test('locks and elections are asked for by a certificate', async () => {
    let lease = 0n;
    for (const caller of ['root', 'anna', 'carl', 'nameless'] as const) {
      lease++;
      const answers = await Promise.all(
        members.map(async (member) => {
          const { certFile, keyFile } = certificates[caller];
          const channel = nativeChannel(member.address, {
            tls: () => ({
              ca: readAuthorities(authority.caFile),
              ...new KeyPairFiles(certFile, keyFile).read(),
            }),
          });
          const ask = async (method: AnyMethod, request: object): Promise<string> => {
            // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- CALLS says which request is whose
            const descriptor = method as unknown as MethodDescriptor<unknown, unknown>;
            try {
              await channel.unary(descriptor, request, { timeoutMs: 10_000 });
              return 'passed';
            } catch (error) {
              if (!(error instanceof RpcError)) throw error;
              return `${error.code}: ${error.message}`;
            }
          };
          const granted = new pb.LeaseGrantRequest({ ID: lease, TTL: 600 });
          const said = [`a session: ${await ask(services.Lease.methods.leaseGrant, granted)}`];
          for (const [name, method, request] of CALLS)
            said.push(`${name}: ${await ask(method, request(lease))}`);
          channel.close();
          return said;
        }),
      );
      expect([caller, answers[1]]).toEqual([caller, answers[0]]);
      if (caller === 'anna') expect(answers[1][1]).toBe("a lock of one's own: passed");
    }
  });

  const curl = spawnSync('curl', ['--version']).error === undefined ? test : test.skip;
  curl('through the gateway nobody is known by a certificate (curl)', () => {
    const [theirs, ours] = members.map((member) => {
      const { certFile, keyFile } = certificates.anna;
      const flags = ['--cacert', authority.caFile, '--cert', certFile, '--key', keyFile];
      const body = JSON.stringify({ key: bytes('k/1').toString('base64') });
      const url = `${member.clientUrl}/v3/kv/range`;
      const { stdout } = spawnSync('curl', ['-sS', '--max-time', '10', ...flags, '-d', body, url]);
      return stdout.toString();
    });
    expect(ours).toBe(theirs);
  });
}

if (missing === undefined) {
  describe('clients known by certificates', () => defineTests(REFERENCE_ETCD!, ETCDCTL!));
} else {
  test.skip(`clients known by certificates: ${missing}`, () => {});
}
