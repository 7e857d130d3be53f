/** A claim's spec, as persistent volume claims and the templates of volumes hold it. Texts as upstream's. */

import type { JsonObject } from '../api/json.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import { checkLabelSelector } from './labels.ts';
import { checkDnsLabel, checkDnsSubdomain, quantity } from './scalars.ts';
import { has, part, partOf, text, texts } from './value.ts';

export const ACCESS_MODES: readonly string[] = [
  'ReadOnlyMany',
  'ReadWriteMany',
  'ReadWriteOnce',
  'ReadWriteOncePod',
];
export const VOLUME_MODES: readonly string[] = ['Block', 'Filesystem'];

export function checkAccessModes(errors: FieldErrors, path: FieldPath, modes: readonly string[]): void {
  for (const mode of modes) {
    if (!ACCESS_MODES.includes(mode)) errors.notSupported(path, mode, ACCESS_MODES);
  }
  const others = modes.some((mode) => mode !== 'ReadWriteOncePod' && ACCESS_MODES.includes(mode));
  if (modes.includes('ReadWriteOncePod') && others) {
    errors.forbidden(path, 'may not use ReadWriteOncePod with other access modes');
  }
}

export function checkClaimSpec(errors: FieldErrors, path: FieldPath, spec: JsonObject): void {
  const modes = texts(spec, 'accessModes');
  if (modes.length === 0) errors.required(path.child('accessModes'), 'at least 1 access mode is required');
  checkLabelSelector(errors, path.child('selector'), partOf(spec, 'selector'));
  checkAccessModes(errors, path.child('accessModes'), modes);
  const requests = part(part(spec, 'resources'), 'requests');
  const storage = requests['storage'];
  const at = path.child('resources').key('storage');
  if (storage === undefined) errors.required(at);
  else {
    if (quantity(storage).nanos <= 0n) errors.invalid(at, storage, 'must be greater than zero');
  }
  const storageClass = text(spec, 'storageClassName');
  if (storageClass !== '') checkDnsSubdomain(errors, path.child('storageClassName'), storageClass);
  const mode = spec['volumeMode'];
  if (typeof mode === 'string' && !VOLUME_MODES.includes(mode)) {
    errors.notSupported(path.child('volumeMode'), mode, VOLUME_MODES);
  }
  for (const name of ['dataSource', 'dataSourceRef']) {
    const source = partOf(spec, name);
    if (source === undefined) continue;
    if (text(source, 'name') === '') errors.required(path.child(name, 'name'));
    if (text(source, 'kind') === '') errors.required(path.child(name, 'kind'));
    const group = text(source, 'apiGroup');
    if (group === '' && text(source, 'kind') !== 'PersistentVolumeClaim') {
      errors.invalid(
        path.child(name),
        text(source, 'kind'),
        "must be 'PersistentVolumeClaim' when referencing the default apiGroup",
      );
    }
    if (group !== '') checkDnsSubdomain(errors, path.child(name, 'apiGroup'), group);
    const namespace = text(source, 'namespace');
    if (name === 'dataSourceRef' && namespace !== '')
      checkDnsLabel(errors, path.child(name, 'namespace'), namespace);
  }
  // The value such messages show is a path inside of upstream's server, which has no members to show.
  if (text(part(spec, 'dataSourceRef'), 'namespace') !== '') {
    if (has(spec, 'dataSource'))
      errors.invalid(path, {}, 'may not be specified when dataSourceRef.namespace is specified');
  } else if (has(spec, 'dataSource') && has(spec, 'dataSourceRef')) {
    const a = part(spec, 'dataSource');
    const b = part(spec, 'dataSourceRef');
    if (['apiGroup', 'kind', 'name'].some((name) => text(a, name) !== text(b, name))) {
      errors.invalid(path, {}, 'must match dataSourceRef');
    }
  }
  const attributes = text(spec, 'volumeAttributesClassName');
  if (attributes !== '') checkDnsSubdomain(errors, path.child('volumeAttributesClassName'), attributes);
}
