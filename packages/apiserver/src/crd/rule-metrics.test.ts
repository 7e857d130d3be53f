/** What is told of rules: once a schema is compiled, each time an object is looked at. */

import { expect, test } from '@jest/globals';

import { finish, WITHOUT_PAUSE } from '../api/sliced.ts';
import { MetricsRegistry } from '../metrics/registry.ts';
import { Structural } from '../schema/structural.ts';
import { CelRules } from './cel-rules.ts';
import { ruleMetrics } from './rule-metrics.ts';

test('a schema is compiled once, and each object counts', () => {
  const registry = new MetricsRegistry();
  let nowMs = 0;
  const rules = new CelRules(ruleMetrics(registry, { monotonicMs: () => (nowMs += 20) }));
  const schema = new Structural({
    type: 'object',
    properties: { size: { type: 'integer' } },
    'x-kubernetes-validations': [{ rule: 'self.size < 3' }],
  });
  const told = [1, 2, 5].map((size) => {
    const value = { apiVersion: 'a.b/v1', kind: 'A', metadata: { name: 'a' }, size };
    return finish(rules.evaluate({ schema, value, old: undefined }, WITHOUT_PAUSE)).length;
  });
  expect(told).toEqual([0, 0, 1]);
  const text = registry.text();
  expect(text).toContain('apiserver_cel_compilation_duration_seconds_count 1\n');
  expect(text).toContain('apiserver_cel_compilation_duration_seconds_sum 0.02\n');
  expect(text).toContain('apiserver_cel_evaluation_duration_seconds_count 3\n');
});
