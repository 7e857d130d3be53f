/** The door alone, behind a listener: what TLS changes, and clients that are slow to say what they want. */
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import {
  connect,
  createServer as createNetServer,
  type AddressInfo,
  type Server,
  type Socket,
} from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { silentLogger } from '@keelson/base';
import { TestAuthority } from '../../test/tls-fixtures.ts';
import { ClientHttp, type ClientHttpOptions } from './client-http.ts';
import { answerText } from './http-answer.ts';
import { HttpListener, type HttpTimes } from './http-listener.ts';

const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

function listenerOf(options: Partial<ClientHttpOptions>, times?: HttpTimes): HttpListener {
  const door = new ClientHttp({
    gateway: undefined,
    handlers: new Map([['/there', (_request, response) => answerText(response, 'yes', 'text/plain')]]),
    origins: ['*'],
    hosts: ['*'],
    refusesCommonNames: () => false,
    logger: silentLogger,
    ...options,
  });
  const listener = new HttpListener(door, times);
  cleanups.push(() => listener.cut());
  return listener;
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  cleanups.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

describe('over TLS', () => {
  const authority = new TestAuthority();
  const served = authority.issue('served');
  const named = authority.issue('alice');
  const nameless = authority.issue('nameless', { commonName: '' });
  const ca = readFileSync(authority.caFile);
  afterAll(() => authority.dispose());

  async function start(options: Partial<ClientHttpOptions>): Promise<number> {
    const listener = listenerOf(options);
    const server = createTlsServer(
      { cert: served.certificate, key: served.key, ca, requestCert: true, rejectUnauthorized: false },
      (socket) => listener.accept(socket),
    );
    return listening(server);
  }

  function get(
    port: number,
    path: string,
    client: { readonly certificate: string; readonly key: string } | undefined,
  ): Promise<readonly [status: number | undefined, body: string]> {
    return new Promise((resolve, reject) => {
      const identity = client === undefined ? {} : { cert: client.certificate, key: client.key };
      const headers = { Host: 'unlisted.example' };
      const request = httpsRequest(
        { host: '127.0.0.1', port, path, ca, agent: false, headers, servername: 'localhost', ...identity },
        (response) => {
          let body = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => {
            body += chunk;
          });
          response.on('end', () => resolve([response.statusCode, body]));
        },
      );
      request.on('error', reject);
      request.end();
    });
  }

  test('any Host is let in', async () => {
    const port = await start({ hosts: ['listed.example'] });
    expect(await get(port, '/there', undefined)).toEqual([200, 'yes']);
  });

  test('a certificate with a common name is no identity for the gateway: such requests are refused', async () => {
    const port = await start({ refusesCommonNames: () => true });
    const refused = [
      400,
      'CommonName of client sending a request against gateway will be ignored and not used as expected\n',
    ];
    expect(await get(port, '/v3/kv/range', named)).toEqual(refused);
    expect(await get(port, '/v3beta/kv/range', named)).toEqual(refused);
    expect(await get(port, '/there', named)).toEqual([200, 'yes']);
    expect((await get(port, '/v3/kv/range', nameless))[0]).toBe(404);
    expect((await get(port, '/v3/kv/range', undefined))[0]).toBe(404);
  });

  test('a name that nobody vouches for counts for nothing', async () => {
    const port = await start({ refusesCommonNames: () => true });
    const other = new TestAuthority('stranger');
    cleanups.push(() => other.dispose());
    expect((await get(port, '/v3/kv/range', other.issue('mallory')))[0]).toBe(404);
  });
});

describe('a client that is slow', () => {
  const times: HttpTimes = { headersMs: 60, checkMs: 10 };

  async function dial(): Promise<Socket> {
    const listener = listenerOf({}, times);
    const port = await listening(createNetServer((socket) => listener.accept(socket)));
    const socket = connect(port, '127.0.0.1');
    cleanups.push(() => socket.destroy());
    return socket;
  }

  function end(socket: Socket): Promise<string> {
    return new Promise((resolve) => {
      let said = '';
      socket.on('data', (chunk: Buffer) => {
        said += chunk.toString('latin1');
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve(said));
    });
  }

  test('slow headers are not waited for', async () => {
    const socket = await dial();
    socket.write('GET /there HTTP/1.1\r\nHost: x\r\n');
    expect(await end(socket)).toBe('');
  });

  test('slow headers of a second request on a connection are not waited for either', async () => {
    const socket = await dial();
    socket.write('GET /there HTTP/1.1\r\nHost: x\r\n\r\nGET /there');
    expect(await end(socket)).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*yes$/);
  });
});
