/**
 * The same script by stock etcdctl through our grpc-proxy and through etcd's own, each before an etcd of its own: what is
 * printed must be the same, but for what DIFFERENCES lists. And our proxy as a process: its members, its end.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from '@jest/globals';
import { silentLogger } from '@keelson/base';
import { makeCertificate } from '@keelson/store';
import { until } from '../../base/test/until.ts';
import { HAS_ETCD, startEtcd, type EtcdProcess } from '../../base/test/etcd-process.ts';
import { TestAuthority } from '../../store/test/tls-fixtures.ts';
import { CapturedIo } from './captured-io.ts';
import { channelTo, closeAll, get, put, startProxy } from './grpc-harness.ts';
import { runProxy } from '../src/commands.ts';
import { freePorts } from '../../base/test/free-ports.ts';

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
  await closeAll();
});

const real = HAS_ETCD ? describe : describe.skip;
const named = (text: string): string => (HAS_ETCD ? text : `${text} (skipped: no etcd and etcdctl on PATH)`);

async function etcd(): Promise<EtcdProcess> {
  const started = await startEtcd();
  open.push(() => started.stop());
  return started;
}

/** etcd's own proxy. @returns its address, once it serves */
async function etcdsProxy(endpoint: string, flags: readonly string[]): Promise<string> {
  const [port] = await freePorts(1);
  const address = `127.0.0.1:${port}`;
  const child = spawn(
    'etcd',
    ['grpc-proxy', 'start', `--endpoints=${endpoint}`, `--listen-addr=${address}`, ...flags],
    { stdio: 'ignore' },
  );
  const gone = once(child, 'exit');
  open.push(() => {
    child.kill('SIGKILL');
    return gone;
  });
  await until(
    () =>
      fetch(`http://${address}/health`).then(
        ({ ok }) => ok,
        () => false,
      ),
    "etcd's proxy serves",
  );
  return address;
}

interface Printed {
  readonly code: number | null;
  readonly text: string;
}

async function ctl(address: string, args: readonly string[], input = ''): Promise<Printed> {
  const child = spawn('etcdctl', [`--endpoints=${address}`, ...args], {
    env: { ...process.env, ETCDCTL_API: '3' },
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += String(chunk)));
  // A command that reads nothing may be gone already.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [code]: unknown[] = await once(child, 'close');
  return { code: typeof code === 'number' ? code : null, text };
}

