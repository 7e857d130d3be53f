/**
 * Autoscalers and disruption budgets as tables.
 *
 * Modelled on kubernetes' pkg/printers/internalversion.
 */

import type { JsonObject } from '../api/json.ts';
import { count, countOf, part, partOf, parts, text } from '../validation/value.ts';
import { intOrStringCell, nameOf, NONE, objectAge, UNKNOWN, UNSET } from './cells.ts';
import { AGE_COLUMN, column, counted, NAME_COLUMN, type TablePrinter } from './printer.ts';

const METRICS_MAX = 2;

/** In the form of autoscaling/v2. */
export const horizontalPodAutoscalerPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Reference', 'What it scales.'),
    column('Targets', 'Of each metric, what is measured and what is wanted.'),
    column('MinPods', 'Fewest pods it goes down to.'),
    column('MaxPods', 'Most pods it goes up to.'),
    column('Replicas', 'How many pods there are.'),
    AGE_COLUMN,
  ],
  cells(object, nowMs) {
    const spec = part(object, 'spec');
    const status = part(object, 'status');
    const target = part(spec, 'scaleTargetRef');
    const min = countOf(spec, 'minReplicas');
    return [
      nameOf(object),
      `${text(target, 'kind')}/${text(target, 'name')}`,
      metricsCell(parts(spec, 'metrics'), parts(status, 'currentMetrics')),
      min === undefined ? UNSET : String(min),
      count(spec, 'maxReplicas'),
      count(status, 'currentReplicas'),
      objectAge(object, nowMs),
    ];
  },
};

/** Where the metric of each type has its source. */
const SOURCES: Readonly<Record<string, string>> = {
  External: 'external',
  Pods: 'pods',
  Object: 'object',
  Resource: 'resource',
  ContainerResource: 'containerResource',
};

function metricsCell(metrics: readonly JsonObject[], measured: readonly JsonObject[]): string {
  if (metrics.length === 0) return NONE;
  const shown = metrics.slice(0, METRICS_MAX).map((metric, index) => metricText(metric, measured.at(index)));
  const more = metrics.length - shown.length;
  return more > 0 ? `${shown.join(', ')} + ${more} more...` : shown.join(', ');
}

function metricText(metric: JsonObject, measured: JsonObject | undefined): string {
  const type = text(metric, 'type');
  if (!Object.hasOwn(SOURCES, type)) return '<unknown type>';
  const source = part(metric, SOURCES[type]);
  const target = part(source, 'target');
  const found = partOf(measured ?? {}, SOURCES[type]);
  const current = found === undefined ? undefined : part(found, 'current');
  const average = amount(target, 'averageValue');
  switch (type) {
    case 'Pods':
      return `${measuredAmount(current, 'averageValue')}/${average ?? NIL}`;
    case 'External':
    case 'Object':
      if (average === undefined)
        return `${measuredAmount(current, 'value')}/${amount(target, 'value') ?? NIL}`;
      return `${amount(current ?? {}, 'averageValue') ?? UNKNOWN}/${average} (avg)`;
    default: {
      const name = text(source, 'name');
      if (average !== undefined) return `${name}: ${measuredAmount(current, 'averageValue')}/${average}`;
      const wanted = percent(target) ?? '<auto>';
      return `${name}: ${percent(current ?? {}) ?? UNKNOWN}/${wanted}`;
    }
  }
}

/** What the original writes for an amount that is missing where one must be. */
const NIL = '<nil>';

function amount(of: JsonObject, name: string): string | undefined {
  const value = text(of, name);
  return value === '' ? undefined : value;
}

function measuredAmount(current: JsonObject | undefined, name: string): string {
  return current === undefined ? UNKNOWN : (amount(current, name) ?? NIL);
}

function percent(of: JsonObject): string | undefined {
  const value = countOf(of, 'averageUtilization');
  return value === undefined ? undefined : `${value}%`;
}

export const podDisruptionBudgetPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Min Available', 'How many pods must stay.'),
    column('Max Unavailable', 'How many pods may be missing.'),
    counted('Allowed Disruptions', 'How many pods may be made to leave now.'),
    AGE_COLUMN,
  ],
  cells(object, nowMs) {
    const spec = part(object, 'spec');
    return [
      nameOf(object),
      intOrStringCell(spec['minAvailable'], 'N/A'),
      intOrStringCell(spec['maxUnavailable'], 'N/A'),
      count(part(object, 'status'), 'disruptionsAllowed'),
      objectAge(object, nowMs),
    ];
  },
};
