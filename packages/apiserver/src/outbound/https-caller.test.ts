/** Calls over TLS to a server of our own: whom is trusted, how long is waited, how much is read. */

import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { RequestListener } from 'node:http';

import { afterEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '@keelson/base';

import { CertificateAuthority } from '../pki/authority.ts';
import { HttpsCaller } from './https-caller.ts';

const authority = CertificateAuthority.create('hooks-ca', systemClock.nowMs());
const stranger = CertificateAuthority.create('other-ca', systemClock.nowMs());

let server: Server | undefined;
const caller = new HttpsCaller(systemClock);

afterEach(async () => {
  const open = server;
  server = undefined;
  if (open === undefined) return;
  open.closeAllConnections();
  await new Promise((resolve) => open.close(resolve));
});

async function listen(listener: RequestListener): Promise<number> {
  const names = ['hooks.infra.svc', '127.0.0.1'];
  const { certificate, key } = authority.server('hooks.infra.svc', names, systemClock.nowMs());
  const made = createServer({ cert: certificate, key }, listener);
  server = made;
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it listens on a port
  return (made.address() as AddressInfo).port;
}

const options = { timeoutMs: 10_000, signal: new AbortController().signal };

describe('a call', () => {
  test('by a service’s name, at another address', async () => {
    let host = '';
    const port = await listen((request, response) => {
      host = request.headers.host ?? '';
      request.on('data', (chunk: Buffer) => response.end(`heard ${chunk.toString()}`));
    });
    const target = {
      url: 'https://hooks.infra.svc:443/ask?timeout=5s',
      caBundle: authority.certificate,
      address: { host: '127.0.0.1', port },
    };
    const answer = await caller.post(target, Buffer.from('{}'), options);
    expect([answer.code, answer.body.toString()]).toEqual([200, 'heard {}']);
    expect(host).toBe('hooks.infra.svc');
  });
});

describe('no answer', () => {
  test('from a server that another authority vouches for', async () => {
    const port = await listen((_request, response) => response.end('no'));
    const url = `https://127.0.0.1:${port}/`;
    await expect(
      caller.post({ url, caBundle: stranger.certificate }, Buffer.from('{}'), options),
    ).rejects.toThrow(
      `Post "${url}": tls: failed to verify certificate: x509: certificate signed by unknown authority`,
    );
  });

  test('from a server of another name', async () => {
    const port = await listen((_request, response) => response.end('no'));
    const target = {
      url: 'https://other.infra.svc/',
      caBundle: authority.certificate,
      address: { host: '127.0.0.1', port },
    };
    await expect(caller.post(target, Buffer.from('{}'), options)).rejects.toThrow(
      'x509: certificate is not valid for other.infra.svc',
    );
  });

  test('in time', async () => {
    const port = await listen(() => undefined);
    const target = { url: `https://127.0.0.1:${port}/`, caBundle: authority.certificate };
    await expect(caller.post(target, Buffer.from('{}'), { ...options, timeoutMs: 50 })).rejects.toMatchObject(
      {
        kind: 'timeout',
        message: `Post "${target.url}": context deadline exceeded`,
      },
    );
  });

  test('for a request that ended', async () => {
    const controller = new AbortController();
    const port = await listen(() => controller.abort());
    const target = { url: `https://127.0.0.1:${port}/`, caBundle: authority.certificate };
    await expect(
      caller.post(target, Buffer.from('{}'), { ...options, signal: controller.signal }),
    ).rejects.toMatchObject({ kind: 'cancelled' });
  });

  test('where nobody listens', async () => {
    const port = await listen(() => undefined);
    const open = server;
    await new Promise((resolve) => open?.close(resolve));
    server = undefined;
    const target = { url: `https://127.0.0.1:${port}/`, caBundle: '' };
    await expect(caller.post(target, Buffer.from('{}'), options)).rejects.toThrow(
      `dial tcp 127.0.0.1:${port}: connect: connection refused`,
    );
  });

  test('without TLS', async () => {
    await expect(
      caller.post({ url: 'http://127.0.0.1/', caBundle: '' }, Buffer.from('{}'), options),
    ).rejects.toThrow('unsupported protocol scheme');
  });

  test('that never ends', async () => {
    const chunk = Buffer.alloc(1024 * 1024);
    const port = await listen((_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on('drain', more);
      more();
    });
    const target = { url: `https://127.0.0.1:${port}/`, caBundle: authority.certificate };
    await expect(caller.post(target, Buffer.from('{}'), options)).rejects.toThrow('the answer has more than');
  });
});

test('a redirect is an answer like another, and not followed', async () => {
  let asked = 0;
  const port = await listen((_request, response) => {
    asked += 1;
    response.writeHead(302, { location: '/elsewhere' });
    response.end();
  });
  const target = { url: `https://127.0.0.1:${port}/`, caBundle: authority.certificate };
  const answer = await caller.post(target, Buffer.from('{}'), options);
  expect([answer.code, asked]).toEqual([302, 1]);
});

test('a connection the server closed while it was idle is made anew', async () => {
  const port = await listen((_request, response) => response.end('yes'));
  const target = { url: `https://127.0.0.1:${port}/`, caBundle: authority.certificate };
  await caller.post(target, Buffer.from('{}'), options);
  server?.closeIdleConnections();
  const answer = await caller.post(target, Buffer.from('{}'), options);
  expect(answer.body.toString()).toBe('yes');
});
