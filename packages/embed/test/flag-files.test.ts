/** Files that flags name: webhooks of tokens and of authorization, settings of plugins, certificates by host name. */

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { CertificateAuthority, kubeconfig } from '@keelson/apiserver';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { startControlPlane, type ControlPlane } from '../src/index.ts';

const authority = CertificateAuthority.create('hooks', Date.now());
const folder = mkdtempSync(path.join(tmpdir(), 'keelson-flags-'));
const file = (name: string, text: string): string => {
  const at = path.join(folder, name);
  writeFileSync(at, text);
  return at;
};

interface Asked {
  readonly path: string;
  /** Whose certificate was shown. */
  readonly by: string;
  readonly authorization: string;
  readonly body: { kind: string; apiVersion: string; spec: Record<string, unknown> };
}

const asked: Asked[] = [];
let hooks: Server;
let plane: ControlPlane;
let wary: ControlPlane;

/** Knows one token; lets that token's user do everything in the namespace `default`. */
function answerTo({ body }: Asked): object {
  const { spec } = body;
  if (body.kind === 'TokenReview') {
    const known = spec['token'] === 'good';
    return {
      authenticated: known,
      ...(known ? { user: { username: 'mia', groups: ['team'] } } : {}),
    };
  }
  if (body.kind === 'SubjectAccessReview') {
    const { namespace } = (spec['resourceAttributes'] ?? {}) as { namespace?: string };
    return { allowed: spec['user'] === 'mia' && namespace === 'default', reason: 'she may' };
  }
  return {};
}

async function startHooks(): Promise<number> {
  const own = authority.server('hooks', ['127.0.0.1'], Date.now());
  hooks = createServer(
    {
      cert: own.certificate,
      key: own.key,
      ca: authority.certificate,
      requestCert: true,
      rejectUnauthorized: false,
    },
    (incoming, answer) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', () => {
        const shown = (incoming.socket as TLSSocket).getPeerCertificate();
        const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Asked['body'] & {
          request?: { uid: string };
        };
        const { authorization = '' } = incoming.headers;
        const question = {
          path: incoming.url ?? '',
          by: shown.subject?.CN ?? '',
          authorization,
          body,
        };
        asked.push(question);
        const reply =
          body.kind === 'AdmissionReview'
            ? { ...body, response: { uid: body.request?.uid, allowed: true } }
            : { ...body, status: answerTo(question) };
        answer.setHeader('content-type', 'application/json');
        answer.end(JSON.stringify(reply));
      });
    },
  );
  await new Promise<void>((resolve) => hooks.listen(0, '127.0.0.1', resolve));
  return (hooks.address() as AddressInfo).port;
}

function namedPair(name: string): string {
  const { certificate, key } = authority.server(name, [name], Date.now());
  return `${file(`${name}.crt`, certificate)},${file(`${name}.key`, key)}`;
}

