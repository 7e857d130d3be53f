/** `keelson ctl` and the flags of TLS: at a real etcd that asks for certificates, beside its own etcdctl. */
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { TestAuthority } from '../../store/test/tls-fixtures.ts';
import { run } from '../src/cli.ts';
import { discoveredEndpoints, type SrvResolver } from '../src/ctl/discovery.ts';
import { GLOBAL_FLAGS } from '../src/ctl/globals.ts';
import { parseFlags } from '../src/flags.ts';
import { capture } from './capture.ts';
import { HAS_ETCD, startEtcd, type EtcdProcess } from '../../base/test/etcd-process.ts';

const authority = new TestAuthority();
const stranger = new TestAuthority('stranger');
const server = authority.issue('server');
const client = authority.issue('client');
const foreign = stranger.issue('foreign');
afterAll(() => {
  authority.dispose();
  stranger.dispose();
});

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

async function ours(args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  const captured = capture(env);
  const code = await run(['ctl', ...args], captured.io);
  return { code, out: captured.out(), err: captured.err() };
}

const CA = `--cacert=${authority.caFile}`;
const PAIR = [`--cert=${client.certFile}`, `--key=${client.keyFile}`];

describe('flags that do not go together', () => {
  test.each<[string, string[], string]>([
    [
      'a certificate without key',
      [`--cert=${client.certFile}`],
      `KeyFile and CertFile must both be present[key: , cert: ${client.certFile}]`,
    ],
    [
      'a key without certificate',
      [`--key=${client.keyFile}`],
      `KeyFile and CertFile must both be present[key: ${client.keyFile}, cert: ]`,
    ],
    ['an empty certificate', ['--cert='], 'empty string is passed to --cert option'],
    ['an empty authority', ['--cacert='], 'empty string is passed to --cacert option'],
    [
      'an authority that is not there',
      ['--cacert=/nowhere/ca.pem'],
      'open /nowhere/ca.pem: no such file or directory',
    ],
    [
      'a key of another certificate',
      [`--cert=${client.certFile}`, `--key=${server.keyFile}`],
      'tls: private key does not match public key',
    ],
  ])('%s', async (_name, flags, message) => {
    const outcome = await ours([...flags, '--endpoints=127.0.0.1:1', 'get', 'a']);
    expect(outcome.err).toBe(`Error: ${message}\n`);
    expect(outcome.code).toBe(128);
  });
});

describe('--discovery-srv', () => {
  const records: Record<string, { name: string; port: number }[]> = {
    '_etcd-client-ssl._tcp.example.org': [{ name: 'm1.example.org.', port: 2379 }],
    '_etcd-client._tcp.example.org': [{ name: 'm2.example.org', port: 2380 }],
    '_etcd-client-blue._tcp.example.org': [{ name: 'blue.example.org', port: 1 }],
  };
  const resolve: SrvResolver = (name) =>
    name in records
      ? Promise.resolve(records[name])
      : Promise.reject(new Error(`querySrv ENOTFOUND ${name}`));
  const find = async (...flags: string[]): Promise<[string[], string]> => {
    const captured = capture();
    const found = await discoveredEndpoints(parseFlags(GLOBAL_FLAGS, flags).values, captured.io, resolve);
    return [found, captured.err()];
  };

  test('finds endpoints of both kinds, or those with TLS alone', async () => {
    expect(await find()).toEqual([[], '']);
    expect(await find('-d', 'example.org')).toEqual([
      ['https://m1.example.org:2379', 'http://m2.example.org:2380'],
      '',
    ]);
    expect(await find('--discovery-srv=example.org', '--insecure-discovery=false')).toEqual([
      ['https://m1.example.org:2379'],
      'ignoring discovered insecure endpoint "http://m2.example.org:2380"\n',
    ]);
    expect(await find('--discovery-srv=example.org', '--discovery-srv-name=blue')).toEqual([
      ['http://blue.example.org:1'],
      '',
    ]);
    await expect(find('--discovery-srv=nowhere.org')).rejects.toThrow(
      'dns lookup errors: querySrv ENOTFOUND _etcd-client-ssl._tcp.nowhere.org and querySrv ENOTFOUND _etcd-client._tcp.nowhere.org',
    );
  });
});

if (!HAS_ETCD) {
  test.skip('TLS at a real etcd: etcd and etcdctl are not installed', () => {});
} else {
  describe('at an etcd that asks for certificates', () => {
    let etcd: EtcdProcess;
    beforeAll(async () => {
      etcd = await startEtcd({
        tls: [
          `--cert-file=${server.certFile}`,
          `--key-file=${server.keyFile}`,
          `--trusted-ca-file=${authority.caFile}`,
          '--client-cert-auth',
        ],
      });
    });
    afterAll(() => etcd.stop());

    const theirs = (args: readonly string[], env: Record<string, string> = {}): Outcome => {
      const { status, stdout, stderr } = spawnSync('etcdctl', args, {
        encoding: 'utf8',
        env: { PATH: process.env['PATH'], ETCDCTL_API: '3', ...env },
      });
      return { code: status, out: stdout, err: stderr };
    };
    const at = (scheme: string): string => `--endpoints=${scheme}${etcd.endpoint}`;

    test.each([
      ['https', 'https://', [CA, ...PAIR]],
      ['no scheme', '', [CA, ...PAIR]],
      ['anybody is believed', 'https://', ['--insecure-skip-tls-verify', ...PAIR]],
    ])('%s', async (_name, scheme, flags) => {
      expect(await ours([at(scheme), ...flags, 'put', 'a', 'b'])).toEqual({ code: 0, out: 'OK\n', err: '' });
      const outcome = await ours([at(scheme), ...flags, 'get', 'a']);
      expect(outcome).toEqual(theirs([at(scheme), ...flags, 'get', 'a']));
      expect(outcome.out).toBe('a\nb\n');
    });

    test('by variables', async () => {
      const env = {
        ETCDCTL_CACERT: authority.caFile,
        ETCDCTL_CERT: client.certFile,
        ETCDCTL_KEY: client.keyFile,
        ETCDCTL_ENDPOINTS: `https://${etcd.endpoint}`,
      };
      expect((await ours(['endpoint', 'health'], env)).out).toContain('is healthy');
      expect(theirs(['endpoint', 'health'], env).code).toBe(0);
    });

    const brief = (ms: number): string[] => [`--dial-timeout=${ms}ms`, `--command-timeout=${ms}ms`];
    test.each<[string, string, string[], string]>([
      [
        'an authority that did not sign',
        'https://',
        [`--cacert=${stranger.caFile}`, ...PAIR],
        'x509: certificate signed by unknown authority',
      ],
      ['no certificate', 'https://', [CA], 'remote error: tls: '],
      [
        'a certificate of another authority',
        'https://',
        [CA, `--cert=${foreign.certFile}`, `--key=${foreign.keyFile}`],
        'remote error: tls: ',
      ],
      ['no TLS at all', 'http://', [CA, ...PAIR], ''],
    ])('not with %s', async (_name, scheme, flags, text) => {
      // Long enough for a handshake on a busy machine: it is what the text is about.
      const outcome = await ours([at(scheme), ...flags, ...brief(1000), 'get', 'a']);
      expect(outcome.code).toBe(1);
      expect(outcome.out).toBe('');
      expect(outcome.err).toContain(text);
      expect(theirs([at(scheme), ...flags, ...brief(300), 'get', 'a']).code).toBe(1);
    });
  });
}
