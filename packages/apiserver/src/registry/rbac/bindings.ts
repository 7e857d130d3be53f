/** RoleBinding and ClusterRoleBinding: who has a role. Which role it is never changes. */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import { FieldPath } from '../../validation/field-path.ts';
import { goValue } from '../../validation/go-values.ts';
import { dnsSubdomainErrors, pathSegmentErrors } from '../../validation/names.ts';
import { part, parts, same, text } from '../../validation/value.ts';
import { defineKind } from '../kinds/kind.ts';

const GROUP = 'rbac.authorization.k8s.io';
const ROLE_REF = FieldPath.of('roleRef');

function checkBinding(
  errors: FieldErrors,
  object: KubeObject,
  kinds: readonly string[],
  namespaced: boolean,
): void {
  const role = part(object, 'roleRef');
  if (text(role, 'apiGroup') !== GROUP)
    errors.notSupported(ROLE_REF.child('apiGroup'), text(role, 'apiGroup'), [GROUP]);
  if (!kinds.includes(text(role, 'kind')))
    errors.notSupported(ROLE_REF.child('kind'), text(role, 'kind'), kinds);
  const name = text(role, 'name');
  if (name === '') errors.required(ROLE_REF.child('name'));
  else errors.invalids(ROLE_REF.child('name'), name, pathSegmentErrors(name));
  for (const [index, subject] of parts(object, 'subjects').entries()) {
    checkSubject(errors, FieldPath.of('subjects').index(index), subject, namespaced);
  }
}

function checkSubject(errors: FieldErrors, path: FieldPath, subject: JsonObject, namespaced: boolean): void {
  const name = text(subject, 'name');
  const group = text(subject, 'apiGroup');
  if (name === '') errors.required(path.child('name'));
  switch (text(subject, 'kind')) {
    case 'ServiceAccount':
      if (name !== '') errors.invalids(path.child('name'), name, dnsSubdomainErrors(name));
      if (group !== '') errors.notSupported(path.child('apiGroup'), group, ['']);
      if (!namespaced && text(subject, 'namespace') === '') errors.required(path.child('namespace'));
      break;
    case 'User':
    case 'Group':
      if (group !== GROUP) errors.notSupported(path.child('apiGroup'), group, [GROUP]);
      break;
    default:
      errors.notSupported(path.child('kind'), text(subject, 'kind'), ['ServiceAccount', 'User', 'Group']);
  }
}

function checkRoleKept(errors: FieldErrors, object: KubeObject, old: KubeObject): void {
  if (!same(object['roleRef'], old['roleRef']))
    errors.invalid(ROLE_REF, goValue('rbac.RoleRef', object['roleRef']), 'cannot change roleRef');
}

export const roleBindings = defineKind({
  group: GROUP,
  types: 'rbac',
  resource: 'rolebindings',
  kind: 'RoleBinding',
  scope: 'Namespaced',
  checks: {
    nameErrors: pathSegmentErrors,
    allowCreateOnUpdate: true,
    check: (errors, object) => {
      checkBinding(errors, object, ['Role', 'ClusterRole'], true);
    },
    checkUpdate: checkRoleKept,
  },
});

export const clusterRoleBindings = defineKind({
  group: GROUP,
  types: 'rbac',
  resource: 'clusterrolebindings',
  kind: 'ClusterRoleBinding',
  scope: 'Cluster',
  checks: {
    nameErrors: pathSegmentErrors,
    allowCreateOnUpdate: true,
    check: (errors, object) => {
      checkBinding(errors, object, ['ClusterRole'], false);
    },
    checkUpdate: checkRoleKept,
  },
});
