/**
 * How many updaters an object remembers: the oldest are merged, so that managedFields do not grow with every client
 * that ever wrote. Appliers are never forgotten.
 *
 * Modelled on apimachinery's CapManagersManager.
 */

import { compareText } from './field-path.ts';
import { FieldSet } from './field-set.ts';
import { managerIdentifier, timeSeconds, type Manager, type Managers } from './managed-fields.ts';

/** Updaters that an object remembers; older ones are merged into one per version. */
export const UPDATERS_MAX = 10;

const ANCIENT = 'ancient-changes';

/** At most ten updaters: the oldest of each version are merged into one. */
export function capUpdaters(managers: Map<string, Manager>): Managers {
  const updaters = [...managers].filter(([, { operation }]) => operation === 'Update');
  if (updaters.length <= UPDATERS_MAX) return managers;
  updaters.sort(
    ([a, left], [b, right]) => timeSeconds(left.time) - timeSeconds(right.time) || compareText(a, b),
  );
  const first = new Map<string, string>();
  let count = updaters.length;
  for (const [identifier, manager] of updaters) {
    if (count <= UPDATERS_MAX) break;
    const { apiVersion } = manager;
    const oldest = first.get(apiVersion);
    if (oldest === undefined) {
      first.set(apiVersion, identifier);
      continue;
    }
    const ancient = { name: ANCIENT, operation: 'Update', apiVersion, subresource: '' } as const;
    const bucket = managerIdentifier(ancient);
    const merged = managers.get(bucket) ?? managers.get(oldest);
    managers.delete(managers.has(bucket) ? bucket : oldest);
    managers.delete(identifier);
    managers.set(bucket, {
      ...ancient,
      fields: manager.fields.union(merged?.fields ?? FieldSet.EMPTY),
      time: manager.time,
    });
    count -= 1;
  }
  return managers;
}
