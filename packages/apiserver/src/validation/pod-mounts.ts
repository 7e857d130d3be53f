/** Where a container mounts its pod's volumes and sees block devices. Texts as upstream's core validation. */

import type { JsonObject } from '../api/json.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import { checkDescendingPath, hasBacksteps } from './local-paths.ts';
import { flag, has, part, parts, text, textOf } from './value.ts';

const PROPAGATIONS: readonly string[] = ['Bidirectional', 'HostToContainer', 'None'];
const READ_ONLY: readonly string[] = ['Disabled', 'Enabled', 'IfPossible'];

export function checkVolumeMounts(
  errors: FieldErrors,
  path: FieldPath,
  container: JsonObject,
  volumes: ReadonlyMap<string, JsonObject>,
): void {
  const places = new Set<string>();
  const devices = placesOf(container, 'volumeDevices', 'devicePath');
  const mounts = path.child('volumeMounts');
  for (const [index, mount] of parts(container, 'volumeMounts').entries()) {
    const at = mounts.index(index);
    const name = text(mount, 'name');
    const place = text(mount, 'mountPath');
    if (name === '') errors.required(at.child('name'));
    if (!volumes.has(name)) errors.notFound(at.child('name'), name);
    if (place === '') errors.required(at.child('mountPath'));
    if (places.has(place)) errors.invalid(at.child('mountPath'), place, 'must be unique');
    places.add(place);
    if (devices.has(name)) {
      errors.invalid(at.child('name'), name, 'must not already exist in volumeDevices');
    }
    if ([...devices.values()].includes(place)) {
      errors.invalid(at.child('mountPath'), place, 'must not already exist as a path in volumeDevices');
    }
    const sub = text(mount, 'subPath');
    // These and what follows stand at the list: the original does not say which mount it is.
    if (sub !== '') checkDescendingPath(errors, mounts.child('subPath'), sub);
    const expression = text(mount, 'subPathExpr');
    if (expression !== '') {
      if (sub !== '') {
        errors.invalid(at.child('subPathExpr'), expression, 'subPathExpr and subPath are mutually exclusive');
      }
      checkDescendingPath(errors, mounts.child('subPathExpr'), expression);
    }
    checkPropagation(errors, mounts.child('mountPropagation'), mount, container);
    checkRecursiveReadOnly(errors, mounts.child('recursiveReadOnly'), mount);
  }
}

function checkPropagation(
  errors: FieldErrors,
  path: FieldPath,
  mount: JsonObject,
  container: JsonObject,
): void {
  const propagation = textOf(mount, 'mountPropagation');
  if (propagation === undefined) return;
  if (!PROPAGATIONS.includes(propagation)) errors.notSupported(path, propagation, PROPAGATIONS);
  const privileged = flag(part(container, 'securityContext'), 'privileged');
  if (propagation === 'Bidirectional' && !privileged) {
    errors.forbidden(path, 'Bidirectional mount propagation is available only to privileged containers');
  }
}

function checkRecursiveReadOnly(errors: FieldErrors, path: FieldPath, mount: JsonObject): void {
  const recursive = textOf(mount, 'recursiveReadOnly');
  if (recursive === undefined || recursive === 'Disabled') return;
  if (!READ_ONLY.includes(recursive)) {
    errors.notSupported(path, recursive, READ_ONLY);
    return;
  }
  if (!flag(mount, 'readOnly')) errors.forbidden(path, 'may only be specified when readOnly is true');
  if (has(mount, 'mountPropagation') && text(mount, 'mountPropagation') !== 'None') {
    errors.forbidden(path, 'may only be specified when mountPropagation is None or not specified');
  }
}

/** By name of the volume, where the container has it; the last one counts. */
function placesOf(container: JsonObject, list: string, place: string): ReadonlyMap<string, string> {
  return new Map(parts(container, list).map((each) => [text(each, 'name'), text(each, place)]));
}

export function checkVolumeDevices(
  errors: FieldErrors,
  path: FieldPath,
  container: JsonObject,
  volumes: ReadonlyMap<string, JsonObject>,
): void {
  const mounts = placesOf(container, 'volumeMounts', 'mountPath');
  const names = new Set<string>();
  const places = new Set<string>();
  for (const [index, device] of parts(container, 'volumeDevices').entries()) {
    const at = path.index(index);
    const name = text(device, 'name');
    const place = text(device, 'devicePath');
    if (name === '') errors.required(at.child('name'));
    if (names.has(name)) errors.invalid(at.child('name'), name, 'must be unique');
    const volume = volumes.get(name);
    if (volume === undefined) errors.notFound(at.child('name'), name);
    else if (!has(volume, 'persistentVolumeClaim') && !has(volume, 'ephemeral')) {
      const why = 'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode';
      errors.invalid(at.child('name'), name, why);
    }
    if (place === '') errors.required(at.child('devicePath'));
    if (places.has(place)) errors.invalid(at.child('devicePath'), place, 'must be unique');
    if (hasBacksteps(place)) {
      errors.invalid(at.child('devicePath'), place, "can not contain backsteps ('..')");
    } else places.add(place);
    if (mounts.has(name)) errors.invalid(at.child('name'), name, 'must not already exist in volumeMounts');
    if ([...mounts.values()].includes(place)) {
      errors.invalid(at.child('devicePath'), place, 'must not already exist as a path in volumeMounts');
    }
    if (name !== '') names.add(name);
  }
}
