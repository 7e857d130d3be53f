/**
 * How many updaters an object remembers: the oldest are merged, so that managedFields do not grow with every client
 * that ever wrote. Appliers are never forgotten.
 *
 * Modelled on apimachinery's CapManagersManager.
 */

import { LOOK_EVERY, type Pace, type Sliced } from '../api/sliced.ts';
import { sortedInSlices } from '../api/sorted.ts';
import { compareText } from './field-path.ts';
import { FieldSet } from './field-set.ts';
import { managerIdentifier, timeSeconds, type Manager, type Managers } from './managed-fields.ts';

/** Updaters that an object remembers; older ones are merged into one per version. */
export const UPDATERS_MAX = 10;

const ANCIENT = 'ancient-changes';

/** By its identifier, with the time it wrote last. */
type Updater = readonly [string, Manager, number];

/** At most ten updaters: the oldest of each version are merged into one. */
export function* capUpdaters(managers: Map<string, Manager>, pace: Pace): Sliced<Managers> {
  const found: Updater[] = [];
  let looks = 0;
  for (const [identifier, manager] of managers) {
    if ((looks += 1) % LOOK_EVERY === 0 && pace.due()) yield;
    if (manager.operation === 'Update') found.push([identifier, manager, timeSeconds(manager.time)]);
  }
  if (found.length <= UPDATERS_MAX) return managers;
  const updaters = yield* sortedInSlices(
    found,
    ([a, , left], [b, , right]) => left - right || compareText(a, b),
    pace,
  );
  const first = new Map<string, string>();
  let count = updaters.length;
  for (const [identifier, manager] of updaters) {
    if (count <= UPDATERS_MAX) break;
    if ((looks += 1) % LOOK_EVERY === 0 && pace.due()) yield;
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
