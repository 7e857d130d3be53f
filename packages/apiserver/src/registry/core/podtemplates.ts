/** PodTemplate: a template kept for later. */

import { FieldPath } from '../../validation/field-path.ts';
import { templateWarnings } from '../../validation/pod-warnings.ts';
import { checkPodTemplate } from '../../validation/pod-spec.ts';
import { part } from '../../validation/value.ts';
import { defineKind } from '../kinds/kind.ts';

export const podTemplates = defineKind({
  group: '',
  types: 'core',
  resource: 'podtemplates',
  kind: 'PodTemplate',
  scope: 'Namespaced',
  checks: {
    allowCreateOnUpdate: true,
    generation: ['template'],
    podSpecAt: ['template', 'spec'],
    warnings: (object, old) => templateWarnings(FieldPath.of('template'), object, old),
    check(errors, object) {
      checkPodTemplate(errors, FieldPath.of('template'), part(object, 'template'));
    },
  },
  returnsDeletedObject: true,
});
