/**
 * Expressions and patterns that are written to hold a server up: refused when they are defined, or stopped within their
 * budget, and other requests are answered. What they cost is measured in CPU time, so that a busy machine spoils nothing;
 * how often the work is put down is counted on a clock that looks make go on.
 */

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock, type Clock } from '@keelson/base';

import { until } from '../../base/test/until.ts';
import type { JsonObject } from '../src/api/json.ts';
import { customServer, type Answer, type SmallServer } from './small-server.ts';

const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const OTHERS = '/api/v1/namespaces/default';
/** The dearest takes a third of a second; without a budget these take minutes, or do not end. */
const CPU_MAX_MS = 10_000;
const LIMIT_MS = 180_000;

function definition(plural: string, spec: JsonObject): JsonObject {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.hostile.example.com` },
    spec: {
      group: 'hostile.example.com',
      scope: 'Namespaced',
      names: { plural, kind: `${plural[0].toUpperCase()}${plural.slice(1)}` },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', properties: { spec } } },
        },
      ],
    },
  };
}

/** Of durations: each look takes a tenth of a millisecond. */
function clockOfLooks(): Clock {
  let looks = 0;
  return { ...systemClock, monotonicMs: () => (looks += 1) / 10 };
}

describe('what is hostile is bounded', () => {
  let small: SmallServer;

  beforeAll(async () => {
    small = await customServer({ clock: clockOfLooks() });
  });

  afterAll(() => small.stop());

  /** While it runs another client asks without a pause; @returns the answer, the CPU time, how often the other was answered */
  async function beside(
    work: () => Promise<Answer>,
  ): Promise<{ answer: Answer; cpuMs: number; asked: number }> {
    let running = true;
    const before = process.cpuUsage();
    let asked = 0;
    const other = (async () => {
      while (running) {
        const { code } = await small.ask('GET', OTHERS);
        if (code !== 200) throw new Error(`another request was answered with ${code}`);
        asked += 1;
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    const answer = await work();
    running = false;
    await other;
    const { user, system } = process.cpuUsage(before);
    return { answer, cpuMs: (user + system) / 1_000, asked };
  }

  async function define(plural: string, spec: JsonObject): Promise<void> {
    const made = await small.ask('POST', DEFINITIONS, definition(plural, spec));
    expect([made.code, made.json['message']]).toEqual([201, undefined]);
    const path = `/apis/hostile.example.com/v1/${plural}`;
    await until(async () => (await small.ask('GET', path)).code === 200, `${plural} is served`);
  }

  const create = (plural: string, spec: unknown): Promise<Answer> =>
    small.ask('POST', `/apis/hostile.example.com/v1/namespaces/default/${plural}`, {
      apiVersion: 'hostile.example.com/v1',
      kind: `${plural[0].toUpperCase()}${plural.slice(1)}`,
      metadata: { generateName: 'h-' },
      spec,
    });

  /** A fold in a fold in a fold …, over one list. */
  function nested(depth: number, list: string): string {
    let expression = 'a0 + 1 > 0';
    for (let level = depth - 1; level >= 0; level -= 1) expression = `${list}.all(a${level}, ${expression})`;
    return expression;
  }

  test(
    'a rule whose cost nobody bounds is refused when it is defined',
    async () => {
      const list: JsonObject = { type: 'array', items: { type: 'integer' } };
      const rules = [{ rule: nested(8, 'self.l') }];
      const { answer, cpuMs } = await beside(() =>
        small.ask(
          'POST',
          DEFINITIONS,
          definition('unbounded', {
            type: 'object',
            properties: { l: list },
            'x-kubernetes-validations': rules,
          }),
        ),
      );
      expect(answer.code).toBe(422);
      expect(answer.text).toContain('estimated rule cost exceeds budget by factor of more than 100x');
      expect(cpuMs).toBeLessThan(CPU_MAX_MS);
    },
    LIMIT_MS,
  );

  test(
    'a rule that is as dear as it may be is stopped within its budget, and so are hundreds of them',
    async () => {
      // Estimated at just under the limit for one expression; hundreds of items make it dear.
      const item: JsonObject = {
        type: 'array',
        maxItems: 30,
        items: { type: 'integer' },
        'x-kubernetes-validations': [{ rule: nested(3, 'self'), message: 'never' }],
      };
      await define('dear', { type: 'array', maxItems: 40, items: item });
      const thirty = Array.from({ length: 30 }, (_, index) => index);
      const { answer, cpuMs, asked } = await beside(() =>
        create(
          'dear',
          Array.from({ length: 40 }, () => thirty),
        ),
      );
      expect([201, 422]).toContain(answer.code);
      // A million steps, of which each hundred or so are a turn on this clock.
      expect(asked).toBeGreaterThan(100);
      expect(cpuMs).toBeLessThan(CPU_MAX_MS);
    },
    LIMIT_MS,
  );

  test(
    'a rule over more data than it was weighed for is ended by the budget of the call',
    async () => {
      await define('long', {
        type: 'object',
        properties: { l: { type: 'array', maxItems: 60, items: { type: 'string', maxLength: 2 } } },
        'x-kubernetes-validations': [
          { rule: 'self.l.all(a, self.l.all(b, self.l.all(c, size(a + b + c) < 7)))', message: 'never' },
        ],
      });
      const l = Array.from({ length: 60 }, () => 'ab');
      const { answer, cpuMs } = await beside(() => create('long', { l }));
      expect([answer.code, JSON.stringify(answer.json['message']).split('for rule')[0]]).toEqual([
        422,
        expect.stringContaining(
          "'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit ",
        ),
      ]);
      expect(cpuMs).toBeLessThan(CPU_MAX_MS);
    },
    LIMIT_MS,
  );

  test(
    'a pattern that backtracking engines hang on is answered at once',
    async () => {
      await define('patterns', {
        type: 'object',
        properties: {
          p: { type: 'string', pattern: '^(a|a?)+$', maxLength: 100_000 },
          m: {
            type: 'string',
            maxLength: 2_000,
            'x-kubernetes-validations': [{ rule: "self.matches('^(([a-z])+.)+[A-Z]([a-z])+$')" }],
          },
        },
      });
      const { answer, cpuMs } = await beside(() =>
        create('patterns', { p: `${'a'.repeat(20_000)}!`, m: 'a'.repeat(2_000) }),
      );
      expect(answer.code).toBe(422);
      expect(JSON.stringify(answer.json['message'])).toContain("in body should match '^(a|a?)+$'");
      expect(cpuMs).toBeLessThan(CPU_MAX_MS);
    },
    LIMIT_MS,
  );

  test(
    'a pattern with hundreds of states at each character is put down while others are answered',
    async () => {
      await define('states', {
        type: 'object',
        properties: { p: { type: 'string', pattern: '(a|b)*a(a|b){300}c' } },
      });
      let p = 'c';
      for (let at = 0, x = 1; at < 16_000; at += 1) {
        x = (x * 1_103_515_245 + 12_345) % 2_147_483_648;
        p += (x & 65_536) === 0 ? 'a' : 'b';
      }
      const { answer, cpuMs, asked } = await beside(() => create('states', { p }));
      expect(answer.code).toBe(422);
      expect(asked).toBeGreaterThan(5);
      expect(cpuMs).toBeLessThan(CPU_MAX_MS);
    },
    LIMIT_MS,
  );

  describe('objects of many members are put down at every step of their way', () => {
    const COUNT = 12_000;
    const members = (value: (at: number) => unknown): Record<string, unknown> =>
      Object.fromEntries(Array.from({ length: COUNT }, (_, at) => [`key-${at.toString(36)}`, value(at)]));
    const MAPS = `${OTHERS}/configmaps`;

    test.each<[string, string, () => Promise<string>, JsonObject, () => unknown]>([
      [
        'a ConfigMap',
        'ConfigMap',
        () => Promise.resolve(MAPS),
        { apiVersion: 'v1', kind: 'ConfigMap' },
        () => ({ data: members(() => 'v') }),
      ],
      [
        'a Secret',
        'Secret',
        () => Promise.resolve(`${OTHERS}/secrets`),
        { apiVersion: 'v1', kind: 'Secret' },
        () => ({ data: members(() => 'dg==') }),
      ],
      [
        'a custom object that keeps what nobody named',
        'Free',
        async () => {
          await define('free', { type: 'object', 'x-kubernetes-preserve-unknown-fields': true });
          return '/apis/hostile.example.com/v1/namespaces/default/free';
        },
        { apiVersion: 'hostile.example.com/v1', kind: 'Free' },
        () => ({ spec: members((at) => at) }),
      ],
      [
        'a custom object with defaults in each of its members',
        'Deep',
        async () => {
          const integer = { type: 'integer' };
          const properties = { a: { ...integer, default: 3 }, b: integer };
          const item: JsonObject = { type: 'object', properties };
          await define('deep', { type: 'object', additionalProperties: item });
          return '/apis/hostile.example.com/v1/namespaces/default/deep';
        },
        { apiVersion: 'hostile.example.com/v1', kind: 'Deep' },
        () => ({ spec: members((at) => ({ b: at })) }),
      ],
    ])(
      '%s',
      async (_name, _kind, path, head, rest) => {
        const where = await path();
        const body = { ...head, metadata: { name: 'many' }, ...(rest() as JsonObject) };
        const { answer, asked } = await beside(() => small.ask('POST', where, body));
        expect([answer.code, answer.json['message']]).toEqual([201, undefined]);
        // Read, brought into form, owned, checked, encoded, written as JSON: each some hundred looks, of which ten are a turn.
        expect(asked).toBeGreaterThan(50);
        const again = await small.ask('GET', `${where}/many`);
        expect(again.text.trimEnd()).toBe(answer.text.trimEnd());

        const { resourceVersion } = answer.json.metadata;
        const labelled = { ...body, metadata: { name: 'many', resourceVersion, labels: { a: 'b' } } };
        const updated = await beside(() => small.ask('PUT', `${where}/many`, labelled));
        expect([updated.answer.code, updated.answer.json['message']]).toEqual([200, undefined]);
        expect(updated.asked).toBeGreaterThan(50);
        const patch = { metadata: { labels: { a: 'c' } } };
        const patched = await beside(() => small.ask('PATCH', `${where}/many`, patch));
        expect([patched.answer.code, patched.answer.json.metadata.labels]).toEqual([200, { a: 'c' }]);
        expect(patched.asked).toBeGreaterThan(50);

        const applying = { 'content-type': 'application/apply-patch+yaml' };
        const applied = await beside(() =>
          small.ask(
            'PATCH',
            `${where}/other?fieldManager=m`,
            { ...body, metadata: { name: 'other' } },
            applying,
          ),
        );
        expect([applied.answer.code, applied.answer.json['message']]).toEqual([201, undefined]);
        expect(applied.asked).toBeGreaterThan(50);
      },
      LIMIT_MS,
    );
  });
});
