import { describe, expect, test } from '@jest/globals';
import type { Json, JsonObject } from '../api/json.ts';
import type { Sliced } from '../api/sliced.ts';
import { type Decision } from '../api/user-info.ts';
import { declareSchema, declareType } from './declarations.ts';
import { BaseEnvironment, CURRENT_VERSION, RUNTIME_LIMITS } from './environment.ts';
import { escapeFieldName, unescapeFieldName } from './field-names.ts';
import { typedResult, untypedValue } from './json-values.ts';
import { AuthorizerValue, ResourceCheck, type AuthorizationQuestion } from './library-authorizer.ts';
import { JSON_PATCH_LIBRARY } from './library-jsonpatch.ts';
import { jsonOf, mutationStructs, placeError } from './mutation-types.ts';
import { compile, type Outcome, type Program } from './program.ts';
import {
  ADMISSION_REQUEST,
  admissionEnvironment,
  authorizationEnvironment,
  bindingsOf,
  ComposedVariables,
  customResourceEnvironment,
  NAMESPACE,
  SUBJECT_ACCESS_REVIEW,
} from './rule-variables.ts';
import { DYN, INT } from './types.ts';
import { CelError, LOOK_ELEMENTS, Optional, type Value } from './values.ts';
import { costExceededText, timesCardinality } from './cost-estimate.ts';
import { UNBOUNDED } from './cost-range.ts';

const BASE = new BaseEnvironment(CURRENT_VERSION);
const PLAIN = BASE.extend({ x: DYN });

function program(expression: string, environment = PLAIN): Program {
  const compiled = compile(expression, environment);
  if (compiled.issues !== undefined) throw new Error(compiled.text);
  return compiled.program;
}

/** The outcome of a variable that takes no time. */
// oxlint-disable-next-line require-yield -- it is never put down
function* given(outcome: Outcome): Sliced<Outcome> {
  return outcome;
}

/** A value that must be one. */
function sure(value: Value | CelError): Value {
  if (value instanceof CelError) throw new Error(value.message);
  return value;
}

describe('budgets', () => {
  const list = bindingsOf({ x: untypedValue(Array.from({ length: 2_000 }, (_none, i) => i)) });
  const squares = 'x.all(a, x.all(b, a + b >= 0))';

  test('an evaluation stops at its budget, with what it used', () => {
    const outcome = program(squares).evaluate(list, RUNTIME_LIMITS.perCall);
    expect(outcome).toMatchObject({
      kind: 'exceeded',
      message: 'operation cancelled: actual cost limit exceeded',
    });
    expect(outcome.cost).toBeGreaterThan(RUNTIME_LIMITS.perCall);
    expect(outcome.cost).toBeLessThan(RUNTIME_LIMITS.perCall + 1_000);
  });

  test('a budget that is just enough is enough', () => {
    const { cost } = program('x.size() > 1 && x[0] == 0').evaluate(list);
    expect(program('x.size() > 1 && x[0] == 0').evaluate(list, cost).kind).toBe('value');
    expect(program('x.size() > 1 && x[0] == 0').evaluate(list, cost - 1).kind).toBe('exceeded');
  });

  test('an error does not absorb the end of the budget', () => {
    expect(program(`true || ${squares}`).evaluate(list, 10).kind).toBe('value');
    expect(program(`${squares} || true`).evaluate(list, 10).kind).toBe('exceeded');
  });

  test('a fold asks whether to go on, every hundred steps', () => {
    let asked = 0;
    const outcome = program(squares).evaluate(list, Number.POSITIVE_INFINITY, () => ++asked === 3);
    expect(outcome).toMatchObject({ kind: 'interrupted', message: 'operation interrupted' });
    expect(asked).toBe(3);
  });

  test('what a macro collects grows in place: 100,000 elements are no 100,000 copies', () => {
    const outcome = program(
      'lists.range(100000).map(i, i * 2).filter(i, i % 4 == 0).size() == 50000',
    ).evaluate(list);
    expect(outcome).toMatchObject({ kind: 'value', value: true });
  });

  test('a call beyond the budget is not begun', () => {
    const big = bindingsOf({ x: untypedValue(Array.from({ length: 200_000 }, (_none, i) => i)) });
    for (const expression of ['sets.contains(x, x)', 'x.distinct().size() > 0', 'sets.equivalent(x, x)']) {
      expect(program(expression).evaluate(big, RUNTIME_LIMITS.perObject).kind).toBe('exceeded');
    }
  });

  test('what would not fit into memory is an error', () => {
    const text = bindingsOf({ x: 'a'.repeat(1_000_000) });
    expect(program('x.replace("", x).size() > 0').evaluate(text)).toMatchObject({
      kind: 'error',
      message: 'replace: the result is too long',
    });
  });

  test.each(["'aa'", "b'aa'", '[1, 2]'])('nor would %s that is doubled again and again', (literal) => {
    let expression = `dyn(${literal})`;
    for (let times = 0; times < 24; times += 1) expression = `[${expression}].map(a, a + a)[0]`;
    expect(program(`size(${expression}) > 0`).evaluate(list, RUNTIME_LIMITS.perCall)).toMatchObject({
      kind: 'error',
      message: 'add: the result is too long',
    });
  });

  test('a pattern that others take forever for is as fast as any', () => {
    const text = bindingsOf({ x: `${'a'.repeat(50_000)}!` });
    expect(program('x.matches("^(a|a|aa)+$")').evaluate(text)).toMatchObject({ kind: 'value', value: false });
  });

  test.each<[string, number]>([
    ['[1, 2, 3] == [1, 2, 3]', 1],
    ['1 in [1, 2, 3]', 0],
    ['x in ["a", "b"]', 1],
    ["duration('1s') < duration('2s')", 1],
    ["{'a': 1}['a'] == 1", 3],
  ])('constants are folded: %s', (expression, cost) => {
    expect(program(expression).evaluate(bindingsOf({ x: 'a' })).cost).toBe(cost);
  });

  test.each<[string, number, string]>([
    ['estimated rule cost', 10_000_001, '1.000000x'],
    ['estimated rule cost', 25_000_000, '2.5x'],
    ['estimated rule cost', UNBOUNDED, 'more than 100x'],
  ])('%s of %d', (what, cost, factor) => {
    expect(costExceededText(what, cost, 10_000_000)).toBe(
      `${what} exceeds budget by factor of ${factor} (try simplifying the rule, or adding maxItems, maxProperties, and ` +
        'maxLength where arrays, maps, and strings are declared)',
    );
  });

  test('a cost times a cardinality that is not known is not bounded', () => {
    expect(timesCardinality(5, 3)).toBe(15);
    expect(timesCardinality(5, undefined)).toBe(UNBOUNDED);
  });
});