beforeAll(async () => {
  const port = await startHooks();
  const server = `https://127.0.0.1:${port}`;
  const facts = { cluster: 'hooks', certificateAuthority: authority.certificate, user: 'keelson' };
  const certificate = authority.client({ commonName: 'keelson', organizations: [] }, Date.now());
  const tokens = file(
    'tokens.conf',
    kubeconfig({
      ...facts,
      server: `${server}/tokens`,
      credentials: { kind: 'certificate', ...certificate },
    }),
  );
  const access = kubeconfig({
    ...facts,
    server: `${server}/access`,
    credentials: { kind: 'token', token: 'secret' },
  });
  file(
    'webhooks.conf',
    JSON.stringify({ users: [{ name: `127.0.0.1:${port}`, user: { token: 'for-webhooks' } }] }),
  );
  const admission = `
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: PodSecurity
  configuration:
    apiVersion: pod-security.admission.config.k8s.io/v1
    kind: PodSecurityConfiguration
    defaults: {enforce: restricted}
    exemptions: {namespaces: [kube-system]}
- name: ValidatingAdmissionWebhook
  configuration:
    apiVersion: apiserver.config.k8s.io/v1
    kind: WebhookAdmissionConfiguration
    kubeConfigFile: webhooks.conf
`;
  plane = await startControlPlane({
    readyTimeoutMs: 150_000,
    controllers: [],
    flags: [
      `--authentication-token-webhook-config-file=${tokens}`,
      '--authentication-token-webhook-version=v1',
      `--authorization-mode=RBAC,Webhook`,
      `--authorization-webhook-config-file=${file('access.conf', access)}`,
      '--authorization-webhook-version=v1',
      `--admission-control-config-file=${file('admission.yaml', admission)}`,
      '--default-not-ready-toleration-seconds=7',
      `--tls-sni-cert-key=${namedPair('one.example')}`,
      `--tls-sni-cert-key=${namedPair('two.example')}:*.two.example`,
      '--tls-min-version=VersionTLS13',
      '--storage-media-type=application/json',
    ],
  });
  const configured = `
apiVersion: apiserver.config.k8s.io/v1
kind: AuthorizationConfiguration
authorizers:
- type: RBAC
  name: rbac
- type: Webhook
  name: hook
  webhook:
    timeout: 30s
    subjectAccessReviewVersion: v1
    failurePolicy: Deny
    connectionInfo: {type: KubeConfigFile, kubeConfigFile: ${path.join(folder, 'access.conf')}}
`;
  wary = await startControlPlane({
    readyTimeoutMs: 150_000,
    controllers: [],
    flags: [
      '--tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384',
      '--disable-http2-serving',
      `--token-auth-file=${file('tokens.csv', 'good,mia,1\nother,tom,2\n')}`,
      `--authorization-config=${file('authorization.yaml', configured)}`,
    ],
  });
});

afterAll(async () => {
  await plane?.stop();
  await wary?.stop();
  hooks?.closeAllConnections();
  await new Promise((resolve) => hooks.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

async function get(from: ControlPlane, target: string, token: string): Promise<number> {
  const answer = await from.call(target, { headers: { authorization: `Bearer ${token}` } });
  await answer.bytes();
  return answer.code;
}

async function post(target: string, body: object): Promise<{ code: number; text: string }> {
  const answer = await plane.call(target, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify(body)),
  });
  return { code: answer.code, text: (await answer.bytes()).toString('utf8') };
}

const pod = (namespace: string): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'one', namespace },
  spec: { automountServiceAccountToken: false, containers: [{ name: 'c', image: 'i' }] },
});

describe('webhooks of tokens and of authorization', () => {
  test('name the user and say what she may', async () => {
    expect(await get(plane, '/api/v1/namespaces/default/configmaps', 'good')).toBe(200);
    expect(await get(plane, '/api/v1/namespaces/kube-system/configmaps', 'good')).toBe(403);
    expect(await get(plane, '/api/v1/namespaces/default/configmaps', 'bad')).toBe(401);
    const [token] = asked.filter(({ body }) => body.kind === 'TokenReview');
    expect(token).toMatchObject({
      path: '/tokens',
      by: 'keelson',
      body: { apiVersion: 'authentication.k8s.io/v1', spec: { token: 'good' } },
    });
    const [access] = asked.filter(({ body }) => body.kind === 'SubjectAccessReview');
    expect(access).toMatchObject({
      path: '/access',
      authorization: 'Bearer secret',
      body: { spec: { user: 'mia', groups: ['team', 'system:authenticated'] } },
    });
  });

  test('by --authorization-config', async () => {
    expect(await get(wary, '/api/v1/namespaces/default/configmaps', 'good')).toBe(200);
    expect(await get(wary, '/api/v1/namespaces/default/configmaps', 'other')).toBe(403);
  });
});

