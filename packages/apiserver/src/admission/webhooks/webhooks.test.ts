/** Webhooks against a caller that answers as it is told: whom is asked, what is sent, what becomes of the answer. */

import { describe, expect, test } from '@jest/globals';
import { systemClock } from '@keelson/base';

import {
  attributesFor,
  Cluster,
  pluginContext,
  type RequestOptions,
} from '../../../test/admission-cluster.ts';
import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { ApiError, hasReason } from '../../api/status.ts';
import { asJson, asObject } from '../../codec/object-codec.ts';
import { textMap, withFieldAt } from '../../validation/value.ts';
import { AdmissionChain } from '../chain.ts';
import type { AdmissionPlugin, MutatingPlugin } from '../admission.ts';
import { mutatingAdmissionWebhook } from '../plugins/mutating-webhook.ts';
import { validatingAdmissionWebhook } from '../plugins/validating-webhook.ts';
import { endpointResolver } from './service-resolver.ts';
import type { WebhookContext } from './webhook-context.ts';

interface Sent {
  readonly url: string;
  readonly caBundle: string;
  readonly address: string;
  readonly timeoutMs: number;
  readonly body: JsonObject & { readonly request: JsonObject; readonly apiVersion: string };
}

/** What a webhook answers: the response's members, bytes with a code, or an error. */
type Answer = JsonObject | { readonly code: number; readonly bytes: string } | Error;

class Hooks {
  readonly sent: Sent[] = [];
  readonly observed: string[] = [];
  private readonly answers: Readonly<Record<string, Answer | readonly Answer[]>>;

  /** @param answers by the path of the webhook's URL */
  constructor(answers: Readonly<Record<string, Answer | readonly Answer[]>>) {
    this.answers = answers;
  }

  get paths(): string[] {
    return this.sent.map(({ url }) => new URL(url).pathname);
  }

  context(more: Partial<WebhookContext> = {}): WebhookContext {
    let serial = 0;
    return {
      uuid: () => `uid-${(serial += 1)}`,
      versions: {
        equivalents: ({ resource }) =>
          resource === 'events'
            ? [
                {
                  resource: { group: 'events.k8s.io', version: 'v1', resource: 'events' },
                  kind: { group: 'events.k8s.io', version: 'v1', kind: 'Event' },
                },
              ]
            : [],
        show: (object, { kind }) =>
          kind.group === 'events.k8s.io' ? { ...object, apiVersion: 'events.k8s.io/v1' } : object,
        take: (value) => asObject(value),
        schema: () => undefined,
      },
      caller: {
        post: (target, body, { timeoutMs }) => {
          // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what we sent ourselves
          const sent = JSON.parse(body.toString('utf8')) as Sent['body'];
          const { address } = target;
          this.sent.push({
            url: target.url,
            caBundle: target.caBundle,
            address: address === undefined ? '' : `${address.host}:${address.port}`,
            timeoutMs,
            body: sent,
          });
          const { pathname } = new URL(target.url);
          const all = this.answers[pathname] ?? { allowed: true };
          const nth = this.paths.filter((path) => path === pathname).length - 1;
          const answer: Answer = Array.isArray(all) ? all[Math.min(nth, all.length - 1)] : all;
          if (answer instanceof Error) return Promise.reject(answer);
          if ('bytes' in answer && typeof answer['bytes'] === 'string') {
            return Promise.resolve({ code: Number(answer.code), body: Buffer.from(answer['bytes']) });
          }
          const review = {
            apiVersion: sent.apiVersion,
            kind: 'AdmissionReview',
            response: { uid: sent.request['uid'], ...answer },
          };
          return Promise.resolve({ code: 200, body: Buffer.from(JSON.stringify(review)) });
        },
      },
      observer: {
        called: ({ name, code, rejected }) => this.observed.push(`${name} ${code} ${rejected}`),
        rejected: ({ name }, errorType) => this.observed.push(`${name} ${errorType}`),
        failedOpen: (name) => this.observed.push(`${name} failed open`),
      },
      ...more,
    };
  }
}

