/**
 * What nobody may read: tokens, passwords, private keys, keys of encryption and contents of Secrets stand in no line of the
 * log at its most talkative, in no audit event that tells metadata, in no span of a trace, on no page of metrics, flags or debugging, and in no
 * refusal. A whole server is told marked secrets in every way there is, and made to fail wherever it can.
 */

import { generateKeyPairSync, randomInt, randomUUID } from 'node:crypto';

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Profiles, systemClock, toError } from '@keelson/base';
import type { Client } from '@keelson/client';

import { until } from '../../base/test/until.ts';
import { Collector } from '../../rpc/test/span-collector.ts';
import { MemberCluster } from '../../store/test/members.ts';
import { servingNames } from '../src/assembly/serving-names.ts';
import { CredentialMemory } from '../src/credentials/credential-store.ts';
import { gatherCredentials } from '../src/credentials/credentials.ts';
import { KubeApiServer } from '../src/kube-apiserver.ts';
import { KlogLogger } from '../src/logging/klog.ts';
import { parseConfig } from '../src/options/command-line.ts';
import { CertificateAuthority } from '../src/pki/authority.ts';

/** Each is told to the server in one way or another; nothing else would print one of them. */
const MARK = {
  adminToken: 'mark-admin-token-7f3ac1',
  userToken: 'mark-user-token-91bce2',
  wrongToken: 'mark-wrong-token-44d1aa',
  basicPassword: 'mark-basic-password-0be1',
  cookie: 'mark-cookie-5c5c5c',
  webhookToken: 'mark-webhook-token-d00d5e',
  webhookPassword: 'mark-webhook-password-77aa',
  execArgument: 'mark-exec-output-3e9f',
  secretData: 'mark-secret-data-1a2b3c',
  secretOther: 'mark-secret-other-4d5e6f',
  reviewedToken: 'mark-reviewed-token-9d8c',
  bootstrapSecret: 'markboot12345678',
  atRest: 'mark-at-rest-6c6c6c',
  fileLine: 'mark-file-line-2b2b2b',
} as const;
const ENCRYPTION_KEY = Buffer.from('mark-encryption-key-0123456789ab').toString('base64');
const FORGED = [
  '{"alg":"RS256","kid":"x"}',
  '{"iss":"https://kubernetes.default.svc","sub":"mark-forged-jwt-8e8e"}',
  'sig',
]
  .map((part) => Buffer.from(part).toString('base64url'))
  .join('.');

const signing = generateKeyPairSync('rsa', { modulusLength: 2048 });
const signingKey = signing.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const authority = CertificateAuthority.create('calls-ca', systemClock.nowMs());
const shown = authority.client({ commonName: 'apiserver' }, systemClock.nowMs());

/** A server that is never there. */
function kubeconfig(user: object): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'c', cluster: { server: 'https://127.0.0.1:1/hook', 'insecure-skip-tls-verify': true } },
    ],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  });
}

const POLICY = `
apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- {level: Metadata}
`;
const encryption = (key: string): string => `
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - aescbc: {keys: [{name: key1, secret: ${key}}]}
  - identity: {}
`;
const FILES: Record<string, string> = {
  '/policy': POLICY,
  '/encryption': encryption(ENCRYPTION_KEY),
  '/tokens': `${MARK.adminToken},admin,1,system:masters\n${MARK.userToken},user,2,team\n`,
  '/sa.key': signingKey,
  '/authn': kubeconfig({ token: MARK.webhookToken }),
  '/authz': kubeconfig({ username: 'hook', password: MARK.webhookPassword }),
  '/audit': kubeconfig({
    'client-certificate-data': Buffer.from(shown.certificate).toString('base64'),
    'client-key-data': Buffer.from(shown.key).toString('base64'),
  }),
  '/hooks': kubeconfig({ token: MARK.webhookToken }),
  '/admission': JSON.stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AdmissionConfiguration',
    plugins: [
      {
        name: 'ValidatingAdmissionWebhook',
        configuration: {
          apiVersion: 'apiserver.config.k8s.io/v1',
          kind: 'WebhookAdmissionConfiguration',
          kubeConfigFile: '/hooks',
        },
      },
    ],
  }),
};
/** A line in the middle of each private key. */
const keyLine = (pem: string): string => pem.split('\n')[2];

