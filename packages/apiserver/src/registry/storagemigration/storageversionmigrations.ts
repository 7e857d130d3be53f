/** StorageVersionMigration: the objects of a resource are to be written anew, in the version they are stored in now. */

import type { KubeObject } from '../../api/meta.ts';
import { checkConditions } from '../../validation/conditions.ts';
import { goValue } from '../../validation/go-values.ts';
import { dns1035LabelErrors, dnsSubdomainErrors } from '../../validation/names.ts';
import { IMMUTABLE } from '../../validation/scalars.ts';
import { part, parts, same, text } from '../../validation/value.ts';
import { defineKind, OTHERS_METADATA, SPEC, STATUS } from '../kinds/kind.ts';

const CONDITIONS = STATUS.child('conditions');

function isTrue(object: KubeObject, type: string): boolean {
  return parts(part(object, 'status'), 'conditions').some(
    (condition) => text(condition, 'type') === type && text(condition, 'status') === 'True',
  );
}

export const storageVersionMigrations = defineKind({
  group: 'storagemigration.k8s.io',
  types: 'storagemigration',
  resource: 'storageversionmigrations',
  kind: 'StorageVersionMigration',
  scope: 'Cluster',
  versions: ['v1beta1'],
  gate: 'StorageVersionMigrator',
  checks: {
    allowUnconditionalUpdate: false,
    prepareForCreate: (object) => ({ ...object, status: {} }),
    check(errors, object) {
      const of = part(part(object, 'spec'), 'resource');
      const at = SPEC.child('resource');
      const [group, resource] = [text(of, 'group'), text(of, 'resource')];
      if (resource === '') errors.required(at.child('resource'), 'resource is required to be set');
      const wrong = [
        ['resource', resource, resource === '' ? [] : dns1035LabelErrors(resource)] as const,
        ['group', group, group === '' ? [] : dnsSubdomainErrors(group)] as const,
      ];
      for (const [name, value, texts] of wrong) {
        if (texts.length > 0) errors.invalid(at.child(name), value, texts.join(','));
      }
    },
    checkUpdate(errors, object, old) {
      if (same(object['spec'], old['spec'])) return;
      const shown = goValue('storagemigration.StorageVersionMigrationSpec', object['spec']);
      errors.invalid(SPEC, shown, IMMUTABLE);
    },
    status: {
      resetFields: [['metadata'], ['spec']],
      keepsMetadata: OTHERS_METADATA,
      check(errors, object, old) {
        const now = text(part(object, 'status'), 'resourceVersion');
        const before = text(part(old, 'status'), 'resourceVersion');
        const at = STATUS.child('resourceVersion');
        if (now !== '' && !/^[1-9]\d*$/.test(now)) {
          errors.invalid(at, now, `resource version is not well formed: ${now}`);
        }
        const conditions = parts(part(object, 'status'), 'conditions');
        const shown = conditions.length === 0 ? null : conditions;
        checkConditions(errors, CONDITIONS, conditions);
        if (before !== '' && before !== now) errors.invalid(at, now, IMMUTABLE);
        if (isTrue(object, 'Succeeded') && isTrue(object, 'Failed')) {
          errors.invalid(
            CONDITIONS,
            shown,
            'Both success and failed conditions cannot be true at the same time',
          );
        }
        for (const [type, said] of [
          ['Succeeded', 'Success'],
          ['Failed', 'Failed'],
        ]) {
          if (isTrue(old, type) && !isTrue(object, type)) {
            errors.invalid(CONDITIONS, shown, `${said} condition cannot be set to false once it is true`);
          }
        }
      },
    },
  },
});
