/**
 * Admission policies in a whole control plane, written and met with stock kubectl: parameters, messages, warnings, audit,
 * what is wrong with them in their status, and a rule that costs too much while others go on.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { kubectlStarts, run, type Run } from '../../apiserver/test/kubectl-program.ts';
import { until } from '../../base/test/until.ts';
import { startControlPlane, type ControlPlane } from '../src/index.ts';

const here = mkdtempSync(path.join(tmpdir(), 'keelson-policies-'));
const audit = path.join(here, 'audit.log');
let plane: ControlPlane;

beforeAll(async () => {
  const policy = path.join(here, 'audit.yaml');
  writeFileSync(policy, 'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{ level: Metadata }]\n');
  plane = await startControlPlane({
    readyTimeoutMs: 150_000,
    flags: [`--audit-policy-file=${policy}`, `--audit-log-path=${audit}`, '--audit-log-mode=blocking'],
  });
  writeFileSync(path.join(here, 'kubeconfig'), JSON.stringify(plane.kubeConfig()));
});

afterAll(async () => {
  await plane.stop();
  rmSync(here, { recursive: true });
});

interface Answer {
  readonly code: number;
  readonly text: string;
  readonly warnings: readonly string[];
}

async function ask(method: string, target: string, body?: object): Promise<Answer> {
  const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const answer = await plane.call(target, {
    method,
    headers: {
      'user-agent': 'test/1',
      ...(bytes === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': String(bytes.length) }),
    },
    ...(bytes === undefined ? {} : { body: bytes }),
  });
  const text = (await answer.bytes()).toString('utf8');
  return { code: answer.code, text, warnings: answer.headers.get('warning') ?? [] };
}

let serial = 0;

async function kubectl(args: readonly string[], manifest?: string): Promise<Run> {
  const rest: string[] = [];
  if (manifest !== undefined) {
    const file = path.join(here, `${(serial += 1)}.yaml`);
    writeFileSync(file, manifest);
    rest.push('-f', file);
  }
  return await run('kubectl', [...args, ...rest], {
    KUBECONFIG: path.join(here, 'kubeconfig'),
    HOME: here,
  });
}

function configMap(
  name: string,
  data: Record<string, string> = {},
  labels: Record<string, string> = {},
): object {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels }, data };
}

const MAPS = '/api/v1/namespaces/default/configmaps';
const POLICIES = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies';
const BINDINGS = `${POLICIES.slice(0, -'ies'.length)}ybindings`;
const there = await kubectlStarts();

/** A policy about config maps with a label of its name, and its binding. */
function policyOf(name: string, spec: object, binding: object = {}): readonly [object, object] {
  const rule = {
    operations: ['CREATE', 'UPDATE'],
    apiGroups: [''],
    apiVersions: ['v1'],
    resources: ['configmaps'],
  };
  return [
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name },
      spec: {
        matchConstraints: { resourceRules: [rule], objectSelector: { matchLabels: { policy: name } } },
        ...spec,
      },
    },
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: { name },
      spec: { policyName: name, validationActions: ['Deny'], ...binding },
    },
  ];
}

async function bind(name: string, spec: object, binding: object = {}): Promise<void> {
  const [policy, bound] = policyOf(name, spec, binding);
  expect(await ask('POST', POLICIES, policy)).toMatchObject({ code: 201 });
  expect(await ask('POST', BINDINGS, bound)).toMatchObject({ code: 201 });
}

(there ? describe : describe.skip)('with kubectl (skipped where there is none)', () => {
  const DEMO = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: replicalimits.rules.example.com }
spec:
  group: rules.example.com
  scope: Namespaced
  names: { plural: replicalimits, singular: replicalimit, kind: ReplicaLimit }
  versions:
    - name: v1
      served: true
      storage: true
      schema: { openAPIV3Schema: { type: object, properties: { maxReplicas: { type: integer } } } }
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: { name: replicas }
spec:
  failurePolicy: Fail
  paramKind: { apiVersion: rules.example.com/v1, kind: ReplicaLimit }
  matchConstraints:
    resourceRules:
      - { apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments] }
  variables:
    - { name: replicas, expression: 'object.spec.?replicas.orValue(1)' }
  validations:
    - expression: variables.replicas <= params.maxReplicas
      messageExpression: "'replicas must be no greater than ' + string(params.maxReplicas)"
      reason: Invalid
  auditAnnotations:
    - { key: replicas, valueExpression: "'asked for ' + string(variables.replicas)" }