describe('--admission-control-config-file', () => {
  test('sets what plugins do', async () => {
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };
    for (const namespace of ['default', 'kube-system']) {
      expect((await post(`/api/v1/namespaces/${namespace}/serviceaccounts`, account)).code).toBe(201);
    }
    const refused = await post('/api/v1/namespaces/default/pods', pod('default'));
    expect([refused.code, refused.text]).toEqual([
      403,
      expect.stringContaining('violates PodSecurity \\"restricted:latest\\"'),
    ]);
    const made = await post('/api/v1/namespaces/kube-system/pods', pod('kube-system'));
    expect(made.code).toBe(201);
    expect(JSON.parse(made.text)).toMatchObject({
      spec: {
        tolerations: [
          { key: 'node.kubernetes.io/not-ready', tolerationSeconds: 7 },
          { key: 'node.kubernetes.io/unreachable', tolerationSeconds: 300 },
        ],
      },
    });
  });

  test('gives webhooks their credentials', async () => {
    const { port } = hooks.address() as AddressInfo;
    const webhook = {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name: 'secrets' },
      webhooks: [
        {
          name: 'secrets.example.com',
          admissionReviewVersions: ['v1'],
          sideEffects: 'None',
          rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['secrets'] }],
          clientConfig: {
            url: `https://127.0.0.1:${port}/admit`,
            caBundle: Buffer.from(authority.certificate).toString('base64'),
          },
        },
      ],
    };
    const kind = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
    expect((await post(kind, webhook)).code).toBe(201);
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { generateName: 's-' } };
    // The configuration is followed by a watch: some writes may pass before it is known.
    let seen: Asked | undefined;
    for (let count = 0; seen === undefined && count < 200; count += 1) {
      expect((await post('/api/v1/namespaces/default/secrets', secret)).code).toBe(201);
      seen = asked.find(({ body }) => body.kind === 'AdmissionReview');
    }
    expect(seen).toMatchObject({ authorization: 'Bearer for-webhooks' });
    expect(seen?.path).toMatch(/^\/admit\?timeout=/);
  });
});

test('--storage-media-type: JSON', async () => {
  const { kvs } = await plane.etcd.kv.get('/registry/namespaces/default');
  expect(JSON.parse(Buffer.from(kvs[0]?.value ?? '').toString('utf8'))).toMatchObject({
    kind: 'Namespace',
    apiVersion: 'v1',
  });
});

interface Shown {
  readonly commonName: string;
  readonly protocol: string | null;
  readonly alpn: string | false | null;
  readonly cipher: string;
}

function shown(to: ControlPlane, servername: string, options: object = {}): Promise<Shown> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(to.url);
    const socket = connect(
      {
        host: hostname,
        port: Number(port),
        servername,
        rejectUnauthorized: false,
        ALPNProtocols: ['h2', 'http/1.1'],
        ...options,
      },
      () => {
        resolve({
          commonName: socket.getPeerCertificate().subject.CN,
          protocol: socket.getProtocol(),
          alpn: socket.alpnProtocol,
          cipher: socket.getCipher().name,
        });
        socket.destroy();
      },
    );
    socket.on('error', reject);
  });
}

describe('TLS', () => {
  test.each<[string, string]>([
    ['one.example', 'one.example'],
    ['ONE.example', 'one.example'],
    ['x.two.example', 'two.example'],
    ['two.example', 'kube-apiserver'],
    ['x.y.two.example', 'kube-apiserver'],
  ])('asked by %s, the certificate of %s is shown', async (name, expected) => {
    expect((await shown(plane, name)).commonName).toBe(expected);
  });

  test('the lowest version, suites, and no HTTP/2', async () => {
    await expect(shown(plane, 'x', { maxVersion: 'TLSv1.2' })).rejects.toThrow('alert protocol version');
    expect(await shown(wary, 'x', { maxVersion: 'TLSv1.2' })).toMatchObject({
      cipher: 'ECDHE-ECDSA-AES256-GCM-SHA384',
      alpn: 'http/1.1',
    });
    const narrow = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' };
    await expect(shown(wary, 'x', narrow)).rejects.toThrow('handshake failure');
    await new Promise<void>((resolve, reject) => {
      request(`${wary.url}/readyz`, { rejectUnauthorized: false }, (answer) => {
        answer.resume();
        answer.on('end', resolve);
      })
        .on('error', reject)
        .end();
    });
  });
});
