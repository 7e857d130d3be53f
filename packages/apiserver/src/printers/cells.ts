/**
 * What the cells of many kinds are made of: placeholders, ages, labels and selectors as text, the containers of a
 * template, lists that are cut short. Pure.
 *
 * Modelled on kubernetes' pkg/printers/internalversion and the String methods of apimachinery it calls.
 */

import type { Json, JsonObject } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import { labelSelectorText, requirementsOf, SelectorError } from '../api/selectors.ts';
import { readSelector } from '../validation/labels.ts';
import { part, partOf, parts, text, textMap, texts, type Fields } from '../validation/value.ts';
import { ageOf } from './ages.ts';

export const NONE = '<none>';
export const UNSET = '<unset>';
export const UNKNOWN = '<unknown>';

export function nameOf({ metadata }: KubeObject): string {
  return metadata.name ?? '';
}

/** How long ago the object was made. */
export function objectAge({ metadata }: KubeObject, nowMs: number): string {
  return ageOf(metadata.creationTimestamp, nowMs);
}

export function orElse(value: string, otherwise: string): string {
  return value === '' ? otherwise : value;
}

/** `a=1,b=2`, in the order of these texts. */
export function labelsCell(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return orElse(pairs.toSorted().join(','), NONE);
}

/** A label selector as kubectl takes it; empty where it is absent or selects everything. */
export function plainSelector(of: Fields, name: string, wrong: string): string {
  const selector = partOf(of, name);
  if (selector === undefined) return '';
  try {
    return labelSelectorText(requirementsOf(readSelector(selector)));
  } catch (error) {
    if (!(error instanceof SelectorError)) throw error;
    return wrong;
  }
}

export function selectorCell(of: Fields, name: string): string {
  return orElse(plainSelector(of, name, '<error>'), NONE);
}

/** A label selector as Go writes its struct: what the original shows of params that are selected. */
export function goLabelSelector(selector: JsonObject): string {
  const labels = Object.entries(textMap(selector, 'matchLabels'))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}: ${value},`);
  const expressions = parts(selector, 'matchExpressions').map(
    (each) =>
      `LabelSelectorRequirement{Key:${text(each, 'key')},Operator:${text(each, 'operator')},Values:[${texts(each, 'values').join(' ')}],},`,
  );
  return `&LabelSelector{MatchLabels:map[string]string{${labels.join('')}},MatchExpressions:[]LabelSelectorRequirement{${expressions.join('')}},}`;
}

/** Names and images of a pod spec's containers, two cells. */
export function containerCells(podSpec: Fields): [names: string, images: string] {
  const containers = parts(podSpec, 'containers');
  return [
    containers.map((each) => text(each, 'name')).join(','),
    containers.map((each) => text(each, 'image')).join(','),
  ];
}

/** The pod spec of a workload's template. */
export function templateSpec(of: Fields): JsonObject {
  return part(part(of, 'template'), 'spec');
}

/** The first few, and how many more there are. */
export function listCell(all: readonly string[], max: number, empty: string): string {
  const shown = all.slice(0, max).join(',');
  if (all.length > max) return `${shown} + ${all.length - max} more...`;
  return orElse(shown, empty);
}

/** An amount, which stands in objects in canonical form; Go's zero where it is absent. */
export function quantityCell(of: Fields, name: string): string {
  return orElse(text(of, name), '0');
}

/** A number or a percentage; `otherwise` where it is absent. */
export function intOrStringCell(value: Json | undefined, otherwise: string): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : otherwise;
}
