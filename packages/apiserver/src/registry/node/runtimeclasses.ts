/** RuntimeClass: what runs a pod's containers. */

import { goValue } from '../../validation/go-values.ts';
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
    allowUnconditionalUpdate: false,
    metadataLast: true,
    check(errors, object) {
      const handler = text(object, 'handler');
      if (handler === '') errors.required(FieldPath.of('handler'));
      else checkDnsLabel(errors, FieldPath.of('handler'), handler);
      const overhead = part(part(object, 'overhead'), 'podFixed');
      checkResourceRequirements(errors, FieldPath.of('overhead'), { limits: overhead });
      const scheduling = part(object, 'scheduling');
      checkLabels(errors, FieldPath.of('scheduling', 'nodeSelector'), textMap(scheduling, 'nodeSelector'));
      const tolerations = parts(scheduling, 'tolerations');
      const at = FieldPath.of('scheduling', 'tolerations');
      checkTolerations(errors, at, tolerations);
      const seen = new Set<string>();
      for (const [index, toleration] of tolerations.entries()) {
        const id = JSON.stringify(
          ['key', 'operator', 'value', 'effect'].map((name) => text(toleration, name)),
        );
        if (seen.has(id)) errors.duplicate(at.index(index), goValue('core.Toleration', toleration));
        seen.add(id);
      }
    },
    checkUpdate(errors, object, old) {
      checkImmutable(errors, FieldPath.of('handler'), object['handler'], old['handler']);
    },
  },
});
