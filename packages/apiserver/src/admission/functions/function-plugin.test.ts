/** Admission functions: whom they see, what they may change, what their failures come to. */

import { describe, expect, test } from '@jest/globals';
import { systemClock } from '@keelson/base';

import {
  attributesFor,
  Cluster,
  pluginContext,
  type RequestOptions,
} from '../../../test/admission-cluster.ts';
import { testVersions } from '../../../test/policy-cases.ts';
import type { KubeObject } from '../../api/meta.ts';
import { ApiError } from '../../api/status.ts';
import { TypeTable } from '../../schema/type-table.ts';
import { withFieldAt } from '../../validation/value.ts';
import type { MutatingPlugin } from '../admission.ts';
import { AdmissionChain } from '../chain.ts';
import { defaultPlugins } from '../default-plugins.ts';
import { AdmissionDenied, type AdmissionFunction, type AdmissionRequest } from './admission-function.ts';
import { checkFunctions, functionPlugin, type FunctionContext } from './function-plugin.ts';

const POD: KubeObject = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'ns', labels: { a: 'b' } },
};
const PODS = { name: 'f.example.com', resources: ['pods'] } as const;
const types = new TypeTable();

function contextOf(functions: readonly AdmissionFunction[], told: string[] = []): FunctionContext {
  return {
    functions,
    versions: testVersions(types),
    clock: systemClock,
    observer: {
      called: ({ name, type, code, rejected }) => told.push(`${name} ${type} ${code} ${rejected}`),
      rejected: ({ name }, errorType) => told.push(`${name} ${errorType}`),
      failedOpen: (name, type) => told.push(`${name} ${type} open`),
    },
  };
}

interface Ran {
  readonly object: KubeObject | undefined;
  readonly refused: ApiError | undefined;
  readonly warnings: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly told: readonly string[];
}

async function run(
  functions: readonly AdmissionFunction[],
  request: RequestOptions = {},
  behind: readonly MutatingPlugin[] = [],
): Promise<Ran> {
  const told: string[] = [];
  const context = contextOf(functions, told);
  const chain = new AdmissionChain([...functions.map((own) => functionPlugin(own, context)), ...behind]);
  const attributes = attributesFor({ object: POD, ...request });
  let { object } = attributes;
  let refused: ApiError | undefined;
  try {
    object = await chain.mutate(attributes);
    await chain.validate({ ...attributes, object });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    refused = error;
  }
  const { warnings, annotations } = attributes;
  return { object, refused, warnings, annotations, told };
}

describe('whom they see', () => {
  test.each<[string, Partial<AdmissionFunction>, RequestOptions, boolean]>([
    ['the resource', {}, {}, true],
    ['another resource', { resources: ['secrets'] }, {}, false],
    ['a resource of a group', { resources: ['pods.apps'] }, {}, false],
    ['everything', { resources: ['*'] }, {}, true],
    ['a subresource not', { resources: ['*'] }, { subresource: 'status' }, false],
    ['a subresource by name', { resources: ['pods/status'] }, { subresource: 'status' }, true],
    ['all that lies under it', { resources: ['pods/*'] }, { subresource: 'binding' }, true],
    ['really everything', { resources: ['*/*'] }, { subresource: 'status' }, true],
    ['an operation', { operations: ['CREATE'] }, {}, true],
    ['another operation', { operations: ['DELETE'] }, {}, false],
  ])('%s', async (_name, own, request, wanted) => {
    let asked = 0;
    await run([{ ...PODS, ...own, validate: () => void (asked += 1) }], request);
    expect(asked).toBe(wanted ? 1 : 0);
  });

  test('all there is to know, frozen', async () => {
    let seen: AdmissionRequest | undefined;
    const { told } = await run([{ ...PODS, validate: (request) => void (seen = request) }], {
      operation: 'UPDATE',
      oldObject: POD,
      dryRun: true,
    });
    expect(seen).toMatchObject({
      operation: 'UPDATE',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      name: 'web',
      namespace: 'ns',
      dryRun: true,
      object: POD,
      oldObject: POD,
      user: { name: 'jane' },
    });
    expect(Object.isFrozen(seen?.object?.metadata)).toBe(true);
    expect(seen?.object?.metadata).not.toBe(POD.metadata);
    expect(told).toEqual(['f.example.com validating 200 false']);
  });
});