const FORBIDDEN: readonly (readonly [string, string])[] = [
  ...Object.entries(MARK),
  ...Object.entries(MARK).map(
    ([name, text]) => [`${name} in base64`, Buffer.from(text).toString('base64').slice(0, -4)] as const,
  ),
  ['the key of encryption', ENCRYPTION_KEY],
  ['the key of encryption, decoded', 'mark-encryption-key'],
  ['the forged token', FORGED.split('.')[1]],
  ['the key that signs', keyLine(signingKey)],
  ['the key that is shown', keyLine(shown.key)],
];

const lines: string[] = [];
const audited: string[] = [];
/** Answers with what was asked, but for those that hold a secret by right. */
const answers: string[] = [];
/** Tokens that were given out. */
const given: string[] = [];

const collector = new Collector();
let cluster: MemberCluster;
let client: Client;
let server: KubeApiServer;

const USUAL: readonly string[] = [
  '--etcd-servers=http://127.0.0.1:1',
  '--secure-port=0',
  '--bind-address=127.0.0.1',
  '-v=10',
];
const WHOLE: readonly string[] = [
  '--authorization-mode=RBAC,Webhook',
  '--authorization-webhook-config-file=/authz',
  '--authentication-token-webhook-config-file=/authn',
  '--token-auth-file=/tokens',
  '--audit-policy-file=/policy',
  '--audit-log-path=-',
  '--audit-webhook-config-file=/audit',
  '--audit-webhook-batch-max-wait=50ms',
  '--audit-webhook-initial-backoff=50ms',
  '--encryption-provider-config=/encryption',
  '--admission-control-config-file=/admission',
  '--service-account-issuer=https://kubernetes.default.svc',
  '--service-account-signing-key-file=/sa.key',
  '--service-account-key-file=/sa.key',
  '--enable-bootstrap-token-auth',
  '--tracing-config-file=/tracing',
];

function newServer(flags: readonly string[], files: Readonly<Record<string, string>> = {}): KubeApiServer {
  const readFile = (path: string): string => {
    const text = files[path] ?? FILES[path];
    if (text === undefined) throw new Error(`open ${path}: no such file or directory`);
    return text;
  };
  const parsed = parseConfig([...USUAL, ...flags], 'kube-apiserver');
  if (parsed.kind !== 'config') throw new Error(JSON.stringify(parsed));
  const { config } = parsed;
  const machine = { hostname: 'localhost', addresses: [] };
  const credentials = gatherCredentials({
    config,
    store: new CredentialMemory(),
    readFile,
    names: servingNames(config, machine, ''),
    nowMs: systemClock.nowMs(),
  });
  return new KubeApiServer({
    config,
    credentials,
    client,
    clock: systemClock,
    logger: new KlogLogger({
      write: (line) => void lines.push(line),
      nowMs: () => systemClock.nowMs(),
      pid: 1,
      format: 'text',
      verbosity: config.verbosity,
    }),
    uuid: randomUUID,
    random: (limit) => randomInt(limit),
    machine,
    lookup: () => Promise.resolve([]),
    runProgram: () => Promise.resolve({ kind: 'ended', code: 1, stdout: MARK.execArgument }),
    readFile,
    removeFile: () => undefined,
    issuerKeys: () => () => Promise.resolve([]),
    profiler: new Profiles(systemClock),
    print: (text) => void audited.push(text),
  });
}

