/**
 * HorizontalPodAutoscaler: replicas by what is measured. v2 is stored; v1 says its CPU target alone and carries
 * the rest in annotations.
 */

import type { Json, JsonObject } from '../../api/json.ts';
import { parseApiVersion, type GroupVersion, type KubeObject } from '../../api/meta.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import type { FieldPath } from '../../validation/field-path.ts';
import { pathSegmentErrors } from '../../validation/names.ts';
import { checkContainerResourceName } from '../../validation/pod-resources.ts';
import { checkDnsLabel, checkQuantityNotNegative, quantity } from '../../validation/scalars.ts';
import {
  asObject,
  count,
  countOf,
  has,
  part,
  partOf,
  parts,
  text,
  withField,
} from '../../validation/value.ts';
import { writeJson } from '../../codec/json-writer.ts';
import { withMetadata } from '../generation.ts';
import { defineKind, SPEC, STATUS } from '../kinds/kind.ts';
import { newBehavior, newConditions, newMetrics, oldBehavior, oldMetrics } from './old-metrics.ts';

const METRICS_ANNOTATION = 'autoscaling.alpha.kubernetes.io/metrics';
const BEHAVIOR_ANNOTATION = 'autoscaling.alpha.kubernetes.io/behavior';
const CONDITIONS_ANNOTATION = 'autoscaling.alpha.kubernetes.io/conditions';
const CURRENT_ANNOTATION = 'autoscaling.alpha.kubernetes.io/current-metrics';
const CARRIED: readonly string[] = [
  METRICS_ANNOTATION,
  BEHAVIOR_ANNOTATION,
  CONDITIONS_ANNOTATION,
  CURRENT_ANNOTATION,
];
const CPU_PERCENT = 80;
/** In the order upstream looks for them: the first that is there is checked. */
const SOURCES: Readonly<Record<string, string>> = {
  Object: 'object',
  External: 'external',
  Pods: 'pods',
  Resource: 'resource',
  ContainerResource: 'containerResource',
};

export const horizontalPodAutoscalers = defineKind({
  group: 'autoscaling',
  types: 'autoscaling',
  resource: 'horizontalpodautoscalers',
  kind: 'HorizontalPodAutoscaler',
  scope: 'Namespaced',
  shortNames: ['hpa'],
  categories: ['all'],
  versions: ['v2', 'v1'],
  convert,
  checks: {
    // The number of spec changes is not counted: upstream's kind has no generation.
    check(errors, object, old) {
      const spec = part(object, 'spec');
      const min = countOf(spec, 'minReplicas');
      const max = count(spec, 'maxReplicas');
      if (min !== undefined && min < 1)
        errors.invalid(SPEC.child('minReplicas'), min, 'must be greater than or equal to 1');
      if (max === 0) errors.required(SPEC.child('maxReplicas'), 'must be set and greater than 0');
      else if (max < 0) errors.invalid(SPEC.child('maxReplicas'), max, 'must be greater than or equal to 1');
      if (min !== undefined && max < min)
        errors.invalid(SPEC.child('maxReplicas'), max, 'must be greater than or equal to `minReplicas`');
      const target = part(spec, 'scaleTargetRef');
      checkTarget(errors, SPEC.child('scaleTargetRef'), target);
      const wrong = targetVersionError(target, old);
      if (wrong !== undefined)
        errors.invalid(SPEC.child('scaleTargetRef', 'apiVersion'), text(target, 'apiVersion'), wrong);
      checkMetrics(errors, spec, min, hasOddMetrics(old));
      const behavior = partOf(spec, 'behavior');
      if (behavior === undefined) return;
      for (const name of ['scaleUp', 'scaleDown']) {
        const rules = partOf(behavior, name);
        if (rules !== undefined) checkRules(errors, SPEC.child('behavior', name), rules);
      }
    },
    status: {
      check(errors, object) {
        for (const name of ['currentReplicas', 'desiredReplicas']) {
          const value = count(part(object, 'status'), name);
          if (value < 0) errors.invalid(STATUS.child(name), value, 'must be greater than or equal to 0');
        }
      },
    },
  },
});

function checkTarget(errors: FieldErrors, path: FieldPath, target: JsonObject): void {
  for (const name of ['kind', 'name']) {
    const value = text(target, name);
    if (value === '') errors.required(path.child(name));
    else errors.invalids(path.child(name), value, pathSegmentErrors(value));
  }
}