describe('what they change', () => {
  test('what they return is read as a client’s object', async () => {
    const { object, annotations, warnings } = await run([
      {
        ...PODS,
        mutate(request) {
          request.warn('careful');
          request.annotate('seen', 'yes');
          const { object: pod } = request;
          return {
            ...pod,
            metadata: { ...pod?.metadata, labels: { c: 'd' } },
            spec: { none: 1, hostIPC: true },
          };
        },
      },
    ]);
    expect(object).toMatchObject({ metadata: { labels: { c: 'd' } }, spec: { hostIPC: true } });
    expect(object?.['spec']).not.toHaveProperty('none');
    expect(warnings).toEqual(['careful']);
    expect(annotations).toEqual({ 'f.example.com/seen': 'yes' });
  });

  test('nothing, by nothing', async () => {
    const { object } = await run([{ ...PODS, mutate: () => undefined }]);
    expect(object).toBe(POD);
  });

  test('one sees what the one before it made; later, all do', async () => {
    const add =
      (label: string): NonNullable<AdmissionFunction['mutate']> =>
      async ({ object: pod }) => {
        await Promise.resolve();
        return { ...pod, metadata: { ...pod?.metadata, labels: { ...pod?.metadata.labels, [label]: 'x' } } };
      };
    const seen: unknown[] = [];
    const { object } = await run([
      {
        ...PODS,
        name: 'one',
        mutate: add('one'),
        validate: ({ object: pod }) => void seen.push(pod?.metadata.labels),
      },
      { ...PODS, name: 'two', mutate: add('two') },
    ]);
    expect(object?.metadata.labels).toEqual({ a: 'b', one: 'x', two: 'x' });
    expect(seen).toEqual([{ a: 'b', one: 'x', two: 'x' }]);
  });

  test.each([
    ['Never', 1],
    ['IfNeeded', 2],
  ] as const)('again, where somebody behind changed it: %s', async (reinvocationPolicy, times) => {
    let asked = 0;
    const behind: MutatingPlugin = {
      name: 'behind',
      handles: () => true,
      admit: ({ object: current }, { again, repeat }) => {
        if (again || current === undefined) return current;
        repeat();
        return withFieldAt(current, ['metadata', 'annotations'], { behind: 'yes' });
      },
    };
    await run([{ ...PODS, reinvocationPolicy, mutate: () => void (asked += 1) }], {}, [behind]);
    expect(asked).toBe(times);
  });

  test.each<[string, unknown, string]>([
    ['what is no JSON', { ...POD, spec: { now: new Date(0) } }, 'it returned what is no JSON at .spec.now'],
    ['a number that is none', { ...POD, spec: { n: Number.NaN } }, 'it returned what is no JSON at .spec.n'],
    ['another kind', { ...POD, kind: 'Secret' }, 'it returned an object of another kind'],
    ['a list', [], 'it returned what is no object'],
  ])('%s fails', async (_name, answer, text) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what no type lets through
    const own = { ...PODS, mutate: () => answer as KubeObject };
    expect((await run([own])).refused?.status).toMatchObject({
      code: 500,
      reason: 'InternalError',
      message: `Internal error occurred: failed calling admission function "f.example.com": ${text}`,
    });
  });

  test('an argument that is changed is a failure', async () => {
    const { refused } = await run([
      {
        ...PODS,
        mutate({ object: pod }) {
          Object.assign(pod?.metadata ?? {}, { labels: {} });
        },
      },
    ]);
    expect(refused?.message).toContain('Cannot assign to read only property');
  });
});

