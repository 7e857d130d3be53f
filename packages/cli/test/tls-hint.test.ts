/** What `keelson ctl` adds when one side speaks TLS and the other does not; etcdctl's own name adds nothing. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@keelson/base';
import { parseServerConfig, realWorld, StoreServer } from '@keelson/store';
import { TestAuthority } from '../../store/test/tls-fixtures.ts';
import { run } from '../src/cli.ts';
import { capture } from './capture.ts';

const authority = new TestAuthority();
const server = authority.issue('server');
let folder: string;
let member: StoreServer;
let plain: string;
let secure: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keelson-hint-'));
  const url = '127.0.0.1:0';
  const parsed = parseServerConfig(
    [
      `--data-dir=${folder}/m`,
      `--listen-client-urls=http://${url},https://localhost:0`,
      `--advertise-client-urls=http://${url}`,
      `--listen-peer-urls=http://${url}`,
      `--initial-advertise-peer-urls=http://${url}`,
      `--initial-cluster=default=http://${url}`,
      `--cert-file=${server.certFile}`,
      `--key-file=${server.keyFile}`,
      `--trusted-ca-file=${authority.caFile}`,
      '--client-cert-auth',
    ],
    {},
    () => '',
  );
  if (parsed.kind !== 'config') throw new Error(JSON.stringify(parsed));
  member = await StoreServer.start(parsed.config, realWorld(parsed.config, silentLogger));
  await member.ready();
  const address = (scheme: string): string => {
    const found = member.clientPorts.find(({ url: each }) => each.scheme === scheme);
    return `127.0.0.1:${found?.port}`;
  };
  plain = address('http');
  secure = address('https');
});

afterAll(async () => {
  await member.stop();
  await rm(folder, { recursive: true });
  authority.dispose();
});

async function get(name: string, endpoint: string, ...flags: string[]): Promise<string[]> {
  const captured = capture();
  expect(
    await run(
      [name, `--endpoints=${endpoint}`, '--dial-timeout=1s', '--command-timeout=2s', ...flags, 'get', 'a'],
      captured.io,
    ),
  ).toBe(1);
  return captured.err().trimEnd().split('\n');
}

describe('a hint after the error', () => {
  test('where the port speaks TLS', async () => {
    const lines = await get('ctl', secure);
    expect(lines.at(-2)).toMatch(/^Error: /);
    expect(lines.at(-1)).toMatch(new RegExp(`^Hint: ${secure} speaks TLS: give --cacert`));
    expect((await get('etcdctl', secure)).at(-1)).toMatch(/^Error: /);
  });

  test('where it does not', async () => {
    const lines = await get('ctl', plain, `--cacert=${authority.caFile}`);
    expect(lines.at(-2)).toMatch(/^Error: /);
    expect(lines.at(-1)).toBe(
      `Hint: ${plain} answers without TLS: leave out --cacert, --cert, --key and https://`,
    );
  });

  test('and none where nobody is', async () => {
    expect((await get('ctl', '127.0.0.1:1')).at(-1)).toMatch(/^Error: /);
  });
});