`;
  const BINDING = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: { name: replicas-default }
spec:
  policyName: replicas
  validationActions: [Deny, Audit]
  paramRef: { name: limit, namespace: default, parameterNotFoundAction: Deny }
`;
  const deploy = async (name: string, replicas: number): Promise<Run> =>
    await kubectl(['create', 'deployment', name, '--image=i', `--replicas=${replicas}`]);

  test('a parameter of a custom kind, messages, audit annotations', async () => {
    const made = await kubectl(['apply'], DEMO);
    expect([made.err, made.out]).toEqual([
      '',
      'customresourcedefinition.apiextensions.k8s.io/replicalimits.rules.example.com created\n' +
        'validatingadmissionpolicy.admissionregistration.k8s.io/replicas created\n',
    ]);
    const waited = ['wait', '--for=condition=Established', 'crd/replicalimits.rules.example.com'];
    expect(await kubectl(waited)).toMatchObject({ code: 0 });
    expect(await kubectl(['apply'], BINDING)).toMatchObject({
      code: 0,
      out: 'validatingadmissionpolicybinding.admissionregistration.k8s.io/replicas-default created\n',
    });
    let refused: Run | undefined;
    await until(async () => {
      refused = await deploy('none', 1);
      if (refused.code === 0) await kubectl(['delete', 'deployment', 'none']);
      return refused.code !== 0;
    });
    expect(refused?.err).toBe(
      "error: failed to create deployment: deployments.apps \"none\" is forbidden: ValidatingAdmissionPolicy 'replicas' with binding 'replicas-default' denied request: " +
        'failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction\n',
    );
    const limit =
      'apiVersion: rules.example.com/v1\nkind: ReplicaLimit\nmetadata: { name: limit }\nmaxReplicas: 3\n';
    expect(await kubectl(['apply'], limit)).toMatchObject({ code: 0 });
    expect(await deploy('small', 3)).toMatchObject({ code: 0, out: 'deployment.apps/small created\n' });
    const large = await deploy('large', 4);
    expect([large.code, large.err]).toEqual([
      1,
      "error: failed to create deployment: deployments.apps \"large\" is forbidden: ValidatingAdmissionPolicy 'replicas' with binding 'replicas-default' denied request: replicas must be no greater than 3\n",
    ]);
    const scaled = await kubectl([
      'patch',
      'deployment',
      'small',
      '--type=merge',
      '-p',
      '{"spec":{"replicas":9}}',
    ]);
    expect(scaled.err).toBe(
      "The deployments \"small\" is invalid: : ValidatingAdmissionPolicy 'replicas' with binding 'replicas-default' denied request: replicas must be no greater than 3\n",
    );
    const dry = await kubectl([
      'create',
      'deployment',
      'dry',
      '--image=i',
      '--replicas=7',
      '--dry-run=server',
    ]);
    expect(dry.err).toContain('replicas must be no greater than 3');
    const events = readFileSync(audit, 'utf8')
      .split('\n')
      .filter((line) => line.includes('validation.policy.admission.k8s.io/validation_failure'));
    const event: unknown = JSON.parse(events.find((line) => line.includes('large')) ?? '{}');
    expect(event).toMatchObject({
      annotations: {
        'replicas/replicas': 'asked for 4',
        'validation.policy.admission.k8s.io/validation_failure':
          '[{"message":"replicas must be no greater than 3","policy":"replicas","binding":"replicas-default","expressionIndex":0,"validationActions":["Deny","Audit"]}]',
      },
    });
  });

  test('warnings', async () => {
    await bind(
      'warns',
      {
        validations: [
          { expression: 'has(object.data) && has(object.data.owner)', message: 'an owner should be named' },
        ],
      },
      { validationActions: ['Warn'] },
    );
    let warned: Run | undefined;
    await until(async () => {
      await kubectl(['delete', 'configmap', 'warned', '--ignore-not-found']);
      warned = await kubectl(
        ['create'],
        'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: warned, labels: { policy: warns } }\n',
      );
      return warned.err !== '';
    });
    expect([warned?.code, warned?.out, warned?.err]).toEqual([
      0,
      'configmap/warned created\n',
      "Warning: Validation failed for ValidatingAdmissionPolicy 'warns' with binding 'warns': an owner should be named\n",
    ]);
  });

  test('a mutating policy changes what is made, custom objects too', async () => {
    const made = await kubectl(
      ['apply'],
      `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: { name: sidecars }
spec:
  reinvocationPolicy: IfNeeded
  matchConstraints:
    resourceRules:
      - { apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [pods] }
  matchConditions:
    - { name: absent, expression: 'object.spec.?initContainers.orValue([]).all(c, c.name != "mesh")' }
  mutations:
    - patchType: ApplyConfiguration
      applyConfiguration:
        expression: >
          Object{spec: Object.spec{initContainers: [
            Object.spec.initContainers{name: "mesh", image: "mesh/proxy:v1", restartPolicy: "Always"}]}}
    - patchType: JSONPatch
      jsonPatch:
        expression: >
          [JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("mesh/of"), value: object.metadata.name}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: { name: sidecars }
spec: { policyName: sidecars }
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: { name: limits }
spec:
  reinvocationPolicy: Never
  matchConstraints:
    resourceRules:
      - { apiGroups: [rules.example.com], apiVersions: [v1], operations: [CREATE], resources: [replicalimits] }
  mutations:
    - patchType: ApplyConfiguration
      applyConfiguration: { expression: 'Object{maxReplicas: object.maxReplicas + 1}' }
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: { name: limits }
spec: { policyName: limits }
`,
    );
    expect([made.code, made.err]).toEqual([0, '']);
    const shown = 'jsonpath={.spec.initContainers[*].name} {.metadata.labels}';
    let pod: Run | undefined;
    await until(async () => {
      pod = await kubectl(['run', 'meshed', '--image=i', '--dry-run=server', '-o', shown]);
      return pod.out.includes('mesh/of');
    });
    expect([pod?.err, pod?.out]).toEqual(['', 'mesh {"mesh/of":"meshed","run":"meshed"}']);
    const limit =
      'apiVersion: rules.example.com/v1\nkind: ReplicaLimit\nmetadata: { name: more }\nmaxReplicas: 5\n';
    await until(async () => {
      const { out, err } = await kubectl(
        ['create', '--dry-run=server', '-o', 'jsonpath={.maxReplicas}'],
        limit,
      );
      expect(err).toBe('');
      return out === '6';
    });
  });

  test('what does not compile is not taken', async () => {
    const [policy] = policyOf('broken', { validations: [{ expression: 'object.data.size() > limit' }] });
    const { code, err } = await kubectl(['create'], JSON.stringify(policy));
    expect([code, err]).toEqual([
      1,
      'The ValidatingAdmissionPolicy "broken" is invalid: spec.validations[0].expression: Invalid value: "object.data.size() > limit": ' +
        "compilation failed: ERROR: <input>:1:22: undeclared reference to 'limit' (in container '')\n" +
        ' | object.data.size() > limit\n | .....................^\n',
    ]);
  });

  test('what is wrong for the kinds of its rules stands in the status', async () => {
    const [policy] = policyOf('typos', {
      matchConstraints: {
        resourceRules: [
          {
            operations: ['CREATE'],
            apiGroups: ['apps'],
            apiVersions: ['v1'],
            resources: ['deployments', 'replicasets'],
          },
        ],
      },
      validations: [
        { expression: 'object.spec.replicas > 1 && object.metadata.namespace != "x"' },
        { expression: 'object.spec.strategie == null', messageExpression: '"in " + object.spec.paused' },
      ],
    });
    expect(await kubectl(['create'], JSON.stringify(policy))).toMatchObject({ code: 0 });
    const seen = ['get', 'validatingadmissionpolicy', 'typos', '-o', 'jsonpath={.status}'];
    await until(async () => (await kubectl(seen)).out !== '');
    const status: unknown = JSON.parse((await kubectl(seen)).out);
    const wrong = (kind: string, expression: string, column: number, what: string): string =>
      `apps/v1, Kind=${kind}: ERROR: <input>:1:${column}: ${what}\n | ${expression}\n | ${'.'.repeat(column - 1)}^\n`;
    const field = 'object.spec.strategie == null';
    const sum = '"in " + object.spec.paused';
    expect(status).toEqual({
      observedGeneration: 1,
      typeChecking: {
        expressionWarnings: [
          {
            fieldRef: 'spec.validations[1].expression',
            warning: ['Deployment', 'ReplicaSet']
              .map((kind) => wrong(kind, field, 12, "undefined field 'strategie'"))
              .join('\n'),
          },
          {
            fieldRef: 'spec.validations[1].messageExpression',
            warning: [
              wrong('Deployment', sum, 7, "found no matching overload for '_+_' applied to '(string, bool)'"),
              wrong('ReplicaSet', sum, 20, "undefined field 'paused'"),
            ].join('\n'),
          },
        ],
      },
    });
  });

  test('who may not read parameters may not have policies read them', async () => {
    const role = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: policies }
rules: [{ apiGroups: [admissionregistration.k8s.io], resources: ['*'], verbs: ['*'] }]
`;
    await kubectl(['apply'], role);
    await kubectl(['create', 'clusterrolebinding', 'policies', '--clusterrole=policies', '--user=mallory']);
    const [policy, binding] = policyOf(
      'spies',
      {
        paramKind: { apiVersion: 'v1', kind: 'Secret' },
        validations: [{ expression: 'false', messageExpression: 'string(params.data)' }],
      },
      { paramRef: { name: 's', namespace: 'kube-system', parameterNotFoundAction: 'Deny' } },
    );
    let tried: Run | undefined;
    await until(async () => {
      tried = await kubectl(
        ['create', '--as=mallory', '--as-group=system:authenticated'],
        JSON.stringify(policy),
      );
      return !tried.err.includes('cannot create resource');
    });
    expect(tried?.err).toBe(
      'The ValidatingAdmissionPolicy "spies" is invalid: spec.paramKind: Forbidden: user &{mallory  [system:authenticated] map[]} ' +
        'must have "get" permission on all objects of the referenced paramKind (kind=Secret, apiVersion=v1)\n',
    );
    expect(await kubectl(['create'], JSON.stringify(policy))).toMatchObject({ code: 0 });
    const bound = await kubectl(
      ['create', '--as=mallory', '--as-group=system:authenticated'],
      JSON.stringify(binding),
    );
    expect(bound.err).toBe(
      'The ValidatingAdmissionPolicyBinding "spies" is invalid: spec.paramRef: Forbidden: user &{mallory  [system:authenticated] map[]} ' +
        'does not have "get" permission on the object referenced by paramRef\n',
    );
  });
});

test('a rule that costs too much is stopped, and others go on meanwhile', async () => {
  const all = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].reduceRight(
    (inner, name) => `object.data.list.split(",").all(${name}, ${inner})`,
    'a + b + c + d + e + f + g != ""',
  );
  await bind('hostile', { validations: Array.from({ length: 11 }, () => ({ expression: all })) });
  const list = Array.from({ length: 40 }, (_, index) => String(index)).join(',');
  const cheap = configMap('probe', { list: '' }, { policy: 'hostile' });
  await until(async () => (await ask('POST', `${MAPS}?dryRun=All`, cheap)).code === 422);
  const order: string[] = [];
  const hostile = Promise.all(
    Array.from({ length: 2 }, async (_, index) => {
      const answer = await ask('POST', MAPS, configMap(`h${index}`, { list }, { policy: 'hostile' }));
      order.push('hostile');
      return answer;
    }),
  );
  const others = Promise.all(
    Array.from({ length: 10 }, async (_, index) => {
      const answer = await ask('POST', MAPS, configMap(`other-${index}`));
      order.push('other');
      return answer.code;
    }),
  );
  expect(await others).toEqual(Array.from({ length: 10 }, () => 201));
  for (const { code, text } of await hostile) {
    expect(code).toBe(422);
    expect(text).toContain(
      'validation failed due to running out of cost budget, no further validation rules will be run',
    );
  }
  expect(order.lastIndexOf('other')).toBeLessThan(order.lastIndexOf('hostile'));
  const metrics = await ask('GET', '/metrics');
  expect(metrics.text).toMatch(
    /apiserver_validating_admission_policy_check_total\{policy="hostile",policy_binding="hostile",error_type="out_of_budget",enforcement_action="deny"\} \d+/,
  );
});