describe('what they refuse, and where they fail', () => {
  test.each<[string, AdmissionDenied, { code: number; reason: string; message: string }]>([
    [
      'a refusal',
      new AdmissionDenied('no'),
      {
        code: 403,
        reason: 'Forbidden',
        message: 'admission function "f.example.com" denied the request: no',
      },
    ],
    [
      'a reason of its own',
      new AdmissionDenied('', { code: 422, reason: 'Odd' }),
      {
        code: 422,
        reason: 'Odd',
        message: 'admission function "f.example.com" denied the request without explanation',
      },
    ],
  ])('%s', async (_name, error, wanted) => {
    for (const phase of ['mutate', 'validate'] as const) {
      const { refused, told } = await run([
        {
          ...PODS,
          failurePolicy: 'Ignore',
          [phase]: () => {
            throw error;
          },
        },
      ]);
      expect(refused?.status).toMatchObject(wanted);
      expect(told[0]).toBe('f.example.com no_error');
    }
  });

  test.each([
    ['throws', () => Promise.reject(new Error('oops')), 'oops'],
    ['never answers', () => new Promise<void>(() => undefined), 'it did not answer within 5 ms'],
  ])('one that %s', async (_name, act, text) => {
    const closed = await run([{ ...PODS, timeoutMs: 5, validate: act }]);
    expect(closed.refused?.status).toMatchObject({
      code: 500,
      message: `Internal error occurred: failed calling admission function "f.example.com": ${text}`,
    });
    const open = await run([{ ...PODS, timeoutMs: 5, failurePolicy: 'Ignore', mutate: act }]);
    expect([open.refused, open.object, open.told]).toEqual([
      undefined,
      POD,
      ['f.example.com admit 500 false', 'f.example.com admit open'],
    ]);
    expect(open.annotations).toEqual({ 'failed-open.mutation.function/f.example.com': 'f.example.com' });
  });

  test('one that is late is told that nobody waits', async () => {
    let ended = false;
    await run([
      {
        ...PODS,
        timeoutMs: 5,
        failurePolicy: 'Ignore',
        validate: ({ signal }) =>
          new Promise<void>(() => {
            signal.addEventListener('abort', () => {
              ended = true;
            });
          }),
      },
    ]);
    expect(ended).toBe(true);
  });
});

describe('their place', () => {
  const names = (functions: readonly AdmissionFunction[]): string[] =>
    defaultPlugins({ ...pluginContext({ cluster: new Cluster() }), functions: contextOf(functions) }).map(
      ({ name }) => name,
    );
  const own = (name: string, more: Partial<AdmissionFunction> = {}): AdmissionFunction => ({
    name,
    resources: ['*'],
    validate: () => undefined,
    ...more,
  });

  test('is among the plugins', () => {
    const all = names([
      own('late', { before: 'ResourceQuota' }),
      own('usual'),
      own('early', { before: 'LimitRanger' }),
    ]);
    expect(all.indexOf('early')).toBe(all.indexOf('LimitRanger') - 1);
    expect(all.indexOf('late')).toBe(all.indexOf('ResourceQuota') - 1);
    expect(all.indexOf('usual')).toBeGreaterThan(all.indexOf('PodTopologyLabels'));
    expect(all.indexOf('usual')).toBeLessThan(all.indexOf('late'));
  });

  test.each<[string, readonly AdmissionFunction[], string]>([
    ['a name that is none', [own('A b')], 'the name of admission function "A b" is no DNS name'],
    ['a name twice', [own('a'), own('a')], 'there are two admission functions "a"'],
    [
      'a place that is none',
      [own('a', { before: 'X' })],
      'admission function "a": there is no plugin "X" to be asked before',
    ],
    [
      'nothing to do',
      [{ name: 'a', resources: ['*'] }],
      'admission function "a" does nothing: it has neither mutate nor validate',
    ],
  ])('%s is refused at the start', (_name, functions, text) => {
    expect(() => checkFunctions(functions, ['ResourceQuota'])).toThrow(new Error(text));
  });
});