/** What is wrong with the version of what is scaled; one that an update leaves as it was is not looked at. */
function targetVersionError(target: JsonObject, old: KubeObject | undefined): string | undefined {
  const before = old === undefined ? undefined : part(part(old, 'spec'), 'scaleTargetRef');
  const kept =
    before !== undefined && ['apiVersion', 'kind'].every((name) => text(before, name) === text(target, name));
  if (kept) return undefined;
  const version = text(target, 'apiVersion');
  const wrong = versionError(version);
  if (wrong !== undefined || text(target, 'kind') === 'ReplicationController') return wrong;
  return (parseApiVersion(version)?.group ?? '') === '' ? 'apiVersion must specify API group' : undefined;
}

function versionError(version: string): string | undefined {
  return version !== '' && version !== '/' && parseApiVersion(version) === undefined
    ? `unexpected GroupVersion string: ${version}`
    : undefined;
}

/** Whether a metric of an object names a version that is none: then new ones may. */
function hasOddMetrics(old: KubeObject | undefined): boolean {
  const metrics = old === undefined ? [] : parts(part(old, 'spec'), 'metrics');
  return metrics.some(
    (metric) =>
      text(metric, 'type') === 'Object' &&
      versionError(text(part(part(metric, 'object'), 'describedObject'), 'apiVersion')) !== undefined,
  );
}

const SOURCE_TYPES: readonly string[] = ['ContainerResource', 'External', 'Object', 'Pods', 'Resource'];
const TARGET_TYPES: readonly string[] = ['Utilization', 'Value', 'AverageValue'];

function checkMetrics(
  errors: FieldErrors,
  spec: JsonObject,
  min: number | undefined,
  anyVersion: boolean,
): void {
  const metrics = parts(spec, 'metrics');
  for (const [index, metric] of metrics.entries()) {
    const at = SPEC.child('metrics').index(index);
    const type = text(metric, 'type');
    if (type === '') errors.required(at.child('type'), 'must specify a metric source type');
    // Upstream looks twice, and says so.
    if (!SOURCE_TYPES.includes(type)) errors.notSupported(at.child('type'), type, SOURCE_TYPES);
    const first = Object.entries(SOURCES).find(([, name]) => has(metric, name));
    if (first !== undefined)
      checkSource(errors, at.child(first[1]), first[0], part(metric, first[1]), anyVersion);
    const name = SOURCES[type];
    if (name === undefined) errors.notSupported(at.child('type'), type, SOURCE_TYPES);
    else if (!has(metric, name))
      errors.required(at.child(name), 'must populate information for the given metric source');
    const present = Object.values(SOURCES).filter((each) => has(metric, each));
    if (present.length === 1) continue;
    for (const other of present) {
      if (other !== name) errors.forbidden(at.child(other), 'must populate the given metric source only');
    }
  }
  if (min === 0 && !metrics.some((metric) => ['Object', 'External'].includes(text(metric, 'type')))) {
    errors.forbidden(
      SPEC.child('metrics'),
      'must specify at least one Object or External metric to support scaling to zero replicas',
    );
  }
}

