/** PersistentVolumeClaim: what a pod asks of storage; bound, it only grows. */

import { qualifiedNameErrors } from '../../validation/names.ts';
import { valueDiff } from '../../validation/line-diff.ts';
import { goValue } from '../../validation/go-values.ts';
import { checkClaimSpec } from '../../validation/volume-claims.ts';
import { quantity } from '../../validation/scalars.ts';
import { FieldPath } from '../../validation/field-path.ts';
import { claimSpecWarnings } from '../../validation/pod-warnings.ts';
import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import {
  has,
  part,
  partOf,
  same,
  text,
  textMap,
  texts,
  withField,
  withFieldAt,
} from '../../validation/value.ts';
import { defineKind, SPEC, STATUS } from '../kinds/kind.ts';

const CLASS = 'volumeAttributesClassName';
const BETA_CLASS = 'volume.beta.kubernetes.io/storage-class';

const RESIZE_STATES: readonly string[] = [
  'ControllerResizeInProgress',
  'ControllerResizeInfeasible',
  'NodeResizeInProgress',
  'NodeResizeInfeasible',
  'NodeResizePending',
];

function checkHeld(errors: FieldErrors, path: FieldPath, value: unknown): void {
  const whole = quantity(value).nanos / 1_000_000_000n;
  if (whole < 0n) errors.invalid(path, whole, 'must be a valid resource quantity');
}

/** Whether what is resized is storage, or somebody's own. */
function checkResizedName(errors: FieldErrors, path: FieldPath, name: string): boolean {
  const before = errors.size;
  errors.invalids(path, name, qualifiedNameErrors(name));
  if (errors.size > before) return false;
  const own = name.includes('/') && !/(^|\.)kubernetes\.io\//.test(name);
  if (!own && name !== 'storage') errors.notSupported(path, name, ['storage']);
  return own || name === 'storage';
}

/** The sources of a claim as they are kept: in both members, save what neither of old would have taken. */
function sourced(object: KubeObject, old?: KubeObject): JsonObject {
  const spec = part(object, 'spec');
  const before = old === undefined ? {} : part(old, 'spec');
  const reference = part(spec, 'dataSourceRef');
  // Sources in other namespaces are off (CrossNamespaceVolumeDataSource).
  const foreign = text(reference, 'namespace') !== '' && !has(before, 'dataSourceRef');
  let kept = foreign ? withField(spec, 'dataSourceRef', undefined) : spec;
  const open = !has(before, 'dataSource') && !has(before, 'dataSourceRef') && !has(kept, 'dataSourceRef');
  const source = part(kept, 'dataSource');
  const known = KNOWN_SOURCES.some(
    ([group, kind]) => text(source, 'apiGroup') === group && text(source, 'kind') === kind,
  );
  if (open && !known) kept = withField(kept, 'dataSource', undefined);
  return withBothSources(kept);
}

const KNOWN_SOURCES = [
  ['', 'PersistentVolumeClaim'],
  ['snapshot.storage.k8s.io', 'VolumeSnapshot'],
] as const;

function withBothSources(spec: JsonObject): JsonObject {
  const source = partOf(spec, 'dataSource');
  const reference = partOf(spec, 'dataSourceRef');
  if (source !== undefined && reference === undefined) return { ...spec, dataSourceRef: source };
  if (source === undefined && reference !== undefined && text(reference, 'namespace') === '')
    return { ...spec, dataSource: reference };
  return spec;
}

function claimWarnings(object: KubeObject): string[] {
  const old = object.metadata.annotations?.[BETA_CLASS] !== undefined;
  return [
    ...(old
      ? [
          `metadata.annotations[${BETA_CLASS}]: deprecated since v1.8; use "storageClassName" attribute instead`,
        ]
      : []),
    ...claimSpecWarnings(SPEC, part(object, 'spec')),
  ];
}