/** What a command prints that does not end, until it has said so many lines. */
async function printing(
  address: string,
  args: readonly string[],
  lines: number,
  then: () => Promise<unknown>,
): Promise<string> {
  const child = spawn('etcdctl', [`--endpoints=${address}`, ...args], {
    env: { ...process.env, ETCDCTL_API: '3' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const gone = once(child, 'exit');
  let text = '';
  child.stdout.on('data', (chunk) => (text += String(chunk)));
  await then();
  await until(() => text.split('\n').length > lines, 'the command has printed');
  child.kill('SIGKILL');
  await gone;
  return text;
}

/** Commands, and what goes into them. `LEASE` stands for the lease that was granted. */
const SCRIPT: readonly (readonly [args: string, input?: string])[] = [
  ['put a 1'],
  ['put b 2 --prev-kv'],
  ['put a 3 --prev-kv'],
  ['get a'],
  ['get a --consistency=s'],
  ['get a -w fields'],
  ['get --prefix --keys-only a'],
  ['get --from-key a'],
  ['get a --rev=2'],
  ['get a --rev=900'],
  ['txn', 'mod("a") > "1"\n\nput a 4\nget b\n\nget a\n\n'],
  ['txn', 'value("a") = "none"\n\nput a 5\n\ndel b --prev-kv\n\n'],
  ['get --prefix a --consistency=s'],
  ['del a --prev-kv'],
  ['get a --consistency=s'],
  ['compaction 4'],
  ['compaction 4'],
  ['get a --rev=2'],
  ['get a --rev=2 --consistency=s'],
  ['put --lease=1 x y'],
  ['lease grant 100'],
  ['put --lease=LEASE leased v'],
  ['lease timetolive LEASE --keys'],
  ['lease list'],
  ['lease keep-alive --once LEASE'],
  ['lease revoke LEASE'],
  ['lease revoke LEASE'],
  ['lease keep-alive --once LEASE'],
  ['get leased'],
  ['lock l -- echo held'],
  ['member list'],
  ['endpoint status'],
  ['endpoint health'],
  ['endpoint hashkv'],
  ['alarm list'],
  ['defrag'],
  ['member update 1 --peer-urls=http://127.0.0.1:1'],
  ['member remove 1'],
  ['user add root:r'],
  ['role add r'],
  ['role grant-permission r readwrite k'],
  ['user add u:p'],
  ['user grant-role u r'],
  ['user get u'],
  ['role get r'],
  ['role add root'],
  ['user grant-role root root'],
  ['auth enable'],
  ['put k v'],
  ['put k v --user=u:p'],
  ['get k --user=u:p'],
  ['get k --user=u:wrong'],
  ['put other v --user=u:p'],
  ['get k --user=u:p --consistency=s'],
  ['user list --user=root:r'],
  ['auth disable --user=root:r'],
  ['put k again'],
];

/** Commands that look at keys, leases and locks: what a namespace changes. */
const IN_NAMESPACE = SCRIPT.slice(
  0,
  SCRIPT.findIndex(([args]) => args === 'member list'),
);

async function run(script: typeof SCRIPT, address: string, own: readonly string[]): Promise<string[]> {
  const printed: string[] = [];
  let lease = '';
  for (const [line, input] of script) {
    const args = line.replace('LEASE', lease).split(' ');
    const { code, text } = await ctl(address, args, input);
    lease = /^lease ([0-9a-f]+) granted/.exec(text)?.[1] ?? lease;
    printed.push(`${line} -> ${code}\n${plain(text, [address, ...own], lease)}`);
  }
  return printed;
}

/** Without what differs between any two runs. */
function plain(text: string, own: readonly string[], lease: string): string {
  let said = text
    .replace(/"ts":"[^"]*"/g, '"ts"')
    .replace(/endpoint:\/\/client-[0-9a-f-]+/g, 'endpoint://client');
  for (const address of own) said = said.replaceAll(address, 'ADDRESS');
  if (lease !== '') said = said.replaceAll(lease, 'LEASE');
  return (
    said
      .replace(/took = \S+/g, 'took')
      .replace(/remaining\(\d+s\)/g, 'remaining')
      .replace(/"(ClusterID|MemberID|RaftTerm)" : \d+/g, '"$1"')
      .replace(
        /ADDRESS, [0-9a-f]+, (\S+), [^,]*, (\w+), (\w+), \d+, \d+, \d+/g,
        'ADDRESS, ID, $1, SIZE, $2, $3',
      )
      .replace(/ADDRESS, \d+$/gm, 'ADDRESS, HASH')
      .replace(/^[0-9a-f]+, started, default, [^,]+/gm, 'ID, started, default, PEER')
      // The one difference: the original makes every refusal of the cluster an Unknown, ours keeps its code, so that
      // clients which look at codes do through the proxy what they do without it.
      .replace(/code = \w+ desc = etcdserver:/g, 'code = CODE desc = etcdserver:')
  );
}

real(named('etcdctl through our proxy and through etcd’s'), () => {
  test.each([
    ['the whole key space', SCRIPT, []],
    ['a namespace', IN_NAMESPACE, ['--namespace=ns/']],
  ])('%s', async (_name, script, flags) => {
    const [one, two] = [await etcd(), await etcd()];
    const proxy = await startProxy(
      [Number(one.endpoint.split(':')[1])],
      ['--advertise-client-url=', ...flags],
      silentLogger,
    );
    const theirs = await etcdsProxy(two.endpoint, ['--advertise-client-url=', ...flags]);
    const ours = `127.0.0.1:${proxy.port}`;
    const [mine, its] = await Promise.all([
      run(script, ours, [one.endpoint]),
      run(script, theirs, [two.endpoint]),
    ]);
    expect(mine).toEqual(its);
  });

  test('watches and elections print the same', async () => {
    const [one, two] = [await etcd(), await etcd()];
    const proxy = await startProxy([Number(one.endpoint.split(':')[1])]);
    const sides = [`127.0.0.1:${proxy.port}`, await etcdsProxy(two.endpoint, [])];
    const printed = await Promise.all(
      sides.map(async (address) => {
        for (const value of ['1', '2', '3']) await ctl(address, ['put', 'w', value]);
        const old = await printing(address, ['watch', '--rev=2', '--prev-kv', 'w'], 9, async () => {});
        const prefix = await printing(address, ['watch', '--rev=1', '--prefix', 'w'], 15, async () => {
          await ctl(address, ['put', 'w2', 'x']);
          await ctl(address, ['del', 'w']);
        });
        const elected = await printing(address, ['elect', 'e', 'me'], 2, async () => {});
        return { old, prefix, elected: elected.replace(/[0-9a-f]{10,}/, 'LEASE') };
      }),
    );
    expect(printed[0]).toEqual(printed[1]);
  });
});

real(named('our proxy before a real etcd'), () => {
  test('follows the members as they are listed, says so, and ends when it is asked to', async () => {
    const member = await etcd();
    const io = new CapturedIo();
    const ended = runProxy(
      [
        'grpc-proxy',
        'start',
        `--endpoints=${member.endpoint}`,
        '--listen-addr=127.0.0.1:0',
        '--endpoints-auto-sync-interval=50ms',
        '--debug',
      ],
      io,
    );
    expect(await io.line('started gRPC proxy')).toContain('"level":"info"');
    expect(await io.line('set etcd endpoints by autoSync')).toContain(
      `"endpoints":["http://${member.endpoint}"]`,
    );
    await io.stop();
    expect(await ended).toBe(0);
    expect(io.errText).toContain('stop listening gRPC proxy client requests');
  });

  test('reaches members by TLS, with a certificate that names nobody', async () => {
    const authority = new TestAuthority();
    try {
      const { certFile, keyFile } = authority.issue('member');
      const nobody = authority.write(
        'nobody',
        makeCertificate(
          {
            organization: 'proxies',
            notBeforeMs: Date.now() - 3_600_000,
            notAfterMs: Date.now() + 3_600_000,
            usages: ['client'],
          },
          authority.certified,
        ),
      );
      const member = await startEtcd({
        tls: [
          `--cert-file=${certFile}`,
          `--key-file=${keyFile}`,
          `--trusted-ca-file=${authority.caFile}`,
          '--client-cert-auth',
        ],
      });
      open.push(() => member.stop());
      const port = Number(member.endpoint.split(':')[1]);
      const ca = `--cacert=${authority.caFile}`;
      const proxy = await startProxy([port], [ca, `--cert=${nobody.certFile}`, `--key=${nobody.keyFile}`]);
      const channel = channelTo(proxy.port);
      await put(channel, 'a', '1');
      expect(await get(channel, 'a')).toEqual(['a=1']);
      const metrics = await fetch(`http://127.0.0.1:${proxy.port}/metrics`);
      expect(await metrics.text()).toContain('etcd_server_has_leader 1');
      const named = [ca, `--cert=${certFile}`, `--key=${keyFile}`];
      await expect(startProxy([port], named)).rejects.toThrow(
        `cert has non empty Common Name (member): ${certFile}`,
      );
      await expect(startProxy([port], [ca, `--cert=${certFile}`])).rejects.toThrow(
        `KeyFile and CertFile must both be present[key: , cert: ${certFile}]`,
      );
    } finally {
      authority.dispose();
    }
  });
});