describe('authorization', () => {
  const environment = admissionEnvironment(BASE, { params: false, authorizer: true });
  const user = { name: 'jane', uid: '', groups: [], extra: {} };

  test('a question that has no answer yet ends the evaluation; the next one goes on with it', () => {
    const answers = new Map<string, Decision>();
    const key = (question: AuthorizationQuestion): string =>
      `${question.user.name} ${question.verb} ${question.resource}`;
    const authorizer = new AuthorizerValue(user, (question) => answers.get(key(question)));
    const asks = program(
      'authorizer.group("").resource("pods").check("get").allowed() && authorizer.serviceAccount("ns", "sa").group("").resource("nodes").check("list").allowed()',
      environment,
    );
    const questions: string[] = [];
    for (let i = 0; i < 5; i++) {
      const outcome = asks.evaluate(bindingsOf({ authorizer }));
      if (outcome.kind !== 'undecided') {
        expect(outcome).toMatchObject({ kind: 'value', value: true });
        break;
      }
      questions.push(key(outcome.question));
      answers.set(key(outcome.question), { kind: 'allow', reason: '' });
    }
    expect(questions).toEqual(['jane get pods', 'system:serviceaccount:ns:sa list nodes']);
  });

  test('the resource of the request, with selectors', () => {
    const asked: AuthorizationQuestion[] = [];
    const authorizer = new AuthorizerValue(user, (question) => {
      asked.push(question);
      return { kind: 'deny', reason: 'no' };
    });
    const target = {
      group: 'apps',
      resource: 'deployments',
      subresource: 'scale',
      namespace: 'n',
      name: 'd',
    };
    const outcome = program(
      'authorizer.requestResource.labelSelector("a=b").fieldSelector("!!").check("update").reason() == "no"',
      environment,
    ).evaluate(
      new Map<string, Value>([
        ['authorizer', authorizer],
        ['authorizer.requestResource', new ResourceCheck(authorizer, target)],
      ]),
    );
    expect(outcome).toMatchObject({ kind: 'value', value: true });
    expect(asked).toMatchObject([{ ...target, verb: 'update', version: '*', isResource: true }]);
    expect(asked[0].labelSelector).toHaveLength(1);
    expect(asked[0].fieldSelector).toBeUndefined();
  });
});