export const persistentVolumeClaims = defineKind({
  group: '',
  types: 'core',
  resource: 'persistentvolumeclaims',
  kind: 'PersistentVolumeClaim',
  scope: 'Namespaced',
  shortNames: ['pvc'],
  checks: {
    prepareForCreate: (object) => withField({ ...object, status: {} }, 'spec', sourced(object)),
    prepareForUpdate: (object, old) => withField(object, 'spec', sourced(object, old)),
    check(errors, object) {
      checkClaimSpec(errors, SPEC, part(object, 'spec'));
    },
    checkUpdate(errors, object, old) {
      const spec = part(object, 'spec');
      const had = withBothSources(part(old, 'spec'));
      // A volume may be named once; the difference is told from there.
      const before = text(had, 'volumeName') === '' ? withField(had, 'volumeName', spec['volumeName']) : had;
      let allowed = spec;
      const bound = text(part(old, 'status'), 'phase') === 'Bound';
      const size = (of: typeof spec): unknown => part(part(of, 'resources'), 'requests')['storage'];
      if (bound && has(part(spec, 'resources'), 'requests'))
        allowed = withFieldAt(allowed, ['resources', 'requests', 'storage'], size(before) ?? '0');
      // A class may be named later, once: where no annotation of old names another.
      const beta = (of: typeof object): string | undefined => of.metadata.annotations?.[BETA_CLASS];
      const open = beta(old) === undefined || beta(old) === text(spec, 'storageClassName');
      if (has(spec, 'storageClassName') && !has(before, 'storageClassName') && open)
        allowed = withField(allowed, 'storageClassName', undefined);
      else if (beta(object) !== beta(old)) {
        errors.invalid(
          FieldPath.of('metadata', 'annotations', BETA_CLASS),
          beta(object) ?? '',
          'field is immutable',
        );
      }
      if (bound) allowed = withField(allowed, CLASS, before[CLASS]);
      if (!same(allowed, before)) {
        const shown = (of: JsonObject): unknown => goValue('core.PersistentVolumeClaimSpec', of);
        errors.forbidden(
          SPEC,
          `spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n${valueDiff(shown(before), shown(allowed))}`,
        );
      }
      if (quantity(size(spec)).compare(quantity(size(before))) < 0) {
        const held = part(part(old, 'status'), 'capacity')['storage'];
        if (quantity(size(spec)).compare(quantity(held)) <= 0) {
          errors.forbidden(
            SPEC.child('resources', 'requests', 'storage'),
            'field can not be less than status.capacity',
          );
        }
      }
      if (!same(spec['volumeMode'], before['volumeMode']))
        errors.invalid(FieldPath.of('volumeMode'), spec['volumeMode'], 'field is immutable');
      const applied = 'currentVolumeAttributesClassName';
      if (
        has(part(old, 'status'), applied) &&
        !same(spec[CLASS], before[CLASS]) &&
        text(spec, CLASS) === ''
      ) {
        const empty = has(spec, CLASS) ? 'empty string' : 'nil';
        errors.forbidden(
          SPEC.child(CLASS),
          `update to ${empty} is forbidden when status.${applied} is not nil`,
        );
      }
    },
    warnings: claimWarnings,
    status: {
      check(errors, object) {
        if (texts(part(object, 'spec'), 'accessModes').length === 0)
          errors.required(FieldPath.of('Spec', 'accessModes'));
        const status = part(object, 'status');
        for (const [name, value] of Object.entries(part(status, 'capacity')))
          checkHeld(errors, STATUS.child('capacity').key(name), value);
        const resizing = STATUS.child('allocatedResourceStatuses');
        for (const [name, state] of Object.entries(textMap(status, 'allocatedResourceStatuses'))) {
          checkResizedName(errors, resizing, name);
          if (!RESIZE_STATES.includes(state)) errors.notSupported(resizing, name, RESIZE_STATES);
        }
        const allocated = STATUS.child('allocatedResources');
        for (const [name, value] of Object.entries(part(status, 'allocatedResources'))) {
          if (checkResizedName(errors, allocated, name)) checkHeld(errors, allocated.key(name), value);
        }
      },
    },
  },
  returnsDeletedObject: true,
});
