/** AlwaysAdmit and AlwaysDeny: let everything in, and nothing. */

import type { MutatingPlugin, ValidatingPlugin } from '../admission.ts';
import { refusal } from '../refusals.ts';

export function alwaysAdmit(): ValidatingPlugin {
  return { name: 'AlwaysAdmit', handles: () => true, validate: () => Promise.resolve() };
}

export function alwaysDeny(): MutatingPlugin & ValidatingPlugin {
  const text = 'admission control is denying all modifications';
  return {
    name: 'AlwaysDeny',
    handles: () => true,
    admit: (attributes) => Promise.reject(refusal(attributes, text)),
    validate: (attributes) => Promise.reject(refusal(attributes, text)),
  };
}
