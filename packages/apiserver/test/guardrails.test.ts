/** A whole server over our store with audit, fairness and encryption at rest as its flags say: what kubectl would see, and what lies in the store. */
import { randomInt, randomUUID } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { silentLogger, systemClock } from '@keelson/base';
import type { Client } from '@keelson/client';

import { MemberCluster } from '../../store/test/members.ts';
import { isJsonObject, type Json, type JsonObject } from '../src/api/json.ts';
import { readJson } from '../src/codec/json-reader.ts';
import { CredentialMemory } from '../src/credentials/credential-store.ts';
import { gatherCredentials } from '../src/credentials/credentials.ts';
import { KubeApiServer } from '../src/kube-apiserver.ts';
import { parseConfig } from '../src/options/command-line.ts';
import { servingNames } from '../src/assembly/serving-names.ts';

const POLICY = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitManagedFields: true
rules:
- {level: None, nonResourceURLs: ['/readyz*', '/livez*', '/metrics']}
- {level: None, resources: [{group: flowcontrol.apiserver.k8s.io}]}
- {level: RequestResponse, resources: [{group: '', resources: [configmaps]}]}
- {level: Metadata, omitStages: [RequestReceived]}
`;
const ENCRYPTION = `
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - secretbox: {keys: [{name: key1, secret: MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=}]}
  - identity: {}
