/**
 * What nobody may read: passwords, tokens, the hashes of passwords, private keys and values of keys appear in no line of
 * a member's log at its most talkative, in no audit log, on no page of metrics or debugging, and (but for values) in no
 * file of the data directory. And nobody but the member's own user may read its files at all.
 */
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { authpb, etcdserverpb as pb, services } from '@keelson/proto';
import { Metadata, RpcError } from '@keelson/rpc';
import { KEELSON_ETCD, KEELSON_FLAGS, missingServer } from '../harness/binaries.ts';
import type { MemberApi } from '../harness/member-api.ts';
import { ProcessCluster } from '../harness/process-cluster.ts';
import { waitUntil } from '../harness/waiting.ts';

const missing = missingServer();

/** Each is said to the member in one way or another; none of them is a word that anything else would print. */
const PASSWORDS = [
  'pw-root-7f3ac1',
  'pw-anna-91bce2',
  'pw-anna-new-44d1',
  'pw-guess-0be1',
  'pw-gateway-5c',
] as const;
const [ROOT, ANNA, ANNA_NEW, GUESS, GATEWAY] = PASSWORDS;
const VALUE = 'value-of-a-key-d00d5e';
const ENVIRONMENT_SECRET = 'pw-environment-77aa';
const DISCOVERY_SECRET = 'pw-discovery-3e9f';
const FORGED_TOKEN = 'forgedtokenabcdef.12';

interface Read {
  readonly name: string;
  readonly content: Buffer;
  readonly mode: number;
}

/** Everything below a directory, files with their content. */
function walk(directory: string): Read[] {
  const found: Read[] = [{ name: directory, content: Buffer.alloc(0), mode: lstatSync(directory).mode }];
  for (const name of readdirSync(directory)) {
    const full = path.join(directory, name);
    const stat = lstatSync(full);
    if (stat.isDirectory()) found.push(...walk(full));
    else found.push({ name: full, content: readFileSync(full), mode: stat.mode });
  }
  return found;
}

/** Users, passwords right and wrong, tokens right and forged, keys and a lease. @returns every token that was given out */
async function live(cluster: ProcessCluster, gateway: boolean): Promise<string[]> {
  const api = cluster.api(0);
  const { auth, kv } = { auth: services.Auth.methods, kv: services.KV.methods };
  const tokens: string[] = [];
  for (const [name, password] of [
    ['root', ROOT],
    ['anna', ANNA],
  ] as const)
    // prettier-ignore
    await api.call(auth.userAdd, new pb.AuthUserAddRequest({ name, password }));
  await api.call(auth.roleAdd, new pb.AuthRoleAddRequest({ name: 'root' }));
  await api.call(auth.userGrantRole, new pb.AuthUserGrantRoleRequest({ user: 'root', role: 'root' }));
  await api.call(auth.authEnable, new pb.AuthEnableRequest());
  const login = async (name: string, password: string): Promise<Metadata> => {
    const { token } = await api.call(auth.authenticate, new pb.AuthenticateRequest({ name, password }));
    tokens.push(token);
    return Metadata.of({ token });
  };
  const root = await login('root', ROOT);
  await login('anna', ANNA);
  await api.call(auth.userChangePassword, new pb.AuthUserChangePasswordRequest({ name: 'anna', password: ANNA_NEW }), { metadata: root }); // prettier-ignore
  const again = await login('root', ROOT);
  const anna = await login('anna', ANNA_NEW);
  await refused(api.call(auth.authenticate, new pb.AuthenticateRequest({ name: 'anna', password: GUESS })));
  await refused(
    api.call(auth.authenticate, new pb.AuthenticateRequest({ name: 'stranger', password: GUESS })),
  );
  await refused(
    api.call(auth.userAdd, new pb.AuthUserAddRequest({ name: 'anna', password: GUESS }), { metadata: again }),
  );
  const request = new pb.PutRequest({ key: Buffer.from('k'), value: Buffer.from(VALUE) });
  await refused(api.call(kv.put, request, { metadata: anna }));
  await refused(api.call(kv.put, request, { metadata: Metadata.of({ token: FORGED_TOKEN }) }));
  await api.call(kv.put, request, { metadata: again });
  await api.call(kv.range, new pb.RangeRequest({ key: Buffer.from('k') }), { metadata: again });
  const op = new pb.RequestOp({ requestPut: request });
  await api.call(kv.txn, new pb.TxnRequest({ success: [op] }), { metadata: again });
  const perm = new authpb.Permission({ key: Buffer.from('k'), permType: authpb.PermissionType.READ });
  await api.call(auth.roleAdd, new pb.AuthRoleAddRequest({ name: 'reader' }), { metadata: again });
  await refused(api.call(auth.roleGrantPermission, new pb.AuthRoleGrantPermissionRequest({ name: 'reader', perm }), { metadata: again })); // prettier-ignore
  if (gateway) await throughGateway(api, tokens);
  return tokens;
}

