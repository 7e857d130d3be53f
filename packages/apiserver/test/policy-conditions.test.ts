/** Match conditions of webhooks, admission's and authorization's, as testdata/policies has them. */

import { readFileSync } from 'node:fs';

import { describe, expect, test } from '@jest/globals';
import { systemClock } from '@keelson/base';

import type { Operation } from '../src/admission/admission.ts';
import { ExpressionSet } from '../src/admission/policies/evaluate.ts';
import { matchConditions } from '../src/admission/policies/match-conditions.ts';
import { Decisions, scopeOf } from '../src/admission/policies/scope.ts';
import { runSteps } from '../src/admission/policies/steps.ts';
import { Slices } from '../src/api/sliced.ts';
import type { KubeObject } from '../src/api/meta.ts';
import { parseLabelSelector } from '../src/api/selectors.ts';
import { accessMetrics } from '../src/authz/access-metrics.ts';
import { resourceAttributes } from '../src/authz/attributes.ts';
import {
  checkMatchConditions,
  MatchConditionError,
  matchConditions as authorizationConditions,
} from '../src/authz/match-conditions.ts';
import { WebhookAuthorizer } from '../src/authz/webhook.ts';
import { BaseEnvironment, CURRENT_VERSION, RUNTIME_LIMITS } from '../src/cel/environment.ts';
import { CONDITION, PolicyCompiler } from '../src/cel/policy-expressions.ts';
import { readYaml } from '../src/codec/yaml.ts';
import { MetricsRegistry } from '../src/metrics/registry.ts';
import { FieldErrors } from '../src/validation/field-errors.ts';
import { FieldPath } from '../src/validation/field-path.ts';
import { allowing, attributesFor } from './admission-cluster.ts';

interface Group<Case> {
  readonly covers: string;
  readonly cases: readonly Case[];
}

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- each file has cases of its own form
function read<Case>(name: string): readonly (readonly [string, readonly Case[]])[] {
  const text = readFileSync(new URL(`./testdata/policies/${name}.yaml`, import.meta.url), 'utf8');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own data
  return (readYaml(text) as unknown as readonly Group<Case>[]).map(({ covers, cases }) => [covers, cases]);
}

function repeated(conditions: readonly string[], times = 1): string[] {
  return Array.from({ length: times }, () => conditions).flat();
}

interface ConditionCase {
  readonly name: string;
  readonly conditions: readonly string[];
  /** How often they stand there. */
  readonly times?: number;
  readonly failurePolicy?: 'Fail' | 'Ignore';
  readonly operation?: Operation;
  readonly subresource?: string;
  readonly dryRun?: boolean;
  readonly allowed?: readonly string[];
  readonly outcome?: 'match' | 'no-match';
  readonly error?: string;
}

const POD: KubeObject = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'ns', labels: { 'a/b': 'c' } },
};

describe.each(read<ConditionCase>('match-conditions'))('%s', (_covers, cases) => {
  const compiler = new PolicyCompiler(new BaseEnvironment(CURRENT_VERSION), {
    params: false,
    composed: false,
  });
  test.each(cases.map((each) => [each.name, each] as const))('%s', async (_name, data) => {
    const { operation = 'CREATE', failurePolicy = 'Fail', subresource = '', dryRun = false } = data;
    const attributes = attributesFor({
      operation,
      object: operation === 'DELETE' ? undefined : POD,
      oldObject: operation === 'CREATE' ? undefined : POD,
      subresource,
      dryRun,
    });
    const counted: string[] = [];
    const { kind, resource } = attributes;
    const outcome = await runSteps(
      matchConditions(
        repeated(data.conditions, data.times).map((expression) => compiler.compile(expression, CONDITION)),
        scopeOf({
          attributes,
          form: { kind, resource },
          object: attributes.object,
          oldObject: attributes.oldObject,
          decisions: new Decisions(allowing(data.allowed ?? [])),
          slices: new Slices(systemClock, () => Promise.resolve()),
        }),
        { name: 'w', kind: 'webhook', type: 'admit', operation, failurePolicy },
        {
          failed: () => counted.push('failed'),
          excluded: () => counted.push('excluded'),
          evaluated: () => counted.push('evaluated'),
        },
      ),
    );
    expect(outcome).toEqual(
      data.error === undefined ? { kind: data.outcome } : { kind: 'error', message: data.error },
    );
    expect(counted.at(-1)).toBe('evaluated');
  });
});

