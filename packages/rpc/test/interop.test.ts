/**
 * Other people's HTTP/2: curl, h2load and etcdctl against our server, where the machine has them. What is
 * missing shows as a skipped test.
 */
import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Server } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MethodTable, nativeServer, type Codec, type MethodDescriptor, type RpcServer } from '@keelson/rpc';
import { TestAuthority } from '../../store/test/tls-fixtures.ts';
import { ServerSide, echoTable } from './contract/service.ts';
import { message } from './raw-client.ts';

const run = promisify(execFile);
const has = (program: string, ...args: string[]): boolean => spawnSync(program, args).error === undefined;
/** A test of a program, or a skipped one that says which is missing. */
const withProgram = (program: string, name: string, body: () => Promise<void>): void => {
  if (has(program, '--version')) test(`${program}: ${name}`, body);
  else test.skip(`${program} is not installed: ${name}`, body);
};

let server: RpcServer;
let origin: string;
let folder: string;
let requestFile: string;

/** A PutRequest as it came, and the values kept: as much of etcd's KV as a put and a get by etcdctl need. */
const raw: Codec<Buffer> = { decode: (bytes) => bytes, encode: (bytes) => bytes };
const kv = (name: string): MethodDescriptor<Buffer, Buffer> => ({
  path: `/etcdserverpb.KV/${name}`,
  kind: 'unary',
  request: raw,
  response: raw,
});

function withKv(table: MethodTable): MethodTable {
  const pairs = new Map<string, Buffer>();
  const keyOf = (bytes: Buffer): string => bytes.toString('latin1', 2, 2 + (bytes[1] ?? 0));
  return table
    .unary(kv('Put'), (request) => {
      const key = keyOf(request);
      const value = request.subarray(2 + key.length + 2);
      pairs.set(key, Buffer.from(value));
      return Buffer.alloc(0);
    })
    .unary(kv('Range'), (request) => {
      const key = keyOf(request);
      const value = pairs.get(key) ?? Buffer.alloc(0);
      const pair = Buffer.concat([
        Buffer.from([0x0a, key.length]),
        Buffer.from(key),
        Buffer.from([0x2a, value.length]),
        value,
      ]);
      return Buffer.concat([Buffer.from([0x12, pair.length]), pair, Buffer.from([0x20, 1])]);
    });
}

beforeAll(async () => {
  server = nativeServer(withKv(echoTable(new ServerSide())));
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  origin = `127.0.0.1:${port}`;
  folder = await mkdtemp(join(tmpdir(), 'keelson-rpc-'));
  requestFile = join(folder, 'request');
  await writeFile(requestFile, Buffer.concat([Buffer.from([0, 0, 0, 0, 6]), Buffer.from('echo x')]));
});

afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