/** Whatever becomes of it: a token that lost its revision on the way is refused as well. */
async function refused(call: Promise<unknown>): Promise<void> {
  await call.catch((error: unknown) => {
    if (!(error instanceof RpcError)) throw error;
  });
}

async function throughGateway(api: MemberApi, tokens: string[]): Promise<void> {
  const post = (url: string, body: object, token = ''): Promise<Response> =>
    fetch(`http://${api.address}${url}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { authorization: token },
    });
  const login = (await (await post('/v3/auth/authenticate', { name: 'root', password: ROOT })).json()) as {
    token?: string;
  };
  tokens.push(login.token ?? '');
  expect(login.token).toMatch(/./);
  await post('/v3/auth/user/add', { name: 'gate', password: GATEWAY }, login.token);
  await post('/v3/auth/authenticate', { name: 'gate', password: GUESS });
  await post('/v3/kv/put', { key: 'aw==', value: Buffer.from(VALUE).toString('base64') }, FORGED_TOKEN);
  // JSON that ends in the middle of a password.
  await fetch(`http://${api.address}/v3/auth/authenticate`, {
    method: 'POST',
    body: `{"name":"root","password":"${GUESS}`,
  });
}

function suite(): void {
  let cluster: ProcessCluster | undefined;
  let home: string | undefined;
  afterEach(async () => {
    await cluster?.dispose();
    cluster = undefined;
    if (home !== undefined) rmSync(home, { recursive: true, force: true });
  });

  /** Starts one member at log level `debug`, with every request so slow that it is worth a line. */
  async function start(flags: readonly string[], tls = false): Promise<ProcessCluster> {
    home = mkdtempSync(path.join(tmpdir(), 'keelson-secrets-'));
    writeFileSync(path.join(home, 'jwt.key'), 'jwt-signing-secret-2b9c', { mode: 0o600 });
    cluster = await ProcessCluster.start({
      binary: KEELSON_ETCD,
      size: 1,
      tls,
      flags: [
        ...KEELSON_FLAGS,
        '--log-level=debug',
        '--bcrypt-cost=4',
        `--discovery-password=${DISCOVERY_SECRET}`,
        '--discovery-user',
        `root:${DISCOVERY_SECRET}`,
        '--warning-apply-duration=1ns',
        '--warning-unary-request-duration=1ns',
        `--audit-log=${path.join(home, 'audit.log')}`,
        ...flags.map((flag) => flag.replace('HOME', home!)),
      ],
      environment: () => ({ ETCD_ROOT_PASSWORD: ENVIRONMENT_SECRET }),
    });
    return cluster;
  }

  test.each<[string, readonly string[], boolean]>([
    ['simple tokens', [], false],
    ['signed tokens', ['--auth-token=jwt,sign-method=HS256,priv-key=HOME/jwt.key,ttl=5m'], false],
    ['TLS', [], true],
  ])('no secret is in a log, on a page or in a file: %s', async (_name, flags, tls) => {
    const running = await start(flags, tls);
    const [member] = running.members;
    const tokens = await live(running, !tls);
    const pages: string[] = [];
    if (!tls)
      for (const page of ['/metrics', '/debug/vars', '/version', '/health'])
        pages.push(await (await fetch(`http://${member.address}${page}`)).text());
    await member.stop();
    member.start();
    await member.ready();
    await member.stop();
    await waitUntil('the audit log', { timeoutMs: 30_000, everyMs: 10 }, () =>
      readFileSync(path.join(home!, 'audit.log'), 'utf8').includes('authenticate') ? true : undefined,
    );

    const log = member.log();
    const audit = readFileSync(path.join(home!, 'audit.log'), 'utf8');
    // It was talkative indeed.
    expect(log).toContain('"level":"debug"');
    expect(log).toContain('ETCD_ROOT_PASSWORD');
    const secrets: string[] = [
      ...PASSWORDS,
      ...tokens,
      ENVIRONMENT_SECRET,
      DISCOVERY_SECRET,
      FORGED_TOKEN,
      VALUE,
      'jwt-signing-secret',
      '$2a$',
      '$2b$',
    ];
    for (const text of [VALUE, ...PASSWORDS])
      secrets.push(Buffer.from(text).toString('base64').replace(/=+$/, ''));
    if (running.tls !== undefined) {
      const lines = readFileSync(running.tls.keyFile, 'utf8').split('\n');
      secrets.push(...lines.filter((line) => line.length > 20 && !line.startsWith('-')));
    }
    const told = (text: string): string[] =>
      secrets.filter((secret) => secret !== '' && text.includes(secret));
    expect(told(log)).toEqual([]);
    expect(told(audit)).toEqual([]);
    expect(told(pages.join('\n'))).toEqual([]);

    // On disk hashes and values belong; words never do, and a signed token is not kept at all.
    const kept = Buffer.concat(walk(member.dataDir).map(({ content }) => content));
    expect(kept.includes('anna')).toBe(true);
    const words = [
      ...PASSWORDS,
      ...(flags.length > 0 ? tokens : []),
      ENVIRONMENT_SECRET,
      DISCOVERY_SECRET,
      FORGED_TOKEN,
    ];
    expect(words.filter((word) => kept.includes(word))).toEqual([]);
  });

  test('directories are 0700 and files 0600, whatever the mask, before and after a restart', async () => {
    const mask = process.umask(0);
    try {
      const running = await start([
        '--snapshot-count=5',
        '--max-wals=2',
        '--log-outputs=stderr,HOME/member.log',
      ]);
      const [member] = running.members;
      for (let i = 0; i < 40; i++) await running.api(0).put(`k/${i}`, 'v');
      await member.stop();
      member.start();
      await member.ready();
      for (let i = 0; i < 10; i++) await running.api(0).put(`k/${i}`, 'w', 30_000);
      await member.stop();
      const modes = walk(member.dataDir).map(
        ({ name, mode }) => `${(mode & 0o777).toString(8)} ${path.relative(member.dataDir, name)}`,
      );
      expect(modes.length).toBeGreaterThan(6);
      // LevelDB makes its own files; the directory above keeps others out (THREAT_MODEL.md).
      const open = modes.filter((text) => !/^(?:700|600) /.test(text));
      expect(open.filter((text) => !text.includes('db.level'))).toEqual([]);
      expect(modes[0]).toBe('700 ');
      for (const name of ['audit.log', 'member.log'])
        expect((lstatSync(path.join(home!, name)).mode & 0o777).toString(8)).toBe('600');
    } finally {
      process.umask(mask);
    }
  });
}

if (missing === undefined) describe('what nobody may read', suite);
else test.skip(`what nobody may read: ${missing}`, () => {});
