/** IngressClass: which controller answers for an ingress. */

import { checkDnsLabel, checkDnsSubdomain, checkImmutable } from '../../validation/scalars.ts';
import { has, part, partOf, text } from '../../validation/value.ts';
import type { JsonObject } from '../../api/json.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import type { FieldPath } from '../../validation/field-path.ts';
import { checkDomainPath, pathSegmentErrors } from '../../validation/names.ts';
import { defineKind, SPEC } from '../kinds/kind.ts';

const CONTROLLER_LENGTH_MAX = 250;

export const ingressClasses = defineKind({
  group: 'networking.k8s.io',
  types: 'networking',
  resource: 'ingressclasses',
  kind: 'IngressClass',
  scope: 'Cluster',
  checks: {
    generation: ['spec'],
    check(errors, object) {
      const spec = part(object, 'spec');
      const controller = text(spec, 'controller');
      const at = SPEC.child('controller');
      if (controller.length > CONTROLLER_LENGTH_MAX) errors.tooLong(at, CONTROLLER_LENGTH_MAX);
      checkDomainPath(errors, at, controller);
      const parameters = partOf(spec, 'parameters');
      if (parameters === undefined) return;
      const place = SPEC.child('parameters');
      checkReference(errors, place, parameters);
      const scope = text(parameters, 'scope');
      const namespace = text(parameters, 'namespace');
      if (scope !== 'Cluster' && scope !== 'Namespace')
        errors.notSupported(place.child('scope'), scope, ['Cluster', 'Namespace']);
      else if (scope === 'Namespace') {
        if (!has(parameters, 'namespace'))
          errors.required(place.child('namespace'), "`parameters.scope` is set to 'Namespace'");
        else checkDnsLabel(errors, place.child('namespace'), namespace);
      } else if (has(parameters, 'namespace')) {
        errors.forbidden(place.child('namespace'), "`parameters.scope` is set to 'Cluster'");
      }
    },
    checkUpdate(errors, object, old) {
      checkImmutable(
        errors,
        SPEC.child('controller'),
        text(part(object, 'spec'), 'controller'),
        text(part(old, 'spec'), 'controller'),
      );
    },
  },
});

/** An object named by group, kind and name, in no namespace of its own. */
export function checkReference(errors: FieldErrors, path: FieldPath, reference: JsonObject): void {
  if (has(reference, 'apiGroup'))
    checkDnsSubdomain(errors, path.child('apiGroup'), text(reference, 'apiGroup'));
  for (const name of ['kind', 'name']) {
    const value = text(reference, name);
    if (value === '') errors.required(path.child(name));
    else errors.invalids(path.child(name), value, pathSegmentErrors(value));
  }
}