function checkSource(
  errors: FieldErrors,
  path: FieldPath,
  type: string,
  source: JsonObject,
  anyVersion: boolean,
): void {
  const target = part(source, 'target');
  const at = path.child('target');
  const value = has(target, 'value');
  const average = has(target, 'averageValue');
  switch (type) {
    case 'Object':
      checkTarget(errors, path.child('describedObject'), part(source, 'describedObject'));
      if (!anyVersion) {
        const version = text(part(source, 'describedObject'), 'apiVersion');
        const wrong = versionError(version);
        if (wrong !== undefined) errors.invalid(path.child('describedObject', 'apiVersion'), version, wrong);
      }
      checkMetricName(errors, path.child('metric', 'name'), text(part(source, 'metric'), 'name'));
      checkAmounts(errors, at, target);
      if (!value && !average)
        errors.required(at.child('averageValue'), 'must set either a target value or averageValue');
      break;
    case 'External':
      checkMetricName(errors, path.child('metric', 'name'), text(part(source, 'metric'), 'name'));
      checkAmounts(errors, at, target);
      if (!value && !average)
        errors.required(
          at.child('averageValue'),
          'must set either a target value for metric or a per-pod target',
        );
      if (value && average)
        errors.forbidden(
          at.child('value'),
          'may not set both a target value for metric and a per-pod target',
        );
      break;
    case 'Pods':
      checkMetricName(errors, path.child('metric', 'name'), text(part(source, 'metric'), 'name'));
      checkAmounts(errors, at, target);
      if (!average) errors.required(at.child('averageValue'), 'must specify a positive target averageValue');
      break;
    default:
      if (text(source, 'name') === '') errors.required(path.child('name'), 'must specify a resource name');
      else if (type === 'ContainerResource')
        checkContainerResourceName(errors, path.child('name'), text(source, 'name'));
      if (type === 'ContainerResource') {
        const container = text(source, 'container');
        if (container === '') errors.required(path.child('container'), 'must specify a container');
        else checkDnsLabel(errors, path.child('container'), container);
      }
      checkAmounts(errors, at, target);
      if (!has(target, 'averageUtilization') && !average)
        errors.required(
          at.child('averageUtilization'),
          'must set either a target raw value or a target utilization',
        );
      if (has(target, 'averageUtilization') && average)
        errors.forbidden(
          at.child('averageValue'),
          'may not set both a target raw value and a target utilization',
        );
  }
}

function checkMetricName(errors: FieldErrors, path: FieldPath, name: string): void {
  if (name === '') errors.required(path, 'must specify a metric name');
  else errors.invalids(path, name, pathSegmentErrors(name));
}

function checkAmounts(errors: FieldErrors, path: FieldPath, target: JsonObject): void {
  const type = text(target, 'type');
  if (type === '') errors.required(path.child('type'), 'must specify a metric target type');
  if (!TARGET_TYPES.includes(type))
    errors.invalid(path.child('type'), type, 'must be either Utilization, Value, or AverageValue');
  for (const name of ['value', 'averageValue']) {
    if (has(target, name) && quantity(target[name]).nanos <= 0n)
      errors.invalid(path.child(name), target[name], 'must be positive');
  }
  const utilization = countOf(target, 'averageUtilization');
  if (utilization !== undefined && utilization < 1)
    errors.invalid(path.child('averageUtilization'), utilization, 'must be greater than 0');
}

function checkRules(errors: FieldErrors, path: FieldPath, rules: JsonObject): void {
  const window = countOf(rules, 'stabilizationWindowSeconds');
  if (window !== undefined && window < 0)
    errors.invalid(path.child('stabilizationWindowSeconds'), window, 'must be greater than or equal to zero');
  if (window !== undefined && window > 3600)
    errors.invalid(path.child('stabilizationWindowSeconds'), window, 'must be less than or equal to 3600');
  const select = text(rules, 'selectPolicy');
  if (has(rules, 'selectPolicy') && !['Disabled', 'Max', 'Min'].includes(select))
    errors.notSupported(path.child('selectPolicy'), select, ['Disabled', 'Max', 'Min']);
  const policies = parts(rules, 'policies');
  if (policies.length === 0) errors.required(path.child('policies'), 'must specify at least one Policy');
  for (const [index, policy] of policies.entries()) {
    const at = path.child('policies').index(index);
    if (text(policy, 'type') !== 'Pods' && text(policy, 'type') !== 'Percent')
      errors.notSupported(at.child('type'), text(policy, 'type'), ['Percent', 'Pods']);
    if (count(policy, 'value') <= 0)
      errors.invalid(at.child('value'), count(policy, 'value'), 'must be greater than zero');
    const seconds = count(policy, 'periodSeconds');
    if (seconds <= 0) errors.invalid(at.child('periodSeconds'), seconds, 'must be greater than zero');
    if (seconds > 1800)
      errors.invalid(at.child('periodSeconds'), seconds, 'must be less than or equal to 1800');
  }
  if (has(rules, 'tolerance')) checkQuantityNotNegative(errors, path.child('tolerance'), rules['tolerance']);
}

function isCpu(metric: JsonObject, member: 'target' | 'current'): boolean {
  const resource = part(metric, 'resource');
  return (
    text(metric, 'type') === 'Resource' &&
    text(resource, 'name') === 'cpu' &&
    has(part(resource, member), 'averageUtilization')
  );
}