beforeAll(async () => {
  cluster = await MemberCluster.start({ members: 1 });
  client = cluster.client();
  FILES['/tracing'] =
    'apiVersion: apiserver.config.k8s.io/v1\nkind: TracingConfiguration\nsamplingRatePerMillion: 1000000\n' +
    `endpoint: ${await collector.listen()}\n`;
  server = newServer(WHOLE);
  await server.start();
  await server.untilReady(AbortSignal.timeout(90_000));
}, 120_000);

afterAll(async () => {
  await server.stop(true);
  client.close();
  await cluster.stop();
  await collector.server.close();
});

interface Asked {
  readonly body?: object | string;
  readonly type?: string;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The answer holds a secret, and the asker may have it. */
  readonly byRight?: boolean;
}

async function ask(
  method: string,
  target: string,
  asked: Asked = {},
): Promise<{ code: number; text: string }> {
  const { body, type = 'application/json', token = MARK.adminToken, headers = {}, byRight = false } = asked;
  const answer = await server.call(target, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': type, ...headers },
    ...(body === undefined
      ? {}
      : { body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)) }),
  });
  const text = (await answer.bytes()).toString('utf8');
  if (!byRight)
    answers.push(`${method} ${target} ${answer.code} ${text} ${JSON.stringify([...answer.headers])}`);
  return { code: answer.code, text };
}

const SECRETS = '/api/v1/namespaces/default/secrets';
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const secret = (name: string, more: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name },
  data: { key: base64(MARK.secretData) },
  ...more,
});

function looksClean(where: string, text: string): void {
  for (const [name, forbidden] of FORBIDDEN) {
    const at = text.indexOf(forbidden);
    if (at >= 0) throw new Error(`${where} holds ${name}: ${text.slice(Math.max(0, at - 300), at + 100)}`);
  }
  for (const token of given) {
    if (text.includes(token) || text.includes(token.split('.')[2]))
      throw new Error(`${where} holds a token that was given out`);
  }
}