test('a condition that is dear is put down between its steps, and comes to the same at the same cost', async () => {
  const compiler = new PolicyCompiler(new BaseEnvironment(CURRENT_VERSION), {
    params: false,
    composed: true,
  });
  const list = compiler.variable('numbers', 'lists.range(200)');
  const squares = compiler.variable(
    'squares',
    'variables.numbers.all(a, variables.numbers.all(b, a + b >= 0))',
  );
  const condition = compiler.compile('variables.squares && object.metadata.name == "p"', CONDITION);
  const attributes = attributesFor({ operation: 'CREATE', object: POD });
  const { kind, resource, object, oldObject } = attributes;
  const costs: number[] = [];
  let turns = 0;
  for (const paced of [false, true]) {
    let looks = 0;
    const clock = { monotonicMs: () => (paced ? (looks += 1) : 0) };
    const slices = new Slices(clock, () => {
      turns += 1;
      return Promise.resolve();
    });
    const decisions = new Decisions(allowing([]));
    const scope = scopeOf({ attributes, form: { kind, resource }, object, oldObject, decisions, slices });
    const set = new ExpressionSet(
      scope,
      RUNTIME_LIMITS.perObject,
      new Map([
        ['numbers', list],
        ['squares', squares],
      ]),
    );
    expect(await runSteps(set.evaluate(condition))).toMatchObject({ kind: 'value', value: true });
    costs.push(RUNTIME_LIMITS.perObject - set.budget);
    expect(turns > 100).toBe(paced);
  }
  expect(costs[0]).toBeGreaterThan(200 * 200);
  expect(costs[1]).toBe(costs[0]);
});

interface AuthorizationCase {
  readonly name: string;
  readonly conditions: readonly string[];
  readonly times?: number;
  readonly selector?: string;
  readonly outcome?: boolean;
  readonly error?: string;
  /** What is wrong with the conditions themselves. */
  readonly problem?: string;
}

const JANE = { name: 'jane', uid: '7', groups: ['team'], extra: { scopes: ['a'] } };

describe.each(read<AuthorizationCase>('authorization-conditions'))('%s', (_covers, cases) => {
  test.each(cases.map((each) => [each.name, each] as const))('%s', async (_name, data) => {
    const conditions = repeated(data.conditions, data.times);
    const errors = new FieldErrors();
    checkMatchConditions(errors, FieldPath.of('at'), conditions);
    expect(errors.list.map(({ field, body }) => `${field}: ${body}`)).toEqual(
      data.problem === undefined ? [] : [data.problem],
    );
    if (data.problem !== undefined) return;
    const attributes = {
      ...resourceAttributes(JANE, 'list', { resource: 'pods', namespace: 'red', version: 'v1' }),
      ...(data.selector === undefined ? {} : { labelSelector: parseLabelSelector(data.selector) }),
    };
    const matches = authorizationConditions(conditions);
    if (data.error === undefined) expect(matches(attributes)).toBe(data.outcome);
    else expect(() => matches(attributes)).toThrow(new MatchConditionError(data.error));
    let asked = 0;
    const registry = new MetricsRegistry();
    const observed = accessMetrics(registry);
    const answers = ['NoOpinion', 'Deny'].map((failurePolicy) =>
      new WebhookAuthorizer({
        post: () => {
          asked += 1;
          return Promise.resolve({ status: { allowed: true } });
        },
        version: 'v1',
        authorizedTtlMs: 0,
        unauthorizedTtlMs: 0,
        failurePolicy: failurePolicy === 'Deny' ? 'Deny' : 'NoOpinion',
        matches,
        monotonicMs: () => 0,
        observer: observed.webhook('first'),
      }).authorize(attributes),
    );
    const kinds = (await Promise.all(answers)).map(({ kind }) => kind);
    const counted = (name: string): string | undefined =>
      registry
        .text()
        .split('\n')
        .find((line) => line.startsWith(`${name}{`))
        ?.split(' ')[1];
    const prefix = 'apiserver_authorization_match_condition';
    expect(counted(`${prefix}_evaluation_seconds_count`)).toBe('2');
    expect(counted(`${prefix}_evaluation_errors_total`)).toBe(data.error === undefined ? undefined : '2');
    expect(counted(`${prefix}_exclusions_total`)).toBe(data.outcome === false ? '2' : undefined);
    if (data.error !== undefined) expect(kinds).toEqual(['no-opinion', 'deny']);
    else expect(kinds).toEqual(data.outcome === true ? ['allow', 'allow'] : ['no-opinion', 'no-opinion']);
    expect(asked).toBe(data.outcome === true ? 2 : 0);
  });
});
