/** Role and ClusterRole: rules of what may be done. Escalation is checked by access. */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import { FieldPath } from '../../validation/field-path.ts';
import { checkLabelSelector } from '../../validation/labels.ts';
import { pathSegmentErrors } from '../../validation/names.ts';
import { part, parts, texts } from '../../validation/value.ts';
import { defineKind } from '../kinds/kind.ts';

const RULES = FieldPath.of('rules');

function checkRules(errors: FieldErrors, object: KubeObject, namespaced: boolean): void {
  for (const [index, rule] of parts(object, 'rules').entries())
    checkRule(errors, RULES.index(index), rule, namespaced);
}

function checkRule(errors: FieldErrors, path: FieldPath, rule: JsonObject, namespaced: boolean): void {
  const lists = (name: string): number => texts(rule, name).length;
  if (lists('verbs') === 0) errors.required(path.child('verbs'), 'verbs must contain at least one value');
  if (lists('nonResourceURLs') > 0) {
    if (namespaced) {
      errors.invalid(
        path.child('nonResourceURLs'),
        texts(rule, 'nonResourceURLs'),
        'namespaced rules cannot apply to non-resource URLs',
      );
    }
    if (lists('apiGroups') > 0 || lists('resources') > 0 || lists('resourceNames') > 0) {
      errors.invalid(
        path.child('nonResourceURLs'),
        texts(rule, 'nonResourceURLs'),
        'rules cannot apply to both regular resources and non-resource URLs',
      );
    }
    return;
  }
  if (lists('apiGroups') === 0)
    errors.required(path.child('apiGroups'), 'resource rules must supply at least one api group');
  if (lists('resources') === 0)
    errors.required(path.child('resources'), 'resource rules must supply at least one resource');
}

export const roles = defineKind({
  group: 'rbac.authorization.k8s.io',
  types: 'rbac',
  resource: 'roles',
  kind: 'Role',
  scope: 'Namespaced',
  checks: {
    nameErrors: pathSegmentErrors,
    allowCreateOnUpdate: true,
    check: (errors, object) => {
      checkRules(errors, object, true);
    },
  },
});

export const clusterRoles = defineKind({
  group: 'rbac.authorization.k8s.io',
  types: 'rbac',
  resource: 'clusterroles',
  kind: 'ClusterRole',
  scope: 'Cluster',
  checks: {
    nameErrors: pathSegmentErrors,
    allowCreateOnUpdate: true,
    check(errors, object) {
      checkRules(errors, object, false);
      if (object['aggregationRule'] === undefined) return;
      const at = FieldPath.of('aggregationRule', 'clusterRoleSelectors');
      const selectors = parts(part(object, 'aggregationRule'), 'clusterRoleSelectors');
      if (selectors.length === 0)
        errors.required(at, 'at least one clusterRoleSelector required if aggregationRule is non-nil');
      for (const [index, selector] of selectors.entries()) {
        const before = errors.size;
        checkLabelSelector(errors, at.index(index), selector);
        if (errors.size > before) errors.invalid(at.index(index), null, 'invalid label selector.');
      }
    },
  },
});