`;
const FILES: Readonly<Record<string, string>> = {
  '/policy': POLICY,
  '/encryption': ENCRYPTION,
  '/tokens': 'viewer-token,viewer,1,"team"\n',
};
const MACHINE = { hostname: 'localhost', addresses: [] };

let cluster: MemberCluster;
let client: Client;
let server: KubeApiServer;
let lines: string[] = [];

function readFile(path: string): string {
  const text = FILES[path];
  if (text === undefined) throw new Error(`open ${path}: no such file or directory`);
  return text;
}

function configOf(...flags: string[]) {
  const parsed = parseConfig(
    [
      '--etcd-servers=http://127.0.0.1:1',
      '--secure-port=0',
      '--bind-address=127.0.0.1',
      '--authorization-mode=RBAC',
      ...flags,
    ],
    'kube-apiserver',
  );
  if (parsed.kind !== 'config') throw new Error(JSON.stringify(parsed));
  return parsed;
}

function newServer(...flags: string[]): KubeApiServer {
  const { config } = configOf(...flags);
  return new KubeApiServer({
    config,
    credentials: gatherCredentials({
      config,
      store: new CredentialMemory(),
      readFile,
      names: servingNames(config, MACHINE, ''),
      nowMs: systemClock.nowMs(),
    }),
    client,
    clock: systemClock,
    logger: silentLogger,
    uuid: randomUUID,
    random: (limit) => randomInt(limit),
    machine: MACHINE,
    lookup: () => Promise.resolve([]),
    runProgram: () => Promise.resolve({ kind: 'missing' }),
    readFile,
    removeFile: () => undefined,
    issuerKeys: () => () => Promise.resolve([]),
    print: (text) => void lines.push(...text.trimEnd().split('\n')),
  });
}

async function ready(one: KubeApiServer): Promise<void> {
  await one.start();
  try {
    await one.untilReady(AbortSignal.timeout(45_000));
  } catch (error) {
    const answer = await one.call('/readyz?verbose');
    throw new Error((await answer.bytes()).toString('utf8'), { cause: error });
  }
}

beforeAll(async () => {
  cluster = await MemberCluster.start({ members: 1 });
  client = cluster.client();
  server = newServer(
    '--audit-policy-file=/policy',
    '--audit-log-path=-',
    '--encryption-provider-config=/encryption',
    '--token-auth-file=/tokens',
  );
  await ready(server);
});

afterAll(async () => {
  await server.stop(true);
  client.close();
  await cluster.stop();
});

interface Answered {
  readonly code: number;
  readonly body: JsonObject;
  readonly text: string;
  readonly headers: ReadonlyMap<string, readonly string[]>;
}

async function ask(
  method: string,
  target: string,
  body?: object | string,
  headers: Record<string, string> = {},
): Promise<Answered> {
  const answer = await server.call(target, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    ...(body === undefined
      ? {}
      : { body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)) }),
  });
  const text = (await answer.bytes()).toString('utf8');
  const value: Json = text.startsWith('{') ? readJson(text) : {};
  return { code: answer.code, body: isJsonObject(value) ? value : {}, text, headers: answer.headers };
}

const eventsOf = (auditId: string | undefined): JsonObject[] =>
  lines.flatMap((line) => {
    const event = readJson(line);
    return isJsonObject(event) && event['auditID'] === auditId ? [event] : [];
  });

describe('audit', () => {
  test('a write: what came, what was answered, who, and why he may', async () => {
    const { headers, code } = await ask('POST', '/api/v1/namespaces/default/configmaps?fieldManager=me', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'a' },
      data: { k: 'v' },
    });
    expect(code).toBe(201);
    const [received, complete, ...others] = eventsOf(headers.get('audit-id')?.[0]);
    expect(others).toEqual([]);
    expect(received).toMatchObject({ stage: 'RequestReceived', level: 'RequestResponse', verb: 'create' });
    expect(received['requestObject']).toBeUndefined();
    expect(complete).toMatchObject({
      stage: 'ResponseComplete',
      requestURI: '/api/v1/namespaces/default/configmaps?fieldManager=me',
      user: { username: 'system:apiserver' },
      sourceIPs: ['127.0.0.1'],
      objectRef: { resource: 'configmaps', namespace: 'default', name: 'a', apiVersion: 'v1' },
      responseStatus: { metadata: {}, code: 201 },
      requestObject: { kind: 'ConfigMap', apiVersion: 'v1', data: { k: 'v' } },
      responseObject: { kind: 'ConfigMap', data: { k: 'v' } },
      annotations: { 'authorization.k8s.io/decision': 'allow' },
    });
    expect(JSON.stringify(complete['responseObject'])).not.toContain('managedFields');
  });

  test('a refusal, for somebody else', async () => {
    const { headers, code } = await ask('GET', '/api/v1/namespaces/default/pods', undefined, {
      'impersonate-user': 'viewer',
      'impersonate-group': 'team',
    });
    expect(code).toBe(403);
    expect(eventsOf(headers.get('audit-id')?.[0])).toMatchObject([
      {
        stage: 'ResponseComplete',
        level: 'Metadata',
        user: { username: 'system:apiserver' },
        impersonatedUser: { username: 'viewer', groups: ['team', 'system:authenticated'] },
        responseStatus: { metadata: {}, status: 'Failure', reason: 'Forbidden', code: 403 },
        annotations: { 'authorization.k8s.io/decision': 'forbid' },
      },
    ]);
  });

  test('nobody, with a wrong token', async () => {
    const { headers, code } = await ask('GET', '/api/v1/pods', undefined, { authorization: 'Bearer wrong' });
    expect(code).toBe(401);
    expect(eventsOf(headers.get('audit-id')?.[0])).toMatchObject([
      {
        stage: 'ResponseStarted',
        user: {},
        responseStatus: { message: 'Unauthorized', code: 401 },
      },
    ]);
  });

  test('a token is known by its id, an object by its name, a refused command has begun', async () => {
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'robot' } };
    const accounts = '/api/v1/namespaces/default/serviceaccounts';
    const made = await ask('POST', accounts, JSON.stringify(account));
    expect(eventsOf(made.headers.get('audit-id')?.[0]).at(-1)).toMatchObject({
      stage: 'ResponseComplete',
      level: 'Metadata',
      objectRef: { resource: 'serviceaccounts', name: 'robot' },
    });
    const token = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
    const issued = await ask('POST', `${accounts}/robot/token`, JSON.stringify(token));
    expect(eventsOf(issued.headers.get('audit-id')?.[0]).at(-1)?.['annotations']).toMatchObject({
      'authentication.kubernetes.io/issued-credential-id': expect.stringMatching(/^JTI=[0-9a-f-]+$/),
    });
    const as = { 'impersonate-user': 'viewer' };
    const refused = await ask('POST', '/api/v1/namespaces/default/pods/p/exec?command=x', undefined, as);
    expect(eventsOf(refused.headers.get('audit-id')?.[0]).map(({ stage }) => stage)).toEqual(
      expect.arrayContaining(['ResponseStarted', 'ResponseComplete']),
    );
  });

  test('a patch as it was sent; a deletion; a watch from its beginning to its end', async () => {
    const patched = await ask('PATCH', '/api/v1/namespaces/default/configmaps/a', '{"data":{"k":"w"}}', {
      'content-type': 'application/merge-patch+json',
    });
    expect(eventsOf(patched.headers.get('audit-id')?.[0])[1]).toMatchObject({
      verb: 'patch',
      requestObject: { data: { k: 'w' } },
      responseObject: { data: { k: 'w' } },
    });
    const going = new AbortController();
    const watch = await server.call('/api/v1/namespaces/default/configmaps?watch=1', {
      signal: going.signal,
    });
    const id = watch.headers.get('audit-id')?.[0];
    for await (const chunk of watch.chunks) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    for (let turn = 0; turn < 1_000 && eventsOf(id).length < 3; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(eventsOf(id).map(({ stage }) => stage)).toEqual([
      'RequestReceived',
      'ResponseStarted',
      'ResponseComplete',
    ]);
  });
});

describe('metrics', () => {
  /** Those that the original calls stable or beta and that say something of this server. */
  const NAMES = [
    'apiserver_admission_controller_admission_duration_seconds histogram',
    'apiserver_admission_step_admission_duration_seconds histogram',
    'apiserver_audit_event_total counter',
    'apiserver_audit_level_total counter',
    'apiserver_authorization_decisions_total counter',
    'apiserver_current_inflight_requests gauge',
    'apiserver_flowcontrol_current_executing_requests gauge',
    'apiserver_flowcontrol_current_executing_seats gauge',
    'apiserver_flowcontrol_current_inqueue_requests gauge',
    'apiserver_flowcontrol_dispatched_requests_total counter',
    'apiserver_flowcontrol_nominal_limit_seats gauge',
    'apiserver_flowcontrol_request_wait_duration_seconds histogram',
    'apiserver_longrunning_requests gauge',
    'apiserver_request_duration_seconds histogram',
    'apiserver_request_sli_duration_seconds histogram',
    'apiserver_request_total counter',
    'apiserver_requested_deprecated_apis gauge',
    'apiserver_resource_objects gauge',
    'apiserver_response_sizes histogram',
    'apiserver_storage_objects gauge',
    'authenticated_user_requests counter',
    'authentication_attempts counter',
    'authentication_duration_seconds histogram',
    'authorization_attempts_total counter',
    'authorization_duration_seconds histogram',
  ];

  test('have the names and types that dashboards know', async () => {
    const going = new AbortController();
    const watch = await server.call('/api/v1/namespaces/default/endpoints?watch=1', { signal: going.signal });
    await ask('GET', '/api/v1/namespaces/default/endpoints');
    await ask('POST', '/api/v1/namespaces/default/configmaps?dryRun=All', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'counted' },
    });
    expect((await ask('GET', '/api/v1/pods', undefined, { authorization: 'Bearer viewer-token' })).code).toBe(
      403,
    );
    expect((await ask('GET', '/api/v1/pods', undefined, { authorization: 'Bearer wrong' })).code).toBe(401);
    const viewer = { authorization: 'Bearer viewer-token' };
    expect((await ask('GET', '/version', undefined, viewer)).code).toBe(200);
    const { text, headers } = await ask('GET', '/metrics');
    expect(headers.get('content-type')).toEqual(['text/plain; version=0.0.4; charset=utf-8']);
    const types = [...text.matchAll(/^# TYPE (\S+ \S+)$/gm)].map(([, type]) => type);
    expect(NAMES.filter((name) => !types.includes(name))).toEqual([]);
    expect(types).toEqual([...new Set(types)]);
    for (const line of [
      'apiserver_longrunning_requests{component="apiserver",group="",resource="endpoints",scope="namespace",subresource="",verb="WATCH",version="v1"} 1',
      'authorization_attempts_total{result="no-opinion"} ',
      'etcd_requests_total{operation="create",group="",resource="namespaces"} ',
      'etcd_request_duration_seconds_count{operation="create",group="",resource="namespaces"} ',
      'apiserver_authorization_decisions_total{type="RBAC",name="rbac",decision="allowed"} ',
      'authentication_attempts{result="error"} ',
      'apiserver_requested_deprecated_apis{group="",removed_release="",resource="endpoints",subresource="",version="v1"} 1',
      'apiserver_admission_controller_admission_duration_seconds_count{name="ResourceQuota",operation="CREATE",rejected="false",type="validate"} ',
    ]) {
      expect(text).toContain(line);
    }
    going.abort();
    await watch.bytes().catch(() => undefined);
  });

  test('of checks, as indicators', async () => {
    const { text: checks } = await ask('GET', '/readyz?verbose');
    expect(checks.split('\n')).toEqual(
      expect.arrayContaining([
        '[+]ping ok',
        '[+]log ok',
        '[+]etcd ok',
        '[+]etcd-readiness ok',
        '[+]shutdown ok',
      ]),
    );
    // What upstream's end-to-end tests look for at every endpoint.
    for (const endpoint of ['healthz', 'livez', 'readyz']) {
      const { text: said } = await ask('GET', `/${endpoint}?verbose`);
      for (const hook of [
        'start-apiserver-admission-initializer',
        'generic-apiserver-start-informers',
        'start-apiextensions-informers',
        'start-apiextensions-controllers',
        'crd-informer-synced',
        'bootstrap-controller',
        'start-system-namespaces-controller',
        'start-service-ip-repair-controllers',
        'scheduling/bootstrap-system-priority-classes',
        'start-cluster-authentication-info-controller',
        'start-kube-aggregator-informers',
        'apiservice-registration-controller',
        'apiservice-status-local-available-controller',
        'apiservice-status-remote-available-controller',
        'kube-apiserver-autoregistration',
        'apiservice-openapi-controller',
      ]) {
        expect(said).toContain(`[+]poststarthook/${hook} ok`);
      }
      expect(said).toContain('[+]autoregister-completion ok');
    }
    expect((await ask('GET', '/livez/etcd-readiness')).code).toBe(404);
    const { text } = await ask('GET', '/metrics/slis');
    expect(text).toContain('kubernetes_healthcheck{name="etcd",type="readyz"} 1');
    expect(text).toMatch(/kubernetes_healthchecks_total\{name="ping",status="success",type="readyz"\} [1-9]/);
  });
});

describe('encryption at rest', () => {
  test('clients see plain text, the store does not', async () => {
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 's' },
      data: { password: Buffer.from('hunter2').toString('base64') },
    };
    expect((await ask('POST', '/api/v1/namespaces/default/secrets', secret)).code).toBe(201);
    const stored = await client.kv.value('/registry/secrets/default/s');
    expect(stored?.subarray(0, 28).toString('latin1')).toBe(
      'k8s:enc:secretbox:v1:key1:'.padEnd(26) + (stored?.subarray(26, 28).toString('latin1') ?? ''),
    );
    expect(stored?.includes('hunter2')).toBe(false);
    expect((await ask('GET', '/api/v1/namespaces/default/secrets/s')).body['data']).toEqual(secret.data);
    expect((await ask('GET', '/api/v1/secrets?limit=500')).text).toContain(secret.data.password);
    const { text } = await ask('GET', '/metrics');
    expect(text).toContain('transformation_type="to_storage",transformer_prefix="k8s:enc:secretbox:v1:"');
  });

  test('another server without the key does not read it, and says nothing of it', async () => {
    const other = newServer();
    await ready(other);
    const answer = await other.call('/api/v1/namespaces/default/secrets/s');
    expect(answer.code).toBe(500);
    expect((await answer.bytes()).toString('utf8')).not.toContain('hunter2');
    await other.stop(true);
  });

  test.each<[string[], string]>([
    [
      ['--encryption-provider-config=/nowhere'],
      'error while parsing file: open /nowhere: no such file or directory',
    ],
    [
      ['--audit-log-path=-', '--audit-policy-file=/nowhere'],
      'loading audit policy file: open /nowhere: no such file or directory',
    ],
    [['--audit-log-path=-', '--audit-policy-file=/encryption'], 'loading audit policy file: failed decoding'],
  ])('files that cannot be used: %j', (flags, message) => {
    expect(() => newServer(...flags)).toThrow(message);
  });
});

describe('fairness', () => {
  test('answers name the schema and the level they were of', async () => {
    const { headers } = await ask('GET', '/api/v1/namespaces/default/configmaps/a');
    const schema = await ask('GET', '/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/exempt');
    const level = await ask(
      'GET',
      '/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations/exempt',
    );
    const uid = ({ body }: Answered): unknown => isJsonObject(body['metadata']) && body['metadata']['uid'];
    expect(headers.get('x-kubernetes-pf-flowschema-uid')).toEqual([uid(schema)]);
    expect(headers.get('x-kubernetes-pf-prioritylevel-uid')).toEqual([uid(level)]);
    const refused = await ask('GET', '/api/v1/nodes', undefined, { authorization: 'Bearer viewer-token' });
    expect(refused.code).toBe(403);
    const global = await ask('GET', '/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/global-default');
    expect(refused.headers.get('x-kubernetes-pf-flowschema-uid')).toEqual([uid(global)]);
  });

  test('the condition of a schema follows its level', async () => {
    const path = '/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas';
    const dangling = async (name: string): Promise<unknown> => {
      const { body } = await ask('GET', `${path}/${name}`);
      const { status } = body;
      const conditions = isJsonObject(status) ? status['conditions'] : [];
      return Array.isArray(conditions)
        ? conditions.map((each) => (isJsonObject(each) ? [each['type'], each['status'], each['reason']] : []))
        : [];
    };
    const until = async (name: string, want: unknown): Promise<void> => {
      const signal = AbortSignal.timeout(30_000);
      while (JSON.stringify(await dangling(name)) !== JSON.stringify(want) && !signal.aborted) {
        await new Promise((resolve) => systemClock.setTimer(20, () => resolve(undefined)));
      }
      expect(await dangling(name)).toEqual(want);
    };
    await until('global-default', [['Dangling', 'False', 'Found']]);
    const schema = {
      apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
      kind: 'FlowSchema',
      metadata: { name: 'mine' },
      spec: {
        priorityLevelConfiguration: { name: 'nowhere' },
        rules: [
          {
            subjects: [{ kind: 'Group', group: { name: '*' } }],
            nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
          },
        ],
      },
    };
    expect((await ask('POST', path, schema)).code).toBe(201);
    await until('mine', [['Dangling', 'True', 'NotFound']]);
  });

  test('a level that is full answers 429', async () => {
    const level = {
      apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
      kind: 'PriorityLevelConfiguration',
      metadata: { name: 'closed' },
      spec: { type: 'Limited', limited: { nominalConcurrencyShares: 0, limitResponse: { type: 'Reject' } } },
    };
    expect(
      (await ask('POST', '/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations', level)).code,
    ).toBe(201);
    const { text } = await ask('GET', '/debug/api_priority_and_fairness/dump_priority_levels');
    expect(text).toMatch(/^PriorityLevelName, +ActiveQueues, IsIdle, /);
    expect((await ask('GET', '/debug/api_priority_and_fairness/dump_queues')).text).toContain(
      'global-default,',
    );
    expect((await ask('GET', '/metrics')).text).toContain('apiserver_flowcontrol_dispatched_requests_total{');
  });
});

test('the issuer of tokens says that its keys are where this server is reached', async () => {
  const { code, body } = await ask('GET', '/.well-known/openid-configuration');
  expect(code).toBe(200);
  expect(body['jwks_uri']).toBe(`https://127.0.0.1:${server.securePort}/openid/v1/jwks`);
});
