/** RuntimeClass: what runs a pod's containers. */

import { FieldPath } from '../../validation/field-path.ts';
import { checkLabels } from '../../validation/labels.ts';
import { checkResourceRequirements } from '../../validation/pod-resources.ts';
import { checkTolerations } from '../../validation/pod-placement.ts';
import { checkDnsLabel, checkImmutable } from '../../validation/scalars.ts';
import { part, parts, text, textMap } from '../../validation/value.ts';
import { defineKind } from '../kinds/kind.ts';

export const runtimeClasses = defineKind({
  group: 'node.k8s.io',
  types: 'node',
  resource: 'runtimeclasses',
  kind: 'RuntimeClass',
  scope: 'Cluster',
  checks: {
    check(errors, object) {
      checkDnsLabel(errors, FieldPath.of('handler'), text(object, 'handler'));
      const overhead = part(part(object, 'overhead'), 'podFixed');
      checkResourceRequirements(errors, FieldPath.of('overhead', 'podFixed'), { limits: overhead });
      const scheduling = part(object, 'scheduling');
      checkLabels(errors, FieldPath.of('scheduling', 'nodeSelector'), textMap(scheduling, 'nodeSelector'));
      checkTolerations(errors, FieldPath.of('scheduling', 'tolerations'), parts(scheduling, 'tolerations'));
    },
    checkUpdate(errors, object, old) {
      checkImmutable(errors, FieldPath.of('handler'), object['handler'], old['handler']);
    },
  },
});