const ALL_PODS = [{ operations: ['*'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }];

function hook(name: string, settings: Record<string, unknown> = {}): JsonObject {
  return {
    name: `${name}.example.com`,
    clientConfig: {
      url: `https://hooks.example.com/${name}`,
      caBundle: Buffer.from('PEM').toString('base64'),
    },
    rules: ALL_PODS,
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    timeoutSeconds: 5,
    ...(settings as JsonObject),
  };
}

function configuration(kind: 'Mutating' | 'Validating', name: string, ...hooks: JsonObject[]): KubeObject {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: `${kind}WebhookConfiguration`,
    metadata: { name },
    webhooks: hooks,
  };
}

const POD: KubeObject = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'ns' } };
const NAMESPACE: KubeObject = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'ns', labels: { team: 'a' } },
};

function labelPatch(key: string, value = 'x'): JsonObject {
  const operations = [{ op: 'add', path: '/metadata/labels', value: { [key]: value } }];
  return {
    allowed: true,
    patchType: 'JSONPatch',
    patch: Buffer.from(JSON.stringify(operations)).toString('base64'),
  };
}

interface Ran {
  readonly object: KubeObject | undefined;
  readonly error: ApiError | undefined;
  readonly warnings: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
}

async function run(
  hooks: Hooks,
  objects: readonly KubeObject[],
  request: RequestOptions = {},
  more: { readonly webhooks?: Partial<WebhookContext>; readonly plugins?: readonly AdmissionPlugin[] } = {},
): Promise<Ran> {
  const cluster = new Cluster([NAMESPACE, ...objects]);
  const context = { ...pluginContext({ cluster }), webhooks: hooks.context(more.webhooks) };
  const chain = new AdmissionChain(
    [...(more.plugins ?? []), mutatingAdmissionWebhook(context), validatingAdmissionWebhook(context)].filter(
      (plugin) => plugin !== undefined,
    ),
  );
  const attributes = attributesFor({ object: POD, ...request });
  let object: KubeObject | undefined;
  let error: ApiError | undefined;
  try {
    object = await chain.mutate(attributes);
    await chain.validate({ ...attributes, object });
  } catch (caught) {
    if (!(caught instanceof ApiError)) throw caught;
    error = caught;
  }
  return { object, error, warnings: attributes.warnings, annotations: attributes.annotations };
}

function labelsOf(object: KubeObject | undefined): Readonly<Record<string, string>> {
  return textMap({ ...object?.metadata }, 'labels');
}

describe('the question', () => {
  test('everything about the request, in the original’s form', async () => {
    const hooks = new Hooks({});
    await run(hooks, [configuration('Validating', 'c', hook('a'))], {
      operation: 'UPDATE',
      oldObject: POD,
      dryRun: true,
      user: { name: 'jane', uid: 'u', groups: ['g'], extra: { k: ['v'] } },
      options: { apiVersion: 'meta.k8s.io/v1', kind: 'UpdateOptions', metadata: {}, dryRun: ['All'] },
    });
    expect(hooks.sent).toEqual([
      {
        url: 'https://hooks.example.com/a?timeout=5s',
        caBundle: 'PEM',
        address: '',
        timeoutMs: 5_000,
        body: {
          kind: 'AdmissionReview',
          apiVersion: 'admission.k8s.io/v1',
          request: {
            uid: 'uid-1',
            kind: { group: '', version: 'v1', kind: 'Pod' },
            resource: { group: '', version: 'v1', resource: 'pods' },
            requestKind: { group: '', version: 'v1', kind: 'Pod' },
            requestResource: { group: '', version: 'v1', resource: 'pods' },
            name: 'p',
            namespace: 'ns',
            operation: 'UPDATE',
            userInfo: { username: 'jane', uid: 'u', groups: ['g'], extra: { k: ['v'] } },
            object: asJson(POD),
            oldObject: asJson(POD),
            dryRun: true,
            options: { apiVersion: 'meta.k8s.io/v1', kind: 'UpdateOptions', dryRun: ['All'] },
          },
        },
      },
    ]);
  });

  test('the first version of the review that both know', async () => {
    const hooks = new Hooks({});
    const versions = { admissionReviewVersions: ['v9', 'v1beta1', 'v1'] };
    await run(hooks, [configuration('Validating', 'c', hook('a', versions))]);
    expect(hooks.sent[0].body.apiVersion).toBe('admission.k8s.io/v1beta1');
  });

  test('a service is called by its name, at one of its endpoints', async () => {
    const hooks = new Hooks({});
    const service = {
      clientConfig: { service: { namespace: 'infra', name: 'hooks', path: 'ask', port: 8443 } },
    };
    const objects = [
      configuration('Validating', 'c', hook('a', service)),
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'hooks', namespace: 'infra' },
        spec: { ports: [{ name: 'https', port: 8443 }] },
      },
      {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name: 's', namespace: 'infra', labels: { 'kubernetes.io/service-name': 'hooks' } },
        ports: [{ name: 'https', port: 9443 }],
        endpoints: [
          { addresses: ['10.0.0.1'], conditions: { ready: false } },
          { addresses: ['10.0.0.2'], conditions: { ready: true } },
        ],
      },
    ];
    const resolve = endpointResolver(new Cluster(objects), () => 0);
    await run(hooks, objects, {}, { webhooks: { resolve } });
    expect(hooks.sent.map(({ url, address }) => [url, address])).toEqual([
      ['https://hooks.infra.svc:8443/ask?timeout=5s', '10.0.0.2:9443'],
    ]);
  });

  test('another form of the same objects, where a rule names that only', async () => {
    const rules = [{ ...ALL_PODS[0], apiGroups: ['events.k8s.io'], resources: ['events'] }];
    const hooks = new Hooks({});
    const event: KubeObject = { apiVersion: 'v1', kind: 'Event', metadata: { name: 'e', namespace: 'ns' } };
    await run(
      hooks,
      [configuration('Validating', 'c', hook('a', { rules }), hook('b', { rules, matchPolicy: 'Exact' }))],
      { object: event, resource: 'events' },
    );
    expect(hooks.paths).toEqual(['/a']);
    const { request } = hooks.sent[0].body;
    expect(request['kind']).toEqual({ group: 'events.k8s.io', version: 'v1', kind: 'Event' });
    expect(request['requestKind']).toEqual({ group: '', version: 'v1', kind: 'Event' });
    expect(request['object']).toMatchObject({ apiVersion: 'events.k8s.io/v1' });
  });
});

