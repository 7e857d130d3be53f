/** IngressClass: which controller answers for an ingress. */

import { checkDnsLabel, checkDnsSubdomain, checkImmutable } from '../../validation/scalars.ts';
import { has, part, partOf, text } from '../../validation/value.ts';
import { pathSegmentErrors } from '../../validation/names.ts';
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
      if (controller === '') errors.required(at);
      else {
        if (controller.length > CONTROLLER_LENGTH_MAX) errors.tooLong(at, CONTROLLER_LENGTH_MAX);
        const [domain, ...path] = controller.split('/');
        checkDnsSubdomain(errors, at, domain);
        if (path.length === 0 || path.join('/') === '')
          errors.invalid(at, controller, 'must be a domain-prefixed path (such as "acme.io/foo")');
      }
      const parameters = partOf(spec, 'parameters');
      if (parameters === undefined) return;
      const place = SPEC.child('parameters');
      if (has(parameters, 'apiGroup'))
        checkDnsSubdomain(errors, place.child('apiGroup'), text(parameters, 'apiGroup'));
      for (const name of ['kind', 'name']) {
        const value = text(parameters, name);
        if (value === '') errors.required(place.child(name));
        else errors.invalids(place.child(name), value, pathSegmentErrors(value));
      }
      const scope = text(parameters, 'scope');
      const namespace = text(parameters, 'namespace');
      if (scope === '') errors.required(place.child('scope'));
      else if (scope !== 'Cluster' && scope !== 'Namespace')
        errors.notSupported(place.child('scope'), scope, ['Cluster', 'Namespace']);
      else if (scope === 'Namespace') {
        if (namespace === '')
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
        part(object, 'spec')['controller'],
        part(old, 'spec')['controller'],
      );
    },
  },
});