async function provoke(): Promise<void> {
  // Who asks.
  await Promise.all([
    ask('GET', '/api/v1/pods', { token: MARK.wrongToken }),
    ask('GET', '/api/v1/pods', { token: FORGED }),
    ask('GET', '/api/v1/pods', { token: `abcdef.${MARK.bootstrapSecret}` }),
    ask('GET', '/api/v1/pods', {
      headers: { authorization: `Basic ${base64(`user:${MARK.basicPassword}`)}` },
    }),
    ask('GET', '/api/v1/pods', { headers: { authorization: `Negotiate ${MARK.wrongToken}` } }),
    ask('GET', '/api/v1/pods', { headers: { cookie: `session=${MARK.cookie}` } }),
    ask('GET', SECRETS, { token: MARK.userToken }),
    ask('GET', '/nowhere', { token: MARK.userToken }),
    ask('GET', '/api/v1/pods', {
      headers: {
        'sec-websocket-protocol': `base64url.bearer.authorization.k8s.io.${base64(MARK.wrongToken)}`,
      },
    }),
    ask('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
      body: {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token: MARK.reviewedToken },
      },
      // The answer holds what was asked, as the original's.
      byRight: true,
    }),
  ]);
  // What is written.
  expect((await ask('POST', SECRETS, { body: secret('a'), byRight: true })).code).toBe(201);
  const wrong: readonly (readonly [string, string, Asked])[] = [
    ['POST', SECRETS, { body: secret('a') }],
    ['POST', SECRETS, { body: secret('B!') }],
    ['POST', SECRETS, { body: `{"kind":"Secret","apiVersion":"v1","data":{"key":"${MARK.secretOther}",` }],
    [
      'POST',
      SECRETS,
      { body: `kind: Secret\napiVersion: v1\ndata: {key: [${MARK.secretOther}\n`, type: 'application/yaml' },
    ],
    [
      'POST',
      SECRETS,
      {
        body: `kind: Secret\napiVersion: v1\nstringData:\n  a: ${MARK.secretOther}: b\n`,
        type: 'application/yaml',
      },
    ],
    [
      'POST',
      SECRETS,
      {
        body: Buffer.from(`k8s\0${MARK.secretOther}`).toString('latin1'),
        type: 'application/vnd.kubernetes.protobuf',
      },
    ],
    ['POST', SECRETS, { body: secret('b', { data: { key: MARK.secretOther } }) }],
    ['POST', SECRETS, { body: secret('b', { data: MARK.secretOther }) }],
    ['POST', SECRETS, { body: secret('b', { data: [MARK.secretOther] }) }],
    ['POST', SECRETS, { body: secret('b', { stringData: { key: [MARK.secretOther] } }) }],
    [
      'POST',
      SECRETS,
      {
        body: secret('b', {
          type: 'kubernetes.io/dockerconfigjson',
          data: { '.dockerconfigjson': base64(MARK.secretOther) },
        }),
      },
    ],
    [
      'POST',
      SECRETS,
      {
        body: secret('b', {
          type: 'kubernetes.io/dockercfg',
          stringData: { '.dockercfg': MARK.secretOther },
        }),
      },
    ],
    [
      'POST',
      SECRETS,
      { body: secret('b', { type: 'kubernetes.io/basic-auth', stringData: { other: MARK.secretOther } }) },
    ],
    [
      'POST',
      SECRETS,
      {
        body: secret('b', {
          type: 'kubernetes.io/service-account-token',
          stringData: { token: MARK.secretOther },
        }),
      },
    ],
    ['POST', `${SECRETS}?fieldValidation=Strict`, { body: secret('b', { unknown: MARK.secretOther }) }],
    ['PUT', `${SECRETS}/a`, { body: secret('other') }],
    ['PUT', `${SECRETS}/a`, { body: secret('a', { metadata: { name: 'a', resourceVersion: '1' } }) }],
    ['PUT', `${SECRETS}/a`, { body: secret('a', { type: 'kubernetes.io/tls' }) }],
    [
      'PATCH',
      `${SECRETS}/a`,
      {
        body: [{ op: 'test', path: '/data/key', value: MARK.secretOther }],
        type: 'application/json-patch+json',
      },
    ],
    [
      'PATCH',
      `${SECRETS}/a`,
      {
        body: [{ op: 'replace', path: '/data/key', value: { a: MARK.secretOther } }],
        type: 'application/json-patch+json',
      },
    ],
    [
      'PATCH',
      `${SECRETS}/a`,
      { body: { data: { key: MARK.secretOther } }, type: 'application/merge-patch+json' },
    ],
    [
      'PATCH',
      `${SECRETS}/a`,
      { body: { data: { key: { a: MARK.secretOther } } }, type: 'application/strategic-merge-patch+json' },
    ],
    [
      'PATCH',
      `${SECRETS}/a`,
      { body: `{"data": {"key": "${MARK.secretOther}"`, type: 'application/merge-patch+json' },
    ],
    [
      'PATCH',
      `${SECRETS}/a?fieldManager=m`,
      {
        body: secret('a', { data: { key: base64(MARK.secretOther) } }),
        type: 'application/apply-patch+yaml',
      },
    ],
    [
      'PATCH',
      `${SECRETS}/a?fieldManager=m&force=true`,
      {
        body: `apiVersion: v1\nkind: Secret\ndata: {key: ${MARK.secretOther}}\n`,
        type: 'application/apply-patch+yaml',
      },
    ],
    [
      'PATCH',
      `${SECRETS}/a?fieldManager=m`,
      {
        body: `apiVersion: v1\nkind: Secret\ndata: [${MARK.secretOther}\n`,
        type: 'application/apply-patch+yaml',
      },
    ],
    [
      'DELETE',
      `${SECRETS}/a`,
      { body: `{"kind":"DeleteOptions","preconditions":{"uid":"x"},"x":"${MARK.secretOther}"` },
    ],
    ['GET', `${SECRETS}/missing`, {}],
  ];
  const taken: string[] = [];
  for (const [method, target, asked] of wrong) {
    const { code } = await ask(method, target, asked);
    if (code < 400) taken.push(`${method} ${target} ${JSON.stringify(asked)}: ${code}`);
  }
  expect(taken).toEqual([]);
  await ask('GET', `${SECRETS}/a`, { byRight: true });
  await ask('GET', `${SECRETS}?limit=1`, { byRight: true });
  // Forms that tell no contents.
  for (const accept of [
    'application/json;as=Table;g=meta.k8s.io;v=v1',
    'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
  ]) {
    await ask('GET', SECRETS, { headers: { accept } });
  }
  // What is given out.
  await ask('POST', '/api/v1/namespaces/default/serviceaccounts', { body: { metadata: { name: 'robot' } } });
  const token = await ask('POST', '/api/v1/namespaces/default/serviceaccounts/robot/token', {
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 600 } },
    byRight: true,
  });
  const found = /"token": ?"([^"]+)"/.exec(token.text)?.[1] ?? '';
  expect(found).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
  given.push(found);
  await ask('GET', '/api/v1/namespaces/default/configmaps', { token: found });
  await ask('GET', '/api/v1/namespaces/default/configmaps', { token: `${found}x` });
  // Webhooks that are not there, and nodes.
  await ask('POST', '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations', {
    body: {
      metadata: { name: 'closed' },
      webhooks: [
        {
          name: 'closed.example.com',
          clientConfig: { url: 'https://127.0.0.1:1/hook' },
          rules: [
            {
              apiGroups: [''],
              apiVersions: ['v1'],
              operations: ['CREATE', 'UPDATE'],
              resources: ['secrets'],
            },
          ],
          sideEffects: 'None',
          admissionReviewVersions: ['v1'],
          timeoutSeconds: 2,
        },
      ],
    },
  });
  let refusal = '';
  await until(async () => {
    const { text } = await ask('POST', SECRETS, { body: secret('c'), byRight: true });
    refusal = text;
    return text.includes('failed calling webhook') || text.includes('already exists');
  });
  answers.push(refusal);
  await ask('POST', '/api/v1/nodes', {
    body: {
      metadata: { name: 'n' },
      status: {
        addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
        daemonEndpoints: { kubeletEndpoint: { Port: 1 } },
      },
    },
  });
  await ask('GET', '/api/v1/nodes/n/proxy/', { headers: { cookie: MARK.cookie } });
  // Values in the store that cannot be read.
  const key = (name: string): string => `/registry/secrets/default/${name}`;
  await client.kv.put(key('torn'), Buffer.from(`k8s:enc:aescbc:v1:key1:${MARK.atRest}${MARK.atRest}`));
  await client.kv.put(key('plain'), Buffer.from(`k8s\0${MARK.atRest}`));
  await client.kv.put(
    key('odd'),
    Buffer.from(`{"kind":"Secret","apiVersion":"v1","data":{"a":"${MARK.atRest}`),
  );
  for (const name of ['torn', 'plain', 'odd']) {
    await ask('GET', `${SECRETS}/${name}`);
    await ask('PUT', `${SECRETS}/${name}`, { body: secret(name) });
  }
  await ask('GET', `${SECRETS}?resourceVersion=0`, { byRight: true });
  for (const name of ['torn', 'plain', 'odd']) await client.kv.delete(key(name));
}

