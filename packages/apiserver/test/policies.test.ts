/** Admission policies as testdata/policies has them, and what is no data: when they are compiled, what they cost. */

import { describe, expect, test } from '@jest/globals';

import { validates, type MutatingPlugin } from '../src/admission/admission.ts';
import { AdmissionChain } from '../src/admission/chain.ts';
import { defaultPlugins } from '../src/admission/default-plugins.ts';
import { PolicyCache } from '../src/admission/policies/policy-objects.ts';
import { PolicySource } from '../src/admission/policies/policy-source.ts';
import { isJsonObject, type Json, type JsonObject } from '../src/api/json.ts';
import type { KubeObject } from '../src/api/meta.ts';
import { asJson } from '../src/codec/object-codec.ts';
import { withFieldAt } from '../src/validation/value.ts';
import { attributesFor } from './admission-cluster.ts';
import { policyContextOf, readPolicyCases, runPolicyCase } from './policy-cases.ts';

describe.each(['validating', 'matching', 'params'])('%s', (file) => {
  describe.each(readPolicyCases(file).map(({ covers, cases }) => [covers, cases] as const))(
    '%s',
    (_c, cases) => {
      test.each(cases.map((each) => [each.name, each] as const))('%s', async (_name, data) => {
        const run = await runPolicyCase(data, 'validating');
        if (data.refused === undefined) expect(run.refused?.message).toBeUndefined();
        else {
          const { causes, ...refused } = data.refused;
          expect(run.refused?.status).toMatchObject(refused);
          if (causes !== undefined) expect(run.refused?.status.details?.causes).toEqual(causes);
        }
        expect(run.warnings).toEqual(data.warnings ?? []);
        expect(run.annotations).toEqual(data.annotations ?? {});
        if (data.counted !== undefined) expect(run.counted).toEqual(data.counted);
      });
    },
  );
});

describe.each(readPolicyCases('mutating').map(({ covers, cases }) => [covers, cases] as const))(
  '%s',
  (_covers, cases) => {
    test.each(cases.map((each) => [each.name, each] as const))('%s', async (_name, data) => {
      const run = await runPolicyCase(data, 'mutating');
      if (data.refused === undefined) expect(run.refused?.message).toBeUndefined();
      else {
        const { causes, ...refused } = data.refused;
        expect(run.refused?.status).toMatchObject(refused);
        if (causes !== undefined) expect(run.refused?.status.details?.causes).toEqual(causes);
      }
      if (data.after !== undefined)
        expect(run.object && named(asJson(run.object), data.after)).toEqual(data.after);
      if (data.counted !== undefined) expect(run.counted).toEqual(data.counted);
    });
  },
);

/** The members of a value that another one names; null for those that are not there. */
function named(value: Json | undefined, wanted: Json): Json {
  if (!isJsonObject(wanted) || !isJsonObject(value)) return value ?? null;
  return Object.fromEntries(Object.entries(wanted).map(([name, inner]) => [name, named(value[name], inner)]));
}

function object(kind: string, name: string, generation: number, spec: JsonObject = {}): KubeObject {
  return { apiVersion: 'x/v1', kind, metadata: { name, uid: name, generation }, spec };
}

test.each([
  ['Never', '1'],
  ['IfNeeded', '2'],
])('what a webhook behind it changes has a policy asked again: %s', async (reinvocationPolicy, times) => {
  const count = 'string(int(object.metadata.?labels.?count.orValue("0")) + 1)';
  const { context } = policyContextOf(
    {
      name: 'again',
      policy: {
        reinvocationPolicy,
        mutations: [
          {
            patchType: 'ApplyConfiguration',
            applyConfiguration: {
              expression: `Object{metadata: Object.metadata{labels: {"count": ${count}}}}`,
            },
          },
        ],
      },
    },
    'mutating',
  );
  const policy = defaultPlugins(context).filter(({ name }) => name === 'MutatingAdmissionPolicy');
  const behind: MutatingPlugin = {
    name: 'behind',
    handles: () => true,
    admit: ({ object: current }, { again, repeat }) => {
      if (again || current === undefined) return current;
      repeat();
      return withFieldAt(current, ['metadata', 'annotations'], { behind: 'yes' });
    },
  };
  const pod: KubeObject = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace: 'ns' } };
  const made = await new AdmissionChain([...policy, behind]).mutate(attributesFor({ object: pod }));
  expect(made?.metadata).toMatchObject({ labels: { count: times }, annotations: { behind: 'yes' } });
});

