/**
 * An aggregated API on a whole control plane without flags: the other server learns from the cluster whose word it may
 * take, as every one that is built on Kubernetes' libraries does, and is told who asks; also after a restart.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';

import { expect, test } from '@jest/globals';

import { CertificateAuthority } from '@keelson/apiserver';

import { until } from '../../base/test/until.ts';
import { startControlPlane, type ControlPlane } from '../src/index.ts';

const OWN = '/apis/metrics.example.com/v1';
const CONFIG = '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication';
const AUTHORITY = CertificateAuthority.create('metrics-ca', Date.now());
const PAIR = AUTHORITY.server('metrics', ['metrics.kube-system.svc'], Date.now());

interface Shown {
  readonly code: number;
  readonly text: string;
}

async function call(plane: ControlPlane, target: string, body?: object): Promise<Shown> {
  const answer = await plane.call(target, {
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { method: 'POST', body: Buffer.from(JSON.stringify(body)) }),
  });
  return { code: answer.code, text: (await answer.bytes()).toString('utf8') };
}

test('an aggregated API is served by a control plane as it starts, and after a restart', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'keelson-aggregated-'));
  const start = (): Promise<ControlPlane> =>
    startControlPlane({ disk: { path: folder }, controllers: [], readyTimeoutMs: 150_000 });
  let plane = await start();
  const asked: string[] = [];
  const config = await call(plane, CONFIG);
  const { data }: { data: Record<string, string> } = JSON.parse(config.text);
  expect(JSON.parse(data['requestheader-username-headers'])).toEqual(['X-Remote-User']);
  const names: string[] = JSON.parse(data['requestheader-allowed-names']);
  const backend = createServer(
    {
      cert: PAIR.certificate,
      key: PAIR.key,
      ca: data['requestheader-client-ca-file'],
      requestCert: true,
      rejectUnauthorized: false,
    },
    (request, response) => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server of TLS
      const socket = request.socket as TLSSocket;
      const trusted = socket.authorized && names.includes(socket.getPeerCertificate().subject.CN);
      const user = trusted ? String(request.headers['x-remote-user']) : 'nobody';
      asked.push(`${user} ${request.url ?? ''}`);
      response.setHeader('content-type', 'application/json');
      response.end(
        request.url === OWN
          ? '{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"metrics.example.com/v1","resources":[]}'
          : '{"kind":"Answer","apiVersion":"metrics.example.com/v1"}',
      );
    },
  );
  try {
    await new Promise<void>((resolve) => backend.listen(0, 'localhost', resolve));
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP port has such an address
    const { port } = backend.address() as AddressInfo;
    const service = await call(plane, '/api/v1/namespaces/kube-system/services', {
      metadata: { name: 'metrics' },
      spec: { type: 'ExternalName', externalName: 'localhost' },
    });
    expect(service.code).toBe(201);
    const registered = await call(plane, '/apis/apiregistration.k8s.io/v1/apiservices', {
      metadata: { name: 'v1.metrics.example.com' },
      spec: {
        group: 'metrics.example.com',
        version: 'v1',
        groupPriorityMinimum: 100,
        versionPriority: 100,
        caBundle: Buffer.from(AUTHORITY.certificate).toString('base64'),
        service: { namespace: 'kube-system', name: 'metrics', port },
      },
    });
    expect(registered.code).toBe(201);
    for (const run of [1, 2]) {
      await until(async () => (await call(plane, `${OWN}/things/${run}`)).code === 200);
      expect(asked).toContain(`system:apiserver ${OWN}/things/${run}`);
      expect((await call(plane, '/metrics')).text).toContain(
        'aggregator_unavailable_apiservice{name="v1.metrics.example.com"} 0',
      );
      await plane.stop();
      if (run === 1) plane = await start();
    }
  } finally {
    await plane.stop();
    backend.closeAllConnections();
    await new Promise((resolve) => {
      backend.close(resolve);
    });
    rmSync(folder, { recursive: true, force: true });
  }
}, 300_000);