describe('stock peers', () => {
  withProgram('curl', 'posts a message and gets one, with trailers', async () => {
    const headers = join(folder, 'headers');
    const { stdout } = await run(
      'curl',
      [
        '-sS',
        '--max-time',
        '10',
        '--http2-prior-knowledge',
        '-H',
        'content-type: application/grpc',
        '-H',
        'te: trailers',
        '--data-binary',
        `@${requestFile}`,
        '-D',
        headers,
        '-o',
        '-',
        `http://${origin}/test.Echo/Unary`,
      ],
      { encoding: 'buffer' },
    );
    expect(stdout).toEqual(Buffer.from('\0\0\0\0\x01x', 'latin1'));
  });

  withProgram('curl', 'is told 415 without a content type', async () => {
    const { stdout } = await run('curl', [
      '-sS',
      '--max-time',
      '10',
      '--http2-prior-knowledge',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      `http://${origin}/x`,
    ]);
    expect(stdout).toBe('415');
  });

  withProgram('h2load', '20,000 calls over 10 connections, all answered', async () => {
    const { stdout } = await run('h2load', [
      '-n',
      '20000',
      '-c',
      '10',
      '-m',
      '50',
      '-d',
      requestFile,
      '-H',
      'content-type: application/grpc',
      '-H',
      'te: trailers',
      `http://${origin}/test.Echo/Unary`,
    ]);
    expect(stdout).toMatch(/20000 done, 20000 succeeded, 0 failed, 0 errored, 0 timeout/);
    expect(stdout).toMatch(/status codes: 20000 2xx/);
  });

  test("node's nghttp2: every byte a field may have crosses Huffman-coded", async () => {
    // Long and cheap at first, so that its coder chooses Huffman for the whole.
    const characters = Array.from({ length: 223 }, (_unused, i) => String.fromCharCode(i + 33));
    const token = `${'e'.repeat(900)}${characters.filter((each) => each !== '\u007f').join('')}`;
    const session = connectHttp2(`http://${origin}`);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/test.Echo/Unary',
      'content-type': 'application/grpc',
      te: 'trailers',
      token,
    });
    const pieces: Buffer[] = [];
    stream.on('data', (bytes: Buffer) => pieces.push(bytes));
    stream.end(message('headers'));
    await once(stream, 'end');
    session.close();
    expect(Buffer.concat(pieces).toString('latin1', 5)).toBe(`${token}||true`);
  });

  withProgram('etcdctl', 'puts and gets', async () => {
    const env = { ...process.env, ETCDCTL_API: '3' };
    const ctl = (...args: string[]): Promise<{ stdout: string }> =>
      run('etcdctl', ['--endpoints', origin, '--command-timeout=5s', ...args], { env });
    expect((await ctl('put', 'name', 'keelson')).stdout).toBe('OK\n');
    expect((await ctl('get', 'name')).stdout).toBe('name\nkeelson\n');
  });
});

describe('stock peers over TLS', () => {
  const authority = new TestAuthority();
  const pair = authority.issue('server');
  let secure: Server;
  let port: number;

  beforeAll(async () => {
    secure = createServer({ cert: pair.certificate, key: pair.key, ALPNProtocols: ['h2'] }, (socket) =>
      server.accept(socket),
    );
    secure.listen(0, '127.0.0.1');
    await once(secure, 'listening');
    const address = secure.address();
    port = typeof address === 'object' && address !== null ? address.port : 0;
  });
  afterAll(() => {
    secure.close();
    authority.dispose();
  });

  withProgram('curl', 'chooses h2 and gets an answer', async () => {
    const { stdout } = await run(
      'curl',
      [
        '-sS',
        '--max-time',
        '10',
        '--http2',
        '--cacert',
        authority.caFile,
        '-H',
        'content-type: application/grpc',
        '-H',
        'te: trailers',
        '--data-binary',
        `@${requestFile}`,
        '-o',
        '-',
        '-w',
        '%{http_version}',
        `https://127.0.0.1:${port}/test.Echo/Unary`,
      ],
      { encoding: 'buffer' },
    );
    expect(stdout).toEqual(Buffer.from('\0\0\0\0\x01x2', 'latin1'));
  });

  withProgram('h2load', '5,000 calls over 10 connections, all answered', async () => {
    const { stdout } = await run('h2load', [
      '-n',
      '5000',
      '-c',
      '10',
      '-m',
      '50',
      '-d',
      requestFile,
      '-H',
      'content-type: application/grpc',
      '-H',
      'te: trailers',
      `https://127.0.0.1:${port}/test.Echo/Unary`,
    ]);
    expect(stdout).toMatch(/5000 done, 5000 succeeded, 0 failed, 0 errored, 0 timeout/);
    expect(stdout).toMatch(/Application protocol: h2/);
  });

  withProgram('etcdctl', 'puts and gets', async () => {
    const env = { ...process.env, ETCDCTL_API: '3' };
    const ctl = (...args: string[]): Promise<{ stdout: string }> =>
      run(
        'etcdctl',
        [
          '--endpoints',
          `https://127.0.0.1:${port}`,
          '--cacert',
          authority.caFile,
          '--command-timeout=5s',
          ...args,
        ],
        { env },
      );
    expect((await ctl('put', 'name', 'keelson')).stdout).toBe('OK\n');
    expect((await ctl('get', 'name')).stdout).toBe('name\nkeelson\n');
  });
});