test('a policy is compiled once for each generation, and only where somebody binds it', () => {
  const cache = new PolicyCache();
  const compiled: string[] = [];
  const source = new PolicySource(cache, ({ metadata }) => {
    compiled.push(`${metadata.name} ${metadata.generation}`);
    return { name: metadata.name };
  });
  const names = (): unknown[] =>
    source.hooks().map(({ policy, bindings }) => [policy.name, bindings.map(({ name }) => name)]);
  cache.policies.put(object('P', 'b', 1));
  cache.policies.put(object('P', 'a', 1));
  expect([names(), compiled]).toEqual([[], []]);
  cache.bindings.put(object('B', 'y', 1, { policyName: 'b' }));
  cache.bindings.put(object('B', 'x', 1, { policyName: 'b' }));
  cache.bindings.put(object('B', 'z', 1, { policyName: 'none' }));
  expect([names(), compiled]).toEqual([[['b', ['x', 'y']]], ['b 1']]);
  // A status is no new generation.
  cache.policies.put(object('P', 'b', 1));
  cache.bindings.put(object('B', 'w', 1, { policyName: 'a' }));
  expect([names(), compiled]).toEqual([
    [
      ['a', ['w']],
      ['b', ['x', 'y']],
    ],
    ['b 1', 'a 1'],
  ]);
  cache.policies.put(object('P', 'b', 2));
  cache.bindings.remove('', 'w');
  expect([names(), compiled.at(-1)]).toEqual([[['b', ['x', 'y']]], 'b 2']);
});

test('nothing is waited for where no parameter has to be read', async () => {
  const simple = {
    name: 'simple',
    policy: {
      validations: [{ expression: 'object.metadata.name == "web" && namespaceObject.metadata.name == "ns"' }],
    },
  };
  expect(await runPolicyCase(simple, 'validating')).toMatchObject({ atOnce: true });
  const asking = { ...simple, allowed: ['get pods'] };
  expect(
    await runPolicyCase(
      {
        ...asking,
        policy: {
          validations: [{ expression: 'authorizer.group("").resource("pods").check("get").allowed()' }],
        },
      },
      'validating',
    ),
  ).toMatchObject({ atOnce: false, refused: undefined });
});

test('requests wait until policies are known, but not longer than they live', async () => {
  const { context } = policyContextOf(
    { name: 'late', policy: { validations: [{ expression: 'false' }] } },
    'validating',
  );
  const { policies } = context;
  if (policies === undefined) throw new Error('no policies');
  let known: () => void = () => undefined;
  policies.objects.follow(
    new Promise((resolve) => {
      known = resolve;
    }),
  );
  const plugin = defaultPlugins(context).find(({ name }) => name === 'ValidatingAdmissionPolicy');
  if (plugin === undefined || !validates(plugin)) throw new Error('no plugin');
  const pod: KubeObject = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace: 'ns' } };
  const ended = AbortSignal.abort();
  await expect(plugin.validate({ ...attributesFor({ object: pod }), signal: ended })).rejects.toThrow(
    'pods "web" is forbidden: not yet ready to handle request',
  );
  const late = plugin.validate(attributesFor({ object: pod }));
  known();
  await expect(late).rejects.toThrow("ValidatingAdmissionPolicy 'p' with binding 'b' denied request");
});