describe('variables of the API', () => {
  test('an admission policy sees its objects, the request, the namespace and its own variables', () => {
    const environment = admissionEnvironment(BASE, {
      params: true,
      authorizer: true,
      variables: new Map([['n', INT]]),
    });
    const rule = program(
      'object.spec.replicas <= params.max && variables.n == 3 && variables.n + 1 == 4 && request.operation == "CREATE" && ' +
        'namespaceObject.metadata.labels["team"] == "a" && "system:masters" in request.userInfo.groups && oldObject == null',
      environment,
    );
    let evaluated = 0;
    const variables = new ComposedVariables(
      new Map([
        [
          'n',
          () => {
            evaluated++;
            return given({ kind: 'value', value: 3n, cost: 7 });
          },
        ],
      ]),
    );
    const outcome = rule.evaluate(
      bindingsOf({
        object: untypedValue({ spec: { replicas: 3 } }),
        oldObject: null,
        params: untypedValue({ max: 5 }),
        variables,
        request: sure(
          typedResult({ operation: 'CREATE', userInfo: { groups: ['system:masters'] } }, ADMISSION_REQUEST),
        ),
        namespaceObject: sure(typedResult({ metadata: { labels: { team: 'a' } } }, NAMESPACE)),
      }),
    );
    expect(outcome).toMatchObject({ kind: 'value', value: true });
    expect({ evaluated, cost: variables.cost }).toEqual({ evaluated: 1, cost: 7 });
  });

  test('a variable that fails says which one it is', () => {
    const environment = admissionEnvironment(BASE, {
      params: false,
      authorizer: false,
      variables: new Map([['n', DYN]]),
    });
    const variables = new ComposedVariables(
      new Map([['n', () => given({ kind: 'error', message: 'no such key: a', cost: 1 })]]),
    );
    expect(program('variables.n == 1', environment).evaluate(bindingsOf({ variables }))).toMatchObject({
      kind: 'error',
      message: 'composited variable "n" fails to evaluate: no such key: a',
    });
    expect(compile('variables.m == 1', environment).issues).toMatchObject([
      { message: "undefined field 'm'" },
    ]);
  });

  test('an authorization webhook’s match conditions', () => {
    const request = sure(
      typedResult(
        { user: 'jane', resourceAttributes: { verb: 'get', namespace: 'x' } },
        SUBJECT_ACCESS_REVIEW,
      ),
    );
    const rule = program(
      "has(request.resourceAttributes) && request.resourceAttributes.namespace == 'x' && !has(request.nonResourceAttributes)",
      authorizationEnvironment(BASE),
    );
    expect(rule.evaluate(bindingsOf({ request }))).toMatchObject({ kind: 'value', value: true });
  });

  test('a rule that also runs when there was nothing before', () => {
    const self = declareSchema({ type: 'integer' }, 'selfType', false);
    if (self === undefined) throw new Error('no declaration');
    const rule = program('self >= oldSelf.orValue(0)', customResourceEnvironment(BASE, self, true));
    expect(rule.evaluate(bindingsOf({ self: 1n, oldSelf: new Optional(undefined) }))).toMatchObject({
      value: true,
    });
    expect(rule.evaluate(bindingsOf({ self: 1n, oldSelf: new Optional(2n) }))).toMatchObject({
      value: false,
    });
  });

  test('a built-in type with fields, lists and itself inside', () => {
    const fields = new Map();
    const node = {
      kind: 'struct',
      name: 'n',
      fields,
      own: [],
      inlined: [],
      atomic: false,
      keepsUnknown: false,
    } as const;
    const field = (name: string, type: object): void => void fields.set(name, { name, type });
    field('name', { kind: 'scalar', scalar: 'string' });
    field('children', { kind: 'list', element: node, listType: 'map', keys: ['name'], boxed: false });
    const declaration = declareType(node, 'Node');
    const environment = customResourceEnvironment(BASE, declaration);
    const self = sure(typedResult({ name: 'a', children: [{ name: 'b' }] }, declaration));
    expect(
      program('self.name == "a" && self.children[0].name == "b"', environment).evaluate(bindingsOf({ self })),
    ).toMatchObject({ value: true });
  });
});