describe('who is asked', () => {
  test.each<[string, Record<string, unknown>, RequestOptions, boolean]>([
    ['another operation', { rules: [{ ...ALL_PODS[0], operations: ['DELETE'] }] }, {}, false],
    ['another group', { rules: [{ ...ALL_PODS[0], apiGroups: ['apps'] }] }, {}, false],
    ['any group', { rules: [{ ...ALL_PODS[0], apiGroups: ['*'] }] }, {}, true],
    ['a subresource the rule leaves out', {}, { subresource: 'status' }, false],
    [
      'all subresources',
      { rules: [{ ...ALL_PODS[0], resources: ['pods/*'] }] },
      { subresource: 'status' },
      true,
    ],
    ['everything', { rules: [{ ...ALL_PODS[0], resources: ['*/*'] }] }, { subresource: 'status' }, true],
    [
      'what lies in no namespace, for a namespaced rule',
      { rules: [{ ...ALL_PODS[0], scope: 'Cluster' }] },
      {},
      false,
    ],
    ['a namespaced rule', { rules: [{ ...ALL_PODS[0], scope: 'Namespaced' }] }, {}, true],
    ['the labels of the namespace', { namespaceSelector: { matchLabels: { team: 'a' } } }, {}, true],
    ['other labels of the namespace', { namespaceSelector: { matchLabels: { team: 'b' } } }, {}, false],
    ['the labels of the object', { objectSelector: { matchLabels: { app: 'x' } } }, {}, false],
    [
      'the labels of the object as it was',
      { objectSelector: { matchLabels: { app: 'x' } } },
      { operation: 'UPDATE', oldObject: withFieldAt(POD, ['metadata', 'labels'], { app: 'x' }) },
      true,
    ],
  ])('%s', async (_name, settings, request, wanted) => {
    const hooks = new Hooks({});
    await run(hooks, [configuration('Validating', 'c', hook('a', settings))], request);
    expect(hooks.paths).toEqual(wanted ? ['/a'] : []);
  });

  test('nobody about the configurations themselves', async () => {
    const hooks = new Hooks({});
    const rules = [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*'] }];
    const own = configuration('Validating', 'c', hook('a', { rules }));
    await run(hooks, [own], { object: own });
    expect(hooks.paths).toEqual([]);
  });

  test('a namespace that is made is known by the labels it is made with', async () => {
    const hooks = new Hooks({});
    const rules = [{ ...ALL_PODS[0], resources: ['namespaces'] }];
    const selector = { rules, namespaceSelector: { matchLabels: { team: 'new' } } };
    const fresh = { ...NAMESPACE, metadata: { name: 'fresh', labels: { team: 'new' } } };
    await run(hooks, [configuration('Validating', 'c', hook('a', selector))], {
      object: fresh,
      namespace: 'fresh',
    });
    expect(hooks.paths).toEqual(['/a']);
  });

  test('conditions that cannot be evaluated refuse, or leave the webhook out', async () => {
    const hooks = new Hooks({});
    const conditions = { matchConditions: [{ name: 'n', expression: 'object.spec.none == 1' }] };
    const closed = await run(hooks, [configuration('Validating', 'c', hook('a', conditions))]);
    expect(closed.error?.message).toBe(
      'pods "p" is forbidden: expression \'object.spec.none == 1\' resulted in error: no such key: spec',
    );
    const open = hook('a', { ...conditions, failurePolicy: 'Ignore' });
    expect((await run(hooks, [configuration('Validating', 'c', open)])).error).toBeUndefined();
    expect(hooks.paths).toEqual([]);
  });

  test('conditions that are evaluated choose', async () => {
    const hooks = new Hooks({});
    const conditions = { matchConditions: [{ name: 'n', expression: 'request.operation == "UPDATE"' }] };
    const config = configuration(
      'Validating',
      'c',
      hook('a', conditions),
      hook('b', { matchConditions: [{ name: 'n', expression: 'object.metadata.name == "p"' }] }),
    );
    await run(hooks, [config]);
    expect(hooks.paths).toEqual(['/b']);
  });
});

describe('the answer', () => {
  test.each<[string, JsonObject, { code: number; reason: string; message: string }]>([
    [
      'without a word',
      { allowed: false },
      {
        code: 400,
        reason: '',
        message: 'admission webhook "a.example.com" denied the request without explanation',
      },
    ],
    [
      'with code, reason and message',
      { allowed: false, status: { code: 418, reason: 'Teapot', message: 'short and stout' } },
      {
        code: 418,
        reason: 'Teapot',
        message: 'admission webhook "a.example.com" denied the request: short and stout',
      },
    ],
    [
      'with a reason only, and a code that is none',
      { allowed: false, status: { code: 200, reason: 'Forbidden' } },
      {
        code: 400,
        reason: 'Forbidden',
        message: 'admission webhook "a.example.com" denied the request: Forbidden',
      },
    ],
  ])('refused %s', async (_name, answer, wanted) => {
    for (const kind of ['Mutating', 'Validating'] as const) {
      const { error } = await run(new Hooks({ '/a': answer }), [configuration(kind, 'c', hook('a'))]);
      expect(error?.status).toMatchObject(wanted);
    }
  });

  test('warnings and annotations are passed on', async () => {
    const answer = { allowed: true, warnings: ['careful'], auditAnnotations: { key: 'value' } };
    const { warnings, annotations } = await run(new Hooks({ '/a': answer }), [
      configuration('Validating', 'c', hook('a')),
    ]);
    expect(warnings).toEqual(['careful']);
    expect(annotations).toEqual({ 'a.example.com/key': 'value' });
  });

  test.each<[string, 'Mutating' | 'Validating', Answer, string]>([
    [
      'of another question',
      'Validating',
      { allowed: true, uid: 'other' },
      'expected response.uid="uid-1", got "other"',
    ],
    ['with a patch', 'Validating', labelPatch('a'), 'validating webhook may not return response.patch'],
    [
      'with the type of a patch',
      'Validating',
      { allowed: true, patchType: 'JSONPatch' },
      'validating webhook may not return response.patchType',
    ],
    [
      'with a patch of no type',
      'Mutating',
      { allowed: true, patch: 'W10=' },
      'webhook returned response.patch but not response.patchType',
    ],
    [
      'with a type of no patch',
      'Mutating',
      { allowed: true, patchType: 'JSONPatch' },
      'webhook returned response.patchType but not response.patch',
    ],
    [
      'without a response',
      'Validating',
      { code: 200, bytes: '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}' },
      'webhook response was absent',
    ],
    [
      'of another kind',
      'Validating',
      { code: 200, bytes: '{"apiVersion":"v1","kind":"Other","response":{"uid":"uid-1"}}' },
      'expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got v1, Kind=Other',
    ],
  ])('that is none, %s', async (_name, kind, answer, text) => {
    const { error } = await run(new Hooks({ '/a': answer }), [configuration(kind, 'c', hook('a'))]);
    expect(error?.status).toMatchObject({
      code: 500,
      reason: 'InternalError',
      message: `Internal error occurred: failed calling webhook "a.example.com": received invalid webhook response: ${text}`,
    });
  });

  test.each<[string, Answer, string]>([
    [
      'nobody there',
      new Error('Post "https://x": dial tcp 1.2.3.4:443: connect: connection refused'),
      'Post "https://x": dial tcp 1.2.3.4:443: connect: connection refused',
    ],
    [
      'an error',
      { code: 500, bytes: 'oops' },
      'an error on the server ("oops") has prevented the request from succeeding',
    ],
    [
      'nothing at that path',
      { code: 404, bytes: '404 page not found' },
      'the server could not find the requested resource',
    ],
    [
      'a redirect',
      { code: 302, bytes: '' },
      'the server responded with the status code 302 but did not return more information',
    ],
    ['a Status', { code: 503, bytes: '{"kind":"Status","apiVersion":"v1","message":"later"}' }, 'later'],
  ])('that does not come: %s', async (_name, answer, text) => {
    for (const kind of ['Mutating', 'Validating'] as const) {
      const hooks = new Hooks({ '/a': answer });
      const closed = await run(hooks, [configuration(kind, 'c', hook('a'))]);
      expect(closed.error?.status).toMatchObject({
        code: 500,
        reason: 'InternalError',
        message: `Internal error occurred: failed calling webhook "a.example.com": failed to call webhook: ${text}`,
      });
      expect(hooks.observed).toContain('a.example.com calling_webhook_error');
      const lenient = new Hooks({ '/a': answer });
      const open = await run(lenient, [configuration(kind, 'c', hook('a', { failurePolicy: 'Ignore' }))]);
      expect(open.error).toBeUndefined();
      expect(lenient.observed).toContain('a.example.com failed open');
      const prefix = kind === 'Mutating' ? 'mutation' : 'validating';
      expect(open.annotations).toMatchObject({
        [`failed-open.${prefix}.webhook.admission.k8s.io/round_0_index_0`]: 'a.example.com',
      });
    }
  });

  test('a dry run is only for those without side effects', async () => {
    const hooks = new Hooks({});
    const effects = hook('a', { sideEffects: 'Some', failurePolicy: 'Ignore' });
    const { error } = await run(hooks, [configuration('Validating', 'c', effects)], { dryRun: true });
    expect(hasReason(error, 'BadRequest')).toBe(true);
    expect(error?.message).toBe('admission webhook "a.example.com" does not support dry run');
    expect(hooks.paths).toEqual([]);
  });

  test('all that validate are asked; the first that refuses is heard', async () => {
    const no = (message: string): JsonObject => ({ allowed: false, status: { message } });
    const hooks = new Hooks({ '/b': no('b'), '/c': no('c') });
    const config = configuration('Validating', 'x', hook('a'), hook('b'), hook('c'));
    const { error } = await run(hooks, [config]);
    expect(hooks.paths.toSorted()).toEqual(['/a', '/b', '/c']);
    expect(error?.message).toBe('admission webhook "b.example.com" denied the request: b');
  });
});

describe('mutation', () => {
  test('one after the other, configurations by name, each on what the one before made', async () => {
    const hooks = new Hooks({ '/a': labelPatch('a'), '/b': labelPatch('b') });
    const { object, annotations } = await run(hooks, [
      configuration('Mutating', 'second', hook('b')),
      configuration('Mutating', 'first', hook('a')),
    ]);
    expect(hooks.paths).toEqual(['/a', '/b']);
    expect(hooks.sent[1].body.request['object']).toMatchObject({ metadata: { labels: { a: 'x' } } });
    expect(labelsOf(object)).toEqual({ b: 'x' });
    expect(annotations['mutation.webhook.admission.k8s.io/round_0_index_0']).toBe(
      '{"configuration":"first","webhook":"a.example.com","mutated":true}',
    );
    expect(annotations['patch.webhook.admission.k8s.io/round_0_index_0']).toBe(
      '{"configuration":"first","webhook":"a.example.com","patch":[{"op":"add","path":"/metadata/labels","value":{"a":"x"}}],"patchType":"JSONPatch"}',
    );
  });

  test('who wants to is asked again when one behind changed something, once', async () => {
    const hooks = new Hooks({ '/a': labelPatch('a'), '/b': labelPatch('b') });
    const again = hook('a', { reinvocationPolicy: 'IfNeeded' });
    const { object } = await run(hooks, [configuration('Mutating', 'c', again, hook('b'))]);
    expect(hooks.paths).toEqual(['/a', '/b', '/a']);
    expect(labelsOf(object)).toEqual({ a: 'x' });
  });

  test('not when only its own patch changed something', async () => {
    const hooks = new Hooks({ '/a': labelPatch('a') });
    const again = hook('a', { reinvocationPolicy: 'IfNeeded' });
    await run(hooks, [configuration('Mutating', 'c', again, hook('b'))]);
    expect(hooks.paths).toEqual(['/a', '/b']);
  });

  test('also when a built-in plugin changed something in the second round', async () => {
    const hooks = new Hooks({ '/a': [labelPatch('a'), labelPatch('again')] });
    const counter: MutatingPlugin = {
      name: 'counter',
      handles: () => true,
      admit: ({ object }, { again }) =>
        Promise.resolve(
          again && object !== undefined
            ? withFieldAt(object, ['metadata', 'labels', 'seen'], 'again')
            : object,
        ),
    };
    const again = hook('a', { reinvocationPolicy: 'IfNeeded' });
    const { object } = await run(hooks, [configuration('Mutating', 'c', again)], {}, { plugins: [counter] });
    expect(hooks.paths).toEqual(['/a', '/a']);
    expect(labelsOf(object)).toEqual({ again: 'x' });
  });

  test('nobody is asked for the first time in the second round', async () => {
    const hooks = new Hooks({ '/b': labelPatch('app', 'x') });
    const late = hook('a', { objectSelector: { matchLabels: { app: 'x' } }, reinvocationPolicy: 'IfNeeded' });
    await run(hooks, [configuration('Mutating', 'c', late, hook('b'))]);
    expect(hooks.paths).toEqual(['/b']);
  });

  test('an empty patch changes nothing', async () => {
    const empty = { allowed: true, patchType: 'JSONPatch', patch: Buffer.from('[]').toString('base64') };
    const { object } = await run(new Hooks({ '/a': empty }), [configuration('Mutating', 'c', hook('a'))]);
    expect(object).toBe(POD);
  });

  test.each<[string, string, string]>([
    [
      'that cannot be read',
      '{',
      'failed calling webhook "a.example.com": received undecodable patch in webhook response: ',
    ],
    ['that does not fit', '[{"op":"remove","path":"/spec/none"}]', ''],
  ])('a patch %s', async (_name, patch, text) => {
    const answer = { allowed: true, patchType: 'JSONPatch', patch: Buffer.from(patch).toString('base64') };
    const { error } = await run(new Hooks({ '/a': answer }), [configuration('Mutating', 'c', hook('a'))]);
    expect(error?.status).toMatchObject({ code: 500, reason: 'InternalError' });
    expect(error?.message).toContain(`Internal error occurred: ${text}`);
  });

  test('a deletion cannot be changed', async () => {
    const { error } = await run(
      new Hooks({ '/a': labelPatch('a') }),
      [configuration('Mutating', 'c', hook('a'))],
      {
        operation: 'DELETE',
        object: undefined,
        oldObject: POD,
      },
    );
    expect(error?.message).toBe(
      'Internal error occurred: admission webhook "a.example.com" attempted to modify the object, which is not supported for this operation',
    );
  });
});

test('a request whose client went away is no failure of the webhook', async () => {
  const ended = AbortSignal.abort();
  const cluster = new Cluster([
    NAMESPACE,
    configuration('Validating', 'c', hook('a', { failurePolicy: 'Ignore' })),
  ]);
  const hooks = new Hooks({ '/a': new Error('context canceled') });
  const plugin = validatingAdmissionWebhook({
    ...pluginContext({ cluster, clock: systemClock }),
    webhooks: hooks.context(),
  });
  const attributes = { ...attributesFor({ object: POD }), signal: ended };
  await expect(plugin?.validate(attributes)).rejects.toThrow(
    'request did not complete within requested timeout',
  );
});