test('no secret leaves the server by its log, its audit, its pages or its refusals', async () => {
  await provoke();
  for (const page of [
    '/metrics',
    '/metrics/slis',
    '/flagz',
    '/statusz',
    '/readyz?verbose',
    '/debug/flags/',
    '/debug/pprof/',
    '/debug/api_priority_and_fairness/dump_requests',
    '/debug/api_priority_and_fairness/dump_queues',
  ]) {
    expect((await ask('GET', page)).code).toBe(200);
  }
  // The webhook of audit was tried and is not there: that is told too.
  await until(() => lines.some((line) => /audit/i.test(line)), 'the log tells of the audit webhook');
  expect(audited.join('').split('\n').length).toBeGreaterThan(50);
  // What was tried and is not there was told of.
  expect(lines.join('')).toContain('127.0.0.1:1');
  looksClean('the log', lines.join(''));
  looksClean('the audit log', audited.join(''));
  for (const answer of answers) looksClean('an answer', answer);
  await until(() => collector.spans.length > 100, 'spans come to the collector');
  for (const { name, attributes } of collector.spans)
    looksClean('a span', `${name} ${JSON.stringify(attributes)}`);
}, 180_000);

test.each<[string, readonly string[], Record<string, string>]>([
  ['a token file with a line too short', ['--token-auth-file=/bad'], { '/bad': `${MARK.fileLine},x\n` }],
  ['a token file with a quote left open', ['--token-auth-file=/bad'], { '/bad': `${MARK.fileLine},"x,1\n` }],
  [
    'a key of encryption that is no base64',
    ['--encryption-provider-config=/bad'],
    { '/bad': encryption(`${MARK.fileLine}!`) },
  ],
  [
    'a key of encryption of a wrong length',
    ['--encryption-provider-config=/bad'],
    { '/bad': encryption(base64(MARK.fileLine)) },
  ],
  [
    'a configuration of encryption that is no YAML',
    ['--encryption-provider-config=/bad'],
    { '/bad': `kind: [${MARK.fileLine}\nsecret: "` },
  ],
  [
    'a configuration of encryption of another kind',
    ['--encryption-provider-config=/bad'],
    { '/bad': `kind: X\napiVersion: v1\nsecret: ${MARK.fileLine}\n` },
  ],
  [
    'a kubeconfig that is no YAML',
    ['--authentication-token-webhook-config-file=/bad'],
    { '/bad': `users: [{user: {token: ${MARK.fileLine}\n` },
  ],
  [
    'a kubeconfig without a server',
    ['--authentication-token-webhook-config-file=/bad'],
    { '/bad': kubeconfig({ token: MARK.fileLine }).replace('https://', 'ftp://') },
  ],
  [
    'a kubeconfig with a key that is none',
    ['--authentication-token-webhook-config-file=/bad'],
    {
      '/bad': kubeconfig({
        'client-key-data': base64(MARK.fileLine),
        'client-certificate-data': base64(MARK.fileLine),
      }),
    },
  ],
  [
    'a signing key that is none',
    ['--service-account-signing-key-file=/bad', '--service-account-issuer=https://a.b'],
    { '/bad': `-----BEGIN PRIVATE KEY-----\n${MARK.fileLine}\n-----END PRIVATE KEY-----\n` },
  ],
  [
    'a serving key that is none',
    ['--tls-cert-file=/bad', '--tls-private-key-file=/bad'],
    { '/bad': `-----BEGIN PRIVATE KEY-----\n${MARK.fileLine}\n-----END PRIVATE KEY-----\n` },
  ],
])('a start that fails does not tell the file: %s', async (_name, flags, files) => {
  let said = '';
  let failing: KubeApiServer | undefined;
  try {
    failing = newServer(flags, files);
    await failing.start();
    // What starts all the same is asked for what it needs the file for.
    const answer = await failing.call('/api', {
      method: 'GET',
      headers: { authorization: `Bearer ${MARK.wrongToken}` },
    });
    said = `${answer.code} ${(await answer.bytes()).toString('utf8')}`;
  } catch (error) {
    for (let at: unknown = error; at !== undefined; at = toError(at).cause)
      said += `${toError(at).message}\n`;
  }
  await failing?.stop(true);
  expect(said).not.toBe('');
  looksClean('the refusal', said.split('\n')[0]);
  looksClean('the log', lines.join(''));
});
