/** All default rules of the built-in kinds, by type name. */

import { CLUSTER_DEFAULTS } from './cluster-defaults.ts';
import { CORE_DEFAULTS } from './core-defaults.ts';
import type { DefaultRules } from './defaulter.ts';
import { POD_DEFAULTS } from './pod-defaults.ts';
import { WORKLOAD_DEFAULTS } from './workload-defaults.ts';

export const BUILT_IN_DEFAULTS: DefaultRules = {
  ...POD_DEFAULTS,
  ...CORE_DEFAULTS,
  ...WORKLOAD_DEFAULTS,
  ...CLUSTER_DEFAULTS,
};
