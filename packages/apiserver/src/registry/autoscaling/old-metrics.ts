/**
 * What an autoscaler measures and how it behaves, as annotations of autoscaling/v1 carry it: metrics in the words of version
 * 1, behavior under the names of the original's own type. Whatever does not parse counts as absent.
 *
 * Modelled on the conversions of kubernetes' pkg/apis/autoscaling/v1.
 */

import type { Json, JsonObject } from '../../api/json.ts';
import { quantity } from '../../validation/scalars.ts';
import { asObject, has, items, part, partOf, parts, text } from '../../validation/value.ts';

type Member = 'target' | 'current';

/** Members that are there, in this order. */
function present(members: Readonly<Record<string, Json | undefined>>): JsonObject {
  return Object.fromEntries(
    Object.entries(members).filter((member): member is [string, Json] => member[1] !== undefined),
  );
}

function amount(of: JsonObject, name: string): Json | undefined {
  return has(of, name) ? quantity(of[name]).toString() : undefined;
}

function reference(of: JsonObject): JsonObject {
  return present({ kind: text(of, 'kind'), name: text(of, 'name'), apiVersion: of['apiVersion'] });
}

/** Metrics or their states, in the words of version 1. */
export function oldMetrics(metrics: readonly JsonObject[], member: Member): JsonObject[] {
  return metrics.map((metric) => {
    const sources = SOURCES.filter((name) => has(metric, name)).map((name): [string, Json] => [
      name,
      oldSource(name, part(metric, name), member),
    ]);
    return { type: text(metric, 'type'), ...Object.fromEntries(sources) };
  });
}

const SOURCES = ['object', 'pods', 'resource', 'containerResource', 'external'] as const;

function oldSource(name: (typeof SOURCES)[number], source: JsonObject, member: Member): JsonObject {
  const metric = part(source, 'metric');
  const amounts = part(source, member);
  const now = member === 'current';
  const value = amount(amounts, 'value');
  const average = amount(amounts, 'averageValue');
  switch (name) {
    case 'object':
      return present({
        target: reference(part(source, 'describedObject')),
        metricName: text(metric, 'name'),
        [`${member}Value`]: value ?? '0',
        selector: metric['selector'],
        averageValue: average,
      });
    case 'pods':
      return present({
        metricName: text(metric, 'name'),
        [`${member}AverageValue`]: average ?? '0',
        selector: metric['selector'],
      });
    case 'external':
      return present({
        metricName: text(metric, 'name'),
        metricSelector: metric['selector'],
        [`${member}Value`]: value ?? (now ? '0' : undefined),
        [`${member}AverageValue`]: average,
      });
    default:
      return present({
        name: text(source, 'name'),
        [`${member}AverageUtilization`]: amounts['averageUtilization'],
        [`${member}AverageValue`]: average ?? (now ? '0' : undefined),
        container: name === 'resource' ? undefined : text(source, 'container'),
      });
  }
}

/** What version 1 says of metrics or their states, in the words of version 2. */
export function newMetrics(annotation: string | undefined, member: Member): JsonObject[] | undefined {
  const all = parsed(annotation);
  if (!Array.isArray(all)) return undefined;
  return items({ all }, 'all')
    .map((each) => asObject(each) ?? {})
    .map((metric) => {
      const sources = SOURCES.filter((name) => has(metric, name)).map((name): [string, Json] => [
        name,
        newSource(name, part(metric, name), member),
      ]);
      return { type: text(metric, 'type'), ...Object.fromEntries(sources) };
    });
}

function newSource(name: (typeof SOURCES)[number], source: JsonObject, member: Member): JsonObject {
  const now = member === 'current';
  const value = amount(source, `${member}Value`);
  const average = amount(source, name === 'object' ? 'averageValue' : `${member}AverageValue`);
  const utilization = source[`${member}AverageUtilization`];
  const amounts = (type: string, of: JsonObject): JsonObject => ({ ...(now ? {} : { type }), ...of });
  const metric = (selector: string): JsonObject =>
    present({ name: text(source, 'metricName'), selector: source[selector] });
  switch (name) {
    case 'object': {
      const kept = now || average === undefined || (value ?? '0') !== '0' ? (value ?? '0') : undefined;
      const told = amounts(
        average === undefined ? 'Value' : 'AverageValue',
        present({ value: kept, averageValue: average }),
      );
      const described = reference(part(source, 'target'));
      return now
        ? { metric: metric('selector'), current: told, describedObject: described }
        : { describedObject: described, target: told, metric: metric('selector') };
    }
    case 'pods':
      return {
        metric: metric('selector'),
        [member]: amounts('AverageValue', { averageValue: average ?? '0' }),
      };
    case 'external':
      return {
        metric: metric('metricSelector'),
        [member]: amounts(
          value === undefined ? 'AverageValue' : 'Value',
          present({ value: value ?? (now ? '0' : undefined), averageValue: average }),
        ),
      };
    default:
      return present({
        name: text(source, 'name'),
        [member]: amounts(
          utilization === undefined ? 'AverageValue' : 'Utilization',
          present({ averageValue: average ?? (now ? '0' : undefined), averageUtilization: utilization }),
        ),
        container: name === 'resource' ? undefined : text(source, 'container'),
      });
  }
}

/** Behavior as the original writes its own type. */
export function oldBehavior(behavior: JsonObject): JsonObject {
  const rules = (name: string): Json => {
    const of = partOf(behavior, name);
    if (of === undefined) return null;
    const policies = parts(of, 'policies').map((policy) => ({
      Type: text(policy, 'type'),
      Value: policy['value'] ?? 0,
      PeriodSeconds: policy['periodSeconds'] ?? 0,
    }));
    return {
      StabilizationWindowSeconds: of['stabilizationWindowSeconds'] ?? null,
      SelectPolicy: of['selectPolicy'] ?? null,
      Policies: has(of, 'policies') ? policies : null,
      Tolerance: of['tolerance'] ?? null,
    };
  };
  return { ScaleUp: rules('scaleUp'), ScaleDown: rules('scaleDown') };
}

/** Behavior that was written in any case of letters, as Go reads it; undefined for none. */
export function newBehavior(annotation: string | undefined): JsonObject | undefined {
  const behavior = asObject(small(parsed(annotation)));
  return behavior === undefined || Object.keys(behavior).length === 0 ? undefined : behavior;
}

/** Names with a small letter in front; members that are null are left out. */
function small(value: unknown): Json {
  if (Array.isArray(value)) return value.map((each) => small(each));
  const object = asObject(value);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what is no list and no object is a scalar of JSON
  if (object === undefined) return (value ?? null) as Json;
  return Object.fromEntries(
    Object.entries(object)
      .filter(([, member]) => member !== null)
      .map(([name, member]) => [name.charAt(0).toLowerCase() + name.slice(1), small(member)]),
  );
}

/** A list of an annotation; undefined where there is none. */
export function newList(annotation: string | undefined): JsonObject[] | undefined {
  const all = parsed(annotation);
  return Array.isArray(all) ? items({ all }, 'all').map((each) => asObject(each) ?? {}) : undefined;
}

/** What an annotation holds; what does not parse was written by somebody else and counts as absent. */
function parsed(annotation: string | undefined): unknown {
  if (annotation === undefined) return undefined;
  try {
    return JSON.parse(annotation);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
