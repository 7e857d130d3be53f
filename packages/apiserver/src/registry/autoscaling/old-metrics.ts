/**
 * What an autoscaler measures and how it behaves, as annotations of autoscaling/v1 carry it: metrics in the words of version
 * 1, behavior under the names of the original's own type. Whatever does not parse counts as absent.
 *
 * Modelled on the conversions of kubernetes' pkg/apis/autoscaling/v1.
 */

import type { Json, JsonObject } from '../../api/json.ts';
import { Quantity, QuantityError } from '../../api/quantity.ts';
import { parseTime } from '../../codec/times.ts';
import { quantity } from '../../validation/scalars.ts';
import { asObject, has, part, partOf, parts, text } from '../../validation/value.ts';

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
  return listed(annotation, METRICS[member])?.map((metric) => {
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
  const behavior = asObject(parsed(annotation, BEHAVIOR));
  return behavior === undefined || Object.keys(behavior).length === 0 ? undefined : behavior;
}

/** Conditions of an annotation; undefined where there are none. */
export function newConditions(annotation: string | undefined): JsonObject[] | undefined {
  return listed(annotation, CONDITION);
}

/** What Go's types take: scalars, texts by name, a list, or members by their names. */
type Shape = 'text' | 'int' | 'amount' | 'time' | 'texts' | readonly [Shape] | Members;
interface Members {
  readonly [name: string]: Shape;
}

const SELECTOR: Shape = {
  matchLabels: 'texts',
  matchExpressions: [{ key: 'text', operator: 'text', values: ['text'] }],
};

function metricShape(member: Member): Members {
  const amounts: Members = { [`${member}Value`]: 'amount', [`${member}AverageValue`]: 'amount' };
  const resource: Members = {
    name: 'text',
    container: 'text',
    [`${member}AverageUtilization`]: 'int',
    [`${member}AverageValue`]: 'amount',
  };
  return {
    type: 'text',
    object: {
      target: { kind: 'text', name: 'text', apiVersion: 'text' },
      metricName: 'text',
      selector: SELECTOR,
      averageValue: 'amount',
      ...amounts,
    },
    pods: { metricName: 'text', selector: SELECTOR, ...amounts },
    resource,
    containerResource: resource,
    external: { metricName: 'text', metricSelector: SELECTOR, ...amounts },
  };
}

const METRICS: Readonly<Record<Member, Members>> = {
  target: metricShape('target'),
  current: metricShape('current'),
};

const RULES: Shape = {
  stabilizationWindowSeconds: 'int',
  selectPolicy: 'text',
  policies: [{ type: 'text', value: 'int', periodSeconds: 'int' }],
  tolerance: 'amount',
};
const BEHAVIOR: Shape = { scaleUp: RULES, scaleDown: RULES };
const CONDITION: Members = {
  type: 'text',
  status: 'text',
  lastTransitionTime: 'time',
  reason: 'text',
  message: 'text',
};

const INT_MAX = 2 ** 31 - 1;

/** A value that is none of its type: the whole annotation counts as absent. Thrown and caught in this file only. */
class Misfit extends Error {}

/** The value as the type has it: without what nobody named, and without nulls. @throws Misfit */
function shaped(value: unknown, shape: Shape): Json | undefined {
  if (value === null) return undefined;
  if (typeof shape === 'string') return scalar(value, shape);
  if (isList(shape)) {
    if (!Array.isArray(value)) throw new Misfit();
    const [element] = shape;
    return value.map((each) => shaped(each, element) ?? (typeof element === 'string' ? '' : {}));
  }
  const members = asObject(value);
  if (members === undefined) throw new Misfit();
  const made: Record<string, Json> = {};
  for (const [written, member] of Object.entries(members)) {
    const name = written.charAt(0).toLowerCase() + written.slice(1);
    const held = Object.hasOwn(shape, name) ? shaped(member, shape[name]) : undefined;
    if (held !== undefined) made[name] = held;
  }
  return made;
}

const isList = (shape: Exclude<Shape, string>): shape is readonly [Shape] => Array.isArray(shape);

function scalar(value: unknown, shape: Extract<Shape, string>): Json {
  switch (shape) {
    case 'text':
      if (typeof value === 'string') return value;
      break;
    case 'int':
      if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= INT_MAX) return value;
      break;
    case 'time':
      if (typeof value === 'string' && parseTime(value) !== undefined) return value;
      break;
    case 'amount':
      if (typeof value === 'string' || typeof value === 'number') return amountText(String(value));
      break;
    default: {
      const texts = asObject(value);
      if (texts !== undefined && Object.values(texts).every((each) => typeof each === 'string')) return texts;
    }
  }
  throw new Misfit();
}

function amountText(written: string): string {
  try {
    return Quantity.parse(written.trim()).toString();
  } catch (error) {
    if (error instanceof QuantityError) throw new Misfit();
    throw error;
  }
}

function listed(annotation: string | undefined, element: Members): JsonObject[] | undefined {
  const all = parsed(annotation, [element]);
  return Array.isArray(all) ? all.map((each) => asObject(each) ?? {}) : undefined;
}

/** What an annotation holds; what does not parse, or is of another type, was written by somebody else and counts as absent. */
function parsed(annotation: string | undefined, shape: Shape): Json | undefined {
  if (annotation === undefined) return undefined;
  try {
    return shaped(JSON.parse(annotation), shape);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof Misfit) return undefined;
    throw error;
  }
}