describe('mutations', () => {
  const environment = admissionEnvironment(
    BASE,
    { params: false, authorizer: false },
    { structs: mutationStructs, libraries: [JSON_PATCH_LIBRARY] },
  );
  const made = (expression: string): unknown => {
    const outcome = program(expression, environment).evaluate(bindingsOf({ object: untypedValue({ n: 1 }) }));
    return outcome.kind === 'value' ? jsonOf(outcome.value) : outcome;
  };

  test('an apply configuration', () => {
    expect(
      made(
        'Object{spec: Object.spec{replicas: object.n + 1, __namespace__: "x", items: [Object.spec.items{a: b"x"}]}}',
      ),
    ).toEqual({ spec: { replicas: 2, namespace: 'x', items: [{ a: 'eA==' }] } });
  });

  test('a patch', () => {
    expect(
      made(
        '[JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("a/b"), value: {"c": 1.5}}]',
      ),
    ).toEqual([{ op: 'add', path: '/metadata/labels/a~1b', value: { c: 1.5 } }]);
    expect(compile('JSONPatch{ops: "add"}', environment).issues).toMatchObject([
      { message: "undefined field 'ops'" },
    ]);
  });

  test('a message in the wrong place', () => {
    const outcome = program('Object{spec: [{"a": Object.status{}}]}', environment).evaluate(bindingsOf({}));
    if (outcome.kind !== 'value') throw new Error('it was not made');
    expect(placeError(outcome.value)).toMatchObject({
      message:
        'unexpected type name "Object.status", expected "Object.spec", which matches field name path from root Object type',
    });
  });
});

describe('calls that take long', () => {
  const INTEGERS = { type: 'array', items: { type: 'integer' } };
  const count = 5_000;
  const list = Array.from({ length: count }, (_none, i) => i);
  const members = Object.fromEntries(list.map((i) => [`k${i}`, i]));
  const keyed = list.map((i) => ({ k: i, v: 'x' }));

  test.each<[string, JsonObject, Json, boolean]>([
    ['self.a == self.b', INTEGERS, list, true],
    ['self.a != self.b', INTEGERS, list, false],
    ['-1 in self.a', INTEGERS, list, false],
    ['4999 in self.a && !(self.a in [[1]])', INTEGERS, list, true],
    ['[self.a, self.b] == [self.b, self.a]', INTEGERS, list, true],
    ['self.a.all(x, x < 2 || self.a == self.b)', INTEGERS, list, true],
    ['self.a == self.b', { ...INTEGERS, 'x-kubernetes-list-type': 'set' }, list, true],
    ['self.a == self.b', { type: 'object', additionalProperties: { type: 'integer' } }, members, true],
    [
      'self.a == self.a',
      {
        type: 'array',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['k'],
        items: {
          type: 'object',
          properties: { k: { type: 'integer' }, v: { type: 'string' } },
        },
      },
      keyed,
      true,
    ],
    ['self == self', INTEGERS, list, true],
    ['self.a.max() == 4999 && self.a.sum() > 0 && self.a.indexOf(-1) == -1', INTEGERS, list, true],
  ])('%s of %j', (expression, schema, data, want) => {
    const whole = { type: 'object', properties: { a: schema, b: schema } };
    const declaration = declareSchema(whole, 'selfType', false);
    if (declaration === undefined) throw new Error('expressions see nothing of it');
    const environment = customResourceEnvironment(BASE, declaration);
    const bindings = bindingsOf({ self: sure(typedResult({ a: data, b: data }, declaration)) });
    const made = program(expression, environment);
    const costMax = 200_000;
    const outcome = made.evaluate(bindings, costMax);
    let steps = 0;
    const work = made.sliced(bindings, costMax, { due: () => true });
    let last = work.next();
    for (; last.done !== true; steps += 1) last = work.next();
    expect(last.value).toEqual(outcome);
    if (outcome.kind === 'value') expect(outcome.value).toBe(want);
    expect(steps).toBeGreaterThanOrEqual(count / LOOK_ELEMENTS);
    // Where nobody is in a hurry it is not put down.
    const quick = made.sliced(bindings, costMax, { due: () => false }).next();
    expect([quick.done, quick.value]).toEqual([true, outcome]);
  });
});

test.each<[string, string | undefined]>([
  ['a', 'a'],
  ['a-b.c/d', 'a__dash__b__dot__c__slash__d'],
  ['a__b', 'a__underscores__b'],
  ['namespace', '__namespace__'],
  ['1a', undefined],
  ['a b', undefined],
])('the field %s is written %s', (name, escaped) => {
  expect(escapeFieldName(name)).toBe(escaped);
  if (escaped !== undefined) expect(unescapeFieldName(escaped)).toBe(name);
});
