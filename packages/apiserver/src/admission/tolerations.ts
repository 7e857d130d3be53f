/**
 * Tolerations of pods: which covers which, two lists made one, a list held against one of what is allowed. Pure.
 *
 * Modelled on Kubernetes' pkg/util/tolerations.
 */

import type { JsonObject } from '../api/json.ts';
import { countOf, same, text } from '../validation/value.ts';

/** Both lists, the first one first; what another one covers is left out. */
export function mergeTolerations(
  first: readonly JsonObject[],
  second: readonly JsonObject[],
): readonly JsonObject[] {
  const all = [...first, ...second];
  const merged: JsonObject[] = [];
  for (const [index, one] of all.entries()) {
    if (merged.some((other) => covers(other, one))) continue;
    // Of two that are equal the first one stays.
    if (all.slice(index + 1).some((other) => !same(one, other) && covers(other, one))) continue;
    merged.push(one);
  }
  return merged;
}

/** Whether each is covered by one that is allowed; nothing allowed means everything is. */
export function allAllowed(tolerations: readonly JsonObject[], allowed: readonly JsonObject[]): boolean {
  if (allowed.length === 0) return true;
  return tolerations.every((one) => allowed.some((other) => covers(other, one)));
}

function covers(wide: JsonObject, narrow: JsonObject): boolean {
  if (same(wide, narrow)) return true;
  const everyKey = text(wide, 'key') === '' && text(wide, 'operator') === 'Exists';
  if (text(narrow, 'key') !== text(wide, 'key') && !everyKey) return false;
  const effect = text(wide, 'effect');
  if (effect !== '' && effect !== text(narrow, 'effect')) return false;
  if (effect === 'NoExecute') {
    const longest = countOf(wide, 'tolerationSeconds');
    const seconds = countOf(narrow, 'tolerationSeconds');
    if (longest !== undefined && (seconds === undefined || seconds > longest)) return false;
  }
  switch (text(wide, 'operator')) {
    case '':
    case 'Equal':
      return text(narrow, 'operator') === 'Equal' && text(narrow, 'value') === text(wide, 'value');
    case 'Exists':
      return true;
    default:
      return false;
  }
}
