/** Audit events on their way to a server over TLS, as a kubeconfig says: by whose authority, with which credentials, how many at once. */
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';

import { afterEach, expect, test } from '@jest/globals';
import { silentLogger, systemClock } from '@keelson/base';

import type { ApiRequest } from '../src/api/exchange.ts';
import { isJsonObject, type JsonObject } from '../src/api/json.ts';
import { makeAudit } from '../src/assembly/audit.ts';
import { readJson } from '../src/codec/json-reader.ts';
import { MetricsRegistry } from '../src/metrics/registry.ts';
import { CertificateAuthority } from '../src/pki/authority.ts';
import { bareRequest } from './bare-request.ts';

const authority = CertificateAuthority.create('audit-ca', systemClock.nowMs());

interface Heard {
  readonly authorization: string;
  readonly client: string;
  readonly list: JsonObject;
}

let server: Server | undefined;

afterEach(async () => {
  const open = server;
  server = undefined;
  if (open === undefined) return;
  open.closeAllConnections();
  await new Promise((resolve) => open.close(resolve));
});

/** @param codes what it answers, one after the other; 200 behind them */
async function receiver(codes: number[]): Promise<{ readonly port: number; readonly heard: Heard[] }> {
  const heard: Heard[] = [];
  const { certificate, key } = authority.server('audit', ['127.0.0.1'], systemClock.nowMs());
  const made = createServer(
    { cert: certificate, key, ca: authority.certificate, requestCert: true, rejectUnauthorized: true },
    (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const list = readJson(Buffer.concat(chunks).toString('utf8'));
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server of TLS
        const socket = request.socket as TLSSocket;
        heard.push({
          authorization: request.headers.authorization ?? '',
          client: socket.getPeerCertificate().subject.CN,
          list: isJsonObject(list) ? list : {},
        });
        response.statusCode = codes.shift() ?? 200;
        response.end();
      });
    },
  );
  server = made;
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it listens on a port
  return { port: (made.address() as AddressInfo).port, heard };
}

function requestOf(target: string, auditId: string): ApiRequest {
  return bareRequest(target, {
    auditId,
    peer: { address: '10.0.0.9' },
    user: { name: 'alice', uid: '', groups: [], extra: {} },
    receivedMs: systemClock.monotonicMs(),
  });
}

test('a batch, again after a failure, with the certificate and the token of the kubeconfig', async () => {
  const { port, heard } = await receiver([503]);
  const client = authority.client({ commonName: 'apiserver' }, systemClock.nowMs());
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const files: Readonly<Record<string, string>> = {
    '/policy':
      'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, omitStages: [RequestReceived]}]\n',
    '/webhook': JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        {
          name: 'c',
          cluster: {
            server: `https://127.0.0.1:${port}/events`,
            'certificate-authority-data': base64(authority.certificate),
          },
        },
      ],
      users: [
        {
          name: 'u',
          user: {
            token: 'abc',
            'client-certificate-data': base64(client.certificate),
            'client-key-data': base64(client.key),
          },
        },
      ],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    }),
  };
  const metrics = new MetricsRegistry();
  const audit = makeAudit({
    config: {
      policyFile: '/policy',
      log: undefined,
      webhook: {
        configFile: '/webhook',
        firstPauseMs: 1,
        mode: 'batch',
        batch: { bufferMax: 100, sizeMax: 100, waitMs: 60_000, throttle: undefined },
        truncate: undefined,
      },
    },
    clock: systemClock,
    logger: silentLogger,
    metrics,
    readFile: (path) => files[path],
    programs: { run: () => Promise.resolve({ kind: 'missing' }), nowMs: () => 0 },
    print: undefined,
  });
  const answer = () => Promise.resolve({ kind: 'json', code: 200, value: {} } as const);
  await audit?.filter(requestOf('/api/v1/namespaces/a/pods/b', 'one'), answer);
  await audit?.filter(requestOf('/version', 'two'), answer);
  await audit?.stop();
  expect(heard.length).toBe(2);
  const [first, second] = heard;
  expect(second).toEqual(first);
  expect([first.authorization, first.client]).toEqual(['Bearer abc', 'apiserver']);
  expect(first.list).toMatchObject({
    kind: 'EventList',
    apiVersion: 'audit.k8s.io/v1',
    items: [
      { auditID: 'one', objectRef: { resource: 'pods', namespace: 'a', name: 'b' }, sourceIPs: ['10.0.0.9'] },
      { auditID: 'two', requestURI: '/version', responseStatus: { code: 200 } },
    ],
  });
  expect(metrics.text()).toContain('apiserver_audit_event_total 2');
  expect(metrics.text()).not.toContain('apiserver_audit_error_total{');
});
