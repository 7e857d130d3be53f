/**
 * A server without --allow-privileged: containers that ask to be privileged are refused wherever a pod is described. The
 * kinds' own checks do not know the flag; this is laid on them.
 *
 * Modelled on core validation's ValidateSecurityContext and kubernetes' capabilities.
 */

import type { KubeObject } from '../../api/meta.ts';
import { describeResource } from '../../api/meta.ts';
import type { FieldError } from '../../api/status.ts';
import { FieldErrors } from '../../validation/field-errors.ts';
import { FieldPath } from '../../validation/field-path.ts';
import { part, parts, type Fields } from '../../validation/value.ts';
import type { ResourceDefinition, SubresourceDefinition } from '../resource.ts';

const TEMPLATE: readonly string[] = ['spec', 'template', 'spec'];

/** Where each kind describes its pod. */
const POD_SPECS: ReadonlyMap<string, readonly string[]> = new Map([
  ['pods', ['spec']],
  ['podtemplates', ['template', 'spec']],
  ['replicationcontrollers', TEMPLATE],
  ['daemonsets.apps', TEMPLATE],
  ['deployments.apps', TEMPLATE],
  ['replicasets.apps', TEMPLATE],
  ['statefulsets.apps', TEMPLATE],
  ['jobs.batch', TEMPLATE],
  ['cronjobs.batch', ['spec', 'jobTemplate', 'spec', 'template', 'spec']],
]);
const LISTS: readonly string[] = ['initContainers', 'containers', 'ephemeralContainers'];
/** Of pods: what else brings containers. */
const EPHEMERAL = 'ephemeralcontainers';

/** The definition with privileged containers refused; one that describes no pods as it is. */
export function unprivileged(definition: ResourceDefinition): ResourceDefinition {
  const steps = POD_SPECS.get(describeResource(definition));
  if (steps === undefined) return definition;
  const { strategy } = definition;
  return {
    ...definition,
    strategy: {
      ...strategy,
      validate: (object, context) => [
        ...strategy.validate(object, context),
        ...privilegedErrors(object, steps),
      ],
      validateUpdate: (object, old, context) => [
        ...strategy.validateUpdate(object, old, context),
        ...privilegedErrors(object, steps),
      ],
    },
    subresources: definition.subresources.map((subresource) => unprivilegedSubresource(subresource, steps)),
  };
}

function unprivilegedSubresource(
  subresource: SubresourceDefinition,
  steps: readonly string[],
): SubresourceDefinition {
  const { backing } = subresource;
  if (subresource.name !== EPHEMERAL || backing.kind !== 'update') return subresource;
  const { strategy } = backing;
  return {
    ...subresource,
    backing: {
      kind: 'update',
      strategy: {
        ...strategy,
        validateUpdate: (object, old, context) => [
          ...strategy.validateUpdate(object, old, context),
          ...privilegedErrors(object, steps),
        ],
      },
    },
  };
}

function privilegedErrors(object: KubeObject, steps: readonly string[]): FieldError[] {
  let spec: Fields = object;
  let at = FieldPath.of(steps[0]);
  for (const [index, step] of steps.entries()) {
    spec = part(spec, step);
    if (index > 0) at = at.child(step);
  }
  const refused = new FieldErrors();
  for (const list of LISTS) {
    for (const [index, container] of parts(spec, list).entries()) {
      if (part(container, 'securityContext')['privileged'] !== true) continue;
      const path = at.child(list).index(index).child('securityContext').child('privileged');
      refused.forbidden(path, 'disallowed by cluster policy');
    }
  }
  return refused.list;
}
