/** Namespace: stays until its own finalizers are gone, which the finalize subresource takes. */

import { dnsLabelErrors, forName, qualifiedNameErrors } from '../../validation/names.ts';
import { part, texts, withField, withFieldAt } from '../../validation/value.ts';
import { text } from '../../validation/value.ts';
import type { KubeObject } from '../../api/meta.ts';
import { FieldErrors } from '../../validation/field-errors.ts';
import type { FieldPath } from '../../validation/field-path.ts';
import { isDeleting } from '../deletion.ts';
import { keepField, withMetadata } from '../generation.ts';
import { defineKind, selectableAt, SPEC, STATUS, type KindChecks } from '../kinds/kind.ts';

/** The finalizer that every namespace has; what was said stays as it is. */
function withKubernetes(finalizers: readonly string[]): readonly string[] {
  return finalizers.includes('kubernetes') ? finalizers : [...finalizers, 'kubernetes'];
}

const checks: KindChecks = {
  nameErrors: forName(dnsLabelErrors),
  // A name that was made by the server gets its label here as well.
  prepareForCreate: (object) =>
    withField(
      withFieldAt(object, ['spec', 'finalizers'], withKubernetes(texts(part(object, 'spec'), 'finalizers'))),
      'status',
      { phase: 'Active' },
    ),
  prepareForUpdate: (object, old) => keepField(object, old, 'spec'),
  check: () => undefined,
  checkCreate(errors, object) {
    checkFinalizers(errors, object, () => SPEC.child('finalizers'));
  },
  canonicalize: (object) =>
    object.metadata.labels?.['kubernetes.io/metadata.name'] === object.metadata.name
      ? object
      : withFieldAt(object, ['metadata', 'labels'], {
          ...object.metadata.labels,
          'kubernetes.io/metadata.name': object.metadata.name,
        }),
  status: {
    check(errors, object) {
      const phase = text(part(object, 'status'), 'phase');
      const terminating = isDeleting(object);
      if (!terminating && phase !== 'Active') {
        errors.invalid(STATUS.child('Phase'), phase, "may only be 'Active' if `deletionTimestamp` is empty");
      } else if (terminating && phase !== 'Terminating') {
        errors.invalid(
          STATUS.child('Phase'),
          phase,
          "may only be 'Terminating' if `deletionTimestamp` is not empty",
        );
      }
    },
  },
};

const STANDARD: readonly string[] = ['kubernetes', 'orphan', 'foregroundDeletion'];

function checkFinalizers(
  errors: FieldErrors,
  object: KubeObject,
  pathOf: (index: number) => FieldPath,
): void {
  for (const [index, name] of texts(part(object, 'spec'), 'finalizers').entries()) {
    errors.invalids(pathOf(index), name, qualifiedNameErrors(name));
    if (!name.includes('/') && !STANDARD.includes(name)) {
      errors.invalid(
        pathOf(index),
        name,
        'name is neither a standard finalizer name nor is it fully qualified',
      );
    }
  }
}

export const namespaces = defineKind({
  group: '',
  types: 'core',
  resource: 'namespaces',
  kind: 'Namespace',
  scope: 'Cluster',
  shortNames: ['ns'],
  verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
  checks,
  returnsDeletedObject: true,
  selectable: selectableAt(['status.phase']),
  hooks: {
    removable: (object) => texts(part(object, 'spec'), 'finalizers').length === 0,
    // A namespace has no grace period; it says by its phase that it is going.
    terminating: (object) =>
      withField(withMetadata(object, { deletionGracePeriodSeconds: undefined }), 'status', {
        ...part(object, 'status'),
        phase: 'Terminating',
      }),
  },
  subresources: [
    {
      name: 'finalize',
      verbs: ['update'],
      backing: {
        kind: 'update',
        strategy: {
          resetFields: [['status']],
          prepareForUpdate: (object, old) => keepField(object, old, 'status'),
          validateUpdate(object) {
            const errors = new FieldErrors();
            checkFinalizers(errors, object, (index) => SPEC.child('finalizers').index(index));
            return errors.list;
          },
        },
      },
    },
  ],
});