function convert(object: KubeObject, to: GroupVersion): KubeObject {
  const apiVersion = `autoscaling/${to.version}`;
  if (object.apiVersion === apiVersion) return object;
  return to.version === 'v1' ? toV1(object, apiVersion) : toV2(object, apiVersion);
}

function toV1(object: KubeObject, apiVersion: string): KubeObject {
  const { metrics: _metrics, behavior, ...spec } = part(object, 'spec');
  const { currentMetrics: _current, conditions, ...status } = part(object, 'status');
  const metrics = parts(part(object, 'spec'), 'metrics');
  const current = parts(part(object, 'status'), 'currentMetrics');
  const cpu = metrics.find((metric) => isCpu(metric, 'target'));
  const used = current.findLast((metric) => isCpu(metric, 'current'));
  const annotations: Record<string, string> = { ...object.metadata.annotations };
  for (const name of CARRIED) Reflect.deleteProperty(annotations, name);
  const carry = (name: string, value: Json | undefined): void => {
    const empty = value === undefined || value === null || (Array.isArray(value) && value.length === 0);
    if (!empty) annotations[name] = writeJson(value);
  };
  const rest = metrics.filter((metric) => !isCpu(metric, 'target'));
  carry(METRICS_ANNOTATION, oldMetrics(rest, 'target'));
  const held = asObject(behavior);
  carry(BEHAVIOR_ANNOTATION, held && oldBehavior(held));
  carry(CONDITIONS_ANNOTATION, conditions);
  carry(CURRENT_ANNOTATION, oldMetrics(current, 'current'));
  return {
    ...withAnnotations(object, annotations),
    apiVersion,
    spec: withField(asObject(spec) ?? {}, 'targetCPUUtilizationPercentage', utilizationOf(cpu, 'target')),
    // Version 1 always tells it, version 2 where it is not zero.
    status: withField(
      { currentReplicas: 0, ...asObject(status) },
      'currentCPUUtilizationPercentage',
      utilizationOf(used, 'current'),
    ),
  };
}

function toV2(object: KubeObject, apiVersion: string): KubeObject {
  const { targetCPUUtilizationPercentage: target, ...spec } = part(object, 'spec');
  const { currentCPUUtilizationPercentage: used, currentReplicas, ...status } = part(object, 'status');
  const {
    [METRICS_ANNOTATION]: metrics,
    [BEHAVIOR_ANNOTATION]: behavior,
    [CONDITIONS_ANNOTATION]: conditions,
    [CURRENT_ANNOTATION]: current,
    ...annotations
  } = object.metadata.annotations ?? {};
  // The processor's target comes last; one that measures nothing looks at the processor.
  const others = newMetrics(metrics, 'target') ?? [];
  const wanted = target ?? (others.length === 0 ? CPU_PERCENT : undefined);
  const targets = [...others, ...(wanted === undefined ? [] : [cpuMetric('target', wanted)])];
  const measured = newMetrics(current, 'current') ?? (used === undefined ? [] : [cpuMetric('current', used)]);
  const held = newBehavior(behavior);
  const told = newConditions(conditions);
  return {
    ...withAnnotations(object, annotations),
    apiVersion,
    spec: {
      ...spec,
      metrics: targets,
      ...(held === undefined ? {} : { behavior: held }),
    },
    status: {
      ...(currentReplicas === 0 || currentReplicas === undefined ? {} : { currentReplicas }),
      ...status,
      currentMetrics: measured.length === 0 ? null : measured,
      ...(told === undefined ? {} : { conditions: told }),
    },
  };
}

function cpuMetric(member: 'target' | 'current', averageUtilization: Json): JsonObject {
  const type = member === 'target' ? { type: 'Utilization' } : {};
  return { type: 'Resource', resource: { name: 'cpu', [member]: { ...type, averageUtilization } } };
}

function utilizationOf(metric: JsonObject | undefined, member: 'target' | 'current'): Json | undefined {
  return metric === undefined ? undefined : part(part(metric, 'resource'), member)['averageUtilization'];
}

function withAnnotations(object: KubeObject, annotations: Readonly<Record<string, string>>): KubeObject {
  const none = Object.keys(annotations).length === 0;
  return withMetadata(object, { annotations: none ? undefined : annotations });
}
